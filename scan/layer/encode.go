package layer

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"sekisho/scan/symbol"
)

// Format is the version of the encoding; it is part of every cache key.
const Format = 3

// Encode writes the result: the length of a JSON document, the document, then
// the sets of hashes one after another, each with its length, then how many
// files have functions, and of each of those its place among the files, the
// length of the set and the set. All integers are little-endian, 64 bits.
func (r *Result) Encode() ([]byte, error) {
	head := *r
	head.NonDirs, head.Dirs, head.Code = nil, nil, nil
	doc, err := json.Marshal(&head)
	if err != nil {
		return nil, fmt.Errorf("encode layer: %w", err)
	}
	out := binary.LittleEndian.AppendUint64(make([]byte, 0, len(doc)+8*(len(r.NonDirs)+len(r.Dirs)+len(r.Code))+1024), uint64(len(doc)))
	out = append(out, doc...)
	out = appendSet(out, r.NonDirs)
	out = appendSet(out, r.Dirs)
	out = appendSet(out, r.Code)
	for _, f := range r.Files {
		for _, o := range f.Owns {
			out = appendSet(out, o.Paths)
		}
	}
	return r.appendSymbols(out), nil
}

func (r *Result) appendSymbols(out []byte) []byte {
	start, n := len(out), uint64(0)
	out = binary.LittleEndian.AppendUint64(out, n)
	for i, f := range r.Files {
		if !f.Symbols.Known() {
			continue
		}
		n++
		out = binary.LittleEndian.AppendUint64(out, uint64(i))
		out = binary.LittleEndian.AppendUint64(out, uint64(len(f.Symbols.Bytes())))
		out = append(out, f.Symbols.Bytes()...)
	}
	binary.LittleEndian.PutUint64(out[start:], n)
	return out
}

func appendSet(out []byte, set []uint64) []byte {
	out = binary.LittleEndian.AppendUint64(out, uint64(len(set)))
	for _, h := range set {
		out = binary.LittleEndian.AppendUint64(out, h)
	}
	return out
}

// Decode reads what Encode wrote.
func Decode(data []byte) (*Result, error) {
	d := decoder{data: data}
	doc := d.bytes(d.number())
	r := &Result{}
	if d.bad {
		return nil, fmt.Errorf("decode layer: cut short")
	}
	if err := json.Unmarshal(doc, r); err != nil {
		return nil, fmt.Errorf("decode layer: %w", err)
	}
	r.NonDirs, r.Dirs, r.Code = d.set(), d.set(), d.set()
	for i := range r.Files {
		for j := range r.Files[i].Owns {
			r.Files[i].Owns[j].Paths = d.set()
		}
	}
	for range d.number() {
		i, set := d.number(), d.bytes(d.number())
		if d.bad || i >= uint64(len(r.Files)) {
			return nil, fmt.Errorf("decode layer: cut short")
		}
		var err error
		if r.Files[i].Symbols, err = symbol.Parse(set); err != nil {
			return nil, fmt.Errorf("decode layer: %s: %w", r.Files[i].Path, err)
		}
	}
	if d.bad || len(d.data) > 0 {
		return nil, fmt.Errorf("decode layer: wrong length")
	}
	r.Cached = true
	return r, nil
}

type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) number() uint64 {
	if len(d.data) < 8 {
		d.bad, d.data = true, nil
		return 0
	}
	n := binary.LittleEndian.Uint64(d.data)
	d.data = d.data[8:]
	return n
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.bad, d.data = true, nil
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) set() []uint64 {
	n := d.number()
	if n > math.MaxInt64/8 {
		d.bad = true
		return nil
	}
	b := d.bytes(n * 8)
	set := make([]uint64, len(b)/8)
	for i := range set {
		set[i] = binary.LittleEndian.Uint64(b[i*8:])
	}
	return set
}
