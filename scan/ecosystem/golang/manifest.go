package golang

import (
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/analyze"
)

// maxModules bounds the requirements of one go.mod.
const maxModules = 50_000

// manifest reads a go.mod: its requirements as replaced, without those that it
// excludes. The standard library is reported where a release is named that
// is needed at least.
func manifest(data []byte, out *analyze.Result) error {
	m := modFile{replace: map[string]required{}, exclude: map[required]bool{}}
	block := ""
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "//")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case block != "" && words[0] == ")":
			block = ""
		case block != "":
			m.line(block, words)
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		default:
			m.line(words[0], words[1:])
		}
	}
	m.report(out)
	return nil
}

type required struct{ path, version string }

type modFile struct {
	module    string
	version   string // of Go
	toolchain string
	require   []required
	replace   map[string]required // by path, or path and version with a space between
	exclude   map[required]bool
}

func (m *modFile) line(verb string, words []string) {
	for i, w := range words {
		if s, err := strconv.Unquote(w); err == nil {
			words[i] = s
		}
	}
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch verb {
	case "module":
		m.module = word(0)
	case "go":
		m.version = word(0)
	case "toolchain":
		m.toolchain = strings.TrimPrefix(word(0), "go")
	case "require":
		if len(words) >= 2 && len(m.require) < maxModules {
			m.require = append(m.require, required{words[0], words[1]})
		}
	case "exclude":
		m.exclude[required{word(0), word(1)}] = true
	case "replace":
		m.replaced(words)
	}
}

// replaced reads OLD [VERSION] => NEW [VERSION].
func (m *modFile) replaced(words []string) {
	for i, w := range words {
		if w != "=>" || i == 0 || i+1 >= len(words) {
			continue
		}
		to := required{path: words[i+1], version: devel}
		if i+2 < len(words) {
			to.version = words[i+2]
		}
		m.replace[strings.Join(words[:i], " ")] = to
	}
}

func (m *modFile) report(out *analyze.Result) {
	if m.module == "std" || m.module == "cmd" { // Go's own sources
		return
	}
	for _, r := range m.require {
		if m.exclude[r] {
			continue
		}
		to, ok := m.replace[r.path+" "+r.version]
		if !ok {
			to, ok = m.replace[r.path]
		}
		switch {
		case !ok:
		case local(to.path) || to.version == devel:
			r.version = devel
		default:
			r = to
		}
		out.Packages = append(out.Packages, pkg(r.path, r.version, sekisho.Declared))
	}
	if v := m.toolchain; v != "" && v != "default" {
		out.Packages = append(out.Packages, pkg("stdlib", v, sekisho.Declared))
	} else if strings.Count(m.version, ".") == 2 {
		out.Packages = append(out.Packages, pkg("stdlib", m.version, sekisho.Declared))
	}
}
