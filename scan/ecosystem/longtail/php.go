package longtail

import (
	"strings"

	"sekisho/internal/jsonpick"
	"sekisho/scan/licence"
)

// composerLock reads composer.lock (getcomposer.org, "The lock file").
func composerLock(s *sink) error {
	return document(s.file.Data, func(key string, raw []byte) error {
		if key != "packages" && key != "packages-dev" {
			return nil
		}
		return elements(raw, func(raw []byte) error { return composer(s, raw, func(string) bool { return key == "packages-dev" }) })
	})
}

// composerTree reads vendor/composer/installed.json of version 2, an object,
// and 1, an array.
func composerTree(s *sink) error {
	dev := map[string]bool{}
	isDev := func(name string) bool { return dev[name] }
	if data := s.file.Data; len(data) > 0 && data[0] == '[' {
		return elements(data, func(raw []byte) error { return composer(s, raw, isDev) })
	}
	err := document(s.file.Data, func(key string, raw []byte) error {
		if key != "dev-package-names" {
			return nil
		}
		return elements(raw, func(raw []byte) error {
			if len(dev) < maxPackages {
				dev[jsonpick.String(raw)] = true
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return document(s.file.Data, func(key string, raw []byte) error {
		if key != "packages" {
			return nil
		}
		return elements(raw, func(raw []byte) error { return composer(s, raw, isDev) })
	})
}

// composer adds one package; several licences are alternatives.
func composer(s *sink, raw []byte, dev func(name string) bool) error {
	var name, version string
	var licences []string
	err := members(raw, func(key string, raw []byte) error {
		switch key {
		case "name":
			name = jsonpick.String(raw)
		case "version":
			version = jsonpick.String(raw)
		case "license":
			if one := jsonpick.String(raw); one != "" {
				licences = append(licences, one)
			}
			return elements(raw, func(raw []byte) error {
				if len(licences) < 20 {
					licences = append(licences, jsonpick.String(raw))
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	space, short := cutLast(strings.ToLower(name), '/')
	return s.add(pkg{kind: "composer", space: space, name: short, version: version, licence: licence.SPDX(strings.Join(licences, " or ")), dev: dev(name)})
}
