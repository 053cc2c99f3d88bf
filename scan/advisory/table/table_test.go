package table_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sekisho"
	"sekisho/scan/advisory/table"
)

func newCache(t testing.TB) *table.Cache {
	t.Helper()
	c := table.NewCache()
	t.Cleanup(c.Close)
	return c
}

func write(t testing.TB, path string, keys []string, values func(key string) [][]byte) table.Info {
	t.Helper()
	p, err := table.NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	w, err := table.Create(path, 0, p)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, k := range keys {
		if err := w.Append(k, values(k)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Finish([]byte(`{"format":1}`))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func open(t testing.TB, path string) *table.Table {
	t.Helper()
	tb, err := table.Open(path, newCache(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tb.Close() })
	return tb
}

// someKeys makes sorted names as packages have them: many share a beginning.
func someKeys(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	stems := []string{"lib", "python3-", "golang.org/x/", "@babel/", "org.apache.", "perl-", "a", ""}
	all := map[string]bool{}
	for len(all) < n {
		all[fmt.Sprintf("%s%x", stems[r.IntN(len(stems))], r.Uint32N(1<<28))] = true
	}
	keys := make([]string, 0, n)
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func valuesOf(key string) [][]byte {
	r := rand.New(rand.NewPCG(uint64(len(key)), uint64(key[len(key)-1])))
	n := 1 + r.IntN(5)
	if key[len(key)-1] == '0' && key[len(key)-2] == '0' {
		n = 300 // more than a block
	}
	var out [][]byte
	for i := range n {
		out = append(out, fmt.Appendf(nil, "%s value %d of CVE-2024-%d %x", key, i, r.IntN(9999), r.Uint64()))
	}
	return table.Set(out)
}

func TestEveryKeyIsFoundAndNoOther(t *testing.T) {
	for _, n := range []int{1, 2, 17, 1000, 40000} {
		keys := someKeys(n)
		path := filepath.Join(t.TempDir(), "t.tbl")
		info := write(t, path, keys, valuesOf)
		tb := open(t, path)
		if info.Keys != n || tb.Keys() != n {
			t.Fatalf("%d keys: info says %d, the file %d", n, info.Keys, tb.Keys())
		}
		for _, k := range keys {
			got, err := tb.Find(k)
			if err != nil || !slices.EqualFunc(got, valuesOf(k), bytes.Equal) {
				t.Fatalf("%d keys: %q has %d values, want %d; %v", n, k, len(got), len(valuesOf(k)), err)
			}
			for _, absent := range []string{k + "!", k[:len(k)-1] + "~", "~" + k, ""} {
				if got, err := tb.Find(absent); got != nil || err != nil {
					t.Fatalf("%q was found: %q, %v", absent, got, err)
				}
			}
		}
		sum, err := tb.Verify()
		if err != nil || sum != info.SHA256 {
			t.Fatalf("verify: %v, %s, want %s", err, sum, info.SHA256)
		}
	}
}

func TestNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.tbl")
	write(t, path, nil, nil)
	tb := open(t, path)
	if got, err := tb.Find("a"); got != nil || err != nil || tb.Keys() != 0 {
		t.Fatalf("an empty table holds %q, %v", got, err)
	}
	if string(tb.Meta()) != `{"format":1}` {
		t.Fatalf("metadata %q", tb.Meta())
	}
}

// TestDense: values that are much alike take less than a byte each.
func TestDense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.tbl")
	var values [][]byte
	for i := range 50_000 {
		values = append(values, fmt.Appendf(nil, "%c", 'a'+i%2))
	}
	info := write(t, path, []string{"one", "two"}, func(string) [][]byte { return values })
	tb := open(t, path)
	got, err := tb.Find("two")
	if err != nil || len(got) != len(values) || info.Size > 10_000 {
		t.Fatalf("%d values of a file of %d bytes; %v", len(got), info.Size, err)
	}
	if _, err := tb.Verify(); err != nil {
		t.Fatal(err)
	}
}

func TestBatch(t *testing.T) {
	keys := someKeys(5000)
	path := filepath.Join(t.TempDir(), "t.tbl")
	write(t, path, keys, valuesOf)
	tb := open(t, path)
	var ask []string
	for i, k := range keys {
		ask = append(ask, k)
		if i%3 == 0 {
			ask = append(ask, k+"-dev", k)
		}
	}
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(ask), func(i, j int) { ask[i], ask[j] = ask[j], ask[i] })
	got := make([][][]byte, len(ask))
	err := tb.FindAll(ask, func(i int, v [][]byte) error {
		if got[i] != nil {
			t.Errorf("%q came twice", ask[i])
		}
		got[i] = v
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range ask {
		want, err := tb.Find(k)
		if err != nil || !slices.EqualFunc(got[i], want, bytes.Equal) {
			t.Fatalf("%q: %d values in the batch, %d alone; %v", k, len(got[i]), len(want), err)
		}
	}
	stop := errors.New("stop")
	if err := tb.FindAll(ask, func(int, [][]byte) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("the caller's error became %v", err)
	}
}

func TestSameBytes(t *testing.T) {
	keys, dir := someKeys(3000), t.TempDir()
	a := write(t, filepath.Join(dir, "a"), keys, valuesOf)
	b := write(t, filepath.Join(dir, "b"), keys, valuesOf)
	if a != b {
		t.Fatalf("the same content gives %+v and %+v", a, b)
	}
}

// TestDamage changes every part of a file: it is refused when it is opened or
// read, or the answer is the same.
func TestDamage(t *testing.T) {
	keys, dir, c := someKeys(400), t.TempDir(), newCache(t)
	path := filepath.Join(dir, "whole")
	write(t, path, keys, valuesOf)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	step := max(1, len(whole)/700)
	for at := 0; at < len(whole); at += step {
		b := slices.Clone(whole)
		b[at] ^= 1 << (at % 8)
		refused(t, c, dir, fmt.Sprintf("byte %d of %d", at, len(whole)), b, keys, false)
	}
	for n := 0; n < len(whole); n += step {
		refused(t, c, dir, fmt.Sprintf("cut to %d of %d", n, len(whole)), whole[:n], keys, true)
	}
	refused(t, c, dir, "longer", append(slices.Clone(whole), 0), keys, true)
	refused(t, c, dir, "zeros at the end", append(whole[:len(whole)-4096:len(whole)-4096], make([]byte, 4096)...), keys, true)
}

func refused(t *testing.T, c *table.Cache, dir, what string, b []byte, keys []string, atOpen bool) {
	t.Helper()
	path := filepath.Join(dir, "damaged")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	tb, err := table.Open(path, c)
	if err != nil {
		if sekisho.KindOf(err) != sekisho.Corrupt {
			t.Errorf("%s: the error is %v, of kind %d", what, err, sekisho.KindOf(err))
		}
		return
	}
	defer tb.Close()
	if atOpen {
		t.Fatalf("%s: it opened", what)
	}
	failed := false
	for _, k := range keys {
		got, err := tb.Find(k)
		if err != nil && sekisho.KindOf(err) != sekisho.Corrupt {
			t.Fatalf("%s: the error is %v", what, err)
		}
		failed = failed || err != nil
		if err == nil && !slices.EqualFunc(got, valuesOf(k), bytes.Equal) {
			t.Fatalf("%s: %q has other values", what, k)
		}
	}
	if _, err := tb.Verify(); !failed || err == nil {
		t.Errorf("%s: nobody noticed; verify says %v", what, err)
	}
}

func TestRefusesDisorder(t *testing.T) {
	p, err := table.NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	w, err := table.Create(filepath.Join(t.TempDir(), "t"), 0, p)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	one := [][]byte{[]byte("1")}
	if err := w.Append("b", one); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a", "b"} {
		if err := w.Append(k, one); err == nil {
			t.Errorf("%q was taken after b", k)
		}
	}
	if err := w.Append("c", [][]byte{make([]byte, table.MaxValue+1)}); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("a value beyond the bound: %v", err)
	}
	if err := w.Append(string(make([]byte, table.MaxKey+1)), one); err == nil {
		t.Error("a key beyond the bound was taken")
	}
}

func TestSorter(t *testing.T) {
	for _, memory := range []int{0, 40 << 10} {
		dir := t.TempDir()
		s := table.NewSorter(dir, memory)
		r := rand.New(rand.NewPCG(5, 6))
		var want []string
		for range 20000 {
			k, v := fmt.Sprintf("k%d", r.IntN(3000)), fmt.Sprintf("v%d", r.IntN(100))
			want = append(want, k+"\x00"+v)
			if err := s.Add([]byte(k), []byte(v)); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(want)
		var got []string
		err := s.Each(func(k, v []byte) error {
			got = append(got, string(k)+"\x00"+string(v))
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("memory %d: %d pairs, want %d, or in another order; %v", memory, len(got), len(want), err)
		}
		if files, _ := os.ReadDir(dir); (len(files) > 0) != (memory > 0) {
			t.Errorf("memory %d: %d temporary files", memory, len(files))
		}
		s.Close()
		if files, _ := os.ReadDir(dir); len(files) != 0 {
			t.Errorf("memory %d: %d temporary files are left", memory, len(files))
		}
	}
}
