package advisory_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sekisho"
	"sekisho/scan/advisory"
)

func now() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func osvInfo() advisory.Info {
	return advisory.Info{Name: "osv", Title: "OSV", URL: "https://osv.test", Licence: "CC-BY-4.0"}
}

func openStore(t testing.TB, dir string) *advisory.Store {
	t.Helper()
	s, err := advisory.OpenStore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func begin(t testing.TB, s *advisory.Store, info advisory.Info) *advisory.Builder {
	t.Helper()
	b, err := s.Begin(info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Abort)
	return b
}

func commit(t testing.TB, b *advisory.Builder, st advisory.State) advisory.Stats {
	t.Helper()
	stats, err := b.Commit(st, now())
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

func openDB(t testing.TB, dir string) *advisory.DB {
	t.Helper()
	db, err := advisory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// want is what a package's records should be: by id, in any order.
func same(t testing.TB, what string, got []advisory.Found, want []advisory.Record) {
	t.Helper()
	order := func(a, b advisory.Record) int {
		return strings.Compare(a.ID+a.Module+first(a).Fixed+first(a).Introduced, b.ID+b.Module+first(b).Fixed+first(b).Introduced)
	}
	var records []advisory.Record
	for _, f := range got {
		records = append(records, f.Record)
	}
	slices.SortFunc(records, order)
	slices.SortFunc(want, order)
	if len(want)+len(records) == 0 || reflect.DeepEqual(want, records) {
		return
	}
	if d := cmp.Diff(want, records, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s: want -, got +\n%s", what, d)
	}
}

func first(r advisory.Record) (out advisory.Range) {
	if len(r.Ranges) > 0 {
		out = r.Ranges[0]
	}
	return out
}

// TestReal fills a database from AlmaLinux's feed and finds all of it again.
func TestReal(t *testing.T) {
	all, dir := osvZip(t, "AlmaLinux"), t.TempDir()
	b := begin(t, openStore(t, dir), osvInfo())
	b.Replace("AlmaLinux")
	tell(t, b, all)
	stats := commit(t, b, advisory.State{Cursors: map[string]string{"AlmaLinux": "x"}})
	if stats.Duplicates != 0 || stats.Refused != 0 || stats.Details != len(all) {
		t.Fatalf("%+v of %d advisories", stats, len(all))
	}
	want := map[[2]string][]advisory.Record{}
	n := 0
	for i := range all {
		for _, r := range all[i].records() {
			k := [2]string{r.Ecosystem, r.Package}
			if !slices.ContainsFunc(want[k], func(o advisory.Record) bool { return o.ID == r.ID && reflect.DeepEqual(o, r) }) {
				want[k] = append(want[k], r)
				n++
			}
		}
	}
	if stats.Records != n {
		t.Errorf("%d records are kept of %d", stats.Records, n)
	}
	db := openDB(t, dir)
	for k, w := range want {
		got, err := db.Find(k[0], k[1])
		if err != nil {
			t.Fatal(err)
		}
		same(t, k[0]+" "+k[1], got, w)
	}
	if e := db.Ecosystems(); !slices.Equal(e, []string{"AlmaLinux:10", "AlmaLinux:8", "AlmaLinux:9"}) {
		t.Errorf("ecosystems %q", e)
	}
	for i := range all {
		wd, wt := all[i].detail()
		d, ok, err := db.Detail("osv", "AlmaLinux", wd.ID)
		text, ok2, err2 := db.Text("osv", "AlmaLinux", wd.ID)
		if !ok || !ok2 || errors.Join(err, err2) != nil {
			t.Fatalf("%s: %v %v %v", wd.ID, ok, ok2, errors.Join(err, err2))
		}
		wd.Modified, wd.Published = wd.Modified.Truncate(time.Second), wd.Published.Truncate(time.Second)
		if reflect.DeepEqual(wd, d) && reflect.DeepEqual(wt, text) {
			continue
		}
		if d := cmp.Diff(wd, d, cmpopts.EquateEmpty()) + cmp.Diff(wt, text, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s: want -, got +\n%s", wd.ID, d)
		}
	}
	t.Logf("%+v", stats)
}

func rec(id, ecosystem, pkg, fixed string) advisory.Record {
	return advisory.Record{ID: id, Ecosystem: ecosystem, Package: pkg, Status: sekisho.StatusFixed, Ranges: []advisory.Range{{Fixed: fixed}}}
}

func put(t testing.TB, s advisory.Sink, records ...advisory.Record) {
	t.Helper()
	for _, r := range records {
		if err := s.Record(r); err != nil {
			t.Fatal(err)
		}
	}
}

func find(t testing.TB, dir, ecosystem, name string) []advisory.Found {
	t.Helper()
	got, err := openDB(t, dir).Find(ecosystem, name)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestIncrement(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	b := begin(t, s, osvInfo())
	b.Replace("npm")
	b.Replace("Debian")
	a1, a2, c1, d1 := rec("A", "npm", "one", "1"), rec("A", "npm", "two", "1"), rec("C", "npm", "one", "3"), rec("D", "Debian:12", "bash", "5")
	put(t, b, a1, a2, c1, d1)
	commit(t, b, advisory.State{})

	b = begin(t, s, osvInfo())
	b.Forget("A")
	a3, e1 := rec("A", "npm", "one", "1.1"), rec("E", "npm", "zero", "0")
	put(t, b, a3, e1)
	if st := commit(t, b, advisory.State{}); st.Kept != 1 || st.Written != 1 || st.Records != 4 {
		t.Errorf("one file was to change: %+v", st)
	}
	same(t, "one", find(t, dir, "npm", "one"), []advisory.Record{a3, c1})
	same(t, "two", find(t, dir, "npm", "two"), nil)
	same(t, "zero", find(t, dir, "npm", "zero"), []advisory.Record{e1})
	same(t, "bash", find(t, dir, "Debian:12", "bash"), []advisory.Record{d1})

	b = begin(t, s, osvInfo())
	b.Replace("npm")
	put(t, b, c1)
	commit(t, b, advisory.State{})
	same(t, "zero", find(t, dir, "npm", "zero"), nil)
	same(t, "bash", find(t, dir, "Debian:12", "bash"), []advisory.Record{d1})
}
