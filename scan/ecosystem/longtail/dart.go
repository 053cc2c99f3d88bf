package longtail

import "strings"

// pub reads pubspec.lock, YAML that pub writes in one shape: packages one level
// in, their fields two, their descriptions three. What comes with the SDK or
// from a path is no package of its own.
func pub(s *sink) error {
	var name string
	m := map[string]string{}
	flush := func() error {
		defer clear(m)
		switch m["source"] {
		case "hosted", "":
			return s.add(pkg{kind: "pub", name: name, version: m["version"], dev: strings.HasSuffix(m["dependency"], " dev")})
		case "git":
			if m["resolved-ref"] != "" {
				return s.git(name, m["url"], m["resolved-ref"], strings.HasSuffix(m["dependency"], " dev"))
			}
		}
		return nil
	}
	in, known, depth := false, false, 0
	for line := range lines(s.file.Data) {
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		key, value, _ := strings.Cut(text, ":")
		switch {
		case indent == 0:
			in, depth = key == "packages", 0
			known = known || in || key == "sdks"
		case !in:
		case depth == 0 || indent == depth:
			depth = indent
			if err := flush(); err != nil {
				return err
			}
			name = unquote(key)
		case len(m) < 50:
			m[key] = unquote(value)
		}
	}
	if !known && len(s.file.Data) > 0 {
		return errForm
	}
	return flush()
}
