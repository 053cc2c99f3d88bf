package signature

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"sekisho"
	"sekisho/admit/signature/envelope"
	"sekisho/admit/signature/notation"
	"sekisho/image/oci"
)

// legacyKinds are the tags where cosign kept things before there were
// referrers: sha256-HEX and one of these.
func legacyKinds() []string { return []string{".sig", ".att", unsignedSuffix} }

// unsignedSuffix is where "cosign attach sbom" puts a bill of materials that
// nobody signed.
const unsignedSuffix = ".sbom"

// The annotations of layers that cosign writes.
const (
	signatureKey   = "dev.cosignproject.cosign/signature"
	certificateKey = "dev.sigstore.cosign/certificate"
	chainKey       = "dev.sigstore.cosign/chain"
	logKey         = "dev.sigstore.cosign/bundle"
	timestampKey   = "dev.sigstore.cosign/rfc3161timestamp"
	predicateKey   = "predicateType"
)

// legacyTag is the tag of what cosign keeps beside a manifest.
func legacyTag(d sekisho.Digest, suffix string) string {
	return strings.Replace(string(d), ":", "-", 1) + suffix
}

// tags reads what lies under cosign's tags.
func (v *verification) tags(ctx context.Context, d sekisho.Digest) error {
	for _, suffix := range legacyKinds() {
		tag := legacyTag(d, suffix)
		raw, _, err := v.src.Manifest(ctx, tag)
		switch {
		case sekisho.KindOf(err) == sekisho.NotFound:
			continue
		case sekisho.KindOf(err) == sekisho.Unavailable || ctx.Err() != nil:
			return err
		case err != nil:
			v.refuse(tag, FormSimple, err)
			continue
		}
		if suffix == unsignedSuffix {
			v.refuse(tag, "sbom", errors.New("a bill of materials that nobody signed"))
			continue
		}
		v.layers(ctx, tag, raw)
	}
	return nil
}

// referrers reads what refers to a manifest.
func (v *verification) referrers(ctx context.Context, d sekisho.Digest) error {
	list, whole, err := v.src.Referrers(ctx, d)
	if err != nil {
		return err
	}
	if !whole {
		v.refuse(string(d), "", fmt.Errorf("more than %d manifests refer to it; the rest was not read", len(list)))
	}
	for _, r := range list {
		if !relevant(r) {
			continue
		}
		if v.manifests--; v.manifests < 0 {
			v.refuse(string(d), "", fmt.Errorf("more than %d signatures refer to it; the rest was not read", maxManifests))
			return nil
		}
		raw, _, err := v.src.Manifest(ctx, string(r.Digest))
		if sekisho.KindOf(err) == sekisho.Unavailable || ctx.Err() != nil {
			return err
		}
		if err == nil {
			err = refersTo(raw, d)
		}
		if err != nil {
			v.refuse(string(r.Digest), r.ArtifactType, err)
			continue
		}
		v.layers(ctx, string(r.Digest), raw)
	}
	return nil
}

// relevant leaves out what is surely no signature. Some registries give the
// configuration's type as the artifact's, so an unclear one is read.
func relevant(r oci.Descriptor) bool {
	switch t := r.ArtifactType; {
	case t == "" || envelope.IsBundle(t) || t == notation.ArtifactType:
		return true
	case strings.Contains(t, "oci.empty") || strings.Contains(t, "oci.image.config") || strings.Contains(t, "cosign") || strings.Contains(t, "in-toto") || strings.Contains(t, "dsse"):
		return true
	}
	return false
}

// refersTo checks the manifest's own word: a list of referrers may lie.
func refersTo(raw []byte, d sekisho.Digest) error {
	var m struct {
		Subject *oci.Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "manifest: %w", err)
	}
	if m.Subject == nil || m.Subject.Digest != d {
		return errors.New("its manifest refers to something else")
	}
	return nil
}

// layers reads every layer of a manifest and tries it.
func (v *verification) layers(ctx context.Context, where string, raw []byte) {
	var m oci.Document
	if err := json.Unmarshal(raw, &m); err != nil {
		v.refuse(where, "", sekisho.Errorf(sekisho.Invalid, "manifest: %w", err))
		return
	}
	for n, l := range m.Layers {
		if n == maxLayers {
			v.refuse(where, "", fmt.Errorf("more than %d layers; the rest was not read", maxLayers))
			return
		}
		at, form := fmt.Sprintf("%s#%d", where, n), formOf(l.MediaType)
		if form == "" {
			continue
		}
		data, err := v.blob(ctx, l)
		if err == nil {
			err = v.try(ctx, form, l, data, at)
		}
		if err != nil {
			v.refuse(at, form, err)
		}
	}
}

func formOf(mediaType string) string {
	switch {
	case mediaType == envelope.SimpleType:
		return FormSimple
	case mediaType == envelope.DSSEType:
		return FormAttestation
	case envelope.IsBundle(mediaType):
		return FormBundle
	case mediaType == "application/jose+json" || mediaType == "application/cose":
		return FormNotation
	}
	return ""
}

func (v *verification) blob(ctx context.Context, l oci.Descriptor) ([]byte, error) {
	if v.checks--; v.checks < 0 {
		return nil, fmt.Errorf("more than %d signatures; this was not read", maxChecks)
	}
	if l.Size > v.bytes {
		return nil, fmt.Errorf("more than %d bytes beside the image; this was not read", maxBytes)
	}
	data, err := v.src.Blob(ctx, l, envelope.Max)
	v.bytes -= int64(len(data))
	return data, err
}

// legacyMaterial reads the annotations of a layer; nil when a key signed it.
func legacyMaterial(a map[string]string) (*envelope.Legacy, error) {
	if a[certificateKey] == "" {
		return nil, nil
	}
	l := &envelope.Legacy{Log: a[logKey], Timestamp: a[timestampKey]}
	chain, err := certificates(a[certificateKey] + "\n" + a[chainKey])
	if err != nil {
		return nil, err
	}
	l.Certificate, l.Chain = chain[0], chain[1:]
	return l, nil
}

// maxChain bounds a chain of certificates.
const maxChain = 10

func certificates(text string) (list [][]byte, err error) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(list) == maxChain {
			return nil, sekisho.Errorf(sekisho.Invalid, "chain of certificates: want at most %d of them", maxChain)
		}
		list = append(list, block.Bytes)
	}
	if len(list) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "chain of certificates: none in PEM")
	}
	return list, nil
}

func signatureOf(a map[string]string) ([]byte, error) {
	sig, err := base64.StdEncoding.DecodeString(a[signatureKey])
	if err != nil || len(sig) == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "the layer has no signature in base64")
	}
	return sig, nil
}
