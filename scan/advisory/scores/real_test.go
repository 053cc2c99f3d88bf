package scores

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"sekisho"
	"sekisho/internal/fixture"
)

// real returns EPSS scores of one day, in order of their CVEs.
func real(t testing.TB, most int) (keys []Key, list []sekisho.EPSS) {
	t.Helper()
	f, err := os.Open(filepath.Join(fixture.Dir(t, "../advisories/epss"), "epss_scores-2026-08-16.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(z)
	r.Comment, r.FieldsPerRecord = '#', -1
	type row struct {
		key  Key
		epss sekisho.EPSS
	}
	var rows []row
	for len(rows) < most {
		line, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		key, ok := Parse(line[0])
		if !ok {
			continue // the head
		}
		score, err := strconv.ParseFloat(line[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		percentile, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row{key, sekisho.EPSS{Score: score, Percentile: percentile, Date: "2026-08-16"}})
	}
	slices.SortFunc(rows, func(x, y row) int { return bytes.Compare(x.key[:], y.key[:]) })
	for _, r := range rows {
		keys, list = append(keys, r.key), append(list, r.epss)
	}
	return keys, list
}

// written writes a file of scores.
func written(t testing.TB, keys []Key, list []sekisho.EPSS) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.epss")
	w, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, k := range keys {
		if err := w.Add(k, list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := w.Finish([]byte(`{"feed":"epss"}`)); err != nil || info.Keys != len(keys) {
		t.Fatalf("%+v %v", info, err)
	}
	return name
}

// TestReal: every score comes out as it went in, and none that did not.
func TestReal(t *testing.T) {
	keys, list := real(t, 1<<30)
	f, err := Open(written(t, keys, list))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Rows() != len(keys) || len(keys) < 300_000 {
		t.Errorf("%d rows of %d", f.Rows(), len(keys))
	}
	for i, k := range keys {
		if e, err := f.Find(k); err != nil || e == nil || *e != list[i] {
			t.Fatalf("%s: %v %v, want %v", k, e, err, list[i])
		}
	}
	for _, id := range []string{"CVE-1998-0001", "CVE-2021-999999", "CVE-2155-0001"} {
		k, ok := Parse(id)
		if e, err := f.Find(k); !ok || e != nil || err != nil {
			t.Errorf("%s: %v %v", id, e, err)
		}
	}
	n := 0
	err = f.Scan(func(k Key, e sekisho.EPSS) error {
		if k != keys[n] || e != list[n] {
			t.Fatalf("row %d: %s %v", n, k, e)
		}
		n++
		return nil
	})
	if err != nil || n != len(keys) {
		t.Errorf("scanned %d: %v", n, err)
	}
}

func TestParse(t *testing.T) {
	for id, want := range map[string]bool{"CVE-2024-0001": true, "CVE-2024-1234567": true, "CVE-2024-001": false, "CVE-2024-00001": false, "cve-2024-0001": false, "GHSA-x": false, "CVE-1899-0001": false, "": false} {
		k, ok := Parse(id)
		if ok != want || ok && k.String() != id {
			t.Errorf("%q: %v %s", id, ok, k)
		}
	}
}

// TestDamage: no damaged byte is read as a score.
func TestDamage(t *testing.T) {
	keys, list := real(t, 1000)
	whole, err := os.ReadFile(written(t, keys, list))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "damaged")
	for at := 0; at < len(whole); at += 7 {
		data := bytes.Clone(whole)
		data[at] ^= 0x10
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := all(name); sekisho.KindOf(err) != sekisho.Corrupt {
			t.Fatalf("byte %d of %d: %v", at, len(whole), err)
		}
	}
	for _, n := range []int{0, 1, 40, len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile(name, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := all(name); err == nil {
			t.Errorf("cut to %d bytes: it was read", n)
		}
	}
}

// all reads a whole file.
func all(name string) error {
	f, err := Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Scan(func(Key, sekisho.EPSS) error { return nil })
}
