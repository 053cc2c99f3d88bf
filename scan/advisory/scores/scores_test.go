package scores

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"sekisho"
)

// FuzzEPSS reads hostile files whose sums hold.
func FuzzEPSS(f *testing.F) {
	for _, rows := range []int{0, 1, perPage, 2*perPage + 7} {
		f.Add(smallEPSS(f, rows), "CVE-2024-0005")
	}
	f.Fuzz(func(t *testing.T, b []byte, cve string) {
		mendEPSS(b)
		path := filepath.Join(t.TempDir(), "e")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		e, err := Open(path)
		if err != nil {
			if sekisho.KindOf(err) != sekisho.Corrupt {
				t.Fatal(err)
			}
			return
		}
		defer e.Close()
		if k, ok := Parse(cve); ok {
			if _, err := e.Find(k); err != nil && sekisho.KindOf(err) != sekisho.Corrupt {
				t.Fatal(err)
			}
		}
		rows := 0
		err = e.Scan(func(Key, sekisho.EPSS) error { rows++; return nil })
		if err == nil && rows != e.rows || err != nil && sekisho.KindOf(err) != sekisho.Corrupt {
			t.Fatalf("%d rows, want %d; %v", rows, e.rows, err)
		}
	})
}

func smallEPSS(t testing.TB, rows int) []byte {
	path := filepath.Join(t.TempDir(), "e")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		k, _ := Parse(format(2024, uint64(i)))
		if err := w.Add(k, sekisho.EPSS{Score: float64(i) / 1000, Date: "2026-01-01"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish([]byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mendEPSS makes sums hold where the sizes allow it.
func mendEPSS(b []byte) {
	if len(b) < len(magic)+footSize {
		return
	}
	foot := b[len(b)-footSize:]
	rows, size := int(binary.BigEndian.Uint32(foot)), int(binary.BigEndian.Uint32(foot[4:]))
	pages := (rows + perPage - 1) / perPage
	start := len(magic) + rows*rowSize + 4*pages
	if end := start + 5*pages + size; end == len(b)-footSize {
		for n := range pages {
			at := len(magic) + n*pageSize
			to := at + 4 + min(perPage, rows-n*perPage)*rowSize
			binary.BigEndian.PutUint32(b[at:], castagnoli(b[at+4:to]))
		}
		binary.BigEndian.PutUint32(foot[8:], castagnoli(b[start:end]))
	}
	binary.BigEndian.PutUint32(foot[12:], castagnoli(foot[:12]))
}
