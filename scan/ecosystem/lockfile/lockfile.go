// Package lockfile reads what the smaller ecosystems declare: PHP, .NET,
// Swift, Dart, Elixir, R, Julia, Haskell, Conan and vcpkg. Each file is simple
// enough that a reader of a few lines is truer and lighter than a library.
package lockfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "lockfile" }
func (reader) Version() int { return 1 }

// form is a kind of file.
type form struct {
	how  string // sekisho.Declared or sekisho.Installed
	read func(data []byte, add func(kind, name, version, licence string)) error
}

// find knows files by their names.
func find(p string) (form, bool) {
	base := p[strings.LastIndexByte(p, '/')+1:]
	switch base {
	case "composer.lock":
		return form{sekisho.Declared, composerLock}, true
	case "installed.json":
		return form{sekisho.Installed, composerInstalled}, strings.HasSuffix(p, "composer/installed.json")
	case "packages.lock.json":
		return form{sekisho.Declared, nuget}, true
	case "Package.resolved":
		return form{sekisho.Declared, swift}, true
	case "Podfile.lock":
		return form{sekisho.Declared, pods}, true
	case "pubspec.lock":
		return form{sekisho.Declared, pub}, true
	case "mix.lock":
		return form{sekisho.Declared, mix}, true
	case "renv.lock":
		return form{sekisho.Declared, renv}, true
	case "Manifest.toml":
		return form{sekisho.Declared, julia}, true
	case "cabal.project.freeze":
		return form{sekisho.Declared, cabal}, true
	case "stack.yaml.lock":
		return form{sekisho.Declared, stack}, true
	case "conan.lock":
		return form{sekisho.Declared, conan}, true
	case "DESCRIPTION":
		return form{sekisho.Installed, description}, strings.Contains(p, "R/") && strings.Contains(p, "library/")
	case "status":
		return form{sekisho.Installed, vcpkg}, strings.HasSuffix(p, "vcpkg/status")
	}
	if strings.HasSuffix(base, ".deps.json") {
		return form{sekisho.Installed, deps}, true
	}
	if strings.HasSuffix(base, ".rockspec") && strings.Contains(p, "rocks") {
		return form{sekisho.Installed, rockspec}, true
	}
	return form{}, false
}

// maxSize bounds a file in bytes.
const maxSize = 32 << 20

// Wants asks the last letter before it looks at names.
func (reader) Wants(f *analyze.File) analyze.Want {
	p := f.Path
	if len(p) < 6 || !f.Mode.IsRegular() || f.Size > maxSize {
		return analyze.Skip
	}
	switch p[len(p)-1] {
	case 'k', 'n', 'd', 'l', 'e', 'N', 's', 'c':
		if form, ok := find(p); ok && (form.how == sekisho.Installed || !inPackage(p)) {
			return analyze.Whole
		}
	}
	return analyze.Skip
}

// inPackage reports whether a lock file lies inside an installed package: it
// was its author's and says nothing about what is here.
func inPackage(p string) bool {
	return strings.Contains(p, "node_modules/") || strings.Contains(p, "/gems/") || strings.Contains(p, "-packages/") || strings.Contains(p, "/vendor/")
}

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	form, ok := find(f.Path)
	if !ok {
		return nil
	}
	add := func(kind, name, version, text string) {
		if name == "" || version == "" {
			return
		}
		space, short := "", name
		if i := strings.LastIndexByte(name, '/'); i > 0 && kind != "cran" {
			space, short = name[:i], name[i+1:]
		}
		out.Packages = append(out.Packages, sekisho.Package{Name: name, Version: version, Type: kind, Found: form.how, Licence: licence.SPDX(text), PURL: purl.New(kind, space, short, version)})
	}
	if err := form.read(f.Data, add); err != nil {
		return fmt.Errorf("read %s: %w", f.Base(), err)
	}
	return nil
}

type adder = func(kind, name, version, licence string)

type composerPackage struct {
	Name, Version string
	License       json.RawMessage
}

func composer(list []composerPackage, add adder) {
	for _, p := range list {
		var text string
		var many []string
		if json.Unmarshal(p.License, &many) == nil {
			text = strings.Join(many, " or ")
		} else {
			_ = json.Unmarshal(p.License, &text) // a missing licence stays empty
		}
		add("composer", p.Name, strings.TrimPrefix(p.Version, "v"), text)
	}
}

func composerLock(data []byte, add adder) error {
	var file struct {
		Packages []composerPackage `json:"packages"`
		Dev      []composerPackage `json:"packages-dev"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	composer(append(file.Packages, file.Dev...), add)
	return nil
}

// composerInstalled reads version 2 ({"packages": […]}) and 1 ([…]).
func composerInstalled(data []byte, add adder) error {
	var two struct{ Packages []composerPackage }
	if err := json.Unmarshal(data, &two); err == nil {
		composer(two.Packages, add)
		return nil
	}
	var one []composerPackage
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	composer(one, add)
	return nil
}

// deps reads NAME.deps.json of a .NET application; its own project is left out.
func deps(data []byte, add adder) error {
	var file struct {
		Libraries map[string]struct{ Type string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	for key, l := range file.Libraries {
		if name, version, ok := strings.Cut(key, "/"); ok && l.Type == "package" {
			add("nuget", name, version, "")
		}
	}
	return nil
}

func nuget(data []byte, add adder) error {
	var file struct {
		Dependencies map[string]map[string]struct{ Resolved, Type string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	for _, framework := range file.Dependencies {
		for name, d := range framework {
			if d.Type != "Project" {
				add("nuget", name, d.Resolved, "")
			}
		}
	}
	return nil
}

// swift reads Package.resolved of versions 1 to 3.
func swift(data []byte, add adder) error {
	type pin struct {
		Location, RepositoryURL string
		State                   struct{ Version string }
	}
	var file struct {
		Pins   []pin
		Object struct{ Pins []pin }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	for _, p := range append(file.Pins, file.Object.Pins...) {
		url := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(p.Location+p.RepositoryURL, "https://"), "http://"), ".git")
		add("swift", url, p.State.Version, "")
	}
	return nil
}

// each adds what an expression finds on lines: name and version.
func each(data []byte, kind string, re *regexp.Regexp, add adder) error {
	for _, m := range re.FindAllSubmatch(data, 100_000) {
		add(kind, string(m[1]), string(m[2]), "")
	}
	return nil
}

var (
	podLine   = regexp.MustCompile(`(?m)^  - "?([\w+/.-]+) \(([\d][^)]*)\)`)
	mixLine   = regexp.MustCompile(`(?m)^\s*"[^"]+": \{:hex, :(\w+), "([^"]+)"`)
	cabalLine = regexp.MustCompile(`any\.([\w-]+) ==([\d.]+)`)
	stackLine = regexp.MustCompile(`(?m)hackage: ([\w-]+?)-(\d[\d.]*)(?:@|\s)`)
	pubEntry  = regexp.MustCompile(`(?m)^  (\w+):\n(?:    .*\n)*?    version: "([^"]+)"`)
	juliaPkg  = regexp.MustCompile(`(?m)^\[\[deps\.(\w+)\]\]\n(?:[^\[\n].*\n|\n)*?version = "([^"]+)"`)
	conanRef  = regexp.MustCompile(`"([\w.+-]+)/(\d[\w.+-]*)[@#"]`)
)

func pods(data []byte, add adder) error  { return each(data, "cocoapods", podLine, add) }
func mix(data []byte, add adder) error   { return each(data, "hex", mixLine, add) }
func cabal(data []byte, add adder) error { return each(data, "hackage", cabalLine, add) }
func stack(data []byte, add adder) error { return each(data, "hackage", stackLine, add) }
func pub(data []byte, add adder) error   { return each(data, "pub", pubEntry, add) }
func julia(data []byte, add adder) error { return each(data, "julia", juliaPkg, add) }
func conan(data []byte, add adder) error { return each(data, "conan", conanRef, add) }

func renv(data []byte, add adder) error {
	var file struct {
		Packages map[string]struct{ Package, Version string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	for _, p := range file.Packages {
		add("cran", p.Package, p.Version, "")
	}
	return nil
}

// fields reads "Key: value" lines, the first of each.
func fields(data []byte) map[string]string {
	m := map[string]string{}
	for line := range bytes.Lines(data) {
		key, value, ok := strings.Cut(strings.TrimRight(string(line), "\r\n"), ": ")
		if _, seen := m[key]; ok && !seen {
			m[key] = strings.TrimSpace(value)
		}
	}
	return m
}

func description(data []byte, add adder) error {
	m := fields(data)
	add("cran", m["Package"], m["Version"], m["License"])
	return nil
}

func vcpkg(data []byte, add adder) error {
	for block := range bytes.SplitSeq(data, []byte("\n\n")) {
		m := fields(block)
		if m["Feature"] == "" && strings.HasSuffix(m["Status"], " installed") && !strings.HasSuffix(m["Status"], "not-installed") {
			add("vcpkg", m["Package"], m["Version"], "")
		}
	}
	return nil
}

var rockField = regexp.MustCompile(`(?m)^\s*(package|version|license)\s*=\s*["']([^"']+)["']`)

func rockspec(data []byte, add adder) error {
	m := map[string]string{}
	for _, f := range rockField.FindAllSubmatch(data, 16) {
		if _, ok := m[string(f[1])]; !ok {
			m[string(f[1])] = string(f[2])
		}
	}
	add("luarocks", m["package"], m["version"], m["license"])
	return nil
}
