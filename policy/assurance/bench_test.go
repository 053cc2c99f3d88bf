package assurance_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"sekisho"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
)

// dozen is a policy of twelve controls over vulnerabilities, workload and supply.
const dozen = `name: dozen
controls:
  - {control: severity, maximum: high, only_fixable: true, grace_days: 30, grace_since: fix}
  - {control: severity, maximum: medium, only_fixable: true, grace_days: 90, grace_since: publish}
  - {control: cvss, maximum: 9.8, not_assessed: allow}
  - {control: epss, maximum: 0.9, not_assessed: allow}
  - {control: kev}
  - {control: malware}
  - {control: secrets, confidence: medium}
  - {control: root-user}
  - {control: privileged}
  - {control: capabilities, allowed: [NET_BIND_SERVICE], drop_all: true}
  - {control: registries, allowed: [registry.example.org]}
  - {control: signature, identities: [{issuer: 'https://token.actions.githubusercontent.com', subject: 'https://github.com/example/*'}]}
`

// manyFacts are facts with n vulnerabilities, none of which the policy above
// minds: nothing is found early.
func manyFacts(n int) *fact.Facts {
	f := whole()
	f.Reference = "registry.example.org/pay/app@" + string(manifest)
	for i := range n {
		s := []sekisho.Severity{sekisho.Critical, sekisho.High, sekisho.Medium, sekisho.Low}[i%4]
		f.Findings = append(f.Findings, vulnerability(fmt.Sprintf("CVE-2026-%d", i), s, func(x *sekisho.Finding) {
			fixedIn("3.0.9", i%20)(x)
			x.CVSS, x.EPSS = []sekisho.CVSS{{Version: "3.1", Score: float64(i%90+1) / 10}}, &sekisho.EPSS{Score: float64(i%80) / 100}
		}))
	}
	return f
}

func benchmark(b *testing.B, text string, f *fact.Facts, want string) {
	b.Helper()
	p, err := assurance.Parse(strings.NewReader(text), "p")
	if err != nil {
		b.Fatal(err)
	}
	ref, err := scope.Parse(f.Reference)
	if err != nil {
		b.Fatal(err)
	}
	f.Request.Name = &ref
	set, x := assurance.NewSet(p), assurance.Prepare(&f.Image, nil)
	if v := assurance.Evaluate(set, x, &f.Request); v.Result != want {
		b.Fatalf("%s: %+v", v.Result, v.Decision().Reasons)
	}
	b.ReportAllocs()
	before := used(b)
	for b.Loop() {
		assurance.Evaluate(set, x, &f.Request)
	}
	b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
}

// used is the processor time of the process in nanoseconds: what counts where
// other work runs on the machine.
func used(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkAllow10(b *testing.B)   { benchmark(b, dozen, manyFacts(10), sekisho.Allow) }
func BenchmarkAllow300(b *testing.B)  { benchmark(b, dozen, manyFacts(300), sekisho.Allow) }
func BenchmarkAllow3000(b *testing.B) { benchmark(b, dozen, manyFacts(3000), sekisho.Allow) }

// BenchmarkDeny300 lists all 150 findings that are over the bar.
func BenchmarkDeny300(b *testing.B) {
	benchmark(b, strings.NewReplacer(", grace_days: 30, grace_since: fix", "", ", grace_days: 90, grace_since: publish", "").Replace(dozen), manyFacts(300), sekisho.Deny)
}

// BenchmarkRule300 is a free rule in CEL over every vulnerability.
func BenchmarkRule300(b *testing.B) {
	benchmark(b, "name: r\nrules:\n  - {name: own, expression: \"vulnerabilities.all(v, v.severity != 'critical' || v.cvss < 9.9)\"}\n", manyFacts(300), sekisho.Allow)
}

func BenchmarkPrepare300(b *testing.B) {
	f := manyFacts(300)
	for b.Loop() {
		assurance.Prepare(&f.Image, nil)
	}
}

// BenchmarkReference is what reading the image's name costs; a gate reads it
// once for all policies.
func BenchmarkReference(b *testing.B) {
	f := manyFacts(0)
	for b.Loop() {
		if _, err := scope.Parse(f.Reference); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParse reads the dozen controls, and one rule.
func BenchmarkParse(b *testing.B) {
	for _, text := range []string{dozen, "name: r\nrules:\n  - {name: own, expression: \"image.tag != 'latest'\"}\n"} {
		b.Run(text[6:8], func(b *testing.B) {
			for b.Loop() {
				if _, err := assurance.Parse(strings.NewReader(text), "p"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecision300 puts the 150 findings that are over the bar into a full
// decision.
func BenchmarkDecision300(b *testing.B) {
	p, err := assurance.Parse(strings.NewReader(strings.NewReplacer(", grace_days: 30, grace_since: fix", "", ", grace_days: 90, grace_since: publish", "").Replace(dozen)), "p")
	if err != nil {
		b.Fatal(err)
	}
	f := manyFacts(300)
	set, x := assurance.NewSet(p), assurance.Prepare(&f.Image, nil)
	for b.Loop() {
		assurance.Evaluate(set, x, &f.Request).Decision()
	}
}
