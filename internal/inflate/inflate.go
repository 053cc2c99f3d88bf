// Package inflate decompresses gzip streams (RFC 1952) of DEFLATE data
// (RFC 1951), built for throughput: a 64-bit bit buffer refilled eight bytes at
// a time, tables of packed entries, and output written straight into a window
// that is handed on without another copy. Members may follow one another.
// Checksums and lengths are verified. Bare DEFLATE data is read too.
package inflate

import (
	"errors"
	"hash/crc32"
	"io"
)

// ErrFormat is data that is not what the format says.
var ErrFormat = errors.New("gzip: the data is damaged")

const (
	history  = 32 << 10  // how far a match may reach back
	outSize  = 256 << 10 // bytes made before they are handed on
	slack    = 300       // room for one match and for copying words
	inSize   = 128 << 10
	litBits  = 11
	distBits = 8
)

// Entries of tables. Bits 0-4: bits of the code; bit 31: literal; bit 30: end
// of block; bit 29: link to a second table; bits 5-9: extra bits; bits 10-25:
// value (literal, base of length or distance, offset of the second table).
const (
	entLiteral = 1 << 31
	entEnd     = 1 << 30
	entLink    = 1 << 29
	entBad     = 1 << 28
)

// Reader decompresses a stream.
type Reader struct {
	src  io.Reader
	in   []byte // unread input
	buf  []byte
	eof  bool
	bits uint64
	n    uint // bits in the buffer

	out      []byte // history, then what was made
	from, to int    // of out: made and not yet handed on
	err      error

	inBlock bool
	final   bool
	stored  int // bytes left of a stored block
	isStore bool
	member  bool
	raw     bool // bare DEFLATE: no header, no trailer
	begun   bool
	crc     uint32
	size    uint32

	floor int // of out: where the member began, or before the window

	lit  [1<<litBits + 2560]uint32
	dist [1<<distBits + 2304]uint32
	lens [320]uint8
}

// NewReader returns a reader of a gzip stream.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, inSize), out: make([]byte, history+outSize+slack), from: history, to: history, floor: history}
}

// NewRaw returns a reader of bare DEFLATE data, as zip archives hold it. It
// verifies nothing: such data has no checksum of its own.
func NewRaw(src io.Reader) *Reader {
	r := NewReader(src)
	r.raw = true
	return r
}

// Reset begins with another source, keeping the memory.
func (r *Reader) Reset(src io.Reader) {
	r.src, r.in, r.eof, r.bits, r.n = src, nil, false, 0, 0
	r.from, r.to, r.floor, r.err = history, history, history, nil
	r.inBlock, r.final, r.isStore, r.member, r.begun = false, false, false, false, false
}

// Read implements io.Reader.
func (r *Reader) Read(b []byte) (int, error) {
	for r.from == r.to {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(b, r.out[r.from:r.to])
	r.from += n
	return n, nil
}

// fill makes more output: it keeps the history and decodes until the window is
// full or the stream ends.
func (r *Reader) fill() {
	if shift := r.to - history; shift > 0 {
		copy(r.out, r.out[shift:r.to])
		r.floor = max(r.floor-shift, 0)
	}
	r.from, r.to = history, history
	start := r.to
	for r.err == nil && r.to < history+outSize {
		switch {
		case !r.member:
			r.err = r.header()
		case !r.inBlock:
			if r.final {
				r.sum(start)
				start = r.to
				r.err = r.trailer()
				continue
			}
			r.err = r.block()
		case r.isStore:
			r.err = r.copyStored()
		default:
			r.err = r.decode()
		}
	}
	r.sum(start)
}

func (r *Reader) sum(start int) {
	if r.raw {
		return
	}
	r.crc = crc32.Update(r.crc, crc32.IEEETable, r.out[start:r.to])
	r.size += uint32(r.to - start)
}

// more reads input behind what is left of it.
func (r *Reader) more() error {
	if r.eof {
		return io.ErrUnexpectedEOF
	}
	n := copy(r.buf, r.in)
	m, err := io.ReadAtLeast(r.src, r.buf[n:], 1)
	r.in = r.buf[:n+m]
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		r.eof, err = true, nil
	}
	return err
}

// need makes at least n bits available, n at most 56.
func (r *Reader) need(n uint) error {
	for r.n < n {
		if len(r.in) == 0 {
			if err := r.more(); err != nil {
				return err
			}
			continue
		}
		r.bits |= uint64(r.in[0]) << r.n
		r.in = r.in[1:]
		r.n += 8
	}
	return nil
}

func (r *Reader) take(n uint) (uint, error) {
	if err := r.need(n); err != nil {
		return 0, err
	}
	v := uint(r.bits & (1<<n - 1))
	r.bits >>= n
	r.n -= n
	return v, nil
}

// align drops the rest of a byte.
func (r *Reader) align() {
	r.bits >>= r.n & 7
	r.n -= r.n & 7
}

// header reads a member's header; io.EOF where there is none any more.
func (r *Reader) header() error {
	if r.raw {
		if r.begun {
			return io.EOF
		}
		r.begun, r.member, r.final, r.inBlock, r.floor = true, true, false, false, r.to
		return nil
	}
	r.align()
	if r.n == 0 && len(r.in) == 0 {
		if err := r.more(); err != nil || len(r.in) == 0 {
			if err == nil || err == io.ErrUnexpectedEOF {
				err = io.EOF
			}
			return err
		}
	}
	var sum uint32
	next := func() (uint, error) { // one byte, which counts for the header's checksum
		v, err := r.take(8)
		sum = crc32.Update(sum, crc32.IEEETable, []byte{byte(v)})
		return v, err
	}
	var h [10]uint
	for i := range h {
		v, err := next()
		if err != nil {
			return err
		}
		h[i] = v
	}
	if h[0] != 0x1f || h[1] != 0x8b || h[2] != 8 {
		return ErrFormat
	}
	if err := r.skipFields(h[3], next); err != nil {
		return err
	}
	if h[3]&2 != 0 {
		want := sum & 0xffff
		if got, err := r.take(16); err != nil || uint32(got) != want {
			return errOr(err, ErrFormat)
		}
	}
	r.member, r.final, r.inBlock, r.crc, r.size = true, false, false, 0, 0
	r.floor = r.to // a match must not reach into the member before
	return nil
}

// skipFields skips the header's extra field, name and comment.
func (r *Reader) skipFields(flags uint, next func() (uint, error)) error {
	if flags&4 != 0 {
		low, err := next()
		if err != nil {
			return err
		}
		high, err := next()
		for n := low | high<<8; err == nil && n > 0; n-- {
			_, err = next()
		}
		if err != nil {
			return err
		}
	}
	for _, flag := range []uint{8, 16} { // name, comment: to a zero byte
		for flags&flag != 0 {
			v, err := next()
			if err != nil {
				return err
			}
			if v == 0 {
				break
			}
		}
	}
	return nil
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (r *Reader) trailer() error {
	if r.raw {
		r.member = false
		return nil
	}
	r.align()
	crc, err := r.take(32)
	if err != nil {
		return err
	}
	size, err := r.take(32)
	if err != nil {
		return err
	}
	if uint32(crc) != r.crc || uint32(size) != r.size {
		return ErrFormat
	}
	r.member = false
	return nil
}
