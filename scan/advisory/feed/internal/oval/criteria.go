package oval

import (
	"strings"

	"sekisho"
)

// Alternatives returns the ways in which a definition's criteria hold: in each
// of them all of its tests do. Negation is kept at the tests. Tests that are
// not in the document have no package.
func (f *File) Alternatives(d *Definition) ([][]Test, error) {
	return f.expand(d.Criteria, false, 0)
}

func (f *File) expand(c Criteria, negate bool, depth int) ([][]Test, error) {
	if depth > maxDepth {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s", "criteria are nested too deep")
	}
	negate = negate != (c.Negate == "true")
	var parts [][][]Test
	for _, one := range c.Criterions {
		parts = append(parts, [][]Test{{f.test(one, negate)}})
	}
	for _, sub := range c.Criteria {
		ways, err := f.expand(sub, negate, depth+1)
		if err != nil {
			return nil, err
		}
		if len(ways) > 0 {
			parts = append(parts, ways)
		}
	}
	or := strings.EqualFold(c.Operator, "OR")
	if or != negate { // De Morgan
		var out [][]Test
		for _, p := range parts {
			out = append(out, p...)
		}
		return out, enough(len(out))
	}
	return product(parts)
}

// product joins each way of each part with each of the others.
func product(parts [][][]Test) ([][]Test, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	out := [][]Test{nil}
	for _, ways := range parts {
		if err := enough(len(out) * len(ways)); err != nil {
			return nil, err
		}
		next := make([][]Test, 0, len(out)*len(ways))
		for _, a := range out {
			for _, b := range ways {
				joined := make([]Test, 0, len(a)+len(b))
				next = append(next, append(append(joined, a...), b...))
			}
		}
		out = next
	}
	return out, nil
}

func enough(n int) error {
	if n > maxAlternatives {
		return sekisho.Errorf(sekisho.Invalid, "criteria with more than %d alternatives", maxAlternatives)
	}
	return nil
}

// test resolves a criterion. Where its test is missing or broken, the comment
// tells.
func (f *File) test(c Criterion, negate bool) Test {
	t := f.tests[number(c.Test)]
	out := Test{Package: f.objects[t.object], Fields: f.states[t.state], Comment: c.Comment, Negate: negate != (c.Negate == "true")}
	if out.Package != "" && sound(out.Fields) {
		return out
	}
	for _, comment := range []string{t.comment, c.Comment} {
		if name, fields := said(comment); name != "" {
			out.Package, out.Fields = name, fields
			return out
		}
	}
	out.Package = ""
	return out
}
