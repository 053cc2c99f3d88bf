// Package object reads the outline of an executable from its first bytes:
// which parts of the file are mapped where, in ELF, PE and Mach-O. What enters
// is the beginning of a file, what leaves are ranges of the file; nothing is
// believed that would need more than maxParts ranges or the bytes that are
// there. Object files, core dumps and archives are refused.
package object

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Format of an executable.
type Format uint8

// The formats.
const (
	None Format = iota
	ELF
	PE
	MachO
	Fat // several Mach-O files in one
)

// FrontSize is how many bytes of a file Parse may need.
const FrontSize = 64 << 10

const maxParts = 256

// ErrFormat says that the bytes are no executable that can be outlined.
var ErrFormat = errors.New("not an executable of a known form")

// Part is a range of the file.
type Part struct {
	Name  string // of a section, or of a Mach-O segment
	Addr  uint64 // where it is mapped
	Off   uint64 // where it is in the file
	Size  uint64 // bytes in the file
	Write bool
	Exec  bool
}

// End returns the offset behind the part; parse refuses parts that overflow.
func (p Part) End() uint64 { return p.Off + p.Size }

// Outline is what the first bytes of an executable tell.
type Outline struct {
	Format   Format
	Order    binary.ByteOrder
	Bits     int    // 32 or 64
	Base     uint64 // address that a PE file prefers to be loaded at; part of Part.Addr
	Segments []Part // mapped; for PE, where there are none, the sections
	Sections []Part // named; ELF: none, see Table
	Notes    []Part // ELF: PT_NOTE
	Table    Table  // ELF: where the sections are listed
}

// Table is an ELF file's list of sections, which is usually at the end.
type Table struct {
	Off   uint64
	Count int
	Entry int // bytes of one entry
	Names int // index of the section with the names
}

// Size is the length of the table in bytes.
func (t Table) Size() uint64 { return uint64(t.Count) * uint64(t.Entry) }

// Sniff says what the first bytes of a file are, quickly. Relocatable object
// files and core dumps are None.
func Sniff(head []byte) Format {
	if len(head) < 64 {
		return None
	}
	switch head[0] {
	case 0x7f:
		if head[1] == 'E' && head[2] == 'L' && head[3] == 'F' && (head[4] == 1 || head[4] == 2) && elfExecutable(head) {
			return ELF
		}
	case 'M':
		if head[1] == 'Z' {
			return PE
		}
	case 0xfe, 0xce, 0xcf:
		switch binary.LittleEndian.Uint32(head) {
		case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
			return MachO
		}
	case 0xca: // Java classes begin alike, with their version, 45 and up, here
		if magic := binary.BigEndian.Uint32(head); magic == 0xcafebabe || magic == 0xcafebabf {
			if n := binary.BigEndian.Uint32(head[4:]); n > 0 && n < 30 {
				return Fat
			}
		}
	}
	return None
}

func elfExecutable(head []byte) bool {
	const executable, shared = 2, 3
	switch head[5] {
	case 1:
		return (head[16] == executable || head[16] == shared) && head[17] == 0
	case 2:
		return (head[17] == executable || head[17] == shared) && head[16] == 0
	}
	return false
}

// Parse reads the outline. front is the file's beginning, FrontSize bytes or
// the whole file.
func Parse(front []byte) (Outline, error) {
	switch Sniff(front) {
	case ELF:
		return parseELF(front)
	case PE:
		return parsePE(front)
	case MachO:
		return parseMachO(front, 0)
	case Fat:
		return parseFat(front)
	}
	return Outline{}, ErrFormat
}

// view reads integers; what lies outside reads as zero and is remembered.
type view struct {
	data  []byte
	order binary.ByteOrder
	wide  bool // addresses have 8 bytes
	bad   bool
}

func (v *view) at(off, n uint64) []byte {
	if off > uint64(len(v.data)) || n > uint64(len(v.data))-off {
		v.bad = true
		return make([]byte, n)
	}
	return v.data[off : off+n]
}

func (v *view) u16(off uint64) uint64 { return uint64(v.order.Uint16(v.at(off, 2))) }
func (v *view) u32(off uint64) uint64 { return uint64(v.order.Uint32(v.at(off, 4))) }
func (v *view) u64(off uint64) uint64 { return v.order.Uint64(v.at(off, 8)) }

// word reads an address: at off32 with 4 bytes or at off64 with 8.
func (v *view) word(off32, off64 uint64) uint64 {
	if v.wide {
		return v.u64(off64)
	}
	return v.u32(off32)
}

func (v *view) pick(off32, off64 uint64) uint64 {
	if v.wide {
		return off64
	}
	return off32
}

// sane reports whether the part ends without an overflow.
func (p Part) sane() bool { return p.Off+p.Size >= p.Off && p.Addr+p.Size >= p.Addr && p.Off < 1<<62 }

func name(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
