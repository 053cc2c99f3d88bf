package match

import (
	"cmp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/cvss"
	"sekisho/scan/version"
)

// findings words what speaks against one package.
func (m *matcher) findings(p *sekisho.Package, all []flaw, scheme version.Scheme) ([]sekisho.Finding, error) {
	up := upgrade(all, scheme)
	out := make([]sekisho.Finding, 0, len(all))
	for i := range all {
		x, err := m.finding(p, &all[i], scheme)
		if err != nil {
			return nil, err
		}
		if len(x.FixedIn) > 0 {
			x.Upgrade = up
		}
		if m.Fingerprint != nil {
			x.Fingerprint = m.Fingerprint(x)
		}
		out = append(out, x)
	}
	return out, nil
}

func (m *matcher) finding(p *sekisho.Package, f *flaw, scheme version.Scheme) (sekisho.Finding, error) {
	v, _ := f.decisive()
	x := sekisho.Finding{Kind: sekisho.Vulnerability, ID: f.ids[0], Status: v.status, Package: &sekisho.PackageRef{Name: p.Name, Version: p.Version, PURL: p.PURL},
		FixedIn: f.fixes(scheme), Vulnerable: &sekisho.Vulnerable{Match: m.why(p, v, scheme), Reachable: reached(f)}}
	if v.status != sekisho.StatusFixed {
		x.FixedIn = nil
	}
	x.Location, x.Places = m.places(p, v)
	for _, w := range f.verdicts {
		x.Advisories = append(x.Advisories, w.record.Advisories...)
		x.Malicious = x.Malicious || w.record.Malicious
		if w.record.Rating != "" || w.record.Severity != "" {
			x.Ratings = append(x.Ratings, sekisho.Rating{Source: w.feed, Severity: cmp.Or(sekisho.Severity(w.record.Severity), sekisho.Unknown), Word: w.record.Rating})
		}
		if !w.record.Fixed.IsZero() && (x.Vulnerable.Fixed.IsZero() || w.record.Fixed.Before(x.Vulnerable.Fixed)) {
			x.Vulnerable.Fixed = w.record.Fixed
		}
	}
	ids, erratum := slices.Clone(f.ids), ""
	for _, w := range f.verdicts {
		d := m.details[w.subject()]
		if d == nil {
			continue
		}
		ids = append(ids, d.Aliases...)
		if slices.Contains(w.record.Advisories, w.record.ID) { // what an erratum is called tells of all that it fixes
			erratum = cmp.Or(erratum, d.Title)
			untitled := *d
			untitled.Title, untitled.TitleJA = "", ""
			d = &untitled
		}
		enrich(&x, w.feed, d)
	}
	if err := m.signals(&x, ids); err != nil {
		return x, err
	}
	x.Title = cmp.Or(x.Title, erratum)
	m.settle(&x, ids)
	return x, nil
}

func (m *matcher) ecosystem(p *sekisho.Package) string { return Ecosystem(p.Type, m.distribution) }

// places names the files that tell of the package, of a Go program's those that
// hold the flaw, and who brought them.
func (m *matcher) places(p *sekisho.Package, v *verdict) (first sekisho.Location, others []sekisho.Location) {
	first = sekisho.Location{Layer: p.Layer, Changed: p.Changed}
	for _, layer := range m.report.Target.Layers {
		if layer.DiffID == p.Layer && p.Layer != "" {
			first.Instruction = layer.Instruction
		}
	}
	paths := p.Locations
	if len(v.holders) > 0 {
		paths = v.holders
	}
	for i, path := range paths {
		if i == 0 {
			first.Path = path
			continue
		}
		others = append(others, sekisho.Location{Path: path, Layer: p.Layer, Changed: p.Changed})
	}
	return first, others
}

func (m *matcher) why(p *sekisho.Package, v *verdict, scheme version.Scheme) sekisho.Match {
	w := sekisho.Match{Feed: v.feed, Record: v.record.ID, Ecosystem: v.record.Ecosystem, Package: v.record.Package, Installed: v.installed,
		Range: v.hit, Scheme: string(scheme), Module: v.record.Module, Note: v.note}
	if v.record.Source && v.record.Package != p.Name {
		w.Via = "source"
	}
	if m.substitute && v.record.Ecosystem == m.distribution {
		w.Note = joined(w.Note, "the distribution has no advisories of its own; those of "+m.distribution+" stand in")
	}
	return w
}

// reached is yes when any record's functions are there, no when all are absent.
func reached(f *flaw) string {
	answer := ""
	for _, v := range f.verdicts {
		switch {
		case v.reachable == sekisho.ReachableYes:
			return v.reachable
		case answer == "" || answer == sekisho.ReachableUnknown:
			answer = cmp.Or(v.reachable, answer)
		}
	}
	return answer
}

// signals adds what others say about the CVE, and what is known of its
// exploitation.
func (m *matcher) signals(x *sekisho.Finding, ids []string) error {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if !strings.HasPrefix(id, "CVE-") {
			continue
		}
		for _, feed := range m.Enrich {
			enrich(x, feed, m.details[subject{feed, "", id}])
		}
		s, err := m.db.Signal(id)
		if err != nil {
			return err
		}
		if s.EPSS != nil && (x.EPSS == nil || s.EPSS.Score > x.EPSS.Score) {
			x.EPSS = s.EPSS
		}
		if s.KEV != nil {
			x.KEV = s.KEV
		}
	}
	return nil
}

// enrich adds one source's words; who spoke first about a thing keeps it.
func enrich(x *sekisho.Finding, feed string, d *advisory.Detail) {
	if d == nil {
		return
	}
	x.Title, x.TitleJA = cmp.Or(x.Title, d.Title), cmp.Or(x.TitleJA, d.TitleJA)
	x.CWE = append(x.CWE, d.CWE...)
	x.Ratings = append(x.Ratings, d.Ratings...)
	for _, c := range d.CVSS {
		if c.Version == "" || c.Score == 0 {
			if v, score, err := cvss.Base(c.Vector); err == nil {
				c.Version, c.Score = v, score
			}
		}
		c.Source = cmp.Or(c.Source, feed)
		if !slices.Contains(x.CVSS, c) {
			x.CVSS = append(x.CVSS, c)
		}
	}
	if x.Published.IsZero() || !d.Published.IsZero() && d.Published.Before(x.Published) {
		x.Published = d.Published
	}
	if d.Modified.After(x.Modified) {
		x.Modified = d.Modified
	}
}

// settle decides the severity, orders the lists and suppresses what a program
// does not hold.
func (m *matcher) settle(x *sekisho.Finding, ids []string) {
	slices.SortFunc(ids, byPreference)
	ids = slices.Compact(ids)
	x.Aliases = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == x.ID })
	for i := range x.CVSS {
		c := &x.CVSS[i]
		x.Ratings = append(x.Ratings, sekisho.Rating{Source: c.Source, Severity: cvss.Severity(c.Version, c.Score)})
	}
	x.Ratings = compactRatings(x.Ratings)
	x.Severity = severity(x)
	slices.Sort(x.CWE)
	x.CWE = slices.Compact(x.CWE)
	slices.Sort(x.Advisories)
	x.Advisories = slices.Compact(x.Advisories)
	x.Sources = references(x, ids)
	x.Title = cmp.Or(x.Title, x.ID)
	if x.Reachable == sekisho.ReachableNo && !x.Malicious {
		x.Suppressed = &sekisho.Suppressed{Reason: "vulnerable_code_not_present", Owner: "sekisho", By: "symbols"}
	}
}

// compactRatings leaves one rating a source: its own word before what its CVSS
// score amounts to. The same word again, of the same severity, is the same rating.
func compactRatings(list []sekisho.Rating) []sekisho.Rating {
	out := list[:0:0]
	for _, r := range list {
		i := slices.IndexFunc(out, func(o sekisho.Rating) bool {
			return o.Source == r.Source || r.Word != "" && o.Word == r.Word && o.Severity == r.Severity
		})
		if i < 0 {
			out = append(out, r)
		} else if out[i].Severity == sekisho.Unknown {
			out[i].Severity = r.Severity
		}
	}
	return out
}

// severity is the vendor's whose record decided, else the first that anybody
// gives. A package that is an attack is critical.
func severity(x *sekisho.Finding) sekisho.Severity {
	if x.Malicious {
		return sekisho.Critical
	}
	for _, r := range x.Ratings {
		if r.Source == x.Match.Feed && r.Severity.Rank() > 0 {
			return r.Severity
		}
	}
	for _, r := range x.Ratings {
		if r.Severity.Rank() > 0 {
			return r.Severity
		}
	}
	return sekisho.Unknown
}
