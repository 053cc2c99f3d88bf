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

	"sekisho"
	"sekisho/policy/rule"
	"sekisho/policy/source"
)

// Parse reads a policy file; name is for errors. It tells every mistake with
// line and column, what was expected and what to do.
func Parse(r io.Reader, name string) (*Policy, error) {
	data, err := io.ReadAll(io.LimitReader(r, source.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", name, err)
	}
	f := &reader{File: source.File{Name: name, Data: data}}
	p := f.policy()
	if len(f.Errors) > 0 {
		return nil, &sekisho.Error{Kind: sekisho.Invalid, Err: errors.Join(f.Errors...), Hint: "docs/policy.md describes every field"}
	}
	sum := sha256.Sum256(data)
	p.Version = "sha256:" + hex.EncodeToString(sum[:])
	return p, nil
}

// reader reads one policy file.
type reader struct {
	source.File
	compiler *rule.Compiler // made for the first rule
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (f *reader) policy() *Policy {
	root := f.Root()
	if root == nil {
		return nil
	}
	p := &Policy{Mode: sekisho.Deny}
	f.header(root, p)
	if len(f.Errors) > 0 {
		return nil
	}
	for _, item := range f.Items(root, "controls") {
		f.control(item, p)
	}
	rules := map[string]bool{}
	for _, item := range f.Items(root, "rules") {
		f.rule(item, p, rules)
	}
	if len(p.controls) == 0 && len(f.Errors) == 0 {
		f.At(root, "the policy has no controls and no rules, so it would let everything pass")
	}
	return p
}

// header reads all but controls and rules.
func (f *reader) header(root *ast.MappingNode, p *Policy) {
	var h struct {
		Policy   `yaml:",inline"`
		Controls []map[string]any `yaml:"controls"`
		Rules    []map[string]any `yaml:"rules"`
	}
	h.Policy = *p
	known := []string{"name", "description", "owner", "mode", "not_assessed", "scope", "controls", "rules"}
	for _, v := range root.Values {
		if key := v.Key.String(); !slices.Contains(known, key) {
			f.At(v.Key, "%w", source.Wrong("unknown field", key, known...))
			return
		}
	}
	if err := yaml.NodeToValue(root, &h, yaml.Strict()); err != nil {
		f.YAML(err, root, deep(reflect.TypeOf(h.Scope)))
		return
	}
	*p = h.Policy
	if !nameForm.MatchString(p.Name) {
		f.At(source.Value(root, "name"), "name: want letters, digits, dots, dashes, at most 100")
	}
	if err := oneOf("mode", p.Mode, sekisho.Audit, sekisho.Warn, sekisho.Deny); err != nil {
		f.At(source.Value(root, "mode"), "%w", err)
	}
	if err := oneOf("not_assessed", p.NotAssessed, "", sekisho.Deny, sekisho.Allow); err != nil {
		f.At(source.Value(root, "not_assessed"), "%w", err)
	}
	var err error
	if p.scope, err = p.Scope.Compile(); err != nil {
		f.At(source.Value(root, "scope"), "scope: %w", err)
	}
}

// control reads one control by its name.
func (f *reader) control(item *ast.MappingNode, p *Policy) {
	var name struct {
		Control string `yaml:"control"`
	}
	if err := yaml.NodeToValue(item, &name); err != nil {
		f.YAML(err, item, nil)
		return
	}
	i := slices.IndexFunc(kinds(), func(k kind) bool { return k.name == name.Control })
	if i < 0 {
		f.At(source.Value(item, "control"), "%w", source.Wrong("control", name.Control, Names()...))
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
		f.At(place3(item, err), "control %s: %w", name.Control, err)
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
	return source.Value(item, field)
}

// split reads the parameters of a control and what all controls have.
func (f *reader) split(item *ast.MappingNode, parameters any, known []string) (common Common, ok bool) {
	for _, v := range item.Values {
		if key := v.Key.String(); !slices.Contains(known, key) {
			f.At(v.Key, "%w", source.Wrong("unknown field", key, known...))
			return common, false
		}
	}
	for _, into := range []any{parameters, &common} {
		if err := yaml.NodeToValue(item, into); err != nil {
			f.YAML(err, item, known)
			return common, false
		}
	}
	return common, f.strict(item, parameters)
}

// strict decodes each parameter again with unknown fields refused, to find
// those inside nested values.
func (f *reader) strict(item *ast.MappingNode, parameters any) bool {
	for _, v := range item.Values {
		if slices.Contains(commonFields(), v.Key.String()) || v.Key.String() == "control" {
			continue
		}
		one := &ast.MappingNode{BaseNode: item.BaseNode, Start: item.Start, Values: []*ast.MappingValueNode{v}}
		if err := yaml.NodeToValue(one, parameters, yaml.Strict()); err != nil {
			f.YAML(err, item, deep(reflect.TypeOf(parameters)))
			return false
		}
	}
	return true
}

// Rule is a free rule in CEL.
type ruleFields struct {
	Name       string `yaml:"name"`
	Expression string `yaml:"expression"`
	Message    Text   `yaml:"message"`
	Fix        Text   `yaml:"fix"`
}

// rule reads one free rule; its expression is type-checked here.
func (f *reader) rule(item *ast.MappingNode, p *Policy, names map[string]bool) {
	var r ruleFields
	common, ok := f.split(item, &r, append([]string{"name", "expression", "message", "fix"}, commonFields()...))
	if !ok {
		return
	}
	switch {
	case !nameForm.MatchString(r.Name):
		f.At(source.Value(item, "name"), "name: want letters, digits, dots, dashes, at most 100")
	case names[r.Name] || slices.Contains(Names(), r.Name):
		f.At(source.Value(item, "name"), "name: %q is taken", r.Name)
	case strings.TrimSpace(r.Expression) == "":
		f.At(source.Value(item, "expression"), "expression: want a condition that must be true, as image.tag != 'latest'")
	}
	names[r.Name] = true
	program, err := f.compile(r.Expression)
	if err != nil {
		f.expression(source.Value(item, "expression"), err)
		return
	}
	ready, err := p.prepare(r.Name, &ruleControl{Expression: r.Expression, Message: r.Message, Fix: r.Fix, program: program}, common)
	if err != nil {
		f.At(place3(item, err), "rule %s: %w", r.Name, err)
		return
	}
	p.controls = append(p.controls, ready)
}

func (f *reader) compile(expression string) (*rule.Program, error) {
	if f.compiler == nil {
		var err error
		if f.compiler, err = rule.NewCompiler(); err != nil {
			return nil, err
		}
	}
	return f.compiler.Compile(expression)
}

// expression notes errors inside an expression at their places in the file.
func (f *reader) expression(n ast.Node, err error) {
	var list rule.Errors
	if !errors.As(err, &list) {
		f.At(n, "expression: %w", err)
		return
	}
	for _, e := range list {
		f.mistake(n, e)
	}
}

func (f *reader) mistake(n ast.Node, e *rule.Error) {
	line, column := n.GetToken().Position.Line, n.GetToken().Position.Column
	switch s := n.(type) {
	case *ast.LiteralNode:
		column = f.Indentation(line+1) + e.Column // the first line of a block says how far it is indented
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
	f.Errors = append(f.Errors, fmt.Errorf("%s:%d:%d: expression: %s", f.Name, line, column, e.Message))
}
