package cache_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/scan/cache"
)

func digest(n int) sekisho.Digest { return sekisho.Digest(fmt.Sprintf("sha256:%064x", n)) }

// clock ticks a second at each look, so that the order of use is known.
func clock() func() time.Time {
	now, mu := time.Now().Add(-time.Hour/2), sync.Mutex{}
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

func open(t *testing.T, dir string, size int64) *cache.Cache {
	t.Helper()
	c, err := cache.Open(dir, size, clock())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGetPut(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	if err := c.Put(digest(1), "v1", []byte("facts")); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Get(digest(1), "v1"); !ok || string(got) != "facts" {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := c.Get(digest(1), "v2"); ok {
		t.Error("a new analyzer version gets the old result")
	}
	if _, ok := c.Get("sha256:../../etc/passwd", "v1"); ok {
		t.Error("a digest leaves the cache")
	}
}

func TestDamageIsAMiss(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 0)
	if err := c.Put(digest(1), "v", bytes.Repeat([]byte("x"), 1000)); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "0*"))
	if len(names) != 1 {
		t.Fatalf("entries: %v", names)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"cut": whole[:500], "empty": {}, "changed": bytes.Replace(whole, []byte("xx"), []byte("xy"), 1)} {
		if err := os.WriteFile(names[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Get(digest(1), "v"); ok {
			t.Errorf("%s entry is taken for whole", name)
		}
	}
}

// TestBound holds that the cache stays within its size and that what was used
// last stays.
func TestBound(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 4000)
	for i := range 3 {
		if err := c.Put(digest(i), "v", make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		c.Get(digest(0), "v")
	}
	if err := c.Put(digest(3), "v", make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	kept := ""
	for i := range 4 {
		if _, ok := c.Get(digest(i), "v"); ok {
			kept += fmt.Sprint(i)
		}
	}
	if !strings.Contains(kept, "0") || !strings.Contains(kept, "3") || len(kept) > 3 {
		t.Errorf("kept %s of 0123: want 0 (used) and 3 (new), and one gone", kept)
	}
}

// TestProcesses opens one directory many times at once: all must agree on the
// key, and all writes must be readable.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	caches := make([]*cache.Cache, 16)
	for i := range caches {
		wait.Go(func() {
			c, err := cache.Open(dir, 0, clock())
			if err != nil {
				t.Error(err)
				return
			}
			caches[i] = c
			if err := c.Put(digest(i%4), "v", bytes.Repeat([]byte{byte(i % 4)}, 100_000)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for i, c := range caches {
		if c == nil {
			t.Fatal("not open")
		}
		if c.Key() != caches[0].Key() {
			t.Error("two keys for one cache")
		}
		if got, ok := c.Get(digest(i%4), "v"); !ok || len(got) != 100_000 || got[7] != byte(i%4) {
			t.Error("a write of another process is not whole")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
