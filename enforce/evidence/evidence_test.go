package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/evidence"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func event(n int, container string) *sekisho.Event {
	return &sekisho.Event{Seq: uint64(n), Time: start.Add(time.Duration(n) * time.Second), Kind: sekisho.EventExec, Path: fmt.Sprintf("/usr/bin/tool-%d", n),
		Container: &sekisho.Container{ID: strings.Repeat(container, 64), Name: "name-" + container,
			Workload: sekisho.Workload{Namespace: "shop", Name: "web", Pod: "web-" + container, Container: "c" + container}},
		Process: &sekisho.Process{ID: uint64(n), PID: 100 + n, Path: fmt.Sprintf("/usr/bin/tool-%d", n), Args: []string{"tool", "\x1b[31m"}}}
}

func fill(t testing.TB, dir string, o evidence.Options, from, to int, containers ...string) evidence.Stats {
	t.Helper()
	l, err := evidence.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for n := from; n < to; n++ {
		if err := l.Append(event(n, containers[n%len(containers)])); err != nil {
			t.Fatal(err)
		}
		if n%10 == 9 {
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Stats()
}

func read(t testing.TB, dir string, q evidence.Query) (seqs []uint64) {
	t.Helper()
	if _, err := evidence.Read(dir, q, func(e *sekisho.Event) error { seqs = append(seqs, e.Seq); return nil }); err != nil {
		t.Fatal(err)
	}
	return seqs
}

func TestQuery(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, evidence.Options{}, 0, 25, "a", "b")
	fill(t, dir, evidence.Options{}, 25, 40, "a", "b") // after a restart
	for name, c := range map[string]struct {
		query evidence.Query
		want  int
	}{
		"all":                 {evidence.Query{}, 40},
		"by name":             {evidence.Query{Container: "name-a"}, 20},
		"by id":               {evidence.Query{Container: "bbbbbbbbbbbb"}, 20},
		"by pod":              {evidence.Query{Container: "web-a"}, 20},
		"by workload":         {evidence.Query{Container: "shop/web/cb"}, 20},
		"another workload":    {evidence.Query{Container: "pay/web/cb"}, 0},
		"half a name is none": {evidence.Query{Container: "name"}, 0},
		"since":               {evidence.Query{Since: start.Add(30 * time.Second)}, 10},
		"until":               {evidence.Query{Until: start.Add(9 * time.Second)}, 10},
		"path":                {evidence.Query{Path: "/usr/bin/tool-3"}, 11},
		"pid":                 {evidence.Query{PID: 107}, 1},
		"kind":                {evidence.Query{Kinds: []sekisho.EventKind{sekisho.EventExit}}, 0},
	} {
		if got := read(t, dir, c.query); len(got) != c.want {
			t.Errorf("%s: %d events, want %d: %v", name, len(got), c.want, got)
		}
	}
}

func TestBounded(t *testing.T) {
	dir := t.TempDir()
	stats := fill(t, dir, evidence.Options{MaxBytes: 12 << 10, SegmentBytes: 2 << 10}, 0, 600, "a", "b")
	if stats.Removed == 0 {
		t.Fatal("nothing made room")
	}
	var total int64
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, _ := e.Info()
		total += info.Size()
	}
	if total > 12<<10 {
		t.Errorf("%d bytes are kept, want at most %d", total, 12<<10)
	}
	got := read(t, dir, evidence.Query{})
	if len(got) == 0 || got[len(got)-1] != 599 || got[0] == 0 {
		t.Errorf("kept %d events, from %v", len(got), got[:min(1, len(got))])
	}
	if gone, err := evidence.Verify(dir); !gone || err != nil {
		t.Errorf("gone %v, %v", gone, err)
	}
}

// TestTampered holds that what was changed, cut out or exchanged is seen.
func TestTampered(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, evidence.Options{SegmentBytes: 1 << 10}, 0, 300, "a")
	entries, err := filepath.Glob(filepath.Join(dir, "events-*.log"))
	if err != nil || len(entries) < 4 {
		t.Fatal(entries, err)
	}
	second := entries[1]
	good, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	for at := 40; at < len(good); at += 97 {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if err := os.WriteFile(second, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.Verify(dir); sekisho.KindOf(err) != sekisho.Corrupt || !strings.Contains(err.Error(), filepath.Base(second)) {
			t.Fatalf("a changed byte at %d is told as %v", at, err)
		}
	}
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Verify(dir); sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("a missing file is told as %v", err)
	}
}

func TestCrash(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, evidence.Options{}, 0, 20, "a")
	name := filepath.Join(dir, "events-00000001.log")
	data, _ := os.ReadFile(name)
	if err := os.WriteFile(name, data[:len(data)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, evidence.Query{}); len(got) != 10 {
		t.Errorf("while it is cut off: %d events", len(got))
	}
	stats := fill(t, dir, evidence.Options{}, 20, 30, "a")
	if stats.Cut == 0 {
		t.Error("it does not say that something was cut off")
	}
	if got := read(t, dir, evidence.Query{}); len(got) != 20 {
		t.Errorf("after the restart: %d events", len(got))
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	l, err := evidence.Open(dir, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := evidence.Open(dir, evidence.Options{}); sekisho.KindOf(err) != sekisho.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestTree(t *testing.T) {
	process := func(id, parent uint64, pid, ppid int) *sekisho.Process {
		return &sekisho.Process{ID: id, ParentID: parent, PID: pid, ParentPID: ppid}
	}
	sh, curl, orphan := process(1, 0, 10, 1), process(2, 1, 11, 10), process(3, 9, 12, 99)
	ring := process(4, 5, 13, 14)
	roots := evidence.Tree([]*sekisho.Event{
		{Kind: sekisho.EventExec, Process: sh}, {Kind: sekisho.EventExec, Process: curl}, {Kind: sekisho.EventConnect, Process: curl},
		{Kind: sekisho.EventExit, Process: curl, Time: start}, {Kind: sekisho.EventExec, Process: orphan},
		{Kind: sekisho.EventExec, Process: ring}, {Kind: sekisho.EventExec, Process: process(5, 4, 14, 13)},
	})
	if len(roots) < 3 || len(roots[0].Children) != 1 || len(roots[0].Children[0].Events) != 1 || roots[0].Children[0].Ended != start {
		t.Errorf("%d roots, first %+v", len(roots), roots[0])
	}
}

func TestCase(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, upper := t.TempDir(), t.TempDir()
	for name, data := range map[string]string{"tmp/evil.sh": "#!/bin/sh\n", "etc/passwd": "root::0:0::/:/bin/sh\n"} {
		if err := os.MkdirAll(filepath.Join(upper, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(upper, name), []byte(data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/shadow", filepath.Join(upper, "link")); err != nil {
		t.Fatal(err)
	}
	s, err := evidence.Seal(dir, evidence.Case{Time: start, Reason: "drift", Host: "h", Container: event(1, "a").Container})
	if err != nil {
		t.Fatal(err)
	}
	s.JSON("events.json", []int{1})
	s.Layer(upper)
	s.Copy("gone", filepath.Join(dir, "nothing"))
	name, err := s.Close(key)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	c, err := evidence.OpenCase(name, []ed25519.PublicKey{public}, func(name string, r io.Reader) error {
		data, err := io.ReadAll(r)
		parts[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Reason != "drift" || parts["changed/tmp/evil.sh"] != "#!/bin/sh\n" || len(c.Problems) != 1 || !strings.Contains(parts["changed.json"], `"link": "/etc/shadow"`) {
		t.Errorf("%+v, %v", c, parts)
	}
	if _, err := evidence.OpenCase(name, nil, nil); sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("sealed by a stranger: %v", err)
	}
	data, _ := os.ReadFile(name)
	for at := range data {
		bad := bytes.Clone(data)
		bad[at] ^= 0x40
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.OpenCase(name, []ed25519.PublicKey{public}, nil); err == nil {
			t.Errorf("a changed byte at %d of %d is not seen", at, len(data))
		}
	}
}

func FuzzRead(f *testing.F) {
	dir := f.TempDir()
	fill(f, dir, evidence.Options{}, 0, 20, "a")
	data, err := os.ReadFile(filepath.Join(dir, "events-00000001.log"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "events-00000001.log"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = evidence.Read(dir, evidence.Query{}, func(*sekisho.Event) error { return nil })
		l, err := evidence.Open(dir, evidence.Options{})
		if err == nil {
			_ = l.Append(event(1, "a"))
			l.Close()
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l, err := evidence.Open(b.TempDir(), evidence.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	e := event(1, "a")
	for b.Loop() {
		if err := l.Append(e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(l.Stats().Bytes)/float64(l.Stats().Events), "B/event")
}
