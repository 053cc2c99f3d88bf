package java

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// Errors of the directory.
var (
	errNoZip     = errors.New("not a zip archive, or cut short")
	errDirectory = errors.New("the zip directory is broken")
	errMember    = errors.New("the member is not where the directory says")
)

// member is one entry of the directory (APPNOTE.TXT 4.3.12).
type member struct {
	name     []byte // valid as long as the archive's bytes
	method   uint16
	flags    uint16
	packed   uint64 // bytes in the archive
	size     uint64 // bytes as the directory says
	headerAt uint64
}

// Methods of compression.
const (
	stored   = 0
	deflated = 8
)

// directory is the list of an archive's members.
type directory struct {
	data []byte // of the archive
	list []byte
	base uint64 // offset of the archive in data: something may stand before it
}

var le = binary.LittleEndian

// openDirectory finds the directory from the archive's end.
func openDirectory(data []byte) (directory, error) {
	const endSize = 22
	window := max(0, len(data)-endSize-math.MaxUint16)
	at := -1
	for tail := data[window:]; at < 0; {
		i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
		if i < 0 {
			return directory{}, errNoZip
		}
		tail = tail[:i]
		if from := window + i; from+endSize <= len(data) && from+endSize+int(le.Uint16(data[from+20:])) <= len(data) {
			at = from
		}
	}
	end := data[at:]
	size, offset := uint64(le.Uint32(end[12:])), uint64(le.Uint32(end[16:]))
	stop := uint64(at)
	if size == math.MaxUint32 || offset == math.MaxUint32 || le.Uint16(end[10:]) == math.MaxUint16 {
		if s, o, e, ok := wideEnd(data, stop); ok {
			size, offset, stop = s, o, e
		}
	}
	return place(data, size, offset, stop)
}

// wideEnd reads the end record of Zip64, which a locator before the usual one
// points to.
func wideEnd(data []byte, stop uint64) (size, offset, end uint64, ok bool) {
	const locator, record = 20, 56
	if stop < locator || string(data[stop-locator:][:4]) != "PK\x06\x07" {
		return 0, 0, 0, false
	}
	at := le.Uint64(data[stop-locator+8:])
	if at > stop-locator || stop-locator-at < record || string(data[at:][:4]) != "PK\x06\x06" {
		// something stands before the archive: the record is usually right here
		if stop < locator+record {
			return 0, 0, 0, false
		}
		if at = stop - locator - record; string(data[at:][:4]) != "PK\x06\x06" {
			return 0, 0, 0, false
		}
	}
	return le.Uint64(data[at+40:]), le.Uint64(data[at+48:]), at, true
}

// place says where the directory of a size is that should begin at offset and
// ends at stop.
func place(data []byte, size, offset, stop uint64) (directory, error) {
	if size > stop || offset > stop {
		return directory{}, errDirectory
	}
	d := directory{data: data}
	if at := stop - size; at != offset {
		if at < offset {
			return directory{}, errDirectory
		}
		d.base = at - offset
		if size > 0 && !bytes.HasPrefix(data[at:], []byte("PK\x01\x02")) {
			d.base = 0
		}
	}
	d.list = data[d.base+offset : min(d.base+offset+size, stop)]
	return d, nil
}

// next takes the first member off the list.
func (d *directory) next() (m member, ok bool, err error) {
	const fixed = 46
	if len(d.list) == 0 {
		return m, false, nil
	}
	if len(d.list) < fixed || string(d.list[:4]) != "PK\x01\x02" {
		return m, false, errDirectory
	}
	h := d.list
	name, extra, comment := int(le.Uint16(h[28:])), int(le.Uint16(h[30:])), int(le.Uint16(h[32:]))
	if len(h) < fixed+name+extra+comment {
		return m, false, errDirectory
	}
	m = member{name: h[fixed : fixed+name], flags: le.Uint16(h[8:]), method: le.Uint16(h[10:]),
		packed: uint64(le.Uint32(h[20:])), size: uint64(le.Uint32(h[24:])), headerAt: uint64(le.Uint32(h[42:]))}
	d.list = h[fixed+name+extra+comment:]
	if m.size == math.MaxUint32 || m.packed == math.MaxUint32 || m.headerAt == math.MaxUint32 {
		m.widen(h[fixed+name : fixed+name+extra])
	}
	return m, true, nil
}

// widen takes the numbers that do not fit from the extra field of Zip64.
func (m *member) widen(extra []byte) {
	for len(extra) >= 4 {
		tag, size := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if extra = extra[4:]; size > len(extra) {
			return
		}
		field := extra[:size]
		extra = extra[size:]
		if tag != 1 {
			continue
		}
		for _, v := range []*uint64{&m.size, &m.packed, &m.headerAt} {
			if *v == math.MaxUint32 && len(field) >= 8 {
				*v, field = le.Uint64(field), field[8:]
			}
		}
		return
	}
}

// span returns where the member's bytes are.
func (d *directory) span(m member) (from, to uint64, err error) {
	const fixed = 30
	at := d.base + m.headerAt
	n := uint64(len(d.data))
	if at < d.base || at > n || n-at < fixed || string(d.data[at:][:4]) != "PK\x03\x04" {
		return 0, 0, errMember
	}
	from = at + fixed + uint64(le.Uint16(d.data[at+26:])) + uint64(le.Uint16(d.data[at+28:]))
	if from > n || m.packed > n-from {
		return 0, 0, errMember
	}
	return from, from + m.packed, nil
}
