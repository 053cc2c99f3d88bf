package cli

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/policy/assurance"
	"sekisho/policy/evidence"
	"sekisho/policy/exception"
	"sekisho/policy/fact"
	"sekisho/policy/ready"
	"sekisho/policy/scope"
)

// policyFlags say what a target is judged by, and as what.
type policyFlags struct {
	signed      bool // --trust is for statements too, which need no policy
	policies    []string
	as          string
	environment string
	stage       string
	evidence    []string
	trust       string
	approvers   string
}

func (a *app) policyFlags(cmd *cobra.Command, f *policyFlags) {
	t, flags := a.texts.Text, cmd.Flags()
	flags.StringArrayVar(&f.policies, "policy", nil, t("cli.flag.policy"))
	flags.StringVar(&f.as, "as", "", t("cli.flag.as"))
	flags.StringVar(&f.environment, "environment", "", t("cli.flag.environment"))
	flags.StringArrayVar(&f.evidence, "evidence", nil, t("cli.flag.evidence"))
	flags.StringVar(&f.trust, "trust", "", t("signature.flag.trust_policy"))
	flags.StringVar(&f.approvers, "approvers", "", t("approval.flag.approvers_policy"))
}

// looks are the kinds of findings to look for; none means all. A policy judges
// all, whatever is shown, and facts are whole.
func (f *scanFlags) looks() []string {
	if len(f.policy.policies) > 0 || f.keepFacts {
		return nil
	}
	return f.kinds
}

// judge is policies and what they need beside a report.
type judge struct {
	set      *assurance.Set
	request  fact.Request
	evidence map[string]*fact.Evidence
	accepted *exception.File
	vouched  func(*fact.Image) // sets what signatures prove; nil for nothing
}

// judge reads what the flags name. Without policies it is nil.
func (a *app) judge(f *policyFlags, accepted *exception.File, now time.Time) (*judge, error) {
	if len(f.policies) == 0 {
		if f.as != "" || f.environment != "" || len(f.evidence) > 0 || f.trust != "" && !f.signed || f.approvers != "" {
			return nil, sekisho.Errorf(sekisho.Usage, "--as, --environment, --evidence, --trust and --approvers go with --policy")
		}
		return nil, nil
	}
	set, err := openPolicies(f.policies)
	if err != nil {
		return nil, err
	}
	j := &judge{set: set, accepted: accepted, request: fact.Request{Now: now, Stage: fact.Build, Reference: f.as}, evidence: map[string]*fact.Evidence{}}
	if f.stage != "" {
		j.request.Stage = f.stage
	}
	if f.environment != "" {
		j.request.Environment = &f.environment
	}
	if f.as != "" {
		if _, err := scope.Parse(f.as); err != nil {
			return nil, sekisho.Errorf(sekisho.Usage, "--as: %w", err)
		}
	}
	for _, text := range f.evidence {
		name, file, ok := strings.Cut(text, "=")
		if !ok || name == "" || file == "" {
			return nil, sekisho.Errorf(sekisho.Usage, "--evidence %s: want NAME=FILE, as sast=result.sarif", text)
		}
		if j.evidence[name], err = openEvidence(file); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func openEvidence(file string) (*fact.Evidence, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open evidence: %w", err)
	}
	defer f.Close()
	e, err := evidence.Read(f, file)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "evidence: %w", err)
	}
	return e, nil
}

// openPolicies opens policies by file, or by the name of a ready-made one. A
// file wins over a name, so that nobody's file is passed over.
func openPolicies(names []string) (*assurance.Set, error) {
	var list []*assurance.Policy
	for _, name := range names {
		p, err := openPolicy(name)
		if err != nil {
			return nil, err
		}
		for _, q := range list {
			if q.Name == p.Name {
				return nil, sekisho.Errorf(sekisho.Usage, "%s: there is a policy named %s already", name, p.Name)
			}
		}
		list = append(list, p)
	}
	return assurance.NewSet(list...), nil
}

func openPolicy(name string) (*assurance.Policy, error) {
	if info, err := os.Stat(name); ready.Has(name) && (err != nil || info.IsDir()) {
		return ready.Open(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open policy: %w", err).WithHint("a file, or one of %s", strings.Join(ready.Names(), ", "))
	}
	defer f.Close()
	p, err := assurance.Parse(f, name)
	if err != nil {
		return nil, usage(err)
	}
	return p, nil
}

// usage makes a mistake in a file of the user one of usage, with its hint.
func usage(err error) error {
	out := sekisho.Errorf(sekisho.Usage, "%w", err)
	if e, ok := err.(*sekisho.Error); ok {
		out.Hint = e.Hint
	}
	return out
}

// subject is the image as exceptions see it.
func subject(r *sekisho.Report, as string) exception.Subject {
	var s exception.Subject
	name := as
	if name == "" {
		name, _ = fact.ImageName(r.Target.Reference)
	}
	if ref, err := scope.Parse(name); err == nil && name != "" {
		s.Reference = &ref
	}
	for _, d := range []sekisho.Digest{r.Target.Digest, r.Target.ID} {
		if d != "" {
			s.Digests = append(s.Digests, d)
		}
	}
	return s
}

// decide judges a whole report, before anything is filtered out of it.
func (j *judge) decide(r *sekisho.Report) *sekisho.Decision {
	return j.verdict(r).Decision()
}

func (j *judge) verdict(r *sekisho.Report) *assurance.Verdict {
	image := fact.FromReport(r)
	if len(j.evidence) > 0 {
		image.Evidence = j.evidence
	}
	if j.vouched != nil {
		j.vouched(&image)
	}
	return assurance.Evaluate(j.set, assurance.Prepare(&image, j.accepted), &j.request)
}

// decision judges by the policies, and says so when none is for the target.
func (a *app) decision(j *judge, r *sekisho.Report) *sekisho.Decision {
	d := j.decide(r)
	if len(d.Policies) == 0 {
		var names []string
		for _, p := range j.set.Policies() {
			names = append(names, p.Name)
		}
		a.note("cli.note.out_of_scope", "policies", strings.Join(names, ", "), "target", r.Target.Reference)
	}
	return d
}

// join makes one decision of those by policies and by flags; the worse result
// counts.
func joinDecisions(a, b *sekisho.Decision) *sekisho.Decision {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	out := *a
	out.Result = sekisho.Worst(a.Result, b.Result)
	out.Policy = strings.Trim(a.Policy+", "+b.Policy, ", ")
	out.Reasons = append(append([]sekisho.Reason{}, a.Reasons...), b.Reasons...)
	return &out
}
