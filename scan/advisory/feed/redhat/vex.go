package redhat

import (
	"encoding/json"
	"path"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// maxNote and maxText bound what is kept of words, in bytes.
const maxNote, maxText, maxReferences = 200, 32 << 10, 100

// group is the name of all of this feed's ecosystems.
const group = "Red Hat"

// Ecosystem returns the ecosystem of a major release of Red Hat Enterprise
// Linux. Packages of layered products that do not say for which release they
// are stand under the group itself.
func Ecosystem(major string) string {
	if major == "" {
		return group
	}
	return group + ":" + major
}

// cve is what one document says about one CVE.
type cve struct {
	id      string
	deleted bool
	records []advisory.Record
	detail  advisory.Detail
	text    advisory.Text
	skipped map[string]int
}

// decode reads one document of at most maxDocument bytes. Documents of another
// kind than statements about a CVE say nothing.
func decode(data []byte, want []string) (cve, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return cve{}, sekisho.Errorf(sekisho.Invalid, "read CSAF: %w", err)
	}
	out := cve{id: d.Document.Tracking.ID, skipped: map[string]int{}}
	if !source.IsCVE(out.id) {
		return cve{}, nil
	}
	if d.Document.Tracking.Status == "deleted" {
		out.deleted = true
		return out, nil
	}
	t := grow(&d)
	for i := range d.Vulnerabilities {
		v := &d.Vulnerabilities[i]
		if v.CVE != out.id {
			continue
		}
		f := folder{arch: map[statement]map[string]bool{}}
		v.statements(t, &d, &f, out.skipped)
		for _, r := range f.records(out.id) {
			if advisory.Wanted(want, r.Ecosystem) {
				out.records = append(out.records, r)
			}
		}
		out.detail, out.text = v.detail(&d)
	}
	return out, nil
}

// fix is what a remediation says about a product.
type fix struct {
	advisory string
	date     time.Time
	status   string
	note     string
}

// statements adds what is said about each product.
func (v *vulnerability) statements(t *tree, d *document, f *folder, skipped map[string]int) {
	fixes, ratings, flags := v.fixes(), map[string]string{}, map[string]string{}
	for _, threat := range v.Threats {
		if threat.Category == "impact" {
			for _, id := range threat.Products {
				ratings[id] = threat.Details
			}
		}
	}
	for _, flag := range v.Flags {
		for _, id := range flag.Products {
			flags[id] = flag.Label
		}
	}
	each := func(ids []string, status string, fill func(s *statement, id string)) {
		for _, id := range ids {
			c, skip := t.resolve(id)
			if skip == "" && status == sekisho.StatusNotAffected && c.version != "" {
				skip = skipBuild
			}
			if skip != "" {
				skipped[skip]++
				continue
			}
			s := statement{component: c, status: status, rating: ratings[id]}
			if s.rating == "" {
				s.rating = d.Document.Aggregate.Text
			}
			if source.Severity(s.rating) == "" {
				s.rating = ""
			}
			fill(&s, id)
			f.add(s)
		}
	}
	each(v.Status.Fixed, sekisho.StatusFixed, func(s *statement, id string) {
		s.advisory, s.fixed = fixes[id].advisory, fixes[id].date
		if s.version == "" { // fixed, but where is not said
			s.status, s.note = sekisho.StatusUnknown, "fixed in a version that is not named"
		}
	})
	each(v.Status.Affected, sekisho.StatusAffected, func(s *statement, id string) {
		if fixes[id].status != "" {
			s.status, s.note = fixes[id].status, fixes[id].note
		}
	})
	each(v.Status.Investigation, sekisho.StatusInvestigated, func(*statement, string) {})
	each(v.Status.NotAffected, sekisho.StatusNotAffected, func(s *statement, id string) {
		s.note, s.rating = flags[id], ""
	})
}

// fixes returns what remediations say, by product. A workaround does not count.
func (v *vulnerability) fixes() map[string]fix {
	out := map[string]fix{}
	for _, r := range v.Remediations {
		var x fix
		switch r.Category {
		case "vendor_fix":
			x.advisory, x.date = path.Base(r.URL), source.Date(r.Date)
			if !strings.HasPrefix(x.advisory, "RH") || len(x.advisory) > 40 {
				x.advisory = ""
			}
		case "none_available", "no_fix_planned":
			x.note = source.Line(r.Details, maxNote)
			x.status = unfixed(r.Category, r.Details)
		default:
			continue
		}
		for _, id := range r.Products {
			if old, ok := out[id]; ok && old.advisory != "" {
				continue // the first fix stands
			}
			out[id] = x
		}
	}
	return out
}

func unfixed(category, details string) string {
	switch strings.ToLower(strings.TrimSpace(details)) {
	case "will not fix":
		return sekisho.StatusWontFix
	case "fix deferred":
		return sekisho.StatusDeferred
	case "out of support scope":
		return sekisho.StatusEndOfLife
	case "under investigation":
		return sekisho.StatusInvestigated
	}
	if category == "no_fix_planned" {
		return sekisho.StatusWontFix
	}
	return sekisho.StatusAffected
}

func (v *vulnerability) detail(d *document) (advisory.Detail, advisory.Text) {
	title := v.Title
	if title == "" {
		title = d.Document.Title
	}
	out := advisory.Detail{
		ID: v.CVE, Group: group, Title: source.Line(title, maxNote), Ratings: source.Rating("redhat", d.Document.Aggregate.Text),
		Published: source.Date(v.Released), Modified: source.Date(d.Document.Tracking.Current),
	}
	if v.CWE.ID != "" {
		out.CWE = []string{v.CWE.ID}
	}
	seen := map[string]bool{}
	for _, s := range v.Scores {
		for _, c := range []*score{s.V2, s.V3, s.V4} {
			if c != nil && c.Vector != "" && !seen[c.Vector] {
				seen[c.Vector] = true
				out.CVSS = append(out.CVSS, sekisho.CVSS{Source: "redhat", Version: c.Version, Vector: c.Vector, Score: c.Base})
			}
		}
	}
	text := advisory.Text{ID: v.CVE, Group: group}
	var parts []string
	for _, n := range v.Notes {
		if n.Category == "description" || n.Title == "Statement" {
			parts = append(parts, n.Text)
		}
	}
	text.Text = source.Text(strings.Join(parts, "\n\n"), maxText)
	for _, r := range v.References[:min(len(v.References), maxReferences)] {
		text.References = append(text.References, sekisho.Reference{Name: source.Line(r.Summary, maxNote), URL: r.URL})
	}
	return out, text
}
