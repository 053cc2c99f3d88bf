// Package jsonpick looks at the members of a JSON object (RFC 8259) without
// decoding what nobody asked for. It is for small parts of many files; it
// checks strings and nesting, not every rule of the grammar.
package jsonpick

import (
	"bytes"
	"encoding/json"
	"errors"
)

var errForm = errors.New("not a JSON object")

// maxDepth bounds nesting.
const maxDepth = 1000

// Object calls see with each member's key and raw value, until it returns
// false. The slices point into data.
func Object(data []byte, see func(key, raw []byte) bool) error {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	i := space(data, 0)
	if i >= len(data) || data[i] != '{' {
		return errForm
	}
	i = space(data, i+1)
	if i < len(data) && data[i] == '}' {
		return nil
	}
	for {
		end := text(data, i)
		if end < 0 {
			return errForm
		}
		key := data[i+1 : end-1]
		i = space(data, end)
		if i >= len(data) || data[i] != ':' {
			return errForm
		}
		i = space(data, i+1)
		if end = Skip(data, i); end < 0 {
			return errForm
		}
		if !see(key, data[i:end]) {
			return nil
		}
		i = space(data, end)
		if i >= len(data) {
			return errForm
		}
		if data[i] == '}' {
			return nil
		}
		if data[i] != ',' {
			return errForm
		}
		i = space(data, i+1)
	}
}

func space(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// text returns the end of the string that begins at i, or -1.
func text(data []byte, i int) int {
	if i >= len(data) || data[i] != '"' {
		return -1
	}
	for i++; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// Skip returns the end of the value that begins at i, or -1.
func Skip(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch c := data[i]; c {
		case '"':
			if i = text(data, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return -1
			}
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return -1
			}
		case ',', ' ', '\n', '\t', '\r', ':':
			if depth == 0 {
				return -1
			}
		default:
			if depth == 0 {
				from := i
				for i < len(data) && bytes.IndexByte([]byte(",}] \n\t\r"), data[i]) < 0 {
					i++
				}
				if i == from {
					return -1
				}
				return i
			}
		}
		i++
	}
	return -1
}

// String decodes a raw string value, "" when it is none.
func String(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
