// Package source reads policy files as YAML whose every mistake has a place.
// One document, one mapping, no anchors, nothing deep: what could be meant in
// two ways, or makes a small file large, is refused.
package source

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sekisho/internal/nearest"
)

// Bounds of a policy file.
const (
	MaxSize    = 1 << 20 // bytes
	maxItems   = 500     // of a list
	maxNesting = 64      // of brackets
)

// File is a policy file as it is being read, with the mistakes found so far.
type File struct {
	Name   string
	Data   []byte
	Errors []error
}

// At notes an error at a place of the file.
func (f *File) At(n ast.Node, format string, args ...any) {
	line, column := 1, 1
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			line, column = t.Position.Line, t.Position.Column
		}
	}
	f.Errors = append(f.Errors, fmt.Errorf("%s:%d:%d: %w", f.Name, line, column, fmt.Errorf(format, args...)))
}

// Root reads the file as one mapping without anchors, which could make a small
// file large.
func (f *File) Root() *ast.MappingNode {
	if len(f.Data) > MaxSize {
		f.At(nil, "more than %d bytes", MaxSize)
		return nil
	}
	if !shallow(f.Data) {
		f.At(nil, "nested more than %d deep", maxNesting)
		return nil
	}
	doc, err := parser.ParseBytes(f.Data, 0)
	if err != nil {
		f.YAML(err, nil, nil)
		return nil
	}
	if len(doc.Docs) != 1 || doc.Docs[0].Body == nil {
		f.At(nil, "want one document, there are %d; write each policy in a file of its own", len(doc.Docs))
		return nil
	}
	if n := anchor(doc.Docs[0].Body); n != nil {
		f.At(n, "anchors, aliases and merge keys are not allowed; write the values out")
		return nil
	}
	m, ok := doc.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		f.At(doc.Docs[0].Body, "want a mapping that begins with name: NAME")
	}
	return m
}

// shallow bounds flow brackets and indentation before a parser sees them.
func shallow(data []byte) bool {
	depth, deepest := 0, 0
	for _, c := range data {
		switch c {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return deepest <= maxNesting
}

// Value finds the value of a key, or the mapping itself.
func Value(m *ast.MappingNode, key string) ast.Node {
	for _, v := range m.Values {
		if v.Key.String() == key {
			return v.Value
		}
	}
	return m
}

// Items are the mappings of a list.
func (f *File) Items(root *ast.MappingNode, key string) (out []*ast.MappingNode) {
	list, ok := Value(root, key).(*ast.SequenceNode)
	if !ok {
		return nil
	}
	if len(list.Values) > maxItems {
		f.At(list, "%s: %d entries, want at most %d", key, len(list.Values), maxItems)
		return nil
	}
	for _, n := range list.Values {
		if m, ok := n.(*ast.MappingNode); ok {
			out = append(out, m)
		} else {
			f.At(n, "%s: want a mapping, as - control: severity", key)
		}
	}
	return out
}

// YAML notes an error of the YAML library with its place.
func (f *File) YAML(err error, n ast.Node, known []string) {
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		if key := quoted.FindStringSubmatch(unknown.Message); key != nil {
			f.Errors = append(f.Errors, fmt.Errorf("%s:%d:%d: %w", f.Name, unknown.Token.Position.Line, unknown.Token.Position.Column, Wrong("unknown field", key[1], known...)))
			return
		}
	}
	var placed yaml.Error
	if errors.As(err, &placed) && placed.GetToken() != nil {
		at := placed.GetToken().Position
		f.Errors = append(f.Errors, fmt.Errorf("%s:%d:%d: %s", f.Name, at.Line, at.Column, plain(placed.GetMessage())))
		return
	}
	f.At(n, "%s", plain(yaml.FormatError(err, false, false)))
}

var (
	quoted   = regexp.MustCompile(`"([^"]*)"`)
	yamlType = regexp.MustCompile(`(\w+) was used where (\w+) is expected`)
	goType   = regexp.MustCompile(`cannot unmarshal (\S+(?: \{\})?) into Go (?:struct field \S*?(\w+)|value) of type (\S+)`)
)

// plain turns the library's words about types of Go into plain ones.
func plain(text string) string {
	if m := yamlType.FindStringSubmatch(text); m != nil {
		words := map[string]string{"string": "a text", "mapping": "a mapping", "sequence": "a list", "int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"}
		return fmt.Sprintf("have %s, want %s", cmp.Or(words[m[1]], m[1]), cmp.Or(words[m[2]], m[2]))
	}
	m := goType.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	words := map[string]string{"string": "a text", "int": "a whole number", "uint64": "a number", "int64": "a number", "float64": "a number", "bool": "true or false",
		"[]interface {}": "a list", "map[string]interface {}": "a mapping", "[]string": "a list of texts"}
	word := func(t string) string {
		if w := words[strings.TrimPrefix(t, "*")]; w != "" {
			return w
		}
		if strings.HasPrefix(t, "[]") {
			return "a list"
		}
		return "a mapping"
	}
	return fmt.Sprintf("have %s, want %s", word(m[1]), word(m[3]))
}

// Indentation counts the blanks before a line, which counts from 1.
func (f *File) Indentation(line int) int {
	lines := strings.Split(string(f.Data), "\n")
	if line < 1 || line > len(lines) {
		return 0
	}
	return len(lines[line-1]) - len(strings.TrimLeft(lines[line-1], " "))
}

// Wrong says that a word is none of those that have a meaning.
func Wrong(field, have string, want ...string) error {
	want = slices.DeleteFunc(slices.Clone(want), func(s string) bool { return s == "" })
	if have == "" {
		return fmt.Errorf("%s: it is missing, want one of %s", field, strings.Join(want, ", "))
	}
	text := fmt.Sprintf("%s: %q is none of %s", field, have, strings.Join(want, ", "))
	if near := nearest.Word(have, want); near != "" {
		text += fmt.Sprintf("; is %q meant?", near)
	}
	return fmt.Errorf("%s", text)
}

// Plain refuses YAML that is nested deeply, or that anchors and aliases could
// make large. What is no YAML at all is left to who decodes it.
func Plain(data []byte) error {
	if !shallow(data) {
		return fmt.Errorf("nested more than %d deep", maxNesting)
	}
	doc, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil
	}
	for _, d := range doc.Docs {
		if d.Body == nil {
			continue
		}
		if n := anchor(d.Body); n != nil {
			at := n.GetToken().Position
			return fmt.Errorf("[%d:%d] anchors, aliases and merge keys are not allowed; write the values out", at.Line, at.Column)
		}
	}
	return nil
}

// anchor finds an anchor, alias or merge key.
func anchor(body ast.Node) ast.Node {
	for _, t := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} {
		if list := ast.Filter(t, body); len(list) > 0 {
			return list[0]
		}
	}
	return nil
}
