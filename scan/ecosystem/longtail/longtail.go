// Package longtail reads what the smaller ecosystems leave in files, each with
// a reader of a few lines: PHP, .NET, Swift and CocoaPods, Dart, Elixir, Erlang
// and Gleam, R, Julia, Haskell, Lua, OCaml, Perl, Conan, vcpkg, and the package
// databases of Gentoo, Nix, snap, flatpak and Container-Optimized OS. Lock
// files leave declared packages, installed trees installed ones. It refuses
// files over 32 MiB and reads no other file than the one it is shown.
package longtail

import (
	"errors"
	"fmt"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "longtail" }
func (reader) Version() int { return 1 }

// Bounds of one file.
const (
	maxSize     = 32 << 20 // bytes
	maxPackages = 200_000
	maxText     = 4096 // bytes of a name or version
)

// Wants asks the last letter before it looks at names.
func (reader) Wants(f *analyze.File) analyze.Want {
	p := f.Path
	if len(p) < 6 {
		return analyze.Skip
	}
	if f.Mode.IsDir() {
		if isStore(p) {
			return analyze.Header
		}
		return analyze.Skip
	}
	if !f.Mode.IsRegular() {
		return analyze.Skip
	}
	if form := find(p); form == nothing || form < firstInstalled && inPackage(p) {
		return analyze.Skip
	}
	if f.Size > maxSize {
		return analyze.Header // to say so
	}
	return analyze.Whole
}

// inPackage reports whether a lock file lies inside an installed package: it
// was its author's and says nothing about what is here.
func inPackage(p string) bool {
	return strings.Contains(p, "node_modules/") || strings.Contains(p, "vendor/") || strings.Contains(p, "/gems/") || strings.Contains(p, "-packages/")
}

// Analyze reads one file, or takes a directory of the Nix store by its name.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	s := &sink{file: f, out: out}
	if f.Mode.IsDir() {
		nix(s)
		return nil
	}
	form := find(f.Path)
	if form == nothing {
		return nil
	}
	if f.Size > maxSize {
		return fmt.Errorf("read %s: %d bytes, want at most %d", f.Base(), f.Size, maxSize)
	}
	s.found = sekisho.Declared
	if form >= firstInstalled {
		s.found = sekisho.Installed
	}
	if err := read(form, s); err != nil {
		return fmt.Errorf("read %s: %w", f.Base(), err)
	}
	return nil
}

// sink takes the packages of one file.
type sink struct {
	file  *analyze.File
	out   *analyze.Result
	found string
	seen  map[string]struct{} // made by those who may name a package twice
}

var errTooMany = errors.New("too many packages")

// pkg is a package as a reader sees it; zero fields are unknown.
type pkg struct {
	kind, space, name, version string
	licence                    string // SPDX expression
	arch                       string
	dev                        bool
	once                       bool // drop it when the same was seen in this file
	qualifiers                 [][2]string
}

// add keeps a package that has a name and a version.
func (s *sink) add(p pkg) error {
	if p.name == "" || p.version == "" || len(p.name)+len(p.space)+len(p.version) > maxText {
		return nil
	}
	if len(s.out.Packages) >= maxPackages {
		return fmt.Errorf("%w: more than %d", errTooMany, maxPackages)
	}
	url := purl.New(p.kind, p.space, p.name, p.version, p.qualifiers...)
	if p.once {
		if _, ok := s.seen[url]; ok {
			return nil
		}
		if s.seen == nil {
			s.seen = map[string]struct{}{}
		}
		s.seen[url] = struct{}{}
	}
	name := p.name
	if p.space != "" && p.kind != "conan" && p.kind != "cpan" {
		name = p.space + "/" + p.name
	}
	s.out.Packages = append(s.out.Packages, sekisho.Package{Name: name, Version: p.version, Type: p.kind, PURL: url, Arch: p.arch,
		Licence: p.licence, Found: s.found, Dev: p.dev})
	return nil
}

// git keeps a package that is a commit of a repository.
func (s *sink) git(name, url, commit string, dev bool) error {
	rest := repository(url)
	host, path, _ := strings.Cut(rest, "/")
	owner, repo, ok := strings.Cut(path, "/")
	if host == "github.com" && ok && !strings.Contains(repo, "/") {
		return s.add(pkg{kind: "github", space: strings.ToLower(owner), name: strings.ToLower(repo), version: commit, dev: dev})
	}
	return s.add(pkg{kind: "generic", name: name, version: commit, dev: dev, qualifiers: [][2]string{{"vcs_url", "git+" + url + "@" + commit}}})
}

// repository cuts scheme, user and .git from a repository's address.
func repository(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
		if user := strings.IndexByte(url, '@'); user >= 0 && !strings.Contains(url[:user], "/") {
			url = url[user+1:]
		}
	} else if rest, ok := strings.CutPrefix(url, "git@"); ok { // git@host:path
		url = strings.Replace(rest, ":", "/", 1)
	}
	return strings.TrimSuffix(strings.TrimSuffix(url, "/"), ".git")
}

// cutLast cuts around the last separator; without one, all is after.
func cutLast(s string, sep byte) (before, after string) {
	i := strings.LastIndexByte(s, sep)
	return s[:max(i, 0)], s[i+1:]
}
