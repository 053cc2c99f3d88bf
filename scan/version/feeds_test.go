package version_test

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/fixture"
	"sekisho/scan/version"
)

// affected is what of an OSV record has versions in it.
type affected struct {
	Package struct{ Ecosystem, Name string }
	Ranges  []struct {
		Type   string
		Events []map[string]string
	}
	Versions any // a list, but for one record
}

// TestFeeds holds that real advisories can be ordered: the limits of their
// ranges, and the versions that they list.
func TestFeeds(t *testing.T) {
	zips, err := filepath.Glob(filepath.Join(fixture.Dir(t, "../advisories/osv"), "*", "all.zip"))
	if err != nil || len(zips) < 8 {
		t.Fatalf("%d feeds, %v", len(zips), err)
	}
	limits, bad := map[string]int{}, map[string]int{}
	check := func(ecosystem, name, v string) {
		s, ok := version.Of(ecosystem)
		if !ok || v == "" {
			return
		}
		group, _, _ := strings.Cut(ecosystem, ":")
		limits[group]++
		if !version.Valid(s, v) {
			bad[group]++
			if bad[group] <= 15 {
				t.Logf("%s %s: %q has no place in the order of %s", ecosystem, name, v, s)
			}
		}
	}
	for _, name := range zips {
		eachAffected(t, name, func(a affected) {
			for _, r := range a.Ranges {
				if r.Type == "GIT" {
					continue
				}
				for _, event := range r.Events {
					for _, v := range event {
						check(a.Package.Ecosystem, a.Package.Name, v)
					}
				}
			}
			list, _ := a.Versions.([]any)
			for _, v := range list {
				check(a.Package.Ecosystem, a.Package.Name, fmt.Sprint(v))
			}
		})
	}
	t.Log("versions", limits, "without order", bad)
	for group, n := range bad {
		if n*1000 > limits[group] {
			t.Errorf("%s: %d of %d versions have no order", group, n, limits[group])
		}
	}
}

func eachAffected(t *testing.T, name string, do func(affected)) {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		var record struct{ Affected []affected }
		if err := json.Unmarshal(text, &record); err != nil {
			t.Fatalf("%s in %s: %v", f.Name, name, err)
		}
		for _, a := range record.Affected {
			do(a)
		}
	}
}

// TestRanges holds that the versions which feeds list lie in the ranges which
// they give: two statements of one thing, by people who used the native order.
func TestRanges(t *testing.T) {
	zips, err := filepath.Glob(filepath.Join(fixture.Dir(t, "../advisories/osv"), "*", "all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	listed, outside := map[version.Scheme]int{}, map[version.Scheme]int{}
	for _, name := range zips {
		eachAffected(t, name, func(a affected) {
			s, ok := version.Of(a.Package.Ecosystem)
			list, _ := a.Versions.([]any)
			ranges := a.eventsInOrder(s)
			if !ok || len(ranges) == 0 {
				return
			}
			for _, v := range list {
				listed[s]++
				if !slices.ContainsFunc(ranges, func(events []event) bool { return inside(s, fmt.Sprint(v), events) }) {
					outside[s]++
					t.Logf("%s: %v is outside %v", a.Package.Name, v, ranges)
				}
			}
		})
	}
	t.Log("listed", listed, "outside", outside)
	for s, least := range map[version.Scheme]int{version.PEP440: 140000, version.Maven: 29000, version.Dpkg: 400, version.RubyGems: 190, version.NuGet: 100, version.Composer: 50} {
		if listed[s] < least || outside[s]*10000 > listed[s] {
			t.Errorf("%s: %d of %d listed versions are outside their ranges", s, outside[s], listed[s])
		}
	}
}

// event is a limit of a range: kind is introduced, fixed or last_affected.
type event struct{ kind, version string }

// eventsInOrder sorts the events of each range that has versions, as the OSV
// schema asks of readers.
func (a affected) eventsInOrder(s version.Scheme) [][]event {
	var ranges [][]event
	for _, r := range a.Ranges {
		if r.Type == "GIT" {
			continue
		}
		var events []event
		for _, e := range r.Events {
			for kind, v := range e {
				events = append(events, event{kind, v})
			}
		}
		slices.SortStableFunc(events, func(x, y event) int {
			if x.version == "0" || y.version == "0" { // before any version
				switch {
				case x.version == y.version:
					return 0
				case x.version == "0":
					return -1
				}
				return 1
			}
			c, _ := version.Compare(s, x.version, y.version)
			return c
		})
		ranges = append(ranges, events)
	}
	return ranges
}

func inside(s version.Scheme, v string, events []event) bool {
	in := false
	for _, e := range events {
		c, err := version.Compare(s, v, e.version)
		switch {
		case e.kind == "introduced" && (e.version == "0" || err == nil && c >= 0):
			in = true
		case e.kind == "fixed" && (err != nil || c >= 0), e.kind == "last_affected" && (err != nil || c > 0):
			in = false
		}
	}
	return in
}
