// Package keyless verifies sigstore bundles that were signed with a short-lived
// certificate: an identity and who vouches for it, checked offline against a
// trusted root that the operator supplies. The root's certificate authorities,
// transparency logs and timestamp authorities are all that is believed; nothing
// is fetched. It is the one room that knows sigstore's libraries.
package keyless

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"sekisho"
)

// MaxRoot and maxBundle bound a trusted root and a bundle in bytes, and
// maxPattern an identity's pattern.
const MaxRoot, maxBundle, maxPattern = 4 << 20, 32 << 20, 1024

// Identity is who may sign: values are compared whole, patterns too (RE2).
type Identity struct {
	Issuer        string
	Subject       string
	SubjectRegexp string
}

// Check reports whether the identity names both an issuer and a subject: one
// alone trusts strangers.
func (i Identity) Check() error {
	if i.Issuer == "" || (i.Subject == "") == (i.SubjectRegexp == "") {
		return sekisho.Errorf(sekisho.Invalid, "identity: want issuer, and either subject or subject_regexp")
	}
	_, err := i.pattern()
	return err
}

// pattern anchors the expression: one without ^ and $ would trust
// https://evil.example/?https://github.com/us/.
func (i Identity) pattern() (*regexp.Regexp, error) {
	if len(i.SubjectRegexp) > maxPattern {
		return nil, sekisho.Errorf(sekisho.Invalid, "subject_regexp: more than %d bytes", maxPattern)
	}
	re, err := regexp.Compile(`\A(?:` + i.SubjectRegexp + `)\z`)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "subject_regexp: %w", err)
	}
	return re, nil
}

// Matches reports whether a certificate is of this identity.
func (i Identity) Matches(issuer, subject string) bool {
	if issuer != i.Issuer || subject == "" {
		return false
	}
	if i.SubjectRegexp == "" {
		return subject == i.Subject
	}
	re, err := i.pattern()
	return err == nil && re.MatchString(subject)
}

// Verifier verifies against one trusted root.
type Verifier struct {
	verifier *verify.Verifier
	root     *root.TrustedRoot
}

// New reads a trusted root (trusted_root.json of sigstore).
func New(trustedRoot []byte) (*Verifier, error) {
	if len(trustedRoot) > MaxRoot {
		return nil, sekisho.Errorf(sekisho.Invalid, "trusted root: more than %d bytes", MaxRoot)
	}
	r, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "trusted root: %w", err)
	}
	if len(r.FulcioCertificateAuthorities()) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "trusted root: it names no certificate authority")
	}
	// When a certificate was used must be shown by a log or a timestamp
	// authority; what the root names of logs must have seen the signature and
	// the certificate.
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if len(r.RekorLogs()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(r.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	if len(r.RekorLogs())+len(r.TimestampingAuthorities()) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "trusted root: it names neither a transparency log nor a timestamp authority, so that no time can be shown")
	}
	v, err := verify.NewVerifier(r, options...)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "trusted root: %w", err)
	}
	return &Verifier{v, r}, nil
}

// Signer is who signed, what and when.
type Signer struct {
	Identity, Issuer string
	Time             time.Time // as a log or timestamp authority shows
	PayloadType      string    // of a DSSE envelope
	Payload          []byte    // that was verified; nil when the artifact itself was signed
}

// Verify checks a bundle in JSON. The artifact is what was signed where the
// bundle holds no envelope.
func (v *Verifier) Verify(data, artifact []byte, trusted []Identity) (s *Signer, err error) {
	defer func() { // what strangers write must not end a gate, whatever a library does with it
		if p := recover(); p != nil {
			s, err = nil, sekisho.Errorf(sekisho.Invalid, "bundle: %v", p)
		}
	}()
	if len(data) > maxBundle {
		return nil, sekisho.Errorf(sekisho.Invalid, "bundle: more than %d bytes", maxBundle)
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "bundle: %w", err)
	}
	content, err := b.SignatureContent()
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "bundle: %w", err)
	}
	envelope := content.EnvelopeContent()
	about := verify.WithArtifact(bytes.NewReader(artifact))
	if envelope != nil {
		about = verify.WithoutArtifactUnsafe() // the caller compares the statement's subject
	}
	// Identities are compared below, whole and anchored.
	result, err := v.verifier.Verify(&b, verify.NewPolicy(about, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return nil, explain(err)
	}
	if result.Signature == nil || result.Signature.Certificate == nil {
		return nil, errors.New("no certificate signed it")
	}
	c := result.Signature.Certificate
	s = &Signer{Identity: c.SubjectAlternativeName, Issuer: c.Issuer, Time: earliest(result.VerifiedTimestamps)}
	if envelope != nil {
		raw := envelope.RawEnvelope()
		if s.Payload, err = raw.DecodeB64Payload(); err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "bundle: %w", err)
		}
		s.PayloadType = raw.PayloadType
	}
	for _, i := range trusted {
		if i.Matches(s.Issuer, s.Identity) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("signed by %.200q of %.200q, whom nobody trusts here", s.Identity, s.Issuer)
}

// Shown is when a key made the signature of a bundle, as a log or timestamp
// authority of the root shows; zero when none does. That the signature holds is
// checked here again, but is for the caller to say.
func (v *Verifier) Shown(data []byte, k crypto.PublicKey) (at time.Time) {
	defer func() {
		if recover() != nil {
			at = time.Time{}
		}
	}()
	var b bundle.Bundle
	if len(data) > maxBundle || b.UnmarshalJSON(data) != nil {
		return at
	}
	own, err := signature.LoadDefaultVerifier(k)
	if err != nil {
		return at
	}
	material := root.TrustedMaterialCollection{v.root, root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(own, time.Time{}, time.Time{}), nil
	})}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if len(b.GetVerificationMaterial().GetTlogEntries()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	verifier, err := verify.NewVerifier(material, options...)
	if err != nil {
		return at
	}
	result, err := verifier.Verify(&b, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithKey()))
	if err != nil {
		return at
	}
	return earliest(result.VerifiedTimestamps)
}

func earliest(list []verify.TimestampVerificationResult) (at time.Time) {
	for _, t := range list {
		if at.IsZero() || t.Timestamp.Before(at) {
			at = t.Timestamp.UTC()
		}
	}
	return at
}

// explain shortens what the library says.
func explain(err error) error {
	var expired x509.CertificateInvalidError
	if errors.As(err, &expired) && expired.Reason == x509.Expired {
		return fmt.Errorf("the certificate was not valid when the signature was made: %w", err)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "failed to "))
}
