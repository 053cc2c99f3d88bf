package program

import (
	"math/bits"

	"sekisho"
	"sekisho/enforce/detect/field"
)

// Matcher evaluates events, one after the other; it serves one goroutine.
type Matcher struct {
	Context  field.Context
	p        *Program
	g        *graph
	have     []uint8 // of slots: open, no (missing), yes
	vals     []field.Value
	lists    [][]field.Value
	classes  []int32 // of groups, -1 when not known
	rows     [][]uint64
	memo     []uint32 // of nodes: the event's number and, in bit 0, the value
	epoch    uint32
	left     []uint64
	matched  []int
	texts    []string
	maxWords int
}

// NewMatcher returns a matcher; users may be nil.
func (p *Program) NewMatcher(users field.Users, host string) *Matcher {
	m := &Matcher{p: p, have: make([]uint8, len(p.slots)), vals: make([]field.Value, len(p.slots)), lists: make([][]field.Value, len(p.slots)),
		classes: make([]int32, len(p.groups)), rows: make([][]uint64, len(p.groups)), memo: make([]uint32, p.maxNodes), matched: make([]int, 0, 64)}
	m.Context.Users, m.Context.Host = users, host
	words := 0
	for i, g := range p.groups {
		m.rows[i] = make([]uint64, g.width)
	}
	for _, g := range p.byType {
		if g != nil {
			words = max(words, g.words)
		}
	}
	m.left = make([]uint64, words)
	return m
}

// Match returns the indices of the rules that hold for an event, in order. The
// slice is valid until the next call.
func (m *Matcher) Match(e *sekisho.Event) []int {
	m.matched = m.matched[:0]
	typ := m.p.types.Of(e)
	if typ < 0 || m.p.byType[typ] == nil {
		return m.matched
	}
	m.start(e, m.p.byType[typ], m.p.types.List()[typ].Name)
	if s, usual := m.walk(m.g.first); usual {
		for _, r := range s.roots {
			if r.root == always || m.eval(r.root) {
				m.matched = append(m.matched, r.index)
			}
		}
		return m.matched
	}
	left := m.left[:m.g.words]
	copy(left, m.g.all)
	if !m.filter(left) {
		return m.matched
	}
	for w, word := range left {
		for word != 0 {
			i := w*64 + bits.TrailingZeros64(word)
			word &= word - 1
			if r := &m.g.rules[i]; r.root == always || m.eval(r.root) {
				m.matched = append(m.matched, r.index)
			}
		}
	}
	return m.matched
}

// start forgets the event before.
func (m *Matcher) start(e *sekisho.Event, g *graph, typ string) {
	m.g = g
	m.Context.Reset(e, typ)
	clear(m.have)
	clear(m.classes)
	if m.epoch += 2; m.epoch == 0 { // it wrapped
		clear(m.memo)
		m.epoch = 2
	}
}

// filter leaves in what can still hold; false when nothing can.
func (m *Matcher) filter(left []uint64) bool {
	words := len(left)
	for i := range m.g.filters {
		f := &m.g.filters[i]
		row := 0
		if f.group >= 0 {
			row = int(m.class(int(f.group)))
		} else if m.leaf(&m.p.leaves[f.leaf]) {
			row = 1
		}
		some := uint64(0)
		for w := range left {
			left[w] &= f.rows[row*words+w]
			some |= left[w]
		}
		if some == 0 {
			return false
		}
	}
	return true
}

func (m *Matcher) eval(i int32) bool {
	if v := m.memo[i]; v&^1 == m.epoch {
		return v&1 != 0
	}
	n := &m.g.nodes[i]
	if n.op == nodeNot {
		return !m.eval(n.kids[0])
	}
	var v bool
	switch n.op {
	case nodeLeaf:
		v = m.leaf(&m.p.leaves[n.leaf])
	case nodeAnd:
		v = true
		for _, k := range n.kids {
			if !m.eval(k) {
				v = false
				break
			}
		}
	default:
		for _, k := range n.kids {
			if m.eval(k) {
				v = true
				break
			}
		}
	}
	m.memo[i] = m.epoch
	if v {
		m.memo[i]++
	}
	return v
}

// slot extracts a value once; false when the event does not have it.
func (m *Matcher) slot(i int) bool {
	if v := m.have[i]; v != open {
		return v == yes
	}
	var ok bool
	if g := &m.p.gets[i]; g.get != nil {
		ok = g.get(&m.Context, g.arg, &m.vals[i])
	} else if s := &m.p.slots[i]; s.call != "" {
		ok = m.call(i, s)
	} else {
		m.lists[i] = s.field.List(&m.Context, s.arg, m.lists[i][:0])
		ok = len(m.lists[i]) > 0
	}
	m.have[i] = truth(ok)
	return ok
}

// class is the answer of a group for the event. Known classes are kept plus
// one, so that clearing forgets them.
func (m *Matcher) class(i int) int32 {
	if c := m.classes[i]; c != 0 {
		return c - 1
	}
	g := m.p.groups[i]
	c := int32(classMissing)
	switch {
	case !m.slot(g.slot):
	case g.form == formInside:
		c = m.look(g, i)
	case g.many:
		c = classNone
		clear(m.rows[i])
		for j := range m.lists[g.slot] {
			one := g.find(m.lists[g.slot][j].S)
			for w := range m.rows[i] {
				m.rows[i][w] |= g.rows[int(one)*g.width+w]
			}
		}
	default:
		c = g.find(m.vals[g.slot].S)
	}
	m.classes[i] = c + 1
	return c
}

// look finds what is inside the values of a slot.
func (m *Matcher) look(g *group, i int) int32 {
	clear(m.rows[i])
	some := false
	if g.many {
		for j := range m.lists[g.slot] {
			some = g.in.find(m.lists[g.slot][j].S, m.rows[i]) || some
		}
	} else {
		some = g.in.find(m.vals[g.slot].S, m.rows[i])
	}
	if !some {
		return classNone
	}
	n, bit := 0, 0
	for w, word := range m.rows[i] {
		if word != 0 {
			n += bits.OnesCount64(word)
			bit = w*64 + bits.TrailingZeros64(word)
		}
	}
	if n == 1 {
		return int32(classOne + bit)
	}
	return classSome
}

func (m *Matcher) leaf(l *leaf) bool {
	if l.group >= 0 {
		c := m.class(l.group)
		if c == classMissing {
			return false
		}
		if g := m.p.groups[l.group]; g.form == formInside || l.many {
			return m.rows[l.group][l.bit/64]&(1<<(l.bit%64)) != 0
		}
		return m.p.groups[l.group].holds(c, l.bit) != l.negate
	}
	if !m.slot(l.slot) {
		return false
	}
	if l.op == opExists {
		return true
	}
	if l.right >= 0 {
		return m.fields(l)
	}
	if !l.many {
		return l.test(&m.vals[l.slot]) != l.negate
	}
	return m.several(l, &m.p.slots[l.slot])
}

// several compares a field of many values: one of them must hold, but of the
// ends of a connection both must differ.
func (m *Matcher) several(l *leaf, s *slot) bool {
	list := m.lists[l.slot]
	if l.every {
		for i := range l.values {
			hit := false
			for j := range list {
				hit = hit || l.one(&list[j], i)
			}
			if !hit {
				return false
			}
		}
		return true
	}
	ends := s.field != nil && s.field.Ends
	for i := range list {
		hit := l.test(&list[i])
		if l.negate && ends {
			if hit {
				return false
			}
			continue
		}
		if hit != l.negate {
			return true
		}
	}
	return l.negate && ends
}
