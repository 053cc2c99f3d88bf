package rulefile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Bounds of a file.
const (
	MaxSize    = 4 << 20 // bytes
	maxNodes   = 400_000
	maxNesting = 64
)

// node is a YAML value with its place. Scalars of any type are texts.
type node struct {
	line, column int
	text         string
	scalar       bool
	list         []node
	isList       bool
	pairs        []pair
	isMap        bool
}

type pair struct {
	key  node
	with node
}

func (n *node) get(key string) *node {
	for i := range n.pairs {
		if n.pairs[i].key.text == key {
			return &n.pairs[i].with
		}
	}
	return nil
}

// texts are the scalars of a list.
func (n *node) texts() (out []string, ok bool) {
	if !n.isList {
		return nil, false
	}
	for i := range n.list {
		if !n.list[i].scalar {
			return nil, false
		}
		out = append(out, n.list[i].text)
	}
	return out, true
}

// yes reads true or false.
func (n *node) yes() (value, ok bool) {
	switch strings.ToLower(n.text) {
	case "true", "yes", "on":
		return true, n.scalar
	case "false", "no", "off":
		return false, n.scalar
	}
	return false, false
}

// reader turns the library's tree into nodes, within bounds.
type reader struct {
	anchors map[string]ast.Node
	count   int
}

// placed is an error with its place in the file.
type placed struct {
	line, column int
	err          error
}

func (p *placed) Error() string { return fmt.Sprintf("%d:%d: %v", p.line, p.column, p.err) }
func (p *placed) Unwrap() error { return p.err }

// read parses a file and returns its items.
func read(data []byte) ([]node, error) {
	if len(data) > MaxSize {
		return nil, &placed{1, 1, fmt.Errorf("more than %d bytes", MaxSize)}
	}
	if line := deep(data); line > 0 {
		return nil, &placed{line, 1, fmt.Errorf("nested more than %d deep", maxNesting)}
	}
	doc, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, place(err)
	}
	r := reader{anchors: map[string]ast.Node{}}
	var items []node
	for _, d := range doc.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType || d.Body.Type() == ast.NullType {
			continue
		}
		n, err := r.node(d.Body, 0)
		if err != nil {
			return nil, err
		}
		if !n.isList {
			return nil, &placed{n.line, n.column, errors.New("want a list of items, as - rule: NAME")}
		}
		items = append(items, n.list...)
	}
	return items, nil
}

func place(err error) error {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil && y.GetToken().Position != nil {
		at := y.GetToken().Position
		return &placed{at.Line, at.Column, errors.New(y.GetMessage())}
	}
	return &placed{1, 1, err}
}

// deep looks for brackets or dashes that nest too deep, before a recursive
// parser sees them; it returns the line, or 0.
func deep(data []byte) int {
	depth, line := 0, 0
	for row := range bytes.Lines(data) {
		line++
		dashes, indent := 0, 0
		for _, c := range row {
			if c != ' ' && c != '\t' && c != '-' && c != '?' && c != ':' {
				break
			}
			indent++
			if c == '-' || c == '?' || c == ':' {
				dashes++
			}
		}
		if dashes > maxNesting || indent > 1000 {
			return line
		}
		for _, c := range row {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			case '#':
				// A comment's brackets must not add up over a file.
			}
			if depth > maxNesting*16 {
				return line
			}
		}
	}
	return 0
}

func (r *reader) node(n ast.Node, depth int) (node, error) {
	var out node
	if n != nil && n.GetToken() != nil && n.GetToken().Position != nil {
		out.line, out.column = n.GetToken().Position.Line, n.GetToken().Position.Column
	}
	if r.count++; r.count > maxNodes || depth > maxNesting {
		return out, &placed{out.line, out.column, errors.New("too much or too deep")}
	}
	switch v := n.(type) {
	case *ast.SequenceNode:
		out.isList = true
		return out, r.sequence(&out, v, depth)
	case *ast.MappingNode:
		out.isMap = true
		return out, r.mapping(&out, v.Values, depth)
	case *ast.MappingValueNode:
		out.isMap = true
		return out, r.mapping(&out, []*ast.MappingValueNode{v}, depth)
	case *ast.AnchorNode:
		r.anchors[v.Name.String()] = v.Value
		return r.node(v.Value, depth)
	case *ast.AliasNode:
		target, ok := r.anchors[v.Value.String()]
		if !ok {
			return out, &placed{out.line, out.column, fmt.Errorf("no anchor %s above", v.Value)}
		}
		return r.node(target, depth+1)
	case *ast.TagNode:
		return r.node(v.Value, depth+1)
	}
	out.scalar, out.text = true, scalar(n)
	return out, nil
}

func (r *reader) sequence(out *node, v *ast.SequenceNode, depth int) error {
	for _, item := range v.Values {
		k, err := r.node(item, depth+1)
		if err != nil {
			return err
		}
		out.list = append(out.list, k)
	}
	return nil
}

func (r *reader) mapping(out *node, values []*ast.MappingValueNode, depth int) error {
	for _, p := range values {
		key, err := r.node(p.Key, depth+1)
		if err != nil {
			return err
		}
		value, err := r.node(p.Value, depth+1)
		if err != nil {
			return err
		}
		out.pairs = append(out.pairs, pair{key, value})
	}
	return nil
}

// scalar is the text of a scalar, as it is written.
func scalar(n ast.Node) string {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return v.Value.Value
	case *ast.NullNode, nil:
		return ""
	case *ast.MappingKeyNode:
		return scalar(v.Value)
	}
	if t := n.GetToken(); t != nil {
		return t.Value
	}
	return ""
}
