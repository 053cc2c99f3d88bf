// Package python reads Python distributions: those installed (dist-info,
// egg-info, eggs), wheels kept as files, conda's records, and those that lock
// files declare.
package python

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "python" }
func (reader) Version() int { return 1 }

// Wants knows metadata by its name and directory, and lock files.
func (reader) Wants(f *analyze.File) analyze.Want {
	p := f.Path
	if len(p) < 7 || !f.Mode.IsRegular() {
		return analyze.Skip
	}
	switch p[len(p)-1] {
	case 'A':
		if strings.HasSuffix(p, ".dist-info/METADATA") {
			return analyze.Whole
		}
	case 'O':
		if strings.HasSuffix(p, ".egg-info/PKG-INFO") || strings.HasSuffix(p, "/EGG-INFO/PKG-INFO") {
			return analyze.Whole
		}
	case 'o':
		if strings.HasSuffix(p, ".egg-info") {
			return analyze.Whole
		}
	case 'l':
		if strings.HasSuffix(p, ".whl") {
			return analyze.Header
		}
		if strings.HasSuffix(p, "pylock.toml") {
			return analyze.Whole
		}
	case 'k':
		switch p[strings.LastIndexByte(p, '/')+1:] {
		case "poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock":
			return outside(p)
		}
	case 't':
		if strings.HasSuffix(p, ".txt") && strings.HasPrefix(p[strings.LastIndexByte(p, '/')+1:], "requirements") && f.Size < 1<<20 {
			return outside(p)
		}
	case 'n':
		if strings.HasSuffix(p, ".json") && strings.Contains(p, "conda-meta/") {
			return analyze.Whole
		}
	}
	return analyze.Skip
}

// outside wants a lock file that does not lie inside an installed package.
func outside(p string) analyze.Want {
	if strings.Contains(p, "-packages/") || strings.Contains(p, "node_modules/") {
		return analyze.Skip
	}
	return analyze.Whole
}

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	base := f.Base()
	switch {
	case base == "METADATA" || base == "PKG-INFO" || strings.HasSuffix(base, ".egg-info"):
		metadata(f.Data, out)
	case strings.HasSuffix(base, ".whl"):
		wheel(base, out)
	case strings.Contains(f.Path, "conda-meta/"):
		return conda(f.Data, out)
	case base == "Pipfile.lock":
		return pipfile(f.Data, out)
	case strings.HasPrefix(base, "requirements"):
		requirements(f.Data, out)
	default:
		tables(f.Data, out)
	}
	return nil
}

// maxHeader is how much of a metadata file may be headers, in bytes.
const maxHeader = 1 << 20

// metadata reads the headers of core metadata (packaging.python.org, "Core
// metadata specifications"); the description behind them is not read.
func metadata(data []byte, out *analyze.Result) {
	var name, version, text, expression string
	var classifiers []string
	for line := range bytes.Lines(data[:min(len(data), maxHeader)]) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		key, value, ok := strings.Cut(string(line), ":")
		if !ok || key == "" || key[0] == ' ' || key[0] == '\t' {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "name":
			name = value
		case "version":
			version = value
		case "license":
			text = value
		case "license-expression":
			expression = value
		case "classifier":
			if strings.HasPrefix(value, "License ::") {
				classifiers = append(classifiers, strings.TrimSpace(value[strings.LastIndex(value, "::")+2:]))
			}
		}
	}
	if name == "" || version == "" {
		return
	}
	p := pack(name, version, sekisho.Installed)
	p.Licence = licenceOf(expression, text, classifiers)
	out.Packages = append(out.Packages, p)
}

// licenceOf prefers the expression, then a text that has a name, then the
// classifiers.
func licenceOf(expression, text string, classifiers []string) string {
	if expression != "" {
		return licence.SPDX(expression)
	}
	if l := licence.SPDX(text); l != "" && text != "UNKNOWN" && (!strings.Contains(l, "LicenseRef") || len(classifiers) == 0) {
		return l
	}
	var list []string
	for _, c := range classifiers {
		if c == "OSI Approved" {
			continue
		}
		if l := licence.SPDX(c); l != "" {
			list = append(list, l)
		}
	}
	return strings.Join(list, " AND ")
}

// wheel takes name and version from a wheel's file name (binary distribution
// format): NAME-VERSION(-BUILD)?-PYTHON-ABI-PLATFORM.whl.
func wheel(base string, out *analyze.Result) {
	parts := strings.Split(strings.TrimSuffix(base, ".whl"), "-")
	if len(parts) == 5 || len(parts) == 6 {
		out.Packages = append(out.Packages, pack(strings.ReplaceAll(parts[0], "_", "-"), parts[1], sekisho.Embedded))
	}
}

// Normal is the name as PEP 503 compares it.
func Normal(name string) string {
	b := make([]byte, 0, len(name))
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '-' || c == '_' || c == '.':
			if len(b) > 0 && b[len(b)-1] != '-' {
				b = append(b, '-')
			}
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}

func pack(name, version, how string) sekisho.Package {
	return sekisho.Package{Name: name, Version: version, Type: "pypi", Found: how, PURL: purl.New("pypi", "", Normal(name), version)}
}

func conda(data []byte, out *analyze.Result) error {
	var r struct{ Name, Version, Build, Channel, License, Subdir string }
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("conda record: %w", err)
	}
	if r.Name != "" && r.Version != "" {
		out.Packages = append(out.Packages, sekisho.Package{Name: r.Name, Version: r.Version, Type: "conda", Found: sekisho.Installed, Licence: licence.SPDX(r.License),
			PURL: purl.New("conda", "", r.Name, r.Version, [2]string{"build", r.Build}, [2]string{"subdir", r.Subdir})})
	}
	return nil
}

func pipfile(data []byte, out *analyze.Result) error {
	var file struct {
		Default, Develop map[string]struct{ Version string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("Pipfile.lock: %w", err)
	}
	for dev, list := range map[bool]map[string]struct{ Version string }{false: file.Default, true: file.Develop} {
		for name, l := range list {
			if version, ok := strings.CutPrefix(l.Version, "=="); ok {
				p := pack(name, version, sekisho.Declared)
				p.Dev = dev
				out.Packages = append(out.Packages, p)
			}
		}
	}
	return nil
}

// requirements takes pinned versions only: anything else names no version.
func requirements(data []byte, out *analyze.Result) {
	for line := range bytes.Lines(data) {
		text, _, _ := strings.Cut(string(line), "#")
		text, _, _ = strings.Cut(text, ";")
		text, _, _ = strings.Cut(text, " --")
		name, version, ok := strings.Cut(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "\\")), "==")
		version = strings.TrimSpace(strings.TrimPrefix(version, "="))
		name, _, _ = strings.Cut(strings.TrimSpace(name), "[")
		if ok && name != "" && name[0] != '-' && version != "" && !strings.ContainsAny(version, "*, ") && !strings.ContainsAny(name, " <>=!~/:") {
			out.Packages = append(out.Packages, pack(name, version, sekisho.Declared))
		}
	}
}

// tables reads the [[package]] tables of poetry.lock, uv.lock, pdm.lock and
// [[packages]] of pylock.toml: name and version stand on lines of their own.
func tables(data []byte, out *analyze.Result) {
	name, version, in, local := "", "", false, false
	flush := func() {
		if in && name != "" && version != "" && !local {
			out.Packages = append(out.Packages, pack(name, version, sekisho.Declared))
		}
		name, version, local = "", "", false
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		switch {
		case text == "[[package]]" || text == "[[packages]]":
			flush()
			in = true
		case strings.HasPrefix(text, "["):
			if !strings.HasPrefix(text, "[package.") && !strings.HasPrefix(text, "[packages.") {
				flush()
				in = false
			}
		case strings.HasPrefix(text, "name = ") && name == "":
			name = strings.Trim(text[len("name = "):], `"'`)
		case strings.HasPrefix(text, "version = ") && version == "":
			version = strings.Trim(text[len("version = "):], `"'`)
		case strings.HasPrefix(text, "source = { editable") || strings.HasPrefix(text, "source = { virtual"):
			local = true
		}
	}
	flush()
}
