// Package source opens what feeds read: documents over the update's client,
// unpacked by their first bytes, cut at a bound. It splits large JSON arrays
// into elements, works on many at once in order, and reads the words that
// vendors use for severities and dates. It refuses documents and elements
// beyond their bounds.
package source

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/klauspost/compress/zstd"

	"sekisho"
	"sekisho/scan/advisory"
)

// Document is an opened document. Close it.
type Document struct {
	io.Reader
	Same  bool  // nothing changed; there is no content
	Size  int64 // as it came, before unpacking
	close []func()
	again func() error
	raw   io.ReaderAt
}

// Again begins the content anew.
func (d *Document) Again() error {
	if d.again == nil {
		return nil
	}
	return d.again()
}

// Close frees what Open took.
func (d *Document) Close() {
	for i := len(d.close) - 1; i >= 0; i-- {
		d.close[i]()
	}
	d.close = nil
}

// Sum returns the SHA-256 of the document as it came, in hexadecimal digits.
func (d *Document) Sum() (string, error) {
	if d.raw == nil {
		return "", errors.New("no content")
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(d.raw, 0, d.Size)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// State returns a copy of a state that may be changed while the original
// stays. What was skipped is counted anew.
func State(s advisory.State) advisory.State {
	s.Validators, s.Cursors = maps.Clone(s.Validators), maps.Clone(s.Cursors)
	if s.Validators == nil {
		s.Validators = map[string]advisory.Validator{}
	}
	if s.Cursors == nil {
		s.Cursors = map[string]string{}
	}
	s.Skipped = nil
	return s
}

// Open gets a document unless it is the same as the state knows, and puts its
// validator into the state. Content beyond limit bytes, unpacked, is an error.
func Open(ctx context.Context, c advisory.Client, state advisory.State, url string, limit int64) (*Document, error) {
	doc, err := c.Get(ctx, url, state.Validators[url])
	if err != nil {
		return nil, err
	}
	if doc.Same {
		_ = doc.Close()
		return &Document{Reader: bytes.NewReader(nil), Same: true}, nil
	}
	out := &Document{Size: doc.Size, raw: doc, close: []func(){func() { _ = doc.Close() }}}
	out.again = func() error { return out.unpack(io.NewSectionReader(doc, 0, doc.Size), limit) }
	if err := out.unpack(doc, limit); err != nil {
		out.Close()
		return nil, sekisho.Errorf(sekisho.Invalid, "unpack %s: %w", url, err)
	}
	if doc.Validator != (advisory.Validator{}) {
		state.Validators[url] = doc.Validator
	}
	return out, nil
}

// All returns the content of a small document, whatever the state knows of it.
func All(ctx context.Context, c advisory.Client, url string, limit int64) ([]byte, error) {
	doc, err := Open(ctx, c, advisory.State{Validators: map[string]advisory.Validator{}}, url, limit)
	if err != nil {
		return nil, err
	}
	defer doc.Close()
	data, err := io.ReadAll(doc)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	return data, nil
}

// unpack looks at the first bytes: gzip (RFC 1952), bzip2, zstd (RFC 8878).
func (d *Document) unpack(r io.Reader, limit int64) error {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(4)
	var in io.Reader = b
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return err
		}
		in = z
	case bytes.HasPrefix(head, []byte("BZh")):
		in = bzip2.NewReader(b)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return err
		}
		d.close = append(d.close, z.Close)
		in = z
	}
	d.Reader = &bound{in, limit}
	return nil
}

// bound fails where io.LimitReader would pretend an end.
type bound struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 {
		var one [1]byte
		if n, err := b.r.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, sekisho.Errorf(sekisho.Invalid, "larger than its bound")
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = sekisho.Errorf(sekisho.Invalid, "unpack: %w", err)
	}
	return n, err
}
