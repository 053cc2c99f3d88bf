package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/policy/fact"
	"sekisho/store"
)

const (
	manifest = sekisho.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	config   = sekisho.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
	index    = sekisho.Digest("sha256:3333333333333333333333333333333333333333333333333333333333333333")
)

func open(t *testing.T, dir string) *store.Facts {
	t.Helper()
	f, err := store.OpenFacts(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFacts(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	if f.Version(manifest) != "" {
		t.Error("something is known of an image that nobody kept")
	}
	if _, err := f.Image(manifest); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("%v", err)
	}
	version, err := f.Keep(&fact.Image{ScannedAs: "a:1", Digest: manifest, ID: config, Packages: []sekisho.Package{{Name: "x"}}}, index)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []sekisho.Digest{manifest, config, index} { // another process sees it under each digest
		got, err := open(t, dir).Image(d)
		if err != nil || got.ScannedAs != "a:1" || len(got.Packages) != 1 || f.Version(d) != version {
			t.Errorf("%s: %+v, %v", d, got, err)
		}
	}
	again, err := f.Keep(&fact.Image{ScannedAs: "a:2", Digest: manifest, ID: config})
	if err != nil || again == version || f.Version(config) != again {
		t.Errorf("new facts have the version of the old: %v", err)
	}
	if _, err := f.Keep(&fact.Image{}, "sha256:../../etc/x"); err == nil {
		t.Error("a digest that is a path was taken")
	}
}

func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	version, err := f.Keep(&fact.Image{ScannedAs: "a:1", Digest: manifest})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "facts", version+".zst")
	other, err := f.Keep(&fact.Image{ScannedAs: "evil:1", Digest: config})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(filepath.Join(dir, "facts", other+".zst"))
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Image(manifest); sekisho.KindOf(err) != sekisho.Corrupt || !strings.Contains(err.Error(), "not what was kept") {
		t.Errorf("other facts under the name are told as %v", err)
	}
	if err := os.WriteFile(name, data[:len(data)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Image(manifest); sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("half a file is told as %v", err)
	}
}

func TestPrune(t *testing.T) {
	f := open(t, t.TempDir())
	if _, err := f.Keep(&fact.Image{Digest: manifest}); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Prune(time.Now().Add(-time.Hour)); n != 0 || err != nil || f.Version(manifest) == "" {
		t.Errorf("%d fresh facts were removed, %v", n, err)
	}
	if n, err := f.Prune(time.Now().Add(time.Hour)); n != 1 || err != nil || f.Version(manifest) != "" {
		t.Errorf("%d old facts were removed, %v", n, err)
	}
}
