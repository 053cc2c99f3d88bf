package signature

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sekisho/admit/signature/envelope"
	"sekisho/image/oci"
)

// The reasons that have no more to say.
var (
	errNoKey        = errors.New("no trusted key made this signature")
	errNoKeys       = errors.New("a key made this signature, and no key is trusted")
	errNoIdentities = errors.New("an identity made this signature, and no identity with a trusted root is configured")
	errNoNotation   = errors.New("no authority for Notary Project signatures is configured")
)

// try verifies one layer.
func (v *verification) try(ctx context.Context, form string, l oci.Descriptor, data []byte, where string) error {
	found := Verified{Form: form, Where: where}
	var err error
	switch form {
	case FormSimple:
		err = v.simple(&found, l.Annotations, data)
	case FormAttestation:
		err = v.attestation(&found, l.Annotations, data)
	case FormBundle:
		err = v.bundle(&found, data)
	case FormNotation:
		err = v.notation(ctx, &found, l.MediaType, data)
	}
	if err == nil {
		v.result.Verified = append(v.result.Verified, found)
	}
	return err
}

// signed notes which trusted key made a signature over a message.
func (v *verification) signed(found *Verified, message []byte, sigs ...[]byte) error {
	if len(v.trust.Keys) == 0 {
		return errNoKeys
	}
	for _, k := range v.trust.Keys {
		for _, sig := range sigs {
			if k.Verify(message, sig) == nil {
				found.Key, found.by = k.Fingerprint, k.Key
				return nil
			}
		}
	}
	return errNoKey
}

// keyless notes which trusted identity made a bundle, and what it holds.
func (v *verification) keyless(found *Verified, bundle, artifact []byte) (payloadType string, payload []byte, err error) {
	if v.trust.Root == nil || len(v.trust.Identities) == 0 {
		return "", nil, errNoIdentities
	}
	s, err := v.trust.Root.Verify(bundle, artifact, v.trust.Identities)
	if err != nil {
		return "", nil, err
	}
	found.Identity, found.Issuer, found.Time = s.Identity, s.Issuer, s.Time
	return s.PayloadType, s.Payload, nil
}

// simple verifies cosign's simple signing: the signature first, then what the
// payload says.
func (v *verification) simple(found *Verified, a map[string]string, payload []byte) error {
	sig, err := signatureOf(a)
	if err != nil {
		return err
	}
	// A trusted key's signature holds, whatever certificate lies beside it.
	if err := v.signed(found, payload, sig); err != nil {
		b := envelope.Bundle{Message: &envelope.MessageSignature{Signature: sig}}
		digest := sha256.Sum256(payload)
		b.Message.Digest.Algorithm, b.Message.Digest.Digest = "SHA2_256", digest[:]
		if err := v.legacyKeyless(found, a, b, payload, err); err != nil {
			return err
		}
	}
	return v.says(found, payload)
}

// legacyKeyless verifies by the certificate in a layer's annotations; without
// one, why stands.
func (v *verification) legacyKeyless(found *Verified, a map[string]string, b envelope.Bundle, artifact []byte, why error) error {
	l, err := legacyMaterial(a)
	if err != nil {
		return err
	}
	if l == nil {
		return why
	}
	data, err := l.Bundle(b)
	if err != nil {
		return err
	}
	_, _, err = v.keyless(found, data, artifact)
	return err
}

// says checks what a simple signing payload is about.
func (v *verification) says(found *Verified, payload []byte) error {
	s, err := envelope.ParseSimple(payload)
	if err != nil {
		return err
	}
	if !slices.Contains(v.subject.Digests, s.Critical.Image.Digest) {
		return fmt.Errorf("it is about another image: %s", s.Critical.Image.Digest)
	}
	found.Subject, found.Reference, found.Payload = s.Critical.Image.Digest, s.Critical.Identity.Reference, payload
	if v.trust.SameRepository && !v.here(found.Reference) {
		return fmt.Errorf("it was made for %.200q, and only signatures made for %s count", found.Reference, v.subject.Repository)
	}
	return nil
}

// here reports whether a reference names the image's own repository, whatever
// its tag or digest.
func (v *verification) here(reference string) bool {
	name, _, _ := strings.Cut(reference, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return v.subject.Repository != "" && name == v.subject.Repository
}

// attestation verifies a DSSE envelope of cosign's .att.
func (v *verification) attestation(found *Verified, a map[string]string, data []byte) error {
	e, err := envelope.Parse(data)
	if err != nil {
		return err
	}
	if err := v.signed(found, envelope.PAE(e.PayloadType, e.Payload), sigs(e)...); err != nil {
		if err := v.legacyKeyless(found, a, envelope.Bundle{DSSE: e}, nil, err); err != nil {
			return err
		}
	}
	return v.states(found, e.PayloadType, e.Payload)
}

func sigs(e *envelope.Envelope) (list [][]byte) {
	for _, s := range e.Signatures {
		list = append(list, s.Sig)
	}
	return list
}

// states checks what a statement is about.
func (v *verification) states(found *Verified, payloadType string, payload []byte) error {
	s, err := envelope.ParseStatement(payloadType, payload)
	if err != nil {
		return err
	}
	if found.Subject, err = s.Speaks(v.subject.Digests); err != nil {
		return err
	}
	found.Statement, found.Payload = s, payload
	if s.PredicateType != envelope.SignType {
		found.Predicate = s.PredicateType
		return nil
	}
	if v.trust.SameRepository {
		return errors.New("a bundle does not say which repository it was made for, and same_repository asks for it")
	}
	return nil
}

// bundle verifies a sigstore bundle.
func (v *verification) bundle(found *Verified, data []byte) error {
	b, err := envelope.ParseBundle(data)
	if err != nil {
		return err
	}
	if b.Message != nil {
		return v.message(found, b, data)
	}
	if !b.ByCertificate() {
		if err := v.signed(found, envelope.PAE(b.DSSE.PayloadType, b.DSSE.Payload), sigs(b.DSSE)...); err != nil {
			return err
		}
		if v.trust.Root != nil {
			found.Time = v.trust.Root.Shown(data, found.by)
		}
		return v.states(found, b.DSSE.PayloadType, b.DSSE.Payload)
	}
	payloadType, payload, err := v.keyless(found, data, nil)
	if err != nil {
		return err
	}
	return v.states(found, payloadType, payload)
}

// message verifies a bundle that signs the manifest itself.
func (v *verification) message(found *Verified, b *envelope.Bundle, data []byte) error {
	err := errors.New("it signs content that is not here")
	for i, m := range v.subject.Manifests {
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(m)); i >= len(v.subject.Digests) || sum != string(v.subject.Digests[i]) {
			continue
		}
		if b.ByCertificate() {
			_, _, err = v.keyless(found, data, m)
		} else {
			err = v.signed(found, m, b.Message.Signature)
		}
		if err == nil {
			found.Subject = v.subject.Digests[i]
			return nil
		}
	}
	return err
}

// notation verifies a Notary Project signature.
func (v *verification) notation(ctx context.Context, found *Verified, mediaType string, data []byte) error {
	if v.trust.Notation == nil {
		return errNoNotation
	}
	s, err := v.trust.Notation.Verify(ctx, mediaType, data, v.subject.Digests, v.now)
	if err != nil {
		return err
	}
	found.Identity, found.Issuer, found.Key, found.Subject, found.Time = s.Subject, s.Issuer, s.Key, s.Digest, s.Time
	found.Revocation, found.Failed, found.Logged = s.Revocation, s.Failed, s.Logged
	return nil
}
