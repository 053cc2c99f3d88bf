package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// writers are all ways to write.
func writers() map[string]func(string, fs.FileMode, []byte) error {
	stream := func(f func(string, fs.FileMode, func(io.Writer) error) error) func(string, fs.FileMode, []byte) error {
		return func(name string, mode fs.FileMode, data []byte) error { return f(name, mode, bytesOf(data)) }
	}
	return map[string]func(string, fs.FileMode, []byte) error{
		"write": Write, "durable": WriteDurable, "stream": stream(Stream), "durable stream": stream(StreamDurable),
	}
}

// TestWrite: the content and the mode are as asked for, nothing lies beside it,
// and a link in the file's place is replaced, not followed.
func TestWrite(t *testing.T) {
	for way, write := range writers() {
		t.Run(way, func(t *testing.T) {
			dir := t.TempDir()
			name, other := filepath.Join(dir, "a"), filepath.Join(dir, "other")
			if err := errors.Join(os.WriteFile(other, []byte("mine"), 0o600), os.Symlink(other, name)); err != nil {
				t.Fatal(err)
			}
			for _, mode := range []fs.FileMode{0o600, 0o644, 0o640} {
				if err := write(name, mode, []byte("new")); err != nil {
					t.Fatal(err)
				}
				info, err := os.Lstat(name)
				if err != nil || info.Mode() != mode {
					t.Errorf("mode %v %v, want %v", info.Mode(), err, mode)
				}
			}
			a, _ := os.ReadFile(name)
			b, _ := os.ReadFile(other)
			list, _ := os.ReadDir(dir)
			if string(a) != "new" || string(b) != "mine" || len(list) != 2 {
				t.Errorf("%q %q %v", a, b, list)
			}
			if err := write(filepath.Join(dir, "none", "a"), 0o600, nil); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("into a directory that is not there: %v", err)
			}
		})
	}
}

// TestCreate: what is there stays.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "key")
	if err := Create(name, 0o600, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := Create(name, 0o644, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	data, _ := os.ReadFile(name)
	list, _ := os.ReadDir(dir)
	if string(data) != "first" || len(list) != 1 {
		t.Errorf("%q %v", data, list)
	}
}

// TestFails: when writing fails, the file is as it was and nothing is left.
func TestFails(t *testing.T) {
	dir, full := t.TempDir(), errors.New("full")
	name := filepath.Join(dir, "a")
	if err := Write(name, 0o644, []byte("old")); err != nil {
		t.Fatal(err)
	}
	half := func(w io.Writer) error {
		if _, err := w.Write([]byte("ne")); err != nil {
			return err
		}
		return full
	}
	if err := errors.Join(Stream(name, 0o644, half)); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if err := errors.Join(StreamDurable(name, 0o644, half)); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	data, _ := os.ReadFile(name)
	list, _ := os.ReadDir(dir)
	if string(data) != "old" || len(list) != 1 {
		t.Errorf("%q %v", data, list)
	}
}

// TestSeen: readers never see a part, however many write.
func TestSeen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	content := [][]byte{bytes.Repeat([]byte("x"), 100_000), bytes.Repeat([]byte("y"), 50_000)}
	if err := Write(name, 0o644, content[0]); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for _, c := range content {
		wait.Go(func() {
			for range 100 {
				if err := Write(name, 0o644, c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		if data, err := os.ReadFile(name); err != nil || !bytes.Equal(data, content[0]) && !bytes.Equal(data, content[1]) {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
	}
	wait.Wait()
}

// TestSweep: what is old and was never put in place goes, all else stays.
func TestSweep(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	for name, age := range map[string]time.Duration{prefix + "1": 2 * time.Hour, prefix + "2": time.Minute, "facts": 2 * time.Hour} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, now.Add(-age), now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, prefix+"dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir, now); err != nil {
		t.Fatal(err)
	}
	var left []string
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		left = append(left, e.Name())
	}
	if len(left) != 3 || left[0] != prefix+"2" || left[1] != prefix+"dir" || left[2] != "facts" {
		t.Errorf("left %v", left)
	}
}
