package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sekisho"
	"sekisho/audit"
)

func write(t testing.TB, dir string, subjects ...string) {
	t.Helper()
	l, err := audit.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, s := range subjects {
		if err := l.Append(audit.Entry{Actor: "alice", Action: "admit", Subject: s, Result: sekisho.Deny}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
}

func read(dir string) (subjects []string, err error) {
	err = audit.Read(dir, func(e audit.Entry) error { subjects = append(subjects, e.Subject); return nil })
	return subjects, err
}

func TestChain(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "b")
	write(t, dir, "c")
	got, err := read(dir)
	if err != nil || strings.Join(got, "") != "abc" {
		t.Fatalf("%v, %v", got, err)
	}
	file := filepath.Join(dir, "audit-000001.log")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	for name, bad := range map[string][]byte{
		"a changed entry":   bytes.Replace(good, []byte(`"subject":"b"`), []byte(`"subject":"x"`), 1),
		"a removed entry":   append(bytes.Clone(lines[0]), lines[2]...),
		"exchanged entries": bytes.Join([][]byte{lines[1], lines[0], lines[2]}, nil),
		"a repeated entry":  bytes.Join([][]byte{lines[0], lines[0], lines[1], lines[2]}, nil),
	} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(dir); sekisho.KindOf(err) != sekisho.Corrupt || !strings.Contains(err.Error(), "audit-000001.log:") {
			t.Errorf("%s is told as %v", name, err)
		}
	}
}

// TestHead holds that a cut end, which a chain alone does not show, differs
// from the head that was noted.
func TestHead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "b")
	_, before, err := audit.Head(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "audit-000001.log")
	data, _ := os.ReadFile(file)
	if err := os.WriteFile(file, bytes.SplitAfter(data, []byte("\n"))[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if n, after, err := audit.Head(dir); err != nil || n != 1 || after == before {
		t.Errorf("%d entries, head %s, %v", n, after, err)
	}
}

// TestCrash holds that half a line at the end is cut off and the chain goes on.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a")
	file := filepath.Join(dir, "audit-000001.log")
	data, _ := os.ReadFile(file)
	if err := os.WriteFile(file, append(data, "0123456789abcdef {\"seq\":2,"...), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "b")
	if got, err := read(dir); err != nil || strings.Join(got, "") != "ab" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSeveralWriters(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for j := range 25 {
				write(t, dir, fmt.Sprint(i, " ", j))
			}
		})
	}
	wait.Wait()
	if got, err := read(dir); err != nil || len(got) != 100 {
		t.Errorf("%d entries, %v", len(got), err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "audit-000001.log"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = read(dir)
		l, err := audit.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_ = l.Append(audit.Entry{Subject: "s"})
	})
}

func BenchmarkAppend(b *testing.B) {
	l, err := audit.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for b.Loop() {
		if err := l.Append(audit.Entry{Actor: "alice", Action: "admit", Subject: "sha256:00", Result: sekisho.Allow}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTogether holds that entries brought at the same time are each written
// once, and that one that is too large fails alone.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	l, err := audit.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wait sync.WaitGroup
	for n := range 200 {
		wait.Go(func() {
			e := audit.Entry{Actor: fmt.Sprint(n), Action: "admit", Result: "allow"}
			if n%10 == 0 {
				e.Subject = strings.Repeat("x", 2<<20)
			}
			if err := l.Append(e, e); (err != nil) != (n%10 == 0) {
				t.Errorf("entry %d: %v", n, err)
			}
		})
	}
	wait.Wait()
	seen := map[string]int{}
	if err := audit.Read(dir, func(e audit.Entry) error { seen[e.Actor]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 180 {
		t.Errorf("%d of 180 are there", len(seen))
	}
	for actor, n := range seen {
		if n != 2 {
			t.Errorf("entry %s is there %d times", actor, n)
		}
	}
}
