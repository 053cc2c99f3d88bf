// Package licence turns what distributions and ecosystems write about licences
// into SPDX expressions (SPDX specification 2.3, annex D). What SPDX has no
// name for becomes a LicenseRef.
package licence

import (
	"bytes"
	"strings"
)

// maxText bounds what is taken for a licence's name, in bytes.
const maxText = 512

// SPDX returns the expression for a name or an expression in another's words.
func SPDX(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxText {
		return ""
	}
	if id := lookup(text); id != "" {
		return id
	}
	p := &parser{words: split(text)}
	if out, ok := p.expression(); ok {
		return out
	}
	return reference(text)
}

// split cuts an expression into words, parentheses and commas.
func split(text string) []string {
	text = strings.NewReplacer("(", " ( ", ")", " ) ", "|", " | ", "&", " & ", ",", " , ", ";", " , ").Replace(text)
	return strings.Fields(text)
}

// parser reads expressions joined by and, or, commas, bars: what RPM, Debian,
// Alpine and SPDX itself write.
type parser struct {
	words []string
	at    int
	depth int
}

const maxDepth = 16

func (p *parser) peek() string {
	if p.at < len(p.words) {
		return p.words[p.at]
	}
	return ""
}

func operator(word string) string {
	switch strings.ToLower(word) {
	case "and", "&", ",", "and/or":
		return "AND"
	case "or", "|":
		return "OR"
	}
	return ""
}

func (p *parser) expression() (string, bool) {
	if p.depth++; p.depth > maxDepth {
		return "", false
	}
	defer func() { p.depth-- }()
	left, ok := p.term()
	if !ok {
		return "", false
	}
	parts, op := []string{left}, ""
	for {
		next := operator(p.peek())
		if next == "" {
			break
		}
		p.at++
		for operator(p.peek()) != "" { // ", and"
			next = operator(p.peek())
			p.at++
		}
		if p.peek() == "" {
			break
		}
		right, ok := p.term()
		if !ok {
			return "", false
		}
		if op != "" && op != next {
			parts = []string{"(" + strings.Join(parts, " "+op+" ") + ")"}
		}
		op = next
		parts = append(parts, right)
	}
	return strings.Join(parts, " "+op+" "), true
}

func (p *parser) term() (string, bool) {
	if p.peek() == "(" {
		p.at++
		inner, ok := p.expression()
		if !ok || p.peek() != ")" {
			return "", false
		}
		p.at++
		if strings.Contains(inner, " ") {
			inner = "(" + inner + ")"
		}
		return inner, true
	}
	from := p.at
	for w := p.peek(); w != "" && w != "(" && w != ")" && operator(w) == ""; w = p.peek() {
		p.at++
	}
	if from == p.at {
		return "", false
	}
	name := strings.Join(p.words[from:p.at], " ")
	if base, exception, ok := strings.Cut(strings.ToLower(name), " with "); ok {
		if id := exceptions[strings.TrimSuffix(strings.ReplaceAll(exception, " ", "-"), "-exception")]; id != "" {
			return named(name[:len(base)]) + " WITH " + id, true
		}
		return reference(name), true // SPDX has no name for the exception, so none for the whole
	}
	return named(name), true
}

func named(name string) string {
	if id := lookup(name); id != "" {
		return id
	}
	return reference(name)
}

// reference makes a LicenseRef of a name.
func reference(name string) string {
	if strings.HasPrefix(name, "LicenseRef-") {
		return "LicenseRef-" + tidy(name[len("LicenseRef-"):])
	}
	if t := tidy(name); t != "" {
		return "LicenseRef-" + t
	}
	return ""
}

// tidy keeps letters, digits, dots and dashes.
func tidy(name string) string {
	b := make([]byte, 0, len(name))
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.':
			b = append(b, c)
		case len(b) > 0 && b[len(b)-1] != '-':
			b = append(b, '-')
		}
	}
	return strings.Trim(string(b), "-.")
}

// lookup finds the SPDX id of a name, or "".
func lookup(name string) string {
	key := strings.ToLower(strings.Join(strings.Fields(name), " "))
	if id, ok := ids[key]; ok {
		return id
	}
	if id, ok := others[key]; ok {
		return id
	}
	if plain, ok := strings.CutSuffix(key, "+"); ok {
		if id := others[plain+" or later"]; id != "" {
			return id
		}
		if id, ok := ids[plain]; ok {
			return id + "+"
		}
	}
	return ""
}

// Detect recognises the common licence texts by their phrases. It returns ""
// when it is not sure.
func Detect(text []byte) string {
	text = text[:min(len(text), 64<<10)]
	lower := bytes.ToLower(bytes.Join(bytes.Fields(text), []byte(" ")))
	var list []string
	for _, p := range phrases {
		found := true
		for _, w := range p.all {
			found = found && bytes.Contains(lower, []byte(w))
		}
		for _, w := range p.none {
			found = found && !bytes.Contains(lower, []byte(w))
		}
		if found {
			list = append(list, p.id)
		}
	}
	return strings.Join(list, " AND ")
}
