// Package golang reads the build information that the Go linker leaves in
// executables, and the modules that go.mod asks for. What enters are ELF, PE
// and Mach-O executables as they stream by, whatever their size, and go.mod
// files; what leaves are modules, the standard library as "stdlib", and the set
// of the functions that an executable contains.
// Executables that were packed after linking are not opened.
package golang

import (
	"io"
	"strings"

	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/internal/object"
)

// New returns the reader. It implements analyze.Streamer.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "golang" }
func (reader) Version() int { return 3 }

// maxManifest is the largest go.mod that is read, in bytes.
const maxManifest = 4 << 20

// Wants takes executables as a stream, so that their size costs no memory.
func (reader) Wants(f *analyze.File) analyze.Want {
	if !f.Mode.IsRegular() {
		return analyze.Skip
	}
	if f.Size >= minExecutable && object.Sniff(f.Head) != object.None {
		return analyze.Stream
	}
	if isManifest(f.Path) && f.Size <= maxManifest {
		return analyze.Whole
	}
	return analyze.Skip
}

// isManifest leaves out go.mod files that describe what was fetched to build
// something: the module cache, vendored code, Debian's source packages, and
// test data.
func isManifest(path string) bool {
	if !strings.HasSuffix(path, "go.mod") || len(path) > 6 && path[len(path)-7] != '/' {
		return false
	}
	return !strings.Contains(path, "pkg/mod/") && !strings.Contains(path, "vendor/") && !strings.Contains(path, "testdata/") && !strings.Contains(path, "share/gocode/")
}

// Analyze reads a go.mod, or an executable that is in memory.
func (r reader) Analyze(f *analyze.File, out *analyze.Result) error {
	if isManifest(f.Path) {
		return manifest(f.Data, out)
	}
	s := r.Stream(f, out)
	if _, err := s.Write(f.Data); err != nil {
		return err
	}
	return s.Close()
}

// Stream reads an executable.
func (reader) Stream(_ *analyze.File, out *analyze.Result) io.WriteCloser {
	return &executable{out: out}
}
