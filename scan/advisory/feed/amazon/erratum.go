package amazon

import (
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	maxTitle = 200
	maxText  = 16 << 10
)

// erratum is an update of updateinfo.xml.
type erratum struct {
	Type   string `xml:"type,attr"`
	ID     string `xml:"id"`
	Title  string `xml:"title"`
	Issued struct {
		Date string `xml:"date,attr"`
	} `xml:"issued"`
	Updated struct {
		Date string `xml:"date,attr"`
	} `xml:"updated"`
	Severity    string `xml:"severity"`
	Description string `xml:"description"`
	References  []struct {
		Href string `xml:"href,attr"`
		ID   string `xml:"id,attr"`
		Type string `xml:"type,attr"`
	} `xml:"references>reference"`
	Packages []struct {
		Name    string `xml:"name,attr"`
		Epoch   string `xml:"epoch,attr"`
		Version string `xml:"version,attr"`
		Release string `xml:"release,attr"`
		Arch    string `xml:"arch,attr"`
	} `xml:"pkglist>collection>package"`
}

func (e *erratum) cves() (out []string) {
	for _, r := range e.References {
		if id := strings.TrimSpace(r.ID); source.IsCVE(id) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// row is a record without its flaws, and these.
type row struct {
	advisory.Record
	flaws []string
}

// key is what makes two statements one, but for the architecture.
type key struct{ release, repository, id, name, version string }

// folder joins what repositories of several architectures say.
type folder struct {
	at      map[key]int
	rows    []row
	details []told
	seen    map[string]bool
	skipped int
}

type told struct {
	detail advisory.Detail
	text   advisory.Text
}

// add keeps an erratum about security: one that says so, or that names a CVE.
func (f *folder) add(repo repository, e *erratum) {
	cves, id := e.cves(), strings.TrimSpace(e.ID)
	if e.Type != "security" && len(cves) == 0 || id == "" || len(id) > 64 {
		f.skipped++
		return
	}
	issued, word := source.Date(e.Issued.Date), strings.TrimSpace(e.Severity)
	for _, p := range e.Packages {
		if p.Arch == "src" || p.Name == "" || p.Version == "" {
			continue
		}
		k := key{repo.release, repo.name, id, p.Name, source.EVR(p.Epoch, p.Version, p.Release)}
		if i, ok := f.at[k]; ok {
			if r := &f.rows[i]; !slices.Contains(r.Arch, p.Arch) {
				r.Arch = append(r.Arch, p.Arch)
			}
			continue
		}
		rec := advisory.Record{
			ID: id, Ecosystem: group + ":" + repo.release, Package: p.Name, Advisories: []string{id}, Status: sekisho.StatusFixed,
			Ranges: []advisory.Range{{Fixed: k.version}}, Rating: word, Severity: string(source.Severity(word)), Arch: []string{p.Arch}, Fixed: issued,
		}
		if repo.name != "" {
			rec.Repositories = []string{repo.name}
		}
		f.at[k] = len(f.rows)
		f.rows = append(f.rows, row{rec, cves})
	}
	f.describe(e, id, cves)
}

func (f *folder) describe(e *erratum, id string, cves []string) {
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	if f.seen[id] {
		return
	}
	f.seen[id] = true
	t := told{
		advisory.Detail{
			ID: id, Group: group, Title: title(e.Title, id), Aliases: cves, Ratings: source.Rating("amazon", strings.TrimSpace(e.Severity)),
			Published: source.Date(e.Issued.Date), Modified: source.Date(e.Updated.Date),
		},
		advisory.Text{ID: id, Group: group, Text: source.Text(e.Description, maxText)},
	}
	for _, r := range e.References {
		if r.Type == "self" && r.Href != "" {
			t.text.References = append(t.text.References, sekisho.Reference{Name: id, URL: r.Href})
		}
	}
	f.details = append(f.details, t)
}

// title drops the erratum's id and the words that all of them have:
// "ALAS2-2024-1: important priority package update for curl".
func title(s, id string) string {
	s = strings.TrimLeft(strings.TrimPrefix(strings.TrimSpace(s), id), ": ")
	if _, what, ok := strings.Cut(s, "priority package update for "); ok {
		s = what + " security update"
	}
	return source.Line(s, maxTitle)
}

// tell gives the records, all of an erratum together, once for each flaw that it
// fixes.
func (f *folder) tell(r *update) error {
	if f.skipped > 0 {
		r.state.Skipped["no flaw"] = f.skipped
	}
	slices.SortStableFunc(f.rows, func(a, b row) int { return strings.Compare(a.ID, b.ID) })
	for _, x := range f.rows {
		slices.Sort(x.Arch)
		if len(x.flaws) == 0 {
			if err := r.Sink.Record(x.Record); err != nil {
				return err
			}
		}
		for _, cve := range x.flaws {
			x.Aliases = []string{cve}
			if err := r.Sink.Record(x.Record); err != nil {
				return err
			}
		}
	}
	for _, t := range f.details {
		r.state.Newest = source.Later(r.state.Newest, t.detail.Modified, r.Now)
		if err := r.Sink.Detail(t.detail, t.text); err != nil {
			return err
		}
	}
	return nil
}
