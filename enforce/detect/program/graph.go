package program

import (
	"cmp"
	"encoding/binary"
	"slices"

	"sekisho/enforce/detect/cond"
	"sekisho/enforce/detect/field"
)

// Kinds of nodes of a graph.
const (
	nodeLeaf uint8 = iota
	nodeAnd
	nodeOr
	nodeNot
)

// Nodes of constant value.
const (
	never  int32 = -1
	always int32 = -2
)

// gnode is a node of a graph; kids come before their parents.
type gnode struct {
	op   uint8
	leaf int32
	kids []int32
	cost int
}

// root is a rule and the node that decides it.
type root struct {
	index int
	root  int32
}

// graph is what one type of event is evaluated with.
type graph struct {
	nodes   []gnode
	rules   []root
	words   int // of a row of rules
	all     []uint64
	filters []filter
	first   *step // of the way of ordinary events
}

// folder builds a graph.
type folder struct {
	p     *Program
	typ   field.EventType
	g     *graph
	ids   map[string]int32
	memo  map[*typed]int32
	m     *Matcher // for ordinary events
	steps int
	skip  map[int32]bool // groups whose answer was not the usual one
}

// compile builds the graph of one type of event; nil when no rule is left.
func (p *Program) compile(trees []*typed, typ field.EventType) *graph {
	f := &folder{p: p, typ: typ, g: &graph{}, ids: map[string]int32{}, memo: map[*typed]int32{}}
	for i, t := range trees {
		if t == nil {
			continue
		}
		if n := f.fold(t); n != never {
			f.g.rules = append(f.g.rules, root{i, n})
		}
	}
	if len(f.g.rules) == 0 {
		return nil
	}
	f.g.words = (len(f.g.rules) + 63) / 64
	f.g.all = make([]uint64, f.g.words)
	for i := range f.g.rules {
		f.g.all[i/64] |= 1 << (i % 64)
	}
	f.m = p.NewMatcher(nil, "")
	f.skip = map[int32]bool{}
	f.order()
	f.chooseFilters()
	f.g.first = f.way(f.g.rules, samples(typ), 0)
	f.order()
	return f.g
}

func (f *folder) fold(t *typed) int32 {
	if n, ok := f.memo[t]; ok {
		return n
	}
	var n int32
	switch t.op {
	case cond.Check:
		n = f.foldLeaf(t.leaf)
	case cond.Not:
		n = f.not(f.fold(t.kids[0]))
	case cond.And:
		n = f.chain(t, nodeAnd, never, always)
	default:
		n = f.chain(t, nodeOr, always, never)
	}
	f.memo[t] = n
	return n
}

func (f *folder) not(kid int32) int32 {
	switch {
	case kid == never:
		return always
	case kid == always:
		return never
	case f.g.nodes[kid].op == nodeNot:
		return f.g.nodes[kid].kids[0]
	}
	return f.intern(gnode{op: nodeNot, kids: []int32{kid}, cost: f.g.nodes[kid].cost})
}

// chain folds and, or: end decides it, skip changes nothing.
func (f *folder) chain(t *typed, op uint8, end, skip int32) int32 {
	var kids []int32
	for _, k := range t.kids {
		n := f.fold(k)
		switch {
		case n == end:
			return end
		case n == skip:
		case f.g.nodes[n].op == op:
			kids = append(kids, f.g.nodes[n].kids...)
		default:
			kids = append(kids, n)
		}
	}
	slices.Sort(kids)
	kids = slices.Compact(kids)
	switch len(kids) {
	case 0:
		return skip
	case 1:
		return kids[0]
	}
	cost := 1
	for _, k := range kids {
		cost += f.g.nodes[k].cost
	}
	return f.intern(gnode{op: op, kids: kids, cost: cost})
}

// foldLeaf decides what the type of event decides.
func (f *folder) foldLeaf(i int) int32 {
	l := &f.p.leaves[i]
	s := &f.p.slots[l.slot]
	if s.field != nil {
		if !s.field.On(s.arg, f.typ) {
			return never
		}
		if s.field.Name == "evt.type" || s.field.Name == "syscall.type" {
			v := field.Value{S: f.typ.Name}
			if l.right < 0 && (l.op == opExists || l.test(&v) != l.negate) {
				return always
			}
			if l.right < 0 {
				return never
			}
		}
		if s.field.Name == "evt.num" {
			if n := constantNumber(l); n != 0 {
				return n
			}
		}
	}
	return f.intern(gnode{op: nodeLeaf, leaf: int32(i), cost: l.cost})
}

// constantNumber knows that events are numbered from 1.
func constantNumber(l *leaf) int32 {
	if l.right >= 0 || len(l.values) != 1 {
		return 0
	}
	n := l.values[0].N
	switch {
	case l.op == opEqual && n <= 0, l.op == opLess && n <= 1, l.op == opLessEqual && n <= 0:
		if l.negate {
			return always
		}
		return never
	case l.op == opMore && n <= 0, l.op == opMoreEqual && n <= 1:
		return always
	}
	return 0
}

func (f *folder) intern(n gnode) int32 {
	key := []byte{n.op}
	key = binary.AppendVarint(key, int64(n.leaf))
	for _, k := range n.kids {
		key = binary.AppendVarint(key, int64(k))
	}
	if i, ok := f.ids[string(key)]; ok {
		return i
	}
	f.g.nodes = append(f.g.nodes, n)
	f.ids[string(key)] = int32(len(f.g.nodes) - 1)
	return int32(len(f.g.nodes) - 1)
}

// order puts first what is cheap and likely to decide: to be false in an and,
// to be true in an or. Ordinary events tell what is likely.
func (f *folder) order() {
	g := f.g
	truths := make([]float64, len(g.nodes))
	m := f.m
	m.memo = make([]uint32, len(g.nodes))
	events := samples(f.typ)
	for _, e := range events {
		m.start(e, g, f.typ.Name)
		for i := range g.nodes {
			if m.eval(int32(i)) {
				truths[i]++
			}
		}
	}
	rank := func(op uint8, i int32) float64 {
		decides := truths[i]
		if op == nodeAnd {
			decides = float64(len(events)) - decides
		}
		return float64(g.nodes[i].cost) / (decides + 0.1)
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		slices.SortStableFunc(n.kids, func(a, b int32) int { return cmp.Compare(rank(n.op, a), rank(n.op, b)) })
	}
}

// weigh counts the checks below a node, each once.
func (g *graph) weigh(n int32) int {
	if n < 0 {
		return 0
	}
	seen := make([]bool, len(g.nodes))
	count := 0
	stack := []int32{n}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		if g.nodes[n].op == nodeLeaf {
			count++
		}
		stack = append(stack, g.nodes[n].kids...)
	}
	return count
}
