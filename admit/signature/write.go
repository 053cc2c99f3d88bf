package signature

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"sekisho"
	"sekisho/admit/signature/envelope"
	"sekisho/admit/signature/key"
	"sekisho/image/oci"
	"sekisho/image/registry"
)

// emptyType and emptyConfig stand where an artifact needs no configuration
// (OCI image specification 1.1, "Guidance for an Empty Descriptor").
const emptyType, emptyConfig = "application/vnd.oci.empty.v1+json", "{}"

// Signer writes what it signs beside images.
type Signer struct {
	Key    key.Private
	Random io.Reader
	Now    time.Time
}

func (s *Signer) sign(message []byte) ([]byte, error) { return s.Key.Sign(s.Random, message) }

// Sign writes cosign's simple signing signature under the tag
// sha256-HEX.sig, and returns the digest of the manifest there. Signatures that
// are there stay.
func (s *Signer) Sign(ctx context.Context, to *registry.Repository, image oci.Descriptor) (sekisho.Digest, error) {
	payload, err := envelope.NewSimple(to.Name(), image.Digest, nil)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	sig, err := s.sign(payload)
	if err != nil {
		return "", err
	}
	b := blob(envelope.SimpleType, payload, map[string]string{signatureKey: base64.StdEncoding.EncodeToString(sig)})
	return to.Append(ctx, legacyTag(image.Digest, ".sig"), imageConfig, b)
}

// SignBundle writes a signature as a sigstore bundle that refers to the image,
// as cosign 3 does.
func (s *Signer) SignBundle(ctx context.Context, to *registry.Repository, image oci.Descriptor) (sekisho.Digest, error) {
	e, err := s.seal(envelope.NewStatement("", image.Digest, envelope.SignType, json.RawMessage("{}")))
	if err != nil {
		return "", err
	}
	return s.attach(ctx, to, image, e, envelope.SignType)
}

// Bundle makes a bundle to be kept as a file: a statement about an image, or,
// with envelope.SignType, a signature of it.
func (s *Signer) Bundle(name string, image sekisho.Digest, predicateType string, predicate json.RawMessage) ([]byte, error) {
	e, err := s.seal(envelope.NewStatement(name, image, predicateType, predicate))
	if err != nil {
		return nil, err
	}
	return envelope.NewBundle(e, hint(s.Key.Public))
}

// Attest writes a statement about the image: a bundle that refers to it and, with
// legacy, also a layer under the tag sha256-HEX.att, where cosign 2 looks.
func (s *Signer) Attest(ctx context.Context, to *registry.Repository, image oci.Descriptor, predicateType string, predicate json.RawMessage, legacy bool) (sekisho.Digest, error) {
	e, err := s.seal(envelope.NewStatement(to.Name(), image.Digest, predicateType, predicate))
	if err != nil {
		return "", err
	}
	d, err := s.attach(ctx, to, image, e, predicateType)
	if err != nil || !legacy {
		return d, err
	}
	doc, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("attest: %w", err)
	}
	_, err = to.Append(ctx, legacyTag(image.Digest, ".att"), imageConfig,
		blob(envelope.DSSEType, doc, map[string]string{signatureKey: "", predicateKey: predicateType}))
	return d, err
}

// seal makes an envelope of a statement.
func (s *Signer) seal(statement *envelope.Statement) (*envelope.Envelope, error) {
	payload, err := json.Marshal(statement)
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	if len(payload) > envelope.Max/2 {
		return nil, sekisho.Errorf(sekisho.Invalid, "attest: a statement of %d bytes, want at most %d", len(payload), envelope.Max/2)
	}
	sig, err := s.sign(envelope.PAE(envelope.InTotoType, payload))
	if err != nil {
		return nil, err
	}
	return &envelope.Envelope{PayloadType: envelope.InTotoType, Payload: payload, Signatures: []envelope.Signature{{Sig: sig}}}, nil
}

func (s *Signer) attach(ctx context.Context, to *registry.Repository, image oci.Descriptor, e *envelope.Envelope, predicateType string) (sekisho.Digest, error) {
	bundle, err := envelope.NewBundle(e, hint(s.Key.Public))
	if err != nil {
		return "", fmt.Errorf("attest: %w", err)
	}
	return to.Attach(ctx, registry.Artifact{
		Type: envelope.BundleType, ConfigType: emptyType, Config: []byte(emptyConfig), Subject: &image,
		Blobs: []registry.Blob{blob(envelope.BundleType, bundle, nil)},
		Annotations: map[string]string{
			"org.opencontainers.image.created":  s.Now.UTC().Format(time.RFC3339),
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": predicateType,
		},
	})
}

// hint names a key as cosign does: the base64 of the SHA-256 of its DER.
func hint(p key.Public) string {
	sum, err := hex.DecodeString(sekisho.Digest(p.Fingerprint).Hex())
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(sum)
}

func blob(mediaType string, data []byte, annotations map[string]string) registry.Blob {
	return registry.Blob{MediaType: mediaType, Digest: sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data))), Size: int64(len(data)), Annotations: annotations,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// imageConfig is the configuration that cosign's clients expect of what lies
// under its tags: an image whose layers are the blobs.
func imageConfig(blobs []registry.Blob) (string, []byte) {
	type rootfs struct {
		Type    string           `json:"type"`
		DiffIDs []sekisho.Digest `json:"diff_ids"`
	}
	c := struct {
		Architecture string   `json:"architecture"`
		Created      string   `json:"created"`
		OS           string   `json:"os"`
		RootFS       rootfs   `json:"rootfs"`
		Config       struct{} `json:"config"`
	}{Created: "0001-01-01T00:00:00Z", RootFS: rootfs{Type: "layers"}}
	for _, b := range blobs {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, b.Digest)
	}
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // digests and constants only
	}
	return "application/vnd.oci.image.config.v1+json", data
}
