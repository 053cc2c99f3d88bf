// Package licence says whether software may be used under the licences of an
// SPDX expression. It never overlooks a part: what is no expression is one
// licence with the whole text as its name.
package licence

import "strings"

// Terms is an SPDX licence expression (SPDX 2.3, annex D) as alternatives.
type Terms struct {
	id   string // of a leaf
	or   bool
	list []Terms
}

// Allowed reports whether somebody can use the software under licences that
// are all allowed: one side of OR is enough, both sides of AND must be.
func (t Terms) Allowed(ok func(string) bool) bool {
	if t.list == nil {
		return ok(t.id)
	}
	for _, s := range t.list {
		if s.Allowed(ok) == t.or {
			return t.or
		}
	}
	return !t.or
}

// Parse reads an expression. What is no expression is one leaf with the
// whole text, so that no part of it is overlooked.
func Parse(text string) Terms {
	fields := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text))
	p := termParser{fields: fields}
	t, ok := p.or(0)
	if !ok || len(p.fields) > 0 {
		return Terms{id: text}
	}
	return t
}

// maxDepth bounds how deep parentheses may stand in one another.
const maxDepth = 32

type termParser struct{ fields []string }

func (p *termParser) next() string {
	if len(p.fields) == 0 {
		return ""
	}
	return p.fields[0]
}

func (p *termParser) take() string {
	s := p.next()
	if s != "" {
		p.fields = p.fields[1:]
	}
	return s
}

func (p *termParser) or(depth int) (Terms, bool) {
	return p.chain(depth, "OR", p.and)
}

func (p *termParser) and(depth int) (Terms, bool) { return p.chain(depth, "AND", p.leaf) }

func (p *termParser) chain(depth int, word string, part func(int) (Terms, bool)) (Terms, bool) {
	t, ok := part(depth)
	if !ok || !strings.EqualFold(p.next(), word) {
		return t, ok
	}
	all := Terms{or: word == "OR", list: []Terms{t}}
	for strings.EqualFold(p.next(), word) {
		p.take()
		if t, ok = part(depth); !ok {
			return t, false
		}
		all.list = append(all.list, t)
	}
	return all, true
}

func (p *termParser) leaf(depth int) (Terms, bool) {
	word := p.take()
	switch {
	case word == "(":
		if depth > maxDepth {
			return Terms{}, false
		}
		t, ok := p.or(depth + 1)
		return t, ok && p.take() == ")"
	case word == "" || word == ")" || strings.EqualFold(word, "OR") || strings.EqualFold(word, "AND"):
		return Terms{}, false
	}
	if strings.EqualFold(p.next(), "WITH") {
		p.take()
		exception := p.take()
		return Terms{id: word + " WITH " + exception}, exception != ""
	}
	return Terms{id: word}, true
}
