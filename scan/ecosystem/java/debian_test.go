package java

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/scan/analyze"
)

// coordinates reads Debian's Maven repository: links named by group, artifact
// and version point to the archives of its packages.
func coordinates(t *testing.T, repo string) map[string][]id {
	t.Helper()
	all := map[string][]id{}
	err := filepath.WalkDir(repo, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".jar") {
			return err
		}
		file, err := filepath.EvalSymlinks(name)
		if err != nil {
			return nil // its package is not installed
		}
		rel, err := filepath.Rel(repo, name)
		if err != nil {
			return err
		}
		if parts := strings.Split(filepath.ToSlash(rel), "/"); len(parts) >= 4 {
			n := len(parts)
			all[file] = append(all[file], id{strings.Join(parts[:n-3], "."), parts[n-3], parts[n-2]})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDebianArchives compares with what Debian's packages say that their
// archives are.
func TestDebianArchives(t *testing.T) {
	const repo = "/usr/share/maven-repo"
	if _, err := os.Stat(filepath.Join(repo, "org/springframework")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no archives to compare with: %v (apt-get install libspring-core-java)", err)
		}
		t.Skipf("no archives to compare with: %v (apt-get install libspring-core-java)", err)
	}
	// Debian renamed these files or gave them a version that nothing in them tells.
	renamed := []string{"atinject-jsr330-api", "guice-no-aop", "jsr305", "spring3-", "hibernate-validator-4", "bsh-"}
	same, other := 0, 0
	for file, want := range coordinates(t, repo) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out analyze.Result
		if err := New().Analyze(&analyze.File{Path: strings.TrimPrefix(file, "/"), Data: data}, &out); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var got []string
		found := slices.ContainsFunc(want, func(w id) bool {
			return slices.ContainsFunc(out.Packages, func(p sekisho.Package) bool {
				got = append(got, p.PURL)
				return p.PURL == w.pack("").PURL
			})
		})
		switch {
		case found:
			same++
		case slices.ContainsFunc(renamed, func(n string) bool { return strings.HasPrefix(filepath.Base(file), n) }):
			other++
		default:
			t.Errorf("%s: got %v, want one of %v", file, got, want)
		}
	}
	if same < 10 {
		t.Errorf("%d archives compared, want more", same)
	}
	t.Logf("%d archives as Debian names them, %d that Debian renamed", same, other)
}
