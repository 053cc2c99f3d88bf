package rpm

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Tags and types of a header (RPM reference, "Header format"; rpmtag.h).
const (
	tagName        = 1000
	tagVersion     = 1001
	tagRelease     = 1002
	tagEpoch       = 1003
	tagVendor      = 1011
	tagLicence     = 1014
	tagArch        = 1022
	tagSourceRPM   = 1044
	tagDirIndexes  = 1116
	tagBaseNames   = 1117
	tagDirNames    = 1118
	tagModularity  = 5096
	typeInt32      = 4
	typeString     = 6
	typeStrings    = 8
	typeI18NString = 9
)

// Bounds of a header.
const (
	maxEntries = 1 << 16
	maxHeader  = 256 << 20
	maxFiles   = 1 << 20
)

// parseHeader reads a header as the databases keep it: two counts, the index,
// the data; all numbers big-endian.
func parseHeader(blob []byte) (*header, error) {
	if len(blob) < 8 {
		return nil, fmt.Errorf("rpm header of %d bytes", len(blob))
	}
	entries, size := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	if entries > maxEntries || size > maxHeader || uint64(len(blob)) < 8+16*uint64(entries)+uint64(size) {
		return nil, fmt.Errorf("rpm header of %d bytes claims %d entries and %d bytes", len(blob), entries, size)
	}
	index := blob[8 : 8+16*entries]
	data := blob[8+16*entries:][:size]
	h := &header{}
	for ; len(index) >= 16; index = index[16:] {
		tag, kind := binary.BigEndian.Uint32(index), binary.BigEndian.Uint32(index[4:])
		offset, count := binary.BigEndian.Uint32(index[8:]), binary.BigEndian.Uint32(index[12:])
		if offset > size {
			return nil, fmt.Errorf("rpm header: tag %d lies outside", tag)
		}
		h.set(tag, kind, count, data[offset:])
	}
	return h, nil
}

func (h *header) set(tag, kind, count uint32, data []byte) {
	var text *string
	switch tag {
	case tagName:
		text = &h.name
	case tagVersion:
		text = &h.version
	case tagRelease:
		text = &h.release
	case tagVendor:
		text = &h.vendor
	case tagLicence:
		text = &h.licence
	case tagArch:
		text = &h.arch
	case tagSourceRPM:
		text = &h.source
	case tagModularity:
		text = &h.module
	case tagEpoch:
		if kind == typeInt32 && len(data) >= 4 {
			h.epoch, h.hasEpoch = int64(binary.BigEndian.Uint32(data)), true
		}
	case tagDirIndexes:
		h.index = numbers(kind, count, data)
	case tagBaseNames:
		h.base = texts(kind, count, data)
	case tagDirNames:
		h.dirs = texts(kind, count, data)
	}
	if text != nil && (kind == typeString || kind == typeI18NString) {
		*text = cString(data)
	}
}

func cString(data []byte) string {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return string(data[:i])
	}
	return string(data)
}

func texts(kind, count uint32, data []byte) []string {
	if kind != typeStrings || count > maxFiles || uint64(count) > uint64(len(data)) {
		return nil
	}
	list := make([]string, 0, count)
	for range count {
		i := bytes.IndexByte(data, 0)
		if i < 0 {
			break
		}
		list = append(list, string(data[:i]))
		data = data[i+1:]
	}
	return list
}

func numbers(kind, count uint32, data []byte) []uint32 {
	if kind != typeInt32 || uint64(count)*4 > uint64(len(data)) {
		return nil
	}
	list := make([]uint32, count)
	for i := range list {
		list[i] = binary.BigEndian.Uint32(data[4*i:])
	}
	return list
}
