package rulefile

import (
	"slices"
	"strings"
)

// Priority is how urgent an alert is, 0 the most.
type Priority uint8

// Priorities names them, the most urgent first.
func Priorities() []string {
	return []string{"Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"}
}

// String names the priority.
func (p Priority) String() string { return Priorities()[min(int(p), 7)] }

// MarshalText names the priority.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// ParsePriority reads a name in any case.
func ParsePriority(s string) (Priority, bool) {
	if strings.EqualFold(s, "info") {
		s = "informational"
	}
	i := slices.IndexFunc(Priorities(), func(p string) bool { return strings.EqualFold(p, s) })
	return Priority(max(0, i)), i >= 0
}

func ruleKeys() []string {
	return []string{"rule", "condition", "desc", "output", "priority", "source", "enabled", "tags", "exceptions", "warn_evttypes", "skip-if-unknown-filter", "capture", "capture_duration", "append", "override"}
}

func (l *Loader) rule(n, v *node) {
	item := "rule " + v.text
	l.known(n, item, ruleKeys()...)
	if v.text == "" {
		l.problem(v, item, false, "want a name")
		return
	}
	mode := l.mode(n, item, []string{"condition", "output", "desc", "tags", "exceptions"},
		[]string{"condition", "output", "desc", "tags", "exceptions", "priority", "enabled", "warn_evttypes", "skip-if-unknown-filter", "capture", "capture_duration"})
	old := l.rules[v.text]
	_, replaced := mode["enabled"]
	switch {
	case len(mode) > 0:
		l.change(n, v, old, mode)
	case old != nil && n.get("enabled") != nil && !replaced && n.get("condition") == nil:
		l.toggle(n, old)
	case l.skipped[v.text] && n.get("condition") == nil:
	default:
		l.define(n, v, old)
	}
}

// change appends to a rule that is there, or replaces parts of it.
func (l *Loader) change(n, v *node, old *Rule, mode map[string]string) {
	item := "rule " + v.text
	if old == nil {
		if !l.skipped[v.text] {
			l.problem(v, item, false, "there is no such rule above to append to or replace")
		}
		return
	}
	for _, k := range []struct {
		key  string
		into *string
		join string
	}{{"condition", &old.raw, " "}, {"output", &old.Output, " "}, {"desc", &old.Desc, " "}} {
		value := n.get(k.key)
		switch {
		case mode[k.key] == "append":
			*k.into += k.join + value.text
		case mode[k.key] == "replace":
			*k.into = value.text
		}
		if mode[k.key] != "" && k.key == "condition" {
			old.place = place2{value.line, value.column}
		}
	}
	if m := mode["tags"]; m != "" {
		tags, ok := n.get("tags").texts()
		if !ok {
			l.problem(n.get("tags"), item, false, "tags: want a list of texts")
		}
		if m == "append" {
			tags = append(slices.Clone(old.Tags), tags...)
		}
		old.Tags = tags
	}
	if m := mode["exceptions"]; m != "" {
		if m == "replace" {
			old.exceptions = nil
		}
		l.exceptions(n.get("exceptions"), item, old, m == "append")
	}
	scalars := &node{isMap: true}
	for key, m := range mode {
		if m == "replace" && slices.Contains([]string{"priority", "enabled", "warn_evttypes", "skip-if-unknown-filter"}, key) {
			scalars.pairs = append(scalars.pairs, pair{node{text: key}, *n.get(key)})
		}
	}
	l.scalars(scalars, item, old)
	old.File = l.file
}

// toggle switches a rule that is there on or off.
func (l *Loader) toggle(n *node, old *Rule) {
	l.problem(n, "rule "+old.Name, true, "enabled alone is old; write override: {enabled: replace}")
	l.scalars(n, "rule "+old.Name, old)
}

// scalars reads the keys that are one word.
func (l *Loader) scalars(n *node, item string, r *Rule) {
	for _, k := range []struct {
		key  string
		into *bool
	}{{"enabled", &r.Enabled}, {"warn_evttypes", &r.WarnTypes}, {"skip-if-unknown-filter", &r.SkipUnknown}} {
		if v := n.get(k.key); v != nil {
			yes, ok := v.yes()
			if !ok {
				l.problem(v, item, false, "%s: want true or false", k.key)
			}
			*k.into = yes
		}
	}
	if v := n.get("priority"); v != nil {
		p, ok := ParsePriority(v.text)
		if !ok {
			l.problem(v, item, false, "priority: %q is none of %s", v.text, strings.Join(Priorities(), ", "))
		}
		r.Priority = p
	}
}

// define makes a rule, in the place of an older one of the name.
func (l *Loader) define(n, v *node, old *Rule) {
	item := "rule " + v.text
	if s := n.get("source"); s != nil && s.text != "syscall" {
		l.skipped[v.text] = true
		l.problem(s, item, true, "skipped: this sensor has no events of source %q", s.text)
		return
	}
	for _, key := range []string{"condition", "output", "desc", "priority"} {
		value := n.get(key)
		if value == nil || !value.scalar || strings.TrimSpace(value.text) == "" && key != "desc" {
			l.problem(n, item, false, "want %s", key)
			return
		}
	}
	c := n.get("condition")
	r := &Rule{Name: v.text, Desc: strings.TrimSpace(n.get("desc").text), Output: strings.TrimSpace(n.get("output").text), Enabled: true, WarnTypes: true, Source: "syscall",
		File: l.file, Line: v.line, raw: c.text, place: place2{c.line, c.column}}
	if tags := n.get("tags"); tags != nil {
		list, ok := tags.texts()
		if !ok {
			l.problem(tags, item, false, "tags: want a list of texts")
		}
		r.Tags = list
	}
	l.scalars(n, item, r)
	if e := n.get("exceptions"); e != nil {
		l.exceptions(e, item, r, false)
	}
	if old == nil {
		l.order = append(l.order, v.text)
	}
	l.rules[v.text] = r
}

// Severity is the priority in the words of findings.
func (p Priority) Severity() string {
	switch {
	case p <= 2:
		return "critical"
	case p == 3:
		return "high"
	case p == 4:
		return "medium"
	}
	return "low"
}
