package table

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"sekisho"
)

// FuzzBlock reads hostile entries as they are after decompression. What is
// taken as a whole is found by its key, and nothing else is.
func FuzzBlock(f *testing.F) {
	w := &Writer{first: true}
	for _, k := range []string{"a", "ab", "abc", "abd", "b", "ba"} {
		w.entry(k, [][]byte{[]byte("x"), {}}, 3)
	}
	f.Add(w.block, "abd")
	f.Add(w.block, "")
	f.Add([]byte("\x00\x02ab\x01\x02\x01x\x00\x03abc\x01\x02\x01x"), "abc") // shares more than it says
	f.Fuzz(func(t *testing.T, b []byte, key string) {
		if _, err := search(b, key); err != nil && sekisho.KindOf(err) != sekisho.Corrupt {
			t.Fatal(err)
		}
		var keys []string
		var values [][][]byte
		err := entries(b, func(k string, v [][]byte) error {
			keys, values = append(keys, k), append(values, v)
			return nil
		})
		if err != nil && sekisho.KindOf(err) != sekisho.Corrupt {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		for i, k := range keys {
			if got, err := search(b, k); err != nil || !slices.EqualFunc(got, values[i], bytes.Equal) {
				t.Fatalf("%q: %q, want %q; %v", k, got, values[i], err)
			}
		}
		if got, err := search(b, key); err != nil || (got != nil) != slices.Contains(keys, key) {
			t.Fatalf("%q among %q: %q, %v", key, keys, got, err)
		}
	})
}

func TestCallersErrorPasses(t *testing.T) {
	w := &Writer{first: true}
	w.entry("a", [][]byte{[]byte("x")}, 2)
	stop := errors.New("stop")
	if err := entries(w.block, func(string, [][]byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}
