package symbol

import (
	"bytes"
	"fmt"
	"testing"
)

func build(n int, main string) Set {
	var b Builder
	for i := range n {
		b.Add(fmt.Appendf(nil, "example.com/p%d", i%97), fmt.Appendf(nil, "T%d.M", i))
	}
	b.Add([]byte("main"), []byte("main"))
	b.Replace("example.com/fork", "example.com/p1")
	return b.Set(main)
}

func TestSet(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 1000, 100_000} {
		s := build(n, "example.com/cmd/tool")
		read, err := Parse(s.Bytes())
		if err != nil || !read.Equal(s) || !read.Known() || !read.Complete() {
			t.Fatalf("%d: reads back as %v, %v", n, read.Count(), err)
		}
		for i := range n {
			pkg, name := fmt.Sprintf("example.com/p%d", i%97), fmt.Sprintf("T%d.M", i)
			if !read.Has(pkg, name) || !read.HasPackage(pkg) {
				t.Fatalf("%d: %s.%s is missing", n, pkg, name)
			}
		}
		if !read.Has("example.com/cmd/tool", "main") || read.Has("main", "main") {
			t.Errorf("%d: the package main is not known by its path", n)
		}
		if n > 97 {
			if size := float64(len(s.Bytes())) / float64(s.Count()); size > 3.4 {
				t.Errorf("%d: %.2f bytes a function, want at most 3.4", n, size)
			}
		}
		wrong := 0
		for i := range 40_000 {
			if read.Has("example.com/other", fmt.Sprintf("F%d", i)) {
				wrong++
			}
		}
		if wrong > 2 {
			t.Errorf("%d: %d of 40000 absent functions are found", n, wrong)
		}
	}
}

func TestReplaced(t *testing.T) {
	s := build(200, "")
	if !s.HasPackage("example.com/fork") || !s.Has("example.com/fork", "T1.M") {
		t.Error("a replacement's function is not found by the replacement's name")
	}
	if s.HasPackage("example.com/forked") || s.Has("example.com/fork", "T2.M") {
		t.Error("a function is found that the replacement does not have")
	}
}

func TestUnknown(t *testing.T) {
	var s Set
	if s.Known() || s.Complete() || s.Has("a", "b") || s.HasPackage("a") || s.Count() != 0 {
		t.Error("the zero set knows something")
	}
	var b Builder
	if b.Set("x").Known() {
		t.Error("a program without functions is known")
	}
	b.Add([]byte("a"), []byte("b"))
	b.Partial()
	if s := b.Set("x"); !s.Known() || s.Complete() {
		t.Error("a set with gaps says that it is complete")
	}
}

// TestBound adds more functions than are kept.
func TestBound(t *testing.T) {
	var b Builder
	for i := range maxEntries + 1000 {
		b.Add([]byte("p"), fmt.Appendf(nil, "%d", i))
	}
	s := b.Set("")
	if s.Complete() || s.Count() > maxEntries {
		t.Errorf("%d entries, complete %v; want at most %d, not complete", s.Count(), s.Complete(), maxEntries)
	}
	if _, err := Parse(s.Bytes()); err != nil {
		t.Error(err)
	}
}

// TestLongNames holds that names of packages and of package main are not kept
// without bound, and that the functions are known all the same.
func TestLongNames(t *testing.T) {
	var b Builder
	long := bytes.Repeat([]byte("x"), 16<<10)
	for i := range 3000 {
		b.Add(fmt.Appendf(long, "%d", i), []byte("F"))
	}
	if b.text > maxText+(32<<10) {
		t.Errorf("%d bytes of names are held, want at most %d", b.text, maxText)
	}
	if s := b.Set(""); !s.Complete() || !s.Has(string(long)+"2999", "F") || !s.HasPackage(string(long)+"2999") {
		t.Error("a function of a package with a long name is missing")
	}
	for range 3000 {
		b.Add([]byte("main"), long)
	}
	if b.Set("").Complete() {
		t.Error("a program whose names are too long in all counts as known whole")
	}
}

func TestParseRefuses(t *testing.T) {
	good := build(1000, "").Bytes()
	for _, bad := range [][]byte{good[:len(good)-1], append(append([]byte{}, good...), 0), {2}, {1}, good[1:]} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%d bytes that are no set are read", len(bad))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(build(3, "").Bytes(), "example.com/p1", "T1.M")
	f.Add(build(100, "x").Bytes(), "x", "main")
	f.Fuzz(func(t *testing.T, data []byte, pkg, name string) {
		s, err := Parse(data)
		if err == nil {
			s.Has(pkg, name)
			s.HasPackage(pkg)
		}
		Set{data}.Has(pkg, name)
	})
}

func BenchmarkHas(b *testing.B) {
	s := build(60_000, "")
	b.ReportAllocs()
	for b.Loop() {
		s.Has("example.com/p5", "T5.M")
		s.Has("example.com/p5", "T6.M")
	}
}
