// Package envelope reads and writes what signatures are wrapped in: DSSE
// envelopes, in-toto statements, cosign's simple signing payloads and
// sigstore's bundles. It checks form and bounds; whether a signature holds is
// for others to say, and before that nothing in here may be believed.
package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sekisho"
)

// Max bounds an envelope or bundle in bytes; maxSignatures the signatures in
// one, maxSubjects what one statement may speak of.
const Max, maxSignatures, maxSubjects = 32 << 20, 16, 1024

// The types of things, as media types, predicates and payloads name them.
const (
	InTotoType    = "application/vnd.in-toto+json"                     // of a DSSE payload
	DSSEType      = "application/vnd.dsse.envelope.v1+json"            // of a layer in cosign's .att
	SimpleType    = "application/vnd.dev.cosign.simplesigning.v1+json" // of a layer in cosign's .sig
	BundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"    // of a bundle
	SignType      = "https://sigstore.dev/cosign/sign/v1"              // predicate of a bundle that is a signature
	StatementType = "https://in-toto.io/Statement/v1"                  // of what is written

	statementV01 = "https://in-toto.io/Statement/v0.1" // is read too
	simpleKind   = "cosign container image signature"  // critical.type
	atomicKind   = "atomic container signature"        // as skopeo and podman write it
	bundlePrefix = "application/vnd.dev.sigstore.bundle"
)

// Envelope is a DSSE envelope (DSSE 1.0.2, envelope.md).
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"` // base64 in JSON
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature of an envelope.
type Signature struct {
	KeyID string `json:"keyid,omitempty"`
	Sig   []byte `json:"sig"`
}

// PAE is what is signed (DSSE 1.0.2, protocol.md, "PAE").
func PAE(payloadType string, payload []byte) []byte {
	out := make([]byte, 0, len(payloadType)+len(payload)+64)
	out = append(out, "DSSEv1"...)
	for _, part := range [][]byte{[]byte(payloadType), payload} {
		out = append(out, ' ')
		out = strconv.AppendInt(out, int64(len(part)), 10)
		out = append(out, ' ')
		out = append(out, part...)
	}
	return out
}

// Parse reads an envelope.
func Parse(data []byte) (*Envelope, error) {
	var e Envelope
	if err := decode("DSSE envelope", data, &e); err != nil {
		return nil, err
	}
	return &e, e.check()
}

func (e *Envelope) check() error {
	if e.PayloadType == "" || len(e.Payload) == 0 || len(e.Signatures) == 0 || len(e.Signatures) > maxSignatures {
		return sekisho.Errorf(sekisho.Invalid, "DSSE envelope: want payloadType, payload and 1 to %d signatures", maxSignatures)
	}
	return nil
}

// Statement is an in-toto statement (in-toto attestation framework,
// spec/v1/statement.md).
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject is what a statement speaks of.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// ParseStatement reads the payload of an envelope.
func ParseStatement(payloadType string, payload []byte) (*Statement, error) {
	if payloadType != InTotoType {
		return nil, sekisho.Errorf(sekisho.Invalid, "the envelope holds %q, want %s", payloadType, InTotoType)
	}
	var s Statement
	if err := decode("in-toto statement", payload, &s); err != nil {
		return nil, err
	}
	if s.Type != StatementType && s.Type != statementV01 {
		return nil, sekisho.Errorf(sekisho.Invalid, "in-toto statement of type %q, want %s", s.Type, StatementType)
	}
	if len(s.Subject) == 0 || len(s.Subject) > maxSubjects || s.PredicateType == "" {
		return nil, sekisho.Errorf(sekisho.Invalid, "in-toto statement: want predicateType and 1 to %d subjects", maxSubjects)
	}
	return &s, nil
}

// Speaks returns the digest, of several, that the statement speaks of.
func (s *Statement) Speaks(of []sekisho.Digest) (sekisho.Digest, error) {
	var about []string
	for _, subject := range s.Subject {
		for _, d := range of {
			algorithm, hex, _ := strings.Cut(string(d), ":")
			if hex != "" && subject.Digest[algorithm] == hex {
				return d, nil
			}
		}
		if h := subject.Digest["sha256"]; h != "" && len(about) < 3 {
			about = append(about, "sha256:"+h)
		}
	}
	return "", sekisho.Errorf(sekisho.Invalid, "it is about another image: %.300s", strings.Join(about, ", "))
}

// NewStatement makes a statement about one image.
func NewStatement(name string, d sekisho.Digest, predicateType string, predicate json.RawMessage) *Statement {
	algorithm, hex, _ := strings.Cut(string(d), ":")
	return &Statement{Type: StatementType, Subject: []Subject{{Name: name, Digest: map[string]string{algorithm: hex}}},
		PredicateType: predicateType, Predicate: predicate}
}

// Simple is cosign's simple signing payload, in the form of
// containers/image's atomic signature.
type Simple struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest sekisho.Digest `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// ParseSimple reads a simple signing payload.
func ParseSimple(payload []byte) (*Simple, error) {
	var s Simple
	if err := decode("simple signing payload", payload, &s); err != nil {
		return nil, err
	}
	if t := s.Critical.Type; t != simpleKind && t != atomicKind && t != SignType {
		return nil, sekisho.Errorf(sekisho.Invalid, "simple signing payload of type %q", t)
	}
	if err := s.Critical.Image.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("simple signing payload: %w", err)
	}
	return &s, nil
}

// NewSimple makes the payload for an image, as cosign writes it.
func NewSimple(repository string, d sekisho.Digest, optional map[string]any) ([]byte, error) {
	var s Simple
	s.Critical.Identity.Reference, s.Critical.Image.Digest, s.Critical.Type, s.Optional = repository, d, simpleKind, optional
	return json.Marshal(s)
}

// decode reads one JSON document within the bound.
func decode(what string, data []byte, into any) error {
	if len(data) > Max {
		return sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", what, Max)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(into); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "%s: %w", what, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return sekisho.Errorf(sekisho.Invalid, "%s: want one JSON document and nothing behind it", what)
	}
	return nil
}
