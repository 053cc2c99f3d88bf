package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
	"sekisho/policy/ready"
	"sekisho/report/format"
)

func (a *app) policyCommand() *cobra.Command {
	t := a.texts.Text
	root := &cobra.Command{Use: "policy", Short: t("cli.policy.short"), Long: t("cli.policy.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	root.AddCommand(
		&cobra.Command{Use: "check FILE...", Short: t("cli.policy.check"), Args: usageArgs(cobra.MinimumNArgs(1)), DisableFlagsInUseLine: true,
			RunE: func(_ *cobra.Command, args []string) error { return a.policyCheck(args) }},
		a.policyTestCommand(), a.policyExplainCommand(), a.policyReplayCommand(),
		&cobra.Command{Use: "list", Short: t("cli.policy.list"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
			RunE: func(*cobra.Command, []string) error { return a.policyList() }},
		&cobra.Command{Use: "show NAME", Short: t("cli.policy.show"), Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
			RunE: func(_ *cobra.Command, args []string) error { return a.policyShow(args[0]) }},
		&cobra.Command{Use: "controls", Short: t("cli.policy.controls"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
			RunE: func(*cobra.Command, []string) error { return a.policyControls() }},
	)
	return root
}

// policyCheck reads every file and tells all mistakes of all of them.
func (a *app) policyCheck(files []string) error {
	bad := 0
	for _, name := range files {
		p, err := openPolicy(name)
		if err != nil {
			bad++
			fmt.Fprintf(a.Stderr, "%s\n", visible(err.Error()))
			continue
		}
		fmt.Fprintf(a.Stdout, "%s: %s\n", visible(name), a.texts.Text("cli.policy.ok", "name", p.Name, "mode", a.texts.Text("mode."+p.Mode), "count", len(p.Controls()), "version", p.Version))
	}
	if bad > 0 {
		return sekisho.Errorf(sekisho.Usage, "%s", a.texts.Text("cli.policy.bad", "count", bad)).WithHint("docs/policy.md describes every field")
	}
	return nil
}

func (a *app) policyList() error {
	for _, name := range ready.Names() {
		p, err := ready.Open(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Stdout, "%-12s %s\n", name, p.Description.In(a.texts.Lang() == "ja"))
	}
	return nil
}

func (a *app) policyShow(name string) error {
	data, err := ready.Source(name)
	if err != nil {
		return usage(err)
	}
	_, err = a.Stdout.Write(data)
	return err
}

// policyControls lists what a policy may ask for.
func (a *app) policyControls() error {
	for _, name := range assurance.Names() {
		fmt.Fprintf(a.Stdout, "%-22s %s\n", name, a.texts.Text("policy."+name+".title"))
		if list := assurance.Parameters(name); len(list) > 0 {
			fmt.Fprintf(a.Stdout, "%-22s   %s\n", "", strings.Join(list, ", "))
		}
	}
	return nil
}

// maxReport bounds a stored report in bytes.
const maxReport = 256 << 20

// errNoReport says that a file is something else.
var errNoReport = errors.New("not a report of a scan")

// openReport reads a report that a scan wrote as JSON.
func openReport(name string) (*sekisho.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open report: %w", err)
	}
	defer f.Close()
	return readReport(f, name)
}

func readReport(r io.Reader, name string) (*sekisho.Report, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxReport+1))
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", name, err)
	}
	if len(data) > maxReport {
		return nil, sekisho.Errorf(sekisho.Invalid, "report %s: more than %d bytes", name, maxReport)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if json.Unmarshal(data, &head) != nil || head.Schema != sekisho.ReportSchema {
		return nil, sekisho.Errorf(sekisho.Usage, "%s: %w", name, errNoReport).WithHint("sekisho scan TARGET -o json=%s", name)
	}
	report := &sekisho.Report{}
	if err := json.Unmarshal(data, report); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "report %s: %w", name, err)
	}
	return report, nil
}

func (a *app) policyExplainCommand() *cobra.Command {
	t := a.texts.Text
	f := &scanFlags{}
	cmd := &cobra.Command{Use: "explain TARGET|REPORT.json", Short: t("cli.policy.explain"), Long: t("cli.policy.explain.long"), Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error { return a.policyExplain(cmd.Context(), args[0], f) }}
	a.sharedFlags(cmd, f)
	a.policyFlags(cmd, &f.policy)
	cmd.Flags().StringVar(&f.exceptions, "exceptions", "", t("cli.flag.exceptions"))
	cmd.Flags().StringVar(&f.format, "format", "text", t("cli.flag.explain_format"))
	cmd.Flags().StringVar(&f.db, "db", "", t("cli.flag.db"))
	cmd.Flags().StringVar(&f.policy.stage, "at", "", t("cli.flag.at"))
	return cmd
}

// policyExplain tells of each control what it looked at, what it says and why.
func (a *app) policyExplain(ctx context.Context, target string, f *scanFlags) error {
	if f.format != "text" && f.format != "json" {
		return sekisho.Errorf(sekisho.Usage, "format %q: want text or json", f.format)
	}
	if len(f.policy.policies) == 0 {
		f.policy.policies = []string{"baseline"}
	}
	now, err := a.now()
	if err != nil {
		return err
	}
	accepted, err := a.exceptions(f.exceptions)
	if err != nil {
		return err
	}
	judge, err := a.judge(&f.policy, accepted, now)
	if err != nil {
		return err
	}
	report, err := a.reportOf(ctx, target, f)
	if err != nil {
		return err
	}
	if accepted != nil {
		accepted.Apply(report.Findings, subject(report, f.policy.as), now)
	}
	format.Describe(report, a.texts)
	report.Decision = a.decision(judge, report)
	format.Describe(report, a.texts)
	format.Normalise(report)
	if f.format == "json" {
		e := json.NewEncoder(a.Stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(report.Decision)
	}
	w := bufio.NewWriter(a.Stdout)
	a.explain(w, judge.set, report)
	return w.Flush()
}

// reportOf reads a stored report, or scans.
func (a *app) reportOf(ctx context.Context, target string, f *scanFlags) (*sekisho.Report, error) {
	if strings.HasSuffix(target, ".json") {
		report, err := openReport(target)
		if err == nil || !errors.Is(err, errNoReport) {
			return report, err
		}
	}
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	report, err := a.read(ctx, target, f, sekisho.Tool{Name: "sekisho", Version: version()})
	if err != nil {
		return nil, err
	}
	report.Generated = now
	return report, a.vulnerabilities(report, f)
}

func (a *app) explain(w io.Writer, set *assurance.Set, r *sekisho.Report) {
	t, d := a.texts.Text, r.Decision
	fmt.Fprintf(w, "%s  %s\n", visible(r.Target.Reference), t("decision."+d.Result))
	facts := fact.FromReport(r)
	fmt.Fprintf(w, "%s\n", t("cli.policy.known", "facts", strings.Join(facts.Assessed, ", ")))
	for _, p := range d.Policies {
		fmt.Fprintf(w, "\n%s\n", t("cli.policy.of", "name", p.Name, "mode", t("mode."+p.Mode), "result", t("decision."+p.Result), "version", p.Version))
		for n, c := range controlsOf(d, p.Name) {
			a.explainControl(w, d, c, set, n)
		}
	}
	for _, e := range d.Exceptions {
		fmt.Fprintf(w, "\n%s %s: %s, %s, %s\n", t("exception."+e.State), visible(e.What), visible(e.Reason), visible(e.Owner), t("cli.policy.covers", "count", e.Count))
	}
}

func controlsOf(d *sekisho.Decision, policy string) (list []sekisho.ControlResult) {
	for _, c := range d.Controls {
		if c.Policy == policy {
			list = append(list, c)
		}
	}
	return list
}

// explainControl writes one control; n is its place in its policy.
func (a *app) explainControl(w io.Writer, d *sekisho.Decision, c sekisho.ControlResult, set *assurance.Set, n int) {
	t := a.texts.Text
	title := c.Control
	if key := "policy." + c.Control + ".title"; a.texts.Has(key) {
		title = t(key)
	}
	fmt.Fprintf(w, "\n  %s  %s (%s, %s)\n", t("control."+c.Result), visible(title), visible(c.Control), t("effect."+c.Effect))
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(w, "      %s: %s\n", t(key), visible(value))
		}
	}
	line("cli.policy.wants", c.Wants)
	line("cli.policy.looked", t("report.control.line", "looked", c.Looked, "reasons", c.Reasons, "excepted", c.Excepted))
	line("cli.policy.why", set.Why(c.Policy, n, a.texts.Lang() == "ja"))
	line("cli.policy.satisfies", strings.Join(c.Satisfies, ", "))
	shown := 0
	for _, x := range d.Reasons {
		if x.Policy != c.Policy || x.Control != c.Control || x.Params["wants"] != c.Wants {
			continue
		}
		if shown++; shown > 20 {
			fmt.Fprintf(w, "      …\n")
			break
		}
		fmt.Fprintf(w, "      - %s\n", visible(x.Message))
		if x.Evidence != "" {
			fmt.Fprintf(w, "        %s\n", visible(x.Evidence))
		}
		if x.Fix != "" {
			fmt.Fprintf(w, "        → %s\n", visible(x.Fix))
		}
	}
}
