package match_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/match"
)

// FuzzMatch holds that no record and no package, however odd, ends matching or
// makes more findings than there are flaws; and that each says what it is about.
func FuzzMatch(f *testing.F) {
	f.Add("deb", "openssl", "1:3.0.11-1~deb12u2", "openssl", "3.0.11-1", "", "CVE-2024-1", "0", "3.0.15", "", "fixed", "cpe:/a:redhat:rhel_eus:8.6::appstream", "")
	f.Add("rpm", "nodejs", "1:18.1.0-1.module+el8.6.0+1+a", "nodejs", "1:18.1.0", "nodejs:18:1:a", "ALSA-1", "", "1:18.2.0-1.module_el8.6.0+2+b", "", "", "pro", "nodejs:18")
	f.Add("golang", "k8s.io/kubernetes", "v1.2.3", "", "", "", "GO-1", "1.0.0", "", "2.0.0", "affected", "", "")
	f.Add("generic", "node", "99999999999999999999.0", "", "", "", "", "", "", "~~~", "not_affected", "cpe:/", ":")
	f.Fuzz(func(t *testing.T, kind, name, v, source, sourceVersion, module, id, introduced, fixed, last, status, repo, stream string) {
		p := sekisho.Package{Name: name, Version: v, Type: kind, Source: sekisho.Source{Name: source, Version: sourceVersion}, Module: module, Found: sekisho.Embedded, Locations: []string{name, ""}}
		var records []advisory.Record
		for _, ecosystem := range []string{"Debian:12", "Red Hat:8", "Red Hat", "Go", "Bitnami", "Node.js", "Kubernetes", "npm", "PyPI", "Maven"} {
			for i, of := range []string{name, source} {
				records = append(records, advisory.Record{ID: id, Ecosystem: ecosystem, Package: advisory.Normalise(ecosystem, of), Source: i == 1, Status: status, Module: stream,
					Ranges: []advisory.Range{{Introduced: introduced, Fixed: fixed, Last: last}, {Introduced: fixed}}, Versions: []string{last}, Repositories: []string{repo}, Symbols: []advisory.Symbols{{Package: name}}})
			}
		}
		db := known{records: map[string][]advisory.Record{"x": records}, details: map[string]advisory.Detail{"x " + id: {ID: id, Aliases: []string{introduced, "CVE-1"}, CVSS: []sekisho.CVSS{{Vector: fixed}}}}}
		for _, os := range []string{"debian", "rhel"} {
			r := &sekisho.Report{Generated: time.Unix(0, 0), Target: sekisho.Target{OS: &sekisho.OS{ID: os, Version: map[string]string{"debian": "12", "rhel": "8"}[os]}}, Packages: []sekisho.Package{p}}
			o := match.Options{Enrich: []string{"x"}, Repositories: []string{repo, introduced}, Programs: func(string) (match.Functions, bool) { return functions{}, true }}
			if err := match.Match(db, r, o); err != nil {
				t.Fatal(err)
			}
			if len(r.Findings) > len(records) {
				t.Errorf("%d findings of %d records", len(r.Findings), len(records))
			}
			for _, x := range r.Findings {
				if x.Package == nil || x.Match.Feed != "x" || x.Status == "" || x.Status == sekisho.StatusNotAffected {
					t.Errorf("a finding that does not say what it is: %+v", x)
				}
			}
		}
	})
}

// TestManyRanges holds that a record of very many ranges and versions is
// judged in good time, and its range is one, not all.
func TestManyRanges(t *testing.T) {
	r := advisory.Record{ID: "CVE-1", Ecosystem: "npm", Package: "x"}
	for i := range 50_000 {
		r.Ranges = append(r.Ranges, advisory.Range{Introduced: fmt.Sprintf("%d.0.0", i), Fixed: fmt.Sprintf("%d.5.0", i)})
		r.Versions = append(r.Versions, fmt.Sprintf("%d.7.0", i))
	}
	db := known{records: map[string][]advisory.Record{"osv": {r}}}
	found := report(t, db, nil, sekisho.Package{Name: "x", Version: "49999.1.0", Type: "npm"}, sekisho.Package{Name: "x", Version: "49999.6.0", Type: "npm"}).Findings
	if len(found) != 1 || found[0].Match.Range != ">= 49999.0.0, < 49999.5.0" || strings.Join(found[0].FixedIn, " ") != "49999.5.0" {
		t.Errorf("got %d findings: %+v", len(found), found)
	}
}

// TestManyFlaws holds that a package with as many flaws as Debian's kernel has
// costs about as much as many packages with few.
func TestManyFlaws(t *testing.T) {
	db := known{records: map[string][]advisory.Record{}}
	for i := range 20_000 {
		db.records["debian"] = append(db.records["debian"], fixed(fmt.Sprintf("CVE-1-%d", i), "Debian:12", "linux", fmt.Sprintf("6.1.%d-1", i)))
	}
	start := time.Now()
	r := report(t, db, nil, deb("linux", "6.0.1-1", "linux", "6.0.1-1"))
	if len(r.Findings) != 20_000 || r.Findings[0].Upgrade != "6.1.19999-1" {
		t.Errorf("%d findings, upgrade %q", len(r.Findings), r.Findings[0].Upgrade)
	}
	if took := time.Since(start); took > time.Minute { // about half a second
		t.Errorf("it took %v", took)
	}
}

// TestManyFindings holds that a report of 100,000 findings is made, in memory
// that grows with them and no faster.
func TestManyFindings(t *testing.T) {
	db := byName{known{records: map[string][]advisory.Record{"debian": {fixed("CVE-0", "Debian:12", "x", "2")}}}, map[string][]advisory.Record{}}
	var packages []sekisho.Package
	for i := range 1000 {
		name := fmt.Sprintf("p%d", i)
		packages = append(packages, deb(name, "1", name, "1"))
		for j := range 100 {
			db.records[name] = append(db.records[name], fixed(fmt.Sprintf("CVE-%d-%d", i, j), "Debian:12", name, fmt.Sprint(j+2)))
		}
	}
	r := &sekisho.Report{Target: sekisho.Target{OS: &sekisho.OS{ID: "debian", Version: "12"}}, Packages: packages}
	start := time.Now()
	if err := match.Match(db, r, match.Options{}); err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 100_000 || r.Findings[0].Upgrade != "101" {
		t.Errorf("%d findings, upgrade %q", len(r.Findings), r.Findings[0].Upgrade)
	}
	if took := time.Since(start); took > time.Minute { // about one second
		t.Errorf("it took %v", took)
	}
}
