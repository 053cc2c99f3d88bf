package vex

import (
	"net/url"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
)

// packageURL is a PURL taken apart (PURL-SPEC.rst, "How to parse").
type packageURL struct {
	kind, namespace, name, version, subpath string
	qualifiers                              map[string]string
}

func unescape(s string) string {
	if t, err := url.PathUnescape(s); err == nil {
		return t
	}
	return s
}

func parsePURL(s string) (packageURL, bool) {
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok || len(s) > 4096 {
		return packageURL{}, false
	}
	var p packageURL
	rest, p.subpath, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	kind, rest, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !ok {
		return packageURL{}, false
	}
	p.kind, p.subpath = strings.ToLower(kind), strings.Trim(unescape(p.subpath), "/")
	if i := strings.LastIndexByte(rest, '@'); i > 0 && rest[i-1] != '/' { // a scope of npm begins with @
		rest, p.version = rest[:i], unescape(rest[i+1:])
	}
	rest = strings.Trim(rest, "/")
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		p.namespace, rest = unescape(rest[:i]), rest[i+1:]
	}
	p.name = unescape(rest)
	p.fold()
	for pair := range strings.SplitSeq(query, "&") {
		if k, v, ok := strings.Cut(pair, "="); ok && v != "" {
			if p.qualifiers == nil {
				p.qualifiers = map[string]string{}
			}
			p.qualifiers[strings.ToLower(k)] = unescape(v)
		}
	}
	return p, p.name != ""
}

// fold brings names to one spelling where their ecosystem knows several
// (PURL-TYPES.rst).
func (p *packageURL) fold() {
	switch p.kind {
	case "pypi":
		p.name = strings.ReplaceAll(strings.ToLower(p.name), "_", "-")
	case "github", "bitbucket", "composer", "oci", "docker", "apk", "deb":
		p.namespace, p.name = strings.ToLower(p.namespace), strings.ToLower(p.name)
	}
}

// sameVersion compares versions; those of Go are written with and without v.
func (p *packageURL) sameVersion(version string) bool {
	if p.kind == "golang" {
		return strings.TrimPrefix(p.version, "v") == strings.TrimPrefix(version, "v")
	}
	return p.version == version
}

func (p packageURL) String() string {
	var list [][2]string
	for k, v := range p.qualifiers {
		list = append(list, [2]string{k, v})
	}
	s := purl.New(p.kind, p.namespace, p.name, p.version, list...)
	if p.subpath != "" {
		s += "#" + p.subpath
	}
	return s
}

// base names the package without its version.
func (p packageURL) base() string { return p.kind + "/" + p.namespace + "/" + p.name }

// software is a package of the report that statements may be about.
type software struct {
	sekisho.Package
	purl packageURL
}

func newSoftware(p sekisho.Package) software {
	parsed, _ := parsePURL(p.PURL)
	return software{p, parsed}
}

// means reports whether the statement's PURL means the package. What it names
// must be the same; what it leaves out may be anything.
func (p *packageURL) means(s *software, os *sekisho.OS) bool {
	if p.kind != s.purl.kind || p.namespace != s.purl.namespace {
		return false
	}
	name, version := s.purl.name, s.purl.version
	if arch := p.qualifiers["arch"]; arch == "source" || arch == "src" {
		name, version = s.Source.Name, s.Source.Version
		if name == "" {
			name, version = s.purl.name, s.purl.version
		}
	}
	if p.name != name || p.version != "" && !p.sameVersion(version) || p.subpath != s.purl.subpath && p.subpath != "" {
		return false
	}
	for k, want := range p.qualifiers {
		got := s.purl.qualifiers[k]
		switch k {
		case "upstream", "vcs_url", "download_url", "checksum":
			continue
		case "arch":
			if want == "source" || want == "src" || want == s.Arch {
				continue
			}
		case "distro":
			if os != nil && (want == os.Codename || want == os.ID+"-"+os.Version || want == os.ID+"-"+os.Codename) {
				continue
			}
		}
		if got != want {
			return false
		}
	}
	return true
}
