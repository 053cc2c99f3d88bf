package format

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sekisho"
	"sekisho/i18n"
)

// describeVulnerable words a vulnerability: its title in the printer's language
// where a feed has one, and what to do by its status.
func describeVulnerable(x *sekisho.Finding, p *i18n.Printer) {
	v := x.Vulnerable
	if v == nil {
		return
	}
	if p.Lang() == i18n.Japanese && v.TitleJA != "" {
		x.Title = v.TitleJA
	}
	if v.Malicious {
		x.Fix = p.Text("vulnerable.fix.malicious")
		return
	}
	name := ""
	if x.Package != nil {
		name = x.Package.Name
	}
	fixed := strings.Join(x.FixedIn, ", ")
	x.Fix = p.Text("vulnerable.fix."+cmp.Or(x.Status, sekisho.StatusAffected), "package", name, "version", cmp.Or(v.Upgrade, fixed), "fixed", fixed)
}

// pile is the vulnerabilities of packages that one upgrade concerns: those of
// one source package at one version.
type pile struct {
	Name, Version string
	Type          string
	Packages      []string
	Upgrade       string
	Fixable       int
	Findings      []sekisho.Finding // one a flaw, worst first
}

// Severity is that of the worst.
func (p pile) Severity() sekisho.Severity { return p.Findings[0].Severity }

// piles groups what is not suppressed, the worst first.
func piles(r *sekisho.Report) []pile {
	index := map[string]int{}
	var list []pile
	for _, x := range r.Findings {
		if x.Kind != sekisho.Vulnerability || x.Suppressed != nil || x.Package == nil || x.Vulnerable == nil {
			continue
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(x.Package.PURL, "pkg:"), "/")
		name := cmp.Or(x.Match.Package, x.Package.Name)
		key := kind + "\x00" + name + "\x00" + cmp.Or(x.Match.Installed, x.Package.Version)
		i, ok := index[key]
		if !ok {
			i = len(list)
			index[key] = i
			list = append(list, pile{Name: name, Version: cmp.Or(x.Match.Installed, x.Package.Version), Type: kind})
		}
		list[i].add(x)
	}
	for i := range list {
		slices.SortStableFunc(list[i].Findings, func(a, b sekisho.Finding) int {
			return cmp.Or(b.Severity.Rank()-a.Severity.Rank(), urgent(b)-urgent(a), cmp.Compare(likely(b), likely(a)))
		})
	}
	slices.SortStableFunc(list, func(a, b pile) int {
		return cmp.Or(b.Severity().Rank()-a.Severity().Rank(), b.urgent()-a.urgent(), len(b.Findings)-len(a.Findings), strings.Compare(a.Name, b.Name))
	})
	return list
}

func (p *pile) add(x sekisho.Finding) {
	if !slices.Contains(p.Packages, x.Package.Name) {
		p.Packages = append(p.Packages, x.Package.Name)
	}
	p.Upgrade = cmp.Or(p.Upgrade, x.Upgrade)
	if slices.ContainsFunc(p.Findings, func(o sekisho.Finding) bool { return o.ID == x.ID }) {
		return
	}
	if len(x.FixedIn) > 0 {
		p.Fixable++
	}
	p.Findings = append(p.Findings, x)
}

// urgent is 1 when the worst flaw is known to be exploited.
func (p pile) urgent() int { return urgent(p.Findings[0]) }

func urgent(x sekisho.Finding) int {
	if x.KEV != nil || x.Malicious {
		return 1
	}
	return 0
}

func likely(x sekisho.Finding) float64 {
	if x.EPSS == nil {
		return 0
	}
	return x.EPSS.Score
}

// vulnerable counts flaws, each once whatever the number of its packages.
func vulnerable(r *sekisho.Report) (flaws, suppressed int) {
	ids := map[string]bool{}
	for _, x := range r.Findings {
		if x.Kind != sekisho.Vulnerability {
			continue
		}
		if x.Suppressed != nil {
			suppressed++
			continue
		}
		ids[x.ID] = true
	}
	return len(ids), suppressed
}

// folded is how many flaws of a package are shown without --all.
const folded = 5

func (w *writer) vulnerabilities() {
	list := piles(w.r)
	if len(list) == 0 {
		return
	}
	flaws, _ := vulnerable(w.r)
	w.line("%s  %s", w.paint("1", w.t("report.vulnerabilities")), w.t("report.vulnerabilities.count", "flaws", flaws, "packages", len(list)))
	w.line("")
	for i, p := range list {
		if i == 40 && !w.All && len(list) > 41 {
			w.line("%s", w.paint("2", w.t("report.more", "count", len(list)-40)))
			break
		}
		w.pile(p)
	}
	w.line("")
}

func (w *writer) pile(p pile) {
	head := w.severity(p.Severity()) + "  " + w.paint("1", visible(p.Name+" "+p.Version)) + "  " + w.paint("2", p.Type)
	if len(p.Packages) > 1 || p.Packages[0] != p.Name {
		head += w.paint("2", "  ("+fit(visible(strings.Join(p.Packages, ", ")), 40)+")")
	}
	w.line("%s", head)
	for i, x := range p.Findings {
		if i == folded && !w.All && len(p.Findings) > folded+1 {
			w.line("      %s", w.paint("2", w.t("report.more", "count", len(p.Findings)-folded)))
			break
		}
		w.flaw(x)
	}
	for i, l := range wrap(visible(w.advice(p)), w.Width-8) {
		w.line("    %s %s", map[bool]string{true: "→", false: " "}[i == 0], l)
	}
	w.line("")
}

// advice says what clears a pile.
func (w *writer) advice(p pile) string {
	switch {
	case slices.ContainsFunc(p.Findings, func(x sekisho.Finding) bool { return x.Malicious }):
		return w.t("vulnerable.fix.malicious")
	case p.Upgrade != "":
		return w.t("vulnerable.upgrade", "package", p.Name, "version", p.Upgrade, "count", p.Fixable, "total", len(p.Findings))
	}
	return p.Findings[0].Fix
}

func (w *writer) flaw(x sekisho.Finding) {
	line := w.paint(marks[x.Severity].color, marks[x.Severity].symbol) + " " + pad(visible(x.ID), 16) + " "
	used := 8 + 17
	for _, n := range notes(x, w.Printer) {
		line += " " + w.paint("1", n)
		used += 1 + columns(n)
	}
	if x.Title != x.ID {
		line += "  " + fit(visible(x.Title), max(w.Width-used-2, 20))
	}
	w.line("      %s", line)
}

// notes are the few words that tell flaws apart: exploited, likely, its status.
func notes(x sekisho.Finding, p *i18n.Printer) (list []string) {
	if x.KEV != nil {
		list = append(list, p.Text("vulnerable.kev", "date", x.KEV.Due))
	}
	if x.Malicious {
		list = append(list, p.Text("vulnerable.malicious"))
	}
	if x.EPSS != nil && x.EPSS.Score >= 0.01 {
		list = append(list, fmt.Sprintf("EPSS %.0f%%", x.EPSS.Score*100))
	}
	if x.Status != sekisho.StatusFixed && x.Status != "" {
		list = append(list, "["+p.Text("status."+x.Status)+"]")
	}
	if x.Reachable == sekisho.ReachableYes {
		list = append(list, "["+p.Text("vulnerable.reachable")+"]")
	}
	if x.Expired != nil {
		list = append(list, "["+p.Text("report.expired.short")+"]")
	}
	return list
}

// coverage writes what was held against advisories, and loudly what was not.
func (w *writer) coverage() {
	var good []string
	for _, c := range covers(w.r) {
		if c.State == sekisho.Covered {
			good = append(good, cover(c, w.Printer))
		}
	}
	if len(good) > 0 {
		w.line("  %s %s", pad(w.t("report.coverage"), 16), fit(strings.Join(good, ", "), w.Width-20))
	}
	for _, c := range covers(w.r) {
		if c.State == sekisho.Covered {
			continue
		}
		for _, l := range wrap(visible(cover(c, w.Printer)), w.Width-20) {
			w.line("  %s %s", pad("", 16), w.paint("1;33", l))
		}
	}
}

// covers is the report's coverage, in one entry where there is no database.
func covers(r *sekisho.Report) []sekisho.Cover {
	all := sekisho.Cover{State: sekisho.NoDatabase}
	for _, c := range r.Coverage {
		if c.State != sekisho.NoDatabase {
			return r.Coverage
		}
		all.Packages += c.Packages
	}
	if all.Packages == 0 {
		return r.Coverage
	}
	return []sekisho.Cover{all}
}

// cover words the coverage of one ecosystem.
func cover(c sekisho.Cover, p *i18n.Printer) string {
	key := "coverage." + c.State
	if c.Substitute != "" && c.State == sekisho.Covered {
		key += ".substitute"
	}
	return p.Text(key, "ecosystem", c.Ecosystem, "packages", c.Packages, "feeds", strings.Join(c.Feeds, ", "), "substitute", c.Substitute)
}
