package golang

import (
	"bytes"
	"encoding/binary"

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
	maxVersion  = 256 // bytes
	maxTexts    = 4   // framed texts that are kept
	maxVersions = 32
	overlap     = 32 // bytes of one write that are seen again with the next
)

// legacy reads what Go 1.13 to 1.17 left: a mark with pointers to string
// headers in the data segment, which point to strings in read-only data. The
// strings come by first, so those that look right are kept with their
// addresses until the pointers tell which are meant.
type legacy struct {
	order    binary.ByteOrder
	readonly []object.Part // where strings may be
	segments []object.Part
	goish    bool // the version is worth looking for

	joint    []byte // the last bytes of the write before
	jointOff uint64
	texts    []text
	open     bool // the last text is not complete
	versions []text

	found   bool
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
	l.order, l.segments = o.Order, o.Segments
	end := data[len(data)-1].Off
	for _, executable := range []bool{false, true} {
		for _, p := range o.Segments {
			if !p.Write && p.Exec == executable && p.Off < end && p.Size > object.FrontSize/2 {
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

// feed looks at the bytes at off, and again at the last ones before them.
func (l *legacy) feed(p []byte, off uint64) {
	l.fill(p, off)
	if l.found {
		return
	}
	for _, part := range l.readonly {
		from, to := max(part.Off, off), min(part.End(), off+uint64(len(p)))
		if from < to {
			l.look(p[from-off:to-off], from)
		}
	}
}

func (l *legacy) look(p []byte, off uint64) {
	if l.open {
		l.extend(p)
	}
	if n := len(l.joint); n > 0 && l.jointOff+uint64(n) == off {
		both := append(l.joint[:n:n], p[:min(len(p), overlap)]...)
		l.scan(both, l.jointOff, n)
	}
	l.scan(p, off, len(p))
	tail := p[max(0, len(p)-overlap):]
	l.joint, l.jointOff = append(l.joint[:0], tail...), off+uint64(len(p)-len(tail))
}

// scan keeps what begins in the first n bytes of p.
func (l *legacy) scan(p []byte, off uint64, n int) {
	for i := 0; len(l.texts) < maxTexts; {
		j := bytes.Index(p[i:], []byte(frameStart[2:]))
		if j < 0 || i+j < 2 || i+j-2 >= n {
			break
		}
		i += j - 2
		if p[i] == frameStart[0] && p[i+1] == frameStart[1] && !l.known(l.texts, off+uint64(i)) {
			l.texts = append(l.texts, text{off: off + uint64(i)})
			l.open = true
			l.extend(p[i:])
		}
		i += frameSize
	}
	for i := 0; l.goish && len(l.versions) < maxVersions; i++ {
		j := bytes.Index(p[i:], []byte("go1.1"))
		if j < 0 || i+j >= n {
			break
		}
		i += j
		if end := bytes.IndexByte(p[i:min(len(p), i+overlap)], 0); end > 0 && !l.known(l.versions, off+uint64(i)) {
			l.versions = append(l.versions, text{off + uint64(i), bytes.Clone(p[i : i+end])})
		}
	}
}

func (l *legacy) known(list []text, off uint64) bool {
	for _, t := range list {
		if t.off == off {
			return true
		}
	}
	return false
}

// extend adds bytes to the last text until its end mark or its bound.
func (l *legacy) extend(p []byte) {
	t := &l.texts[len(l.texts)-1]
	seen := max(0, len(t.data)-frameSize+1)
	p = p[:min(len(p), maxBlob-len(t.data))]
	if len(t.data) == 0 {
		p = p[:min(len(p), step)]
	}
	t.data = append(t.data, p...)
	if i := bytes.Index(t.data[seen:], []byte(frameEnd)); i >= 0 {
		t.data, l.open = t.data[:seen+i+frameSize], false
	} else if len(t.data) >= maxBlob {
		t.data, l.open = nil, false
	}
}
