package golang

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"runtime/debug"
	"slices"

	"sekisho/scan/ecosystem/internal/object"
	"sekisho/scan/symbol"
)

// functions collects the names in the table that every Go program carries for
// its stack traces (runtime.pclntab), stripped or not. Since Go 1.16 the names
// of all functions, those that were only inlined among them, stand together
// behind the table's header; before, they stand among other data, each ended
// by a zero (cmd/link/internal/ld/pcln.go). The table is found by its header,
// wherever it is: linkers other than Go's give it no section of its own.
// Programs inside the program, as go:embed puts them there, count too.
type functions struct {
	order  binary.ByteOrder
	align  uint64 // of tables in the file: 32 bytes, since Go 1.26 that of a pointer
	ranges []span // of the file, mapped, sorted, apart
	next   uint64 // offset behind what was seen
	carry  []byte // the last bytes before next, where a header may begin

	form    form   // of the table that is being read
	start   uint64 // of its names
	until   uint64 // end of its names
	part    []byte // of a name that is not complete
	tooLong bool   // the rest of the name is skipped
	path    []byte // of the last package, as it was written
	pkg     []byte // and in plain
	splitter

	symbol.Builder
}

type span struct{ from, to uint64 }

// form is that of a table.
type form uint8

const (
	none    form = iota
	form12       // Go 1.2 to 1.15
	form116      // Go 1.16, 1.17
	form118      // Go 1.18, 1.19
	form120      // from Go 1.20 on

	headSize = 72 // bytes that the largest header has
	maxName  = 16 << 10
)

func (x *functions) begin(o object.Outline) {
	x.order, x.align = o.Order, uint64(o.Bits/8)
	for _, s := range o.Segments {
		if s.Size > 0 {
			x.ranges = append(x.ranges, span{s.Off, s.End()})
		}
	}
	x.merge()
}

// merge puts the ranges in order and makes one of those that touch.
func (x *functions) merge() {
	slices.SortFunc(x.ranges, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := x.ranges[:0]
	for _, r := range x.ranges {
		if n := len(merged); n > 0 && r.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, r.to)
			continue
		}
		merged = append(merged, r)
	}
	x.ranges = merged
}

// feed looks at the bytes at off.
func (x *functions) feed(p []byte, off uint64) {
	for _, r := range x.ranges {
		from, to := max(r.from, off), min(r.to, off+uint64(len(p)))
		if from >= to {
			continue
		}
		if from != x.next {
			x.carry = x.carry[:0]
		}
		x.read(p[from-off:to-off], from, r.to)
		x.next = to
	}
}

// read goes through bytes of a range that ends at end.
func (x *functions) read(p []byte, off, end uint64) {
	for len(p) > 0 {
		if x.form == none && !x.search(p, off, end) {
			return
		}
		if x.start > off {
			skip := min(x.start-off, uint64(len(p)))
			p, off = p[skip:], off+skip
		}
		if off >= x.start {
			n := min(uint64(len(p)), max(x.until, off)-off)
			x.names(p[:n])
			p, off = p[n:], off+n
		}
		if off >= x.until {
			x.form, x.part, x.tooLong = none, x.part[:0], false
		}
	}
}

// search looks for the header of a table in p and what came before it.
func (x *functions) search(p []byte, off, end uint64) bool {
	if n := len(x.carry); n > 0 {
		joint := append(x.carry, p[:min(len(p), headSize)]...)
		base := off - uint64(n)
		x.carry = joint
		if x.header(joint, base, end, n) {
			if x.start < off {
				x.names(joint[x.start-base : min(uint64(n), x.until-base)])
			}
			x.carry = x.carry[:0]
			return true
		}
	}
	if x.header(p, off, end, len(p)) {
		x.carry = x.carry[:0]
		return true
	}
	if len(p) >= headSize || len(x.carry) == 0 {
		x.carry = append(x.carry[:0], p[max(0, len(p)-headSize+1):]...)
	} else {
		x.carry = x.carry[:copy(x.carry, x.carry[max(0, len(x.carry)-headSize+1):])]
	}
	return false
}

// header looks for a header that begins in the first n bytes of p and is
// complete.
func (x *functions) header(p []byte, off, end uint64, n int) bool {
	last := min(n, len(p)-headSize+1)
	for i := int(-off % x.align); i < last; i += int(x.align) {
		// Bytes 1 and 2 are 0xff, 4 and 5 are zero in either byte order.
		if binary.LittleEndian.Uint64(p[i:])&0xffff00ffff00 != 0xffff00 {
			continue
		}
		if f, names, size := parseHeader(p[i:i+headSize], x.order); f != none && size > 0 {
			x.form, x.start = f, off+uint64(i)+names
			x.until = min(x.start+size, end)
			if f == form12 {
				x.Partial() // what its data hide is not all known
			}
			return true
		}
	}
	return false
}

// parseHeader reads the header: its form, where the names begin and how many
// bytes they have.
func parseHeader(h []byte, order binary.ByteOrder) (f form, names, size uint64) {
	quantum, ptr := h[6], uint64(h[7])
	if quantum != 1 && quantum != 2 && quantum != 4 || ptr != 4 && ptr != 8 {
		return none, 0, 0
	}
	word := func(i uint64) uint64 {
		if ptr == 4 {
			return uint64(order.Uint32(h[8+4*i:]))
		}
		return order.Uint64(h[8+8*i:])
	}
	const maxFunctions, maxTable = 1 << 24, 1 << 31
	count := word(0)
	if count == 0 || count > maxFunctions {
		return none, 0, 0
	}
	at := uint64(3) // of the words, that of the names
	switch order.Uint32(h) {
	case 0xfffffffb:
		first := (8 + ptr + 2*ptr*count + ptr + 4 + ptr - 1) &^ (ptr - 1)
		if word(2) != first {
			return none, 0, 0
		}
		return form12, first, maxTable // the header does not tell its end
	case 0xfffffffa:
		f, at = form116, 2
	case 0xfffffff0:
		f = form118
	case 0xfffffff1:
		f = form120
	default:
		return none, 0, 0
	}
	names = word(at)
	const padding = 64 // at most, between header and names
	if head := 8 + ptr*(at+5); names < head || names > head+padding || word(1) > maxFunctions {
		return none, 0, 0
	}
	for i := at; i < at+4; i++ {
		if word(i+1) < word(i) || word(i+1) > maxTable {
			return none, 0, 0
		}
	}
	return f, names, word(at+1) - names
}

// names takes names, each ended by a zero.
func (x *functions) names(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			x.keep(p)
			return
		}
		name := p[:i]
		if len(x.part) > 0 || x.tooLong || len(name) > maxName {
			x.keep(name)
			name = x.part
		}
		if !x.tooLong {
			x.name(name)
		} else if x.form != form12 {
			x.Partial()
		}
		x.part, x.tooLong, p = x.part[:0], false, p[i+1:]
	}
}

func (x *functions) keep(p []byte) {
	if len(x.part)+len(p) > maxName {
		x.part, x.tooLong = x.part[:0], true
	}
	if !x.tooLong {
		x.part = append(x.part, p...)
	}
}

// name adds a function by the name that the linker knows it by.
func (x *functions) name(s []byte) {
	if x.form == form12 && !plausible(s) {
		return
	}
	path, name := x.split(s, x.form)
	if len(path) == 0 || len(name) == 0 {
		return
	}
	if x.path == nil || !bytes.Equal(path, x.path) { // functions of a package follow one another
		x.path, x.pkg = append(x.path[:0], path...), importPath(path)
	}
	x.Add(x.pkg, name)
}

// of returns the set of the functions of a program with that build
// information. Programs of Go before 1.16 and those with a name too long to be
// read have more than is known.
func (x *functions) of(i info) symbol.Set {
	main := ""
	if build, err := debug.ParseBuildInfo(i.modules); err == nil {
		main = build.Path
		for _, m := range build.Deps {
			if r := m.Replace; r != nil && !local(r.Path) && r.Version != "" {
				x.Replace(r.Path, m.Path)
			}
		}
	}
	return x.Set(main)
}
