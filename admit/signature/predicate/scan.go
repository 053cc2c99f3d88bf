package predicate

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"sekisho"
	"sekisho/policy/fact"
)

// plain is the size, in bytes, from which facts are compressed; maxFacts bounds
// what they may unfold to.
const plain, maxFacts = 16 << 10, 64 << 20

// scan is our predicate: what a scan found, so that a gate can decide without
// the scanner. Counts can be read without unfolding the facts.
type scan struct {
	Tool    sekisho.Tool    `json:"tool"`
	Scanned *time.Time      `json:"scanned,omitempty"`
	Counts  map[string]int  `json:"counts"` // of vulnerabilities by severity, and of kev, secret, malware, misconfiguration
	Facts   json.RawMessage `json:"facts,omitempty"`
	Gzip    []byte          `json:"facts_gzip,omitempty"` // the same, compressed
}

// Scan writes the facts of a scan as a predicate. What others vouch for
// (signatures, provenance, approvals) is left out: it is verified anew wherever
// it is read.
func Scan(tool sekisho.Tool, i fact.Image) (json.RawMessage, error) {
	i.Signatures, i.Provenance, i.Approvals = nil, nil, nil
	facts, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("attest the scan: %w", err)
	}
	if len(facts) > maxFacts {
		return nil, sekisho.Errorf(sekisho.Invalid, "attest the scan: facts of %d bytes, want at most %d", len(facts), maxFacts)
	}
	s := scan{Tool: tool, Scanned: i.Scanned, Counts: Counts(&i), Facts: facts}
	if len(facts) > plain {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(facts); err != nil {
			return nil, fmt.Errorf("attest the scan: %w", err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("attest the scan: %w", err)
		}
		s.Facts, s.Gzip = nil, out.Bytes()
	}
	return json.Marshal(s)
}

// Facts reads a scan's predicate. The facts must be of the digest that the
// statement is about.
func Facts(doc []byte, of ...sekisho.Digest) (fact.Image, error) {
	var s scan
	if len(doc) > maxPredicate {
		return fact.Image{}, sekisho.Errorf(sekisho.Invalid, "scan attestation: more than %d bytes", maxPredicate)
	}
	if err := json.Unmarshal(doc, &s); err != nil {
		return fact.Image{}, sekisho.Errorf(sekisho.Invalid, "scan attestation: %w", err)
	}
	facts := []byte(s.Facts)
	if s.Gzip != nil {
		r, err := gzip.NewReader(bytes.NewReader(s.Gzip))
		if err != nil {
			return fact.Image{}, sekisho.Errorf(sekisho.Invalid, "scan attestation: %w", err)
		}
		if facts, err = io.ReadAll(io.LimitReader(r, maxFacts+1)); err != nil {
			return fact.Image{}, sekisho.Errorf(sekisho.Invalid, "scan attestation: %w", err)
		}
	}
	if len(facts) > maxFacts {
		return fact.Image{}, sekisho.Errorf(sekisho.Invalid, "scan attestation: facts of more than %d bytes", maxFacts)
	}
	var i fact.Image
	if err := json.Unmarshal(facts, &i); err != nil {
		return fact.Image{}, sekisho.Errorf(sekisho.Invalid, "scan attestation: facts: %w", err)
	}
	i.Signatures, i.Provenance, i.Approvals = nil, nil, nil // not the scan's to say
	for _, d := range of {
		if i.Digest == d {
			return i, nil
		}
	}
	return fact.Image{}, sekisho.Errorf(sekisho.Invalid, "scan attestation: its facts are of another image: %.80s", i.Digest)
}

// Counts are the numbers of findings: of vulnerabilities by severity and in
// KEV, of others by kind. Accepted ones are counted too.
func Counts(i *fact.Image) map[string]int {
	n := map[string]int{}
	for _, f := range i.Findings {
		if f.Kind != sekisho.Vulnerability {
			n[f.Kind]++
			continue
		}
		n[string(f.Severity)]++
		if f.Vulnerable != nil && f.Vulnerable.KEV != nil {
			n["kev"]++
		}
	}
	return n
}
