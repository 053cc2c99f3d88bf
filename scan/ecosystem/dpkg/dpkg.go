// Package dpkg reads what Debian's package manager and its kin keep: the
// status database, whole or cut into status.d as distroless images have it,
// the lists of files, and the copyright files beside the documentation.
package dpkg

import (
	"bytes"
	"path"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

const (
	statusFile = "var/lib/dpkg/status"
	statusDir  = "var/lib/dpkg/status.d/"
	infoDir    = "var/lib/dpkg/info/"
	docDir     = "usr/share/doc/"
	opkgFile   = "usr/lib/opkg/status"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "dpkg" }
func (reader) Version() int { return 1 }

// Wants knows all files by their path.
func (reader) Wants(f *analyze.File) analyze.Want {
	p := f.Path
	if len(p) < 19 || p[0] != 'v' && p[0] != 'u' || !f.Mode.IsRegular() {
		return analyze.Skip
	}
	switch {
	case p == statusFile, p == opkgFile,
		strings.HasPrefix(p, statusDir),
		strings.HasPrefix(p, infoDir) && strings.HasSuffix(p, ".list"),
		strings.HasPrefix(p, docDir) && strings.HasSuffix(p, "/copyright") && strings.Count(p, "/") == 4:
		return analyze.Whole
	}
	return analyze.Skip
}

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	p := f.Path
	switch {
	case p == statusFile:
		status(f.Data, "deb", false, out)
	case p == opkgFile:
		status(f.Data, "opkg", false, out)
	case strings.HasSuffix(p, ".md5sums"):
		sums(f, out)
	case strings.HasPrefix(p, statusDir):
		status(f.Data, "deb", true, out)
	case strings.HasPrefix(p, infoDir):
		list(f, out)
	default:
		name := path.Base(path.Dir(p))
		if l := copyright(f.Data); l != "" {
			out.Licences = append(out.Licences, analyze.Licensed{Package: "deb:" + name, Licence: l})
		}
	}
	return nil
}

// stanza is one package's fields, those that matter.
type stanza struct {
	name, status, version, arch, source, maintainer string
}

// status reads stanzas (deb822(5)). Only the first line of a field matters
// here. In status.d there is no Status field: what is there is installed.
func status(data []byte, kind string, all bool, out *analyze.Result) {
	var s stanza
	flush := func() {
		if s.name != "" && s.version != "" && (all && s.status == "" || installed(s.status)) {
			out.Packages = append(out.Packages, s.pack(kind))
		}
		s = stanza{}
	}
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		if len(bytes.TrimSpace(line)) == 0 {
			flush()
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			continue
		}
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok {
			s.set(key, value)
		}
	}
	flush()
}

func (s *stanza) set(key, value []byte) {
	var field *string
	switch string(key) { // does not allocate
	case "Package":
		field = &s.name
	case "Status":
		field = &s.status
	case "Version":
		field = &s.version
	case "Architecture":
		field = &s.arch
	case "Source":
		field = &s.source
	case "Maintainer":
		field = &s.maintainer
	default:
		return
	}
	*field = string(bytes.TrimSpace(value))
}

// installed reports whether files of the package are there: the third word of
// Status says so (dpkg(1), "Package states").
func installed(status string) bool {
	words := strings.Fields(status)
	if len(words) != 3 {
		return false
	}
	switch words[2] {
	case "not-installed", "config-files":
		return false
	}
	return true
}

func (s *stanza) pack(kind string) sekisho.Package {
	src := sekisho.Source{Name: s.name, Version: s.version}
	if name, version, ok := strings.Cut(s.source, " ("); s.source != "" {
		src.Name = name
		if ok {
			src.Version = strings.TrimSuffix(version, ")")
		}
	}
	return sekisho.Package{Name: s.name, Version: s.version, Type: kind, Arch: s.arch, Source: src, Vendor: s.maintainer, Found: sekisho.Installed,
		PURL: purl.New(kind, "", s.name, s.version, [2]string{"arch", s.arch})}
}

// list reads a list of files: info/NAME.list or info/NAME:ARCH.list.
func list(f *analyze.File, out *analyze.Result) {
	name := strings.TrimSuffix(f.Base(), ".list")
	name, _, _ = strings.Cut(name, ":")
	paths := make([]string, 0, bytes.Count(f.Data, []byte("\n")))
	for line := range bytes.Lines(f.Data) {
		if p := string(bytes.TrimSpace(line)); len(p) > 2 {
			paths = append(paths, p)
		}
	}
	out.Owns = append(out.Owns, analyze.Owned{Package: "deb:" + name, Paths: paths})
}

// sums reads the file list of distroless images: status.d/NAME.md5sums.
func sums(f *analyze.File, out *analyze.Result) {
	var paths []string
	for line := range bytes.Lines(f.Data) {
		if _, p, ok := strings.Cut(strings.TrimSpace(string(line)), "  "); ok {
			paths = append(paths, p)
		}
	}
	out.Owns = append(out.Owns, analyze.Owned{Package: "deb:" + strings.TrimSuffix(f.Base(), ".md5sums"), Paths: paths})
}

// maxCopyright is how much of a copyright file is read, in bytes.
const maxCopyright = 1 << 20

// copyright returns the licences of a machine-readable copyright file
// (Debian Policy, copyright-format 1.0), or of a free text by its phrases.
func copyright(data []byte) string {
	data = data[:min(len(data), maxCopyright)]
	if !bytes.Contains(data[:min(len(data), 400)], []byte("copyright-format")) && !bytes.Contains(data[:min(len(data), 400)], []byte("dep5")) {
		return licence.Detect(data)
	}
	var list []string
	seen := map[string]bool{}
	for line := range bytes.Lines(data) {
		rest, ok := bytes.CutPrefix(line, []byte("License:"))
		if !ok {
			continue
		}
		l := licence.SPDX(string(bytes.TrimSpace(rest)))
		if l != "" && !seen[l] {
			seen[l] = true
			if strings.Contains(l, " OR ") {
				l = "(" + l + ")"
			}
			list = append(list, l)
		}
	}
	return strings.Join(list, " AND ")
}
