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

// value appends the value that begins with c to out.
func (s *splitter) value(c byte, out []byte) ([]byte, error) {
	out = append(out, c)
	var at place
	switch c {
	case '"':
		at.quoted = true
	case '{', '[':
		at.depth = 1
	default:
		return s.word(out)
	}
	for {
		if _, err := s.r.Peek(1); err != nil {
			return nil, form("value is cut short", err)
		}
		chunk, _ := s.r.Peek(s.r.Buffered())
		n, done := at.scan(chunk)
		if at.depth > maxDepth {
			return nil, sekisho.Errorf(sekisho.Invalid, "nested more than %d deep", maxDepth)
		}
		if len(out)+n > s.limit {
			return nil, sekisho.Errorf(sekisho.Invalid, "an element of more than %d bytes", s.limit)
		}
		out = append(out, chunk[:n]...)
		if _, err := s.r.Discard(n); err != nil {
			return nil, form("value is cut short", err)
		}
		if done {
			return out, nil
		}
	}
}

// place is where in a value the reading is.
type place struct {
	depth           int
	quoted, escaped bool
}

// scan goes through a chunk up to the value's end, and returns how far it got.
func (p *place) scan(chunk []byte) (n int, done bool) {
	for n < len(chunk) {
		c := chunk[n]
		n++
		switch {
		case p.escaped:
			p.escaped = false
		case p.quoted:
			p.escaped, p.quoted = c == '\\', c != '"'
			if !p.quoted && p.depth == 0 {
				return n, true
			}
		case c == '"':
			p.quoted = true
		case c == '{' || c == '[':
			p.depth++
		case c == '}' || c == ']':
			if p.depth--; p.depth == 0 {
				return n, true
			}
		}
	}
	return n, false
}

// word reads on to the end of a number, true, false or null.
func (s *splitter) word(out []byte) ([]byte, error) {
	for len(out) < 64 {
		next, err := s.r.Peek(1)
		if err != nil {
			return nil, form("value is cut short", err)
		}
		switch next[0] {
		case ',', ']', '}', ' ', '\n', '\t', '\r', ':':
			return out, nil
		}
		out = append(out, next[0])
		if _, err := s.r.Discard(1); err != nil {
			return nil, form("value is cut short", err)
		}
	}
	return nil, sekisho.Errorf(sekisho.Invalid, "a bare word of more than 64 bytes")
}
