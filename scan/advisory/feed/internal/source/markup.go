package source

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"

	"sekisho"
)

// maxRun is the longest text or tag in XML, in bytes.
const maxRun = 8 << 20

// ErrStop ends the reading of a document before its end, without an error.
var ErrStop = errors.New("stop")

// Markup calls see with each element of an XML document that begins, from the
// outside in; see may take the whole element with DecodeElement or Skip, of at
// most limit bytes. Documents whose elements or texts are larger are refused.
func Markup(r io.Reader, limit int64, see func(d *xml.Decoder, start xml.StartElement) error) error {
	m := &markup{r: r, left: limit}
	d := xml.NewDecoder(m)
	began := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && began {
			return nil
		}
		if err != nil {
			return wrong(err)
		}
		m.left = limit
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		began = true
		if err := see(d, start); errors.Is(err, ErrStop) {
			return nil
		} else if err != nil {
			return wrong(err)
		}
	}
}

func wrong(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) {
		return sekisho.Errorf(sekisho.Invalid, "read XML: %w", err)
	}
	return err
}

// markup bounds what passes before the budget is given anew, and what passes
// without a tag's begin.
type markup struct {
	r    io.Reader
	left int64
	run  int
}

// Read implements io.Reader.
func (m *markup) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.left -= int64(n)
	if i := bytes.LastIndexByte(p[:n], '<'); i >= 0 {
		m.run = n - i
	} else {
		m.run += n
	}
	if m.left < 0 || m.run > maxRun {
		return 0, sekisho.Errorf(sekisho.Invalid, "an element of XML is larger than its bound")
	}
	return n, err
}

// Attr returns an attribute by its local name.
func Attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
