package program

import "sekisho"

// step is a look-up on the way of an ordinary event: where it finds what it
// usually finds, what is known from then on is folded away, and what is left
// of the rules is small. Any other answer leads back to the filters.
type step struct {
	group int32 // or -1: leaf; or end
	leaf  int32
	end   bool
	usual int32 // class of the group
	kids  [2]*step
	roots []root // at the end: what is left of the rules
}

const (
	maxSteps = 16  // of a way
	maxTree  = 160 // steps of a type of event, in all
)

// way builds the steps for what is left of the rules.
func (f *folder) way(roots []root, events []*sekisho.Event, depth int) *step {
	f.steps++
	best, gain, usual := filter{}, 0.0, int32(0)
	if depth < maxSteps && f.steps < maxTree && len(events) > 0 {
		for _, c := range f.looks(roots) {
			g, class := f.worth(&c, roots, events)
			if g > gain {
				best, gain, usual = c, g, class
			}
		}
	}
	if gain == 0 {
		return &step{end: true, roots: roots}
	}
	s := &step{group: best.group, leaf: best.leaf, usual: usual}
	if best.group >= 0 {
		s.kids[1] = f.way(f.rest(roots, &best, usual), f.reach(&best, usual, events), depth+1)
		if len(f.skip) == 0 { // one thing that is unusual is ordinary, too
			f.skip[best.group] = true
			s.kids[0] = f.way(roots, events, depth+1)
			delete(f.skip, best.group)
		}
		return s
	}
	for v := range int32(2) {
		s.kids[v] = f.way(f.rest(roots, &best, v), f.reach(&best, v, events), depth+1)
	}
	return s
}

// reach are the events for which a look-up finds a class.
func (f *folder) reach(c *filter, class int32, events []*sekisho.Event) (out []*sekisho.Event) {
	for _, e := range events {
		f.m.start(e, f.g, f.typ.Name)
		if int32(c.classOf(f.m)) == class {
			out = append(out, e)
		}
	}
	return out
}

// looks are the look-ups that tell something about what is left.
func (f *folder) looks(roots []root) (out []filter) {
	seen := make([]bool, len(f.g.nodes))
	groups := map[int]bool{}
	var visit func(int32)
	visit = func(i int32) {
		if i < 0 || seen[i] {
			return
		}
		seen[i] = true
		n := &f.g.nodes[i]
		for _, k := range n.kids {
			visit(k)
		}
		if n.op != nodeLeaf {
			return
		}
		l := &f.p.leaves[n.leaf]
		switch s := &f.p.slots[l.slot]; {
		case s.call != "":
		case l.group >= 0:
			if !groups[l.group] && !f.skip[int32(l.group)] && (!s.many || f.p.groups[l.group].form == formInside) {
				groups[l.group] = true
				out = append(out, filter{group: int32(l.group), leaf: -1})
			}
		default:
			out = append(out, filter{group: -1, leaf: n.leaf})
		}
	}
	for _, r := range roots {
		visit(r.root)
	}
	return out
}

// worth is how many rules a look-up leaves out of an event, for its cost, and
// what it usually finds.
func (f *folder) worth(c *filter, roots []root, events []*sekisho.Event) (float64, int32) {
	counts := map[int32]int{}
	for _, e := range events {
		f.m.start(e, f.g, f.typ.Name)
		counts[int32(c.classOf(f.m))]++
	}
	usual, total := int32(0), 0
	for class, n := range counts {
		if n > counts[usual] || n == counts[usual] && class < usual {
			usual = class
		}
	}
	for class, n := range counts {
		if c.group < 0 || class == usual {
			total += n * f.leftOut(roots, f.known(c, class))
		}
	}
	cost := 0.0
	if c.group < 0 {
		cost = 2 + 3*float64(f.p.leaves[c.leaf].cost)
	} else {
		cost = 5 + 4*float64(f.p.slots[f.p.groups[c.group].slot].cost)
		if f.p.groups[c.group].form == formInside {
			cost += 14
		}
	}
	return float64(total) / float64(len(events)) / cost, usual
}

// leftOut counts the rules that are false when something is known.
func (f *folder) leftOut(roots []root, known func(*leaf, int32) uint8) (n int) {
	value := f.values(known)
	for _, r := range roots {
		if r.root >= 0 && value[r.root] == no {
			n++
		}
	}
	return n
}

// rest folds away what is known.
func (f *folder) rest(roots []root, c *filter, class int32) (out []root) {
	value := f.values(f.known(c, class))
	memo := map[int32]int32{}
	for _, r := range roots {
		if n := f.refold(r.root, value, memo); n != never {
			out = append(out, root{r.index, n})
		}
	}
	return out
}

func (f *folder) refold(i int32, value []uint8, memo map[int32]int32) int32 {
	if i < 0 {
		return i
	}
	if value[i] != open {
		return [...]int32{0, never, always}[value[i]]
	}
	if n, ok := memo[i]; ok {
		return n
	}
	node := f.g.nodes[i]
	n := i
	switch node.op {
	case nodeNot:
		n = f.not(f.refold(node.kids[0], value, memo))
	case nodeAnd, nodeOr:
		var kids []int32
		same := true
		for _, k := range node.kids {
			r := f.refold(k, value, memo)
			same = same && r == k
			if r >= 0 {
				kids = append(kids, r)
			}
		}
		if len(kids) == 1 {
			n = kids[0]
		} else if !same {
			cost := 1
			for _, k := range kids {
				cost += f.g.nodes[k].cost
			}
			n = f.intern(gnode{op: node.op, kids: kids, cost: cost})
		}
	}
	memo[i] = n
	return n
}

// walk follows an event; false when something unusual was found.
func (m *Matcher) walk(s *step) (*step, bool) {
	for !s.end {
		if s.group >= 0 {
			next := s.kids[1]
			if m.class(int(s.group)) != s.usual {
				if next = s.kids[0]; next == nil {
					return nil, false
				}
			}
			s = next
			continue
		}
		if m.leaf(&m.p.leaves[s.leaf]) {
			s = s.kids[1]
		} else {
			s = s.kids[0]
		}
	}
	return s, true
}
