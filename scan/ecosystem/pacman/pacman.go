// Package pacman reads the database of installed packages of Arch Linux's
// package manager: var/lib/pacman/local/NAME-VERSION/desc and files beside it.
package pacman

import (
	"bytes"
	"path"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

const local = "var/lib/pacman/local/"

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "pacman" }
func (reader) Version() int { return 1 }

func (reader) Wants(f *analyze.File) analyze.Want {
	if strings.HasPrefix(f.Path, local) && f.Mode.IsRegular() && strings.Count(f.Path, "/") == 5 {
		switch f.Path[strings.LastIndexByte(f.Path, '/')+1:] {
		case "desc", "files":
			return analyze.Whole
		}
	}
	return analyze.Skip
}

// Analyze reads sections: %NAME% on a line, values on the next ones, a blank
// line at the end.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	s := sections(f.Data)
	if f.Base() == "files" {
		name := path.Base(path.Dir(f.Path)) // NAME-VERSION-RELEASE
		for range 2 {
			if i := strings.LastIndexByte(name, '-'); i > 0 {
				name = name[:i]
			}
		}
		out.Owns = append(out.Owns, analyze.Owned{Package: "alpm:" + name, Paths: s["FILES"]})
		return nil
	}
	one := func(key string) string { return strings.Join(s[key][:min(1, len(s[key]))], "") }
	p := sekisho.Package{Name: one("NAME"), Version: one("VERSION"), Type: "alpm", Arch: one("ARCH"), Vendor: one("PACKAGER"), Found: sekisho.Installed}
	if p.Name == "" || p.Version == "" {
		out.Problem("no NAME or VERSION in it")
		return nil
	}
	p.Source = sekisho.Source{Name: one("BASE"), Version: p.Version}
	if p.Source.Name == "" {
		p.Source.Name = p.Name
	}
	var licences []string
	for _, l := range s["LICENSE"] {
		if id := licence.SPDX(l); id != "" {
			licences = append(licences, id)
		}
	}
	p.Licence = strings.Join(licences, " AND ")
	p.PURL = purl.New("alpm", "", p.Name, p.Version, [2]string{"arch", p.Arch})
	out.Packages = append(out.Packages, p)
	return nil
}

func sections(data []byte) map[string][]string {
	m := map[string][]string{}
	key := ""
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case text == "":
			key = ""
		case len(text) > 2 && text[0] == '%' && text[len(text)-1] == '%':
			key = text[1 : len(text)-1]
		case key != "":
			m[key] = append(m[key], text)
		}
	}
	return m
}
