package scope

import (
	"fmt"
	"maps"
	"slices"
)

// Scope is which workloads something is for. Every field that is set must
// match, by one of its patterns; an empty scope is for all. Excluded ones are
// taken out again.
type Scope struct {
	Images       []string          `yaml:"images"`       // REGISTRY/REPOSITORY[:TAG], see ParseImage
	Registries   []string          `yaml:"registries"`   // host[:port]
	Namespaces   []string          `yaml:"namespaces"`   // of Kubernetes
	Hosts        []string          `yaml:"hosts"`        // names of machines
	Environments []string          `yaml:"environments"` // as the gate is told: production, staging …
	Labels       map[string]string `yaml:"labels"`       // of the workload; all must match
	Exclude      *Scope            `yaml:"exclude"`
}

// Subject is what is asked about. What is not known is nil: it takes nothing
// out of a scope, and excludes nothing, because a policy that does not apply
// lets everything pass.
type Subject struct {
	Reference   *Reference
	Namespace   *string
	Host        *string
	Environment *string
	Labels      map[string]string // nil when not known
}

// Matcher is a scope made ready.
type Matcher struct {
	images  []Image
	scope   Scope
	labels  []string // names, in order
	exclude *Matcher
}

// Compile checks the patterns.
func (s Scope) Compile() (*Matcher, error) {
	m := &Matcher{scope: s, labels: slices.Sorted(maps.Keys(s.Labels))}
	for _, text := range s.Images {
		i, err := ParseImage(text)
		if err != nil {
			return nil, err
		}
		m.images = append(m.images, i)
	}
	for _, l := range []struct {
		field string
		list  []string
	}{{"registries", s.Registries}, {"namespaces", s.Namespaces}, {"hosts", s.Hosts}, {"environments", s.Environments},
		{"labels", slices.Sorted(maps.Values(s.Labels))}} {
		if err := CheckGlobs(l.list, l.field == "labels"); err != nil {
			return nil, fmt.Errorf("%s: %w", l.field, err)
		}
	}
	if s.Exclude == nil {
		return m, nil
	}
	if s.Exclude.Exclude != nil {
		return nil, fmt.Errorf("exclude: an exclusion has no exclusions")
	}
	var err error
	if m.exclude, err = s.Exclude.Compile(); err != nil {
		return nil, fmt.Errorf("exclude: %w", err)
	}
	if s.Exclude.empty() {
		return nil, fmt.Errorf("exclude: it is empty, so it would exclude everything")
	}
	return m, nil
}

func (s Scope) empty() bool {
	return len(s.Images)+len(s.Registries)+len(s.Namespaces)+len(s.Hosts)+len(s.Environments)+len(s.Labels) == 0
}

// Match reports whether the subject is in scope.
func (m *Matcher) Match(s *Subject) bool {
	return m.match(s, true) && (m.exclude == nil || !m.exclude.match(s, false))
}

// match reports whether every field that is set matches; unknown is the answer
// for what is not known.
func (m *Matcher) match(s *Subject, unknown bool) bool {
	if len(m.images) > 0 && !m.image(s.Reference, unknown) {
		return false
	}
	if len(m.scope.Registries) > 0 {
		if s.Reference == nil && !unknown || s.Reference != nil && !Any(m.scope.Registries, s.Reference.Registry) {
			return false
		}
	}
	if !one(m.scope.Namespaces, s.Namespace, unknown) || !one(m.scope.Hosts, s.Host, unknown) || !one(m.scope.Environments, s.Environment, unknown) {
		return false
	}
	for _, name := range m.labels {
		value, ok := s.Labels[name]
		if s.Labels == nil && !unknown || s.Labels != nil && !(ok && Glob(m.scope.Labels[name], value)) {
			return false
		}
	}
	return true
}

func (m *Matcher) image(r *Reference, unknown bool) bool {
	if r == nil {
		return unknown
	}
	for _, i := range m.images {
		if i.Match(*r) {
			return true
		}
	}
	return false
}

func one(patterns []string, value *string, unknown bool) bool {
	if len(patterns) == 0 {
		return true
	}
	if value == nil {
		return unknown
	}
	return Any(patterns, *value)
}
