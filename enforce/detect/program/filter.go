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
// rules that are left for ordinary events, for what it costs.
func (f *folder) chooseFilters() {
	candidates := f.candidates()
	m, events := f.m, samples(f.typ)
	rows := make([][][]uint64, len(events)) // of each event, of each candidate
	left := make([][]uint64, len(events))
	for i, e := range events {
		m.start(e, f.g, f.typ.Name)
		for j := range candidates {
			class := candidates[j].classOf(m)
			rows[i] = append(rows[i], candidates[j].rows[class*f.g.words:(class+1)*f.g.words])
		}
		left[i] = append([]uint64{}, f.g.all...)
	}
	used := make([]bool, len(candidates))
	for len(f.g.filters) < maxFilters {
		best, gain := -1, 0.0
		for j := range candidates {
			if g := f.gain(&candidates[j], left, rows, j); !used[j] && g > gain {
				best, gain = j, g
			}
		}
		if best < 0 {
			return
		}
		for i := range left {
			for w, row := range rows[i][best] {
				left[i][w] &= row
			}
		}
		used[best] = true
		f.g.filters = append(f.g.filters, candidates[best])
	}
}

// gain is how many rules a look-up leaves out, for its cost.
func (f *folder) gain(c *filter, left [][]uint64, rows [][][]uint64, j int) float64 {
	n := 0
	for i := range left {
		for w, row := range rows[i][j] {
			n += bits.OnesCount64(left[i][w] &^ row)
		}
	}
	cost := 0.0
	if c.group >= 0 {
		cost = 4 + 4*float64(f.p.slots[f.p.groups[c.group].slot].cost)
		if f.p.groups[c.group].form == formInside {
			cost += 16
		}
	} else {
		cost = 1 + 4*float64(f.p.leaves[c.leaf].cost)
	}
	if 2*float64(n) < float64(len(left)) {
		return 0 // leaves out less than half a rule per event
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
	out := filter{group: int32(id), leaf: -1}
	for class := range int32(f.p.groups[id].classes()) {
		out.rows = append(out.rows, f.survivors(f.known(&out, class))...)
	}
	return out
}

func (f *folder) ofLeaf(id int32) filter {
	out := filter{group: -1, leaf: id}
	for v := range int32(2) {
		out.rows = append(out.rows, f.survivors(f.known(&out, v))...)
	}
	return out
}

// known tells what leaves are when a look-up finds a class.
func (f *folder) known(c *filter, class int32) func(*leaf, int32) uint8 {
	if c.group < 0 {
		return func(_ *leaf, i int32) uint8 {
			if i == c.leaf {
				return truth(class == 1)
			}
			return open
		}
	}
	id, g := int(c.group), f.p.groups[c.group]
	return func(l *leaf, _ int32) uint8 {
		if l.slot == g.slot && l.op == opExists {
			return truth(class != classMissing)
		}
		if l.slot == g.slot && class == classMissing {
			return no
		}
		if l.group != id || g.form == formInside && class == classSome {
			return open
		}
		if g.form == formInside {
			return truth(class == classOne+int32(l.bit))
		}
		return truth(g.holds(class, l.bit) != l.negate)
	}
}

func truth(b bool) uint8 {
	if b {
		return yes
	}
	return no
}

// values are those of all nodes when some leaves are known.
func (f *folder) values(known func(*leaf, int32) uint8) []uint8 {
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
	return value
}

// survivors are the rules that are not false when some leaves are known.
func (f *folder) survivors(known func(*leaf, int32) uint8) []uint64 {
	g, value := f.g, f.values(known)
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
