package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit/approval"
	"sekisho/admit/signature"
	"sekisho/audit"
	"sekisho/image/oci"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
)

// approveFlags are the flags of approve and its steps.
type approveFlags struct {
	key, approvers, trust, audit string
	output                       string // a file for the step, to be signed elsewhere
	environment, reason, request string
	policies                     []string
	approve, reject              bool
	days                         int
	format                       string
	insecure                     bool
}

func (a *app) approveCommand() *cobra.Command {
	t := a.texts.Text
	f := &approveFlags{}
	root := &cobra.Command{Use: "approve", Short: t("approval.short"), Long: t("approval.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	step := func(use, short string, run func(context.Context, string, *approveFlags) error) *cobra.Command {
		c := &cobra.Command{Use: use, Short: t(short), Args: usageArgs(cobra.ExactArgs(1)),
			RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args[0], f) }}
		c.Flags().StringVar(&f.environment, "environment", "", t("approval.flag.environment"))
		root.AddCommand(c)
		return c
	}
	request := step("request IMAGE@DIGEST", "approval.request", a.approveRequest)
	review := step("review IMAGE@DIGEST", "approval.review", a.approveReview)
	decide := step("decide IMAGE@DIGEST", "approval.decide", a.approveDecide)
	list := step("list IMAGE", "approval.list", a.approveList)
	for _, c := range []*cobra.Command{request, review, decide} {
		c.Flags().StringVar(&f.key, "key", "", t("signature.flag.private_key"))
		c.Flags().StringVarP(&f.output, "output", "o", "", t("approval.flag.output"))
		c.Flags().StringVar(&f.reason, "reason", "", t("approval.flag.reason"))
		c.Flags().StringVar(&f.audit, "audit", "", t("approval.flag.audit"))
	}
	for _, c := range []*cobra.Command{review, decide} {
		c.Flags().StringVar(&f.request, "request", "", t("approval.flag.request"))
	}
	request.Flags().StringArrayVar(&f.policies, "policy", nil, t("approval.flag.policy"))
	decide.Flags().BoolVar(&f.approve, "approve", false, t("approval.flag.approve"))
	decide.Flags().BoolVar(&f.reject, "reject", false, t("approval.flag.reject"))
	decide.Flags().IntVar(&f.days, "days", 30, t("approval.flag.days"))
	list.Flags().StringVar(&f.format, "format", "table", t("signature.flag.format"))
	root.PersistentFlags().StringVar(&f.approvers, "approvers", "approvers.yaml", t("approval.flag.approvers"))
	root.PersistentFlags().StringVar(&f.trust, "trust", "", t("approval.flag.trust"))
	root.PersistentFlags().BoolVar(&f.insecure, "insecure", false, t("cli.flag.insecure"))
	return root
}

// desk is what every step needs: the image, the people, what was signed.
type desk struct {
	*beside
	image  oci.Descriptor
	people *approval.People
	roads  []approval.Road
	others []signature.Refused
	now    time.Time
	facts  *fact.Image // of the newest scan that is trusted; nil without --trust
	scan   *signature.Verified
}

func (a *app) desk(ctx context.Context, ref string, f *approveFlags) (*desk, error) {
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	d := &desk{now: now}
	if d.people, err = openPeople(f.approvers); err != nil {
		return nil, err
	}
	if d.beside, err = a.beside(ctx, ref, "", f.insecure); err != nil {
		return nil, err
	}
	r, err := d.found(ctx, d.people.Trust(), nil, now)
	if err != nil {
		return nil, err
	}
	d.roads, d.others = d.people.Roads(r, now)
	if f.trust == "" {
		return d, nil
	}
	set, err := trustSet(f.trust, nil)
	if err != nil {
		return nil, err
	}
	if r, err = d.found(ctx, &set.Trust, nil, now); err != nil {
		return nil, err
	}
	i, scan, err := r.Scan()
	if sekisho.KindOf(err) == sekisho.NotFound {
		if other, from, others := r.Scanned(set.Scanners); others == nil {
			i, scan, err = other, from, nil
		}
	}
	if err == nil {
		r.Fill(&i, set.Levels)
		d.facts, d.scan = &i, scan
	} else if sekisho.KindOf(err) != sekisho.NotFound {
		return nil, err
	}
	return d, nil
}

// take signs a step, writes it beside the image and into the audit log.
func (a *app) take(ctx context.Context, ref string, d *desk, f *approveFlags, r approval.Record) error {
	if f.output != "" {
		return a.unsigned(ref, d, f, r)
	}
	s, err := a.signer(f.key)
	if err != nil {
		return err
	}
	who, err := d.people.Who(s.Key.Public.Fingerprint, "", "")
	if err != nil {
		return sekisho.Errorf(sekisho.Denied, "%s: %w", f.approvers, err)
	}
	if err := d.people.May(who, r.Step, r.Environment); err != nil {
		return sekisho.Errorf(sekisho.Denied, "%w", err)
	}
	r.Time, r.Reason = d.now, f.reason
	doc, err := r.Statement()
	if err != nil {
		return usage(err)
	}
	repo, image, _, err := a.at(ctx, ref, f.insecure)
	if err != nil {
		return err
	}
	at, err := s.Attest(ctx, repo, image, approval.PredicateType, doc, false)
	if err == nil {
		_, err = fmt.Fprintf(a.Stdout, "%s %s@%s %s %s\n", r.Step, repo.Name(), image.Digest, r.Environment, who)
	}
	entry := audit.Entry{Time: d.now, Actor: who, Action: "approval." + r.Step, Subject: repo.Name() + "@" + string(image.Digest), Result: "done",
		Details: map[string]string{"environment": r.Environment, "reason": r.Reason, "request": r.Request, "statement": string(at), "key": s.Key.Public.Fingerprint}}
	if r.Evidence != nil {
		entry.Facts, entry.Policies = r.Evidence.Scan, r.Evidence.Policies
	}
	if err != nil {
		entry.Result, entry.Details["error"] = "error", err.Error()
	}
	if failed := a.record(f.audit, entry); err == nil {
		err = failed
	}
	return err
}

// unsigned writes a step for somebody who signs without a key of their own:
// whether they may take it is seen when their signature is verified.
func (a *app) unsigned(ref string, d *desk, f *approveFlags, r approval.Record) error {
	if f.key != "" {
		return sekisho.Errorf(sekisho.Usage, "want either --key or --output")
	}
	r.Time, r.Reason = d.now, f.reason
	doc, err := r.Statement()
	if err != nil {
		return usage(err)
	}
	if err := writeFile(f.output, func(w io.Writer) error { _, err := w.Write(append(doc, '\n')); return err }); err != nil {
		return err
	}
	a.note("approval.unsigned", "type", approval.PredicateType, "file", f.output, "image", strings.TrimPrefix(ref, "registry:"))
	return nil
}

// record appends to the audit log: --audit, SEKISHO_AUDIT_DIR, else below the
// user's state directory (XDG Base Directory Specification).
func (a *app) record(flag string, e audit.Entry) error {
	dir := cmp.Or(flag, a.Getenv("SEKISHO_AUDIT_DIR"))
	if dir == "" {
		base := a.Getenv("XDG_STATE_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return sekisho.Errorf(sekisho.Usage, "no place for the audit log: %w", err).WithHint("--audit DIR, or SEKISHO_AUDIT_DIR")
			}
			base = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(base, "sekisho", "audit")
	}
	log, err := audit.Open(dir)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Append(e); err != nil {
		return err
	}
	return log.Sync()
}

func (a *app) approveRequest(ctx context.Context, ref string, f *approveFlags) error {
	if !strings.Contains(ref, "@sha256:") {
		return sekisho.Errorf(sekisho.Usage, "%s: want the image's digest, an approval is of that and of no tag", ref).WithHint("sekisho verify, docker manifest inspect or skopeo inspect show it")
	}
	if f.environment == "" || f.trust == "" {
		return sekisho.Errorf(sekisho.Usage, "want --environment, and --trust for the scan that the approval rests on")
	}
	d, err := a.desk(ctx, ref, f)
	if err != nil {
		return err
	}
	if d.facts == nil {
		return sekisho.Errorf(sekisho.Denied, "no scan of %s@%s is attested by anybody trusted", d.name, d.subject.Digests[0]).WithHint("sekisho attest --type scan --key FILE %s", ref)
	}
	decision, err := d.judge(f)
	if err != nil {
		return err
	}
	e, err := approval.Freeze(d.facts, d.scan, decision)
	if err != nil {
		return err
	}
	return a.take(ctx, ref, d, f, approval.Record{Step: approval.Request, Environment: f.environment, Evidence: e})
}

// judge is what the policies say to the facts of the scan.
func (d *desk) judge(f *approveFlags) (*sekisho.Decision, error) {
	if len(f.policies) == 0 {
		return nil, nil
	}
	set, err := openPolicies(f.policies)
	if err != nil {
		return nil, err
	}
	q := &fact.Request{Now: d.now, Stage: fact.Ship, Reference: d.name + "@" + string(d.subject.Digests[0]), Environment: &f.environment}
	d.facts.Approvals = nil
	return assurance.Evaluate(set, assurance.Prepare(d.facts, nil), q).Decision(), nil
}

// open finds the request that is meant: by its hash, else the newest without a
// decision.
func (d *desk) open(f *approveFlags, decided bool) (*approval.Road, error) {
	var found *approval.Road
	for i := range d.roads {
		r := &d.roads[i]
		switch {
		case f.request != "" && !strings.HasPrefix(strings.TrimPrefix(r.Request.Hash, "sha256:"), strings.TrimPrefix(f.request, "sha256:")):
		case f.environment != "" && r.Request.Environment != f.environment:
		case f.request == "" && r.Decision != nil && !decided:
		default:
			found = r
		}
	}
	if found == nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "no open request for %s@%s", d.name, d.subject.Digests[0]).WithHint("sekisho approve list shows what there is")
	}
	return found, nil
}

func (a *app) approveReview(ctx context.Context, ref string, f *approveFlags) error {
	d, err := a.desk(ctx, ref, f)
	if err != nil {
		return err
	}
	r, err := d.open(f, false)
	if err != nil {
		return err
	}
	return a.answer(ctx, ref, d, f, r, approval.Record{Step: approval.Review})
}

// answer takes a step on a request, which its author may not.
func (a *app) answer(ctx context.Context, ref string, d *desk, f *approveFlags, r *approval.Road, record approval.Record) error {
	if f.output == "" {
		s, err := a.signer(f.key)
		if err != nil {
			return err
		}
		if who, err := d.people.Who(s.Key.Public.Fingerprint, "", ""); err == nil && who == r.Request.Who {
			return sekisho.Errorf(sekisho.Denied, "%s", a.texts.Text("approval.own", "who", who))
		}
	}
	record.Environment, record.Request = r.Request.Environment, r.Request.Hash
	return a.take(ctx, ref, d, f, record)
}

func (a *app) approveDecide(ctx context.Context, ref string, f *approveFlags) error {
	if f.approve == f.reject {
		return sekisho.Errorf(sekisho.Usage, "want either --approve or --reject")
	}
	d, err := a.desk(ctx, ref, f)
	if err != nil {
		return err
	}
	r, err := d.open(f, f.reject) // what was approved can be taken back
	if err != nil {
		return err
	}
	if f.reject {
		return a.answer(ctx, ref, d, f, r, approval.Record{Step: approval.Reject})
	}
	if f.days < 1 || f.days > d.people.MaxDays {
		return sekisho.Errorf(sekisho.Usage, "--days %d: want 1 to %d", f.days, d.people.MaxDays)
	}
	if r.Request.Evidence.Result == sekisho.Deny && !d.people.Denied {
		return sekisho.Errorf(sekisho.Denied, "%s", a.texts.Text("approval.denied", "policies", strings.Join(r.Request.Evidence.Policies, ", ")))
	}
	if d.facts != nil {
		if why := approval.Lapsed(&approval.Approval{Evidence: *r.Request.Evidence}, d.facts); why != "" {
			return sekisho.Errorf(sekisho.Denied, "%s", a.texts.Text("approval.changed", "why", why))
		}
	}
	return a.answer(ctx, ref, d, f, r, approval.Record{Step: approval.Approve, Until: d.now.AddDate(0, 0, f.days), Evidence: r.Request.Evidence})
}

func (a *app) approveList(ctx context.Context, ref string, f *approveFlags) error {
	d, err := a.desk(ctx, ref, f)
	if err != nil {
		return err
	}
	d.roads = slices.DeleteFunc(d.roads, func(r approval.Road) bool { return f.environment != "" && r.Request.Environment != f.environment })
	for i := range d.roads {
		if g := d.roads[i].Approval; g != nil && d.facts != nil {
			g.Lapsed = approval.Lapsed(g, d.facts)
		}
	}
	if f.format == "json" {
		return encodeJSON(a.Stdout, struct {
			Schema  string              `json:"schema"`
			Image   string              `json:"image"`
			Digest  sekisho.Digest      `json:"digest"`
			Roads   []approval.Road     `json:"requests"`
			Refused []signature.Refused `json:"refused"`
		}{"sekisho.approvals/v1", d.name, d.subject.Digests[0], append([]approval.Road{}, d.roads...), append([]signature.Refused{}, d.others...)})
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s@%s\n", d.name, d.subject.Digests[0])
	for i := range d.roads {
		a.showRoad(&out, &d.roads[i], d.now)
	}
	for _, x := range d.others {
		fmt.Fprintf(&out, "%s %s: %s\n", a.texts.Text("signature.verify.refused"), short(x.Where), oneLine(x.Reason))
	}
	_, err = io.WriteString(a.Stdout, visible(out.String()))
	return err
}

func (a *app) showRoad(w io.Writer, r *approval.Road, now time.Time) {
	t := a.texts.Text
	fmt.Fprintf(w, "%s  %s  %s\n", strings.TrimPrefix(r.Request.Hash, "sha256:")[:12], oneLine(r.Request.Environment), a.state(r, now))
	steps := append([]approval.Step{r.Request}, r.Reviews...)
	if r.Decision != nil {
		steps = append(steps, *r.Decision)
	}
	for _, s := range steps {
		fmt.Fprintf(w, "  %s  %s  %s: %s\n", s.Time.UTC().Format(time.DateTime), t("approval.step."+s.Step), s.Who, oneLine(s.Reason))
	}
	e := r.Request.Evidence
	fmt.Fprintf(w, "  %s\n", t("approval.evidence", "critical", e.Counts["critical"], "high", e.Counts["high"], "kev", e.Counts["kev"],
		"policies", cmp.Or(strings.Join(e.Policies, ", "), "-"), "result", cmp.Or(e.Result, "-"), "scan", short(e.Scan)))
}

// state is where a request stands, in words.
func (a *app) state(r *approval.Road, now time.Time) string {
	t := a.texts.Text
	switch g := r.Approval; {
	case r.Why != "":
		return t("approval.state.void", "why", r.Why)
	case r.Decision == nil:
		return t("approval.state.open")
	case g == nil:
		return t("approval.state.rejected")
	case g.Lapsed != "":
		return t("approval.state.lapsed", "why", g.Lapsed)
	case !now.Before(g.Until):
		return t("approval.state.expired", "date", g.Until.Format(time.DateOnly))
	default:
		return t("approval.state.approved", "who", g.Approver, "date", g.Until.Format(time.DateOnly))
	}
}

// oneLine keeps what others wrote on one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
