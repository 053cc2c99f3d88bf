package golang

import (
	"bytes"
	"encoding/binary"
	"slices"

	"sekisho/scan/ecosystem/internal/object"
)

// The module information of every Go program is framed by these two marks
// (cmd/go/internal/modload). All but the first two bytes of the first are
// searched: their first is rarer.
const (
	frameStart = "\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"
	frameEnd   = "\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2"
	frameSize  = 16
)

const (
	maxText      = 4 << 20 // bytes
	maxPast      = 4 << 20
	maxVersion   = 256 // bytes
	maxTexts     = 4   // framed texts that are kept
	maxVersions  = 256
	shortVersion = 24 // bytes; "go1.17.13 X:fieldtrack"
	overlap      = 32 // bytes of one write that are seen again with the next
)

// legacy reads what Go 1.13 to 1.17 left: a mark with pointers to string
// headers in the data segment, which point to strings in read-only data. The
// strings come by first, so those that look right are kept with their
// addresses until the pointers tell which are meant.
type legacy struct {
	readonly []object.Part // where strings may be
	segments []object.Part
	goish    bool // the version is worth looking for

	joint    []byte // the last bytes of the write before
	jointOff uint64
	texts    []text
	open     bool // the last text is not complete
	versions []text

	order   binary.ByteOrder
	past    []byte // of the data segment before the mark: headers may be there
	pastOff uint64
	ptrSize int
	headers [2]header // of version and module information
}

type text struct {
	off  uint64
	data []byte
}

// header is a Go string header at addr, read once its bytes came by.
type header struct {
	addr uint64
	raw  []byte
}

func (l *legacy) begin(o object.Outline, data []object.Part, front []byte) {
	l.segments = o.Segments
	end := data[len(data)-1].Off
	for _, executable := range []bool{false, true} {
		for _, p := range o.Segments {
			if !p.Write && p.Exec == executable && p.Off < end {
				l.readonly = append(l.readonly, p)
			}
		}
		if len(l.readonly) > 0 && !(o.Format == object.MachO) {
			break
		}
	}
	l.goish = goish(o, front)
}

// goish reports whether the first bytes look like those of a Go program: the
// note with its build ID, or the sections listed at the start as only Go's
// own linker does. Of PE and Mach-O it is always assumed.
func goish(o object.Outline, front []byte) bool {
	if o.Format != object.ELF || o.Table.Off > 0 && o.Table.Off < 4096 {
		return true
	}
	for _, n := range o.Notes {
		if end := min(n.End(), uint64(len(front))); n.Off < end && bytes.Contains(front[n.Off:end], []byte("Go\x00\x00")) {
			return true
		}
	}
	return false
}

// feed looks at the bytes at off.
func (l *legacy) feed(p []byte, off uint64) {
	for _, part := range l.readonly {
		from, to := max(part.Off, off), min(part.End(), off+uint64(len(p)))
		if from < to {
			l.look(p[from-off:to-off], from)
		}
	}
}

// look keeps the texts that begin in p or at the end of what came before it.
func (l *legacy) look(p []byte, off uint64) {
	if l.open {
		l.extend(p)
	}
	if n := len(l.joint); n > 0 && l.jointOff+uint64(n) == off {
		l.joint = append(l.joint, p[:min(len(p), overlap)]...)
		l.framed(l.joint, l.jointOff, n, p)
		l.versioned(l.joint, l.jointOff, n)
	} else {
		l.joint = l.joint[:0]
	}
	l.framed(p, off, len(p), nil)
	l.versioned(p, off, len(p))
	l.remember(p, off)
}

// remember keeps the end of what came by; where p is short, the joint holds
// it all.
func (l *legacy) remember(p []byte, off uint64) {
	all, start := l.joint, l.jointOff
	if len(all) == 0 || len(p) > overlap {
		all, start = p, off
	}
	drop := max(0, len(all)-overlap)
	l.joint, l.jointOff = append(l.joint[:0], all[drop:]...), start+uint64(drop)
}

// framed opens texts that begin in the first n bytes of p; what follows those
// n bytes is in next, or nothing when there is no next.
func (l *legacy) framed(p []byte, off uint64, n int, next []byte) {
	for i := 0; len(l.texts) < maxTexts; i += frameSize {
		j := bytes.Index(p[min(i, len(p)):], []byte(frameStart[2:]))
		if j < 0 || i+j-2 >= n {
			return
		}
		i += j
		if i < 2 || p[i-2] != frameStart[0] || p[i-1] != frameStart[1] || known(l.texts, off+uint64(i-2)) {
			continue
		}
		l.texts, l.open = append(l.texts, text{off: off + uint64(i-2)}), true
		l.extend(p[i-2 : n])
		l.extend(next)
	}
}

// versioned keeps what may be a version in the first n bytes of p. Go 1.13
// stores it amid other texts, later versions end it with a zero; directories
// named after a version are left out.
func (l *legacy) versioned(p []byte, off uint64, n int) {
	for i := 0; l.goish && len(l.versions) < maxVersions; i++ {
		j := bytes.Index(p[i:], []byte("go1.1"))
		if j < 0 || i+j >= n {
			return
		}
		i += j
		if i > 0 && (p[i-1] == '/' || p[i-1] == '-') {
			continue
		}
		end := min(len(p), i+shortVersion)
		if zero := bytes.IndexByte(p[i:end], 0); zero > 0 {
			end = i + zero + 1
		} else if end < i+shortVersion {
			return // to be seen again with what follows
		}
		if !known(l.versions, off+uint64(i)) {
			l.versions = append(l.versions, text{off + uint64(i), bytes.Clone(p[i:end])})
		}
	}
}

func known(list []text, off uint64) bool {
	return slices.ContainsFunc(list, func(t text) bool { return t.off == off })
}

// extend adds bytes to the open text until its end mark or its bound.
func (l *legacy) extend(p []byte) {
	if !l.open {
		return
	}
	t := &l.texts[len(l.texts)-1]
	seen := max(0, len(t.data)-frameSize+1)
	if i := bytes.Index(p, []byte(frameEnd)); i >= 0 {
		p = p[:i+frameSize]
	}
	if len(t.data)+len(p) > maxText {
		t.data, l.open = nil, false
		return
	}
	t.data = append(t.data, p...)
	if i := bytes.Index(t.data[seen:], []byte(frameEnd)); i >= 0 {
		t.data, l.open = t.data[:seen+i+frameSize], false
	}
}

// keep remembers what comes by of the data segments before the mark, of
// programs with module information.
func (l *legacy) keep(p []byte, off uint64) {
	if len(l.texts) == 0 || len(l.past)+len(p) > maxPast {
		return
	}
	if off != l.pastOff+uint64(len(l.past)) {
		l.past, l.pastOff = l.past[:0], off
	}
	l.past = append(l.past, p...)
}

// mark takes the pointers of an old mark. It refuses those that point nowhere.
func (l *legacy) mark(b []byte) bool {
	size := int(b[14])
	if size != 4 && size != 8 {
		return false
	}
	l.order, l.ptrSize = binary.LittleEndian, size
	if b[15]&1 != 0 {
		l.order = binary.BigEndian
	}
	for i := range l.headers {
		l.headers[i] = header{addr: l.pointer(b[16+i*size:])}
	}
	_, ok := l.offset(l.headers[0].addr)
	return ok
}

func (l *legacy) pointer(b []byte) uint64 {
	if l.ptrSize == 4 {
		return uint64(l.order.Uint32(b))
	}
	return l.order.Uint64(b)
}

// offset tells where in the file an address is.
func (l *legacy) offset(addr uint64) (uint64, bool) {
	for _, p := range l.segments {
		if p.Addr <= addr && addr-p.Addr < p.Size {
			return p.Off + (addr - p.Addr), true
		}
	}
	return 0, false
}

// fill takes the string headers from the bytes at off.
func (l *legacy) fill(p []byte, off uint64) {
	for i := range l.headers {
		h := &l.headers[i]
		at, ok := l.offset(h.addr)
		at += uint64(len(h.raw))
		if !ok || at < off || at-off >= uint64(len(p)) || len(h.raw) == 2*l.ptrSize {
			continue
		}
		rest := p[at-off:]
		h.raw = append(h.raw, rest[:min(len(rest), 2*l.ptrSize-len(h.raw))]...)
	}
}

// resolve follows the pointers to the strings that were kept.
func (l *legacy) resolve() (info, bool) {
	version := l.pick(l.headers[0], l.versions)
	modules := l.pick(l.headers[1], l.texts)
	return info{string(version), unframe(modules)}, len(version)+len(modules) > 0
}

// pick returns the text that the header points to; where the header did not
// come by, the only text there is.
func (l *legacy) pick(h header, list []text) []byte {
	if len(h.raw) < 2*l.ptrSize {
		if len(list) == 1 {
			return bytes.TrimSuffix(list[0].data, []byte{0})
		}
		return nil
	}
	off, ok := l.offset(l.pointer(h.raw))
	n := l.pointer(h.raw[l.ptrSize:])
	for _, t := range list {
		if ok && t.off == off && n <= uint64(len(t.data)) {
			return t.data[:n]
		}
	}
	return nil
}
