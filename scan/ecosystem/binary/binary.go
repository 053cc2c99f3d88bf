// Package binary recognises well-known programs and libraries that no package
// manager put there, by their file names and the version that stands in their
// bytes. What enters are executables of a known name, as they stream by, and
// the few text files with which run times tell their version; what leaves are
// packages of the type generic. A name alone is never enough. Programs written
// in Go tell more by their build information and are left to that reader.
package binary

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

func (reader) Name() string { return "binary" }
func (reader) Version() int { return 1 }

const maxText = 64 << 10 // bytes of a text file

// Wants looks at executables of known names.
func (reader) Wants(f *analyze.File) analyze.Want {
	if len(f.Head) < 4 || !f.Mode.IsRegular() {
		return analyze.Skip
	}
	base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
	if object.Sniff(f.Head) != object.None {
		if len(find(base)) > 0 {
			return analyze.Stream
		}
		return analyze.Skip
	}
	if f.Size <= maxText && textOf(f.Path, base) != nil {
		return analyze.Whole
	}
	return analyze.Skip
}

// find returns the patterns for a file name, with or without a version in it.
func find(base string) []pattern {
	if p, ok := programs[base]; ok {
		return p
	}
	base = strings.TrimSuffix(base, ".exe")
	if i := strings.Index(base, ".so"); i > 0 && strings.HasPrefix(base, "lib") {
		base = base[:i]
		if strings.HasPrefix(base, "libstd-") {
			base = "libstd"
		}
	} else if i := strings.Index(base, ".dylib"); i > 0 {
		base = base[:i]
	}
	return programs[strings.TrimRight(base, "0123456789.-_")]
}

// Analyze reads a text file, or an executable that is in memory.
func (r reader) Analyze(f *analyze.File, out *analyze.Result) error {
	if read := textOf(f.Path, f.Base()); read != nil {
		read(f.Data, out)
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
	base := f.Base()
	return &matcher{patterns: forVersion(find(base), base), out: out, best: -1}
}

func report(name, version, vendor string, out *analyze.Result) {
	out.Packages = append(out.Packages, sekisho.Package{Name: name, Version: version, Type: "generic", PURL: purl.New("generic", "", name, version), Vendor: vendor, Found: sekisho.Embedded})
}
