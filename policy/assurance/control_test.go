package assurance_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/i18n"
	"sekisho/policy/assurance"
	"sekisho/policy/exception"
	"sekisho/policy/fact"
)

var now = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

func ago(days int) time.Time { return now.AddDate(0, 0, -days) }

const manifest = sekisho.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")

// policy makes a policy that denies, of controls in YAML.
func policy(t testing.TB, body string) *assurance.Policy {
	t.Helper()
	p, err := assurance.Parse(strings.NewReader("name: test\nowner: team\n"+body), "p.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func vulnerability(id string, s sekisho.Severity, more func(*sekisho.Finding)) sekisho.Finding {
	f := sekisho.Finding{Kind: sekisho.Vulnerability, ID: id, Severity: s, Fingerprint: id, Package: &sekisho.PackageRef{Name: "openssl", Version: "3.0.1"}, Vulnerable: &sekisho.Vulnerable{}}
	if more != nil {
		more(&f)
	}
	return f
}

// whole are facts of an image about which everything is known and good.
func whole() *fact.Facts {
	f := &fact.Facts{}
	f.Digest, f.Assessed = manifest, fact.Assessable()
	f.Packages = []sekisho.Package{{Name: "openssl", Version: "3.0.1", Type: "deb", Licence: "Apache-2.0"}, {Name: "bash", Version: "5.2", Type: "deb", Licence: "GPL-3.0-or-later"}}
	f.Findings, f.Problems = []sekisho.Finding{}, []sekisho.Problem{}
	f.OS = &sekisho.OS{ID: "debian", Version: "12", Name: "Debian 12", SupportedUntil: "2028-06-30"}
	f.User, f.Labels, f.Created, f.Base = ptr("10001"), map[string]string{"team": "pay"}, ptr(ago(5)), ptr("debian:12-slim")
	f.Scanned, f.Feeds = ptr(ago(1)), []sekisho.Feed{{Name: "debian", Kind: "advisories", Checked: ago(1)}, {Name: "yara:own", Newest: ago(90)}}
	f.SBOM, f.TagImmutable = ptr(true), ptr(true)
	f.Signatures = []fact.Signature{{Identity: "https://github.com/example/app/.github/workflows/release.yml@refs/heads/main", Issuer: "https://token.actions.githubusercontent.com"}}
	f.Provenance = []fact.Provenance{{Builder: "https://github.com/actions/runner", Source: "https://github.com/example/app", Level: 2}}
	f.Approvals = []fact.Approval{{Environment: "production", Author: "a", Approver: "b", Time: ago(3), Until: ago(-30)}}
	f.Evidence = map[string]*fact.Evidence{"sast": {Tool: "CodeQL", Time: ago(2), Results: []fact.Result{{Rule: "js/xss", Level: "warning", Score: 6.1, Path: "a.js", Line: 3}}}}
	f.Now, f.Stage, f.Reference = now, fact.Run, "registry.example.org/pay/app:1.2@"+string(manifest)
	f.Environment = ptr("production")
	f.Workload = &fact.Workload{Namespace: ptr("pay"), Labels: map[string]string{"app": "web"}, RunAsNonRoot: ptr(true), Privileged: ptr(false), PrivilegeEscalation: ptr(false),
		AddCapabilities: []string{}, DropCapabilities: []string{"ALL"}, HostNetwork: ptr(false), HostPID: ptr(false), HostIPC: ptr(false), HostPaths: []string{}, ReadOnlyRoot: ptr(true)}
	return f
}

func judge(p *assurance.Policy, f *fact.Facts, e *exception.File) *sekisho.Decision {
	return assurance.Evaluate(assurance.NewSet(p), assurance.Prepare(&f.Image, e), &f.Request).Decision()
}

func fixedIn(version string, days int) func(*sekisho.Finding) {
	return func(f *sekisho.Finding) {
		f.FixedIn, f.Status, f.Vulnerable.Fixed, f.Published = []string{version}, sekisho.StatusFixed, ago(days), ago(days+10)
	}
}

// add puts findings into facts.
func add(list ...sekisho.Finding) func(*fact.Facts) {
	return func(f *fact.Facts) { f.Findings = append(f.Findings, list...) }
}

// TestControls gives each control facts that it must pass, fail, or say it
// could not judge.
func TestControls(t *testing.T) {
	const pass, fail, unknown, broken, nothing = sekisho.ControlPass, sekisho.ControlFail, sekisho.ControlNotAssessed, sekisho.ControlError, sekisho.ControlNotApplicable
	forget := func(kind string) func(*fact.Facts) {
		return func(f *fact.Facts) {
			f.Assessed = slices.DeleteFunc(slices.Clone(f.Assessed), func(k string) bool { return k == kind })
		}
	}
	alone := func(f *fact.Facts) { f.Workload = nil }
	critical := add(vulnerability("CVE-1", sekisho.Critical, nil))
	for _, c := range []struct {
		control string
		change  func(*fact.Facts)
		want    string
	}{
		{"severity, maximum: high", nil, pass},
		{"severity, maximum: high", critical, fail},
		{"severity, maximum: high", add(vulnerability("CVE-1", sekisho.High, nil)), pass},
		{"severity, maximum: high", add(vulnerability("CVE-1", "", nil)), unknown},
		{"severity, maximum: high", forget(fact.Vulnerabilities), unknown},
		{"severity, maximum: high", func(f *fact.Facts) {
			f.Coverage = []sekisho.Cover{{Ecosystem: "npm", State: sekisho.NotCovered, Packages: 3}}
		}, unknown},
		{"severity, maximum: high, only_fixable: true", critical, pass},
		{"severity, maximum: high, only_fixable: true", add(vulnerability("CVE-1", sekisho.Critical, fixedIn("3.0.2", 1))), fail},
		{"severity, maximum: high, grace_days: 30, grace_since: fix", add(vulnerability("CVE-1", sekisho.Critical, fixedIn("3.0.2", 29))), pass},
		{"severity, maximum: high, grace_days: 30, grace_since: fix", add(vulnerability("CVE-1", sekisho.Critical, fixedIn("3.0.2", 30))), fail},
		{"severity, maximum: high, grace_days: 30, grace_since: fix", critical, pass},
		{"severity, maximum: high, grace_days: 30", critical, fail}, // nobody knows since when
		{"severity, maximum: high, grace_days: 30", add(vulnerability("CVE-1", sekisho.Critical, fixedIn("1", 10))), pass},
		{"cvss, maximum: 7", add(vulnerability("CVE-1", sekisho.Low, func(f *sekisho.Finding) {
			f.CVSS = []sekisho.CVSS{{Version: "2.0", Score: 9, Vector: "AV:N"}, {Version: "3.1", Score: 7, Vector: "AV:N"}}
		})), pass},
		{"cvss, maximum: 7", add(vulnerability("CVE-1", sekisho.Low, func(f *sekisho.Finding) { f.CVSS = []sekisho.CVSS{{Version: "3.1", Score: 7.1}} })), fail},
		{"cvss, maximum: 7", critical, unknown},
		{"epss, maximum: 0.5", add(vulnerability("CVE-1", sekisho.Low, func(f *sekisho.Finding) { f.EPSS = &sekisho.EPSS{Score: 0.51} })), fail},
		{"epss, maximum: 0.5", add(vulnerability("CVE-1", sekisho.Low, func(f *sekisho.Finding) { f.EPSS = &sekisho.EPSS{Score: 0.5} })), pass},
		{"epss, maximum: 0.5", critical, unknown},
		{"epss, maximum: 0.5", forget(fact.EPSS), unknown},
		{"kev", add(vulnerability("CVE-1", sekisho.Low, func(f *sekisho.Finding) { f.KEV = &sekisho.KEV{} })), fail},
		{"kev, ransomware: true", add(vulnerability("CVE-1", sekisho.Low, func(f *sekisho.Finding) { f.KEV = &sekisho.KEV{} })), pass},
		{"kev", critical, pass},
		{"kev", forget(fact.KEV), unknown},
		{"cves, ids: [cve-1]", critical, fail},
		{"cves, ids: [CVE-2*]", critical, pass},
		{"cves, ids: [CVE-9]", add(vulnerability("GHSA-1", sekisho.Low, func(f *sekisho.Finding) { f.Aliases = []string{"CVE-9"} })), fail},
		{"denied-packages, packages: [{name: bash}]", nil, fail},
		{"denied-packages, packages: [{name: 'ba*', version: '4.*'}]", nil, pass},
		{"denied-packages, packages: [{name: bash, type: rpm}]", nil, pass},
		{"denied-packages, packages: [{name: bash}]", forget(fact.Packages), unknown},
		{"required-packages, packages: [{name: 'open*'}]", nil, pass},
		{"required-packages, packages: [{name: agent}]", nil, fail},
		{"licences, denied: ['GPL-3.0*']", nil, fail},
		{"licences, allowed: [Apache-2.0, 'GPL-*']", nil, pass},
		{"licences, allowed: ['*']", func(f *fact.Facts) { f.Packages = append(f.Packages, sekisho.Package{Name: "x"}) }, unknown},
		{"supported-os", nil, pass},
		{"supported-os", func(f *fact.Facts) { f.OS.SupportedUntil = "2026-11-23" }, fail},
		{"supported-os", func(f *fact.Facts) { f.OS.SupportedUntil = "2026-11-24" }, pass},
		{"supported-os", func(f *fact.Facts) { f.OS.SupportedUntil = "" }, unknown},
		{"supported-os", func(f *fact.Facts) { f.OS = nil }, nothing},
		{"malware", nil, pass},
		{"malware", add(sekisho.Finding{Kind: sekisho.Malware, ID: "x", Confidence: "low"}), fail},
		{"malware, confidence: medium", add(sekisho.Finding{Kind: sekisho.Malware, ID: "x", Confidence: "low"}), pass},
		{"malware", forget(fact.Malware), unknown},
		{"malware", add(vulnerability("MAL-1", sekisho.Critical, func(f *sekisho.Finding) { f.Malicious = true })), fail},
		{"malware", func(f *fact.Facts) {
			add(vulnerability("MAL-1", sekisho.Critical, func(f *sekisho.Finding) { f.Malicious = true }))(f)
			forget(fact.Malware)(f)
		}, fail},
		{"secrets", add(sekisho.Finding{Kind: sekisho.Secret, ID: "x", Class: "password"}), fail},
		{"secrets, classes: [private_key]", add(sekisho.Finding{Kind: sekisho.Secret, ID: "x", Class: "password"}), pass},
		{"secrets", forget(fact.Secrets), unknown},
		{"misconfiguration, ids: [CIS-Docker-4.8]", add(sekisho.Finding{Kind: sekisho.Misconfiguration, ID: "SKS-IMG-003", Aliases: []string{"CIS-Docker-4.8"}}), fail},
		{"misconfiguration, maximum: medium", add(sekisho.Finding{Kind: sekisho.Misconfiguration, ID: "x", Severity: sekisho.High}), fail},
		{"misconfiguration, maximum: medium", add(sekisho.Finding{Kind: sekisho.Misconfiguration, ID: "x", Severity: sekisho.Medium}), pass},
		{"unread-files", func(f *fact.Facts) { f.Problems = []sekisho.Problem{{Path: "a"}} }, fail},
		{"unread-files, maximum: 1", func(f *fact.Facts) { f.Problems = []sekisho.Problem{{Path: "a"}} }, pass},
		{"root-user", nil, pass},
		{"root-user", func(f *fact.Facts) { alone(f); f.User = ptr("") }, fail},
		{"root-user", func(f *fact.Facts) { alone(f); f.User = ptr("0:0") }, fail},
		{"root-user", func(f *fact.Facts) { alone(f); f.User = ptr("00") }, fail},
		{"root-user", func(f *fact.Facts) { alone(f); f.User = ptr("web") }, pass},
		{"root-user, numeric: true", func(f *fact.Facts) { alone(f); f.User = ptr("web") }, fail},
		{"root-user, minimum_uid: 10000", func(f *fact.Facts) { f.User = ptr("999") }, fail},
		{"root-user", func(f *fact.Facts) { alone(f); f.User = nil }, unknown},
		{"root-user", func(f *fact.Facts) { f.User = ptr("1"); f.Workload.User = ptr("0"); f.Workload.RunAsNonRoot = nil }, fail},
		{"capabilities", nil, pass},
		{"capabilities, allowed: [net_bind_service]", func(f *fact.Facts) { f.Workload.AddCapabilities = []string{"CAP_NET_BIND_SERVICE"} }, pass},
		{"capabilities, denied: [SYS_ADMIN]", func(f *fact.Facts) { f.Workload.AddCapabilities = []string{"ALL"} }, fail},
		{"capabilities, denied: [SYS_ADMIN]", func(f *fact.Facts) { f.Workload.AddCapabilities = []string{"CHOWN"} }, pass},
		{"capabilities", func(f *fact.Facts) { f.Workload.AddCapabilities = nil }, unknown},
		{"capabilities, drop_all: true", func(f *fact.Facts) { f.Workload.DropCapabilities = []string{} }, fail},
		{"capabilities", func(f *fact.Facts) { f.Workload.Privileged = ptr(true) }, fail},
		{"capabilities", alone, nothing},
		{"privileged", func(f *fact.Facts) { f.Workload.Privileged = ptr(true) }, fail},
		{"privileged", func(f *fact.Facts) { f.Workload.Privileged = nil }, unknown},
		{"privileged", alone, nothing},
		{"privilege-escalation", func(f *fact.Facts) { f.Workload.PrivilegeEscalation = ptr(true) }, fail},
		{"host-access", func(f *fact.Facts) { f.Workload.HostPID = ptr(true) }, fail},
		{"host-access, allowed: [pid]", func(f *fact.Facts) { f.Workload.HostPID = ptr(true) }, pass},
		{"host-access, allowed_paths: [/var/log/**]", func(f *fact.Facts) { f.Workload.HostPaths = []string{"/var/log/pods"} }, pass},
		{"host-access, allowed_paths: [/var/log/**]", func(f *fact.Facts) { f.Workload.HostPaths = []string{"/var/log/../run/docker.sock"} }, fail},
		{"host-access", func(f *fact.Facts) { f.Workload.HostPaths = nil }, unknown},
		{"read-only-root", func(f *fact.Facts) { f.Workload.ReadOnlyRoot = ptr(false) }, fail},
		{"labels, required: {team: 'pay*'}", nil, pass},
		{"labels, required: {owner: '*'}", nil, fail},
		{"labels, of: workload, denied: {app: web}", nil, fail},
		{"labels, required: {team: '*'}", func(f *fact.Facts) { f.Labels = nil }, unknown},
		{"registries, allowed: [registry.example.org]", nil, pass},
		{"registries, allowed: [registry.example.org]", func(f *fact.Facts) { f.Reference = "nginx" }, fail},
		{"registries, allowed: [registry.example.org]", func(f *fact.Facts) { f.Reference = "registry.example.org.evil.com/app" }, fail},
		{"registries, allowed: [registry.example.org]", func(f *fact.Facts) { f.Reference = "" }, unknown},
		{"registries, allowed: [registry.example.org]", func(f *fact.Facts) { f.Reference = "Not A Name" }, broken},
		{"base-image, allowed: ['docker.io/library/debian:12*']", nil, pass},
		{"base-image, allowed: ['docker.io/library/debian:13*']", nil, fail},
		{"base-image, allowed: [debian]", func(f *fact.Facts) { f.Base = nil }, unknown},
		{"digest-pinned", nil, pass},
		{"digest-pinned", func(f *fact.Facts) { f.Reference = "nginx:1.27" }, fail},
		{"tags, denied: [latest]", func(f *fact.Facts) { f.Reference = "nginx" }, fail},
		{"tags, denied: [latest]", nil, pass},
		{"tag-immutable", func(f *fact.Facts) { f.Reference, f.TagImmutable = "a.example/x:1", ptr(false) }, fail},
		{"tag-immutable", func(f *fact.Facts) { f.Reference, f.TagImmutable = "a.example/x:1", nil }, unknown},
		{"tag-immutable", func(f *fact.Facts) { f.TagImmutable = nil }, pass},
		{"tag-immutable", func(f *fact.Facts) { f.Reference, f.TagFixed = "a.example/x:1", ptr(false) }, fail},
		{"tag-immutable", func(f *fact.Facts) { f.Reference, f.TagImmutable, f.TagFixed = "a.example/x:1", nil, ptr(true) }, pass},
		{"image-age, max_days: 5", nil, pass},
		{"image-age, max_days: 4", nil, fail},
		{"image-age, max_days: 5", func(f *fact.Facts) { f.Created = ptr(time.Unix(0, 0)) }, unknown},
		{"image-age, max_days: 5", func(f *fact.Facts) { f.Created = ptr(ago(-9)) }, fail},
		{"scan-age, max_days: 1", nil, pass},
		{"scan-age, max_days: 1", func(f *fact.Facts) { f.Scanned = ptr(ago(2)) }, fail},
		{"scan-age, max_days: 1", func(f *fact.Facts) { f.Scanned = nil }, unknown},
		{"feed-age, max_days: 1", nil, pass},
		{"feed-age, max_days: 7, kind: signatures", nil, fail},
		{"feed-age, max_days: 1, feeds: [osv]", nil, unknown},
		{"sbom", nil, pass},
		{"sbom", func(f *fact.Facts) { f.SBOM = ptr(false) }, fail},
		{"sbom", func(f *fact.Facts) { f.SBOM = nil }, unknown},
		{"signature, identities: [{issuer: 'https://token.actions.githubusercontent.com', subject: 'https://github.com/example/*'}]", nil, pass},
		{"signature, identities: [{issuer: 'https://token.actions.githubusercontent.com', subject: 'https://github.com/evil/*'}]", nil, fail},
		{"signature, keys: ['" + string(manifest) + "']", func(f *fact.Facts) { f.Signatures = []fact.Signature{{Key: string(manifest)}, {Key: string(manifest)}} }, pass},
		{"signature, at_least: 2, identities: [{issuer: '*', subject: '*'}]", nil, fail},
		{"signature, identities: [{issuer: '*', subject: '*'}]", func(f *fact.Facts) { f.Signatures = nil }, unknown},
		{"signature, identities: [{issuer: '*', subject: '*'}]", func(f *fact.Facts) { f.Signatures = []fact.Signature{} }, fail},
		{"provenance, sources: ['https://github.com/example/*'], level: 2", nil, pass},
		{"provenance, level: 3", nil, fail},
		{"provenance, level: 1", func(f *fact.Facts) { f.Provenance = nil }, unknown},
		{"approval", nil, pass},
		{"approval", func(f *fact.Facts) { f.Approvals[0].Approver = "a" }, fail},
		{"approval", func(f *fact.Facts) { f.Approvals[0].Until = now }, fail},
		{"approval", func(f *fact.Facts) { f.Approvals[0].Lapsed = "CVE-1" }, fail},
		{"approval", func(f *fact.Facts) { f.Approvals[0].Lapsed, f.Again = "CVE-1", true }, pass},
		{"approval", func(f *fact.Facts) { f.Approvals[0].Until, f.Again = now, true }, pass},
		{"approval", func(f *fact.Facts) { f.Approvals[0].Approver, f.Again = "a", true }, fail},
		{"approval", func(f *fact.Facts) { f.Approvals, f.Again = []fact.Approval{}, true }, fail},
		{"unread-files", func(f *fact.Facts) { f.Scanner = &fact.Scanner{Name: "trivy"} }, unknown},
		{"supported-os", func(f *fact.Facts) { f.OS, f.Scanner = nil, &fact.Scanner{Name: "trivy"} }, unknown},
		{"approval", func(f *fact.Facts) { // of another environment, it let nothing in here
			f.Approvals[0].Lapsed, f.Again, f.Approvals[0].Environment = "CVE-1", true, "elsewhere"
		}, fail},
		{"approval, running: stop", func(f *fact.Facts) { f.Approvals[0].Lapsed, f.Again = "CVE-1", true }, fail},
		{"approval", func(f *fact.Facts) { f.Environment = ptr("staging") }, fail},
		{"approval", func(f *fact.Facts) { f.Environment = nil }, unknown},
		{"approval, max_days: 2", nil, fail},
		{"approval", func(f *fact.Facts) {
			f.Approvals = append([]fact.Approval{{Author: "a", Approver: "a"}}, f.Approvals...)
		}, pass},
		{"evidence, name: sast, maximum: warning", nil, pass},
		{"evidence, name: sast, maximum: note", nil, fail},
		{"evidence, name: sast, max_score: 6", nil, fail},
		{"evidence, name: dast", nil, unknown},
		{"evidence, name: sast, max_days: 1", nil, fail},
		{"evidence, name: sast", func(f *fact.Facts) { f.Evidence["sast"].Failed = true }, broken},
	} {
		name, parameters, _ := strings.Cut(c.control, ", ")
		p := policy(t, "controls:\n  - {control: "+name+map[bool]string{true: ", "}[parameters != ""]+parameters+"}\n")
		f := whole()
		if c.change != nil {
			c.change(f)
		}
		d := judge(p, f, nil)
		if got := d.Controls[0].Result; got != c.want {
			t.Errorf("%s: %s, want %s: %+v", c.control, got, c.want, d.Reasons)
		}
		denied := c.want != pass && c.want != nothing
		if (d.Result == sekisho.Deny) != denied || (len(d.Reasons) > 0) != denied {
			t.Errorf("%s: result %s with %d reasons", c.control, d.Result, len(d.Reasons))
		}
		worded(t, d)
	}
}

// worded wants every reason to have its words in both languages, with no
// placeholder left.
func worded(t *testing.T, d *sekisho.Decision) {
	t.Helper()
	for _, l := range i18n.Languages() {
		assurance.Describe(d, i18n.New(l))
		for _, r := range d.Reasons {
			if r.Message == "" || strings.HasPrefix(r.Message, "policy.") || strings.ContainsAny(r.Message+r.Fix, "{}") {
				t.Errorf("%s (%s): message %q, fix %q", r.Key, l, r.Message, r.Fix)
			}
			if r.Owner != "team" || r.Control == "" {
				t.Errorf("%s: reason without owner or control: %+v", r.Key, r)
			}
		}
	}
}

// TestEveryControlIsTested holds the table above to the list of controls.
func TestEveryControl(t *testing.T) {
	p := i18n.New(i18n.English)
	for _, name := range assurance.Names() {
		if !p.Has("policy." + name + ".title") {
			t.Errorf("%s has no title in the catalogue", name)
		}
	}
}

// TestModes holds what each mode and effect makes of a control that fails.
func TestModes(t *testing.T) {
	bad := whole()
	add(vulnerability("CVE-1", sekisho.Critical, nil))(bad)
	lost := whole()
	lost.Assessed = nil
	for _, c := range []struct {
		name, body string
		facts      *fact.Facts
		want       string
		reasons    int
	}{
		{"deny", "mode: deny\ncontrols: [{control: severity, maximum: high}]", bad, sekisho.Deny, 1},
		{"deny is the default", "controls: [{control: severity, maximum: high}]", bad, sekisho.Deny, 1},
		{"warn", "mode: warn\ncontrols: [{control: severity, maximum: high}]", bad, sekisho.Warn, 1},
		{"audit", "mode: audit\ncontrols: [{control: severity, maximum: high}]", bad, sekisho.Allow, 1},
		{"note", "controls: [{control: severity, maximum: high, effect: note}]", bad, sekisho.Allow, 1},
		{"not assessed", "controls: [{control: malware}]", lost, sekisho.Deny, 1},
		{"not assessed, allowed", "controls: [{control: malware, not_assessed: allow}]", lost, sekisho.Allow, 1},
		{"not assessed, allowed for all", "not_assessed: allow\ncontrols: [{control: malware}]", lost, sekisho.Allow, 1},
		{"not assessed, denied again", "not_assessed: allow\ncontrols: [{control: malware, not_assessed: deny}]", lost, sekisho.Deny, 1},
		{"elsewhere", "controls: [{control: malware, at: [build]}]", lost, sekisho.Allow, 0},
		{"here", "controls: [{control: malware, at: [build, run]}]", lost, sekisho.Deny, 1},
	} {
		d := judge(policy(t, c.body), c.facts, nil)
		if d.Result != c.want || len(d.Reasons) != c.reasons {
			t.Errorf("%s: %s with %d reasons, want %s with %d", c.name, d.Result, len(d.Reasons), c.want, c.reasons)
		}
	}
	lost.Stage = ""
	if d := judge(policy(t, "controls: [{control: malware, at: [build]}]"), lost, nil); d.Result != sekisho.Deny {
		t.Error("where the stage is not known, the control must judge")
	}
}

// TestRules runs free rules.
func TestRules(t *testing.T) {
	alone := func(f *fact.Facts) { f.Workload = nil }
	for _, c := range []struct {
		expression string
		change     func(*fact.Facts)
		want       string
	}{
		{`image.registry == 'registry.example.org' && image.pinned`, nil, sekisho.ControlPass},
		{`image.tag != '1.2'`, nil, sekisho.ControlFail},
		{`vulnerabilities.all(v, v.severity != 'critical' || !v.fixable)`, add(vulnerability("CVE-1", sekisho.Critical, fixedIn("2", 1))), sekisho.ControlFail},
		{`vulnerabilities.filter(v, v.rank >= 4).size() < 2`, add(vulnerability("CVE-1", sekisho.Critical, nil)), sekisho.ControlPass},
		{`vulnerabilities.all(v, now - v.published < duration('720h'))`, add(vulnerability("CVE-1", sekisho.Low, fixedIn("2", 1))), sekisho.ControlPass},
		{`!vulnerabilities.exists(v, v.kev)`, func(f *fact.Facts) { f.Assessed = []string{fact.Vulnerabilities} }, sekisho.ControlNotAssessed},
		{`vulnerabilities.size() == 0`, nil, sekisho.ControlPass},
		{`vulnerabilities.size() == 0`, func(f *fact.Facts) {
			f.Coverage = []sekisho.Cover{{Ecosystem: "npm", State: sekisho.NotCovered, Packages: 3}}
		}, sekisho.ControlNotAssessed},
		{`packages.exists(p, p.name == 'bash' && p.type == 'deb')`, nil, sekisho.ControlPass},
		{`image.labels['team'] == 'pay'`, nil, sekisho.ControlPass},
		{`image.labels['nobody'] == 'pay'`, nil, sekisho.ControlError},
		{`image.labels['team'] == 'pay'`, func(f *fact.Facts) { f.Labels = nil }, sekisho.ControlNotAssessed},
		{`workload.namespace == 'pay' && !workload.privileged`, nil, sekisho.ControlPass},
		{`!workload.privileged`, func(f *fact.Facts) { f.Workload.Privileged = nil }, sekisho.ControlNotAssessed},
		{`workload.namespace == 'x' || !workload.privileged`, func(f *fact.Facts) { f.Workload.Namespace = nil }, sekisho.ControlPass}, // does not depend on it
		{`!workload.privileged`, alone, sekisho.ControlNotApplicable},
		{`environment == 'production'`, nil, sekisho.ControlPass},
		{`environment == 'production'`, func(f *fact.Facts) { f.Environment = nil }, sekisho.ControlNotAssessed},
		{`signatures.exists(s, s.identity.startsWith('https://github.com/example/'))`, nil, sekisho.ControlPass},
		{`size(signatures) == 0`, func(f *fact.Facts) { f.Signatures = nil }, sekisho.ControlNotAssessed},
		{`evidence['sast'].all(r, r.score < 7.0)`, nil, sekisho.ControlPass},
		{`evidence['dast'].all(r, r.score < 7.0)`, nil, sekisho.ControlError},
		{`image.scanned > now - duration('48h')`, nil, sekisho.ControlPass},
		{`packages.all(a, packages.all(b, packages.all(c, packages.all(d, a.name != ''))))`, func(f *fact.Facts) {
			for range 300 {
				f.Packages = append(f.Packages, f.Packages[0])
			}
		}, sekisho.ControlError}, // costs more than the limit
	} {
		p := policy(t, "rules:\n  - name: own\n    expression: >-\n      "+c.expression+"\n    message: {en: not so, ja: ちがう}\n    fix: do it\n")
		f := whole()
		if c.change != nil {
			c.change(f)
		}
		d := judge(p, f, nil)
		if got := d.Controls[0].Result; got != c.want {
			t.Errorf("%s: %s, want %s: %+v", c.expression, got, c.want, d.Reasons)
		}
		worded(t, d)
		if c.want == sekisho.ControlFail {
			assurance.Describe(d, i18n.New(i18n.Japanese))
			if d.Reasons[0].Message != "ちがう" || d.Reasons[0].Fix != "do it" || d.Reasons[0].Evidence != c.expression {
				t.Errorf("words of the rule: %+v", d.Reasons[0])
			}
		}
	}
}

// TestExceptions holds that exceptions are evaluated for the image that is
// judged, shown and counted, and say when they have ended.
func TestExceptions(t *testing.T) {
	p := policy(t, "controls: [{control: severity, maximum: high}, {control: root-user}, {control: exceptions, approver: true, effect: note}]")
	f := whole()
	f.Workload, f.User = nil, ptr("")
	add(vulnerability("CVE-1", sekisho.Critical, nil), vulnerability("CVE-2", sekisho.Critical, fixedIn("2", 1)), vulnerability("CVE-3", sekisho.Critical, nil))(f)
	e, err := exception.Parse(strings.NewReader(`exceptions:
  - {id: CVE-1, images: ["registry.example.org/**"], reason: r, owner: o, approver: a, until: 2026-12-31}
  - {id: CVE-2, until_fixed: true, reason: r, owner: o, approver: a}
  - {id: CVE-3, reason: r, owner: o, until: 2026-11-23}
  - {id: CVE-3, images: ["other.example/**"], reason: r, owner: o, until: 2026-12-31}
  - {control: root-user, policy: test, reason: r, owner: o, until: 2026-12-31}
`), "e")
	if err != nil {
		t.Fatal(err)
	}
	d := judge(p, f, e)
	var findings []string
	for _, r := range d.Reasons {
		findings = append(findings, r.Control+" "+r.Finding)
	}
	if got, want := strings.Join(findings, ", "), "severity CVE-2, severity CVE-3, exceptions "; got != want {
		t.Errorf("reasons %q, want %q", got, want)
	}
	var states []string
	for _, u := range d.Exceptions {
		states = append(states, u.What+" "+u.State)
	}
	if got, want := strings.Join(states, ", "), "id=CVE-1 images=registry.example.org/** in_force, id=CVE-2 fixed, id=CVE-3 expired, control=root-user policy=test in_force"; got != want {
		t.Errorf("exceptions %q, want %q", got, want)
	}
	if d.Controls[0].Excepted != 1 || d.Controls[1].Excepted != 1 || d.Controls[1].Result != sekisho.ControlPass {
		t.Errorf("controls %+v", d.Controls)
	}
}

// TestStoredExceptions holds that an exception that was applied when a report
// was stored ends all the same.
func TestStoredExceptions(t *testing.T) {
	p := policy(t, "controls: [{control: severity, maximum: high}]")
	for _, c := range []struct {
		s    *sekisho.Suppressed
		want string
	}{
		{&sekisho.Suppressed{Until: now}, sekisho.Allow},
		{&sekisho.Suppressed{Until: ago(1)}, sekisho.Deny},
		{&sekisho.Suppressed{By: "vex"}, sekisho.Allow},
		{&sekisho.Suppressed{UntilFixed: true}, sekisho.Deny},
	} {
		f := whole()
		add(vulnerability("CVE-1", sekisho.Critical, func(x *sekisho.Finding) { x.Suppressed, x.FixedIn = c.s, []string{"2"} }))(f)
		if d := judge(p, f, nil); d.Result != c.want {
			t.Errorf("%+v: %s, want %s", c.s, d.Result, c.want)
		}
	}
}
