package source

import (
	"bufio"
	"errors"
	"io"

	"sekisho"
)

// maxDepth bounds nesting of JSON outside of elements.
const maxDepth = 1000

// Elements calls see with each element of a JSON array, raw: the array under
// key in the outermost object, or the outermost array when key is empty. It
// holds one element at a time, of at most limit bytes, and reads to the end.
// The slice is see's to keep. It checks strings and nesting; what decodes the
// element checks the rest.
func Elements(r io.Reader, key string, limit int, see func(raw []byte) error) error {
	s := splitter{r: bufio.NewReaderSize(r, 64<<10), limit: limit, see: see}
	c, err := s.next()
	if err != nil {
		return form("no JSON", err)
	}
	if c == 0xef { // byte order mark
		if _, err := s.r.Discard(2); err != nil {
			return form("no JSON", err)
		}
		if c, err = s.next(); err != nil {
			return form("no JSON", err)
		}
	}
	switch {
	case c == '[' && key == "":
		return s.array()
	case c == '{' && key != "":
		return s.object(key)
	}
	return sekisho.Errorf(sekisho.Invalid, "JSON of another form: begins with %q", c)
}

func form(what string, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return sekisho.Errorf(sekisho.Invalid, "%s: %w", what, err)
}

type splitter struct {
	r     *bufio.Reader
	limit int
	see   func(raw []byte) error
	found bool
}

// next returns the next byte that is not space.
func (s *splitter) next() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		if err != nil || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, err
		}
	}
}

func (s *splitter) object(key string) error {
	for {
		c, err := s.next()
		if err != nil {
			return form("object is cut short", err)
		}
		if c == '}' {
			break
		}
		if c == ',' {
			continue
		}
		name, err := s.value(c, nil)
		if err != nil {
			return err
		}
		if c, err = s.next(); err != nil || c != ':' {
			return form("member without value", err)
		}
		if c, err = s.next(); err != nil {
			return form("member without value", err)
		}
		if string(name) == `"`+key+`"` && c == '[' {
			s.found = true
			err = s.array()
		} else {
			_, err = s.value(c, nil)
		}
		if err != nil {
			return err
		}
	}
	if !s.found {
		return sekisho.Errorf(sekisho.Invalid, "no %q in it", key)
	}
	return nil
}

func (s *splitter) array() error {
	for {
		c, err := s.next()
		if err != nil {
			return form("array is cut short", err)
		}
		switch c {
		case ']':
			return nil
		case ',':
			continue
		}
		raw, err := s.value(c, make([]byte, 0, 1024))
		if err != nil {
			return err
		}
		if err := s.see(raw); err != nil {
			return err
		}
	}
}

// value collects the value that begins with c.
func (s *splitter) value(c byte, out []byte) ([]byte, error) {
	depth, quoted := 0, false
	for {
		if len(out) >= s.limit {
			return nil, sekisho.Errorf(sekisho.Invalid, "an element of more than %d bytes", s.limit)
		}
		out = append(out, c)
		switch {
		case quoted && c == '\\':
			next, err := s.r.ReadByte()
			if err != nil {
				return nil, form("string is cut short", err)
			}
			out = append(out, next)
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return nil, sekisho.Errorf(sekisho.Invalid, "nested more than %d deep", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
		if depth <= 0 && !quoted {
			if done, err := s.ended(c); done || err != nil {
				return out, err
			}
		}
		var err error
		if c, err = s.r.ReadByte(); err != nil {
			return nil, form("value is cut short", err)
		}
	}
}

// ended reports whether a value outside of braces and quotes ends with c:
// always after one of these, and a bare word before what follows it.
func (s *splitter) ended(c byte) (bool, error) {
	if c == '"' || c == '}' || c == ']' {
		return true, nil
	}
	next, err := s.r.Peek(1)
	if err != nil {
		return false, form("value is cut short", err)
	}
	switch next[0] {
	case ',', ']', '}', ' ', '\n', '\t', '\r', ':':
		return true, nil
	}
	return false, nil
}
