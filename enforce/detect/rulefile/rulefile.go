// Package rulefile reads files of rules in the Falco language: YAML in, lists,
// macros and rules out, with what later files append, replace or switch off
// applied, exceptions put into conditions, lists put in as text and macros as
// trees. Mistakes have a file, a line and a column.
package rulefile

import (
	"fmt"
	"slices"
	"strings"

	"sekisho/enforce/detect/cond"
)

// Version of the rule language that is understood: falco_engine 0.57.
const major, minor = 0, 57

// Problem is something about a file that its author should know.
type Problem struct {
	File         string
	Line, Column int
	Item         string // the rule, macro or list
	Err          error
	Warning      bool // the file loads nevertheless
}

// Error writes the problem with its place.
func (p Problem) Error() string {
	s := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Item != "" {
		s += p.Item + ": "
	}
	return s + p.Err.Error()
}

// Rule is one rule, ready to be typed and compiled.
type Rule struct {
	Name      string
	Desc      string
	Output    string
	Priority  Priority
	Tags      []string
	Enabled   bool
	Source    string
	Condition *cond.Node // macros are put in: nodes are shared, a tree walk may be exponential
	Text      string     // of the condition, with exceptions and lists in it
	File      string
	Line      int

	SkipUnknown bool // skip the rule, with a warning, when it has an unknown field
	WarnTypes   bool

	raw        string // of the condition, as in the files
	exceptions []exception
	place      place2
}

type place2 struct{ line, column int }

// Macro is a named condition.
type Macro struct {
	Name       string
	raw        string
	file       string
	place      place2
	index      int
	visibility int
	tree       *cond.Node
	state      uint8
}

// List is a named list of texts.
type List struct {
	Name       string
	raw        []string
	file       string
	place      place2
	index      int
	visibility int
	items      []string
}

// Loader gathers files.
type Loader struct {
	Problems []Problem
	lists    map[string]*List
	macros   map[string]*Macro
	rules    map[string]*Rule
	order    []string // of rules
	lorder   []string // of lists
	skipped  map[string]bool
	count    int
	file     string
}

// New returns an empty loader.
func New() *Loader {
	return &Loader{lists: map[string]*List{}, macros: map[string]*Macro{}, rules: map[string]*Rule{}, skipped: map[string]bool{}}
}

// Add reads a file. What it defines may change what earlier files said.
func (l *Loader) Add(name string, data []byte) {
	l.file = name
	items, err := read(data)
	if err != nil {
		p, ok := err.(*placed)
		if !ok {
			p = &placed{1, 1, err}
		}
		l.Problems = append(l.Problems, Problem{File: name, Line: p.line, Column: p.column, Err: p.err})
		return
	}
	for i := range items {
		l.item(&items[i])
	}
}

// Failed reports whether a problem keeps the files from being used.
func (l *Loader) Failed() bool {
	return slices.ContainsFunc(l.Problems, func(p Problem) bool { return !p.Warning })
}

func (l *Loader) problem(n *node, item string, warning bool, form string, args ...any) {
	l.Problems = append(l.Problems, Problem{File: l.file, Line: n.line, Column: n.column, Item: item, Err: fmt.Errorf(form, args...), Warning: warning})
}

func (l *Loader) item(n *node) {
	if !n.isMap {
		l.problem(n, "", false, "want an item, as rule: NAME")
		return
	}
	l.count++
	readers := []struct {
		key  string
		read func(*node, *node)
	}{{"required_engine_version", l.engine}, {"required_plugin_versions", l.plugins}, {"list", l.list}, {"macro", l.macro}, {"rule", l.rule}}
	for _, r := range readers {
		if v := n.get(r.key); v != nil {
			r.read(n, v)
			return
		}
	}
	l.problem(n, "", true, "unknown item; want one of required_engine_version, required_plugin_versions, list, macro, rule")
}

// known warns of keys that have no meaning.
func (l *Loader) known(n *node, item string, keys ...string) {
	seen := map[string]bool{}
	for i := range n.pairs {
		k := &n.pairs[i].key
		if !slices.Contains(keys, k.text) {
			l.problem(k, item, true, "unknown key %q", k.text)
		}
		if seen[k.text] {
			l.problem(k, item, false, "key %q is there twice", k.text)
		}
		seen[k.text] = true
	}
}

func (l *Loader) engine(_, v *node) {
	var a, b, c int
	text := v.text
	if n, _ := fmt.Sscanf(text, "%d.%d.%d", &a, &b, &c); n < 3 {
		a, b = 0, 0
		if n, _ := fmt.Sscanf(text, "%d", &b); n < 1 || strings.ContainsAny(text, ".-") {
			l.problem(v, "required_engine_version", false, "%q is no version; want a number, or 0.N.0", text)
			return
		}
	}
	if a > major || a == major && b > minor {
		l.problem(v, "required_engine_version", false, "the file wants %s; this is %d.%d.0", text, major, minor)
	}
}

// plugins accepts container, which is built in. Rules for events of other
// plugins are skipped one by one, so theirs are no reason to refuse a file.
func (l *Loader) plugins(_, v *node) {
	if !v.isList {
		l.problem(v, "required_plugin_versions", false, "want a list of name and version")
		return
	}
	for i := range v.list {
		n := &v.list[i]
		name, version := n.get("name"), n.get("version")
		if name == nil || version == nil {
			l.problem(n, "required_plugin_versions", false, "want name and version")
			continue
		}
		if name.text != "container" && !alternative(n) {
			l.problem(name, "required_plugin_versions", true, "there is no plugin %q; rules for its events are skipped", name.text)
		}
	}
}

func alternative(n *node) bool {
	list := n.get("alternatives")
	if list == nil {
		return false
	}
	for i := range list.list {
		if name := list.list[i].get("name"); name != nil && name.text == "container" {
			return true
		}
	}
	return false
}

// mode says whether a key is appended to or replaced.
func (l *Loader) mode(n *node, item string, appendable, replaceable []string) map[string]string {
	out := map[string]string{}
	if o := n.get("override"); o != nil {
		if !o.isMap {
			l.problem(o, item, false, "override: want keys with append or replace")
			return out
		}
		for i := range o.pairs {
			k, v := &o.pairs[i].key, &o.pairs[i].with
			switch {
			case v.text == "append" && slices.Contains(appendable, k.text), v.text == "replace" && slices.Contains(replaceable, k.text):
				out[k.text] = v.text
			default:
				l.problem(v, item, false, "override: %s cannot be %q", k.text, v.text)
			}
			if n.get(k.text) == nil {
				l.problem(k, item, false, "override: the item has no %s", k.text)
			}
		}
		if n.get("append") != nil {
			l.problem(o, item, false, "append and override do not go together")
		}
		return out
	}
	if a := n.get("append"); a != nil {
		yes, ok := a.yes()
		if !ok {
			l.problem(a, item, false, "append: want true or false")
		}
		for _, k := range appendable {
			if yes && n.get(k) != nil {
				out[k] = "append"
			}
		}
		if yes && len(out) == 0 {
			l.problem(a, item, false, "append: there is nothing to append")
		}
	}
	return out
}

func (l *Loader) list(n, v *node) {
	name := "list " + v.text
	l.known(n, name, "list", "items", "append", "override")
	items := n.get("items")
	if v.text == "" || items == nil {
		l.problem(n, name, false, "want a name and items")
		return
	}
	texts, ok := items.texts()
	if !ok && !(items.scalar && items.text == "") {
		l.problem(items, name, false, "items: want a list of texts")
		return
	}
	mode := l.mode(n, name, []string{"items"}, []string{"items"})["items"]
	old := l.lists[v.text]
	if mode != "" && old == nil {
		l.problem(v, name, false, "there is no such list above to %s", mode)
		return
	}
	if old == nil {
		old = &List{Name: v.text, index: l.count}
		l.lists[v.text] = old
		l.lorder = append(l.lorder, v.text)
	}
	if mode == "append" {
		texts = append(slices.Clone(old.raw), texts...)
	}
	old.raw, old.file, old.place, old.visibility = texts, l.file, place2{v.line, v.column}, l.count
}

func (l *Loader) macro(n, v *node) {
	name := "macro " + v.text
	l.known(n, name, "macro", "condition", "append", "override")
	c := n.get("condition")
	if v.text == "" || c == nil || !c.scalar || strings.TrimSpace(c.text) == "" {
		l.problem(n, name, false, "want a name and a condition")
		return
	}
	mode := l.mode(n, name, []string{"condition"}, []string{"condition"})["condition"]
	old := l.macros[v.text]
	if mode != "" && old == nil {
		l.problem(v, name, false, "there is no such macro above to %s", mode)
		return
	}
	if old == nil {
		old = &Macro{Name: v.text, index: l.count}
		l.macros[v.text] = old
	}
	text := c.text
	if mode == "append" {
		text = old.raw + " " + text
	}
	old.raw, old.file, old.place, old.visibility = text, l.file, place2{c.line, c.column}, l.count
}
