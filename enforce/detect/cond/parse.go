package cond

import (
	"fmt"
	"slices"
	"strings"
)

// parser is a recursive descent over the text of a condition.
type parser struct {
	text  string
	at    int
	depth int
}

// Parse reads a condition.
func Parse(text string) (n *Node, err error) {
	p := &parser{text: text}
	if len(text) > MaxLength {
		return nil, p.errorf("more than %d bytes", MaxLength)
	}
	n, err = p.or()
	if err != nil {
		return nil, err
	}
	p.blanks()
	if p.at < len(p.text) {
		return nil, p.errorf("want and, or, or the end")
	}
	return n, nil
}

func (p *parser) errorf(form string, args ...any) error {
	near := p.text[min(p.at, len(p.text)):]
	if len(near) > 24 {
		near = near[:24]
	}
	return &Error{At: p.at, Near: near, Err: fmt.Errorf(form, args...)}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (p *parser) blanks() {
	for p.at < len(p.text) && blank(p.text[p.at]) {
		p.at++
	}
}

// word takes a keyword that a blank or a bracket follows.
func (p *parser) word(w string) bool {
	p.blanks()
	rest, ok := strings.CutPrefix(p.text[p.at:], w)
	if !ok || rest == "" || !blank(rest[0]) && rest[0] != '(' {
		return false
	}
	p.at += len(w)
	return true
}

func (p *parser) or() (*Node, error)  { return p.chain("or", Or, p.and) }
func (p *parser) and() (*Node, error) { return p.chain("and", And, p.not) }

func (p *parser) chain(word string, op Op, part func() (*Node, error)) (*Node, error) {
	p.blanks()
	at := p.at
	first, err := part()
	if err != nil {
		return nil, err
	}
	kids := []*Node{first}
	for p.word(word) {
		next, err := part()
		if err != nil {
			return nil, err
		}
		kids = append(kids, next)
	}
	if len(kids) == 1 {
		return first, nil
	}
	return &Node{Op: op, Kids: kids, At: at}, nil
}

func (p *parser) not() (*Node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.errorf("nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	p.blanks()
	at := p.at
	if p.word("not") {
		kid, err := p.not()
		if err != nil {
			return nil, err
		}
		return &Node{Op: Not, Kids: []*Node{kid}, At: at}, nil
	}
	if p.take('(') {
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.take(')') {
			return nil, p.errorf("want a closing bracket")
		}
		return n, nil
	}
	return p.check()
}

func (p *parser) take(c byte) bool {
	p.blanks()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) check() (*Node, error) {
	at := p.at
	name := p.identifier()
	if name == "" || name == "and" || name == "or" || name == "not" {
		p.at = at
		return nil, p.errorf("want a field, a macro, not, or a bracket")
	}
	isCall := slices.Contains(transformers(), name) && p.at < len(p.text) && p.text[p.at] == '('
	if !strings.Contains(name, ".") && !isCall {
		return &Node{Op: Macro, Name: name, At: at}, nil
	}
	p.at = at
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	n := &Node{Op: Check, Left: left, At: at}
	return n, p.comparison(n)
}

// identifier takes a field's or a macro's name.
func (p *parser) identifier() string {
	start := p.at
	for p.at < len(p.text) && nameByte(p.text[p.at]) {
		p.at++
	}
	return p.text[start:p.at]
}

func nameByte(c byte) bool {
	return c == '_' || c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func transformers() []string {
	return []string{"tolower", "toupper", "b64", "basename", "len", "join", "concat", "getopt", "val"}
}

func (p *parser) operand() (Operand, error) {
	if p.depth++; p.depth > maxDepth {
		return Operand{}, p.errorf("nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	p.blanks()
	o := Operand{At: p.at}
	name := p.identifier()
	if slices.Contains(transformers(), name) && p.take('(') {
		o.Call = name
		return o, p.arguments(&o)
	}
	if !strings.Contains(name, ".") {
		p.at = o.At
		return o, p.errorf("want a field or a transformer")
	}
	o.Field = name
	if p.at < len(p.text) && p.text[p.at] == '[' {
		p.at++
		arg, err := p.argument()
		if err != nil {
			return o, err
		}
		o.Arg, o.HasArg = arg, true
	}
	return o, nil
}

// argument takes what stands between square brackets, quoted or bare.
func (p *parser) argument() (string, error) {
	if p.at < len(p.text) && (p.text[p.at] == '"' || p.text[p.at] == '\'') {
		arg, err := p.quoted()
		if err != nil {
			return "", err
		}
		if !p.take(']') {
			return "", p.errorf("want a closing square bracket")
		}
		return arg, nil
	}
	end := strings.IndexByte(p.text[p.at:], ']')
	if end < 1 {
		return "", p.errorf("want an argument and a closing square bracket")
	}
	arg := p.text[p.at : p.at+end]
	p.at += end + 1
	return arg, nil
}

func (p *parser) arguments(o *Operand) error {
	for {
		p.blanks()
		var a Operand
		var err error
		if p.at < len(p.text) && (p.text[p.at] == '"' || p.text[p.at] == '\'') {
			a.At = p.at
			var s string
			s, err = p.quoted()
			a.Text = &s
		} else {
			a, err = p.operand()
		}
		if err != nil {
			return err
		}
		o.Args = append(o.Args, a)
		if p.take(',') {
			continue
		}
		if p.take(')') {
			return nil
		}
		return p.errorf("want a comma or a closing bracket")
	}
}
