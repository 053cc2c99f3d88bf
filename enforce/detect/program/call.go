package program

import (
	"strings"

	"sekisho/enforce/detect/field"
)

// call computes a transformer. These may allocate: the rules that are measured
// use none.
func (m *Matcher) call(i int, s *slot) bool {
	if s.call == "text" {
		m.vals[i].S = s.text
		return true
	}
	for _, a := range s.args {
		if !m.slot(a) {
			return false
		}
	}
	last := s.args[len(s.args)-1]
	if s.call == "len" {
		if m.p.slots[last].many {
			m.vals[i].N = int64(len(m.lists[last]))
		} else {
			m.vals[i].N = int64(len(m.vals[last].S))
		}
		return true
	}
	if !s.many {
		var ok bool
		m.vals[i].S, ok = transform(s.call, m.inputs(s.args))
		return ok
	}
	m.lists[i] = m.lists[i][:0]
	for _, v := range m.lists[last] {
		in := append(m.inputs(s.args[:len(s.args)-1]), v.S)
		if text, ok := transform(s.call, in); ok {
			m.lists[i] = append(m.lists[i], field.Value{S: text})
		}
	}
	return len(m.lists[i]) > 0
}

// inputs are the texts of slots, those of a list one after the other.
func (m *Matcher) inputs(slots []int) (in []string) {
	for _, a := range slots {
		if !m.p.slots[a].many {
			in = append(in, m.vals[a].S)
			continue
		}
		for _, v := range m.lists[a] {
			in = append(in, v.S)
		}
	}
	return in
}

// fields compares two fields.
func (m *Matcher) fields(l *leaf) bool {
	if !m.slot(l.right) {
		return false
	}
	left, right := m.of(l.slot), m.of(l.right)
	for i := range left {
		for j := range right {
			if l.pair(&left[i], &right[j]) != l.negate {
				return true
			}
		}
	}
	return false
}

func (m *Matcher) of(slot int) []field.Value {
	if m.p.slots[slot].many {
		return m.lists[slot]
	}
	return m.vals[slot : slot+1]
}

// pair compares two values of fields.
func (l *leaf) pair(v, w *field.Value) bool {
	switch l.op {
	case opContains:
		return strings.Contains(v.S, w.S)
	case opFold:
		return containsFold(v.S, strings.ToLower(w.S))
	case opPrefix:
		return strings.HasPrefix(v.S, w.S)
	case opSuffix:
		return strings.HasSuffix(v.S, w.S)
	case opGlob, opGlobFold:
		return glob(w.S, v.S, l.op == opGlobFold)
	case opPath:
		return pathMatch(w.S, v.S)
	case opRegex:
		return false // a pattern must be known when rules are compiled
	}
	return compare(l.op, l.typ, v, w, nil, 0)
}
