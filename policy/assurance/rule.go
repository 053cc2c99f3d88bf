package assurance

import (
	"errors"
	"strings"
	"time"

	"sekisho"
	"sekisho/policy/fact"
	"sekisho/policy/rule"
)

// ruleControl is a free rule: a condition in CEL that must be true.
type ruleControl struct {
	Expression string `yaml:"expression"`
	Message    Text   `yaml:"-"`
	Fix        Text   `yaml:"-"`
	program    *rule.Program
}

func (c *ruleControl) ready() error { return nil }

func (c *ruleControl) judge(x *Index, r *request, j *judgement) {
	if r.Workload == nil && c.program.Uses("workload") {
		j.nothing = true
		return
	}
	if j.v.facts == nil {
		j.v.facts, j.v.unknown = ruleFacts(x, r)
	}
	j.looked = 1
	for field, kind := range map[string]string{".kev": fact.KEV, ".ransomware": fact.KEV, ".epss": fact.EPSS} {
		if c.program.Uses(field) && !x.knows(kind) {
			j.lacking(kind)
			return
		}
	}
	var unknown *rule.Unknown
	ok, err := c.program.Evaluate(j.v.facts, j.v.unknown)
	switch {
	case errors.As(err, &unknown):
		j.lacking(unknown.Facts...)
	case err != nil:
		j.broken(err.Error())
	case ok && c.program.Uses("vulnerabilities") && x.knows(fact.Vulnerabilities):
		j.needs(x, fact.Vulnerabilities) // of packages that no advisories cover, nothing can be said
	case !ok:
		j.details = append(j.details, detail{sekisho.ControlFail, "rule", []string{"message", c.Message.In(false), "message_ja", c.Message.In(true),
			"fix", c.Fix.In(false), "fix_ja", c.Fix.In(true), "evidence", c.Expression}})
	}
}

// lacking notes that the answer depends on facts that are not known.
func (j *judgement) lacking(facts ...string) {
	j.details = append(j.details, detail{sekisho.ControlNotAssessed, "", []string{"fact", "@fact.rule", "evidence", strings.Join(facts, ", ")}})
}

// gatherer fills in facts for rules and notes those that are not known.
type gatherer struct{ unknown []rule.Path }

func (g *gatherer) lacks(variable, field string) {
	g.unknown = append(g.unknown, rule.Path{Variable: variable, Field: field})
}

// known copies a fact, or notes that there is none.
func known[T any](g *gatherer, into *T, from *T, variable, field string) {
	if from == nil {
		g.lacks(variable, field)
		return
	}
	*into = *from
}

func ruleFacts(x *Index, r *request) (*rule.Facts, []rule.Path) {
	g := &gatherer{}
	f := &rule.Facts{Now: r.Now, Stage: r.Stage}
	if r.Stage == "" {
		g.lacks("stage", "")
	}
	known(g, &f.Environment, r.Environment, "environment", "")
	known(g, &f.Host, r.Host, "host", "")
	g.image(&f.Image, x, r)
	if r.Workload != nil {
		g.workload(&f.Workload, r.Workload)
	}
	g.findings(f, x, r)
	g.supply(f, x.image)
	return f, g.unknown
}

func (g *gatherer) image(i *rule.Image, x *Index, r *request) {
	if r.ref == nil {
		for _, field := range []string{"reference", "registry", "repository", "tag", "pinned"} {
			g.lacks("image", field)
		}
	} else {
		i.Reference, i.Registry, i.Repository, i.Tag, i.Pinned = r.ref.String(), r.ref.Registry, r.ref.Repository, r.ref.Tag, r.ref.Digest != ""
	}
	m := x.image
	if i.Digest = string(m.Digest); i.Digest == "" {
		g.lacks("image", "digest")
	}
	if i.Labels = m.Labels; m.Labels == nil {
		g.lacks("image", "labels")
	}
	known(g, &i.User, m.User, "image", "user")
	known(g, &i.Created, m.Created, "image", "created")
	known(g, &i.Scanned, m.Scanned, "image", "scanned")
	known(g, &i.Base, m.Base, "image", "base")
	known(g, &i.SBOM, m.SBOM, "image", "sbom")
	if r.TagFixed != nil {
		i.TagImmutable = *r.TagFixed
	} else {
		known(g, &i.TagImmutable, m.TagImmutable, "image", "tag_immutable")
	}
	if m.Scanner != nil {
		i.Scanner = m.Scanner.Name
	}
	if m.Scanned == nil || m.Scanner != nil {
		g.lacks("image", "unread")
		g.lacks("image", "os")
		g.lacks("image", "os_version")
		g.lacks("image", "supported_until")
	}
	i.Unread = len(m.Problems)
	if m.OS != nil {
		i.OS, i.OSVersion, i.SupportedUntil = m.OS.ID, m.OS.Version, m.OS.SupportedUntil
	}
}

func (g *gatherer) workload(w *rule.Workload, m *fact.Workload) {
	w.Kind, w.Name, w.Container = m.Kind, m.Name, m.Container
	known(g, &w.Namespace, m.Namespace, "workload", "namespace")
	known(g, &w.User, m.User, "workload", "user")
	known(g, &w.RunAsNonRoot, m.RunAsNonRoot, "workload", "run_as_non_root")
	known(g, &w.Privileged, m.Privileged, "workload", "privileged")
	known(g, &w.PrivilegeEscalation, m.PrivilegeEscalation, "workload", "privilege_escalation")
	known(g, &w.HostNetwork, m.HostNetwork, "workload", "host_network")
	known(g, &w.HostPID, m.HostPID, "workload", "host_pid")
	known(g, &w.HostIPC, m.HostIPC, "workload", "host_ipc")
	known(g, &w.ReadOnlyRoot, m.ReadOnlyRoot, "workload", "read_only_root")
	known(g, &w.Seccomp, m.Seccomp, "workload", "seccomp")
	known(g, &w.ProcMount, m.ProcMount, "workload", "proc_mount")
	known(g, &w.ServiceAccount, m.ServiceAccount, "workload", "service_account")
	if w.Labels = m.Labels; m.Labels == nil {
		g.lacks("workload", "labels")
	}
	if w.AddCapabilities = capabilities(m.AddCapabilities); m.AddCapabilities == nil {
		g.lacks("workload", "add_capabilities")
	}
	if w.DropCapabilities = capabilities(m.DropCapabilities); m.DropCapabilities == nil {
		g.lacks("workload", "drop_capabilities")
	}
	if w.HostPaths = m.HostPaths; m.HostPaths == nil {
		g.lacks("workload", "host_paths")
	}
}

func (g *gatherer) findings(f *rule.Facts, x *Index, r *request) {
	for variable, kind := range map[string]string{"packages": fact.Packages, "vulnerabilities": fact.Vulnerabilities, "secrets": fact.Secrets,
		"malware": fact.Malware, "misconfigurations": fact.Misconfiguration} {
		if !x.knows(kind) {
			g.lacks(variable, "")
		}
	}
	for _, p := range x.image.Packages {
		f.Packages = append(f.Packages, rule.Package{Name: p.Name, Version: p.Version, Type: p.Type, PURL: p.PURL, Licence: p.Licence})
	}
	for n := range x.vulns {
		if v := &x.vulns[n]; !accepted(x, r, v.finding) {
			f.Vulnerabilities = append(f.Vulnerabilities, ruleVulnerability(v, &x.image.Findings[v.finding]))
		}
	}
	for _, l := range []struct {
		into *[]rule.Finding
		from []int32
	}{{&f.Secrets, x.secrets}, {&f.Malware, x.malware}, {&f.Misconfiguration, x.misconfigs}} {
		for _, n := range l.from {
			if accepted(x, r, n) {
				continue
			}
			k := &x.image.Findings[n]
			*l.into = append(*l.into, rule.Finding{ID: k.ID, Aliases: k.Aliases, Severity: string(k.Severity), Rank: k.Severity.Rank(),
				Confidence: k.Confidence, Class: k.Class, Path: k.Location.Path, Evidence: k.Evidence})
		}
	}
}

func ruleVulnerability(v *vuln, f *sekisho.Finding) rule.Vulnerability {
	out := rule.Vulnerability{ID: f.ID, Aliases: f.Aliases, Severity: string(f.Severity), Rank: int(v.rank), Path: f.Location.Path, Fixable: v.flags&fixable != 0,
		FixedIn: f.FixedIn, Status: f.Status, CVSS: float64(v.cvss) / 10, EPSS: float64(v.epss), KEV: v.flags&kev != 0, Ransomware: v.flags&ransomware != 0}
	if p := f.Package; p != nil {
		out.Package, out.Version, out.PURL = p.Name, p.Version, p.PURL
	}
	if f.Vulnerable != nil {
		out.EPSS = 0
		if f.EPSS != nil {
			out.EPSS = f.EPSS.Score
		}
		out.Malicious, out.Reachable, out.Published, out.Fixed = f.Malicious, f.Reachable, f.Published, f.Vulnerable.Fixed
	}
	return out
}

func (g *gatherer) supply(f *rule.Facts, m *fact.Image) {
	for variable, missing := range map[string]bool{"signatures": m.Signatures == nil, "provenance": m.Provenance == nil, "approvals": m.Approvals == nil, "evidence": m.Evidence == nil} {
		if missing {
			g.lacks(variable, "")
		}
	}
	for _, s := range m.Signatures {
		f.Signatures = append(f.Signatures, rule.Signature(s))
	}
	for _, p := range m.Provenance {
		f.Provenance = append(f.Provenance, rule.Provenance{Builder: p.Builder, Source: p.Source, Commit: p.Commit, Level: p.Level})
	}
	for _, a := range m.Approvals {
		f.Approvals = append(f.Approvals, rule.Approval{Environment: a.Environment, Author: a.Author, Approver: a.Approver, Until: until(a.Until), Lapsed: a.Lapsed})
	}
	f.Evidence = map[string][]rule.Result{}
	for name, e := range m.Evidence {
		list := []rule.Result{}
		for _, q := range e.Results {
			list = append(list, rule.Result(q))
		}
		f.Evidence[name] = list
	}
}

// until is an end that CEL can compare; none is far away.
func until(t time.Time) time.Time {
	if t.IsZero() {
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t
}
