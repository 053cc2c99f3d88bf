package inflate

import (
	"encoding/binary"
	"math/bits"
)

// order is the order of code lengths for code lengths (RFC 1951, 3.2.7).
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// block reads a block's header.
func (r *Reader) block() error {
	h, err := r.take(3)
	if err != nil {
		return err
	}
	r.final, r.inBlock, r.isStore = h&1 == 1, true, false
	switch h >> 1 {
	case 0:
		return r.storedHeader()
	case 1:
		return r.fixedTables()
	case 2:
		return r.dynamicTables()
	}
	return ErrFormat
}

func (r *Reader) storedHeader() error {
	r.align()
	size, err := r.take(16)
	if err != nil {
		return err
	}
	complement, err := r.take(16)
	if err != nil {
		return err
	}
	if size != ^complement&0xffff {
		return ErrFormat
	}
	r.isStore, r.stored = true, int(size)
	return nil
}

// copyStored copies bytes of a stored block.
func (r *Reader) copyStored() error {
	for r.stored > 0 && r.to < history+outSize {
		if r.n > 0 { // whole bytes, as the header ended on one
			r.out[r.to] = byte(r.bits)
			r.bits >>= 8
			r.n -= 8
			r.to++
			r.stored--
			continue
		}
		if len(r.in) == 0 {
			if err := r.more(); err != nil {
				return err
			}
			continue
		}
		n := copy(r.out[r.to:min(history+outSize, r.to+r.stored)], r.in)
		r.in, r.to, r.stored = r.in[n:], r.to+n, r.stored-n
	}
	r.inBlock = r.stored > 0
	return nil
}

func (r *Reader) fixedTables() error {
	for i := range 288 {
		switch {
		case i < 144:
			r.lens[i] = 8
		case i < 256:
			r.lens[i] = 9
		case i < 280:
			r.lens[i] = 7
		default:
			r.lens[i] = 8
		}
	}
	if !build(r.lit[:], litBits, r.lens[:288], litEntry) {
		return ErrFormat
	}
	for i := range 32 {
		r.lens[i] = 5
	}
	if !build(r.dist[:], distBits, r.lens[:32], distEntry) {
		return ErrFormat
	}
	return nil
}

func (r *Reader) dynamicTables() error {
	h, err := r.take(14)
	if err != nil {
		return err
	}
	lits, dists, codes := int(h&31)+257, int(h>>5&31)+1, int(h>>10)+4
	if lits > 286 || dists > 30 {
		return ErrFormat
	}
	var lens [19]uint8
	for _, at := range order[:codes] {
		v, err := r.take(3)
		if err != nil {
			return err
		}
		lens[at] = uint8(v)
	}
	if !build(r.dist[:], 7, lens[:], func(s int) uint32 { return uint32(s) << 10 }) {
		return ErrFormat
	}
	if err := r.codeLengths(lits + dists); err != nil {
		return err
	}
	if r.lens[256] == 0 || !build(r.lit[:], litBits, r.lens[:lits], litEntry) || !build(r.dist[:], distBits, r.lens[lits:lits+dists], distEntry) {
		return ErrFormat
	}
	return nil
}

// codeLengths reads run-length encoded code lengths; their code is in r.dist.
func (r *Reader) codeLengths(count int) error {
	for i := 0; i < count; {
		e, err := r.symbol(r.dist[:], 7)
		if err != nil {
			return err
		}
		s := e >> 10 & 0xffff
		if s < 16 {
			r.lens[i] = uint8(s)
			i++
			continue
		}
		run := [3]struct{ extra, base uint }{{2, 3}, {3, 3}, {7, 11}}[s-16]
		v, err := r.take(run.extra)
		if err != nil {
			return err
		}
		value, n := uint8(0), int(run.base+v)
		if s == 16 {
			if i == 0 {
				return ErrFormat
			}
			value = r.lens[i-1]
		}
		if i+n > count {
			return ErrFormat
		}
		for range n {
			r.lens[i] = value
			i++
		}
	}
	return nil
}

// litEntry is the entry of a literal or length symbol, without its code bits.
func litEntry(s int) uint32 {
	switch {
	case s < 256:
		return entLiteral | uint32(s)<<10
	case s == 256:
		return entEnd
	case s < 265:
		return uint32(s-254) << 10
	case s < 285:
		extra := uint32(s-261) / 4
		return (3+(4+uint32(s-261)%4)<<extra)<<10 | extra<<5
	case s == 285:
		return 258 << 10
	}
	return entBad
}

// distEntry is the entry of a distance symbol.
func distEntry(s int) uint32 {
	switch {
	case s < 4:
		return uint32(s+1) << 10
	case s < 30:
		extra := uint32(s-2) / 2
		return (1+(2+uint32(s)%2)<<extra)<<10 | extra<<5
	}
	return entBad
}

// build fills a table for canonical codes (RFC 1951, 3.2.2). It refuses codes
// that are over-subscribed, and incomplete ones but for a single code of one
// bit and for none at all, as compress/flate does.
func build(table []uint32, primary int, lens []uint8, entry func(int) uint32) bool {
	var count [16]int
	longest := 0
	for _, l := range lens {
		count[l]++
		longest = max(longest, int(l))
	}
	count[0] = 0
	var next [16]int
	code, space := 0, 0
	for l := 1; l < 16; l++ {
		code = (code + count[l-1]) << 1
		next[l] = code
		space += count[l] << (15 - l)
	}
	if space != 1<<15 && !(longest == 0 || longest == 1 && count[1] == 1) {
		return false
	}
	if space != 1<<15 {
		for i := range 1 << primary {
			table[i] = entBad | 1
		}
	}
	width := max(longest-primary, 0)
	free := 1 << primary
	if width > 0 {
		for i := range 1 << primary {
			table[i] = 0
		}
	}
	for s, l := range lens {
		if l == 0 {
			continue
		}
		rev := int(bits.Reverse16(uint16(next[l])) >> (16 - l))
		next[l]++
		e := entry(s) | uint32(l)
		if int(l) <= primary {
			for i := rev; i < 1<<primary; i += 1 << l {
				table[i] = e
			}
			continue
		}
		prefix := rev & (1<<primary - 1)
		if table[prefix]&entLink == 0 {
			table[prefix] = entLink | uint32(free)<<10 | uint32(width)
			free += 1 << width
			if free > len(table) {
				return false
			}
		}
		base := int(table[prefix] >> 10 & 0xffff)
		for i := rev >> primary; i < 1<<width; i += 1 << (int(l) - primary) {
			table[base+i] = e
		}
	}
	return true
}

// lookup finds the entry for the bits; the entry says how many it takes.
func lookup(table []uint32, primary uint, b uint64) uint32 {
	e := table[b&(1<<primary-1)]
	if e&entLink != 0 {
		e = table[uint64(e>>10&0xffff)+b>>primary&(1<<(e&31)-1)]
	}
	return e
}

// symbol reads one symbol where input may end.
func (r *Reader) symbol(table []uint32, primary uint) (uint32, error) {
	for {
		e := lookup(table, primary, r.bits)
		if n := uint(e & 31); n <= r.n && n > 0 {
			if e&entBad != 0 {
				return 0, ErrFormat
			}
			r.bits >>= n
			r.n -= n
			return e, nil
		}
		if r.n > 48 {
			return 0, ErrFormat
		}
		if err := r.need(r.n + 1); err != nil {
			return 0, err
		}
	}
}

// margin is how much input the fast loop wants to see, in bytes.
const margin = 16

// decode decodes symbols until the window is full or the block ends.
func (r *Reader) decode() error {
	for r.inBlock && r.to < history+outSize {
		if len(r.in) < margin && !r.eof {
			if err := r.more(); err != nil {
				return err
			}
		}
		if len(r.in) >= margin {
			if err := r.fast(); err != nil {
				return err
			}
			continue
		}
		if err := r.slow(); err != nil {
			return err
		}
	}
	return nil
}

// slow decodes one symbol near the end of the input.
func (r *Reader) slow() error {
	e, err := r.symbol(r.lit[:], litBits)
	if err != nil {
		return err
	}
	if e&entLiteral != 0 {
		r.out[r.to] = byte(e >> 10)
		r.to++
		return nil
	}
	if e&entEnd != 0 {
		r.inBlock = false
		return nil
	}
	extra, err := r.take(uint(e >> 5 & 31))
	if err != nil {
		return err
	}
	length := int(e>>10&0xffff) + int(extra)
	if e, err = r.symbol(r.dist[:], distBits); err != nil {
		return err
	}
	if extra, err = r.take(uint(e >> 5 & 31)); err != nil {
		return err
	}
	distance := int(e>>10&0xffff) + int(extra)
	if distance > r.to-r.floor {
		return ErrFormat
	}
	match(r.out, r.to, distance, length)
	r.to += length
	return nil
}

// match copies length bytes from distance bytes back. It may write up to seven
// bytes behind: the window has room for them.
func match(out []byte, to, distance, length int) {
	from := to - distance
	switch {
	case distance >= 8:
		dst, src := out[to:to+length+8], out[from:from+length+8]
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:]))
		}
	case distance == 1:
		dst, b := out[to:to+length], out[from]
		for i := range dst {
			dst[i] = b
		}
	default:
		for i := range length {
			out[to+i] = out[from+i]
		}
	}
}
