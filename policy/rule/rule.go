// Package rule runs free rules in CEL, the Common Expression Language, over
// the facts of a decision. An expression is type-checked when it is read; it
// cannot loop without end, reach out, or cost more than a limit.
package rule

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Bounds of an expression.
const (
	maxExpression = 10_000    // characters
	maxDepth      = 100       // of nesting
	costLimit     = 2_000_000 // of one evaluation, in CEL's units: about one step each
)

// Error is a mistake in an expression.
type Error struct {
	Line    int // from 1
	Column  int // from 1
	Message string
}

// Error writes the place and the mistake.
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message) }

// Errors are all mistakes in an expression, at least one.
type Errors []*Error

// Error writes them on a line.
func (l Errors) Error() string {
	var all []string
	for _, e := range l {
		all = append(all, e.Error())
	}
	return strings.Join(all, "; ")
}

// maxErrors is how many mistakes of one expression are told.
const maxErrors = 10

// Unknown says on which facts the answer depends that are not known; it is
// ErrUnknown.
type Unknown struct{ Facts []string }

// Error names them.
func (u *Unknown) Error() string { return ErrUnknown.Error() + ": " + strings.Join(u.Facts, ", ") }

// Is makes it ErrUnknown.
func (u *Unknown) Is(err error) bool { return err == ErrUnknown }

// missing names what an answer depends on.
func missing(u *types.Unknown) *Unknown {
	out := &Unknown{}
	for _, id := range u.IDs() {
		trails, _ := u.GetAttributeTrails(id)
		for _, t := range trails {
			out.Facts = append(out.Facts, strings.TrimPrefix(t.String(), "."))
		}
	}
	slices.Sort(out.Facts)
	out.Facts = slices.Compact(out.Facts)
	return out
}

// Program is an expression made ready. It may be shared.
type Program struct {
	program cel.Program
	uses    []string
}

// environment declares the facts by their types.
func environment() (*cel.Env, error) {
	options := []cel.EnvOption{
		ext.NativeTypes(ext.ParseStructTags(true), reflect.TypeFor[Facts]()),
		cel.ParserExpressionSizeLimit(maxExpression), cel.ParserRecursionLimit(maxDepth), cel.EagerlyValidateDeclarations(true),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
	}
	facts := reflect.TypeFor[Facts]()
	for i := range facts.NumField() {
		f := facts.Field(i)
		options = append(options, cel.Variable(f.Tag.Get("cel"), celType(f.Type)))
	}
	return cel.NewEnv(options...)
}

// Compiler knows the facts and compiles expressions over them.
type Compiler struct{ env *cel.Env }

// NewCompiler declares the facts.
func NewCompiler() (*Compiler, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("declare facts: %w", err)
	}
	return &Compiler{env}, nil
}

// Compile compiles one expression.
func Compile(expression string) (*Program, error) {
	c, err := NewCompiler()
	if err != nil {
		return nil, err
	}
	return c.Compile(expression)
}

// Compile parses and type-checks an expression, which must be a condition.
func (c *Compiler) Compile(expression string) (*Program, error) {
	env := c.env
	ast, issues := env.Compile(expression)
	if issues != nil && issues.Err() != nil {
		list := issues.Errors()
		if len(list) == 0 {
			return nil, issues.Err()
		}
		var all Errors
		for _, i := range list[:min(len(list), maxErrors)] {
			all = append(all, &Error{Line: max(i.Location.Line(), 1), Column: i.Location.Column() + 1, Message: i.Message})
		}
		return nil, all
	}
	if ast.OutputType() != cel.BoolType {
		return nil, Errors{{Line: 1, Column: 1, Message: fmt.Sprintf("the expression gives %s, want a condition that is true or false", ast.OutputType())}}
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize|cel.OptPartialEval), cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("compile expression: %w", err)
	}
	p := &Program{program: program}
	for _, ref := range ast.NativeRep().ReferenceMap() {
		if ref.Name != "" {
			p.uses = append(p.uses, ref.Name)
		}
	}
	celast.PreOrderVisit(ast.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() == celast.SelectKind {
			p.uses = append(p.uses, "."+e.AsSelect().FieldName())
		}
	}))
	slices.Sort(p.uses)
	p.uses = slices.Compact(p.uses)
	return p, nil
}

// Uses reports whether the expression names one of the facts, or a field as
// ".kev".
func (p *Program) Uses(name string) bool { return slices.Contains(p.uses, name) }

// Results of a rule that is not a plain true or false.
var (
	// ErrUnknown says that the answer depends on a fact that is not known.
	ErrUnknown = errors.New("a fact is not known")
)

// Evaluate runs the rule. Facts that are not known make the answer ErrUnknown
// where it depends on them.
func (p *Program) Evaluate(f *Facts, unknown []Path) (bool, error) {
	patterns := make([]*cel.AttributePatternType, 0, len(unknown))
	for _, u := range unknown {
		a := cel.AttributePattern(u.Variable)
		if u.Field != "" {
			a = a.QualString(u.Field)
		}
		patterns = append(patterns, a)
	}
	vars, err := cel.PartialVars(f.variables(p), patterns...)
	if err != nil {
		return false, fmt.Errorf("hand over facts: %w", err)
	}
	out, _, err := p.program.Eval(vars)
	switch {
	case err != nil:
		return false, err
	case types.IsUnknown(out):
		if u, ok := out.(*types.Unknown); ok {
			return false, missing(u)
		}
		return false, ErrUnknown
	}
	b, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the expression gave %v", out.Type())
	}
	return b, nil
}
