package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/i18n"
	"sekisho/internal/siphash"
	"sekisho/scan/analyze"
	"sekisho/scan/malware/yara"
	"sekisho/scan/secret"
)

// rulesFlags are the flags of the commands about rules.
type rulesFlags struct {
	content contentFlags
}

// rulesCommand lists, tests and explains what looks inside files.
func (a *app) rulesCommand() *cobra.Command {
	t := a.texts.Text
	f := &rulesFlags{}
	root := &cobra.Command{Use: "rules", Short: t("cli.rules.short"), Long: t("cli.rules.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	list := &cobra.Command{Use: "list [WORD]", Short: t("cli.rules.list"), Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.listRules(cmd.Context(), f, strings.Join(args, ""))
		}}
	explain := &cobra.Command{Use: "explain ID", Short: t("cli.rules.explain"), Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.explainRule(cmd.Context(), f, args[0]) }}
	test := &cobra.Command{Use: "test FILE", Short: t("cli.rules.test"), Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.testRules(cmd.Context(), f, args[0]) }}
	root.PersistentFlags().StringArrayVar(&f.content.secretRules, "secret-rules", nil, t("cli.flag.secret_rules"))
	root.PersistentFlags().StringArrayVar(&f.content.signatures, "signatures", nil, t("cli.flag.signatures"))
	root.PersistentFlags().StringVar(&f.content.clamd, "clamd", "", t("cli.flag.clamd"))
	skipped := &cobra.Command{Use: "skipped", Short: t("cli.rules.skipped"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.skippedRules(cmd.Context(), f) }}
	root.AddCommand(list, explain, test, skipped)
	return root
}

// ruleTitle words a rule.
func ruleTitle(p *i18n.Printer, r secret.Rule) string {
	if r.Title != "" {
		return r.Title
	}
	what := p.Text("secret." + string(r.Type))
	if r.Vendor == "" {
		return what
	}
	return p.Text("secret.title", "vendor", r.Vendor, "what", what)
}

func (a *app) listRules(ctx context.Context, f *rulesFlags, word string) error {
	engine, err := a.secretEngine(f.content.secretRules, siphash.Key{})
	if err != nil {
		return err
	}
	viruses, err := a.malware(ctx, &f.content)
	if err != nil {
		return err
	}
	type row struct{ id, severity, title, origin string }
	var rows []row
	for _, r := range engine.Rules() {
		rows = append(rows, row{r.ID, a.texts.Text("severity." + string(r.Severity)), ruleTitle(a.texts, r), r.Origin})
	}
	for _, r := range viruses.Rules() {
		rows = append(rows, row{r.Name, "YARA", a.yaraTitle(r), strings.TrimPrefix(r.File, "sekisho")})
	}
	slices.SortFunc(rows, func(x, y row) int { return strings.Compare(x.id, y.id) })
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	n := 0
	for _, r := range rows {
		if word != "" && !strings.Contains(strings.ToLower(r.id+" "+r.title), strings.ToLower(word)) {
			continue
		}
		n++
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", visible(r.id), r.severity, visible(r.title), visible(r.origin))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s\n", a.texts.Text("cli.rules.count", "count", n))
	return err
}

func (a *app) explainRule(ctx context.Context, f *rulesFlags, id string) error {
	engine, err := a.secretEngine(f.content.secretRules, siphash.Key{})
	if err != nil {
		return err
	}
	rules := engine.Rules()
	i := slices.IndexFunc(rules, func(r secret.Rule) bool { return r.ID == id })
	if i < 0 {
		if ok, err := a.explainYara(ctx, f, id); ok || err != nil {
			return err
		}
		return sekisho.Errorf(sekisho.NotFound, "no rule %s", id).WithHint("sekisho rules list")
	}
	r := rules[i]
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(a.Stdout, "  %s: %s\n", a.texts.Text("cli.rules."+key), visible(value))
		}
	}
	fmt.Fprintf(a.Stdout, "%s  %s\n", visible(r.ID), visible(ruleTitle(a.texts, r)))
	row("severity", a.texts.Text("severity."+string(r.Severity)))
	row("keys", strings.Join(r.Keys, "  "))
	row("near", strings.Join(r.Near, "  "))
	row("regex", r.Regex)
	if r.Entropy > 0 {
		row("entropy", fmt.Sprint(r.Entropy))
	}
	if r.Check != "" {
		row("check", a.texts.Text("cli.rules.check."+r.Check))
	}
	row("path", r.Path)
	row("origin", cmp.Or(r.Origin, "sekisho"))
	if r.Origin == "" {
		row("fix", a.texts.Text("secret.fix"))
	}
	return nil
}

func (a *app) yaraTitle(r *yara.Rule) string {
	if key := "check." + r.Name + ".title"; a.texts.Has(key) {
		return a.texts.Text(key)
	}
	return r.Get("description")
}

// explainYara shows a YARA rule; false where there is none of the name.
func (a *app) explainYara(ctx context.Context, f *rulesFlags, id string) (bool, error) {
	viruses, err := a.malware(ctx, &f.content)
	if err != nil {
		return false, err
	}
	for _, r := range viruses.Rules() {
		if r.Name != id {
			continue
		}
		fmt.Fprintf(a.Stdout, "%s  %s\n", visible(r.Name), visible(a.yaraTitle(r)))
		for _, m := range r.Meta {
			fmt.Fprintf(a.Stdout, "  %s: %s\n", visible(m.Key), visible(m.Value))
		}
		fmt.Fprintf(a.Stdout, "  %s: %s:%d\n  %s: %s\n", a.texts.Text("cli.rules.file"), visible(r.File), r.Line, a.texts.Text("cli.rules.fix"), a.texts.Text("malware.fix"))
		return true, nil
	}
	return false, nil
}

// skippedRules lists what was loaded and does not count.
func (a *app) skippedRules(ctx context.Context, f *rulesFlags) error {
	viruses, err := a.malware(ctx, &f.content)
	if err != nil {
		return err
	}
	for _, s := range viruses.Skipped() {
		if _, err := fmt.Fprintln(a.Stdout, visible(s)); err != nil {
			return err
		}
	}
	return nil
}

// testRules shows what the rules say about one file.
func (a *app) testRules(ctx context.Context, f *rulesFlags, name string) error {
	inside, err := a.inside(ctx, &f.content, []string{sekisho.Secret, sekisho.Malware}, siphash.Key{})
	if err != nil {
		return err
	}
	in, err := a.input(name, "file")
	if err != nil {
		return err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, analyze.MaxWhole+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > analyze.MaxWhole {
		return sekisho.Errorf(sekisho.Usage, "%s has more than %d bytes", name, analyze.MaxWhole).WithHint("sekisho scan file:%s", name)
	}
	var out analyze.Result
	if err := inside.Analyze(&analyze.File{Path: name, Size: int64(len(data)), Data: data}, &out); err != nil {
		return err
	}
	for _, x := range out.Findings {
		fmt.Fprintf(a.Stdout, "%s:%d  %s  %s  %s  %s\n", visible(x.Location.Path), x.Location.Line, visible(x.ID), a.texts.Text("severity."+string(x.Severity)), a.texts.Text("report.confidence."+x.Confidence), visible(x.Evidence))
	}
	for _, p := range out.Problems {
		a.note("cli.rules.problem", "problem", p)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s\n", a.texts.Text("cli.rules.found", "count", len(out.Findings)))
	return err
}
