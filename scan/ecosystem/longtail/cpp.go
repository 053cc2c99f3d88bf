package longtail

import (
	"bytes"
	"strings"

	"sekisho/internal/jsonpick"
)

// vcpkg reads installed/vcpkg/status.
func vcpkg(s *sink) error {
	for block := range bytes.SplitSeq(bytes.ReplaceAll(s.file.Data, []byte("\r\n"), []byte("\n")), []byte("\n\n")) {
		m := fields(block)
		if m["Feature"] != "" || !strings.HasSuffix(m["Status"], " installed") {
			continue
		}
		version := m["Version"]
		if port := m["Port-Version"]; port != "" && port != "0" {
			version += "#" + port
		}
		err := s.add(pkg{kind: "vcpkg", name: m["Package"], version: version, arch: m["Architecture"], once: true, qualifiers: [][2]string{{"triplet", m["Architecture"]}}})
		if err != nil {
			return err
		}
	}
	return nil
}

// conan reads conan.lock of Conan 2 (lists) and 1 (a graph).
func conan(s *sink) error {
	return document(s.file.Data, func(key string, raw []byte) error {
		switch key {
		case "requires", "build_requires", "python_requires":
			return elements(raw, func(raw []byte) error { return conanReference(s, jsonpick.String(raw), key != "requires") })
		case "graph_lock":
			return members(raw, func(key string, raw []byte) error {
				if key != "nodes" {
					return nil
				}
				return members(raw, func(_ string, raw []byte) error {
					t, err := texts(raw, "ref", "pref", "path", "context")
					if err != nil || t[2] != "" {
						return err
					}
					if t[0] == "" {
						t[0] = t[1]
					}
					return conanReference(s, t[0], t[3] == "build")
				})
			})
		}
		return nil
	})
}

// conanReference reads name/version@user/channel#revision:package%time.
func conanReference(s *sink, ref string, dev bool) error {
	if i := strings.IndexAny(ref, "#:%"); i >= 0 {
		ref = ref[:i]
	}
	ref, origin, _ := strings.Cut(ref, "@")
	user, channel, _ := strings.Cut(origin, "/")
	name, version, _ := strings.Cut(ref, "/")
	return s.add(pkg{kind: "conan", name: name, version: version, dev: dev, once: true, qualifiers: [][2]string{{"user", user}, {"channel", channel}}})
}
