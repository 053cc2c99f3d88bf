// Package ruby reads Ruby gems: installed specifications and Gemfile.lock.
package ruby

import (
	"bytes"
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

func (reader) Name() string { return "ruby" }
func (reader) Version() int { return 1 }

// Wants knows specifications/NAME.gemspec, also below default, and lock files.
func (reader) Wants(f *analyze.File) analyze.Want {
	p := f.Path
	if len(p) < 11 || !f.Mode.IsRegular() {
		return analyze.Skip
	}
	switch p[len(p)-1] {
	case 'c':
		if strings.HasSuffix(p, ".gemspec") && strings.Contains(p, "/specifications/") && f.Size < 1<<20 {
			return analyze.Whole
		}
	case 'k':
		if strings.HasSuffix(p, "Gemfile.lock") && !strings.Contains(p, "/gems/") { // a gem's own lock file is its author's
			return analyze.Whole
		}
	case 'd':
		if strings.HasSuffix(p, "gems.locked") {
			return analyze.Whole
		}
	}
	return analyze.Skip
}

var (
	name     = regexp.MustCompile(`(?m)^\s*\w+\.name\s*=\s*["']([^"']+)["']`)
	version  = regexp.MustCompile(`(?m)^\s*\w+\.version\s*=\s*(?:Gem::Version\.new\s*\(?)?\s*["']([^"']+)["']`)
	platform = regexp.MustCompile(`(?m)^\s*\w+\.platform\s*=\s*["']([^"']+)["']`)
	licences = regexp.MustCompile(`(?m)^\s*\w+\.licen[sc]es?\s*=\s*(\[[^\]]*\]|["'][^"']+["'])`)
	quoted   = regexp.MustCompile(`["']([^"']+)["']`)
)

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	if strings.HasSuffix(f.Path, ".gemspec") {
		gemspec(f.Data, out)
	} else {
		lock(f.Data, out)
	}
	return nil
}

// gemspec reads the stub line that RubyGems writes ("# stub: name version
// platform paths"), else the assignments.
func gemspec(data []byte, out *analyze.Result) {
	var n, v, pl string
	if _, rest, ok := bytes.Cut(data[:min(len(data), 4096)], []byte("# stub: ")); ok {
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		if words := strings.Fields(string(line)); len(words) >= 3 {
			n, v, pl = words[0], words[1], words[2]
		}
	}
	if n == "" {
		n, v, pl = first(name, data), first(version, data), first(platform, data)
	}
	if n == "" || v == "" {
		return
	}
	p := pack(n, v, pl, sekisho.Installed)
	var list []string
	for _, m := range quoted.FindAllStringSubmatch(first(licences, data), 8) {
		if l := licence.SPDX(m[1]); l != "" {
			list = append(list, l)
		}
	}
	p.Licence = strings.Join(list, " OR ")
	out.Packages = append(out.Packages, p)
}

func first(re *regexp.Regexp, data []byte) string {
	if m := re.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return ""
}

func pack(name, version, platform, how string) sekisho.Package {
	if platform == "ruby" {
		platform = ""
	}
	return sekisho.Package{Name: name, Version: version, Type: "gem", Found: how, PURL: purl.New("gem", "", name, version, [2]string{"platform", platform})}
}

// lock reads the specs of Gemfile.lock: four spaces, name, version in
// parentheses.
func lock(data []byte, out *analyze.Result) {
	section := ""
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		if text != "" && text[0] != ' ' {
			section = text
			continue
		}
		if section == "PATH" || !strings.HasPrefix(text, "    ") || len(text) < 5 || text[4] == ' ' {
			continue
		}
		n, v, ok := strings.Cut(strings.TrimSpace(text), " (")
		if !ok || !strings.HasSuffix(v, ")") || strings.ContainsAny(v, "<>=~!,") {
			continue
		}
		v = strings.TrimSuffix(v, ")")
		pl := ""
		if i := strings.IndexByte(v, '-'); i > 0 {
			v, pl = v[:i], v[i+1:]
		}
		out.Packages = append(out.Packages, pack(n, v, pl, sekisho.Declared))
	}
}
