// Package program turns rules into a form that is evaluated once per event:
// for each type of event, a graph of checks in which equal parts are one node,
// everything that the type alone decides is folded away, and a few look-ups
// leave only the rules that can still hold. It does not judge what a match
// means. Evaluating allocates nothing.
package program

import (
	"errors"
	"fmt"
	"slices"

	"sekisho"
	"sekisho/enforce/detect/cond"
	"sekisho/enforce/detect/field"
)

// Rule is a condition and the name to complain by.
type Rule struct {
	Name      string
	Condition *cond.Node
	Skip      bool // leave it out when it has an unknown field
}

// Program is the compiled form of all rules. It does not change and serves any
// number of matchers.
type Program struct {
	types    *field.Types
	slots    []slot
	gets     []getter // of slots that are a field of one value
	leaves   []leaf
	groups   []*group
	rules    int
	byType   []*graph // by index of the type; nil when no rule can hold
	maxNodes int
}

// getter is what evaluating needs of a slot, close together in memory.
type getter struct {
	get func(*field.Context, field.Arg, *field.Value) bool
	arg field.Arg
}

// Note is something that the author of a rule should know.
type Note struct {
	Rule  int
	Err   error
	Fatal bool
}

// Compile types and compiles rules. A rule with a fatal note never holds.
func Compile(rules []Rule, table field.Table, types *field.Types) (*Program, []Note) {
	b, trees, notes := typeAll(rules, table)
	p := &Program{types: types, slots: b.slots, leaves: b.leaves, groups: b.groups, rules: len(rules)}
	for _, g := range p.groups {
		g.build()
	}
	p.gets = make([]getter, len(p.slots))
	for i, s := range p.slots {
		if s.call == "" && !s.many {
			p.gets[i] = getter{s.field.Get, s.arg}
		}
	}
	for i, e := range types.List() {
		p.byType = append(p.byType, p.compile(trees, e))
		if g := p.byType[i]; g != nil {
			p.maxNodes = max(p.maxNodes, len(g.nodes))
		}
	}
	return p, notes
}

func typeAll(rules []Rule, table field.Table) (*builder, []*typed, []Note) {
	var notes []Note
	b := newBuilder(table)
	trees := make([]*typed, len(rules))
	memo := map[*cond.Node]*typed{}
	for i, r := range rules {
		b.warn = func(form string, args ...any) { notes = append(notes, Note{Rule: i, Err: fmt.Errorf(form, args...)}) }
		t, err := b.typed(r.Condition, memo)
		var unknown *UnknownField
		switch {
		case err != nil && r.Skip && errors.As(err, &unknown):
			notes = append(notes, Note{Rule: i, Err: fmt.Errorf("skipped: %w", err)})
		case err != nil:
			notes = append(notes, Note{Rule: i, Err: err, Fatal: true})
		default:
			trees[i] = t
		}
	}
	return b, trees, notes
}

// Needs returns, for each rule, the types of events that it can hold for.
func (p *Program) Needs() [][]field.EventType {
	out := make([][]field.EventType, p.rules)
	for i, g := range p.byType {
		if g == nil {
			continue
		}
		for _, r := range g.rules {
			out[r.index] = append(out[r.index], p.types.List()[i])
		}
	}
	return out
}

// Weight estimates, for each rule, what evaluating it costs: the number of
// checks of the type of event that needs most.
func (p *Program) Weight() []int {
	out := make([]int, p.rules)
	for _, g := range p.byType {
		if g == nil {
			continue
		}
		for _, r := range g.rules {
			out[r.index] = max(out[r.index], g.weigh(r.root))
		}
	}
	return out
}

// typed is a condition whose checks are leaves.
type typed struct {
	op   cond.Op
	kids []*typed
	leaf int
}

func (b *builder) typed(n *cond.Node, memo map[*cond.Node]*typed) (*typed, error) {
	if t, ok := memo[n]; ok {
		return t, nil
	}
	t := &typed{op: n.Op}
	var err error
	if n.Op == cond.Check {
		if t.leaf, err = b.leaf(n); err != nil {
			return nil, err
		}
	}
	for _, k := range n.Kids {
		kid, err := b.typed(k, memo)
		if err != nil {
			return nil, err
		}
		t.kids = append(t.kids, kid)
	}
	memo[n] = t
	return t, nil
}

// Fields lists the fields that conditions use.
func (p *Program) Fields() []string {
	var out []string
	for _, s := range p.slots {
		if s.field != nil {
			out = append(out, s.field.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Type returns evt.type of an event.
func (p *Program) Type(e *sekisho.Event) string {
	if i := p.types.Of(e); i >= 0 {
		return p.types.List()[i].Name
	}
	return e.Syscall
}

// Check types rules without compiling them.
func Check(rules []Rule, table field.Table) []Note {
	_, _, notes := typeAll(rules, table)
	return notes
}
