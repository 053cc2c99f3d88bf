package assurance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sekisho"
	"sekisho/policy/rule"
)

// Bounds of a policy file.
const (
	MaxSize     = 1 << 20 // bytes
	maxControls = 500
)

// file is a policy file as it is being read.
type file struct {
	name   string
	data   []byte
	errors []error
}

// at notes an error at a place of the file.
func (f *file) at(n ast.Node, format string, args ...any) {
	line, column := 1, 1
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			line, column = t.Position.Line, t.Position.Column
		}
	}
	f.errors = append(f.errors, fmt.Errorf("%s:%d:%d: %w", f.name, line, column, fmt.Errorf(format, args...)))
}

// Parse reads a policy file; name is for errors. It tells every mistake with
// line and column, what was expected and what to do.
func Parse(r io.Reader, name string) (*Policy, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", name, err)
	}
	f := &file{name: name, data: data}
	p := f.policy()
	if len(f.errors) > 0 {
		return nil, &sekisho.Error{Kind: sekisho.Invalid, Err: errors.Join(f.errors...), Hint: "docs/policy.md describes every field"}
	}
	sum := sha256.Sum256(data)
	p.Version = "sha256:" + hex.EncodeToString(sum[:])
	return p, nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (f *file) policy() *Policy {
	root := f.root()
	if root == nil {
		return nil
	}
	p := &Policy{Mode: sekisho.Deny}
	f.header(root, p)
	if len(f.errors) > 0 {
		return nil
	}
	for _, item := range f.items(root, "controls") {
		f.control(item, p)
	}
	rules := map[string]bool{}
	for _, item := range f.items(root, "rules") {
		f.rule(item, p, rules)
	}
	if len(p.controls) == 0 && len(f.errors) == 0 {
		f.at(root, "the policy has no controls and no rules, so it would let everything pass")
	}
	return p
}

// root reads the file as one mapping without anchors, which could make a small
// file large.
func (f *file) root() *ast.MappingNode {
	if len(f.data) > MaxSize {
		f.at(nil, "more than %d bytes", MaxSize)
		return nil
	}
	if !shallow(f.data) {
		f.at(nil, "nested more than %d deep", maxNesting)
		return nil
	}
	doc, err := parser.ParseBytes(f.data, 0)
	if err != nil {
		f.yaml(err, nil, nil)
		return nil
	}
	if len(doc.Docs) != 1 || doc.Docs[0].Body == nil {
		f.at(nil, "want one document, there are %d; write each policy in a file of its own", len(doc.Docs))
		return nil
	}
	for _, t := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} {
		if list := ast.Filter(t, doc.Docs[0].Body); len(list) > 0 {
			f.at(list[0], "anchors, aliases and merge keys are not allowed; write the values out")
			return nil
		}
	}
	m, ok := doc.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		f.at(doc.Docs[0].Body, "want a mapping that begins with name: NAME")
	}
	return m
}

// maxNesting bounds how deep brackets may stand in one another.
const maxNesting = 64

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

// header reads all but controls and rules.
func (f *file) header(root *ast.MappingNode, p *Policy) {
	var h struct {
		Policy   `yaml:",inline"`
		Controls []map[string]any `yaml:"controls"`
		Rules    []map[string]any `yaml:"rules"`
	}
	h.Policy = *p
	known := []string{"name", "description", "owner", "mode", "not_assessed", "scope", "controls", "rules"}
	for _, v := range root.Values {
		if key := v.Key.String(); !slices.Contains(known, key) {
			f.at(v.Key, "%w", wrong("unknown field", key, known...))
			return
		}
	}
	if err := yaml.NodeToValue(root, &h, yaml.Strict()); err != nil {
		f.yaml(err, root, deep(reflect.TypeOf(h.Scope)))
		return
	}
	*p = h.Policy
	if !nameForm.MatchString(p.Name) {
		f.at(value(root, "name"), "name: want letters, digits, dots, dashes, at most 100")
	}
	if err := oneOf("mode", p.Mode, sekisho.Audit, sekisho.Warn, sekisho.Deny); err != nil {
		f.at(value(root, "mode"), "%w", err)
	}
	if err := oneOf("not_assessed", p.NotAssessed, "", sekisho.Deny, sekisho.Allow); err != nil {
		f.at(value(root, "not_assessed"), "%w", err)
	}
	var err error
	if p.scope, err = p.Scope.Compile(); err != nil {
		f.at(value(root, "scope"), "scope: %w", err)
	}
}

// value finds the value of a key, or the mapping itself.
func value(m *ast.MappingNode, key string) ast.Node {
	for _, v := range m.Values {
		if v.Key.String() == key {
			return v.Value
		}
	}
	return m
}

// items are the mappings of a list.
func (f *file) items(root *ast.MappingNode, key string) (out []*ast.MappingNode) {
	list, ok := value(root, key).(*ast.SequenceNode)
	if !ok {
		return nil
	}
	if len(list.Values) > maxControls {
		f.at(list, "%s: %d entries, want at most %d", key, len(list.Values), maxControls)
		return nil
	}
	for _, n := range list.Values {
		if m, ok := n.(*ast.MappingNode); ok {
			out = append(out, m)
		} else {
			f.at(n, "%s: want a mapping, as - control: severity", key)
		}
	}
	return out
}

// control reads one control by its name.
func (f *file) control(item *ast.MappingNode, p *Policy) {
	var name struct {
		Control string `yaml:"control"`
	}
	if err := yaml.NodeToValue(item, &name); err != nil {
		f.yaml(err, item, nil)
		return
	}
	i := slices.IndexFunc(kinds(), func(k kind) bool { return k.name == name.Control })
	if i < 0 {
		f.at(value(item, "control"), "%w", wrong("control", name.Control, Names()...))
		return
	}
	c := kinds()[i].make()
	known := append(append([]string{"control"}, Parameters(name.Control)...), commonFields()...)
	common, ok := f.split(item, c, known)
	if !ok {
		return
	}
	ready, err := p.prepare(name.Control, c, common)
	if err != nil {
		f.at(place3(item, err), "control %s: %w", name.Control, err)
		return
	}
	p.controls = append(p.controls, ready)
}

func commonFields() []string {
	return []string{"effect", "owner", "not_assessed", "at", "why", "satisfies"}
}

// place3 finds the field that an error begins with.
func place3(item *ast.MappingNode, err error) ast.Node {
	field, _, _ := strings.Cut(err.Error(), ":")
	return value(item, field)
}

// split reads the parameters of a control and what all controls have.
func (f *file) split(item *ast.MappingNode, parameters any, known []string) (common Common, ok bool) {
	for _, v := range item.Values {
		if key := v.Key.String(); !slices.Contains(known, key) {
			f.at(v.Key, "%w", wrong("unknown field", key, known...))
			return common, false
		}
	}
	for _, into := range []any{parameters, &common} {
		if err := yaml.NodeToValue(item, into); err != nil {
			f.yaml(err, item, known)
			return common, false
		}
	}
	return common, f.strict(item, parameters)
}

// strict decodes each parameter again with unknown fields refused, to find
// those inside nested values.
func (f *file) strict(item *ast.MappingNode, parameters any) bool {
	for _, v := range item.Values {
		if slices.Contains(commonFields(), v.Key.String()) || v.Key.String() == "control" {
			continue
		}
		one := &ast.MappingNode{BaseNode: item.BaseNode, Start: item.Start, Values: []*ast.MappingValueNode{v}}
		if err := yaml.NodeToValue(one, parameters, yaml.Strict()); err != nil {
			f.yaml(err, item, deep(reflect.TypeOf(parameters)))
			return false
		}
	}
	return true
}

// yaml notes an error of the YAML library with its place.
func (f *file) yaml(err error, n ast.Node, known []string) {
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		if key := quoted.FindStringSubmatch(unknown.Message); key != nil {
			f.errors = append(f.errors, fmt.Errorf("%s:%d:%d: %w", f.name, unknown.Token.Position.Line, unknown.Token.Position.Column, wrong("unknown field", key[1], known...)))
			return
		}
	}
	var placed yaml.Error
	if errors.As(err, &placed) && placed.GetToken() != nil {
		at := placed.GetToken().Position
		f.errors = append(f.errors, fmt.Errorf("%s:%d:%d: %s", f.name, at.Line, at.Column, plain(placed.GetMessage())))
		return
	}
	f.at(n, "%s", plain(yaml.FormatError(err, false, false)))
}

var (
	quoted = regexp.MustCompile(`"([^"]*)"`)
	goType = regexp.MustCompile(`cannot unmarshal (\S+(?: \{\})?) into Go (?:struct field \S*?(\w+)|value) of type (\S+)`)
)

// plain turns the library's words about types of Go into plain ones.
func plain(text string) string {
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

// Rule is a free rule in CEL.
type ruleFields struct {
	Name       string `yaml:"name"`
	Expression string `yaml:"expression"`
	Message    Text   `yaml:"message"`
	Fix        Text   `yaml:"fix"`
}

// rule reads one free rule; its expression is type-checked here.
func (f *file) rule(item *ast.MappingNode, p *Policy, names map[string]bool) {
	var r ruleFields
	common, ok := f.split(item, &r, append([]string{"name", "expression", "message", "fix"}, commonFields()...))
	if !ok {
		return
	}
	switch {
	case !nameForm.MatchString(r.Name):
		f.at(value(item, "name"), "name: want letters, digits, dots, dashes, at most 100")
	case names[r.Name] || slices.Contains(Names(), r.Name):
		f.at(value(item, "name"), "name: %q is taken", r.Name)
	case strings.TrimSpace(r.Expression) == "":
		f.at(value(item, "expression"), "expression: want a condition that must be true, as image.tag != 'latest'")
	}
	names[r.Name] = true
	program, err := rule.Compile(r.Expression)
	if err != nil {
		f.expression(value(item, "expression"), err)
		return
	}
	ready, err := p.prepare(r.Name, &ruleControl{Expression: r.Expression, Message: r.Message, Fix: r.Fix, program: program}, common)
	if err != nil {
		f.at(place3(item, err), "rule %s: %w", r.Name, err)
		return
	}
	p.controls = append(p.controls, ready)
}

// expression notes an error inside an expression at its place in the file.
func (f *file) expression(n ast.Node, err error) {
	var e *rule.Error
	if !errors.As(err, &e) {
		f.at(n, "expression: %w", err)
		return
	}
	line, column := n.GetToken().Position.Line, n.GetToken().Position.Column
	switch s := n.(type) {
	case *ast.LiteralNode:
		column = indentation(f.data, line+1) + e.Column // the first line of a block says how far it is indented
		line += e.Line
		if strings.HasPrefix(s.Start.Value, ">") { // its lines are joined
			line, column = n.GetToken().Position.Line, n.GetToken().Position.Column
		}
	default:
		column += e.Column - 1
		if t := n.GetToken().Origin; strings.HasPrefix(strings.TrimSpace(t), `"`) || strings.HasPrefix(strings.TrimSpace(t), "'") {
			column++
		}
	}
	f.errors = append(f.errors, fmt.Errorf("%s:%d:%d: expression: %s", f.name, line, column, e.Message))
}

// indentation counts the blanks before a line, which counts from 1.
func indentation(data []byte, line int) int {
	lines := strings.Split(string(data), "\n")
	if line < 1 || line > len(lines) {
		return 0
	}
	return len(lines[line-1]) - len(strings.TrimLeft(lines[line-1], " "))
}
