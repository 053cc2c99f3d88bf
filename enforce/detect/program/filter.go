package program

import "math/bits"

// filter leaves out rules by one look-up: for each class of a group, or for
// true and false of a leaf, the rules that can still hold.
type filter struct {
	group int32 // or -1: leaf
	leaf  int32
	rows  []uint64 // of rules, a row for each class; for a leaf false, true
}

const maxFilters = 10

// Values of a node while some leaves are known.
const (
	open uint8 = iota
	no
	yes
)

// chooseFilters takes, again and again, the look-up that leaves out most of the
// rules that are left, supposing that it finds nothing.
func (f *folder) chooseFilters() {
	candidates := f.candidates()
	left := append([]uint64{}, f.g.all...)
	for len(f.g.filters) < maxFilters {
		best, gain := -1, 0.0
		for i := range candidates {
			if n := f.gain(&candidates[i], left); n > gain {
				best, gain = i, n
			}
		}
		if best < 0 {
			return
		}
		c := candidates[best]
		for w, row := range f.typical(&c) {
			left[w] &= row
		}
		f.g.filters = append(f.g.filters, c)
		candidates = append(candidates[:best], candidates[best+1:]...)
	}
}

// typical is the row of an event that matches nothing.
func (f *folder) typical(c *filter) []uint64 {
	class := 0
	if c.group >= 0 {
		class = classNone
	}
	return c.rows[class*f.g.words : (class+1)*f.g.words]
}

func (f *folder) gain(c *filter, left []uint64) float64 {
	n := 0
	for w, row := range f.typical(c) {
		n += bits.OnesCount64(left[w] &^ row)
	}
	cost := 1.0
	if c.group >= 0 {
		cost = 4 + 4*float64(f.p.slots[f.p.groups[c.group].slot].cost)
	} else {
		cost = 1 + 4*float64(f.p.leaves[c.leaf].cost)
	}
	return float64(n) / cost
}

func (f *folder) candidates() (out []filter) {
	groups, leaves := map[int]bool{}, map[int32]bool{}
	for _, n := range f.g.nodes {
		if n.op != nodeLeaf {
			continue
		}
		l := &f.p.leaves[n.leaf]
		s := &f.p.slots[l.slot]
		switch {
		case s.many || s.call != "":
		case l.group >= 0:
			if !groups[l.group] {
				groups[l.group] = true
				out = append(out, f.ofGroup(l.group))
			}
		case s.cost <= 2 && len(l.values) <= 2 && !leaves[n.leaf]:
			leaves[n.leaf] = true
			out = append(out, f.ofLeaf(n.leaf))
		}
	}
	return out
}

func (f *folder) ofGroup(id int) filter {
	g := f.p.groups[id]
	out := filter{group: int32(id), leaf: -1}
	for class := range int32(g.classes()) {
		out.rows = append(out.rows, f.survivors(func(l *leaf, _ int32) uint8 {
			if l.slot == g.slot && l.op == opExists {
				return truth(class != classMissing)
			}
			if l.slot == g.slot && class == classMissing {
				return no
			}
			if l.group != id {
				return open
			}
			return truth(g.holds(class, l.bit) != l.negate)
		})...)
	}
	return out
}

func (f *folder) ofLeaf(id int32) filter {
	out := filter{group: -1, leaf: id}
	for _, v := range []uint8{no, yes} {
		out.rows = append(out.rows, f.survivors(func(_ *leaf, i int32) uint8 {
			if i == id {
				return v
			}
			return open
		})...)
	}
	return out
}

func truth(b bool) uint8 {
	if b {
		return yes
	}
	return no
}

// survivors are the rules that are not false when some leaves are known.
func (f *folder) survivors(known func(*leaf, int32) uint8) []uint64 {
	g := f.g
	value := make([]uint8, len(g.nodes))
	for i := range g.nodes {
		n := &g.nodes[i]
		switch n.op {
		case nodeLeaf:
			value[i] = known(&f.p.leaves[n.leaf], n.leaf)
		case nodeNot:
			value[i] = [...]uint8{open, yes, no}[value[n.kids[0]]]
		case nodeAnd:
			value[i] = together(value, n.kids, no, yes)
		default:
			value[i] = together(value, n.kids, yes, no)
		}
	}
	row := make([]uint64, g.words)
	for i, r := range g.rules {
		if r.root < 0 || value[r.root] != no {
			row[i/64] |= 1 << (i % 64)
		}
	}
	return row
}

// together is and (end: no) or or (end: yes) over what is known.
func together(value []uint8, kids []int32, end, rest uint8) uint8 {
	all := true
	for _, k := range kids {
		if value[k] == end {
			return end
		}
		all = all && value[k] == rest
	}
	if all {
		return rest
	}
	return open
}
