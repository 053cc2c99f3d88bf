package rulefile

import (
	"slices"
	"strings"
)

// exception is what a rule does not fire for.
type exception struct {
	name   string
	fields []string
	comps  []string
	scalar bool       // one field, compared with all values at once
	values [][]string // rows; a scalar's are of one text
}

// exceptions reads the exceptions of a rule, or further values of those that
// it has.
func (l *Loader) exceptions(n *node, item string, r *Rule, more bool) {
	if !n.isList {
		l.problem(n, item, false, "exceptions: want a list")
		return
	}
	for i := range n.list {
		e := &n.list[i]
		l.known(e, item, "name", "fields", "comps", "values")
		name := e.get("name")
		if name == nil || name.text == "" {
			l.problem(e, item, false, "exceptions: want a name")
			continue
		}
		at := slices.IndexFunc(r.exceptions, func(x exception) bool { return x.name == name.text })
		if more && at >= 0 {
			if e.get("fields") != nil || e.get("comps") != nil {
				l.problem(e, item, false, "exception %s: only values can be appended", name.text)
				continue
			}
			l.values(e, item, &r.exceptions[at])
			continue
		}
		if at >= 0 {
			l.problem(name, item, false, "exception %s is there twice", name.text)
			continue
		}
		if x, ok := l.exception(e, item, name.text); ok {
			r.exceptions = append(r.exceptions, x)
		}
	}
}

func (l *Loader) exception(e *node, item, name string) (x exception, ok bool) {
	x.name = name
	fields, comps := e.get("fields"), e.get("comps")
	switch {
	case fields == nil:
		l.problem(e, item, false, "exception %s: want fields", name)
		return x, false
	case fields.scalar:
		x.scalar, x.fields, x.comps = true, []string{fields.text}, []string{"in"}
		if comps != nil {
			x.comps = []string{comps.text}
		}
		if comps != nil && !setComparison(comps.text) {
			l.problem(comps, item, false, "exception %s: one field is compared by in, pmatch or intersects, not %q", name, comps.text)
			return x, false
		}
	default:
		var good bool
		if x.fields, good = fields.texts(); !good {
			l.problem(fields, item, false, "exception %s: fields: want texts", name)
			return x, false
		}
		x.comps = slices.Repeat([]string{"="}, len(x.fields))
		if comps != nil {
			x.comps, good = comps.texts()
		}
		if !good || len(x.comps) != len(x.fields) {
			l.problem(e, item, false, "exception %s: %d fields and %d comparisons", name, len(x.fields), len(x.comps))
			return x, false
		}
	}
	l.values(e, item, &x)
	return x, true
}

func setComparison(s string) bool {
	words := strings.Fields(s)
	return len(words) == 1 && slices.Contains([]string{"in", "pmatch", "intersects"}, s) || len(words) == 2 && slices.Contains([]string{"oneof", "anyof", "allof"}, words[1])
}

func (l *Loader) values(e *node, item string, x *exception) {
	v := e.get("values")
	if v == nil {
		return
	}
	if !v.isList {
		l.problem(v, item, false, "exception %s: values: want a list", x.name)
		return
	}
	for i := range v.list {
		row := &v.list[i]
		if x.scalar {
			if !row.scalar {
				l.problem(row, item, false, "exception %s: want a text", x.name)
				continue
			}
			x.values = append(x.values, []string{quote(row.text)})
			continue
		}
		if !row.isList || len(row.list) != len(x.fields) {
			l.problem(row, item, false, "exception %s: want %d values in a row", x.name, len(x.fields))
			continue
		}
		x.values = append(x.values, row.row())
	}
}

// row are the values of a row; a list among them stands in brackets.
func (n *node) row() (out []string) {
	for i := range n.list {
		cell := &n.list[i]
		if !cell.isList {
			out = append(out, quote(cell.text))
			continue
		}
		texts, _ := cell.texts()
		for j := range texts {
			texts[j] = quote(texts[j])
		}
		out = append(out, "("+strings.Join(texts, ", ")+")")
	}
	return out
}

// quote puts quotes around what has blanks, as they are put around items of
// lists.
func quote(s string) string {
	if s == "" {
		return `""`
	}
	if strings.ContainsAny(s, " \t\n\r") && s[0] != '"' && s[0] != '\'' {
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return s
}

// except adds the exceptions to a condition.
func except(text string, list []exception) string {
	var b strings.Builder
	for _, x := range list {
		if len(x.values) == 0 {
			continue
		}
		b.WriteString(" and not (")
		for i, row := range x.values {
			if x.scalar {
				b.WriteString(scalarRow(x, i, row[0]))
				continue
			}
			if i > 0 {
				b.WriteString(" or ")
			}
			for j, v := range row {
				b.WriteString([]string{" and ", "("}[bool2int(j == 0)] + x.fields[j] + " " + x.comps[j] + " " + v)
			}
			b.WriteString(")")
		}
		b.WriteString(")")
	}
	if b.Len() == 0 {
		return text
	}
	return "(" + text + ")" + b.String()
}

func scalarRow(x exception, i int, v string) string {
	s := ", " + v
	if i == 0 {
		s = x.fields[0] + " " + x.comps[0] + " (" + v
	}
	if i == len(x.values)-1 {
		s += ")"
	}
	return s
}

func bool2int(b bool) int {
	if b {
		return 1
	}
	return 0
}
