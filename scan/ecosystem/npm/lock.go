package npm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/analyze"
)

// locked is an entry of package-lock.json, of all versions.
type locked struct {
	Name         string          `json:"name"`
	Version      string          `json:"version"`
	Link         bool            `json:"link"`
	Dev          bool            `json:"dev"`
	DevOptional  bool            `json:"devOptional"`
	License      json.RawMessage `json:"license"`
	Dependencies json.RawMessage `json:"dependencies"`
}

// maxNesting bounds dependencies of dependencies in version 1.
const maxNesting = 200

// packageLock reads versions 2 and 3 ("packages") and 1 ("dependencies").
func packageLock(data []byte, out *analyze.Result) error {
	var file struct {
		Packages     map[string]locked          `json:"packages"`
		Dependencies map[string]json.RawMessage `json:"dependencies"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("lock file: %w", err)
	}
	for path, l := range file.Packages {
		i := strings.LastIndex(path, "node_modules/")
		if i < 0 || l.Link || l.Version == "" {
			continue // the project itself, a workspace, a link to one
		}
		name := path[i+len("node_modules/"):]
		if l.Name != "" {
			name = l.Name // an alias
		}
		declare(name, l, out)
	}
	if file.Packages == nil {
		if err := dependencies(file.Dependencies, 0, out); err != nil {
			return err
		}
	}
	unique(out)
	return nil
}

func declare(name string, l locked, out *analyze.Result) {
	p := pack(name, l.Version, sekisho.Declared)
	p.Dev, p.Licence = l.Dev || l.DevOptional, licences(bytes.TrimSpace(l.License))
	out.Packages = append(out.Packages, p)
}

func dependencies(list map[string]json.RawMessage, depth int, out *analyze.Result) error {
	if depth > maxNesting {
		return fmt.Errorf("lock file: dependencies nest more than %d deep", maxNesting)
	}
	for name, raw := range list {
		var l locked
		if err := json.Unmarshal(raw, &l); err != nil {
			return fmt.Errorf("lock file: %s: %w", name, err)
		}
		if alias, ok := strings.CutPrefix(l.Version, "npm:"); ok {
			if i := strings.LastIndexByte(alias, '@'); i > 0 {
				name, l.Version = alias[:i], alias[i+1:]
			}
		}
		if !strings.Contains(l.Version, ":") && l.Version != "" { // neither file: nor a URL
			declare(name, l, out)
		}
		var deeper map[string]json.RawMessage
		if json.Unmarshal(l.Dependencies, &deeper) == nil {
			if err := dependencies(deeper, depth+1, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// unique sorts what maps gave in any order and drops repetitions.
func unique(out *analyze.Result) {
	slices.SortFunc(out.Packages, func(a, b sekisho.Package) int { return strings.Compare(a.PURL, b.PURL) })
	out.Packages = slices.CompactFunc(out.Packages, func(a, b sekisho.Package) bool { return a.PURL == b.PURL })
}

// yarn reads yarn.lock of version 1 and of Berry: blocks that begin with
// descriptors and hold an indented version and, in Berry, a resolution.
func yarn(data []byte, out *analyze.Result) {
	name, version := "", ""
	flush := func() {
		if name != "" && version != "" && version != "0.0.0-use.local" {
			out.Packages = append(out.Packages, pack(name, version, sekisho.Declared))
		}
		name, version = "", ""
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case text == "" || text[0] == '#':
		case text[0] != ' ':
			flush()
			name = descriptor(text)
		case strings.HasPrefix(text, "  version"):
			version = strings.Trim(strings.TrimPrefix(strings.TrimPrefix(text, "  version"), ":"), ` "`)
		case strings.HasPrefix(text, "  resolution:"):
			res := strings.Trim(strings.TrimPrefix(text, "  resolution:"), ` "`)
			if i := strings.LastIndexByte(res, '@'); i > 0 {
				name = res[:i]
				if j := strings.Index(res[1:], "@"); j >= 0 {
					name = res[:j+1]
				}
			}
			if strings.Contains(res, "@workspace:") || strings.Contains(res, "@link:") || strings.Contains(res, "@portal:") {
				name = ""
			}
		}
	}
	flush()
	unique(out)
}

// descriptor returns the name of the first of `"a@^1", "a@^2":`.
func descriptor(text string) string {
	first, _, _ := strings.Cut(strings.TrimSuffix(text, ":"), ", ")
	first = strings.Trim(first, `"`)
	if first == "__metadata" {
		return ""
	}
	if i := strings.Index(first, "@npm:"); i > 0 {
		if real := first[i+len("@npm:"):]; strings.LastIndexByte(real, '@') > 0 { // an alias
			return real[:strings.LastIndexByte(real, '@')]
		}
		return first[:i]
	}
	if i := strings.LastIndexByte(first, '@'); i > 0 {
		return first[:i]
	}
	return ""
}

// pnpm reads the keys below packages: and snapshots: of pnpm-lock.yaml:
// /name/1.0.0 (version 5), /name@1.0.0(peer) (6), name@1.0.0 (9).
func pnpm(data []byte, out *analyze.Result) {
	section := ""
	last := -1
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case text == "":
		case text[0] != ' ':
			section, last = strings.TrimSuffix(text, ":"), -1
		case section != "packages":
		case strings.HasPrefix(text, "  ") && len(text) > 3 && text[2] != ' ':
			key := strings.Trim(strings.TrimSuffix(strings.TrimSpace(text), ":"), `'"`)
			key, _, _ = strings.Cut(key, ": ")
			last = -1
			if name, version := pnpmKey(strings.TrimSuffix(key, ":")); name != "" {
				out.Packages = append(out.Packages, pack(name, version, sekisho.Declared))
				last = len(out.Packages) - 1
			}
		case last >= 0 && strings.TrimSpace(text) == "dev: true":
			out.Packages[last].Dev = true
		}
	}
	unique(out)
}

func pnpmKey(key string) (name, version string) {
	key = strings.Trim(key, `'"`)
	key, _, _ = strings.Cut(key, "(")
	rest, old := strings.CutPrefix(key, "/")
	if i := strings.LastIndexByte(rest, '@'); i > 0 {
		name, version = rest[:i], rest[i+1:]
	} else if i := strings.LastIndexByte(rest, '/'); old && i > 0 {
		name, version = rest[:i], rest[i+1:]
		version, _, _ = strings.Cut(version, "_")
	}
	if version == "" || version[0] < '0' || version[0] > '9' {
		return "", ""
	}
	return name, version
}

// bun reads bun.lock: JSON with trailing commas, packages as
// "key": ["name@version", …].
func bun(data []byte, out *analyze.Result) error {
	in := false
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, `"packages":`) {
			in = true
			continue
		}
		_, value, ok := strings.Cut(text, `: ["`)
		if !in || !ok {
			continue
		}
		spec, _, _ := strings.Cut(value, `"`)
		if i := strings.LastIndexByte(spec, '@'); i > 0 && !strings.Contains(spec[i:], ":") {
			out.Packages = append(out.Packages, pack(spec[:i], spec[i+1:], sekisho.Declared))
		}
	}
	unique(out)
	return nil
}
