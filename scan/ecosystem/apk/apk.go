// Package apk reads the database of installed packages of Alpine's package
// manager (apk-tools, "Installed database V2").
package apk

import (
	"bytes"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "apk" }
func (reader) Version() int { return 1 }

func (reader) Wants(f *analyze.File) analyze.Want {
	if f.Path == "lib/apk/db/installed" || f.Path == "usr/lib/apk/db/installed" {
		return analyze.Whole
	}
	return analyze.Skip
}

// Analyze reads records separated by blank lines; each line is a letter, a
// colon and a value. F: is a directory, R: a file in the last one.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	var p sekisho.Package
	var dir string
	var paths []string
	flush := func() {
		if p.Name != "" && p.Version != "" {
			p.Type, p.Found = "apk", sekisho.Installed
			if p.Source.Name == "" {
				p.Source.Name = p.Name
			}
			p.Source.Version = p.Version
			p.PURL = purl.New("apk", "", p.Name, p.Version, [2]string{"arch", p.Arch})
			out.Packages = append(out.Packages, p)
			out.Owns = append(out.Owns, analyze.Owned{Package: "apk:" + p.Name, Paths: paths})
		}
		p, dir, paths = sekisho.Package{}, "", nil
	}
	for line := range bytes.Lines(f.Data) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			flush()
			continue
		}
		if len(line) < 2 || line[1] != ':' {
			continue
		}
		value := string(line[2:])
		switch line[0] {
		case 'P':
			p.Name = value
		case 'V':
			p.Version = value
		case 'A':
			p.Arch = value
		case 'L':
			p.Licence = licence.SPDX(value)
		case 'o':
			p.Source.Name = value
		case 'm':
			p.Vendor = value
		case 'F':
			dir = value
		case 'R':
			if dir == "" {
				paths = append(paths, value)
			} else {
				paths = append(paths, dir+"/"+value)
			}
		}
	}
	flush()
	return nil
}
