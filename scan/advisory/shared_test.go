package advisory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"sekisho/scan/advisory"
)

// TestOldManifest: a reader that has read the manifest and not yet opened a file
// finds what came later when the file is gone.
func TestOldManifest(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	at := now()
	update := func(records ...advisory.Record) {
		b := begin(t, s, osvInfo())
		b.Replace("Debian")
		put(t, b, records...)
		if _, err := b.Commit(advisory.State{}, at); err != nil {
			t.Fatal(err)
		}
	}
	old, kept := rec("A", "Debian:10", "bash", "1"), rec("A", "Debian:12", "bash", "1")
	newer := rec("A", "Debian:12", "bash", "2")
	update(old, kept)
	early, late, all := openDB(t, dir), openDB(t, dir), openDB(t, dir)
	at = at.Add(time.Minute)
	update(newer)
	got, err := early.Find("Debian:10", "bash")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "within the grace", got, []advisory.Record{old})
	at = at.Add(time.Hour)
	update(newer)
	if files, _ := filepath.Glob(filepath.Join(dir, "records", "osv", "*")); len(files) != 1 {
		t.Fatalf("old files are left: %q", files)
	}
	for _, c := range []struct {
		db   *advisory.DB
		part string
		want []advisory.Record
	}{{early, "Debian:10", []advisory.Record{old}}, {late, "Debian:10", nil}, {late, "Debian:12", []advisory.Record{newer}}} {
		got, err := c.db.Find(c.part, "bash")
		if err != nil {
			t.Fatalf("%s: %v", c.part, err)
		}
		same(t, c.part, got, c.want)
	}
	got, err = all.Mentions(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "everywhere", got, []advisory.Record{newer})
	if len(late.Covers("Debian:10")) != 0 {
		t.Error("the reader goes on to name what is gone")
	}
}

// TestSideBySide builds feeds at the same time, with goroutines that tell one.
func TestSideBySide(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	var feeds sync.WaitGroup
	for f := range 6 {
		feeds.Go(func() {
			b, err := s.Begin(advisory.Info{Name: fmt.Sprintf("feed-%d", f)})
			if err != nil {
				t.Error(err)
				return
			}
			b.Replace("npm")
			var tellers sync.WaitGroup
			for g := range 3 {
				tellers.Go(func() {
					for i := range 200 {
						if err := b.Record(rec(fmt.Sprintf("A-%d", i), "npm", fmt.Sprintf("one-%d", g), "1")); err != nil {
							t.Error(err)
						}
					}
				})
			}
			tellers.Wait()
			if st, err := b.Commit(advisory.State{}, now()); err != nil || st.Records != 600 {
				t.Errorf("%+v %v", st, err)
			}
		})
	}
	feeds.Wait()
	db := openDB(t, dir)
	if got := len(db.Feeds()); got != 6 {
		t.Errorf("%d feeds", got)
	}
	var readers sync.WaitGroup
	for g := range 8 {
		readers.Go(func() {
			if got, err := db.Find("npm", fmt.Sprintf("one-%d", g%3)); err != nil || len(got) != 6*200 {
				t.Errorf("%d records, %v", len(got), err)
			}
		})
	}
	readers.Wait()
}

// TestSameFiles: the same content gives the same files, in whatever order and
// updates it came.
func TestSameFiles(t *testing.T) {
	all := osvZip(t, "crates.io")
	files := func(parts ...[]osvRecord) (out []string) {
		dir := t.TempDir()
		s := openStore(t, dir)
		for _, p := range parts {
			b := begin(t, s, osvInfo())
			tell(t, b, p)
			commit(t, b, advisory.State{})
		}
		for _, seg := range openDB(t, dir).Segments() {
			out = append(out, seg.File()+" "+seg.SHA256)
		}
		return out
	}
	want := files(all)
	half := len(all) / 2
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	for name, got := range map[string][]string{
		"backwards": files(backwards), "in two updates": files(all[:half], all[half:]), "in overlapping updates": files(all[half/2:], all[:half]),
	} {
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(want) != 3 {
		t.Errorf("files %q", want)
	}
}

// TestCommitFails: the disk does not take a file in the middle of a commit.
// Nothing changes, and nothing is left.
func TestCommitFails(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	b := begin(t, s, osvInfo())
	put(t, b, rec("A", "npm", "one", "1"))
	commit(t, b, advisory.State{Cursors: map[string]string{"npm": "x"}})
	if err := os.WriteFile(filepath.Join(dir, "texts"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b = begin(t, s, osvInfo())
	b.Replace("npm")
	put(t, b, rec("A", "npm", "one", "2"))
	if err := b.Detail(advisory.Detail{ID: "A", Group: "npm"}, advisory.Text{Text: "long"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(advisory.State{}, now()); err == nil {
		t.Fatal("it was committed")
	}
	same(t, "as before", find(t, dir, "npm", "one"), []advisory.Record{rec("A", "npm", "one", "1")})
	if st := s.State("osv"); st.Cursors["npm"] != "x" {
		t.Errorf("state %+v", st)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "work", "*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
