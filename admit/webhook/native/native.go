// Package native writes policies as ValidatingAdmissionPolicy
// (admissionregistration.k8s.io/v1), which the API server judges by itself: a
// policy goes in, objects to install come out, with what was left out and why.
// Only controls that need nothing but the object can be written so. It refuses
// to guess: what it cannot say exactly it leaves out, and says so.
package native

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/admit/webhook/object"
	"sekisho/policy/scope"
	"sekisho/policy/source"
)

// Left is what was left out of a policy, and why.
type Left struct{ What, Why string }

// Options of an export.
type Options struct {
	Exempt []string // namespaces that the policy does not hold in
}

// policy is what is read of a policy file, which was checked already.
type policy struct {
	Name     string           `yaml:"name"`
	Mode     string           `yaml:"mode"`
	Scope    scope.Scope      `yaml:"scope"`
	Controls []map[string]any `yaml:"controls"`
	Rules    []map[string]any `yaml:"rules"`
}

// Validation is one expression and what people are told when it is false.
type Validation struct {
	Expression        string `json:"expression"`
	Message           string `json:"message,omitempty"`
	MessageExpression string `json:"messageExpression,omitempty"`
	Reason            string `json:"reason,omitempty"`
}

// Variable is a named expression.
type Variable struct {
	Name       string `json:"name"`
	Expression string `json:"expression"`
}

// Policy is a ValidatingAdmissionPolicy.
type Policy struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       struct {
		FailurePolicy    string       `json:"failurePolicy"`
		MatchConstraints constraints  `json:"matchConstraints"`
		MatchConditions  []Variable   `json:"matchConditions,omitempty"`
		Variables        []Variable   `json:"variables"`
		Validations      []Validation `json:"validations"`
	} `json:"spec"`
}

// Metadata is a name and labels.
type Metadata struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type constraints struct {
	ResourceRules     []ruleOf `json:"resourceRules"`
	NamespaceSelector selector `json:"namespaceSelector"`
}

type ruleOf struct {
	APIGroups   []string `json:"apiGroups"`
	APIVersions []string `json:"apiVersions"`
	Operations  []string `json:"operations"`
	Resources   []string `json:"resources"`
}

type selector struct {
	MatchExpressions []requirement `json:"matchExpressions"`
}

type requirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
}

// Binding is a ValidatingAdmissionPolicyBinding.
type Binding struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       struct {
		PolicyName        string   `json:"policyName"`
		ValidationActions []string `json:"validationActions"`
	} `json:"spec"`
}

var objectName = regexp.MustCompile(`[^a-z0-9.-]+`)

// Export writes a policy, whose source was parsed without errors before. A
// policy of which nothing can be said natively gives nil.
func Export(data []byte, o Options) (*Policy, *Binding, []Left, error) {
	var p policy
	if err := source.Loose(data, &p); err != nil {
		return nil, nil, nil, err
	}
	if p.Mode == "" {
		p.Mode = sekisho.Deny
	}
	var left []Left
	conditions, why := conditions(p.Scope)
	if why != "" {
		return nil, nil, []Left{{"everything", why}}, nil
	}
	var list []Validation
	for _, c := range p.Controls {
		name, _ := c["control"].(string)
		v, why := control(name, c)
		if why != "" {
			left = append(left, Left{name, why})
		}
		list = append(list, v...)
	}
	for range p.Rules {
		left = append(left, Left{"a rule", "rules look at facts that the API server does not have"})
	}
	if len(list) == 0 {
		return nil, nil, left, nil
	}
	name := "sekisho-" + strings.Trim(objectName.ReplaceAllString(strings.ToLower(p.Name), "-"), "-.")
	out, b := build(name, p.Mode, o)
	out.Spec.MatchConditions = append(out.Spec.MatchConditions, conditions...)
	out.Spec.Validations = list
	return out, b, left, nil
}

func build(name, mode string, o Options) (*Policy, *Binding) {
	labels := map[string]string{"app.kubernetes.io/name": "sekisho"}
	p := &Policy{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingAdmissionPolicy", Metadata: Metadata{Name: name, Labels: labels}}
	p.Spec.FailurePolicy = "Fail"
	if mode != sekisho.Deny {
		p.Spec.FailurePolicy = "Ignore"
	}
	p.Spec.MatchConstraints = constraints{Rules(), selector{[]requirement{{"kubernetes.io/metadata.name", "NotIn", append([]string{}, o.Exempt...)}}}}
	if len(o.Exempt) == 0 {
		p.Spec.MatchConstraints.NamespaceSelector = selector{[]requirement{}}
	}
	p.Spec.MatchConditions = []Variable{{"starts-something", fmt.Sprintf("oldObject == null || %s != %s", specOf("object"), specOf("oldObject"))}}
	p.Spec.Variables = variables()
	b := &Binding{APIVersion: p.APIVersion, Kind: "ValidatingAdmissionPolicyBinding", Metadata: Metadata{Name: name, Labels: labels}}
	b.Spec.PolicyName = name
	b.Spec.ValidationActions = map[string][]string{sekisho.Deny: {"Deny", "Audit"}, sekisho.Warn: {"Warn", "Audit"}, sekisho.Audit: {"Audit"}}[mode]
	return p, b
}

// Rules are the resources that make pods, by group.
func Rules() (out []ruleOf) {
	groups := map[string][]string{}
	for _, m := range object.Makers() {
		groups[m.Group] = append(groups[m.Group], m.Resource)
		if m.Resource == "pods" {
			groups[m.Group] = append(groups[m.Group], "pods/ephemeralcontainers")
		}
	}
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, ruleOf{[]string{g}, []string{"v1"}, []string{"CREATE", "UPDATE"}, groups[g]})
	}
	return out
}

// templateOf is the pod, or the template of pods, in an object.
func templateOf(o string) string {
	text := o + ".spec.template"
	for _, m := range object.Makers() {
		if m.Path != "/spec/template" {
			text = fmt.Sprintf("%s.kind == '%s' ? %s%s : %s", o, m.Kind, o, strings.ReplaceAll(m.Path, "/", "."), text)
		}
	}
	return "(" + text + ")"
}

func specOf(o string) string { return templateOf(o) + ".spec" }

// variables give each expression the containers with what they inherit.
func variables() []Variable {
	return []Variable{
		{"spec", specOf("object")},
		{"pod", "has(variables.spec.securityContext) ? variables.spec.securityContext : {}"},
		{"containers", "variables.spec.containers + (has(variables.spec.initContainers) ? variables.spec.initContainers : []) + (has(variables.spec.ephemeralContainers) ? variables.spec.ephemeralContainers : [])"},
		{"volumes", "has(variables.spec.volumes) ? variables.spec.volumes : []"},
		{"images", "variables.containers.map(c, c.image) + variables.volumes.filter(v, has(v.image) && has(v.image.reference)).map(v, v.image.reference)"},
	}
}

// conditions say where a policy holds.
func conditions(s scope.Scope) (out []Variable, why string) {
	if len(s.Images)+len(s.Registries)+len(s.Hosts)+len(s.Environments) > 0 {
		return nil, "its scope names images, registries, hosts or environments"
	}
	if len(s.Namespaces) > 0 {
		out = append(out, Variable{"namespaces", oneOf("request.namespace", s.Namespaces)})
	}
	for i, label := range slices.Sorted(maps.Keys(s.Labels)) {
		at := fmt.Sprintf("%s.metadata", templateOf("object"))
		out = append(out, Variable{fmt.Sprintf("label-%d", i), fmt.Sprintf("has(%[1]s.labels) && %[2]s in %[1]s.labels && %[3]s", at, quote(label), oneOf(at+".labels["+quote(label)+"]", []string{s.Labels[label]}))})
	}
	if s.Exclude == nil {
		return out, ""
	}
	inner, why := conditions(*s.Exclude)
	if why != "" {
		return nil, "what its scope excludes names images, registries, hosts or environments"
	}
	var parts []string
	for _, c := range inner {
		parts = append(parts, "("+c.Expression+")")
	}
	return append(out, Variable{"exclude", "!(" + strings.Join(parts, " && ") + ")"}), ""
}

// oneOf is an expression that is true when a text matches one of patterns.
func oneOf(text string, patterns []string) string {
	var exact []string
	var parts []string
	for _, p := range patterns {
		if strings.ContainsAny(p, "*?") {
			parts = append(parts, fmt.Sprintf("%s.matches(%s)", text, quote(regex(p))))
		} else {
			exact = append(exact, quote(p))
		}
	}
	if len(exact) > 0 {
		parts = append([]string{fmt.Sprintf("%s in [%s]", text, strings.Join(exact, ", "))}, parts...)
	}
	return "(" + strings.Join(parts, " || ") + ")"
}

// regex is a glob (see scope.Glob) as a regular expression.
func regex(glob string) string {
	var b strings.Builder
	b.WriteString("^(?s:")
	for _, r := range glob {
		switch r {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString(")$")
	return b.String()
}

// quote writes a text as CEL does, which JSON's form is a part of.
func quote(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(data)
}
