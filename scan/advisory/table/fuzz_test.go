package table_test

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"sekisho"
	"sekisho/scan/advisory/table"
)

// FuzzTable changes files and makes their sums hold again, as somebody would
// who wants to get past them.
func FuzzTable(f *testing.F) {
	keys := someKeys(60)
	path := filepath.Join(f.TempDir(), "t")
	write(f, path, keys, valuesOf)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, keys[0])
	small := filepath.Join(f.TempDir(), "s")
	write(f, small, keys[:2], func(k string) [][]byte { return [][]byte{[]byte(k)} })
	whole, err = os.ReadFile(small)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, keys[1])
	cache := newCache(f)
	f.Fuzz(func(t *testing.T, b []byte, key string) {
		mend(b)
		path := filepath.Join(t.TempDir(), "t")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		tb, err := table.Open(path, cache)
		if err != nil {
			if sekisho.KindOf(err) != sekisho.Corrupt {
				t.Fatalf("open: %v", err)
			}
			return
		}
		defer tb.Close()
		check := func(what string, err error) {
			if err != nil && sekisho.KindOf(err) != sekisho.Corrupt {
				t.Fatalf("%s: %v", what, err)
			}
		}
		_, err = tb.Find(key)
		check("find", err)
		check("find all", tb.FindAll(append([]string{key, key}, keys...), func(int, [][]byte) error { return nil }))
		_, err = tb.Verify()
		check("verify", err)
		if err != nil {
			return
		}
		// A file that is sound holds what it says.
		err = tb.Scan(func(key string, values [][]byte) error {
			got, err := tb.Find(key)
			if err != nil || len(got) != len(values) {
				t.Fatalf("%q: %d values, want %d; %v", key, len(got), len(values), err)
			}
			return nil
		})
		check("scan", err)
	})
}

// mend writes the sums of a footer, an index and its blocks anew where the
// offsets allow it.
func mend(b []byte) {
	const foot, dir = 80, 16
	sum := func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
	if len(b) < foot+8 {
		return
	}
	f := b[len(b)-foot:]
	binary.LittleEndian.PutUint64(f[24:], uint64(len(b)))
	index, blocks := binary.LittleEndian.Uint64(f), binary.LittleEndian.Uint64(f[32:])
	end := uint64(len(b) - foot)
	if index <= end {
		for n := uint64(0); n < min(blocks, 1000) && index+(n+2)*dir <= end; n++ {
			e := b[index+n*dir:]
			from, to := binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint64(e[dir:])
			if from <= to && to <= index {
				binary.LittleEndian.PutUint32(e[12:], sum(b[from:to]))
			}
		}
		binary.LittleEndian.PutUint32(f[56:], sum(b[index:end]))
	}
	binary.LittleEndian.PutUint64(f[64:], uint64(sum(f[:64])))
}
