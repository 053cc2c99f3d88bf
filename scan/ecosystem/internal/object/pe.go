package object

import "encoding/binary"

func parsePE(front []byte) (Outline, error) {
	v := view{data: front, order: binary.LittleEndian}
	at := v.u32(0x3c)
	if string(v.at(at, 4)) != "PE\x00\x00" {
		return Outline{}, ErrFormat
	}
	count, optional := v.u16(at+6), v.u16(at+20)
	o := Outline{Format: PE, Order: v.order, Bits: 32}
	switch v.u16(at + 24) {
	case 0x20b:
		o.Bits, o.Base = 64, v.u64(at+24+24)
	case 0x10b:
		o.Base = v.u32(at + 24 + 28)
	}
	if v.bad || count > maxParts {
		return Outline{}, ErrFormat
	}
	for i := range count {
		s := at + 24 + optional + i*40
		flags := v.u32(s + 36)
		const exec, write = 0x20000000, 0x80000000
		p := Part{Name: name(v.at(s, 8)), Addr: o.Base + v.u32(s+12), Off: v.u32(s + 20), Size: v.u32(s + 16), Exec: flags&exec != 0, Write: flags&write != 0}
		if virtual := v.u32(s + 8); virtual > 0 && virtual < p.Size {
			p.Size = virtual // the rest is padding
		}
		if v.bad || !p.sane() {
			return Outline{}, ErrFormat
		}
		o.Sections = append(o.Sections, p)
	}
	o.Segments = o.Sections
	return o, nil
}
