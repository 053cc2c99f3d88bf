package envelope

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"sekisho"
)

// Bundle is a sigstore bundle (sigstore protobuf-specs, sigstore_bundle.proto,
// 0.1 to 0.3) as far as it matters for keys. What a certificate signed is read
// by package keyless.
type Bundle struct {
	MediaType string            `json:"mediaType"`
	Material  Material          `json:"verificationMaterial"`
	DSSE      *Envelope         `json:"dsseEnvelope,omitempty"`
	Message   *MessageSignature `json:"messageSignature,omitempty"`
}

// Material is what a bundle brings to verify it.
type Material struct {
	PublicKey   *Hint            `json:"publicKey,omitempty"`
	Certificate *Raw             `json:"certificate,omitempty"`
	Chain       *Chain           `json:"x509CertificateChain,omitempty"`
	Log         []map[string]any `json:"tlogEntries,omitempty"`
	Timestamps  *Timestamps      `json:"timestampVerificationData,omitempty"`
}

// Hint says which key.
type Hint struct {
	Hint string `json:"hint,omitempty"`
}

// Raw is a certificate in DER.
type Raw struct {
	Bytes []byte `json:"rawBytes"`
}

// Chain is a chain of certificates, the signer's first.
type Chain struct {
	Certificates []Raw `json:"certificates"`
}

// Timestamps are signed by a timestamp authority (RFC 3161).
type Timestamps struct {
	List []struct {
		Signed []byte `json:"signedTimestamp"`
	} `json:"rfc3161Timestamps"`
}

// MessageSignature is a signature over the artifact itself.
type MessageSignature struct {
	Digest struct {
		Algorithm string `json:"algorithm"`
		Digest    []byte `json:"digest"`
	} `json:"messageDigest"`
	Signature []byte `json:"signature"`
}

// IsBundle reports whether a media type is a bundle's, of any version.
func IsBundle(mediaType string) bool { return strings.HasPrefix(mediaType, bundlePrefix) }

// ParseBundle reads a bundle in JSON.
func ParseBundle(data []byte) (*Bundle, error) {
	var b Bundle
	if err := decode("bundle", data, &b); err != nil {
		return nil, err
	}
	if !IsBundle(b.MediaType) {
		return nil, sekisho.Errorf(sekisho.Invalid, "bundle of media type %q", b.MediaType)
	}
	switch {
	case (b.DSSE == nil) == (b.Message == nil):
		return nil, sekisho.Errorf(sekisho.Invalid, "bundle: want either dsseEnvelope or messageSignature")
	case b.DSSE != nil:
		return &b, b.DSSE.check()
	}
	return &b, nil
}

// ByCertificate reports whether a certificate, not a key, is to verify it.
func (b *Bundle) ByCertificate() bool {
	return b.Material.Certificate != nil || b.Material.Chain != nil
}

// NewBundle wraps an envelope that a key signed.
func NewBundle(e *Envelope, hint string) ([]byte, error) {
	return json.Marshal(Bundle{MediaType: BundleType, Material: Material{PublicKey: &Hint{hint}}, DSSE: e})
}

// Legacy is what cosign put beside a signature before there were bundles, in
// the annotations of a layer.
type Legacy struct {
	Certificate []byte // DER
	Chain       [][]byte
	Log         string // dev.sigstore.cosign/bundle: Rekor's answer in JSON
	Timestamp   string // dev.sigstore.cosign/rfc3161timestamp, JSON
}

// rekorBundle is Rekor's answer as cosign kept it.
type rekorBundle struct {
	SignedEntryTimestamp []byte
	Payload              struct {
		Body           []byte `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogIndex       int64  `json:"logIndex"`
		LogID          string `json:"logID"`
	}
}

// Bundle turns it into a bundle 0.1, so that one road verifies both.
func (l *Legacy) Bundle(b Bundle) ([]byte, error) {
	b.MediaType = bundlePrefix + "+json;version=0.1"
	b.Material.Chain = &Chain{Certificates: []Raw{{l.Certificate}}}
	for _, c := range l.Chain {
		b.Material.Chain.Certificates = append(b.Material.Chain.Certificates, Raw{c})
	}
	if l.Log != "" {
		entry, err := logEntry([]byte(l.Log))
		if err != nil {
			return nil, err
		}
		b.Material.Log = append(b.Material.Log, entry)
	}
	if l.Timestamp != "" {
		var t struct{ SignedRFC3161Timestamp []byte }
		if err := decode("timestamp", []byte(l.Timestamp), &t); err != nil {
			return nil, err
		}
		b.Material.Timestamps = &Timestamps{}
		b.Material.Timestamps.List = append(b.Material.Timestamps.List, struct {
			Signed []byte `json:"signedTimestamp"`
		}{t.SignedRFC3161Timestamp})
	}
	return json.Marshal(b)
}

func logEntry(data []byte) (map[string]any, error) {
	var r rekorBundle
	if err := decode("entry of the transparency log", data, &r); err != nil {
		return nil, err
	}
	var body struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := decode("body of the log's entry", r.Payload.Body, &body); err != nil {
		return nil, err
	}
	id, err := hexBytes(r.Payload.LogID)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"logIndex":          strconv.FormatInt(r.Payload.LogIndex, 10),
		"logId":             map[string]any{"keyId": id},
		"kindVersion":       map[string]any{"kind": body.Kind, "version": body.Version},
		"integratedTime":    strconv.FormatInt(r.Payload.IntegratedTime, 10),
		"inclusionPromise":  map[string]any{"signedEntryTimestamp": r.SignedEntryTimestamp},
		"canonicalizedBody": r.Payload.Body,
	}, nil
}

func hexBytes(s string) ([]byte, error) {
	out, err := hex.DecodeString(s)
	if err != nil || len(out) != 32 {
		return nil, sekisho.Errorf(sekisho.Invalid, "log id %.80q: want 64 hexadecimal digits", s)
	}
	return out, nil
}
