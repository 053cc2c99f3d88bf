package longtail

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// libraries reads "libraries" of NAME.deps.json and project.assets.json. The
// application's own projects are left out; a self-contained application's
// runtime is a package.
func libraries(s *sink) error {
	if form := bytes.TrimSpace(s.file.Data); len(form) > 0 && form[0] == '[' {
		return nil // another's file of that name
	}
	return document(s.file.Data, func(key string, raw []byte) error {
		if key != "libraries" {
			return nil
		}
		return members(raw, func(key string, raw []byte) error {
			kind, err := texts(raw, "type")
			if err != nil {
				return err
			}
			name, version, ok := strings.Cut(key, "/")
			if !ok || kind[0] != "package" && kind[0] != "runtimepack" {
				return nil
			}
			return s.add(pkg{kind: "nuget", name: strings.TrimPrefix(name, "runtimepack."), version: version})
		})
	})
}

// packagesLock reads packages.lock.json: framework, name, resolved version.
func packagesLock(s *sink) error {
	return document(s.file.Data, func(key string, raw []byte) error {
		if key != "dependencies" {
			return nil
		}
		return members(raw, func(_ string, raw []byte) error {
			return members(raw, func(name string, raw []byte) error {
				t, err := texts(raw, "type", "resolved")
				if err != nil || strings.EqualFold(t[0], "Project") {
					return err
				}
				return s.add(pkg{kind: "nuget", name: name, version: t[1], once: true})
			})
		})
	})
}

// references reads packages.config, project files and central versions: what
// has one literal version.
func references(s *sink) error {
	d := xml.NewDecoder(bytes.NewReader(s.file.Data))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var open *pkg // a PackageReference whose Version may be an element
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "package", "PackageReference", "PackageVersion", "GlobalPackageReference":
				p := reference(t)
				open = &p
			case "Version":
				if open != nil && open.version == "" {
					open.version = content(d)
				}
			}
		case xml.EndElement:
			switch t.Name.Local {
			case "package", "PackageReference", "PackageVersion", "GlobalPackageReference":
				if open == nil {
					continue
				}
				open.version = exact(open.version)
				if err := s.add(*open); err != nil {
					return err
				}
				open = nil
			}
		}
	}
}

func reference(t xml.StartElement) pkg {
	p := pkg{kind: "nuget", once: true}
	for _, a := range t.Attr {
		switch a.Name.Local {
		case "id", "Include", "Update":
			p.name = strings.TrimSpace(a.Value)
		case "version", "Version", "VersionOverride":
			p.version = a.Value
		case "developmentDependency":
			p.dev = strings.EqualFold(a.Value, "true")
		case "PrivateAssets":
			p.dev = strings.EqualFold(a.Value, "all")
		}
	}
	if strings.ContainsAny(p.name, "$@;*%") {
		p.name = ""
	}
	return p
}

// content returns the text right behind a start tag.
func content(d *xml.Decoder) string {
	t, err := d.RawToken()
	if text, ok := t.(xml.CharData); ok && err == nil {
		return strings.TrimSpace(string(text))
	}
	return ""
}

// exact returns a version that is one, not a range or a variable.
func exact(v string) string {
	v = strings.TrimSpace(v)
	if n := len(v); n > 2 && v[0] == '[' && v[n-1] == ']' {
		v = v[1 : n-1]
	}
	if strings.ContainsAny(v, "*[](),$@%< ") {
		return ""
	}
	return v
}

// paket reads paket.lock: four spaces before a package of the NUGET section.
func paket(s *sink) error {
	nuget := false
	for line := range lines(s.file.Data) {
		if line != "" && line[0] != ' ' {
			nuget = nuget && strings.HasPrefix(line, "GROUP") || strings.TrimSpace(line) == "NUGET"
			continue
		}
		rest, ok := strings.CutPrefix(line, "    ")
		if !nuget || !ok || rest == "" || rest[0] == ' ' {
			continue
		}
		name, version, ok := strings.Cut(rest, " (")
		if version, _, closed := strings.Cut(version, ")"); ok && closed {
			if err := s.add(pkg{kind: "nuget", name: name, version: exact(version), once: true}); err != nil {
				return err
			}
		}
	}
	return nil
}
