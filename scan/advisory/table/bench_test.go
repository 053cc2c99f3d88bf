package table_test

import (
	"path/filepath"
	"testing"

	"sekisho/scan/advisory/table"
)

// The benchmarks have 300,000 keys with some values each.
func bigTable(b *testing.B) (string, []string) {
	keys := someKeys(300_000)
	path := filepath.Join(b.TempDir(), "t")
	info := write(b, path, keys, func(key string) [][]byte {
		return [][]byte{[]byte(key + " and what is said about it"), []byte(key + " more")}
	})
	b.Logf("%d keys, %d values, %d bytes: %.1f a key", info.Keys, info.Values, info.Size, float64(info.Size)/float64(info.Keys))
	return path, keys
}

func BenchmarkOpen(b *testing.B) {
	path, _ := bigTable(b)
	c := newCache(b)
	for b.Loop() {
		t, err := table.Open(path, c)
		if err != nil {
			b.Fatal(err)
		}
		_ = t.Close()
	}
}

func BenchmarkMiss(b *testing.B) {
	path, keys := bigTable(b)
	t := open(b, path)
	absent := make([]string, 0, 4096)
	for i := range 4096 {
		absent = append(absent, keys[i*70]+"-none")
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if v, err := t.Find(absent[i%len(absent)]); v != nil || err != nil {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	path, keys := bigTable(b)
	t := open(b, path)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if v, err := t.Find(keys[i*7919%len(keys)]); v == nil || err != nil {
			b.Fatal(v, err)
		}
	}
}

// BenchmarkFindAll looks 2,000 keys up at once, half of them absent.
func BenchmarkFindAll(b *testing.B) {
	path, keys := bigTable(b)
	var ask []string
	for i := range 1000 {
		ask = append(ask, keys[i*299], keys[i*299]+"-none")
	}
	for b.Loop() {
		t, err := table.Open(path, table.NewCache())
		if err != nil {
			b.Fatal(err)
		}
		found := 0
		if err := t.FindAll(ask, func(int, [][]byte) error { found++; return nil }); err != nil || found != 1000 {
			b.Fatal(found, err)
		}
		_ = t.Close()
	}
}
