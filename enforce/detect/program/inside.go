package program

import "strings"

// Classes of a group that looks for texts inside. The row is the matcher's own.
const (
	classSome = 2 // several checks hold
	classOne  = 3 // and following: the one check of this bit holds
)

// inside looks for several texts inside another in one pass: three neighbouring
// bytes, rare ones, stand for each.
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
const shortest = 3

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
		best, most := 0, -1
		for i := 0; i+2 < len(text); i++ {
			if r := rareness(text[i]) + rareness(text[i+1]) + rareness(text[i+2]); r > most {
				best, most = i, r
			}
		}
		h := hash3(uint32(text[best])<<8 | uint32(text[best+1])<<16 | uint32(text[best+2])<<24)
		in.table[h/64] |= 1 << (h % 64)
		in.chain[h>>7] = append(in.chain[h>>7], needle{text, h, best, bits})
	}
	return in
}

// hash3 hashes the upper three bytes to 15 bits.
func hash3(v uint32) uint32 { return v & 0xffffff00 * 0x9e3779b1 >> 17 }

// find sets the bits of what is inside s; false when nothing is.
func (in *inside) find(s string, row []uint64) (some bool) {
	if len(s) < shortest {
		return false
	}
	v := uint32(s[0])<<16 | uint32(s[1])<<24
	for i := 2; i < len(s); i++ {
		v = v>>8 | uint32(s[i])<<24
		h := hash3(v)
		if in.table[h/64]&(1<<(h%64)) != 0 && in.check(s, i-2, h, row) {
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
