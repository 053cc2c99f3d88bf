package secret

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/internal/siphash"
)

// End returns what the file holds and what could not be looked at. No value
// leaves: what is shown of one is the part that all of its kind share.
func (s *Scanner) End() (found []sekisho.Finding, problems []string) {
	s.byPath()
	line, seen := 1, 0
	for _, c := range settle(s.found) {
		at := max(c.value.from, seen)
		line += bytes.Count(s.data[seen:at], []byte{'\n'})
		seen = at
		found = append(found, s.finding(c, line))
	}
	if len(s.found) >= maxFindings {
		problems = append(problems, "more than 1000 secrets: the rest of the file was not looked at for secrets")
	}
	for id := range s.exceeded {
		problems = append(problems, "too much looks like "+id+": not all of it was looked at")
	}
	slices.Sort(problems)
	s.data = nil
	return found, problems
}

// Masked returns the data with every value that was found masked.
func (s *Scanner) Masked() []byte {
	var out []byte
	from := 0
	list := settle(s.found)
	for _, c := range list {
		if c.value.from >= from {
			out = append(out, s.data[from:c.value.from+len(c.shownToken())]...)
			out = append(out, stars...)
			from = c.value.upto
		}
	}
	return append(out, s.data[from:]...)
}

const stars = "********"

// shownToken is the part of the value itself that is no secret.
func (c candidate) shownToken() string {
	if c.form.Check != "" && c.form.Regex == "" || c.form == databaseForm || c.form == brokerForm {
		return ""
	}
	return c.shown
}

// byPath applies rules that a path alone breaks.
func (s *Scanner) byPath() {
	for _, f := range s.files {
		if f.path.MatchString(s.file.Path) && !s.public {
			s.keep(candidate{form: f, shown: path.Base(s.file.Path), confidence: Likely, severity: f.Severity})
		}
	}
}

func (s *Scanner) finding(c candidate, line int) sekisho.Finding {
	v := s.data[c.value.from:c.value.upto]
	confidence, severity := c.confidence, c.severity
	if specimen(s.file.Path) && severity.Rank() > sekisho.Low.Rank() {
		severity, confidence = sekisho.Low, Possible
	}
	x := sekisho.Finding{Kind: sekisho.Secret, ID: c.form.ID, Severity: severity, Title: c.form.Title, Class: string(c.form.Type), Vendor: c.form.Vendor,
		Confidence: confidence, Evidence: s.evidence(c), Location: sekisho.Location{Line: line}, Same: identity(s.key, v)}
	if len(v) == 0 {
		x.Location.Line, x.Same = 0, identity(s.key, []byte(s.file.Path))
	}
	return x
}

// identity tells values apart: 64 bits of a keyed hash, and 16 of a plain one
// by which scans that do not share the key can name the value. Sixteen bits
// confirm no guess.
func identity(key siphash.Key, v []byte) string {
	sum := sha256.Sum256(v)
	return hex.EncodeToString(binary64(key.Sum(string(v)))) + hex.EncodeToString(sum[:2])
}

func binary64(n uint64) []byte {
	return []byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// evidence shows the name that a value has and its public part.
func (s *Scanner) evidence(c candidate) string {
	if c.value.upto == 0 {
		return c.shown
	}
	if c.shown != "" {
		return c.shown + stars
	}
	from := c.value.from
	for low := max(0, from-60); from > low && s.data[from-1] != '\n' && s.data[from-1] != '\r'; {
		from--
	}
	name := trailing.FindString(string(s.data[from:c.value.from]))
	return strings.ToValidUTF8(name, "") + stars
}

// trailing is the name, operator and quotes before a value.
var trailing = regexp.MustCompile(`[A-Za-z_][\w.-]{0,40}\\?["']?[\])]?\s{0,3}(?:=>|:=|:{1,3}|=|>|,)?\s{0,3}\\?["'` + "`" + `]?$`)

// settle leaves one of several candidates for the same bytes: the one that
// tells most.
func settle(list []candidate) []candidate {
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(b.rank()-a.rank(), (b.value.upto-b.value.from)-(a.value.upto-a.value.from), a.value.from-b.value.from)
	})
	var kept []candidate
	for _, c := range list {
		if c.value.upto > 0 && slices.ContainsFunc(kept, func(k candidate) bool {
			return k.value.upto > 0 && c.value.from < k.value.upto && k.value.from < c.value.upto
		}) {
			continue
		}
		kept = append(kept, c)
	}
	slices.SortStableFunc(kept, func(a, b candidate) int { return a.value.from - b.value.from })
	return kept
}

// rank orders candidates by how much they tell.
func (c candidate) rank() int {
	switch {
	case c.form == genericForm || c.form == passwordForm:
		return 0
	case c.form.ID == "bearer-header" || c.form.ID == "basic-auth-header" || c.form.ID == "jwt":
		return 2
	case len(c.form.Near) > 0 && c.form.Type == ClientID:
		return 1
	case len(c.form.Near) > 0:
		return 3
	case c.form.Loose:
		return 4
	}
	return 5
}

// specimen reports whether a path belongs to tests, examples or documents:
// what stands there may be real, and is rarely in use.
func specimen(name string) bool {
	for part := range strings.SplitSeq(strings.ToLower(path.Dir(name)), "/") {
		switch part {
		case "test", "tests", "testdata", "__tests__", "spec", "specs", "fixtures", "fixture", "example", "examples", "sample", "samples", "mock", "mocks", "docs":
			return true
		}
	}
	base := strings.ToLower(path.Base(name))
	return strings.HasSuffix(base, "_test.go") || strings.Contains(base, ".test.") || strings.Contains(base, ".spec.") || strings.HasSuffix(base, ".example") || strings.HasSuffix(base, ".sample") || strings.HasSuffix(base, ".md") || strings.HasSuffix(base, ".rst")
}
