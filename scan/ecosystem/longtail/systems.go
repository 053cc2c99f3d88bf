package longtail

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strings"

	"sekisho"
	"sekisho/scan/analyze"
	"sekisho/scan/licence"
)

// portage reads var/db/pkg/CATEGORY/NAME-VERSION of Gentoo: PF has the name,
// LICENSE and CONTENTS what they say.
func portage(f form, s *sink) error {
	dir := path.Dir(s.file.Path)
	category := path.Base(path.Dir(dir))
	name, version := ebuild(path.Base(dir))
	id := "portage:" + category + "/" + name
	switch f {
	case gentooName:
		return s.add(pkg{kind: "portage", space: category, name: name, version: version})
	case gentooLicence:
		if l := licence.SPDX(strings.Join(strings.Fields(string(s.file.Data)), " and ")); l != "" && name != "" {
			s.out.Licences = append(s.out.Licences, analyze.Licensed{Package: id, Licence: l})
		}
	case gentooContents: // "obj /path md5 time", "sym /path -> target time", "dir /path"
		var paths []string
		for line := range lines(s.file.Data) {
			if rest, ok := strings.CutPrefix(line, "obj "); ok {
				rest, _ = cutLast(rest, ' ')
				if rest, _ = cutLast(rest, ' '); rest != "" {
					paths = append(paths, rest)
				}
			} else if rest, ok := strings.CutPrefix(line, "sym "); ok {
				rest, _, _ = strings.Cut(rest, " -> ")
				paths = append(paths, rest)
			}
		}
		if len(paths) > 0 && name != "" {
			s.out.Owns = append(s.out.Owns, analyze.Owned{Package: id, Paths: paths})
		}
	}
	return nil
}

// ebuild cuts NAME-VERSION[-rN] (Package Manager Specification, section 3.2).
func ebuild(pf string) (name, version string) {
	for i := len(pf) - 2; i > 0; i-- {
		if pf[i] == '-' && pf[i+1] >= '0' && pf[i+1] <= '9' {
			return pf[:i], pf[i+1:]
		}
	}
	return "", ""
}

// isStore knows /nix/store/HASH-NAME: a hash of 32 letters.
func isStore(p string) bool {
	const store = "nix/store/"
	return len(p) > len(store)+33 && p[:len(store)] == store && p[len(store)+32] == '-' && strings.IndexByte(p[len(store):], '/') < 0
}

// nix takes a store directory's name apart as Nix does: the version begins at
// the first dash that no letter follows; the output ends it.
func nix(s *sink) {
	s.found = sekisho.Installed
	base := s.file.Path[len("nix/store/"):]
	hash, rest := base[:32], base[33:]
	for _, end := range []string{".drv", "-source", "-hook", ".patch", ".tar", "-env"} {
		if strings.HasSuffix(rest, end) {
			return
		}
	}
	for i := 1; i < len(rest)-1; i++ {
		if rest[i] != '-' || rest[i+1] < '0' || rest[i+1] > '9' {
			continue
		}
		version, output := rest[i+1:], ""
		for _, o := range []string{"bin", "dev", "lib", "out", "man", "doc", "info", "debug", "devdoc", "static", "data", "getent", "xgcc-libgcc", "libgcc"} {
			if v, ok := strings.CutSuffix(version, "-"+o); ok {
				version, output = v, o
				break
			}
		}
		_ = s.add(pkg{kind: "nix", name: rest[:i], version: version, qualifiers: [][2]string{{"hash", hash}, {"output", output}}}) // one package cannot be too many
		return
	}
}

// snap reads meta/snap.yaml: name and version at the left margin.
func snap(s *sink) error {
	m := fields(s.file.Data)
	return s.add(pkg{kind: "snap", name: unquote(m["name"]), version: unquote(m["version"])})
}

// flatpak reads an application's metainfo.xml: its id and newest release.
func flatpak(s *sink) error {
	d := xml.NewDecoder(bytes.NewReader(s.file.Data))
	var p = pkg{kind: "flatpak"}
	for p.name == "" || p.version == "" {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		e, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "id":
			if p.name == "" {
				p.name = content(d)
			}
		case "release":
			for _, a := range e.Attr {
				if a.Name.Local == "version" && p.version == "" {
					p.version = a.Value
				}
			}
		}
	}
	return s.add(p)
}

// cos reads etc/cos-package-info.json of Container-Optimized OS.
func cos(s *sink) error {
	return document(s.file.Data, func(key string, raw []byte) error {
		if key != "installedPackages" {
			return nil
		}
		return elements(raw, func(raw []byte) error {
			t, err := texts(raw, "category", "name", "version", "ebuild_version")
			if err != nil {
				return err
			}
			return s.add(pkg{kind: "cos", space: t[0], name: t[1], version: t[2], qualifiers: [][2]string{{"ebuild_version", t[3]}}})
		})
	})
}
