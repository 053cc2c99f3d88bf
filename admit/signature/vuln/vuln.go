// Package vuln reads what other scanners found, from vulnerability
// attestations whose signatures hold: cosign's predicate (v1) and in-toto's
// (v0.1, v0.2), with the results of Trivy, Grype, CycloneDX or SARIF inside, or
// the plain list of in-toto. Facts that a policy can judge come out, with the
// scanner and the time named. What proves nothing, because it has no result or
// no time, is refused; what such a scan did not look for stays unknown.
package vuln

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/policy/fact"
)

// Bounds of an attestation, in bytes and findings, and of a text in it.
const maxDoc, maxFindings, maxText = 24 << 20, 100_000, 512

// Found is what one scan found.
type Found struct {
	fact.Scanner
	URI      string    // who scanned, as the attestation says: pkg:github/aquasecurity/trivy@0.58
	Database time.Time // of the vulnerabilities, where it is told
	Findings []sekisho.Finding
	Assessed []string // beside vulnerabilities

	seen map[string]bool
}

type predicate struct {
	Scanner struct {
		URI     string `json:"uri"`
		Version string `json:"version"`
		DB      struct {
			LastUpdate when `json:"lastUpdate"`
		} `json:"db"`
		Result json.RawMessage `json:"result"`
	} `json:"scanner"`
	Metadata struct {
		Finished when `json:"scanFinishedOn"`
		Started  when `json:"scanStartedOn"`
	} `json:"metadata"`
}

// when is a time (RFC 3339), or the zero time for anything that is none: scanners
// write empty texts for what they do not know.
type when struct{ time.Time }

// UnmarshalJSON never fails.
func (w *when) UnmarshalJSON(data []byte) error {
	if t, err := time.Parse(time.RFC3339, strings.Trim(string(data), `"`)); err == nil {
		w.Time = t.UTC()
	}
	return nil
}

// Read reads a predicate.
func Read(doc []byte) (*Found, error) {
	if len(doc) > maxDoc {
		return nil, bad("more than %d bytes", maxDoc)
	}
	var p predicate
	if err := json.Unmarshal(doc, &p); err != nil {
		return nil, bad("%w", err)
	}
	f := &Found{URI: text(p.Scanner.URI), Database: p.Scanner.DB.LastUpdate.Time, Findings: []sekisho.Finding{}, seen: map[string]bool{}}
	f.Name, f.Version, f.Time = name(f.URI), text(p.Scanner.Version), p.Metadata.Finished.UTC()
	if f.Time.IsZero() {
		f.Time = p.Metadata.Started.UTC()
	}
	switch {
	case f.URI == "":
		return nil, bad("scanner.uri is missing: who scanned is not told")
	case f.Time.IsZero():
		return nil, bad("metadata.scanFinishedOn is missing: when it scanned is not told")
	}
	return f, f.result(p.Scanner.Result)
}

// result reads what stands in scanner.result, by its form.
func (f *Found) result(raw json.RawMessage) error {
	var head struct {
		Matches  json.RawMessage `json:"matches"`
		Trivy    int             `json:"SchemaVersion"`
		Artifact string          `json:"ArtifactName"`
		Format   string          `json:"bomFormat"`
		Runs     json.RawMessage `json:"runs"`
	}
	if strings.HasPrefix(strings.TrimSpace(string(raw[:min(len(raw), 100)])), "[") {
		return f.list(raw)
	}
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &head) != nil {
		return bad("scanner.result is missing or is none: it proves nothing")
	}
	switch {
	case head.Matches != nil:
		return f.grype(raw)
	case head.Trivy > 0 || head.Artifact != "":
		return f.trivy(raw)
	case head.Format == "CycloneDX":
		return f.cyclonedx(raw)
	case head.Runs != nil:
		return f.sarif(raw)
	}
	return bad("scanner.result: want results of Trivy, Grype, CycloneDX, SARIF or a list of in-toto")
}

// Image is what is known by this scan of the image with a digest.
func (f *Found) Image(d sekisho.Digest, signer string) fact.Image {
	s, at := f.Scanner, f.Time
	s.Signer = signer
	feed := sekisho.Feed{Name: s.Name, Kind: sekisho.FeedAdvisories, Newest: f.Database, Checked: f.Database}
	if feed.Checked.IsZero() {
		feed.Checked = at
	}
	return fact.Image{Digest: d, Assessed: append([]string{fact.Vulnerabilities}, f.Assessed...), Findings: f.Findings, Problems: []sekisho.Problem{}, Scanned: &at,
		Feeds: []sekisho.Feed{feed}, Scanner: &s}
}

// add adds a finding, once.
func (f *Found) add(x sekisho.Finding) error {
	x.Kind, x.ID, x.Title = sekisho.Vulnerability, text(x.ID), text(x.Title)
	if x.ID == "" {
		return bad("a vulnerability without an identifier")
	}
	if x.Aliases == nil {
		x.Aliases = []string{}
	}
	if x.FixedIn == nil {
		x.FixedIn = []string{}
	}
	if x.Vulnerable == nil {
		x.Vulnerable = &sekisho.Vulnerable{}
	}
	if x.Severity == "" {
		x.Severity = sekisho.Unknown
	}
	if x.Status == "" {
		x.Status = sekisho.StatusAffected
		if len(x.FixedIn) > 0 {
			x.Status = sekisho.StatusFixed
		}
	}
	key := x.ID + "\x00" + x.Location.Path
	if p := x.Package; p != nil {
		p.Name, p.Version, p.PURL = text(p.Name), text(p.Version), text(p.PURL)
		key += "\x00" + p.Name + "\x00" + p.Version + "\x00" + p.PURL
	}
	sum := sha256.Sum256([]byte(key))
	if x.Fingerprint = hex.EncodeToString(sum[:8]); f.seen[x.Fingerprint] {
		return nil
	}
	if len(f.Findings) >= maxFindings {
		return bad("more than %d findings", maxFindings)
	}
	f.seen[x.Fingerprint] = true
	f.Findings = append(f.Findings, x)
	return nil
}

// severity reads the words of scanners.
func severity(word string) sekisho.Severity {
	switch w := strings.ToLower(word); w {
	case "critical", "high", "medium", "low", "none":
		return sekisho.Severity(w)
	case "moderate":
		return sekisho.Medium
	case "negligible":
		return sekisho.Low
	case "info", "informational":
		return sekisho.None
	}
	return sekisho.Unknown
}

// rated is the severity of a base score (CVSS 3.1, section 5).
func rated(score float64) sekisho.Severity {
	switch {
	case score >= 9:
		return sekisho.Critical
	case score >= 7:
		return sekisho.High
	case score >= 4:
		return sekisho.Medium
	case score > 0:
		return sekisho.Low
	}
	return sekisho.None
}

// list reads the plain list of in-toto's predicate (vulns v0.1, v0.2): of each
// vulnerability scores in words or numbers, of which the worst counts.
func (f *Found) list(raw json.RawMessage) error {
	var rows []struct {
		ID       string `json:"id"`
		Severity []struct {
			Method string          `json:"method"`
			Score  json.RawMessage `json:"score"`
		} `json:"severity"`
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		return bad("scanner.result: %w", err)
	}
	for _, r := range rows {
		x := sekisho.Finding{ID: r.ID, Vulnerable: &sekisho.Vulnerable{}}
		for _, s := range r.Severity {
			word := strings.Trim(string(s.Score), `"`)
			one := severity(word)
			if n, err := strconv.ParseFloat(word, 64); err == nil && n >= 0 && n <= 10 {
				one = rated(n)
				x.CVSS = append(x.CVSS, sekisho.CVSS{Source: text(s.Method), Score: n})
			}
			if one.Rank() > x.Severity.Rank() {
				x.Severity = one
			}
		}
		if err := f.add(x); err != nil {
			return err
		}
	}
	return nil
}

// name is the short name of a scanner: trivy of pkg:github/aquasecurity/trivy@0.58.
func name(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	last := uri[strings.LastIndexByte(strings.TrimRight(uri, "/"), '/')+1:]
	last, _, _ = strings.Cut(strings.Trim(last, "/"), "@")
	if _, short, ok := strings.Cut(last, ":"); ok && short != "" {
		last = short
	}
	if last == "" {
		return uri
	}
	return last
}

// text bounds a text.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func nonEmpty(list ...string) (out []string) {
	for _, s := range list {
		if s = text(strings.TrimSpace(s)); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func bad(format string, args ...any) error {
	return sekisho.Errorf(sekisho.Invalid, "vulnerability attestation: "+format, args...)
}
