package advisory_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
)

// TestRules tells the same database little stories: what a feed says in one or
// two updates, and what is known afterwards.
func TestRules(t *testing.T) {
	a1, a2, b1 := rec("A", "npm", "one", "1"), rec("A", "npm", "one", "2"), rec("B", "npm", "one", "1")
	module := a1
	module.Module = "nodejs:18"
	gone := advisory.Detail{ID: "A", Group: "npm", Withdrawn: now()}
	back := advisory.Detail{ID: "A", Group: "npm"}
	detail := func(s advisory.Sink, d advisory.Detail) { _ = s.Detail(d, advisory.Text{}) }
	for _, c := range []struct {
		name       string
		one, two   func(advisory.Sink)
		want       []advisory.Record
		duplicates int
		withdrawn  int
	}{
		{name: "alternatives of one id stay", two: func(s advisory.Sink) { put(t, s, a1, a2, module) }, want: []advisory.Record{a1, a2, module}},
		{name: "the same twice is one", two: func(s advisory.Sink) { put(t, s, a1, a1) }, want: []advisory.Record{a1}},
		{name: "an id that comes again: the last wins", two: func(s advisory.Sink) { put(t, s, a1, module, b1, a2) },
			want: []advisory.Record{a2, b1}, duplicates: 2},
		{name: "forgotten in the same update", two: func(s advisory.Sink) { put(t, s, a1, b1); s.Forget("A") }, want: []advisory.Record{b1}},
		{name: "forgotten and told anew", two: func(s advisory.Sink) { put(t, s, a1); s.Forget("A"); put(t, s, a2) }, want: []advisory.Record{a2}},
		{name: "forgotten in the next", one: func(s advisory.Sink) { put(t, s, a1, b1) }, two: func(s advisory.Sink) { s.Forget("A") }, want: []advisory.Record{b1}},
		{name: "all forgotten", one: func(s advisory.Sink) { put(t, s, a1, b1) }, two: func(s advisory.Sink) { s.Forget("A"); s.Forget("B") }},
		{name: "added to what is known", one: func(s advisory.Sink) { put(t, s, a1) }, two: func(s advisory.Sink) { put(t, s, b1) }, want: []advisory.Record{a1, b1}},
		{name: "told anew without Forget", one: func(s advisory.Sink) { put(t, s, a1, module, b1) }, two: func(s advisory.Sink) { put(t, s, a2) },
			want: []advisory.Record{a2, b1}},
		{name: "replaced", one: func(s advisory.Sink) { put(t, s, a1) }, two: func(s advisory.Sink) { s.Replace("npm"); put(t, s, b1) }, want: []advisory.Record{b1}},
		{name: "replaced twice in one update", two: func(s advisory.Sink) { s.Replace("npm"); put(t, s, a1); s.Replace("npm"); put(t, s, b1) },
			want: []advisory.Record{b1}},
		{name: "another is replaced", one: func(s advisory.Sink) { put(t, s, a1) }, two: func(s advisory.Sink) { s.Replace("PyPI"); put(t, s, rec("Z", "PyPI", "x", "1")) },
			want: []advisory.Record{a1}},
		{name: "withdrawn", two: func(s advisory.Sink) { put(t, s, a1, b1); detail(s, gone) }, want: []advisory.Record{b1}, withdrawn: 1},
		{name: "withdrawn before its records", two: func(s advisory.Sink) { detail(s, gone); put(t, s, a1, b1) }, want: []advisory.Record{b1}, withdrawn: 1},
		{name: "withdrawn and back", two: func(s advisory.Sink) { detail(s, gone); put(t, s, a1); detail(s, back) }, want: []advisory.Record{a1}, duplicates: 1},
		{name: "withdrawn in the next", one: func(s advisory.Sink) { put(t, s, a1, b1) }, two: func(s advisory.Sink) { detail(s, gone) },
			want: []advisory.Record{b1}, withdrawn: 1},
		{name: "withdrawn elsewhere", one: func(s advisory.Sink) { put(t, s, a1) },
			two: func(s advisory.Sink) { detail(s, advisory.Detail{ID: "A", Group: "PyPI", Withdrawn: now()}) }, want: []advisory.Record{a1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			if c.one != nil {
				b := begin(t, s, osvInfo())
				c.one(b)
				commit(t, b, advisory.State{})
			}
			b := begin(t, s, osvInfo())
			c.two(b)
			stats := commit(t, b, advisory.State{})
			same(t, "npm one", find(t, dir, "npm", "one"), c.want)
			if stats.Duplicates != c.duplicates || stats.Withdrawn != c.withdrawn || stats.Refused != 0 {
				t.Errorf("%+v, want %d duplicates, %d withdrawn", stats, c.duplicates, c.withdrawn)
			}
		})
	}
}

// TestReplaceRelease: one release of a distribution is replaced, the others and
// the details stay.
func TestReplaceRelease(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	b := begin(t, s, osvInfo())
	b.Replace("Debian")
	d11, d12 := rec("A", "Debian:11", "bash", "1"), rec("A", "Debian:12", "bash", "2")
	put(t, b, d11, d12)
	if err := b.Detail(advisory.Detail{ID: "A", Group: "Debian", Title: "a flaw"}, advisory.Text{Text: "long"}); err != nil {
		t.Fatal(err)
	}
	commit(t, b, advisory.State{})
	b = begin(t, s, osvInfo())
	b.Replace("Debian:12")
	put(t, b, rec("B", "Debian:12", "bash", "3"))
	commit(t, b, advisory.State{})
	same(t, "11", find(t, dir, "Debian:11", "bash"), []advisory.Record{d11})
	same(t, "12", find(t, dir, "Debian:12", "bash"), []advisory.Record{rec("B", "Debian:12", "bash", "3")})
	db := openDB(t, dir)
	if d, ok, err := db.Detail("osv", "Debian", "A"); !ok || err != nil || d.Title != "a flaw" || d.Group != "Debian" {
		t.Errorf("%+v %v %v", d, ok, err)
	}
	if x, ok, err := db.Text("osv", "Debian", "A"); !ok || err != nil || x.Text != "long" {
		t.Errorf("%+v %v %v", x, ok, err)
	}
	for _, absent := range [][2]string{{"osv", ""}, {"osv", "npm"}, {"nvd", "Debian"}} {
		if _, ok, err := db.Detail(absent[0], absent[1], "A"); ok || err != nil {
			t.Errorf("%q knows A too: %v", absent, err)
		}
	}
}

// TestNothingCame: an ecosystem does not vanish because its feed is empty, and
// one that is known to have nothing is covered.
func TestNothingCame(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	b := begin(t, s, osvInfo())
	b.Replace("npm")
	b.Replace("Alpine:v3.99")
	put(t, b, rec("A", "npm", "one", "1"))
	commit(t, b, advisory.State{})
	b = begin(t, s, osvInfo())
	b.Replace("npm")
	if _, err := b.Commit(advisory.State{}, now()); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("an empty npm was taken: %v", err)
	}
	db := openDB(t, dir)
	if got := db.Covers("npm"); len(got) != 1 || got[0].Values != 1 || got[0].Feed != "osv" {
		t.Errorf("npm: %+v", got)
	}
	if got := db.Covers("Alpine:v3.99"); len(got) != 1 || got[0].Values != 0 {
		t.Errorf("a release with nothing: %+v", got)
	}
	if got := db.Covers("Alpine:v3.98"); len(got) != 0 {
		t.Errorf("a release that nobody knows: %+v", got)
	}
	if got, err := db.Find("Alpine:v3.99", "musl"); len(got) != 0 || err != nil {
		t.Errorf("%v %v", got, err)
	}
}

func TestFeeds(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	b := begin(t, s, osvInfo())
	put(t, b, rec("A", "npm", "one", "1"), rec("A", "npm", "two", "1"))
	modified := time.Date(2025, 1, 2, 3, 4, 5, 678, time.FixedZone("x", 3600))
	if err := b.Detail(advisory.Detail{ID: "A", Group: "npm", Modified: modified}, advisory.Text{}); err != nil {
		t.Fatal(err)
	}
	st := advisory.State{Cursors: map[string]string{"npm": "7"}, Validators: map[string]advisory.Validator{"u": {ETag: "e"}}}
	commit(t, b, st)
	if got := s.State("osv"); got.Cursors["npm"] != "7" || got.Validators["u"].ETag != "e" {
		t.Errorf("state %+v", got)
	}
	if got := s.State("nvd"); got.Cursors != nil {
		t.Errorf("state of a feed that never was: %+v", got)
	}
	failed := sekisho.Errorf(sekisho.Unavailable, "no answer")
	if err := s.Failed("osv", failed, now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.Failed("debian", failed, now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Failed("../x", failed, now()); err == nil {
		t.Error("a feed's name led out of the directory")
	}
	if got := s.State("osv"); got.Cursors["npm"] != "7" {
		t.Errorf("a failure cost the state: %+v", got)
	}
	got := openDB(t, dir).Feeds()
	if len(got) != 2 || got[0].Name != "debian" || got[0].Error != "no answer" || got[0].Segments != 0 {
		t.Fatalf("%+v", got)
	}
	o := got[1]
	size := o.Bytes
	o.Bytes = 0
	want := advisory.FeedInfo{Name: "osv", Title: "OSV", URL: "https://osv.test", Licence: "CC-BY-4.0", Records: 2, Details: 1, Segments: 2,
		Newest: modified.UTC().Truncate(time.Second), Checked: now(), Error: "no answer", Failed: now().Add(time.Hour)}
	if o != want || size < 100 {
		t.Errorf("%+v of %d bytes, want %+v", o, size, want)
	}
	b = begin(t, s, osvInfo())
	commit(t, b, st)
	if got := openDB(t, dir).Feeds()[1]; got.Error != "" || got.Records != 2 {
		t.Errorf("after a success: %+v", got)
	}
}

// TestHostileNames: what a feed calls things never leads out of the directory
// nor stops an update.
func TestHostileNames(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "db")
	s := openStore(t, dir)
	b := begin(t, s, osvInfo())
	names := []string{"../../x", "/etc/passwd", "a/b:c\\d", "..", "日本", strings.Repeat("é", 200), "con", "-x"}
	for _, n := range names {
		put(t, b, rec("A", n, "one", "1"))
	}
	put(t, b, rec("", "npm", "one", "1"), rec("A", "", "one", "1"), rec("A", "npm", "", "1"), rec("A\x00B", "npm", "one", "1"), rec("A", "\xff\xfe", "one", "1"),
		rec("A", strings.Repeat("x", 5000), "one", "1"))
	long := rec("A", "npm", "one", "1")
	long.Versions = []string{strings.Repeat("9", 5<<20)}
	put(t, b, long)
	if st := commit(t, b, advisory.State{}); st.Refused != 7 || st.Records != len(names) {
		t.Errorf("%+v, want 7 refused and %d kept", st, len(names))
	}
	for _, n := range names {
		same(t, n, find(t, dir, n, "one"), []advisory.Record{rec("A", n, "one", "1")})
	}
	if files, _ := os.ReadDir(root); len(files) != 1 {
		t.Errorf("files beside the database: %v", files)
	}
	if _, err := s.Begin(advisory.Info{Name: "../x"}); err == nil {
		t.Error("a feed's name led out of the directory")
	}
	if e := openDB(t, dir).Ecosystems(); len(e) != len(names) || !slices.IsSorted(e) {
		t.Errorf("%q", e)
	}
}

// TestTwoFeeds: what two feeds say of one package comes apart, and an update of
// one leaves the other's.
func TestTwoFeeds(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	for _, name := range []string{"osv", "debian"} {
		b := begin(t, s, advisory.Info{Name: name})
		b.Replace("Debian")
		put(t, b, rec("CVE-1", "Debian:12", "bash", name))
		if err := b.Detail(advisory.Detail{ID: "CVE-1", Group: "Debian", Title: name}, advisory.Text{}); err != nil {
			t.Fatal(err)
		}
		commit(t, b, advisory.State{})
	}
	b := begin(t, s, advisory.Info{Name: "osv"})
	b.Replace("Debian")
	put(t, b, rec("CVE-2", "Debian:12", "bash", "new"))
	b.Abort()
	if _, err := b.Commit(advisory.State{}, now()); err == nil {
		t.Error("an aborted update was committed")
	}
	if err := b.Record(rec("CVE-3", "Debian:12", "bash", "new")); err == nil {
		t.Error("an update that ended took a record")
	}
	db := openDB(t, dir)
	got, err := db.Find("Debian:12", "bash")
	if err != nil || len(got) != 2 || got[0].Feed != "debian" || got[1].Feed != "osv" || got[0].Ranges[0].Fixed != "debian" || got[1].Ranges[0].Fixed != "osv" {
		t.Errorf("%+v %v", got, err)
	}
	if got := db.Covers("Debian:12"); len(got) != 2 || got[0].Keys != 1 {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"osv", "debian"} {
		if d, ok, err := db.Detail(name, "Debian", "CVE-1"); !ok || err != nil || d.Title != name {
			t.Errorf("%s: %+v %v %v", name, d, ok, err)
		}
	}
}

// TestDamagedManifest: the database is made anew rather than never again, but
// not somebody else's.
func TestDamagedManifest(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	first := func() *advisory.Builder {
		b := begin(t, s, osvInfo())
		put(t, b, rec("A", "npm", "one", "1"))
		return b
	}
	commit(t, first(), advisory.State{Cursors: map[string]string{"a": "b"}})
	path := filepath.Join(dir, "manifest")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.State("osv"); got.Cursors != nil {
		t.Errorf("the state of a damaged database: %+v", got)
	}
	commit(t, first(), advisory.State{})
	same(t, "again", find(t, dir, "npm", "one"), []advisory.Record{rec("A", "npm", "one", "1")})

	head, rest, _ := strings.Cut(string(whole), "ed25519 ")
	flip := map[byte]string{'0': "1"}[rest[0]]
	if flip == "" {
		flip = "0"
	}
	foreign := []byte(head + "ed25519 " + flip + rest[1:])
	if err := os.WriteFile(path, foreign, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := first().Commit(advisory.State{}, now()); sekisho.KindOf(err) != sekisho.Forbidden {
		t.Errorf("somebody else's database was written: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(foreign) {
		t.Errorf("it was changed; %v", err)
	}
}
