// Package zipstream reads a zip archive from its front to its end, without the
// directory at the end, for archives that are too large to be held. Bytes
// enter once and in order, members leave one by one. What cannot be told apart
// without the directory is an error, never a guess.
package zipstream

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Methods of compression that are read.
const (
	stored   = 0
	deflated = 8
)

// Bounds in bytes.
const (
	maxFront = 1 << 20 // what may stand before the archive: a script
	buffer   = 64 << 10
)

// Errors of archives.
var (
	ErrNoZip     = errors.New("not a zip archive")
	ErrEncrypted = errors.New("encrypted")
	ErrMethod    = errors.New("an unknown method of compression")
)

// Member is one file of the archive (APPNOTE.TXT 4.3.7).
type Member struct {
	Name string
	Size int64 // bytes, -1 when only the end of the member tells

	method uint16
	flags  uint16
	packed int64
	wide   bool // sizes of 64 bits behind the member
}

// trailing reports whether the sizes follow the member (4.3.9).
func (m *Member) trailing() bool { return m.flags&8 != 0 }

// Reader reads members.
type Reader struct {
	in       *bufio.Reader
	count    *counted // of the member's bytes as they are in the archive
	member   *Member
	body     io.Reader
	inflater io.ReadCloser
	got      int64 // bytes of the member that were read
	fail     error // of opening the body
	begun    bool
	expanded int64
}

// New returns a reader.
func New(in io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(in, buffer)} }

// Expanded is how many bytes all members so far gave.
func (r *Reader) Expanded() int64 { return r.expanded }

// Next goes to the next member, io.EOF after the last one.
func (r *Reader) Next() (*Member, error) {
	if err := r.finish(); err != nil {
		return nil, err
	}
	if !r.begun {
		r.begun = true
		if err := r.front(); err != nil {
			return nil, err
		}
	}
	sign, err := r.in.Peek(4)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cut short: %w", noEOF(err))
	case string(sign) == "PK\x01\x02", string(sign) == "PK\x05\x06", string(sign) == "PK\x06\x06", string(sign) == "PK\x06\x08":
		return nil, io.EOF
	case string(sign) != "PK\x03\x04":
		return nil, errors.New("a member does not begin where the one before ends")
	}
	m, err := r.header()
	if err != nil {
		return nil, err
	}
	return m, r.open(m)
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// front drops what stands before the first member.
func (r *Reader) front() error {
	for dropped := 0; dropped <= maxFront; {
		window, err := r.in.Peek(buffer)
		if i := bytes.Index(window, []byte("PK\x03\x04")); i >= 0 {
			_, err := r.in.Discard(i)
			return err
		}
		if i := bytes.Index(window, []byte("PK\x05\x06")); i >= 0 { // without members
			_, err := r.in.Discard(i)
			return err
		}
		if err != nil {
			return ErrNoZip
		}
		n, err := r.in.Discard(len(window) - 3)
		if err != nil {
			return err
		}
		dropped += n
	}
	return ErrNoZip
}

func (r *Reader) header() (*Member, error) {
	var h [30]byte
	if _, err := io.ReadFull(r.in, h[:]); err != nil {
		return nil, fmt.Errorf("member: %w", noEOF(err))
	}
	le := binary.LittleEndian
	rest := make([]byte, int(le.Uint16(h[26:]))+int(le.Uint16(h[28:])))
	if _, err := io.ReadFull(r.in, rest); err != nil {
		return nil, fmt.Errorf("member: %w", noEOF(err))
	}
	n := le.Uint16(h[26:])
	m := &Member{Name: string(rest[:n]), flags: le.Uint16(h[6:]), method: le.Uint16(h[8:])}
	packed, size := uint64(le.Uint32(h[18:])), uint64(le.Uint32(h[22:]))
	m.widen(rest[n:], &size, &packed)
	if packed > math.MaxInt64 || size > math.MaxInt64 {
		return nil, fmt.Errorf("member %.100q: it says that it has %d bytes", m.Name, max(packed, size))
	}
	m.packed, m.Size = int64(packed), int64(size)
	if m.trailing() && m.packed == 0 && !strings.HasSuffix(m.Name, "/") {
		m.packed, m.Size = -1, -1
	}
	return m, nil
}

// widen takes the numbers that do not fit from the extra field of Zip64
// (4.5.3).
func (m *Member) widen(extra []byte, size, packed *uint64) {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		tag, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return
		}
		field := extra[:n]
		extra = extra[n:]
		if tag != 1 {
			continue
		}
		m.wide = true
		for _, v := range []*uint64{size, packed} {
			if *v == math.MaxUint32 && len(field) >= 8 {
				*v, field = le.Uint64(field), field[8:]
			}
		}
		return
	}
}

// open makes the member's bytes ready. What is wrong with one member is told by
// Read where the members behind it can still be found.
func (r *Reader) open(m *Member) error {
	r.member, r.got, r.fail = m, 0, nil
	r.count = &counted{in: r.in, left: m.packed}
	switch {
	case m.flags&1 != 0:
		r.fail = ErrEncrypted
	case m.method == stored:
		r.body = r.count
	case m.method == deflated:
		if r.inflater == nil {
			r.inflater = flate.NewReader(r.count)
		} else if err := r.inflater.(flate.Resetter).Reset(r.count, nil); err != nil {
			return err
		}
		r.body = r.inflater
	default:
		r.fail = ErrMethod
	}
	if m.packed < 0 && (r.fail != nil || m.method == stored) {
		return fmt.Errorf("member %.100q: nothing tells where it ends", m.Name)
	}
	return nil
}

// Read reads the member's content.
func (r *Reader) Read(b []byte) (int, error) {
	if r.member == nil {
		return 0, io.EOF
	}
	if r.fail != nil {
		return 0, r.fail
	}
	n, err := r.body.Read(b)
	r.got += int64(n)
	r.expanded += int64(n)
	return n, err
}

// finish goes to the end of the member.
func (r *Reader) finish() error {
	m := r.member
	if m == nil {
		return nil
	}
	if m.packed < 0 {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return fmt.Errorf("member %.100q: %w", m.Name, err)
		}
	} else if err := r.count.skip(); err != nil {
		return fmt.Errorf("member %.100q: %w", m.Name, noEOF(err))
	}
	r.member = nil
	if m.trailing() {
		return r.descriptor(m)
	}
	return nil
}

// descriptor drops the sizes behind a member. Neither their sign nor their
// width is certain: the member's own count tells.
func (r *Reader) descriptor(m *Member) error {
	le := binary.LittleEndian
	d, _ := r.in.Peek(24)
	if len(d) >= 4 && string(d[:4]) == "PK\x07\x08" {
		if _, err := r.in.Discard(4); err != nil {
			return err
		}
		d = d[4:]
	}
	n := 12
	if len(d) >= 20 && (m.wide || le.Uint32(d[4:]) != uint32(r.count.read)) && le.Uint64(d[4:]) == uint64(r.count.read) {
		n = 20
	}
	if len(d) >= 12 && le.Uint32(d[4:]) != uint32(r.count.read) {
		return fmt.Errorf("member %.100q: what follows it is not its size", m.Name)
	}
	if _, err := r.in.Discard(n); err != nil {
		return fmt.Errorf("member %.100q: %w", m.Name, noEOF(err))
	}
	return nil
}

// counted is the part of the archive that is a member; left is -1 when nobody
// knows how much that is. It reads byte by byte for the inflater, which then
// takes none that is not its own.
type counted struct {
	in   *bufio.Reader
	left int64
	read int64
}

func (c *counted) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if c.left > 0 && int64(len(b)) > c.left {
		b = b[:c.left]
	}
	n, err := c.in.Read(b)
	c.take(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// ReadByte implements io.ByteReader.
func (c *counted) ReadByte() (byte, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	b, err := c.in.ReadByte()
	if err == nil {
		c.take(1)
	}
	return b, noEOF(err)
}

func (c *counted) take(n int) {
	c.read += int64(n)
	if c.left > 0 {
		c.left -= int64(n)
	}
}

func (c *counted) skip() error {
	for c.left > 0 {
		n, err := c.in.Discard(int(min(c.left, 1<<20)))
		c.take(n)
		if err != nil {
			return err
		}
	}
	return nil
}
