package golang

import (
	"bytes"

	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/internal/object"
)

const (
	minExecutable = 4 << 10  // bytes; what is smaller holds no Go run time
	step          = 64 << 10 // bytes of a window that are held at once
	maxBlob       = 16 << 20 // bytes of one file's build information
)

// executable looks for build information in an executable that streams by.
// The linker puts it into a section of its own or else near the start of the
// first writable segment, which the file's first bytes tell, so a program
// that only contains the mark elsewhere, as the go command does, is no trap.
type executable struct {
	out     *analyze.Result
	front   []byte
	outline object.Outline
	state   state
	at      uint64 // offset of the next byte

	data   []object.Part // where the build information may be
	window window
	legacy legacy // what is needed for Go 1.13 to 1.17

	functions functions
}

type state uint8

const (
	reading state = iota // the front is not complete
	looking
	found // nothing but functions are looked for
	done  // no executable
)

// Write takes the next bytes of the file.
func (x *executable) Write(p []byte) (int, error) {
	n := len(p)
	switch x.state {
	case done:
		return n, nil
	case reading:
		if len(x.front) == 0 && len(p) >= object.FrontSize {
			x.begin(p[:object.FrontSize])
			break
		}
		take := min(len(p), object.FrontSize-len(x.front))
		x.front = append(x.front, p[:take]...)
		if len(x.front) < object.FrontSize {
			return n, nil
		}
		x.begin(x.front)
		x.feed(x.front)
		x.front, p = nil, p[take:]
	}
	x.feed(p)
	return n, nil
}

// Close ends the file and tells what was found.
func (x *executable) Close() error {
	if x.state == reading {
		x.begin(x.front)
		x.feed(x.front)
	}
	info, ok := x.window.info, x.window.found
	if x.window.old {
		info, ok = x.legacy.resolve()
	}
	if ok {
		info.report(x.out)
		x.out.Symbols = x.functions.of(info)
	}
	return nil
}

func (x *executable) begin(front []byte) {
	outline, err := object.Parse(front)
	x.outline, x.state = outline, looking
	x.data = dataParts(outline)
	if err != nil || len(x.data) == 0 {
		x.state = done
		return
	}
	x.legacy.begin(outline, x.data, front)
	x.functions.begin(outline)
}

// dataParts lists where the linker may have put the build information.
func dataParts(o object.Outline) []object.Part {
	for _, s := range o.Sections {
		if s.Name == "__go_buildinfo" {
			return append(writable(o.Segments), s)
		}
	}
	return writable(o.Segments)
}

func writable(parts []object.Part) []object.Part {
	var list []object.Part
	for _, p := range parts {
		if p.Write && !p.Exec && p.Size > 0 {
			list = append(list, p)
		}
	}
	return list
}

// feed looks at the bytes at x.at.
func (x *executable) feed(p []byte) {
	if x.state == done {
		return
	}
	start := x.at
	x.at += uint64(len(p))
	x.functions.feed(p, start)
	if x.state == found {
		return
	}
	x.legacy.feed(p, start)
	for _, part := range x.data {
		from, to := max(part.Off, start), min(part.End(), x.at)
		for from < to && !x.window.found && !x.window.old {
			next := min(to, from+step)
			x.window.add(part, from, p[from-start:next-start], &x.legacy)
			x.legacy.keep(p[from-start:next-start], from)
			from = next
		}
	}
	if x.window.old {
		x.legacy.fill(x.legacy.past, x.legacy.pastOff)
		x.legacy.fill(p, start)
	}
	if x.window.found {
		x.state = found
	}
}

// window holds the part of a segment in which the mark may be, and from the
// mark on what belongs to it.
type window struct {
	buf   []byte
	addr  uint64 // of buf[0], a multiple of align
	next  uint64 // offset in the file of the next byte, to see gaps
	found bool
	old   bool // a mark of Go 1.13 to 1.17 was found: the strings are elsewhere
	info  info
}

const align, headerSize = 16, 32

const mark = "\xff Go buildinf:"

func (w *window) add(part object.Part, off uint64, p []byte, l *legacy) {
	addr := part.Addr + (off - part.Off)
	if off != w.next || len(w.buf) == 0 {
		skip := min(uint64(len(p)), (align-addr%align)%align)
		w.buf, w.addr = w.buf[:0], addr+skip
		w.buf = append(w.buf, p[skip:]...)
	} else {
		w.buf = append(w.buf, p...)
	}
	w.next = off + uint64(len(p))
	w.search(part, l)
}

// search looks through the buffer and drops what it is done with.
func (w *window) search(part object.Part, l *legacy) {
	from := 0
	for !w.found && !w.old {
		i := bytes.Index(w.buf[from:], []byte(mark))
		if i < 0 {
			from = max(from, len(w.buf)-len(mark)+1) &^ (align - 1)
			break
		}
		from += i
		if from%align != 0 {
			from = (from + align - 1) &^ (align - 1)
			if from >= len(w.buf) {
				break
			}
			continue
		}
		used, more := w.decode(w.buf[from:], l)
		if more && len(w.buf)-from < maxBlob && w.next < part.End() {
			break
		}
		if from += max(used, align); from >= len(w.buf) {
			break
		}
	}
	from = min(from, len(w.buf)&^(align-1))
	w.buf = w.buf[:copy(w.buf, w.buf[from:])]
	w.addr += uint64(from)
}

// decode reads the blob at the start of b. more says that b is too short.
func (w *window) decode(b []byte, l *legacy) (used int, more bool) {
	if len(b) < headerSize {
		return 0, true
	}
	const inline = 2
	if b[15]&inline == 0 {
		w.old = l.mark(b[:headerSize])
		return headerSize, false
	}
	version, rest, more := prefixed(b[headerSize:])
	if more || version == nil {
		return headerSize, more
	}
	modules, _, more := prefixed(rest)
	if more || modules == nil {
		return headerSize, more
	}
	if len(version) == 0 || len(version) > maxVersion {
		return headerSize, false
	}
	w.found, w.info = true, info{string(version), unframe(modules)}
	return headerSize, false
}

// prefixed reads a string behind its length as a varint. It is nil when the
// length makes no sense.
func prefixed(b []byte) (s, rest []byte, more bool) {
	n, shift := uint64(0), 0
	for i, c := range b {
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if b = b[i+1:]; n > maxBlob {
				return nil, nil, false
			}
			if n > uint64(len(b)) {
				return nil, nil, true
			}
			return b[:n:n], b[n:], false
		}
		if shift += 7; shift > 28 {
			return nil, nil, false
		}
	}
	return nil, nil, true
}
