// Package vex reads and writes what somebody says about flaws in products:
// OpenVEX, CSAF with its VEX profile, and CycloneDX's analyses. Documents go
// in, from files, directories, VEX repositories or bytes; a report's
// vulnerabilities come out suppressed where a statement clears them, and
// annotated where one confirms them. Statements about products that cannot be
// told to be the one that was scanned change nothing. A document that does not
// have its form is refused whole and named; the others stay.
package vex

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"sekisho"
)

// Bounds of what is read.
const (
	MaxSize       = 64 << 20  // bytes of one document
	maxStatements = 1_000_000 // of one document, counted per product
	maxDepth      = 64        // of CSAF's branches
)

// Document is one document, whatever its format.
type Document struct {
	Name       string // of the file
	Format     string // openvex, csaf, cyclonedx
	ID         string
	Author     string
	Time       time.Time
	Statements []Statement
}

// Statement says how products stand to one vulnerability.
type Statement struct {
	IDs           []string // of the vulnerability, with aliases
	Products      []Product
	Status        string // sekisho.StatusNotAffected, StatusFixed, StatusAffected or StatusInvestigated
	Justification string // in the words of the format
	Impact        string // why it is not affected
	Action        string // what to do when affected
	Time          time.Time
}

// Product is what a statement is about: a piece of software, or what is in it.
type Product struct {
	IDs           []string   // PURLs, digests, references of images, CPEs; any names it
	Subcomponents [][]string // each by its ids; empty means the product itself and all in it
}

// formatError says what of a document is off, and where in it.
func formatError(where, format string, args ...any) error {
	return sekisho.Errorf(sekisho.Invalid, where+": "+format, args...)
}

// ErrOther says that the bytes are JSON of another kind.
var ErrOther = errors.New("neither OpenVEX, nor CSAF, nor CycloneDX with vulnerabilities")

// Read reads a document; name is for errors. What is no VEX document at all is
// ErrOther. Of an attestation it reads the predicate; whether its signature
// holds, and of whom, is for the caller to know.
func Read(name string, data []byte) (*Document, error) {
	if len(data) > MaxSize {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", name, MaxSize)
	}
	data, err := unwrapped(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, err)
	}
	d, err := read(data)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, err)
	}
	d.Name = name
	total := 0
	for _, s := range d.Statements {
		total += len(s.Products)
	}
	if total > maxStatements {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: statements about %d products, want at most %d", name, total, maxStatements)
	}
	return d, nil
}

func read(data []byte) (*Document, error) {
	var head struct {
		Context   string          `json:"@context"`
		BOMFormat string          `json:"bomFormat"`
		Document  json.RawMessage `json:"document"`
	}
	if err := decode(data, &head); err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(head.Context, "https://openvex.dev/ns"):
		return openVEX(data)
	case head.BOMFormat == "CycloneDX":
		return cycloneDX(data)
	case bytes.Contains(head.Document, []byte(`"csaf_version"`)):
		return csaf(data)
	}
	return nil, ErrOther
}

// MediaTypes are those under which documents and attestations lie beside
// images in registries. What an attestation is about only Read tells.
func MediaTypes() []string {
	return []string{"application/vnd.openvex+json", "application/openvex+json", "application/vex+json", "application/csaf+json", "application/vnd.cyclonedx+json",
		"application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json", "application/vnd.dev.sigstore.bundle.v0.3+json"}
}

// unwrapped takes the document out of an attestation: a DSSE envelope (DSSE
// 1.0, "Envelope"), alone or in a bundle of Sigstore, and the statement in it
// (in-toto Attestation Framework 1.0).
func unwrapped(data []byte) ([]byte, error) {
	var outer struct {
		PayloadType   string          `json:"payloadType"`
		Payload       []byte          `json:"payload"`
		Statement     string          `json:"_type"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
		Bundle        json.RawMessage `json:"dsseEnvelope"`
	}
	if !bytes.Contains(data, []byte(`"payloadType"`)) && !bytes.Contains(data, []byte(`"predicateType"`)) {
		return data, nil
	}
	if err := decode(data, &outer); err != nil {
		return nil, err
	}
	if inner := outer.Bundle; len(inner) > 0 {
		outer.Bundle = nil
		if err := json.Unmarshal(inner, &outer); err != nil {
			return nil, formatError("dsseEnvelope", "%w", err)
		}
	}
	if outer.PayloadType == "application/vnd.in-toto+json" {
		data = outer.Payload
		if err := decode(data, &outer); err != nil {
			return nil, formatError("payload", "%w", err)
		}
	}
	if strings.HasPrefix(outer.Statement, "https://in-toto.io/Statement/") {
		return outer.Predicate, nil
	}
	return data, nil
}

// decode reads JSON and adds the line to errors.
func decode(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	offset := int64(-1)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	default:
		return err
	}
	line := 1 + bytes.Count(data[:min(int64(len(data)), offset)], []byte("\n"))
	return sekisho.Errorf(sekisho.Invalid, "line %d: %w", line, err)
}

// date reads a time in RFC 3339; empty is no time.
func date(where, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, formatError(where, "%q is not a time of RFC 3339", text)
	}
	return t.UTC(), nil
}

// names completes the ids of a vulnerability: of an address the last part is
// one too.
func names(list ...string) []string {
	var out []string
	for _, s := range list {
		if s == "" {
			continue
		}
		out = append(out, s)
		if i := strings.LastIndexAny(s, "/="); i >= 0 && i+1 < len(s) {
			out = append(out, s[i+1:])
		}
	}
	return out
}
