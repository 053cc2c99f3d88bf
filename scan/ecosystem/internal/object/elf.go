package object

import "encoding/binary"

func parseELF(front []byte) (Outline, error) {
	v := view{data: front, order: binary.LittleEndian, wide: front[4] == 2}
	if front[5] == 2 {
		v.order = binary.BigEndian
	}
	o := Outline{Format: ELF, Order: v.order, Bits: int(v.pick(32, 64))}
	phoff, phentsize, phnum := v.word(28, 32), v.u16(v.pick(42, 54)), v.u16(v.pick(44, 56))
	o.Table = Table{Off: v.word(32, 40), Entry: int(v.u16(v.pick(46, 58))), Count: int(v.u16(v.pick(48, 60))), Names: int(v.u16(v.pick(50, 62)))}
	if v.bad || phoff > FrontSize || phnum > maxParts || phentsize < v.pick(32, 56) {
		return Outline{}, ErrFormat
	}
	if o.Table.Entry < int(v.pick(40, 64)) || o.Table.Names >= o.Table.Count || o.Table.Off >= 1<<62 {
		o.Table = Table{}
	}
	const load, note = 1, 4
	for i := range phnum {
		at := phoff + i*phentsize
		flags := v.u32(at + v.pick(24, 4))
		p := Part{Off: v.word(at+4, at+8), Addr: v.word(at+8, at+16), Size: v.word(at+16, at+32), Exec: flags&1 != 0, Write: flags&2 != 0}
		if !p.sane() {
			return Outline{}, ErrFormat
		}
		switch v.u32(at) {
		case load:
			o.Segments = append(o.Segments, p)
		case note:
			o.Notes = append(o.Notes, p)
		}
	}
	if v.bad {
		return Outline{}, ErrFormat
	}
	return o, nil
}

// Find returns the section of a name from the table of an ELF file. at gives n
// bytes of the file, or nil where they are not at hand.
func (o Outline) Find(name string, at func(off, n uint64) []byte) (Part, bool) {
	t := o.Table
	table := at(t.Off, t.Size())
	if o.Format != ELF || len(table) == 0 || uint64(len(table)) < t.Size() {
		return Part{}, false
	}
	v := view{data: table, order: o.Order, wide: o.Bits == 64}
	section := func(i int) (nameAt uint64, p Part) {
		e := uint64(i) * uint64(t.Entry)
		const alloc, write, exec = 2, 1, 4
		flags := v.word(e+8, e+8)
		return v.u32(e), Part{Addr: v.word(e+12, e+16), Off: v.word(e+16, e+24), Size: v.word(e+20, e+32), Write: flags&write != 0, Exec: flags&exec != 0}
	}
	_, names := section(t.Names)
	if !names.sane() || names.Size > 1<<20 {
		return Part{}, false
	}
	text := at(names.Off, names.Size)
	for i := range t.Count {
		nameAt, p := section(i)
		const noBits = 8
		if p.sane() && v.u32(uint64(i)*uint64(t.Entry)+4) != noBits && hasName(text, nameAt, name) {
			p.Name = name
			return p, true
		}
	}
	return Part{}, false
}

func hasName(text []byte, at uint64, name string) bool {
	end := at + uint64(len(name))
	return end < uint64(len(text)) && string(text[at:end]) == name && text[end] == 0
}
