package rulefile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sekisho/enforce/detect/cond"
)

const maxMacroDepth = 200

// all is what a rule sees: every macro, also those further down. A macro sees
// those above it only.
const all = int(^uint(0) >> 1)

// Rules puts lists and macros in and returns the rules in the order of their
// first definition. Problems are added to the loader's.
func (l *Loader) Rules() []*Rule {
	l.resolveLists()
	var out []*Rule
	for _, name := range l.order {
		r := *l.rules[name]
		text, err := l.substitute(except(r.raw, r.exceptions))
		if err == nil {
			r.Text = strings.Join(strings.Fields(text), " ")
			r.Condition, err = l.tree(text, all, 0)
		}
		if err != nil {
			l.Problems = append(l.Problems, Problem{File: r.File, Line: r.place.line, Column: r.place.column, Item: "rule " + name, Err: fmt.Errorf("condition: %w", err)})
			continue
		}
		out = append(out, &r)
	}
	return out
}

// List returns the items of a list, with the lists in it put in.
func (l *Loader) List(name string) []string {
	if x := l.lists[name]; x != nil {
		return x.items
	}
	return nil
}

// Lists counts the lists, Macros the macros.
func (l *Loader) Lists() int { return len(l.lists) }

// Macros counts the macros.
func (l *Loader) Macros() int { return len(l.macros) }

// resolveLists replaces items that name an earlier list by its items.
func (l *Loader) resolveLists() {
	for _, name := range l.lorder {
		x := l.lists[name]
		x.items = nil
		for _, item := range x.raw {
			if other := l.lists[item]; other != nil && other.index < x.visibility && other != x {
				x.items = append(x.items, other.items...)
			} else {
				x.items = append(x.items, quote(item))
			}
			if len(x.items) > maxNodes {
				l.Problems = append(l.Problems, Problem{File: x.file, Line: x.place.line, Column: x.place.column, Item: "list " + name, Err: errors.New("too many items")})
				return
			}
		}
	}
}

// substitute puts lists into a condition as text, one list after the other.
func (l *Loader) substitute(text string) (string, error) {
	for _, name := range l.lorder {
		if !strings.Contains(text, name) {
			continue
		}
		text = put(text, name, l.lists[name].items)
		if len(text) > cond.MaxLength {
			return "", fmt.Errorf("more than %d bytes after lists are put in", cond.MaxLength)
		}
	}
	return text, nil
}

const blanks, delimiters = " \t\n\r", " \t\n\r(),="

// put replaces a name that stands between delimiters by the items. The blanks
// around go with it; so does one comma when there are no items.
func put(text, name string, items []string) string {
	with := strings.Join(items, ", ")
	var b strings.Builder
	rest := 0
	for at := 0; at < len(text); {
		i := strings.Index(text[at:], name)
		if i < 0 {
			break
		}
		start, end := at+i, at+i+len(name)
		if start > 0 && strings.IndexByte(delimiters, text[start-1]) < 0 || end < len(text) && strings.IndexByte(delimiters, text[end]) < 0 {
			at = start + 1
			continue
		}
		for start > rest && strings.IndexByte(blanks, text[start-1]) >= 0 {
			start--
		}
		for end < len(text) && strings.IndexByte(blanks, text[end]) >= 0 {
			end++
		}
		if len(items) == 0 {
			if start > rest && text[start-1] == ',' {
				start--
			} else if end < len(text) && text[end] == ',' {
				end++
			}
		}
		b.WriteString(text[rest:start])
		b.WriteByte(' ')
		b.WriteString(with)
		b.WriteByte(' ')
		rest, at = end, end
	}
	b.WriteString(text[rest:])
	return b.String()
}

// tree parses a condition and hangs macros in.
func (l *Loader) tree(text string, visibility, depth int) (*cond.Node, error) {
	n, err := cond.Parse(text)
	if err != nil {
		return nil, err
	}
	return l.hang(n, visibility, depth)
}

func (l *Loader) hang(n *cond.Node, visibility, depth int) (*cond.Node, error) {
	if n.Op == cond.Macro {
		m := l.macros[n.Name]
		if m == nil || m.index >= visibility {
			return nil, &cond.Error{At: n.At, Near: n.Name, Err: fmt.Errorf("there is no field or macro %s above%s", n.Name, l.hint(n.Name))}
		}
		return l.expand(m, depth+1)
	}
	for i, k := range n.Kids {
		k, err := l.hang(k, visibility, depth)
		if err != nil {
			return nil, err
		}
		n.Kids[i] = k
	}
	return n, nil
}

func (l *Loader) hint(name string) string {
	if _, ok := l.lists[name]; ok {
		return "; it is a list, and a list stands on the right of a comparison"
	}
	if _, ok := l.macros[name]; ok {
		return "; it is defined further down"
	}
	return ""
}

// States of a macro that is being put in.
const (
	fresh = iota
	open
	done
)

func (l *Loader) expand(m *Macro, depth int) (*cond.Node, error) {
	if m.state == done {
		return m.tree, nil
	}
	if m.state == open || depth > maxMacroDepth {
		return nil, fmt.Errorf("macro %s uses itself, or macros nest too deep", m.Name)
	}
	m.state = open
	defer func() {
		if m.state == open {
			m.state = fresh
		}
	}()
	text, err := l.substitute(m.raw)
	if err != nil {
		return nil, fmt.Errorf("macro %s (%s:%d:%d): %w", m.Name, m.file, m.place.line, m.place.column, err)
	}
	tree, err := l.tree(text, m.visibility, depth)
	if err != nil {
		return nil, fmt.Errorf("macro %s (%s:%d:%d): %w", m.Name, m.file, m.place.line, m.place.column, err)
	}
	m.tree, m.state = tree, done
	return tree, nil
}

// MacroNames lists the macros.
func (l *Loader) MacroNames() []string {
	var names []string
	for name := range l.macros {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// CheckMacros reads macros that no rule uses, too: a mistake in one is a
// mistake in the file.
func (l *Loader) CheckMacros() {
	for _, name := range l.MacroNames() {
		m := l.macros[name]
		if _, err := l.expand(m, 0); err != nil {
			l.Problems = append(l.Problems, Problem{File: m.file, Line: m.place.line, Column: m.place.column, Item: "macro " + name, Err: fmt.Errorf("condition: %w", err)})
		}
	}
}
