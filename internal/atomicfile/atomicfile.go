// Package atomicfile replaces files at once: content goes in, and whoever opens
// the name sees the file as it was or whole as it is now, never a part of it. What
// a crash leaves beside it is recognised and swept away. It refuses to follow a
// link that lies where it writes.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// prefix begins the names of files that are being written.
const prefix = ".new-"

// stale is the age at which a file that is being written is taken for left behind.
const stale = time.Hour

// Write replaces a file. After the machine lost its power it may be empty or
// gone: this is for what can be made anew.
func Write(name string, mode fs.FileMode, data []byte) error {
	return place(name, mode, os.Rename, false, bytesOf(data))
}

// WriteDurable replaces a file and returns when the disk has it.
func WriteDurable(name string, mode fs.FileMode, data []byte) error {
	return place(name, mode, os.Rename, true, bytesOf(data))
}

// Stream replaces a file by what a function writes; when that fails, the file
// stays as it was.
func Stream(name string, mode fs.FileMode, write func(io.Writer) error) error {
	return place(name, mode, os.Rename, false, write)
}

// StreamDurable is Stream, and returns when the disk has the file.
func StreamDurable(name string, mode fs.FileMode, write func(io.Writer) error) error {
	return place(name, mode, os.Rename, true, write)
}

// Create is Write for a name that must be free; else it is an error of kind
// fs.ErrExist and the file that is there stays.
func Create(name string, mode fs.FileMode, data []byte) error {
	return place(name, mode, os.Link, false, bytesOf(data))
}

func bytesOf(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

func place(name string, mode fs.FileMode, put func(from, to string) error, durable bool, write func(io.Writer) error) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, prefix+"*") // O_EXCL: never what somebody laid out
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = put(f.Name(), name)
	}
	if gone := os.Remove(f.Name()); !errors.Is(gone, fs.ErrNotExist) { // still there after a link, or for an error
		err = errors.Join(err, gone)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if durable {
		return SyncDir(dir)
	}
	return nil
}

// SyncDir makes what was renamed in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) {
		err = nil // not every file system can
	}
	return errors.Join(err, d.Close())
}

// Pending reports whether a name is that of a file that is being written, or was.
func Pending(name string) bool { return strings.HasPrefix(name, prefix) }

// Sweep removes from a directory what writes left that never ended. A file that
// another process removes meanwhile is no error.
func Sweep(dir string, now time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	for _, e := range entries {
		if !Pending(e.Name()) {
			continue
		}
		if info, err := e.Info(); err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) <= stale {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}
