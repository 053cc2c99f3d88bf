package advisory_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
)

// TestVerify: a byte anywhere in any file is noticed, also where a scan would
// not read.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	b := begin(t, s, osvInfo())
	put(t, b, rec("A", "npm", "one", "1"))
	signals(t, b, map[string]sekisho.EPSS{"CVE-2024-0001": {Score: 0.5, Date: "2026-01-01"}}, map[string]sekisho.KEV{"CVE-2024-0001": {Added: "x"}})
	if err := b.Detail(advisory.Detail{ID: "A", Group: "npm"}, advisory.Text{Text: "long"}); err != nil {
		t.Fatal(err)
	}
	commit(t, b, advisory.State{})
	if err := openDB(t, dir).Verify(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "osv", "*"))
	if len(files) != 5 {
		t.Fatalf("files %q", files)
	}
	for _, f := range files {
		whole, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for at := range whole {
			bad := slices.Clone(whole)
			bad[at] ^= 0x10
			if err := os.WriteFile(f, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			db, err := advisory.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Verify(); sekisho.KindOf(err) != sekisho.Corrupt {
				t.Fatalf("byte %d of %s: %v", at, f, err)
			}
			_ = db.Close()
		}
		if err := os.WriteFile(f, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
