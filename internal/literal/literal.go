// Package literal finds many short byte strings in one pass over a buffer.
// Literals of at least MinLength bytes enter with their case rule; every place
// where one begins leaves, in order of the place where it was noticed. It is
// the prefilter in front of everything that looks into the content of files:
// nothing here knows what a literal is for.
//
// Each literal is watched for by its rarest four bytes. Four bytes of the
// buffer at a time are folded to one case, hashed and looked up in a bitmap;
// only what is set there is compared. So the cost per byte does not depend on
// how many literals there are, until they are so many that the bitmap fills.
package literal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// MinLength is the shortest literal in bytes.
const MinLength = 3

// MaxLength is how many bytes of a literal are compared; what follows is the
// caller's to check.
const MaxLength = 255

// Literal is a string to find.
type Literal struct {
	Text []byte
	Fold bool // letters A to Z match in either case
}

// Set is a compiled list of literals. It may be used by several goroutines.
type Set struct {
	texts [][]byte // folded where fold is set
	fold  []bool
	words *[1 << 16]uint64 // bitmap over hashes of four bytes, of which span+1 are used
	span  uint16
	slots []slot // open addressing by gram
	mask  uint32
	watch []watch // by slot, those of one gram beside one another
}

type slot struct {
	gram       uint32
	from, upto uint32 // in watch; upto 0: free
}

type watch struct {
	id int32
	at uint8 // where the gram is in the literal
}

// ErrShort tells of a literal that is too short to be found.
var ErrShort = errors.New("literal is too short")

const (
	foldMask = 0x20202020
	fold64   = 0x2020202020202020
	mul      = 0x9E3779B1 // 2^32 divided by the golden ratio
)

// New compiles the literals; their index is the id that Scan reports.
func New(list []Literal) (*Set, error) {
	s := &Set{texts: make([][]byte, len(list)), fold: make([]bool, len(list)), words: new([1 << 16]uint64)}
	grams := map[uint32][]watch{}
	for i, l := range list {
		if len(l.Text) < MinLength {
			return nil, fmt.Errorf("literal %d, %q: %w: %d bytes, want at least %d", i, l.Text, ErrShort, len(l.Text), MinLength)
		}
		text := l.Text[:min(len(l.Text), MaxLength)]
		s.fold[i] = l.Fold
		if l.Fold {
			text = lower(text)
		}
		s.texts[i] = text
		for _, g := range s.choose(text, grams) {
			grams[g.gram] = append(grams[g.gram], watch{int32(i), g.at})
		}
	}
	s.build(grams)
	return s, nil
}

type choice struct {
	gram uint32
	at   uint8
}

// choose returns the rarest gram of a literal. One of three bytes is watched
// for with every byte that may follow it; Scan sees a buffer's end as zeros.
func (s *Set) choose(text []byte, grams map[uint32][]watch) []choice {
	if len(text) == 3 {
		list := make([]choice, 0, 128)
		base := uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16 | foldMask
		for b := range uint32(256) {
			if b&0x20 != 0 {
				list = append(list, choice{base | b<<24, 0})
			}
		}
		return list
	}
	best, top := choice{}, math.MinInt
	for i := 0; i+4 <= len(text); i++ {
		g := binary.LittleEndian.Uint32(text[i:]) | foldMask
		score := rarity(g)*4 - bits.Len(uint(len(grams[g])))
		if score > top {
			best, top = choice{g, uint8(i)}, score
		}
	}
	return []choice{best}
}

// rarity guesses how seldom four folded bytes occur in files.
func rarity(g uint32) int {
	text := [4]byte{byte(g), byte(g >> 8), byte(g >> 16), byte(g >> 24)}
	sum := 0
	for i, b := range text {
		if i == 0 || b != text[i-1] {
			sum += int(seldom[b])
		}
	}
	if common[string(text[:])] {
		sum -= 6
	}
	return sum
}

// seldom weighs bytes, folded, by how seldom they occur in texts and programs.
var seldom = func() (w [256]uint8) {
	for i := range w {
		w[i] = 4
	}
	for n, set := range []string{" \xff\x7feationsr", "hldcum\x68\x8b\xe8.-/=", "fpgwybv\"(),:;\x24\x25\x28\xa8\xa9\xab\xad\xe0\xec\xef", "0123456789"} {
		for _, b := range []byte(set) {
			w[b] = uint8(n)
		}
	}
	return w
}()

// common are runs of four letters that source code and prose are full of.
var common = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range []string{"this", "tion", "ment", "line", "code", "pack", "http", "name", "comp", "port", "inte", "stat", "cont", "self", "func", "retu", "turn", "data", "type",
		"file", "list", "path", "modu", "odul", "test", "user", "load", "able", "proc", "ckag", "kage", "agen", ".com", "ntai", "impo", "mpor", "publ", "ublic", "blic", "docu", "valu", "alue", "stri", "trin",
		"ring", "ctio", "unct", "ncti", "obje", "bjec", "ject", "spec", "call", "clas", "lass", "cons", "main", "inde", "ndex", "vers", "ersi", "rsio", "sion", "copy", "righ", "ight", "lice", "cens",
		"ense", "with", "from", "form", "orma", "mess", "essa", "sage", "conf", "onfi", "nfig", "gith", "ithu", "thub", "auth", "utho", "thor", "uthe", "pass", "acce", "cces", "cess", "live", "dock", "face", "book", "fram", "cloud", "loud"} {
		if len(w) == 4 {
			m[w] = true
		}
	}
	return m
}()

func (s *Set) build(grams map[uint32][]watch) {
	s.span = 1<<13 - 1 // words: the bitmap stays in the fastest memory while it can
	for int(s.span)*64 < 300*len(grams) && s.span < 1<<16-1 {
		s.span = s.span<<1 | 1
	}
	size := 1
	for size < 2*len(grams)+2 {
		size *= 2
	}
	s.mask = uint32(size - 1)
	s.slots = make([]slot, size)
	for g, list := range grams {
		h := g * mul
		s.words[uint16(h>>16)&s.span] |= 1 << (h >> 10 & 63)
		at := h >> 7 & s.mask
		for s.slots[at].upto != 0 {
			at = (at + 1) & s.mask
		}
		from := uint32(len(s.watch))
		s.watch = append(s.watch, list...)
		s.slots[at] = slot{g, from, uint32(len(s.watch))}
	}
}

func lower(text []byte) []byte {
	out := make([]byte, len(text))
	for i, b := range text {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		out[i] = b
	}
	return out
}

// Len returns how many literals the set has.
func (s *Set) Len() int { return len(s.texts) }

// Scan calls hit for every place where a literal begins.
func (s *Set) Scan(data []byte, hit func(id int32, at int)) {
	if len(s.watch) == 0 {
		return
	}
	words, span, i := s.words, s.span, 0
	for ; i+8 <= len(data); i += 4 {
		x := binary.LittleEndian.Uint64(data[i:]) | fold64
		a, b, c, d := uint32(x)*mul, uint32(x>>8)*mul, uint32(x>>16)*mul, uint32(x>>24)*mul
		wa, wb := words[uint16(a>>16)&span]>>(a>>10&63), words[uint16(b>>16)&span]>>(b>>10&63)
		wc, wd := words[uint16(c>>16)&span]>>(c>>10&63), words[uint16(d>>16)&span]>>(d>>10&63)
		if (wa|wb|wc|wd)&1 == 0 {
			continue
		}
		if wa&1 != 0 {
			s.check(data, i, uint32(x), a, hit)
		}
		if wb&1 != 0 {
			s.check(data, i+1, uint32(x>>8), b, hit)
		}
		if wc&1 != 0 {
			s.check(data, i+2, uint32(x>>16), c, hit)
		}
		if wd&1 != 0 {
			s.check(data, i+3, uint32(x>>24), d, hit)
		}
	}
	for ; i < len(data); i++ {
		var tail [4]byte
		copy(tail[:], data[i:])
		gram := binary.LittleEndian.Uint32(tail[:]) | foldMask
		s.check(data, i, gram, gram*mul, hit)
	}
}

// check compares all literals that have this gram, seen at this place; h is
// its hash.
func (s *Set) check(data []byte, place int, gram, h uint32, hit func(int32, int)) {
	at := h >> 7 & s.mask
	for s.slots[at].gram != gram || s.slots[at].upto == 0 {
		if s.slots[at].upto == 0 {
			return
		}
		at = (at + 1) & s.mask
	}
	for _, w := range s.watch[s.slots[at].from:s.slots[at].upto] {
		start := place - int(w.at)
		text := s.texts[w.id]
		if start < 0 || start+len(text) > len(data) {
			continue
		}
		if s.equal(data[start:start+len(text)], text, s.fold[w.id]) {
			hit(w.id, start)
		}
	}
}

func (s *Set) equal(seen, text []byte, fold bool) bool {
	if !fold {
		return string(seen) == string(text)
	}
	for i, b := range seen {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		if b != text[i] {
			return false
		}
	}
	return true
}
