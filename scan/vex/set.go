package vex

import (
	"cmp"
	"slices"
	"strings"

	"sekisho"
)

// Set is documents that are applied together. Its zero value is empty and
// ready.
type Set struct {
	Problems     []sekisho.Problem // documents that could not be read; Path is the file
	documents    int
	byID         map[string][]spoken // by id of the vulnerability, in upper case
	repositories []*repository
}

// spoken is a statement with its document.
type spoken struct {
	*Statement
	document *Document
	order    int // of all statements
}

// Add adds a document.
func (s *Set) Add(d *Document) {
	if s.byID == nil {
		s.byID = map[string][]spoken{}
	}
	for i := range d.Statements {
		x := spoken{&d.Statements[i], d, s.documents<<24 + i}
		for _, id := range x.IDs {
			id = strings.ToUpper(id)
			if list := s.byID[id]; len(list) > 0 && list[len(list)-1].Statement == x.Statement {
				continue
			}
			s.byID[id] = append(s.byID[id], x)
		}
	}
	s.documents++
}

// Documents returns how many documents there are, without those of
// repositories that were not needed.
func (s *Set) Documents() int { return s.documents }

// Applied counts what statements did.
type Applied struct {
	Suppressed int // findings that are not affected, or fixed
	Annotated  int // findings that are affected, or under investigation
}

// Apply lets the statements speak about the report's vulnerabilities. Of all
// statements about a vulnerability and a package the latest wins; of equally
// old ones the one that names a version, then the one that was read last.
// What already is suppressed stays so.
func (s *Set) Apply(r *sekisho.Report) Applied {
	t := newTarget(r)
	for _, repo := range s.repositories {
		s.fetch(repo, t)
	}
	var n Applied
	for i := range r.Findings {
		x := &r.Findings[i]
		if x.Kind != sekisho.Vulnerability || x.Package == nil {
			continue
		}
		best, ok := s.about(t, x)
		if !ok {
			continue
		}
		switch best.Status {
		case sekisho.StatusNotAffected, sekisho.StatusFixed:
			if x.Suppressed == nil {
				x.Suppressed = best.suppressed()
				n.Suppressed++
			}
		default:
			annotate(x, best)
			n.Annotated++
		}
	}
	return n
}

// about returns the statement that counts for a finding.
func (s *Set) about(t *target, x *sekisho.Finding) (best spoken, ok bool) {
	p, known := t.byPURL[x.Package.PURL]
	if !known {
		p = newSoftware(sekisho.Package{Name: x.Package.Name, Version: x.Package.Version, PURL: x.Package.PURL})
	}
	narrow := 0
	for _, id := range append([]string{x.ID}, x.Aliases...) {
		for _, c := range s.byID[strings.ToUpper(id)] {
			n := 0
			for _, product := range c.Products {
				n = max(n, t.concerns(product, c.Status, p))
			}
			if n > 0 && (!ok || cmp.Or(c.Time.Compare(best.Time), n-narrow, c.order-best.order) > 0) {
				best, narrow, ok = c, n, true
			}
		}
	}
	return best, ok
}

// suppressed says why a finding does not count.
func (x spoken) suppressed() *sekisho.Suppressed {
	reason := x.Justification
	switch {
	case reason != "" && x.Impact != "" && x.Impact != reason:
		reason += ": " + x.Impact
	case reason == "":
		reason = cmp.Or(x.Impact, x.Status)
	}
	return &sekisho.Suppressed{Reason: clean(reason), Owner: clean(cmp.Or(x.document.Author, x.document.ID)), By: "vex " + x.document.Name}
}

// annotate notes that somebody says that the finding is real, or not yet
// known to be.
func annotate(x *sekisho.Finding, by spoken) {
	if slices.Contains([]string{"", sekisho.StatusUnknown, sekisho.StatusAffected, sekisho.StatusInvestigated}, x.Status) {
		x.Status = by.Status
	}
	if x.Vulnerable == nil {
		return
	}
	note := "VEX of " + cmp.Or(by.document.Author, by.document.ID, by.document.Name) + ": " + by.Status
	if text := cmp.Or(by.Action, by.Impact); text != "" {
		note += ": " + text
	}
	if note = clean(note); x.Match.Note != "" {
		note = x.Match.Note + "; " + note
	}
	x.Match.Note = note
}

// clean bounds a text of a document and takes its line breaks away.
func clean(s string) string {
	const longest = 2000
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}
