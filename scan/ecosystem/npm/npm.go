// Package npm reads JavaScript packages: those installed in node_modules, in
// Debian's /usr/share/nodejs, and those that lock files of npm, Yarn, pnpm and
// Bun declare.
package npm

import (
	"strings"

	"sekisho"
	"sekisho/internal/jsonpick"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "npm" }
func (reader) Version() int { return 1 }

// Wants knows package.json at the root of an installed package, and lock files
// that are not inside one.
func (reader) Wants(f *analyze.File) analyze.Want {
	p := f.Path
	if len(p) < 9 || !f.Mode.IsRegular() {
		return analyze.Skip
	}
	switch p[len(p)-1] {
	case 'n':
		if strings.HasSuffix(p, "/package.json") {
			if installed(p) {
				return analyze.Whole
			}
			return analyze.Skip
		}
		if strings.HasSuffix(p, "package-lock.json") || strings.HasSuffix(p, "npm-shrinkwrap.json") {
			return lock(p)
		}
	case 'k':
		if strings.HasSuffix(p, "yarn.lock") || strings.HasSuffix(p, "bun.lock") {
			return lock(p)
		}
	case 'l':
		if strings.HasSuffix(p, "pnpm-lock.yaml") {
			return lock(p)
		}
	}
	return analyze.Skip
}

// lock wants a lock file of the exact name outside of installed packages.
func lock(p string) analyze.Want {
	if strings.Contains(p, "node_modules/") {
		return analyze.Skip
	}
	switch p[strings.LastIndexByte(p, '/')+1:] {
	case "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "bun.lock", "pnpm-lock.yaml":
		return analyze.Whole
	}
	return analyze.Skip
}

// installed reports whether package.json lies at a package's root:
// node_modules/NAME or node_modules/@SCOPE/NAME.
func installed(p string) bool {
	const modules = "node_modules/"
	dir := strings.TrimSuffix(p, "/package.json")
	i := strings.LastIndex(dir, modules)
	if i < 0 {
		rest, ok := strings.CutPrefix(dir, "usr/share/nodejs/")
		return ok && root(rest)
	}
	if i > 0 && dir[i-1] != '/' {
		return false
	}
	return root(dir[i+len(modules):])
}

func root(rest string) bool {
	slashes := strings.Count(rest, "/")
	return rest != "" && (slashes == 0 || slashes == 1 && rest[0] == '@')
}

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	switch f.Base() {
	case "package.json":
		return manifest(f.Data, out)
	case "yarn.lock":
		yarn(f.Data, out)
		return nil
	case "pnpm-lock.yaml":
		pnpm(f.Data, out)
		return nil
	case "bun.lock":
		return bun(f.Data, out)
	}
	return packageLock(f.Data, out)
}

// manifest reads name, version and licence of an installed package.
func manifest(data []byte, out *analyze.Result) error {
	var name, version, license string
	err := jsonpick.Object(data, func(key, raw []byte) bool {
		switch string(key) {
		case "name":
			name = jsonpick.String(raw)
		case "version":
			version = jsonpick.String(raw)
		case "license", "licence", "licenses":
			if l := licences(raw); l != "" {
				license = l
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	if name == "" || version == "" {
		return nil // a marker such as {"type": "module"}
	}
	p := pack(name, version, sekisho.Installed)
	p.Licence = license
	out.Packages = append(out.Packages, p)
	return nil
}

// licences reads the forms that npm has had: a string, {"type": …}, a list.
func licences(raw []byte) string {
	switch {
	case len(raw) == 0:
		return ""
	case raw[0] == '"':
		text := jsonpick.String(raw)
		if strings.HasPrefix(text, "SEE LICEN") || text == "UNLICENSED" {
			return licence.SPDX("LicenseRef-" + text)
		}
		return licence.SPDX(text)
	case raw[0] == '{':
		var kind string
		_ = jsonpick.Object(raw, func(key, value []byte) bool { // raw was skipped over as a value: it is whole
			if string(key) == "type" || string(key) == "name" && kind == "" {
				kind = jsonpick.String(value)
			}
			return true
		})
		return licence.SPDX(kind)
	case raw[0] == '[':
		var list []string
		for i := 1; i < len(raw) && len(list) < 16; {
			for i < len(raw) && (raw[i] == ',' || raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
				i++
			}
			end := jsonpick.Skip(raw, i)
			if end < 0 || i >= len(raw) || raw[i] == ']' || raw[i] == '[' {
				break
			}
			if l := licences(raw[i:end]); l != "" {
				list = append(list, l)
			}
			i = end
		}
		return strings.Join(list, " OR ")
	}
	return ""
}

// pack makes a package; a scope is the namespace of its package URL.
func pack(name, version, how string) sekisho.Package {
	scope, short := "", name
	if strings.HasPrefix(name, "@") {
		if s, n, ok := strings.Cut(name, "/"); ok {
			scope, short = s, n
		}
	}
	return sekisho.Package{Name: name, Version: version, Type: "npm", Found: how, PURL: purl.New("npm", scope, short, version)}
}
