package longtail

import (
	"path"
	"regexp"
	"strings"

	"sekisho/scan/licence"
)

// renv reads renv.lock.
func renv(s *sink) error {
	return document(s.file.Data, func(key string, raw []byte) error {
		if key != "Packages" {
			return nil
		}
		return members(raw, func(_ string, raw []byte) error {
			t, err := texts(raw, "Package", "Version", "Source", "RemoteUsername", "RemoteRepo", "RemoteSha", "RemoteHost")
			if err != nil {
				return err
			}
			switch t[2] {
			case "Bioconductor":
				return s.add(pkg{kind: "bioconductor", name: t[0], version: t[1]})
			case "GitHub", "GitLab", "Bitbucket", "Git":
				if t[2] == "GitHub" && t[5] != "" {
					return s.add(pkg{kind: "github", space: strings.ToLower(t[3]), name: strings.ToLower(t[4]), version: t[5]})
				}
			}
			return s.add(pkg{kind: "cran", name: t[0], version: t[1]})
		})
	})
}

// description reads DESCRIPTION of an installed R package; its directory has
// the package's name.
func description(s *sink) error {
	m := fields(s.file.Data)
	if m["Package"] == "" || m["Package"] != path.Base(path.Dir(s.file.Path)) {
		return nil
	}
	kind := "cran"
	if m["biocViews"] != "" || strings.Contains(m["Repository"], "Bioconductor") {
		kind = "bioconductor"
	}
	return s.add(pkg{kind: kind, name: m["Package"], version: m["Version"], licence: rLicence(m["License"])})
}

var (
	orLater = regexp.MustCompile(`(?i)\b(A?GPL|LGPL)\s*\(\s*>=?\s*([\d.]+)\s*\)`)
	plain   = regexp.MustCompile(`(?i)\b(A?GPL|LGPL)-([\d.]+)`)
)

// rLicence turns R's words (Writing R Extensions, section 1.1.2) into SPDX.
func rLicence(text string) string {
	text = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(text), "+ file LICENSE"), "+ file LICENCE", "")
	if strings.HasPrefix(text, "Part of R") {
		return "GPL-2.0-only OR GPL-3.0-only"
	}
	number := func(v string) string {
		if !strings.Contains(v, ".") {
			v += ".0"
		}
		return v
	}
	text = orLater.ReplaceAllStringFunc(text, func(s string) string {
		m := orLater.FindStringSubmatch(s)
		return strings.ToUpper(m[1]) + "-" + number(m[2]) + "-or-later"
	})
	text = plain.ReplaceAllStringFunc(text, func(s string) string {
		m := plain.FindStringSubmatch(s)
		return strings.ToUpper(m[1]) + "-" + number(m[2])
	})
	return licence.SPDX(text)
}

// julia reads Manifest.toml, which Pkg writes one key on a line: [[deps.Name]]
// of version 2, [[Name]] of version 1. Standard libraries have no version of
// their own.
func julia(s *sink) error {
	two := strings.Contains(string(s.file.Data), "[[deps.")
	name, m := "", map[string]string{}
	flush := func() error {
		defer clear(m)
		return s.add(pkg{kind: "julia", name: name, version: m["version"], qualifiers: [][2]string{{"uuid", m["uuid"]}}})
	}
	for line := range lines(s.file.Data) {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "[") {
			if err := flush(); err != nil {
				return err
			}
			name = ""
			if inner, ok := strings.CutPrefix(text, "[["); ok && strings.HasSuffix(inner, "]]") {
				name = strings.TrimSuffix(inner, "]]")
				rest, deps := strings.CutPrefix(name, "deps.")
				if name = rest; deps != two || strings.Contains(name, ".") {
					name = ""
				}
			}
			continue
		}
		if key, value, ok := strings.Cut(text, "="); ok && len(m) < 50 {
			m[strings.TrimSpace(key)] = unquote(value)
		}
	}
	return flush()
}

var frozen = regexp.MustCompile(`\bany\.([A-Za-z0-9][\w-]*) ==([\d.]+)`)

// cabal reads cabal.project.freeze.
func cabal(s *sink) error {
	for line := range lines(s.file.Data) {
		if strings.HasPrefix(strings.TrimSpace(line), "--") {
			continue
		}
		for _, m := range frozen.FindAllStringSubmatch(line, 100) {
			if err := s.add(pkg{kind: "hackage", name: m[1], version: m[2]}); err != nil {
				return err
			}
		}
	}
	return nil
}

var hackage = regexp.MustCompile(`^hackage:\s*"?([A-Za-z0-9-]+)-(\d[\d.]*)(?:@|"?$)`)

// stack reads stack.yaml.lock; every package stands there twice, as asked for
// and as found.
func stack(s *sink) error {
	for line := range lines(s.file.Data) {
		if m := hackage.FindStringSubmatch(strings.TrimPrefix(strings.TrimSpace(line), "- ")); m != nil {
			if err := s.add(pkg{kind: "hackage", name: m[1], version: m[2], once: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

var rockField = regexp.MustCompile(`(?m)^\s*(package|version|license)\s*=\s*["']([^"'\n]+)["']`)

// rockspec reads NAME-VERSION.rockspec of an installed rock.
func rockspec(s *sink) error {
	m := map[string]string{}
	for _, f := range rockField.FindAllSubmatch(s.file.Data, 16) {
		if key := string(f[1]); m[key] == "" {
			m[key] = string(f[2])
		}
	}
	if m["version"] == "" { // computed there; the directories NAME/VERSION say it as well
		dir := path.Dir(s.file.Path)
		m["version"], m["package"] = path.Base(dir), path.Base(path.Dir(dir))
		if path.Base(s.file.Path) != m["package"]+"-"+m["version"]+".rockspec" {
			return nil
		}
	}
	return s.add(pkg{kind: "luarocks", name: strings.ToLower(m["package"]), version: m["version"], licence: licence.SPDX(m["license"])})
}

// opam reads .opam-switch/switch-state: installed: ["name.version" …].
func opam(s *sink) error {
	in := false
	for line := range lines(s.file.Data) {
		if rest, ok := strings.CutPrefix(line, "installed:"); ok {
			in, line = true, rest
		} else if line != "" && line[0] != ' ' && line[0] != '\t' && line[0] != ']' {
			in = false
		}
		if !in {
			continue
		}
		for _, word := range strings.Fields(strings.Trim(line, " []")) {
			name, version, _ := strings.Cut(unquote(strings.Trim(word, "[]")), ".")
			if err := s.add(pkg{kind: "opam", name: name, version: version}); err != nil {
				return err
			}
		}
		in = !strings.Contains(line, "]")
	}
	return nil
}

// cpan reads .meta/NAME-VERSION/install.json, which cpanm and cpm leave.
func cpan(s *sink) error {
	t, err := texts(s.file.Data, "dist", "version", "pathname", "name")
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(t[0], "-"+t[1])
	if name == t[0] { // the version is written in another way there
		if before, after := cutLast(t[0], '-'); before != "" && after != "" && (after[0] == 'v' || after[0] >= '0' && after[0] <= '9') {
			name = before
		}
	}
	author := ""
	if parts := strings.Split(t[2], "/"); len(parts) > 3 { // L/LE/LEONT/Module-Build-0.42.tar.gz
		author = parts[2]
	}
	return s.add(pkg{kind: "cpan", space: author, name: name, version: t[1]})
}
