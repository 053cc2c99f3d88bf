package match_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/match"
)

// known is a database in memory.
type known struct {
	records map[string][]advisory.Record // by feed
	details map[string]advisory.Detail   // by feed and id
	signals map[string]advisory.Signal
}

func (k known) Find(ecosystem string, names []string, each func(int, string, *advisory.Record)) error {
	for feed, list := range k.records {
		for _, r := range list {
			if i := slices.Index(names, r.Package); i >= 0 && r.Ecosystem == ecosystem {
				each(i, feed, &r)
			}
		}
	}
	return nil
}

func (k known) Feeds(ecosystem string) (feeds []string) {
	for feed, list := range k.records {
		for _, r := range list {
			if r.Ecosystem == ecosystem {
				feeds = append(feeds, feed)
				break
			}
		}
	}
	return feeds
}

func (k known) Details(feed, _ string, ids []string, each func(int, advisory.Detail)) error {
	for i, id := range ids {
		if d, ok := k.details[feed+" "+id]; ok {
			each(i, d)
		}
	}
	return nil
}

func (k known) Signal(cve string) (advisory.Signal, error) { return k.signals[cve], nil }

func deb(name, version, source, sourceVersion string) sekisho.Package {
	return sekisho.Package{Name: name, Version: version, Type: "deb", PURL: "pkg:deb/debian/" + name + "@" + version, Arch: "amd64",
		Source: sekisho.Source{Name: source, Version: sourceVersion}, Found: sekisho.Installed, Locations: []string{"var/lib/dpkg/status"}}
}

func fixed(id, ecosystem, name, version string) advisory.Record {
	return advisory.Record{ID: id, Ecosystem: ecosystem, Package: name, Status: sekisho.StatusFixed, Ranges: []advisory.Range{{Fixed: version}}}
}

// report matches packages of Debian 12, or of another system.
func report(t *testing.T, db known, os *sekisho.OS, packages ...sekisho.Package) *sekisho.Report {
	t.Helper()
	if os == nil {
		os = &sekisho.OS{ID: "debian", Version: "12", SupportedUntil: "2028-06-30"}
	}
	r := &sekisho.Report{Generated: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), Target: sekisho.Target{OS: os}, Packages: packages}
	if err := match.Match(db, r, match.Options{Enrich: []string{"nvd", "jvn"}}); err != nil {
		t.Fatal(err)
	}
	return r
}

// told writes findings as "package id status fixes", one a word group.
func told(r *sekisho.Report) string {
	var list []string
	for _, x := range r.Findings {
		list = append(list, strings.Join(append([]string{x.Package.Name, x.ID, x.Status}, x.FixedIn...), " "))
	}
	return strings.Join(list, "\n")
}

func TestDistribution(t *testing.T) {
	source := func(r advisory.Record) advisory.Record { r.Source = true; return r }
	db := known{records: map[string][]advisory.Record{"debian": {
		source(fixed("CVE-1", "Debian:12", "openssl", "3.0.15-1~deb12u1")),
		source(advisory.Record{ID: "CVE-2", Ecosystem: "Debian:12", Package: "openssl", Status: sekisho.StatusWontFix, Ranges: []advisory.Range{{}}, Rating: "unimportant", Severity: string(sekisho.None)}),
		source(advisory.Record{ID: "CVE-3", Ecosystem: "Debian:12", Package: "openssl", Status: sekisho.StatusNotAffected}),
		source(fixed("CVE-4", "Debian:12", "glibc", "2.36-9+deb12u9")),
		source(fixed("CVE-5", "Debian:12", "libssl3", "9")), // another source of the name of a binary
		source(fixed("CVE-6", "Debian:11", "openssl", "9")),
	}}}
	r := report(t, db, nil, deb("libssl3", "3.0.11-1~deb12u2", "openssl", "3.0.11-1~deb12u2"), deb("openssl", "3.0.15-1~deb12u1", "openssl", "3.0.15-1~deb12u1"),
		deb("locales", "2.36-9+deb12u1", "glibc", "2.36-9+deb12u1"), deb("libc6", "2.36-9+deb12u9", "glibc", "2.36-9+deb12u9"))
	want := "libssl3 CVE-1 fixed 3.0.15-1~deb12u1\nlibssl3 CVE-2 will_not_fix\nopenssl CVE-2 will_not_fix"
	if got := told(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	x := r.Findings[0]
	if x.Match.Via != "source" || x.Match.Range != "< 3.0.15-1~deb12u1" || x.Match.Scheme != "dpkg" || x.Upgrade != "3.0.15-1~deb12u1" || x.Match.Installed != "3.0.11-1~deb12u2" {
		t.Errorf("it does not say why it matched: %+v", x.Match)
	}
}

// TestSourceVersion holds that a source's advisory is compared with the
// source's version, not with that of a binary that counts on its own.
func TestSourceVersion(t *testing.T) {
	r := fixed("CVE-1", "Debian:12", "gcc-defaults", "1.203")
	r.Source = true
	db := known{records: map[string][]advisory.Record{"debian": {r}}}
	if got := told(report(t, db, nil, deb("gcc", "4:12.2.0-3", "gcc-defaults", "1.202"))); got != "gcc CVE-1 fixed 1.203" {
		t.Errorf("got %q", got)
	}
	// a bill of materials that names no source
	if got := told(report(t, db, nil, deb("gcc-defaults", "1.202", "", ""))); got != "gcc-defaults CVE-1 fixed 1.203" {
		t.Errorf("got %q", got)
	}
}

func TestNotCovered(t *testing.T) {
	db := known{records: map[string][]advisory.Record{"osv": {fixed("GHSA-1", "npm", "x", "2.0.0")}}}
	r := report(t, db, &sekisho.OS{ID: "haiku", Version: "1"}, deb("a", "1", "a", "1"), sekisho.Package{Name: "x", Version: "1.0.0", Type: "npm"})
	if len(r.Coverage) != 2 || r.Coverage[0].State != sekisho.NotCovered || r.Coverage[0].Packages != 1 || r.Coverage[1].State != sekisho.Covered {
		t.Errorf("coverage %+v", r.Coverage)
	}
	r = report(t, known{records: map[string][]advisory.Record{"debian": {fixed("CVE-1", "Debian:10", "a", "2")}}}, &sekisho.OS{ID: "debian", Version: "10", SupportedUntil: "2024-06-30"}, deb("a", "1", "a", "1"))
	if len(r.Coverage) != 1 || r.Coverage[0].State != sekisho.EndOfLife {
		t.Errorf("a release out of support is told as %+v", r.Coverage)
	}
}

func TestAliases(t *testing.T) {
	ghsa := fixed("GHSA-aaaa", "npm", "x", "2.0.1")
	ghsa.Aliases = []string{"CVE-9"}
	other := fixed("NPM-7", "npm", "x", "2.0.0")
	other.Aliases = []string{"GHSA-aaaa"}
	second := fixed("GHSA-bbbb", "npm", "x", "2.5.0")
	db := known{records: map[string][]advisory.Record{"osv": {ghsa, other, second}},
		details: map[string]advisory.Detail{
			"nvd CVE-9":     {Title: "of nvd", CVSS: []sekisho.CVSS{{Source: "nvd", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}},
			"osv GHSA-aaaa": {Title: "of ghsa", Ratings: []sekisho.Rating{{Source: "ghsa", Severity: sekisho.High}}},
			"jvn CVE-9":     {TitleJA: "題"},
		},
		signals: map[string]advisory.Signal{"CVE-9": {EPSS: &sekisho.EPSS{Score: 0.5}, KEV: &sekisho.KEV{Due: "2026-12-01"}}}}
	r := report(t, db, nil, sekisho.Package{Name: "x", Version: "1.0.0", Type: "npm"})
	if len(r.Findings) != 2 {
		t.Fatalf("one flaw under several names is told as %q", told(r))
	}
	x := r.Findings[0]
	if x.ID != "CVE-9" || strings.Join(x.Aliases, " ") != "GHSA-aaaa NPM-7" || x.Title != "of ghsa" || x.TitleJA != "題" || x.KEV == nil || x.EPSS == nil {
		t.Errorf("%+v %+v", x, x.Vulnerable)
	}
	if len(x.CVSS) != 1 || x.CVSS[0].Score != 9.8 || x.Upgrade != "2.5.0" {
		t.Errorf("scores %+v, upgrade %q", x.CVSS, x.Upgrade)
	}
}

// TestErratum holds that a fix of several flaws does not make one of them.
func TestErratum(t *testing.T) {
	one, two := fixed("ALSA-1", "AlmaLinux:9", "x", "2-1.el9"), fixed("ALSA-1", "AlmaLinux:9", "x", "2-1.el9")
	one.Advisories, one.Aliases = []string{"ALSA-1"}, []string{"CVE-1"}
	two.Advisories, two.Aliases = []string{"ALSA-1"}, []string{"CVE-2"}
	db := known{records: map[string][]advisory.Record{"osv": {one, two}}}
	p := sekisho.Package{Name: "x", Version: "1-1.el9", Type: "rpm"}
	if got := told(report(t, db, &sekisho.OS{ID: "almalinux", Version: "9.4"}, p)); got != "x CVE-1 fixed 2-1.el9\nx CVE-2 fixed 2-1.el9" {
		t.Errorf("got %q", got)
	}
}

func TestStreams(t *testing.T) {
	in18, in20 := fixed("CVE-18", "Red Hat:8", "nodejs", "1:18.20.0-1.module+el8.9"), fixed("CVE-20", "Red Hat:8", "nodejs", "1:20.20.0-1.module+el8.9")
	in18.Module, in20.Module = "nodejs:18", "nodejs:20"
	eus := fixed("CVE-E", "Red Hat:8", "nodejs", "1:99")
	eus.Repositories = []string{"cpe:/a:redhat:rhel_eus:8.6::appstream"}
	db := known{records: map[string][]advisory.Record{"redhat": {in18, in20, eus}}}
	os := &sekisho.OS{ID: "rhel", Version: "8.9"}
	p := sekisho.Package{Name: "nodejs", Version: "1:18.14.0-1.module+el8.8", Type: "rpm", Module: "nodejs:18:8080020230118:63b34585"}
	if got := told(report(t, db, os, p)); got != "nodejs CVE-18 fixed 1:18.20.0-1.module+el8.9" {
		t.Errorf("got %q", got)
	}
	p.Module = ""
	r := report(t, db, os, p)
	if len(r.Findings) != 2 || !strings.Contains(r.Findings[0].Match.Note, "no modularity label") {
		t.Errorf("a lost label is told as %q", told(r))
	}
}

func TestUbuntuPro(t *testing.T) {
	r := fixed("CVE-1", "Ubuntu:20.04", "x", "1.2-1ubuntu0.1~esm1")
	r.Source, r.Repositories = true, []string{"pro"}
	db := known{records: map[string][]advisory.Record{"osv": {r}}}
	rep := report(t, db, &sekisho.OS{ID: "ubuntu", Version: "20.04"}, deb("x", "1.2-1", "x", "1.2-1"))
	if told(rep) != "x CVE-1 affected" || !strings.Contains(rep.Findings[0].Match.Note, "Ubuntu Pro: 1.2-1ubuntu0.1~esm1") {
		t.Errorf("a fix for customers only is told as %q, %q", told(rep), rep.Findings[0].Match.Note)
	}
}

func TestOwnedByDistribution(t *testing.T) {
	db := known{records: map[string][]advisory.Record{"osv": {fixed("GHSA-1", "PyPI", "urllib3", "2.0")}, "debian": {fixed("CVE-2", "Debian:12", "zzz", "2")}}}
	p := sekisho.Package{Name: "urllib3", Version: "1.24.2", Type: "pypi", Owner: "deb:python3-urllib3"}
	if got := told(report(t, db, nil, p)); got != "" {
		t.Errorf("upstream's word about a patched build of the distribution: %q", got)
	}
	p.Owner = ""
	if got := told(report(t, db, nil, p)); got != "urllib3 GHSA-1 fixed 2.0" {
		t.Errorf("got %q", got)
	}
}

func TestUncomparable(t *testing.T) {
	db := known{records: map[string][]advisory.Record{"osv": {fixed("GO-1", "Go", "example.org/m", "1.2.3")}}}
	r := report(t, db, nil, sekisho.Package{Name: "example.org/m", Version: "(devel)", Type: "golang"})
	if len(r.Findings) != 0 || r.Coverage[0].Unjudged != 1 {
		t.Errorf("a version that says nothing: %q, %+v", told(r), r.Coverage)
	}
}

// functions of a program.
type functions map[string]bool

func (f functions) Has(pkg, name string) bool { return f[pkg+"."+name] }

func TestReachable(t *testing.T) {
	rec := fixed("GO-1", "Go", "example.org/m", "1.2.3")
	rec.Symbols = []advisory.Symbols{{Package: "example.org/m/p", Names: []string{"F", "T.M"}}}
	db := known{records: map[string][]advisory.Record{"osv": {rec}}}
	for name, c := range map[string]struct {
		f         functions
		reachable string
		counts    bool
	}{"in": {functions{"example.org/m/p.T.M": true}, "yes", true}, "out": {functions{"example.org/m/p.G": true}, "no", false}} {
		r := &sekisho.Report{Packages: []sekisho.Package{{Name: "example.org/m", Version: "v1.0.0", Type: "golang", Found: sekisho.Embedded, Locations: []string{"app"}}}}
		if err := match.Match(db, r, match.Options{Programs: func(string) (match.Functions, bool) { return c.f, true }}); err != nil {
			t.Fatal(err)
		}
		if x := r.Findings[0]; x.Reachable != c.reachable || (x.Suppressed == nil) != c.counts {
			t.Errorf("%s: reachable %q, suppressed %v", name, x.Reachable, x.Suppressed)
		}
	}
}

// TestProcessor holds that a flaw of other processors is none of the target's,
// and that of an unknown processor's it may be.
func TestProcessor(t *testing.T) {
	rec := fixed("GO-2025-3447", "Go", "stdlib", "1.22.12")
	rec.Symbols = []advisory.Symbols{{Package: "crypto/internal/nistec", GOARCH: []string{"ppc64le"}, Names: []string{"P256Point.SetBytes"}}}
	db := known{records: map[string][]advisory.Record{"osv": {rec}}}
	held := functions{"crypto/internal/nistec.P256Point.SetBytes": true}
	for platform, want := range map[string]string{"linux/amd64": "no", "linux/ppc64le": "yes", "linux/arm/v7": "no", "": "yes"} {
		r := &sekisho.Report{Target: sekisho.Target{Platform: platform}, Packages: []sekisho.Package{{Name: "stdlib", Version: "1.21.0", Type: "golang", Found: sekisho.Embedded, Locations: []string{"app"}}}}
		if err := match.Match(db, r, match.Options{Programs: func(string) (match.Functions, bool) { return held, true }}); err != nil {
			t.Fatal(err)
		}
		if got := r.Findings[0].Reachable; got != want {
			t.Errorf("%q: reachable %q, want %q", platform, got, want)
		}
	}
}

// TestSeverity holds whose word counts: the vendor's where it has one, nobody's
// silence.
func TestSeverity(t *testing.T) {
	unassigned, none, low := fixed("CVE-1", "Debian:12", "a", "2"), fixed("CVE-2", "Debian:12", "a", "2"), fixed("CVE-3", "Debian:12", "a", "2")
	none.Rating, none.Severity = "unimportant", string(sekisho.None)
	low.Rating, low.Severity = "low", string(sekisho.Low)
	db := known{records: map[string][]advisory.Record{"debian": {unassigned, none, low}}, details: map[string]advisory.Detail{}}
	for _, id := range []string{"CVE-1", "CVE-2", "CVE-3"} {
		db.details["nvd "+id] = advisory.Detail{ID: id, CVSS: []sekisho.CVSS{{Source: "nvd", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}}
	}
	want := map[string]sekisho.Severity{"CVE-1": sekisho.Critical, "CVE-2": sekisho.None, "CVE-3": sekisho.Low}
	for _, x := range report(t, db, nil, deb("a", "1", "a", "1")).Findings {
		if x.Severity != want[x.ID] || x.CVSS[0].Score != 9.8 {
			t.Errorf("%s: %s, want %s; CVSS %+v", x.ID, x.Severity, want[x.ID], x.CVSS)
		}
	}
}

// TestTitle holds that an erratum's title, which tells of all that it fixes,
// stands for a flaw only where nobody tells of the flaw itself.
func TestTitle(t *testing.T) {
	a, b := fixed("ALSA-2024:1", "AlmaLinux:9", "x", "2"), fixed("ALSA-2024:1", "AlmaLinux:9", "x", "2")
	for i, r := range []*advisory.Record{&a, &b} {
		r.Aliases, r.Advisories = []string{[]string{"CVE-2024-1", "CVE-2024-2"}[i]}, []string{"ALSA-2024:1"}
		r.Rating, r.Severity = "Important", string(sekisho.High)
	}
	db := known{records: map[string][]advisory.Record{"osv-almalinux": {a, b}}, details: map[string]advisory.Detail{
		"osv-almalinux ALSA-2024:1": {ID: "ALSA-2024:1", Title: "Important: x update", Ratings: []sekisho.Rating{{Source: "almalinux", Severity: sekisho.High, Word: "Important"}}},
		"nvd CVE-2024-1":            {ID: "CVE-2024-1", Title: "Overflow in x"}}}
	r := report(t, db, &sekisho.OS{ID: "almalinux", Version: "9.4"}, rpm("x", "1"))
	want := map[string]string{"CVE-2024-1": "Overflow in x", "CVE-2024-2": "Important: x update"}
	for _, x := range r.Findings {
		if x.Title != want[x.ID] || len(x.Ratings) != 1 || len(x.Sources) != 2 {
			t.Errorf("%s: %q, ratings %+v, sources %+v", x.ID, x.Title, x.Ratings, x.Sources)
		}
	}
	if len(r.Findings) != 2 {
		t.Errorf("%d findings", len(r.Findings))
	}
}
