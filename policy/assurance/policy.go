// Package assurance decides whether an image or workload may pass: policies in
// YAML and facts go in, a decision with every reason comes out. Judging is
// pure. A fact that is missing is never taken for a good one, and a file that
// is not understood to the last field is refused with line and column.
package assurance

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sekisho"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
)

// Policy is one policy, ready to judge. Parse makes it.
type Policy struct {
	Name        string      `yaml:"name"`
	Description Text        `yaml:"description"`
	Owner       string      `yaml:"owner"`        // who answers for controls that name nobody
	Mode        string      `yaml:"mode"`         // audit, warn or deny
	NotAssessed string      `yaml:"not_assessed"` // deny or allow: for controls that do not say
	Scope       scope.Scope `yaml:"scope"`
	Version     string      `yaml:"-"` // sha256: and the hash of the file

	scope    *scope.Matcher
	controls []prepared
}

// Common is what every control and rule may say beside its parameters.
type Common struct {
	Effect      string   `yaml:"effect"`       // violation (default) or note
	Owner       string   `yaml:"owner"`        // who answers for it
	NotAssessed string   `yaml:"not_assessed"` // deny or allow, when a fact is missing
	At          []string `yaml:"at"`           // build, ship, run: judged only there
	Why         Text     `yaml:"why"`          // for readers
	Satisfies   []string `yaml:"satisfies"`    // requirements that it gives evidence for
}

// Text is a sentence in one or both languages: a string, or {en: …, ja: …}.
type Text struct {
	English  string `yaml:"en"`
	Japanese string `yaml:"ja"`
}

// UnmarshalYAML reads a string or a mapping.
func (t *Text) UnmarshalYAML(decode func(any) error) error {
	if decode(&t.English) == nil {
		return nil
	}
	type plain Text
	return decode((*plain)(t))
}

// In returns the sentence in a language, else in the other.
func (t Text) In(japanese bool) string {
	if japanese && t.Japanese != "" || t.English == "" {
		return t.Japanese
	}
	return t.English
}

// prepared is a control of a policy, ready to judge.
type prepared struct {
	control
	name    string
	policy  string
	effect  string
	unknown string // sekisho.Allow or Deny, when not assessed
	owner   string
	at      []string
	wants   string
	most    string // the parameter maximum, for messages
	common  Common
}

// elsewhere reports whether the control is for other stages only. Where the
// stage is not known, it judges.
func (p *prepared) elsewhere(stage string) bool {
	return stage != "" && len(p.at) > 0 && !slices.Contains(p.at, stage)
}

// kind is a control that may be named in a policy.
type kind struct {
	name string
	make func() control
}

// Names lists the controls.
func Names() (names []string) {
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Parameters lists the parameters of a control.
func Parameters(name string) []string {
	for _, k := range kinds() {
		if k.name == name {
			return fields(reflect.TypeOf(k.make()))
		}
	}
	return nil
}

// fields are the names of the fields of a type in YAML.
func fields(t reflect.Type) (names []string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			names = append(names, fields(t.Field(i).Type)...)
		case name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}

// deep are the names of the fields inside the fields of a type.
func deep(t reflect.Type) (names []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		inner := t.Field(i).Type
		for inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && t.Field(i).Tag.Get("yaml") != "-" {
			names = append(names, fields(inner)...)
		}
	}
	if len(names) == 0 {
		return fields(t)
	}
	return names
}

// prepare checks what controls have in common.
func (p *Policy) prepare(name string, c control, common Common) (prepared, error) {
	out := prepared{control: c, name: name, policy: p.Name, effect: common.Effect, unknown: common.NotAssessed, owner: common.Owner, at: common.At,
		wants: wants(reflect.ValueOf(c)), common: common}
	for _, p := range strings.Fields(out.wants) {
		if value, ok := strings.CutPrefix(p, "maximum="); ok {
			out.most = value
			if sekisho.Severity(value).Rank() > 0 {
				out.most = "@severity." + value
			}
		}
	}
	if out.effect == "" {
		out.effect = sekisho.Violation
	}
	if out.owner == "" {
		out.owner = p.Owner
	}
	if out.unknown == "" {
		out.unknown = p.NotAssessed
	}
	if err := oneOf("effect", out.effect, sekisho.Violation, sekisho.Note); err != nil {
		return out, err
	}
	if err := oneOf("not_assessed", out.unknown, "", sekisho.Deny, sekisho.Allow); err != nil {
		return out, err
	}
	for _, s := range common.At {
		if err := oneOf("at", s, fact.Build, fact.Ship, fact.Run); err != nil {
			return out, err
		}
	}
	return out, c.ready()
}

// wants writes the parameters that are set as key=value.
func wants(v reflect.Value) string {
	var parts []string
	v = reflect.Indirect(v)
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		f := v.Field(i)
		switch {
		case options == "inline":
			if s := wants(f); s != "" {
				parts = append(parts, s)
			}
		case name != "" && name != "-" && !f.IsZero():
			if f.Kind() == reflect.Pointer {
				f = f.Elem()
			}
			parts = append(parts, fmt.Sprintf("%s=%v", name, f.Interface()))
		}
	}
	return strings.Join(parts, " ")
}

// Controls are the names of the policy's controls and rules, in order.
func (p *Policy) Controls() (names []string) {
	for _, c := range p.controls {
		names = append(names, c.name)
	}
	return names
}

// Outline is what a policy says about one of its controls or rules.
type Outline struct {
	Control     string
	Wants       string // its parameters, as key=value
	Effect      string
	NotAssessed string // allow, deny, or empty for the policy's own
	At          []string
	Why         Text
	Satisfies   []string
}

// Outline lists the controls and rules, in order.
func (p *Policy) Outline() (list []Outline) {
	for _, c := range p.controls {
		list = append(list, Outline{c.name, c.wants, c.effect, c.unknown, c.at, c.common.Why, c.common.Satisfies})
	}
	return list
}

// Why is what a policy says for readers about its control of a number.
func (s *Set) Why(policy string, n int, japanese bool) string {
	for _, p := range s.policies {
		if p.Name == policy && n < len(p.controls) {
			return p.controls[n].common.Why.In(japanese)
		}
	}
	return ""
}
