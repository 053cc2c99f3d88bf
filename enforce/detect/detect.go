// Package detect judges kernel events by rules in the Falco language. Files of
// rules and events enter, alerts leave: repeated ones folded into one with a
// count, those of a noisy rule demoted and said to be. It reads no clock, and
// what a rule cannot see (a field that is missing, a list that is empty) never
// makes it hold.
package detect

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/enforce/detect/field"
	"sekisho/enforce/detect/program"
	"sekisho/enforce/detect/rulefile"
)

//go:embed rules/*.yaml
var embedded embed.FS

// Source is a file of rules.
type Source struct {
	Name string
	Data []byte
}

// BuiltIn returns the rules that come with the program.
func BuiltIn() []Source {
	names, err := fs.Glob(embedded, "rules/*.yaml")
	if err != nil {
		panic(err) // the pattern is constant
	}
	var out []Source
	for _, name := range names {
		data, err := embedded.ReadFile(name)
		if err != nil {
			panic(err) // embedded
		}
		out = append(out, Source{"sekisho:" + strings.TrimPrefix(name, "rules/"), data})
	}
	return out
}

// Options say which rules count.
type Options struct {
	// Enabled overrides what the files say; nil leaves it to them.
	Enabled func(rule string, enabled bool) bool
}

// Rule is a rule that was loaded.
type Rule struct {
	Name     string            `json:"name"`
	Desc     string            `json:"description"`
	Priority rulefile.Priority `json:"priority"`
	Tags     []string          `json:"tags"`
	MITRE    []string          `json:"mitre"` // techniques and tactics: T1059.004, TA0003
	Enabled  bool              `json:"enabled"`
	Output   string            `json:"output"`
	Text     string            `json:"condition"` // with lists and exceptions put in
	File     string            `json:"file"`
	Line     int               `json:"line"`
	Needs    []Need            `json:"needs"`  // types of events; empty when disabled
	Checks   int               `json:"checks"` // of the type of event that has most
	format   *format
}

// Need is a type of event that a rule is evaluated for.
type Need struct {
	Syscall string            `json:"syscall"`
	Kind    sekisho.EventKind `json:"kind"`
	Tier    int               `json:"tier"` // 1: the kernel's tracepoint slows all system calls of the host by about 30 ns
}

// Set is a set of rules, ready to be evaluated. It does not change.
type Set struct {
	Rules    []Rule
	Problems []rulefile.Problem
	Lists    int
	Macros   int
	program  *program.Program
	index    []int // of the program's rules: index in Rules
	types    *field.Types
	table    field.Table
	loaded   []program.Rule // as Rules
}

// Load reads files of rules. Warnings are in the set's problems; any mistake is
// an error that holds all of them.
func Load(o Options, sources ...Source) (*Set, error) {
	l := rulefile.New()
	for _, s := range sources {
		l.Add(s.Name, s.Data)
	}
	rules := l.Rules()
	l.CheckMacros()
	set := &Set{Problems: l.Problems, Lists: l.Lists(), Macros: l.Macros(), types: field.NewTypes(), table: field.NewTable()}
	set.check(rules, set.table)
	for _, r := range rules {
		enabled := r.Enabled
		if o.Enabled != nil {
			enabled = o.Enabled(r.Name, enabled)
		}
		out := Rule{Name: r.Name, Desc: r.Desc, Priority: r.Priority, Tags: r.Tags, MITRE: techniques(r.Tags), Enabled: enabled, Output: r.Output, Text: r.Text, File: r.File, Line: r.Line}
		var err error
		if out.format, err = newFormat(r.Output, set.table); err != nil {
			set.complain(r, fmt.Errorf("output: %w", err), false)
		}
		set.Rules = append(set.Rules, out)
		set.loaded = append(set.loaded, program.Rule{Name: r.Name, Condition: r.Condition, Skip: r.SkipUnknown})
	}
	set.compile()
	return set, set.failure()
}

// Only returns the same rules with those enabled that are enabled here and that
// keep says.
func (s *Set) Only(keep func(Rule) bool) *Set {
	out := *s
	out.Rules, out.index = slices.Clone(s.Rules), nil
	for i := range out.Rules {
		r := &out.Rules[i]
		r.Enabled = r.Enabled && keep(*r)
		r.Needs, r.Checks = nil, 0
	}
	out.compile()
	return &out
}

// check types all rules, also those that are disabled.
func (s *Set) check(rules []*rulefile.Rule, table field.Table) {
	var in []program.Rule
	for _, r := range rules {
		in = append(in, program.Rule{Name: r.Name, Condition: r.Condition, Skip: r.SkipUnknown})
	}
	for _, n := range program.Check(in, table) {
		s.complain(rules[n.Rule], n.Err, !n.Fatal)
	}
}

func (s *Set) compile() {
	var in []program.Rule
	for i, r := range s.Rules {
		if r.Enabled {
			in = append(in, s.loaded[i])
			s.index = append(s.index, i)
		}
	}
	s.program, _ = program.Compile(in, s.table, s.types)
	weights := s.program.Weight()
	for i, needs := range s.program.Needs() {
		r := &s.Rules[s.index[i]]
		r.Checks = weights[i]
		for _, t := range needs {
			r.Needs = append(r.Needs, Need{t.Name, t.Kind, t.Tier})
		}
	}
}

func (s *Set) complain(r *rulefile.Rule, err error, warning bool) {
	s.Problems = append(s.Problems, rulefile.Problem{File: r.File, Line: r.Line, Column: 1, Item: "rule " + r.Name, Err: err, Warning: warning})
}

const maxShown = 20

func (s *Set) failure() error {
	var lines []string
	for _, p := range s.Problems {
		if !p.Warning {
			lines = append(lines, p.Error())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if n := len(lines) - maxShown; n > 0 {
		lines = append(lines[:maxShown], fmt.Sprintf("and %d more", n))
	}
	return sekisho.Errorf(sekisho.Usage, "%s", strings.Join(lines, "\n")).WithHint("sekisho enforce rules check FILE")
}

// Find returns a rule by name.
func (s *Set) Find(name string) (Rule, bool) {
	i := slices.IndexFunc(s.Rules, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		return Rule{}, false
	}
	return s.Rules[i], true
}

// Needs returns the types of events that any enabled rule needs, and the names
// of these rules: the sensor attaches these and nothing else.
func (s *Set) Needs() map[Need][]string {
	out := map[Need][]string{}
	for _, r := range s.Rules {
		for _, n := range r.Needs {
			out[n] = append(out[n], r.Name)
		}
	}
	return out
}

// Names returns the last parts of paths that enabled rules ask about by name:
// opens to read of other files interest no rule, but for rules by directory.
func (s *Set) Names() []string { return s.program.Names() }

// NamesSocket reports whether a rule asks about a Unix socket by its path.
func (s *Set) NamesSocket(rule string) bool {
	r, ok := s.Find(rule)
	return ok && strings.Contains(r.Text, ".sock")
}

// Uses reports whether a condition of an enabled rule has the field, as
// proc.env, which the sensor tells only when it is asked to.
func (s *Set) Uses(field string) bool { return slices.Contains(s.program.Fields(), field) }

var technique = regexp.MustCompile(`^TA?\d{4}(\.\d{3})?$`)

func techniques(tags []string) []string {
	out := []string{}
	for _, t := range tags {
		if technique.MatchString(t) {
			out = append(out, t)
		}
	}
	return out
}

// Matcher evaluates events; it serves one goroutine.
type Matcher struct {
	set   *Set
	m     *program.Matcher
	hits  []int
	scans *scans
}

// NewMatcher returns a matcher; users may be nil.
func (s *Set) NewMatcher(users field.Users, host string) *Matcher {
	return &Matcher{set: s, m: s.program.NewMatcher(users, host), scans: newScans()}
}

// Match returns the indices in Rules of the rules that hold. The slice is valid
// until the next call.
func (m *Matcher) Match(e *sekisho.Event) []int {
	m.hits = m.hits[:0]
	m.m.Context.Ports, m.m.Context.Hosts = m.scans.observe(e)
	m.m.Context.Dialed = m.scans.dialed(e)
	for _, i := range m.m.Match(e) {
		m.hits = append(m.hits, m.set.index[i])
	}
	if e.Kind == sekisho.EventOpen && strings.HasPrefix(e.Raw, "/proc/") && e.Raw != e.Path {
		// Links of /proc lead to another file than they say: rules ask about both.
		named := *e
		named.Path = path.Clean(e.Raw)
		for _, i := range m.m.Match(&named) {
			if !slices.Contains(m.hits, m.set.index[i]) {
				m.hits = append(m.hits, m.set.index[i])
			}
		}
	}
	return m.hits
}

// Output words what a rule says of an event, and the fields in it.
func (m *Matcher) Output(rule int, e *sekisho.Event) (string, []Pair) {
	m.m.Context.Reset(e, m.set.program.Type(e))
	return m.set.Rules[rule].format.write(&m.m.Context)
}
