package notation

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"sekisho"
)

// MaxCRL bounds a list of revoked certificates, in bytes, maxCRLs the lists of a
// file.
const MaxCRL, maxCRLs = 64 << 20, 64

// CRL is a list of revoked certificates (RFC 5280, section 5).
type CRL struct {
	list  *x509.RevocationList
	scope scope
	rows  map[string]*x509.RevocationListEntry // by serial number
}

// scope is what a list is about (RFC 5280, section 5.2.5).
type scope struct {
	uris          []string // distribution points; nil for all
	user, ca      bool     // only certificates of users, of authorities
	some          bool     // only some reasons
	indirect, ofA bool     // of others' certificates, of attributes
}

// The extensions of lists and their entries.
var (
	oidIssuingPoint   = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}
)

// ParseCRL reads lists in PEM or one in DER.
func ParseCRL(data []byte) (list []*CRL, err error) {
	if len(data) > MaxCRL {
		return nil, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: more than %d bytes", MaxCRL)
	}
	if !bytes.Contains(data[:min(len(data), 4096)], []byte("-----BEGIN")) {
		c, err := parseCRL(data)
		return []*CRL{c}, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" || len(list) == maxCRLs {
			return nil, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: want at most %d blocks X509 CRL in PEM, found %q", maxCRLs, block.Type)
		}
		c, err := parseCRL(block.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: none in PEM")
	}
	return list, nil
}

func parseCRL(der []byte) (*CRL, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: %w", err)
	}
	c := &CRL{list: list, rows: make(map[string]*x509.RevocationListEntry, len(list.RevokedCertificateEntries))}
	for _, e := range list.Extensions {
		if e.Id.Equal(oidIssuingPoint) {
			if c.scope, err = parseScope(e.Value); err != nil {
				return nil, err
			}
		} else if e.Critical {
			return nil, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: the critical extension %v is not understood", e.Id).WithHint("give the full list of the authority, not one of changes")
		}
	}
	if c.scope.indirect {
		return nil, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: it is about certificates of other authorities (indirect), which is not understood")
	}
	for i := range list.RevokedCertificateEntries {
		e := &list.RevokedCertificateEntries[i]
		for _, x := range e.Extensions {
			if x.Critical && !x.Id.Equal(oidInvalidityDate) {
				return nil, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: the critical extension %v of an entry is not understood", x.Id)
			}
		}
		c.rows[string(e.SerialNumber.Bytes())] = e
	}
	return c, nil
}

// parseScope reads the extension issuing distribution point.
func parseScope(der []byte) (s scope, err error) {
	var doc struct {
		Point    asn1.RawValue  `asn1:"optional,tag:0"`
		User     bool           `asn1:"optional,tag:1"`
		CA       bool           `asn1:"optional,tag:2"`
		Some     asn1.BitString `asn1:"optional,tag:3"`
		Indirect bool           `asn1:"optional,tag:4"`
		OfA      bool           `asn1:"optional,tag:5"`
	}
	if rest, err := asn1.Unmarshal(der, &doc); err != nil || len(rest) > 0 {
		return s, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: its scope cannot be read")
	}
	s = scope{user: doc.User, ca: doc.CA, some: doc.Some.BitLength > 0, indirect: doc.Indirect, ofA: doc.OfA}
	if len(doc.Point.FullBytes) == 0 {
		return s, nil
	}
	s.uris = []string{}
	var full asn1.RawValue
	if _, err := asn1.Unmarshal(doc.Point.Bytes, &full); err != nil || full.Tag != 0 {
		return s, nil // named relative to the issuer: it fits no certificate
	}
	for rest := full.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return s, sekisho.Errorf(sekisho.Invalid, "list of revoked certificates: its scope cannot be read")
		}
		if name.Class == asn1.ClassContextSpecific && name.Tag == 6 { // uniformResourceIdentifier
			s.uris = append(s.uris, string(name.Bytes))
		}
	}
	return s, nil
}

// about reports whether a list with this scope would name the certificate.
func (s *scope) about(c *x509.Certificate) bool {
	if s.ofA || s.user && c.IsCA || s.ca && !c.IsCA {
		return false
	}
	return s.uris == nil || slices.ContainsFunc(c.CRLDistributionPoints, func(u string) bool { return slices.Contains(s.uris, u) })
}

// state tells what the list says of a certificate, Irrevocable when it is not
// about it. at is when the certificate was used, where that is known. A list
// that is out of date still tells who was revoked.
func (c *CRL) state(cert, issuer *x509.Certificate, at, now time.Time) (string, error) {
	if !bytes.Equal(c.list.RawIssuer, cert.RawIssuer) || !c.scope.about(cert) {
		return Irrevocable, nil
	}
	if err := c.list.CheckSignatureFrom(issuer); err != nil {
		return Unknown, fmt.Errorf("the list of %.200q is not by its authority: %w", c.list.Issuer, err)
	}
	if row := c.rows[string(cert.SerialNumber.Bytes())]; row != nil {
		since, err := row.RevocationTime, error(nil)
		for _, x := range row.Extensions {
			if x.Id.Equal(oidInvalidityDate) {
				_, err = asn1.UnmarshalWithParams(x.Value, &since, "generalized")
				if err == nil && !at.IsZero() && at.Before(since) {
					return Good, nil // it was used while it was good
				}
			}
		}
		return Revoked, errors.Join(fmt.Errorf("the certificate of %.200q %w on %s", cert.Subject, errRevoked, row.RevocationTime.UTC().Format(time.DateOnly)), err)
	}
	switch {
	case c.list.NextUpdate.IsZero() || now.After(c.list.NextUpdate):
		return Unknown, fmt.Errorf("the list of %.200q is out of date since %s", c.list.Issuer, c.list.NextUpdate.UTC().Format(time.DateOnly))
	case c.list.ThisUpdate.After(now):
		return Unknown, fmt.Errorf("the list of %.200q is of %s", c.list.Issuer, c.list.ThisUpdate.UTC().Format(time.DateOnly))
	case c.scope.some:
		return Unknown, fmt.Errorf("the list of %.200q is about some reasons only", c.list.Issuer)
	}
	return Good, nil
}
