package assurance_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/policy/assurance"
	"sekisho/policy/exception"
	"sekisho/policy/fact"
)

// rounds is how many random worlds a property is tried on.
const rounds = 400

// controls that random policies are made of; %d is a random number below ten.
var snippets = []string{
	"{control: severity, maximum: high}", "{control: severity, maximum: low, only_fixable: true, grace_days: 3%d}", "{control: severity, maximum: medium, grace_days: 1%d, grace_since: fix}",
	"{control: cvss, maximum: %d}", "{control: epss, maximum: 0.%d}", "{control: kev}", "{control: cves, ids: ['CVE-%d', 'CVE-1*']}", "{control: denied-packages, packages: [{name: 'p%d'}]}",
	"{control: required-packages, packages: [{name: 'p%d'}]}", "{control: licences, denied: ['GPL*']}", "{control: malware, confidence: medium}", "{control: secrets}",
	"{control: misconfiguration, maximum: low}", "{control: root-user}", "{control: privileged}", "{control: host-access}", "{control: capabilities}", "{control: image-age, max_days: 1%d}",
	"{control: scan-age, max_days: 1%d}", "{control: sbom}", "{control: signature, identities: [{issuer: '*', subject: '*'}]}", "{control: approval}", "{control: digest-pinned}",
	"{control: registries, allowed: ['registry.example.org']}", "{control: unread-files}", "{control: supported-os}", "{control: exceptions, max_days: 10}",
	"{control: privilege-escalation}", "{control: read-only-root}", "{control: labels, required: {team: '*'}}", "{control: labels, of: workload, denied: {app: web}}",
	"{control: base-image, allowed: ['docker.io/library/debian:1%d*']}", "{control: tags, denied: ['1.%d']}", "{control: tag-immutable}", "{control: feed-age, max_days: 1%d}",
	"{control: provenance, builders: ['https://github.com/*'], level: 2}", "{control: approval, running: stop, max_days: %d}", "{control: evidence, name: sast, maximum: none}",
	"{control: evidence, name: dast, max_score: %d}",
}

func randomControl(r *rand.Rand) string {
	s := snippets[r.Intn(len(snippets))]
	if strings.Contains(s, "%d") {
		s = fmt.Sprintf(s, r.Intn(10))
	}
	var more string
	if r.Intn(4) == 0 {
		more += ", effect: note"
	}
	if r.Intn(4) == 0 {
		more += ", not_assessed: allow"
	}
	if r.Intn(6) == 0 {
		more += ", at: [build]"
	}
	return strings.TrimSuffix(s, "}") + more + "}"
}

func source(name, mode string, controls []string) string {
	return "name: " + name + "\nmode: " + mode + "\nowner: team\ncontrols:\n  - " + strings.Join(controls, "\n  - ") + "\n"
}

func randomControls(r *rand.Rand) (list []string) {
	for range 1 + r.Intn(8) {
		list = append(list, randomControl(r))
	}
	return list
}

func parsed(t *testing.T, text string) *assurance.Policy {
	t.Helper()
	p, err := assurance.Parse(strings.NewReader(text), "p")
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return p
}

// randomFacts are whole facts with findings, and some facts forgotten.
func randomFacts(r *rand.Rand) *fact.Facts {
	f := whole()
	for n := range r.Intn(12) {
		s := sekisho.Severities()[r.Intn(6)]
		f.Findings = append(f.Findings, vulnerability(fmt.Sprintf("CVE-%d", r.Intn(20)), s, func(x *sekisho.Finding) {
			x.Fingerprint, x.Package.Name = fmt.Sprintf("f%d", n), fmt.Sprintf("p%d", r.Intn(10))
			if r.Intn(2) == 0 {
				fixedIn("9", r.Intn(50))(x)
			}
			if r.Intn(2) == 0 {
				x.CVSS = []sekisho.CVSS{{Version: "3.1", Score: float64(1+r.Intn(99)) / 10}}
			}
			if r.Intn(2) == 0 {
				x.EPSS = &sekisho.EPSS{Score: r.Float64()}
			}
			if r.Intn(5) == 0 {
				x.KEV = &sekisho.KEV{Added: "2026-01-01"}
			}
		}))
	}
	for n, kind := range []string{sekisho.Secret, sekisho.Malware, sekisho.Misconfiguration} {
		if r.Intn(3) == 0 {
			f.Findings = append(f.Findings, sekisho.Finding{Kind: kind, ID: fmt.Sprint("X", n), Fingerprint: fmt.Sprint("x", n), Severity: sekisho.High})
		}
	}
	f.Assessed = slices.DeleteFunc(slices.Clone(f.Assessed), func(string) bool { return r.Intn(8) == 0 })
	for _, forget := range []func(){
		func() { f.User = nil }, func() { f.Workload = nil }, func() { f.Signatures = nil }, func() { f.Approvals = nil }, func() { f.Scanned = nil },
		func() { f.SBOM = nil }, func() { f.Reference = "" }, func() { f.Created = nil }, func() { f.Workload = &fact.Workload{} }, func() { f.Environment = nil }, func() { f.Stage = fact.Build },
		func() { f.Evidence = nil }, func() { f.Evidence = map[string]*fact.Evidence{"sast": {Failed: true}} }, func() { f.Base = nil }, func() { f.TagImmutable = nil }, func() { f.Labels = nil }, func() { f.Provenance = nil },
		func() { f.Feeds = nil }, func() { f.Again = true }, func() {
			f.Approvals = []fact.Approval{{Author: "a", Approver: "b", Environment: []string{"", "staging", "production"}[r.Intn(3)], Lapsed: "CVE-1"}}
		},
		func() { f.OS = nil }, func() { f.Coverage = []sekisho.Cover{{Ecosystem: "x", Packages: 1}} }, func() { f.Reference = "registry.example.org/pay/app:1.3" },
	} {
		if r.Intn(8) == 0 {
			forget()
		}
	}
	return f
}

func randomExceptions(t *testing.T, r *rand.Rand) *exception.File {
	var b strings.Builder
	b.WriteString("exceptions:\n")
	for range r.Intn(4) {
		what := []string{fmt.Sprintf("id: CVE-%d", r.Intn(20)), fmt.Sprintf("id: CVE-%d, until_fixed: true", r.Intn(20)), fmt.Sprintf("package: p%d", r.Intn(10)), "control: sbom", "control: severity",
			fmt.Sprintf("control: %s", assurance.Names()[r.Intn(len(assurance.Names()))]), fmt.Sprintf("fingerprint: f%d", r.Intn(8))}[r.Intn(7)]
		fmt.Fprintf(&b, "  - {%s, reason: r, owner: o, until: 2026-1%d-01%s}\n", what, 1+r.Intn(2), []string{"", ", images: ['registry.example.org/**']", ", images: ['other.example/**']",
			fmt.Sprintf(", digests: ['%s']", manifest), ", versions: '>= 1, < 2'", ", images: ['registry.example.org/**'], versions: '< 1.2'"}[r.Intn(6)])
	}
	e, err := exception.Parse(strings.NewReader(b.String()), "e")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func decide(f *fact.Facts, e *exception.File, list ...*assurance.Policy) *sekisho.Decision {
	return assurance.Evaluate(assurance.NewSet(list...), assurance.Prepare(&f.Image, e), &f.Request).Decision()
}

func weight(result string) int {
	return slices.Index([]string{sekisho.Allow, sekisho.Warn, sekisho.Deny}, result)
}

// TestTriedOnAll holds that the properties are tried on all controls.
func TestTriedOnAll(t *testing.T) {
	for _, name := range assurance.Names() {
		if !slices.ContainsFunc(snippets, func(s string) bool {
			return strings.HasPrefix(s, "{control: "+name+"}") || strings.HasPrefix(s, "{control: "+name+",")
		}) {
			t.Errorf("no random policy has the control %s", name)
		}
	}
}

// TestReasoned holds that what stops an image is always told: no control fails,
// cannot be judged or breaks without a reason of its own, and none that gives
// such a reason passes.
func TestReasoned(t *testing.T) {
	for seed := range int64(rounds) {
		r := rand.New(rand.NewSource(seed))
		f, e := randomFacts(r), randomExceptions(t, r)
		for _, c := range randomControls(r) {
			d := decide(f, e, parsed(t, source("a", sekisho.Deny, []string{c})))
			for _, k := range d.Controls {
				told := slices.ContainsFunc(d.Reasons, func(x sekisho.Reason) bool { return x.Control == k.Control && x.Result == k.Result })
				if bad := k.Result == sekisho.ControlFail || k.Result == sekisho.ControlNotAssessed || k.Result == sekisho.ControlError; bad != told {
					t.Fatalf("seed %d: %s is %s, with reasons %+v", seed, c, k.Result, d.Reasons)
				}
			}
			if d.Result != sekisho.Allow && len(d.Reasons) == 0 {
				t.Fatalf("seed %d: %s: %s without a reason", seed, c, d.Result)
			}
		}
	}
}

// TestMonotone holds that another control or another policy never makes a result
// milder.
func TestMonotone(t *testing.T) {
	for seed := range int64(rounds) {
		r := rand.New(rand.NewSource(seed))
		f, e, list := randomFacts(r), randomExceptions(t, r), randomControls(r)
		mode := []string{sekisho.Audit, sekisho.Warn, sekisho.Deny}[r.Intn(3)]
		one := parsed(t, source("a", mode, list))
		before := decide(f, e, one)
		with := decide(f, e, parsed(t, source("a", mode, append(slices.Clone(list), randomControl(r)))))
		if weight(with.Result) < weight(before.Result) {
			t.Fatalf("seed %d: a control more turned %s into %s", seed, before.Result, with.Result)
		}
		other := decide(f, e, one, parsed(t, source("b", sekisho.Audit, randomControls(r))))
		if weight(other.Result) < weight(before.Result) {
			t.Fatalf("seed %d: a policy more turned %s into %s", seed, before.Result, other.Result)
		}
		if len(with.Reasons) < len(before.Reasons) || len(other.Reasons) < len(before.Reasons) {
			t.Fatalf("seed %d: reasons were lost", seed)
		}
	}
}

// TestDeterministic holds that the same facts give the same bytes, and that
// order plays no part.
func TestDeterministic(t *testing.T) {
	for seed := range int64(rounds) {
		r := rand.New(rand.NewSource(seed))
		f, e, list := randomFacts(r), randomExceptions(t, r), randomControls(r)
		p := parsed(t, source("a", sekisho.Deny, list))
		first, err := json.Marshal(decide(f, e, p))
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(decide(f, e, p))
		if err != nil || string(first) != string(again) {
			t.Fatalf("seed %d: two decisions differ:\n%s\n%s", seed, first, again)
		}
		shuffled := slices.Clone(list)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		g := *f
		g.Findings = slices.Clone(f.Findings)
		r.Shuffle(len(g.Findings), func(i, j int) { g.Findings[i], g.Findings[j] = g.Findings[j], g.Findings[i] })
		a, b := decide(f, e, p), decide(&g, e, parsed(t, source("a", sekisho.Deny, shuffled)))
		if a.Result != b.Result {
			t.Fatalf("seed %d: order turned %s into %s", seed, a.Result, b.Result)
		}
		if d := cmp.Diff(sorted(a.Reasons), sorted(b.Reasons)); d != "" {
			t.Fatalf("seed %d: order changed the reasons: %s", seed, d)
		}
	}
}

func sorted(list []sekisho.Reason) (out []string) {
	for _, x := range list {
		out = append(out, fmt.Sprintf("%+v", x))
	}
	slices.Sort(out)
	return out
}

// TestComplete holds that a decision tells every reason: judging each control
// alone gives the same reasons as judging all, and every finding that is over
// the bar is among them or is accepted.
func TestComplete(t *testing.T) {
	for seed := range int64(rounds) {
		r := rand.New(rand.NewSource(seed))
		f, e, list := randomFacts(r), randomExceptions(t, r), randomControls(r)
		all := decide(f, e, parsed(t, source("a", sekisho.Deny, list)))
		var each []sekisho.Reason
		stopped := false
		for _, c := range list {
			d := decide(f, e, parsed(t, source("a", sekisho.Deny, []string{c})))
			each = append(each, d.Reasons...)
			stopped = stopped || d.Result == sekisho.Deny
		}
		if d := cmp.Diff(sorted(each), sorted(all.Reasons)); d != "" {
			t.Fatalf("seed %d: judged together, controls say other things than alone: %s", seed, d)
		}
		if stopped != (all.Result == sekisho.Deny) {
			t.Fatalf("seed %d: %s, but alone some control stops it: %v", seed, all.Result, stopped)
		}
		if f.Knows(fact.Vulnerabilities) {
			everyFinding(t, seed, f)
		}
	}
}

// everyFinding holds the severity control to a plain reading of its meaning.
func everyFinding(t *testing.T, seed int64, f *fact.Facts) {
	d := decide(f, nil, parsed(t, source("a", sekisho.Deny, []string{"{control: severity, maximum: medium}"})))
	got := map[string]int{}
	for _, x := range d.Reasons {
		if x.Result == sekisho.ControlFail {
			got[x.Finding]++
		}
	}
	for _, x := range f.Findings {
		want := 0
		if x.Kind == sekisho.Vulnerability && x.Severity.Rank() > sekisho.Medium.Rank() {
			want = 1
		}
		if got[x.Fingerprint] != want {
			t.Fatalf("seed %d: %s (%s) is told %d times, want %d", seed, x.Fingerprint, x.Severity, got[x.Fingerprint], want)
		}
	}
}

// TestNeverByAccident holds that facts that are all missing pass no control
// that denies.
func TestNeverByAccident(t *testing.T) {
	for _, s := range snippets {
		if strings.Contains(s, "exceptions") {
			continue // it judges what is used, and nothing is
		}
		if strings.Contains(s, "%d") {
			s = fmt.Sprintf(s, 1)
		}
		f := &fact.Facts{Request: fact.Request{Now: now, Workload: &fact.Workload{}}}
		if d := decide(f, nil, parsed(t, source("a", sekisho.Deny, []string{s}))); d.Result != sekisho.Deny {
			t.Errorf("%s: nothing is known, and it gives %s", s, d.Result)
		}
	}
}
