package ready_test

import (
	"slices"
	"testing"
	"time"

	"sekisho"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
	"sekisho/policy/ready"
)

var now = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// good are facts of an image that is as it should be, about to run.
func good() *fact.Facts {
	f := &fact.Facts{}
	yesterday := now.AddDate(0, 0, -1)
	f.Assessed, f.Packages, f.Findings, f.Problems = fact.Assessable(), []sekisho.Package{}, []sekisho.Finding{}, []sekisho.Problem{}
	f.OS, f.User, f.Scanned, f.SBOM = &sekisho.OS{Name: "Debian 13", SupportedUntil: "2028-08-09"}, ptr("10001"), &yesterday, ptr(true)
	f.Feeds = []sekisho.Feed{{Name: "debian", Kind: sekisho.FeedAdvisories, Checked: yesterday}, {Name: "clamav:daily", Newest: yesterday}}
	f.Approvals = []fact.Approval{{Author: "a", Approver: "b", Time: yesterday}}
	f.Now, f.Stage, f.Reference = now, fact.Run, "registry.example.org/app@sha256:1111111111111111111111111111111111111111111111111111111111111111"
	f.Workload = &fact.Workload{Namespace: ptr("pay"), Labels: map[string]string{}, RunAsNonRoot: ptr(true), Privileged: ptr(false), PrivilegeEscalation: ptr(false), AddCapabilities: []string{},
		DropCapabilities: []string{"ALL"}, HostNetwork: ptr(false), HostPID: ptr(false), HostIPC: ptr(false), HostPaths: []string{}, ReadOnlyRoot: ptr(true)}
	return f
}

func decide(t *testing.T, name string, f *fact.Facts) *sekisho.Decision {
	t.Helper()
	p, err := ready.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return assurance.Evaluate(assurance.NewSet(p), assurance.Prepare(&f.Image, nil), &f.Request).Decision()
}

func flaw(s sekisho.Severity, fixedDaysAgo int) func(*fact.Facts) {
	return func(f *fact.Facts) {
		f.Findings = append(f.Findings, sekisho.Finding{Kind: sekisho.Vulnerability, ID: "CVE-1", Severity: s, FixedIn: []string{"2"},
			Vulnerable: &sekisho.Vulnerable{Fixed: now.AddDate(0, 0, -fixedDaysAgo), EPSS: &sekisho.EPSS{}}})
	}
}

// TestDecisions holds what each policy makes of facts that differ in one thing
// from good ones: which of them deny.
func TestDecisions(t *testing.T) {
	all := ready.Names()
	for _, c := range []struct {
		name   string
		change func(*fact.Facts)
		deny   []string
	}{
		{"good", func(*fact.Facts) {}, nil},
		{"malware, sure", func(f *fact.Facts) {
			f.Findings = append(f.Findings, sekisho.Finding{Kind: sekisho.Malware, ID: "x", Confidence: "high"})
		}, all},
		{"malware, a doubt", func(f *fact.Facts) {
			f.Findings = append(f.Findings, sekisho.Finding{Kind: sekisho.Malware, ID: "x", Confidence: "low"})
		}, []string{"production", "pci-dss"}},
		{"secret", func(f *fact.Facts) {
			f.Findings = append(f.Findings, sekisho.Finding{Kind: sekisho.Secret, ID: "x", Confidence: "high"})
		}, all},
		{"critical, fixed yesterday", flaw(sekisho.Critical, 1), nil},
		{"critical, fixed ten days ago", flaw(sekisho.Critical, 10), []string{"production"}},
		{"critical, fixed a month ago", flaw(sekisho.Critical, 30), all},
		{"high, fixed a month ago", flaw(sekisho.High, 30), []string{"production"}},
		{"high, fixed three months ago", flaw(sekisho.High, 90), []string{"production", "pci-dss"}},
		{"exploited", func(f *fact.Facts) { flaw(sekisho.Low, 1)(f); f.Findings[0].KEV = &sekisho.KEV{} }, all},
		{"root", func(f *fact.Facts) { f.User, f.Workload.RunAsNonRoot = ptr("0"), nil }, []string{"production", "pci-dss"}},
		{"privileged", func(f *fact.Facts) { f.Workload.Privileged = ptr(true) }, []string{"production", "pci-dss"}},
		{"no approval", func(f *fact.Facts) { f.Approvals = []fact.Approval{} }, []string{"production", "pci-dss"}},
		{"no approval at build", func(f *fact.Facts) { f.Approvals, f.Stage = nil, fact.Build }, nil},
		{"tag at run", func(f *fact.Facts) { f.Reference = "registry.example.org/app:1" }, []string{"production", "pci-dss"}},
		{"no database", func(f *fact.Facts) {
			f.Assessed, f.Feeds = []string{fact.Packages, fact.Secrets, fact.Malware, fact.Misconfiguration}, []sekisho.Feed{}
		}, []string{"production", "pci-dss"}},
		{"nobody has looked at it", func(f *fact.Facts) { f.Image = fact.Image{} }, all},
	} {
		for _, name := range all {
			f := good()
			c.change(f)
			d := decide(t, name, f)
			if want := slices.Contains(c.deny, name); (d.Result == sekisho.Deny) != want {
				t.Errorf("%s, %s: %s: %+v", c.name, name, d.Result, d.Reasons)
			}
		}
	}
}
