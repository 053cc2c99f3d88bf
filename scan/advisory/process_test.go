package advisory_test

import (
	"bufio"
	"crypto/ed25519"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
)

// TestMain lets the tests' own binary be another process: a writer that goes on
// until it is killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "writer" {
		fmt.Fprintln(os.Stderr, writer(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// ecosystems of the writer's database.
func written() []string { return []string{"npm", "PyPI", "Debian:12"} }

// writer commits one version of everything after another and says so before
// each. Its clock runs an hour a commit, so that old files go at once.
func writer(dir string) error {
	s, err := advisory.OpenStore(dir, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	start := 1
	for _, v := range s.State("osv").Cursors {
		fmt.Sscan(v, &start)
		start++
	}
	for n := start; ; n++ {
		b, err := s.Begin(osvInfo())
		if err != nil {
			return err
		}
		for _, e := range written() {
			b.Replace(advisory.Group(e))
			for i := range 400 {
				if err := b.Record(rec("A", e, fmt.Sprintf("package-%d", i), fmt.Sprintf("%09d", n))); err != nil {
					return err
				}
			}
		}
		fmt.Println(n)
		st := advisory.State{Cursors: map[string]string{"n": fmt.Sprint(n)}}
		if _, err := b.Commit(st, now().Add(time.Duration(n)*time.Hour)); err != nil {
			return err
		}
	}
}

// startWriter starts the process and returns the lines it says.
func startWriter(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "writer", dir)
	var wrong strings.Builder
	cmd.Stderr = &wrong
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if wrong.Len() > 0 {
			t.Errorf("the writer: %s", &wrong)
		}
	})
	return cmd, bufio.NewScanner(out)
}

// consistent reads some packages of each ecosystem: all of one file are of one
// version, and none is older than what was seen before.
func consistent(db *advisory.DB, least string) (string, error) {
	for _, e := range written() {
		versions := map[string]bool{}
		names := []string{"package-0", "package-199", "package-399"}
		err := db.FindAll(e, names, func(_ int, f advisory.Found) { versions[f.Ranges[0].Fixed] = true })
		if err != nil {
			return "", err
		}
		if len(versions) != 1 {
			return "", fmt.Errorf("%s has the versions %v", e, versions)
		}
		for v := range versions {
			if v < least {
				return "", fmt.Errorf("%s is at %s after %s was seen", e, v, least)
			}
			least = v
		}
	}
	return least, nil
}

// TestReadersWhileWritten: readers of this process and databases they keep open
// see whole versions only while another process writes.
func TestReadersWhileWritten(t *testing.T) {
	dir := t.TempDir()
	_, lines := startWriter(t, dir)
	for i := 0; i < 2 && lines.Scan(); i++ { // the first is written when the second is announced
	}
	var group sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		group.Go(func() {
			for opened := 0; ; opened++ {
				select {
				case <-done:
					if opened == 0 {
						t.Error("nothing was read")
					}
					return
				default:
				}
				if err := read(dir); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := 0; i < 25 && lines.Scan(); i++ {
	}
	close(done)
	group.Wait()
}

// read opens a database and reads it more than once.
func read(dir string) error {
	db, err := advisory.Open(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	least := ""
	for range 3 {
		if least, err = consistent(db, least); err != nil {
			return err
		}
	}
	return nil
}

// TestKilled: a writer that is killed at any time leaves a whole database, and
// the next one goes on.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	last := ""
	for round := range 12 {
		cmd, lines := startWriter(t, dir)
		// A version is announced before it is committed: the kill comes in the
		// middle, each time at another moment.
		for i := 0; i < 2+round%3 && lines.Scan(); i++ {
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		db, err := advisory.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		v, err := consistent(db, last)
		_ = db.Close()
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		last = v
	}
	s := openStore(t, dir)
	if left, _ := filepath.Glob(filepath.Join(dir, "work", "*")); len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
	// What crashed commits left behind goes with a later one.
	b := begin(t, s, advisory.Info{Name: "other"})
	put(t, b, rec("A", "npm", "one", "1"))
	if _, err := b.Commit(advisory.State{}, time.Now().AddDate(100, 0, 0)); err != nil {
		t.Fatal(err)
	}
	b = begin(t, s, advisory.Info{Name: "other"})
	if _, err := b.Commit(advisory.State{}, time.Now().AddDate(100, 0, 1)); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "records", "*", "*"))
	if len(files) != len(written())+1 {
		t.Errorf("%d files are left: %q", len(files), files)
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	_, lines := startWriter(t, dir)
	lines.Scan()
	if _, err := advisory.OpenStore(dir, nil); sekisho.KindOf(err) != sekisho.Unavailable {
		t.Errorf("two write: %v", err)
	}
}

func TestSignature(t *testing.T) {
	dir := t.TempDir()
	if _, err := advisory.Open(dir); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("no database: %v", err)
	}
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := advisory.OpenStore(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := begin(t, s, osvInfo())
	put(t, b, rec("A", "npm", "one", "1"))
	commit(t, b, advisory.State{})
	for _, c := range []struct {
		trusted []ed25519.PublicKey
		kind    sekisho.Kind
	}{{nil, sekisho.Forbidden}, {[]ed25519.PublicKey{other}, sekisho.Forbidden}} {
		if _, err := advisory.Open(dir, c.trusted...); sekisho.KindOf(err) != c.kind {
			t.Errorf("trusting %d keys: %v", len(c.trusted), err)
		}
	}
	db, err := advisory.Open(dir, other, pub)
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	path := filepath.Join(dir, "manifest")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		b := append([]byte(nil), whole...)
		b[at] ^= 1
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := advisory.Open(dir, pub)
		if k := sekisho.KindOf(err); err == nil || k != sekisho.Corrupt && k != sekisho.Forbidden {
			t.Fatalf("byte %d of the manifest was changed: %v", at, err)
		}
	}
	for n := range whole {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := advisory.Open(dir, pub); err == nil {
			t.Fatalf("the manifest was cut to %d bytes: no error", n)
		}
	}
}

// TestDamagedSegment: a file that is cut, changed or gone is refused with a
// hint, and the feed is to be read again.
func TestDamagedSegment(t *testing.T) {
	for name, damage := range map[string]func(path string, whole []byte) error{
		"cut":     func(p string, b []byte) error { return os.WriteFile(p, b[:len(b)/2], 0o644) },
		"empty":   func(p string, b []byte) error { return os.WriteFile(p, nil, 0o644) },
		"gone":    func(p string, b []byte) error { return os.Remove(p) },
		"changed": func(p string, b []byte) error { b[len(b)-100] ^= 1; return os.WriteFile(p, b, 0o644) },
		"another": func(p string, b []byte) error { return os.WriteFile(p, []byte("sekitbl\x01 and more"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			b := begin(t, s, osvInfo())
			put(t, b, rec("A", "npm", "one", "1"))
			commit(t, b, advisory.State{Cursors: map[string]string{"npm": "x"}})
			files, _ := filepath.Glob(filepath.Join(dir, "records", "osv", "*"))
			if len(files) != 1 {
				t.Fatalf("files %q", files)
			}
			whole, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(files[0]); err != nil {
				t.Fatal(err)
			}
			if err := damage(files[0], whole); err != nil && name != "gone" {
				t.Fatal(err)
			}
			_, err = openDB(t, dir).Find("npm", "one")
			e, ok := err.(*sekisho.Error)
			if !ok || e.Kind != sekisho.Corrupt || e.Hint == "" {
				t.Errorf("it was read: %v", err)
			}
			if got := s.State("osv"); got.Cursors != nil {
				t.Errorf("the state is kept: %+v", got)
			}
			b = begin(t, s, osvInfo())
			b.Replace("npm")
			put(t, b, rec("A", "npm", "one", "1"))
			commit(t, b, advisory.State{})
			same(t, "repaired", find(t, dir, "npm", "one"), []advisory.Record{rec("A", "npm", "one", "1")})
		})
	}
}
