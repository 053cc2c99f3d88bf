package match_test

import (
	"fmt"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/match"
)

// BenchmarkMatch judges 2,000 packages against a database in memory: the cost of
// deciding without that of looking up.
func BenchmarkMatch(b *testing.B) {
	db := known{records: map[string][]advisory.Record{}}
	var packages []sekisho.Package
	for i := range 2000 {
		name := fmt.Sprintf("package-%d", i)
		packages = append(packages, deb(name, "1.2.3-4", name, "1.2.3-4"))
		for j := range 5 {
			r := fixed(fmt.Sprintf("CVE-%d-%d", i, j), "Debian:12", name, fmt.Sprintf("1.2.%d-1", j))
			r.Source = true
			db.records["debian"] = append(db.records["debian"], r)
		}
	}
	indexed := byName{db, map[string][]advisory.Record{}}
	for _, r := range db.records["debian"] {
		indexed.records[r.Package] = append(indexed.records[r.Package], r)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := &sekisho.Report{Target: sekisho.Target{OS: &sekisho.OS{ID: "debian", Version: "12"}}, Packages: packages}
		if err := match.Match(indexed, r, match.Options{}); err != nil {
			b.Fatal(err)
		}
		if len(r.Findings) != 2000 {
			b.Fatal(len(r.Findings))
		}
	}
}

// byName is a database in memory that finds names at once.
type byName struct {
	known
	records map[string][]advisory.Record
}

func (b byName) Find(_ string, names []string, each func(int, string, *advisory.Record)) error {
	for i, name := range names {
		for j := range b.records[name] {
			each(i, "debian", &b.records[name][j])
		}
	}
	return nil
}
