package longtail

import (
	"bytes"
	"strings"

	"sekisho/internal/jsonpick"
)

// swift reads Package.resolved: version 1 keeps its pins in an object.
func swift(s *sink) error {
	pins := func(key string, raw []byte) error {
		if key != "pins" {
			return nil
		}
		return elements(raw, func(raw []byte) error { return pin(s, raw) })
	}
	return document(s.file.Data, func(key string, raw []byte) error {
		if key == "object" {
			return members(raw, pins)
		}
		return pins(key, raw)
	})
}

// pin adds one pin; one of a branch has its commit for a version.
func pin(s *sink, raw []byte) error {
	var name, url, version, revision string
	err := members(raw, func(key string, raw []byte) (err error) {
		switch key {
		case "package", "identity":
			name = jsonpick.String(raw)
		case "repositoryURL", "location":
			url = repository(jsonpick.String(raw))
		case "state":
			var t []string
			t, err = texts(raw, "version", "revision")
			version, revision = t[0], t[1]
		}
		return err
	})
	if err != nil {
		return err
	}
	if version == "" {
		version = revision
	}
	space, short := cutLast(url, '/')
	if short == "" {
		short = name
	}
	return s.add(pkg{kind: "swift", space: space, name: short, version: version})
}

// pods reads Podfile.lock. Subspecs ("Firebase/Core") are parts of one pod;
// pods of a local path are the project's own.
func pods(s *sink) error {
	local, at, last := map[string]bool{}, "", ""
	for line := range lines(s.file.Data) {
		switch {
		case line != "" && line[0] != ' ':
			at = line
		case at != "EXTERNAL SOURCES:":
		case strings.HasPrefix(line, "    :path:"):
			local[last] = true
		case strings.HasPrefix(line, "  ") && strings.HasSuffix(line, ":"):
			last = unquote(line[:len(line)-1])
		}
	}
	at = ""
	if len(s.file.Data) > 0 && !bytes.Contains(s.file.Data, []byte("PODS:")) && !bytes.Contains(s.file.Data, []byte("COCOAPODS:")) {
		return errForm
	}
	for line := range lines(s.file.Data) {
		if line != "" && line[0] != ' ' {
			at = line
		}
		rest, ok := strings.CutPrefix(line, "  - ")
		if at != "PODS:" || !ok {
			continue
		}
		name, version, ok := strings.Cut(unquote(strings.TrimSuffix(rest, ":")), " (")
		name, _, _ = strings.Cut(name, "/")
		if version, _, closed := strings.Cut(version, ")"); ok && closed && !local[name] {
			if err := s.add(pkg{kind: "cocoapods", name: name, version: version, once: true}); err != nil {
				return err
			}
		}
	}
	return nil
}
