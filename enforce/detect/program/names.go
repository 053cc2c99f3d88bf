package program

import (
	"slices"
	"strings"
)

// Names returns the last parts of paths that conditions ask about by name, so
// that a sensor can tell the opens of these only. Conditions by directory or
// by a piece of a path have none.
func (p *Program) Names() []string {
	names := map[string]bool{}
	for i := range p.leaves {
		l := &p.leaves[i]
		s := &p.slots[l.slot]
		if s.field == nil || s.field.Name != "fd.name" && s.field.Name != "fd.nameraw" && s.field.Name != "fd.filename" || l.right >= 0 {
			continue
		}
		if l.op != opEqual && l.op != opSuffix && l.op != opGlob {
			continue
		}
		for _, v := range l.values {
			last := v.S[strings.LastIndexByte(v.S, '/')+1:]
			whole := l.op == opEqual || l.op == opGlob || strings.Contains(v.S, "/") || len(last) > 3
			if whole && last != "" && !strings.ContainsAny(last, `*?[\`) {
				names[last] = true
			}
		}
	}
	out := make([]string, 0, len(names))
	for n := range names {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
