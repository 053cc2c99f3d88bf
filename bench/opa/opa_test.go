// Package opa_test measures the same policy of eight controls in sekisho and in
// OPA's engine (Rego), on the same facts. It is a module of its own, so that
// the program does not depend on OPA:
//
//	cd bench/opa && go test -bench . -benchmem
package opa_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"sekisho"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
)

const ours = `name: same
controls:
  - {control: severity, maximum: high, only_fixable: true, grace_days: 30, grace_since: fix}
  - {control: kev}
  - {control: root-user}
  - {control: privileged}
  - {control: host-access}
  - {control: capabilities, allowed: [NET_BIND_SERVICE]}
  - {control: registries, allowed: [registry.example.org]}
  - {control: digest-pinned}
`

const theirs = `package same

ranks := {"critical": 5, "high": 4, "medium": 3, "low": 2, "none": 1}

deny contains msg if {
	some v in input.vulnerabilities
	ranks[v.severity] > 4
	v.fixable
	input.today - v.fixed >= 30
	msg := sprintf("%s is %s", [v.id, v.severity])
}

deny contains msg if {
	some v in input.vulnerabilities
	v.kev
	msg := sprintf("%s is exploited", [v.id])
}

deny contains "root" if input.user in {"", "0", "root"}

deny contains "privileged" if input.workload.privileged

deny contains "host" if {
	some k in ["network", "pid", "ipc"]
	input.workload.host[k]
}

deny contains msg if {
	some c in input.workload.add
	not c in {"NET_BIND_SERVICE"}
	msg := sprintf("capability %s", [c])
}

deny contains "registry" if not input.registry in {"registry.example.org"}

deny contains "digest" if input.digest == ""
`

var now = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// facts are those of an image with n vulnerabilities, a quarter of them
// critical; with late, the fixes of all of those are overdue.
func facts(n int, late bool) *fact.Facts {
	yes, no, user := true, false, "10001"
	f := &fact.Facts{}
	f.Assessed, f.User, f.SBOM = fact.Assessable(), &user, &yes
	f.Reference, f.Now = "registry.example.org/pay/app@sha256:"+strings.Repeat("1", 64), now
	ref, err := scope.Parse(f.Reference)
	if err != nil {
		panic(err)
	}
	f.Name = &ref
	f.Workload = &fact.Workload{Privileged: &no, HostNetwork: &no, HostPID: &no, HostIPC: &no, HostPaths: []string{}, AddCapabilities: []string{"NET_BIND_SERVICE"}}
	for i := range n {
		v := sekisho.Finding{Kind: sekisho.Vulnerability, ID: fmt.Sprintf("CVE-2026-%d", i), Severity: sekisho.Severities()[i%4], FixedIn: []string{"2"},
			Package: &sekisho.PackageRef{Name: "p", Version: "1"}, Vulnerable: &sekisho.Vulnerable{Fixed: now.AddDate(0, 0, -1-i%20)}}
		if late {
			v.Fixed = now.AddDate(0, 0, -60)
		}
		f.Findings = append(f.Findings, v)
	}
	return f
}

// input says the same in the plain form that a policy in Rego would be given.
func input(f *fact.Facts) map[string]any {
	list := []any{}
	for _, v := range f.Findings {
		list = append(list, map[string]any{"id": v.ID, "severity": string(v.Severity), "fixable": len(v.FixedIn) > 0, "kev": v.KEV != nil, "fixed": v.Fixed.Unix() / 86400})
	}
	return map[string]any{"vulnerabilities": list, "today": now.Unix() / 86400, "user": *f.User, "registry": f.Name.Registry, "digest": string(f.Name.Digest),
		"workload": map[string]any{"privileged": false, "add": f.Workload.AddCapabilities, "host": map[string]any{"network": false, "pid": false, "ipc": false}}}
}

func sekishoSet(b testing.TB) *assurance.Set {
	p, err := assurance.Parse(strings.NewReader(ours), "same")
	if err != nil {
		b.Fatal(err)
	}
	return assurance.NewSet(p)
}

func opa(b testing.TB) rego.PreparedEvalQuery {
	q, err := rego.New(rego.Query("data.same.deny"), rego.Module("same.rego", theirs)).PrepareForEval(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return q
}

// parsed is the input as OPA's own values: the best case, decoded before.
func parsed(b testing.TB, f *fact.Facts) ast.Value {
	data, err := json.Marshal(input(f))
	if err != nil {
		b.Fatal(err)
	}
	v, err := ast.ValueFromReader(strings.NewReader(string(data)))
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func reasons(b testing.TB, q rego.PreparedEvalQuery, v ast.Value) int {
	rs, err := q.Eval(context.Background(), rego.EvalParsedInput(v))
	if err != nil {
		b.Fatal(err)
	}
	return len(rs[0].Expressions[0].Value.([]any))
}

// TestSame holds that both say the same, so that what is measured is the same.
func TestSame(t *testing.T) {
	set, q := sekishoSet(t), opa(t)
	for _, n := range []int{0, 10, 300} {
		for _, late := range []bool{false, true} {
			f := facts(n, late)
			d := assurance.Evaluate(set, assurance.Prepare(&f.Image, nil), &f.Request).Decision()
			if got := reasons(t, q, parsed(t, f)); got != len(d.Reasons) {
				t.Errorf("%d vulnerabilities, late %v: OPA has %d reasons, sekisho %d: %+v", n, late, got, len(d.Reasons), d.Reasons)
			}
		}
	}
}

// used is the processor time of the process in nanoseconds.
func used(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkSekisho(b *testing.B) {
	for _, n := range []int{10, 300, 3000} {
		for _, late := range []bool{false, true} {
			b.Run(fmt.Sprintf("vulnerabilities=%d/deny=%v", n, late), func(b *testing.B) {
				f, set := facts(n, late), sekishoSet(b)
				x := assurance.Prepare(&f.Image, nil)
				b.ReportAllocs()
				before := used(b)
				for b.Loop() {
					assurance.Evaluate(set, x, &f.Request)
				}
				b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkSekishoWords also makes the full decision with all reasons.
func BenchmarkSekishoWords(b *testing.B) {
	f, set := facts(300, true), sekishoSet(b)
	x := assurance.Prepare(&f.Image, nil)
	b.ReportAllocs()
	for b.Loop() {
		assurance.Evaluate(set, x, &f.Request).Decision()
	}
}

func BenchmarkOPA(b *testing.B) {
	for _, n := range []int{10, 300, 3000} {
		for _, late := range []bool{false, true} {
			b.Run(fmt.Sprintf("vulnerabilities=%d/deny=%v", n, late), func(b *testing.B) {
				q, v := opa(b), parsed(b, facts(n, late))
				b.ReportAllocs()
				before := used(b)
				for b.Loop() {
					reasons(b, q, v)
				}
				b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
