package cond

import (
	"slices"
	"strings"
)

// signs are operators that need no blank after them, longest first.
func signs() []string { return []string{"<=", ">=", "==", "!=", "<", ">", "="} }

// words are operators that a blank or a bracket follows.
func words() []string {
	return []string{"startswith", "bstartswith", "endswith", "contains", "icontains", "bcontains", "glob", "iglob", "regex", "in", "intersects", "pmatch"}
}

func sets() []string { return []string{"in", "intersects", "pmatch"} }

func modifiers() []string { return []string{"oneof", "anyof", "allof"} }

// comparison takes the operator and the right side of a check.
func (p *parser) comparison(n *Node) error {
	p.blanks()
	if rest, ok := strings.CutPrefix(p.text[p.at:], "exists"); ok && (rest == "" || !nameByte(rest[0])) {
		p.at += len("exists")
		n.Cmp = "exists"
		return nil
	}
	if n.Cmp = p.operator(); n.Cmp == "" {
		return p.errorf("want an operator after %s", n.Left)
	}
	p.blanks()
	for _, m := range modifiers() {
		if p.word(m) {
			n.Modify = m
			return p.right(n, true)
		}
	}
	return p.right(n, slices.Contains(sets(), n.Cmp))
}

func (p *parser) operator() string {
	for _, s := range signs() {
		if strings.HasPrefix(p.text[p.at:], s) {
			p.at += len(s)
			if s == "==" {
				return "="
			}
			return s
		}
	}
	for _, w := range words() {
		rest, ok := strings.CutPrefix(p.text[p.at:], w)
		if ok && rest != "" && (blank(rest[0]) || rest[0] == '(') {
			p.at += len(w)
			return w
		}
	}
	return ""
}

// right takes the values, or the field that the left side is compared with.
func (p *parser) right(n *Node, list bool) error {
	p.blanks()
	if p.callAhead() {
		o, err := p.operand()
		n.Right = &o
		if o.Call == "val" {
			if len(o.Args) != 1 || o.Args[0].Text != nil {
				return p.errorf("val wants one field")
			}
			n.Right = &o.Args[0]
		}
		return err
	}
	if list && p.take('(') {
		return p.list(n)
	}
	v, err := p.value()
	n.Values = []string{v}
	return err
}

func (p *parser) callAhead() bool {
	for _, t := range transformers() {
		if rest, ok := strings.CutPrefix(p.text[p.at:], t); ok && strings.HasPrefix(rest, "(") {
			return true
		}
	}
	return false
}

func (p *parser) list(n *Node) error {
	n.Values = []string{}
	if p.take(')') {
		return nil
	}
	for {
		v, err := p.value()
		if err != nil {
			return err
		}
		n.Values = append(n.Values, v)
		if p.take(',') {
			continue
		}
		if p.take(')') {
			return nil
		}
		return p.errorf("want a comma or a closing bracket")
	}
}

// value takes a quoted or a bare word.
func (p *parser) value() (string, error) {
	p.blanks()
	if p.at < len(p.text) && (p.text[p.at] == '"' || p.text[p.at] == '\'') {
		return p.quoted()
	}
	start := p.at
	for p.at < len(p.text) && !blank(p.text[p.at]) && strings.IndexByte(`()"',=`, p.text[p.at]) < 0 {
		p.at++
	}
	if p.at == start {
		return "", p.errorf("want a value")
	}
	return p.text[start:p.at], nil
}

// quoted takes a string; a backslash keeps a quote or a backslash.
func (p *parser) quoted() (string, error) {
	quote, start := p.text[p.at], p.at
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c == quote:
			p.at++
			return b.String(), nil
		case c == '\\' && p.at+1 < len(p.text) && strings.IndexByte(`\"'`, p.text[p.at+1]) >= 0:
			p.at++
			b.WriteByte(p.text[p.at])
		default:
			b.WriteByte(c)
		}
	}
	p.at = start
	return "", p.errorf("the string has no end")
}
