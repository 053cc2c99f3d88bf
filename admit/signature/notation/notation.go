// Package notation verifies signatures of the Notary Project (signature
// specification 1.1) in JWS and COSE: an envelope and the digests that it may be
// about go in, who signed comes out. Trust is certificates of authorities and
// identities, and a level of verification (trust store and trust policy
// specification). Whether a certificate was revoked is looked up in lists that
// come in; nothing is fetched unless Online says so, and then only about
// certificates for which a trusted authority vouches.
package notation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	nx509 "github.com/notaryproject/notation-core-go/x509"

	"sekisho"
)

// ArtifactType is that of a signature's manifest.
const ArtifactType = "application/vnd.cncf.notary.signature"

// payloadType is what a signature is over: a descriptor.
const payloadType = "application/vnd.cncf.notary.payload.v1+json"

// Max bounds an envelope, in bytes, maxCA the authorities of a trust store.
const Max, maxCA = 4 << 20, 256

// Trust says whose signatures count.
type Trust struct {
	CA               []*x509.Certificate // who vouches for signers (trust store ca)
	SigningAuthority []*x509.Certificate // who vouches for signers and for when they signed (trust store signingAuthority)
	TSA              []*x509.Certificate // who vouches for timestamps (trust store tsa); none: certificates count by today's date
	AfterExpiry      bool                // a timestamp is asked for only once a certificate has expired (verifyTimestamp: afterCertExpiry)
	CRLs             []*CRL              // lists of revoked certificates
	Online           *Online             // who is asked about what no list tells; nil: nobody
	Identities       []string            // x509.subject: C=…, ST=…, O=… as in a trust policy, or "*" for all
	Level            Level
}

// ParseCA reads certificates in PEM.
func ParseCA(data []byte) (list []*x509.Certificate, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(list) == maxCA {
			return nil, sekisho.Errorf(sekisho.Invalid, "trust store: want at most %d certificates in PEM, found a block %q", maxCA, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "trust store: %w", err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "trust store: no certificate in PEM")
	}
	return list, nil
}

// Signer is who signed, what and when.
type Signer struct {
	Subject    string         // distinguished name of the signing certificate
	Issuer     string         // of the authority that is trusted
	Key        string         // sha256: fingerprint of the certificate's key
	Time       time.Time      // as a timestamp or a signing authority vouches; else not known
	Digest     sekisho.Digest // of what was signed
	Revocation string         // Good, Unknown, Irrevocable; empty when the level skips it
	Failed     []string       // the checks that failed and that the level only logs
	Logged     []string       // the same with their reasons
}

// Verify checks an envelope. now is for dates of certificates, of expiry and of
// lists of revoked certificates.
func (t *Trust) Verify(ctx context.Context, mediaType string, data []byte, of []sekisho.Digest, now time.Time) (s *Signer, err error) {
	defer func() { // what strangers write must not end a gate, whatever a library does with it
		if p := recover(); p != nil {
			s, err = nil, sekisho.Errorf(sekisho.Invalid, "signature: %v", p)
		}
	}()
	if t.Level.Skip {
		return nil, errors.New("not looked at: the level of verification is skip")
	}
	if len(data) > Max {
		return nil, sekisho.Errorf(sekisho.Invalid, "signature: more than %d bytes", Max)
	}
	content, err := parse(mediaType, data)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "signature: %w", err)
	}
	digest, err := target(content.Payload, of)
	if err != nil {
		return nil, err
	}
	v := &verification{Trust: t, info: &content.SignerInfo, now: now, signer: &Signer{Digest: digest}}
	return v.signer, v.run(ctx)
}

// verification is that of one envelope whose integrity holds.
type verification struct {
	*Trust
	info      *signature.SignerInfo
	now       time.Time
	signer    *Signer
	authentic bool                // an authority that is trusted vouches for the certificate
	stamped   []*x509.Certificate // the chain of the timestamp, when one was verified
}

// run does every check as the level says.
func (v *verification) run(ctx context.Context) error {
	for _, c := range []struct {
		name   string
		action Action
		check  func(context.Context) error
	}{
		{"authenticity", v.Level.Authenticity, v.authenticity},
		{"expiry", v.Level.Expiry, v.expiry},
		{"authentic_timestamp", v.Level.Timestamp, v.timestamp},
		{"revocation", v.Level.Revocation, v.revocation},
	} {
		if c.action == Skip {
			continue
		}
		err := c.check(ctx)
		if err == nil {
			continue
		}
		if c.action != Log || errors.Is(err, errRevoked) {
			return err
		}
		v.signer.Failed, v.signer.Logged = append(v.signer.Failed, c.name), append(v.signer.Logged, c.name+": "+err.Error())
	}
	return nil
}

// authenticity: an authority that is trusted vouches for the certificate, and
// its holder is one whose signatures count. Who signed is known only then.
func (v *verification) authenticity(context.Context) error {
	store := v.CA
	if v.info.SignedAttributes.SigningScheme == signature.SigningSchemeX509SigningAuthority {
		store = v.SigningAuthority // of others' word for the time of signing nothing is believed
	}
	authority, err := signature.VerifyAuthenticity(v.info, store)
	if err != nil {
		return errors.New("no authority in the trust store vouches for the certificate")
	}
	if err := nx509.ValidateCodeSigningCertChain(v.info.CertificateChain, &v.info.SignedAttributes.SigningTime); err != nil {
		return fmt.Errorf("the chain of certificates: %w", err)
	}
	leaf := v.info.CertificateChain[0]
	if err := v.trusts(leaf); err != nil {
		return err
	}
	v.authentic = true
	v.signer.Subject, v.signer.Issuer = leaf.Subject.String(), authority.Subject.String()
	v.signer.Key = fmt.Sprintf("sha256:%x", sha256.Sum256(leaf.RawSubjectPublicKeyInfo))
	return nil
}

func (v *verification) expiry(context.Context) error {
	if e := v.info.SignedAttributes.Expiry; !e.IsZero() && v.now.After(e) {
		return fmt.Errorf("the signature expired on %s", e.UTC().Format(time.DateOnly))
	}
	return nil
}

// parse reads and verifies the envelope; the library's own registry of forms
// is global, so the two forms are named here.
func parse(mediaType string, data []byte) (*signature.EnvelopeContent, error) {
	var e signature.Envelope
	var err error
	switch mediaType {
	case jws.MediaTypeEnvelope:
		e, err = jws.ParseEnvelope(data)
	case cose.MediaTypeEnvelope:
		e, err = cose.ParseEnvelope(data)
	default:
		return nil, fmt.Errorf("of media type %q, want JWS or COSE", mediaType)
	}
	if err != nil {
		return nil, err
	}
	content, err := e.Verify()
	if err != nil {
		return nil, err
	}
	if len(content.SignerInfo.CertificateChain) == 0 {
		return nil, errors.New("without a certificate")
	}
	for _, a := range content.SignerInfo.SignedAttributes.ExtendedAttributes {
		if a.Critical {
			return nil, fmt.Errorf("with the critical attribute %.80v, which is not understood", a.Key)
		}
	}
	return content, nil
}

// target is what was signed, when it is one of the digests.
func target(p signature.Payload, of []sekisho.Digest) (sekisho.Digest, error) {
	if p.ContentType != payloadType {
		return "", fmt.Errorf("signed content of type %.80q, want %s", p.ContentType, payloadType)
	}
	var doc struct {
		Target struct {
			Digest sekisho.Digest `json:"digest"`
		} `json:"targetArtifact"`
	}
	if err := json.Unmarshal(p.Content, &doc); err != nil {
		return "", sekisho.Errorf(sekisho.Invalid, "signed content: %w", err)
	}
	if !slices.Contains(of, doc.Target.Digest) {
		return "", fmt.Errorf("it is about another image: %.80s", doc.Target.Digest)
	}
	return doc.Target.Digest, nil
}

// Check reports whether the trust says whom it is for.
func (t *Trust) Check() error {
	if len(t.CA)+len(t.SigningAuthority) == 0 || len(t.Identities) == 0 {
		return sekisho.Errorf(sekisho.Invalid, `notation: want ca or signing_authority, and identities: ["x509.subject: C=…, ST=…, O=…"] or ["*"]`)
	}
	if t.AfterExpiry && len(t.TSA) == 0 {
		return sekisho.Errorf(sekisho.Invalid, "notation: verify_timestamp is set and no authority of timestamps is trusted: want tsa")
	}
	for _, i := range t.Identities {
		if i == "*" {
			continue
		}
		name, err := parseName(i)
		if err != nil {
			return err
		}
		for _, must := range []string{"C", "ST", "O"} {
			if name[must] == "" {
				return sekisho.Errorf(sekisho.Invalid, "notation: identity %q: want at least C, ST and O", i)
			}
		}
	}
	return nil
}

// trusts compares the certificate's subject: every attribute that an identity
// names must be equal.
func (t *Trust) trusts(leaf *x509.Certificate) error {
	got, err := parseName("x509.subject:" + leaf.Subject.String())
	if err != nil {
		return err
	}
	for _, i := range t.Identities {
		want, err := parseName(i)
		if i == "*" || err == nil && subset(want, got) {
			return nil
		}
	}
	return fmt.Errorf("signed by %.200q, whom nobody trusts here", leaf.Subject)
}

func subset(want, got map[string]string) bool {
	for k, v := range want {
		if got[k] != v {
			return false
		}
	}
	return len(want) > 0
}

// parseName reads "x509.subject: C=US, ST=WA, O=example" (RFC 4514); a comma or
// plus sign in a value stands behind a backslash.
func parseName(text string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(text, "x509.subject:")
	if !ok || len(rest) > 4096 {
		return nil, sekisho.Errorf(sekisho.Invalid, "notation: identity %.100q: want x509.subject: and a distinguished name", text)
	}
	name := map[string]string{}
	var part strings.Builder
	flush := func() error {
		k, v, ok := strings.Cut(strings.TrimSpace(part.String()), "=")
		part.Reset()
		if _, twice := name[k]; !ok || v == "" || twice {
			return sekisho.Errorf(sekisho.Invalid, "notation: identity %.100q: want C=…, ST=…, O=…, each once", text)
		}
		name[k] = v
		return nil
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\\' && i+1 < len(rest):
			i++
			part.WriteByte(rest[i])
		case c == ',' || c == '+':
			if err := flush(); err != nil {
				return nil, err
			}
		default:
			part.WriteByte(c)
		}
	}
	return name, flush()
}
