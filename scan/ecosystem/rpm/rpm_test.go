package rpm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/fixture"
	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/rpm"
)

// TestDatabases compares every real database with what rpm -qa said of it.
func TestDatabases(t *testing.T) {
	dir := fixture.Dir(t, "rpm")
	for _, c := range []struct {
		file  string
		count int
		has   string
	}{
		{"sqlite-cbl-mariner-2.0/rpmdb.sqlite", 129, ""},
		{"ndb-sle15-bci/Packages.db", 35, ""},
		{"bdb-libuuid/Packages", 1, "libuuid"},
		{"nevra-ubi8/rpmdb.sqlite", 178, ""},
		{"nevra-ubi9/rpmdb.sqlite", 181, ""},
		{"nevra-ubi9-nodejs-module/rpmdb.sqlite", 301, ""},
	} {
		var out analyze.Result
		read(t, filepath.Join(dir, c.file), &out)
		if len(out.Problems) > 0 {
			t.Errorf("%s: %v", c.file, out.Problems)
		}
		keys := 0
		expected, err := os.ReadFile(filepath.Join(dir, filepath.Dir(c.file), "expected.tsv"))
		if err == nil {
			keys = compare(t, c.file, out, string(expected))
		}
		if len(out.Packages)+keys != c.count {
			t.Errorf("%s: %d packages and %d keys, want %d", c.file, len(out.Packages), keys, c.count)
		}
		if c.has != "" && out.Packages[0].Name != c.has {
			t.Errorf("%s: found %s, want %s", c.file, out.Packages[0].Name, c.has)
		}
		for _, p := range out.Packages {
			if p.Version == "" || p.Source.Name == "" {
				t.Errorf("%s: incomplete %+v", c.file, p)
			}
		}
	}
}

func compare(t *testing.T, file string, out analyze.Result, expected string) (keys int) {
	t.Helper()
	var want, got []string
	for line := range strings.Lines(expected) {
		w := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if w[0] == "gpg-pubkey" {
			keys++
			continue
		}
		want = append(want, w[0])
	}
	for _, p := range out.Packages {
		got = append(got, p.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	missing := slices.DeleteFunc(slices.Clone(want), func(n string) bool { return slices.Contains(got, n) })
	if len(missing) > 1 { // the header line
		t.Errorf("%s: missing %v", file, missing)
	}
	return keys
}

func read(t testing.TB, name string, out *analyze.Result) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f := &analyze.File{Path: "var/lib/rpm/" + filepath.Base(name), Size: int64(len(data)), Data: data}
	if w := rpm.New().Wants(f); w != analyze.Whole {
		t.Fatalf("%s is not wanted", f.Path)
	}
	if err := rpm.New().Analyze(f, out); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func FuzzAnalyze(f *testing.F) {
	names, _ := filepath.Glob("testdata/*/*")
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("RpmP" + strings.Repeat("\x00", 4096)))
	f.Add([]byte("SQLite format 3\x00" + strings.Repeat("\x01", 1024)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out analyze.Result
		file := &analyze.File{Path: "var/lib/rpm/Packages", Data: data}
		if err := rpm.New().Analyze(file, &out); err != nil && fmt.Sprint(err) == "" {
			t.Error("an error without words")
		}
	})
}
