package object

import "encoding/binary"

// parseFat reads the first of the files in one.
func parseFat(front []byte) (Outline, error) {
	v := view{data: front, order: binary.BigEndian}
	at := v.u32(8 + 8)
	if v.u32(0) == 0xcafebabf {
		at = v.u64(8 + 8)
	}
	if v.bad || at >= uint64(len(front)) || Sniff(front[at:]) != MachO {
		return Outline{}, ErrFormat
	}
	return parseMachO(front[at:], at)
}

// parseMachO reads one file that begins at base of the whole.
func parseMachO(front []byte, base uint64) (Outline, error) {
	v := view{data: front, order: binary.LittleEndian}
	if front[0] == 0xfe {
		v.order = binary.BigEndian
	}
	v.wide = v.u32(0) == 0xfeedfacf
	o := Outline{Format: MachO, Order: v.order, Bits: int(v.pick(32, 64))}
	const execute, dylib, bundle = 2, 6, 8
	if t := v.u32(12); t != execute && t != dylib && t != bundle {
		return Outline{}, ErrFormat
	}
	at, count := v.pick(28, 32), v.u32(16)
	if v.bad || count > 4*maxParts {
		return Outline{}, ErrFormat
	}
	for range count {
		command, size := v.u32(at), v.u32(at+4)
		if v.bad || size < 8 {
			return Outline{}, ErrFormat
		}
		const segment, segment64 = 1, 0x19
		if command == segment && !v.wide || command == segment64 && v.wide {
			if err := o.segment(&v, at, base); err != nil {
				return Outline{}, err
			}
		}
		at += size
	}
	return o, nil
}

func (o *Outline) segment(v *view, at, base uint64) error {
	protection := v.u32(at + v.pick(44, 60))
	seg := Part{Name: name(v.at(at+8, 16)), Addr: v.word(at+24, at+24), Off: v.word(at+32, at+40), Size: v.word(at+36, at+48),
		Write: protection&2 != 0, Exec: protection&4 != 0}
	sections := v.u32(at + v.pick(48, 64))
	if v.bad || !seg.sane() || sections > maxParts || len(o.Segments) >= maxParts || len(o.Sections) >= 4*maxParts {
		return ErrFormat
	}
	seg.Off += base
	if seg.Name != "__PAGEZERO" {
		o.Segments = append(o.Segments, seg)
	}
	for i := range sections {
		s := at + v.pick(56, 72) + i*v.pick(68, 80)
		p := Part{Name: name(v.at(s, 16)), Addr: v.word(s+32, s+32), Size: v.word(s+36, s+40), Off: v.u32(s + v.pick(40, 48)), Write: seg.Write, Exec: seg.Exec}
		if v.bad || !p.sane() {
			return ErrFormat
		}
		p.Off += base
		o.Sections = append(o.Sections, p)
	}
	return nil
}
