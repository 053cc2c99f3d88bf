package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit"
	"sekisho/policy/fact"
)

// checkFlags are the flags of admit check.
type checkFlags struct {
	scanFlags
	admit  *admitFlags
	actor  string
	rescan bool
}

func (a *app) admitCheckCommand(shared *admitFlags) *cobra.Command {
	t := a.texts.Text
	f := &checkFlags{admit: shared}
	cmd := &cobra.Command{Use: "check [SCHEME:]IMAGE", Short: t("cli.admit.check"), Long: t("cli.admit.check.long"), Example: t("cli.admit.check.examples"), Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error { return a.admitCheck(cmd.Context(), args[0], f) }}
	a.sharedFlags(cmd, &f.scanFlags)
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "", t("cli.flag.format"))
	flags.StringVar(&f.policy.as, "as", "", t("cli.flag.as"))
	flags.StringVar(&f.policy.environment, "environment", "", t("cli.flag.environment"))
	flags.StringVar(&f.policy.stage, "at", fact.Ship, t("cli.flag.at_ship"))
	flags.StringArrayVar(&f.policy.evidence, "evidence", nil, t("cli.flag.evidence"))
	flags.StringVar(&f.actor, "actor", "", t("cli.flag.actor"))
	flags.BoolVar(&f.rescan, "rescan", false, t("cli.flag.rescan"))
	return cmd
}

// admitCheck decides about one image, by what is known of it, after a scan when
// nothing is.
func (a *app) admitCheck(ctx context.Context, target string, f *checkFlags) error {
	c, err := a.admitConfig(f.admit)
	if err != nil {
		return err
	}
	outputs, err := a.outputs(&f.scanFlags)
	if err != nil {
		return err
	}
	f.policy.policies = c.Policies
	judge, err := a.judge(&f.policy, nil, a.clockOf()())
	if err != nil {
		return err
	}
	g, err := a.openGate(c, "")
	if err != nil {
		return err
	}
	defer g.Close()
	reference, digest, err := a.known(ctx, target, g, judge, f)
	if err != nil {
		return err
	}
	q := admit.Question{Gate: "ci", Actor: a.actor(f.actor), Subject: cmp.Or(f.policy.as, reference, target), Details: a.pipeline(),
		Images: []admit.Image{{Reference: cmp.Or(f.policy.as, reference), Digest: digest, Request: judge.request}}}
	answer, err := g.Decide(ctx, q)
	if err != nil {
		return err
	}
	return a.tellAnswer(g, answer, target, digest, outputs, f)
}

// known makes sure that facts are kept, with what is proven by signatures now,
// and returns the image's name and a digest that has them.
func (a *app) known(ctx context.Context, target string, g *gate, j *judge, f *checkFlags) (string, sekisho.Digest, error) {
	f.source.insecure = f.source.insecure || g.config.Insecure
	v, err := a.voucher(g.config.Trust, g.config.Approvers, f.source.insecure)
	if err != nil {
		return "", "", err
	}
	name, digests, err := a.learned(ctx, target, g, j, f, v)
	if err != nil {
		return "", "", err
	}
	if scheme, _, err := a.scheme(ctx, target); err != nil || scheme != "registry" {
		return name, digests[0], err // what is signed lies in registries
	}
	return name, digests[0], v.vouch(ctx, g.facts, name, digests...)
}

// learned makes sure that facts are kept, and returns the image's name and its
// digests; the first has them. A target that names a digest that is known is not
// looked at any more.
func (a *app) learned(ctx context.Context, target string, g *gate, j *judge, f *checkFlags, v *voucher) (string, []sekisho.Digest, error) {
	fresh := !f.rescan && len(j.evidence) == 0
	if name, text, ok := strings.Cut(target, "@"); ok && fresh && g.facts.Version(sekisho.Digest(text)) != "" {
		name, _ = fact.ImageName("registry:" + strings.TrimPrefix(name, "registry:"))
		return name + "@" + text, []sekisho.Digest{sekisho.Digest(text)}, nil
	}
	reference, digests, err := a.resolve(ctx, target, f)
	if err != nil {
		return "", nil, err
	}
	for _, d := range digests {
		if fresh && g.facts.Version(d) != "" {
			return reference, append([]sekisho.Digest{d}, digests...), g.join(d, digests)
		}
	}
	if fresh && len(digests) > 0 {
		if found, _ := v.attested(ctx, g.facts, reference, digests[0], g.config.attested); found { // else it is scanned
			return reference, digests, nil
		}
	}
	report, digests, err := a.learn(ctx, target, g.config, &f.scanFlags)
	if err != nil {
		return "", nil, err
	}
	if len(digests) == 0 {
		return "", nil, sekisho.Errorf(sekisho.Usage, "%s has no digest, so it cannot be admitted", target).WithHint("an image: registry:, docker:, containerd:, archive: or oci:; for a directory: sekisho scan --policy")
	}
	if _, err := keep(g.facts, report, j.evidence, digests...); err != nil {
		return "", nil, err
	}
	name, _ := fact.ImageName(report.Target.Reference)
	return name, digests, nil
}

// join keeps what is known of a digest under the other digests of its image.
func (g *gate) join(known sekisho.Digest, all []sekisho.Digest) error {
	version := g.facts.Version(known)
	if !slices.ContainsFunc(all, func(d sekisho.Digest) bool { return g.facts.Version(d) != version }) {
		return nil
	}
	image, err := g.facts.Image(known)
	if err != nil {
		return err
	}
	_, err = g.facts.Keep(image, all...)
	return err
}

// resolve asks the source which image a name stands for.
func (a *app) resolve(ctx context.Context, target string, f *checkFlags) (string, []sekisho.Digest, error) {
	src, err := a.open(ctx, target, f.source)
	if err != nil {
		return "", nil, err
	}
	if src.image == nil {
		return "", nil, sekisho.Errorf(sekisho.Usage, "%s is no image", target)
	}
	name, _ := fact.ImageName(src.image.Reference)
	var digests []sekisho.Digest
	for _, d := range append([]sekisho.Digest{src.image.Digest, src.image.ID}, src.image.Also...) {
		if d != "" {
			digests = append(digests, d)
		}
	}
	return name, digests, src.image.Close()
}

// tellAnswer writes the facts and the decision as a report in every format.
func (a *app) tellAnswer(g *gate, answer *admit.Answer, target string, digest sekisho.Digest, outputs []output, f *checkFlags) error {
	image, err := g.facts.Image(digest)
	if err != nil {
		return err
	}
	r := reportOfFacts(image, target)
	r.Decision = answer.Images[0]
	if g.rules.Load().Exceptions != nil {
		g.rules.Load().Exceptions.Apply(r.Findings, subject(r, f.policy.as), g.Now())
	}
	if err := a.write(r, outputs, &f.scanFlags); err != nil {
		return err
	}
	if len(r.Decision.Policies) == 0 {
		a.note("cli.note.out_of_scope", "policies", strings.Join(g.config.Policies, ", "), "target", target)
	}
	return (&filter{}).verdict(r, a.texts)
}

// reportOfFacts is what is known of an image as the report of its scan.
func reportOfFacts(i *fact.Image, target string) *sekisho.Report {
	r := &sekisho.Report{Schema: sekisho.ReportSchema, Tool: sekisho.Tool{Name: "sekisho", Version: version()}, Feeds: i.Feeds, Packages: i.Packages, Findings: i.Findings, Problems: i.Problems, Coverage: i.Coverage,
		Target: sekisho.Target{Kind: "image", Reference: cmp.Or(i.ScannedAs, target), Digest: i.Digest, ID: i.ID, OS: i.OS, Layers: []sekisho.Layer{}}}
	if i.Scanned != nil {
		r.Generated = *i.Scanned
	}
	if i.User != nil {
		r.Target.Config = &sekisho.RunConfig{User: *i.User, Labels: i.Labels}
	}
	return r
}

// actor is who asks: a flag, who started the pipeline, else the user.
func (a *app) actor(flag string) string {
	for _, name := range []string{"GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME"} {
		flag = cmp.Or(flag, a.Getenv(name))
	}
	return cmp.Or(flag, "unknown")
}

// pipeline says which run of which pipeline asks.
func (a *app) pipeline() map[string]string {
	out := map[string]string{}
	for key, name := range map[string]string{"repository": "GITHUB_REPOSITORY", "commit": "GITHUB_SHA", "run": "GITHUB_RUN_ID", "project": "CI_PROJECT_PATH", "revision": "CI_COMMIT_SHA", "pipeline": "CI_PIPELINE_URL"} {
		if v := a.Getenv(name); v != "" {
			out[key] = v
		}
	}
	return out
}
