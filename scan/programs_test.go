package scan_test

import (
	"context"
	"io"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"sekisho/scan"
	"sekisho/scan/cache"
	"sekisho/scan/symbol"
)

// TestPrograms asks for the functions of this very program in an image: as it
// is read, from the cache, and when a later layer hides it.
func TestPrograms(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(t.TempDir(), 0, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]symbol.Set
	o := scan.Options{Cache: c, Programs: func(path string, set symbol.Set) { got[path] = set }}
	base := layerOf(t, "usr/bin/tool="+string(data), "usr/bin/gone="+string(data), "etc/passwd=x")
	above := layerOf(t, "usr/bin/.wh.gone=")
	var first symbol.Set
	for _, how := range []string{"read", "cached"} {
		got = map[string]symbol.Set{}
		r := report(t, o, base, above)
		if paths := slices.Sorted(maps.Keys(got)); !slices.Equal(paths, []string{"usr/bin/tool"}) {
			t.Fatalf("%s: programs %v, want usr/bin/tool", how, paths)
		}
		s := got["usr/bin/tool"]
		if !s.Complete() || !s.Has("sekisho/scan", "Scan") || !s.Has("sekisho/scan/layer", "Result.Encode") || !s.HasPackage("archive/tar") || s.HasPackage("html/template") {
			t.Errorf("%s: of %d functions, some are wrong", how, s.Count())
		}
		if how == "read" {
			first = s
		} else if !s.Equal(first) {
			t.Errorf("%d functions from the cache, %d when read", s.Count(), first.Count())
		}
		placed := 0
		for _, p := range r.Packages {
			if p.Type == "golang" && slices.Contains(p.Locations, "usr/bin/tool") {
				placed++
			}
		}
		if placed < 2 {
			t.Errorf("%s: %d modules have the program as their location", how, placed)
		}
		base.Open = func(context.Context) (io.ReadCloser, error) {
			t.Error("an unchanged layer is opened")
			return nil, io.EOF
		}
	}
}
