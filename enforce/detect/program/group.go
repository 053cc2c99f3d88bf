package program

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// Classes of a group that are always there.
const (
	classMissing = 0 // the event does not have the field
	classNone    = 1 // it has, and nothing of the group matches
)

// group answers, with one look-up, all checks of one form on one field: which
// of the sets has the text, which of the prefixes (or suffixes) it begins
// (ends) with. The answer is a class: a row of bits, one for each check.
type group struct {
	slot  int
	form  form
	many  bool     // the slot has several values
	width int      // words in a row
	rows  []uint64 // of all classes
	exact map[string]int32
	maybe [1 << 12 / 64]uint64 // a bit for each sketch of a key in exact: most texts have none
	tree  []branch
	few   []string // keys and, in classes, what they are, when a map does not pay
	kinds []int32
	in    *inside
	keys  map[string][]int // while it is built: text to checks
	bits  int
}

// form is how the checks of a group compare.
type form uint8

const (
	formExact form = iota
	formPrefix
	formSuffix
	formInside
)

// branch is a node of a radix tree over bytes from the front, or the back.
type branch struct {
	label string
	class int32
	first string      // first bytes of the children, sorted
	kids  []int32     // the children
	table *[256]int16 // of many children: the child of a byte, 0 for none
}

// fewKids is how many children are looked through faster than a table is read.
const fewKids = 2

// kid returns the child for a byte, nil when there is none.
func (g *group) kid(at *branch, c byte) *branch {
	if at.table != nil {
		if i := at.table[c]; i != 0 {
			return &g.tree[i]
		}
		return nil
	}
	for i := range len(at.first) {
		if at.first[i] == c {
			return &g.tree[at.kids[i]]
		}
	}
	return nil
}

func newGroup(slot int, f form) *group { return &group{slot: slot, form: f, keys: map[string][]int{}} }

// add makes a check of some texts and returns its bit.
func (g *group) add(texts []string) int {
	bit := g.bits
	g.bits++
	for _, t := range texts {
		g.keys[t] = append(g.keys[t], bit)
	}
	return bit
}

// build makes the look-up from the keys.
func (g *group) build() {
	g.width = (g.bits + 63) / 64
	g.rows = make([]uint64, 2*g.width)
	if g.form == formInside {
		g.in = newInside(g.keys)
		return
	}
	known := map[string]int32{}
	row := func(bits []uint64) int32 {
		key := string(rowKey(bits))
		if c, ok := known[key]; ok {
			return c
		}
		c := int32(len(g.rows) / g.width)
		g.rows = append(g.rows, bits...)
		known[key] = c
		return c
	}
	if g.form == formExact {
		g.exact = make(map[string]int32, len(g.keys))
		for _, key := range slices.Sorted(maps.Keys(g.keys)) {
			g.exact[key] = row(g.row(g.keys[key], nil))
			k := sketch(key)
			g.maybe[k/64] |= 1 << (k % 64)
			if len(g.keys) <= 4 {
				g.few, g.kinds = append(g.few, key), append(g.kinds, g.exact[key])
			}
		}
		return
	}
	keys := slices.Collect(maps.Keys(g.keys))
	if g.form == formSuffix {
		slices.SortFunc(keys, func(a, b string) int { return strings.Compare(reverse(a), reverse(b)) })
	} else {
		slices.Sort(keys)
	}
	g.tree = []branch{{class: classNone}}
	g.grow(0, keys, 0, nil, row)
}

func rowKey(bits []uint64) []byte {
	b := make([]byte, 0, 8*len(bits))
	for _, w := range bits {
		for i := range 8 {
			b = append(b, byte(w>>(8*i)))
		}
	}
	return b
}

func (g *group) row(bits []int, above []uint64) []uint64 {
	row := make([]uint64, g.width)
	copy(row, above)
	for _, b := range bits {
		row[b/64] |= 1 << (b % 64)
	}
	return row
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// grow hangs sorted keys, whose first depth bytes are used up, below a branch.
func (g *group) grow(at int, keys []string, depth int, above []uint64, row func([]uint64) int32) {
	if len(keys) > 0 && len(keys[0]) == depth {
		above = g.row(g.keys[keys[0]], above)
		g.tree[at].class = row(above)
		keys = keys[1:]
	} else if above != nil {
		g.tree[at].class = row(above)
	}
	var first []byte
	for len(keys) > 0 {
		c := g.byteAt(keys[0], depth)
		n := 1
		for n < len(keys) && g.byteAt(keys[n], depth) == c {
			n++
		}
		end := g.common(keys[:n], depth)
		kid := len(g.tree)
		g.tree = append(g.tree, branch{label: g.cut(keys[0], depth, end), class: classNone})
		g.tree[at].kids = append(g.tree[at].kids, int32(kid))
		first = append(first, c)
		g.grow(kid, keys[:n], end, above, row)
		keys = keys[n:]
	}
	g.tree[at].first = string(first)
	if len(first) <= fewKids || len(g.tree) > math.MaxInt16 {
		return
	}
	table := &[256]int16{}
	for i, c := range first {
		table[c] = int16(g.tree[at].kids[i])
	}
	g.tree[at].table = table
}

func (g *group) byteAt(key string, i int) byte {
	if g.form == formSuffix {
		return key[len(key)-1-i]
	}
	return key[i]
}

// cut returns a piece of a key, as it stands in the text.
func (g *group) cut(key string, from, to int) string {
	if g.form == formSuffix {
		return key[len(key)-to : len(key)-from]
	}
	return key[from:to]
}

func (g *group) common(keys []string, depth int) int {
	first, last := keys[0], keys[len(keys)-1]
	n := depth
	for n < len(first) && n < len(last) && g.byteAt(first, n) == g.byteAt(last, n) {
		n++
	}
	return n
}

// sketch makes 12 bits of a text's length and three of its bytes.
func sketch(s string) uint32 {
	if s == "" {
		return 0
	}
	h := uint32(len(s)) | uint32(s[0])<<8 | uint32(s[len(s)/2])<<16 | uint32(s[len(s)-1])<<24
	return h * 0x9e3779b1 >> 20
}

// find returns the class of a text.
func (g *group) find(s string) int32 {
	switch g.form {
	case formExact:
		if g.few != nil {
			for i, key := range g.few {
				if key == s {
					return g.kinds[i]
				}
			}
			return classNone
		}
		if k := sketch(s); g.maybe[k/64]&(1<<(k%64)) == 0 {
			return classNone
		}
		if c, ok := g.exact[s]; ok {
			return c
		}
		return classNone
	case formSuffix:
		return g.fromBack(s)
	}
	at := &g.tree[0]
	class := at.class
	for s != "" {
		if at = g.kid(at, s[0]); at == nil || !strings.HasPrefix(s, at.label) {
			return class
		}
		s, class = s[len(at.label):], at.class
	}
	return class
}

func (g *group) fromBack(s string) int32 {
	at := &g.tree[0]
	class := at.class
	for s != "" {
		if at = g.kid(at, s[len(s)-1]); at == nil || !strings.HasSuffix(s, at.label) {
			return class
		}
		s, class = s[:len(s)-len(at.label)], at.class
	}
	return class
}

// classes counts them.
func (g *group) classes() int {
	if g.form == formInside {
		return classOne + g.bits
	}
	return len(g.rows) / max(1, g.width)
}

// holds reports a check's bit in a class.
func (g *group) holds(class int32, bit int) bool {
	return g.rows[int(class)*g.width+bit/64]&(1<<(bit%64)) != 0
}
