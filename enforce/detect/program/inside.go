package program

import "strings"

// Classes of a group that looks for texts inside. The row is the matcher's own.
const (
	classSome = 2 // several checks hold
	classOne  = 3 // and following: the one check of this bit holds
)

// inside looks for several texts inside another in one pass over every second
// byte: three neighbouring bytes at an even place of the text, and three at an
// odd one, stand for each, so that one of them is met.
type inside struct {
	table [1 << 15 / 64]uint64 // a bit for each hash of three bytes
	chain [256][]needle        // by the upper bits of the hash
}

// needle is a text and where in it the three bytes stand.
type needle struct {
	text string
	hash uint32
	at   int
	bits []int
}

// shortest text that inside can find, in bytes.
const shortest = 4

// rareness of a byte in command lines and paths, higher is rarer.
func rareness(c byte) int {
	if i := strings.IndexByte("etaoinsr/lcdu-pmbh.gfv", c); i >= 0 {
		return i / 2
	}
	return 20
}

func newInside(keys map[string][]int) *inside {
	in := &inside{}
	for text, bits := range keys {
		for first := range 2 {
			best, most := 0, -1
			for i := first; i+2 < len(text); i += 2 {
				if r := rareness(text[i]) + rareness(text[i+1]) + rareness(text[i+2]); r > most {
					best, most = i, r
				}
			}
			h := hash3(text[best], text[best+1], text[best+2])
			in.table[h/64] |= 1 << (h % 64)
			in.chain[h>>7] = append(in.chain[h>>7], needle{text, h, best, bits})
		}
	}
	return in
}

// hash3 hashes three bytes to 15 bits.
func hash3(a, b, c byte) uint32 {
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * 0x9e3779b1 >> 17
}

// find sets the bits of what is inside s; false when nothing is.
func (in *inside) find(s string, row []uint64) (some bool) {
	for i := 0; i+2 < len(s); i += 2 {
		h := hash3(s[i], s[i+1], s[i+2])
		if in.table[h/64&(1<<9-1)]&(1<<(h%64)) != 0 && in.check(s, i, h, row) {
			some = true
		}
	}
	return some
}

// check compares the texts whose three bytes stand at a place.
func (in *inside) check(s string, at int, h uint32, row []uint64) (some bool) {
	for i := range in.chain[h>>7] {
		n := &in.chain[h>>7][i]
		start := at - n.at
		if n.hash != h || start < 0 || len(s)-start < len(n.text) || s[start:start+len(n.text)] != n.text {
			continue
		}
		some = true
		for _, b := range n.bits {
			row[b/64] |= 1 << (b % 64)
		}
	}
	return some
}
