// Package rust reads the list of crates that cargo-auditable links into
// programs, in ELF, PE and Mach-O files of any size as they stream by, and
// Cargo.lock. What enters are such files, what leaves are crates; lists that
// inflate beyond a bound are refused.
package rust

import (
	"io"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/internal/object"
)

// New returns the reader. It implements analyze.Streamer.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "rust" }
func (reader) Version() int { return 2 }

const (
	maxLock       = 64 << 20 // bytes of a Cargo.lock
	minExecutable = 512      // bytes
)

// Wants takes executables as a stream, so that their size costs no memory.
func (reader) Wants(f *analyze.File) analyze.Want {
	if !f.Mode.IsRegular() {
		return analyze.Skip
	}
	if f.Size >= minExecutable && object.Sniff(f.Head) != object.None {
		return analyze.Stream
	}
	if isLock(f.Path) && f.Size <= maxLock {
		return analyze.Whole
	}
	return analyze.Skip
}

// isLock leaves out the lock files of crates that were fetched to build
// something, and of the compiler's own sources.
func isLock(path string) bool {
	if !strings.HasSuffix(path, "Cargo.lock") || len(path) > 10 && path[len(path)-11] != '/' {
		return false
	}
	return !strings.Contains(path, "registry/src/") && !strings.Contains(path, "git/checkouts/") && !strings.Contains(path, "vendor/") && !strings.Contains(path, "rustlib/src/")
}

// Analyze reads a Cargo.lock, or an executable that is in memory.
func (r reader) Analyze(f *analyze.File, out *analyze.Result) error {
	if isLock(f.Path) {
		lock(f.Data, out)
		return nil
	}
	s := r.Stream(f, out)
	if _, err := s.Write(f.Data); err != nil {
		return err
	}
	return s.Close()
}

// Stream reads an executable.
func (reader) Stream(f *analyze.File, out *analyze.Result) io.WriteCloser {
	return &executable{out: out, size: uint64(max(f.Size, 0))}
}

func crate(name, version, found string) sekisho.Package {
	return sekisho.Package{Name: name, Version: version, Type: "cargo", PURL: purl.New("cargo", "", name, version), Found: found}
}
