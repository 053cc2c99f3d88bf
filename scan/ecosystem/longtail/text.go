package longtail

import (
	"bytes"
	"errors"
	"iter"
	"strings"

	"sekisho/internal/jsonpick"
)

var errForm = errors.New("not the form that its name promises")

// lines gives every line without its end.
func lines(data []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(data) {
			if !yield(strings.TrimRight(string(line), "\r\n")) {
				return
			}
		}
	}
}

// members calls see with every member of a JSON object until it fails. What is
// no object (null, most of all) has none.
func members(data []byte, see func(key string, raw []byte) error) (err error) {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		return nil
	}
	form := jsonpick.Object(data, func(key, raw []byte) bool {
		err = see(keyText(key), raw)
		return err == nil
	})
	if err == nil {
		err = form
	}
	return err
}

// keyText decodes a key; .NET escapes the plus sign of versions.
func keyText(key []byte) string {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key)
	}
	return jsonpick.String([]byte(`"` + string(key) + `"`))
}

// document is members of a file, which has to be an object.
func document(data []byte, see func(key string, raw []byte) error) error {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(data) == 0 || data[0] != '{' {
		return errForm
	}
	return members(data, see)
}

// elements calls see with every element of a JSON array until it fails. What
// is no array has none.
func elements(data []byte, see func(raw []byte) error) error {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '[' {
		return nil
	}
	data = bytes.TrimLeft(data[1:], " \t\r\n")
	for len(data) > 0 && data[0] != ']' {
		end := jsonpick.Skip(data, 0)
		if end <= 0 {
			return errForm
		}
		if err := see(data[:end]); err != nil {
			return err
		}
		data = bytes.TrimLeft(data[end:], " \t\r\n")
		if len(data) == 0 || data[0] != ',' && data[0] != ']' {
			return errForm
		}
		if data[0] == ',' {
			data = bytes.TrimLeft(data[1:], " \t\r\n")
		}
	}
	if len(data) == 0 {
		return errForm
	}
	return nil
}

// texts returns the string members of a JSON object that are named.
func texts(raw []byte, names ...string) ([]string, error) {
	list := make([]string, len(names))
	err := members(raw, func(key string, raw []byte) error {
		for i, n := range names {
			if n == key {
				list[i] = jsonpick.String(raw)
			}
		}
		return nil
	})
	return list, err
}

// fields reads "Key: value" lines as Debian's control files have them: the
// first of each key, continuation lines joined.
func fields(data []byte) map[string]string {
	m, key := map[string]string{}, ""
	for line := range lines(data) {
		if line == "" {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if key != "" && len(m[key]) < maxText {
				m[key] += " " + strings.TrimSpace(line)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if _, seen := m[name]; !ok || seen || len(m) > 200 {
			key = ""
			continue
		}
		key = name
		m[key] = strings.TrimSpace(value)
	}
	return m
}

// unquote cuts one pair of quotes.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
