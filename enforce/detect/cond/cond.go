// Package cond reads conditions of the Falco language: text in, a tree of
// and, or, not and checks out, each with the offset where it stood. It knows
// no field and no macro; whoever asks resolves these. Conditions that are
// nested too deep, or are too long, are refused.
package cond

import "fmt"

// Bounds of a condition.
const (
	MaxLength = 1 << 20 // bytes, after lists are put in
	maxDepth  = 500     // of brackets and nots
)

// Op is what a node does.
type Op uint8

// The kinds of nodes.
const (
	Check Op = iota // Left Cmp Values
	Macro           // Name stands for another condition
	And
	Or
	Not
)

// Node is a part of a condition.
type Node struct {
	Op     Op
	Kids   []*Node
	Name   string // of a macro
	At     int    // offset in the text, from 0
	Left   Operand
	Cmp    string   // of a check: =, !=, in, startswith …
	Modify string   // oneof, anyof, allof, or nothing
	Values []string // literals
	Right  *Operand // instead of Values: val(field), or a transformer
}

// Operand is a field, perhaps with an argument, or a transformer of operands.
type Operand struct {
	Field  string
	Arg    string
	HasArg bool
	Call   string // transformer; then Args are set
	Args   []Operand
	Text   *string // a literal inside a transformer
	At     int
}

// String writes the operand as it is written in a rule.
func (o Operand) String() string {
	if o.Text != nil {
		return fmt.Sprintf("%q", *o.Text)
	}
	if o.Call != "" {
		s := o.Call + "("
		for i, a := range o.Args {
			if i > 0 {
				s += ", "
			}
			s += a.String()
		}
		return s + ")"
	}
	if o.HasArg {
		return o.Field + "[" + o.Arg + "]"
	}
	return o.Field
}

// Error is a mistake in a condition.
type Error struct {
	At   int // offset from 0
	Near string
	Err  error
}

// Error says what is wrong and near what.
func (e *Error) Error() string {
	return fmt.Sprintf("offset %d, near %q: %v", e.At, e.Near, e.Err)
}

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Walk calls see for each node, parents first.
func (n *Node) Walk(see func(*Node)) {
	see(n)
	for _, k := range n.Kids {
		k.Walk(see)
	}
}
