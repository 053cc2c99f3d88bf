// Package oracle reads Oracle Linux's errata, one OVAL document. Rebuilds for
// ksplice and FIPS are told in their own versions, and kernels of UEK only for
// their own line; what compares them keeps like with like.
package oracle

import (
	"context"
	"regexp"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/oval"
	"sekisho/scan/advisory/feed/internal/source"
	"sekisho/scan/version"
)

const (
	file        = "com.oracle.elsa-all.xml.bz2"
	group       = "Oracle"
	maxDocument = 4 << 30
	maxText     = 16 << 10
	maxTitle    = 200
)

// Feed is Oracle's OVAL feed.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "oracle", Title: "Oracle Linux OVAL", URL: "https://linux.oracle.com/security/oval",
		Licence: "Oracle, not stated", Ecosystems: []string{group},
	}
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	state, url := source.State(u.State), u.URL+"/"+file
	source.Wants(&state, u.Want)
	doc, err := source.Open(ctx, u.Client, state, url, maxDocument)
	if err != nil {
		return u.State, err
	}
	defer doc.Close()
	if doc.Same {
		state.Skipped = u.State.Skipped
		return state, nil
	}
	r := reader{Update: u, state: &state}
	state.Skipped = map[string]int{}
	u.Sink.Replace(group)
	if err := oval.Read(doc, r.definition); err != nil {
		return u.State, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", file, err)
	}
	return state, nil
}

type reader struct {
	advisory.Update
	state *advisory.State
}

var release = regexp.MustCompile(`^Oracle Linux (\d{1,2})\b`)

// definition tells an erratum: for each of its flaws, each of its packages.
func (r *reader) definition(f *oval.File, d *oval.Definition) error {
	id := ""
	var cves []string
	var refs []sekisho.Reference
	for _, ref := range d.References {
		switch {
		case strings.EqualFold(ref.Source, "elsa"):
			id = strings.TrimSpace(ref.ID)
			refs = append(refs, sekisho.Reference{Name: id, URL: ref.URL})
		case source.IsCVE(strings.TrimSpace(ref.ID)):
			cves = append(cves, strings.TrimSpace(ref.ID))
		}
	}
	if id == "" {
		r.state.Skipped["id"]++
		return nil
	}
	said, unknown, err := f.Statements(d)
	if err != nil {
		return err
	}
	if unknown > 0 {
		r.state.Skipped["criteria"] += int(unknown)
	}
	issued := source.Date(d.Advisory.Issued.Date)
	told := false
	for _, s := range lowest(said) {
		m := release.FindStringSubmatch(s.Platform)
		if m == nil || s.Range.Fixed == "" {
			r.state.Skipped["platform"]++
			continue
		}
		rec := advisory.Record{
			ID: id, Ecosystem: group + ":" + m[1], Package: s.Package, Advisories: []string{id}, Status: sekisho.StatusFixed,
			Ranges: []advisory.Range{line(s)}, Rating: rating(d), Severity: string(source.Severity(rating(d))), Module: s.Module, Arch: s.Arch, Fixed: issued,
		}
		if !advisory.Wanted(r.Want, rec.Ecosystem) {
			continue
		}
		told = true
		if err := each(r.Sink, rec, cves); err != nil {
			return err
		}
	}
	if !told {
		return nil
	}
	r.state.Newest = source.Later(r.state.Newest, issued, r.Now)
	detail := advisory.Detail{ID: id, Group: group, Title: title(d.Title, id), Aliases: cves, Ratings: source.Rating("oracle", rating(d)), Published: issued}
	return r.Sink.Detail(detail, advisory.Text{ID: id, Group: group, Text: source.Text(d.Description, maxText), References: refs})
}

// lowest keeps the lowest of several fixed builds of a package: an erratum may
// hold Oracle's own rebuild (110-1.0.1.el8) beside the build that it is of
// (110-1.el8), and each of them is fixed. Builds of different flavours are not
// compared.
func lowest(said []oval.Statement) []oval.Statement {
	at, out := map[string]int{}, said[:0:0]
	for _, s := range said {
		key := strings.Join(append([]string{s.Package, s.Platform, s.Module, flavour(s.Range.Fixed), s.Range.Introduced}, s.Arch...), "\x00")
		i, ok := at[key]
		if !ok {
			at[key] = len(out)
			out = append(out, s)
			continue
		}
		c, err := version.Compare(version.RPM, s.Range.Fixed, out[i].Range.Fixed)
		switch {
		case err != nil:
			out = append(out, s)
		case c < 0:
			out[i] = s
		}
	}
	return out
}

// flavour names what a build is rebuilt for, and for kernels of UEK their line.
func flavour(evr string) string {
	for _, f := range []string{"ksplice", "_fips"} {
		if strings.Contains(evr, f) {
			return f
		}
	}
	if strings.Contains(evr, "uek") {
		line, _, _ := strings.Cut(evr, "-")
		return line
	}
	return ""
}

// each tells a record once for each flaw that the erratum fixes: they are not
// one flaw under several names.
func each(sink advisory.Sink, rec advisory.Record, cves []string) error {
	if len(cves) == 0 {
		return sink.Record(rec)
	}
	for _, cve := range cves {
		rec.Aliases = []string{cve}
		if err := sink.Record(rec); err != nil {
			return err
		}
	}
	return nil
}

// line begins the range of a kernel of UEK where its line begins: the same
// package's older lines, of other upstream versions, get their own errata.
func line(s oval.Statement) advisory.Range {
	version, rest, ok := strings.Cut(s.Range.Fixed, "-")
	if ok && s.Range.Introduced == "" && strings.HasPrefix(s.Package, "kernel-uek") && strings.Contains(rest, "uek") {
		s.Range.Introduced = version
	}
	return s.Range
}

// rating returns the vendor's word; Oracle writes N/A where it has none.
func rating(d *oval.Definition) string {
	word := strings.TrimSpace(d.Advisory.Severity)
	if source.Severity(word) == "" {
		return ""
	}
	return word
}

var severity = regexp.MustCompile(`\s*\((?:CRITICAL|IMPORTANT|MODERATE|LOW|N/A)\)\s*$`)

// title drops the erratum's id and the severity from its title.
func title(s, id string) string {
	s = strings.TrimSpace(s)
	s = strings.TrimLeft(strings.TrimPrefix(s, id), ": ")
	return source.Line(severity.ReplaceAllString(s, ""), maxTitle)
}
