package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/enforce/detect"
	"sekisho/i18n"
)

// detectFlags are the flags of the commands about detection rules.
type detectFlags struct {
	files   []string
	builtin bool
	enable  []string
	disable []string
	json    bool
}

// enforceRulesCommand shows and tests what the enforcer alerts on.
func (a *app) enforceRulesCommand() *cobra.Command {
	t := a.texts.Text
	f := &detectFlags{}
	root := &cobra.Command{Use: "rules", Short: t("cli.detect.short"), Long: t("cli.detect.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	list := &cobra.Command{Use: "list [WORD]", Short: t("cli.detect.list"), Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return a.listDetections(f, strings.Join(args, "")) }}
	check := &cobra.Command{Use: "check FILE...", Short: t("cli.detect.check"), Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return a.checkDetections(f, args) }}
	explain := &cobra.Command{Use: "explain NAME", Short: t("cli.detect.explain"), Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return a.explainDetection(f, args[0]) }}
	test := &cobra.Command{Use: "test FILE", Short: t("cli.detect.test"), Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return a.testDetections(f, args[0]) }}
	cost := &cobra.Command{Use: "cost", Short: t("cli.detect.cost"), Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return a.costOfDetections(f) }}
	p := root.PersistentFlags()
	p.StringArrayVar(&f.files, "rules", nil, t("cli.flag.detect_rules"))
	p.BoolVar(&f.builtin, "builtin", true, t("cli.flag.detect_builtin"))
	p.StringArrayVar(&f.enable, "enable", nil, t("cli.flag.detect_enable"))
	p.StringArrayVar(&f.disable, "disable", nil, t("cli.flag.detect_disable"))
	for _, c := range []*cobra.Command{list, test, cost} {
		c.Flags().BoolVar(&f.json, "json", false, t("cli.flag.json"))
	}
	root.AddCommand(list, check, explain, test, cost)
	return root
}

const maxRuleFile = 4 << 20 // bytes

// sources reads the files of rules.
func (f *detectFlags) sources() ([]detect.Source, error) {
	var out []detect.Source
	if f.builtin {
		out = detect.BuiltIn()
	}
	for _, name := range f.files {
		file, err := os.Open(name)
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Usage, "open rules: %w", err)
		}
		data, err := io.ReadAll(io.LimitReader(file, maxRuleFile+1))
		file.Close()
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Usage, "read rules: %w", err)
		}
		out = append(out, detect.Source{Name: name, Data: data})
	}
	return out, nil
}

// load reads the rules and says what is odd about them.
func (f *detectFlags) load(a *app) (*detect.Set, error) {
	sources, err := f.sources()
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	set, err := detect.Load(detect.Options{Enabled: func(rule string, enabled bool) bool {
		named[rule] = true
		return (enabled || slices.Contains(f.enable, rule) || slices.Contains(f.enable, "all")) && !slices.Contains(f.disable, rule)
	}}, sources...)
	for _, p := range set.Problems {
		if p.Warning {
			fmt.Fprintf(a.Stderr, "sekisho: %s: %s\n", a.texts.Text("cli.detect.warning"), visible(p.Error()))
		}
	}
	if err != nil {
		return nil, err
	}
	for _, name := range append(slices.Clone(f.enable), f.disable...) {
		if !named[name] && name != "all" {
			return nil, sekisho.Errorf(sekisho.Usage, "no rule %q", name).WithHint("sekisho enforce rules list")
		}
	}
	return set, nil
}

// detectionTitle words a rule: our own have texts, others their description.
func detectionTitle(p *i18n.Printer, r detect.Rule) string {
	if key := "rule." + r.Name + ".title"; p.Has(key) && strings.HasPrefix(r.File, "sekisho:") {
		return p.Text(key)
	}
	first, _, _ := strings.Cut(r.Desc, ". ")
	return strings.Join(strings.Fields(first), " ")
}

func (a *app) listDetections(f *detectFlags, word string) error {
	set, err := f.load(a)
	if err != nil {
		return err
	}
	var rules []detect.Rule
	for _, r := range set.Rules {
		if strings.Contains(strings.ToLower(r.Name+" "+detectionTitle(a.texts, r)+" "+strings.Join(r.Tags, " ")), strings.ToLower(word)) {
			rules = append(rules, r)
		}
	}
	if f.json {
		return writeJSON(a.Stdout, map[string]any{"schema": "sekisho.detect-rules/v1", "rules": emptyList(rules)})
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	for _, r := range rules {
		state := ""
		if !r.Enabled {
			state = " (" + a.texts.Text("cli.detect.disabled") + ")"
		}
		fmt.Fprintf(w, "%s%s\t%s\t%s\t%s\n", visible(r.Name), state, r.Priority, visible(strings.Join(r.MITRE, " ")), visible(detectionTitle(a.texts, r)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Stdout, a.texts.Text("cli.detect.count", "count", len(rules)))
	return err
}

func emptyList[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(v)
}

func (a *app) checkDetections(f *detectFlags, files []string) error {
	f.files = append(f.files, files...)
	set, err := f.load(a)
	if err != nil {
		return err
	}
	enabled := 0
	for _, r := range set.Rules {
		if r.Enabled {
			enabled++
		}
	}
	_, err = fmt.Fprintln(a.Stdout, a.texts.Text("cli.detect.checked", "rules", len(set.Rules), "enabled", enabled, "lists", set.Lists, "macros", set.Macros))
	return err
}

func (a *app) explainDetection(f *detectFlags, name string) error {
	set, err := f.load(a)
	if err != nil {
		return err
	}
	r, ok := set.Find(name)
	if !ok {
		return sekisho.Errorf(sekisho.NotFound, "no rule %q", name).WithHint("sekisho enforce rules list")
	}
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(a.Stdout, "  %s: %s\n", a.texts.Text("cli.detect."+key), visible(strings.Join(strings.Fields(value), " ")))
		}
	}
	fmt.Fprintf(a.Stdout, "%s  %s\n", visible(r.Name), visible(detectionTitle(a.texts, r)))
	if !r.Enabled {
		row("state", a.texts.Text("cli.detect.disabled"))
	}
	row("what", r.Desc)
	if strings.HasPrefix(r.File, "sekisho:") {
		row("why", a.texts.Text("rule."+r.Name+".why"))
		row("fix", a.texts.Text("rule."+r.Name+".fix"))
	}
	row("priority", r.Priority.String())
	row("mitre", strings.Join(r.MITRE, " "))
	row("tags", strings.Join(r.Tags, " "))
	row("condition", r.Text)
	row("output", r.Output)
	row("needs", strings.Join(needed(r), " "))
	row("file", fmt.Sprintf("%s:%d", r.File, r.Line))
	return nil
}

func needed(r detect.Rule) []string {
	var out []string
	for _, n := range r.Needs {
		out = append(out, n.Syscall)
	}
	return out
}

// costOfDetections shows which system calls have to be hooked, at what cost,
// and for which rules.
func (a *app) costOfDetections(f *detectFlags) error {
	set, err := f.load(a)
	if err != nil {
		return err
	}
	type row struct {
		detect.Need
		Rules []string `json:"rules"`
	}
	var rows []row
	for n, rules := range set.Needs() {
		slices.Sort(rules)
		rows = append(rows, row{n, rules})
	}
	slices.SortFunc(rows, func(x, y row) int {
		if x.Tier != y.Tier {
			return y.Tier - x.Tier
		}
		if len(x.Rules) != len(y.Rules) {
			return len(x.Rules) - len(y.Rules)
		}
		return strings.Compare(x.Syscall, y.Syscall)
	})
	if f.json {
		return writeJSON(a.Stdout, map[string]any{"schema": "sekisho.detect-cost/v1", "needs": emptyList(rows)})
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		shown := r.Rules
		more := ""
		if len(shown) > 3 {
			shown, more = shown[:3], " …"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s%s\n", r.Syscall, a.texts.Text(fmt.Sprintf("cli.detect.tier%d", r.Tier)), a.texts.Text("cli.detect.rules", "count", len(r.Rules)), visible(strings.Join(shown, ", ")), more)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Stdout, a.texts.Text("cli.detect.cost.note"))
	return err
}

// testDetections holds events of a file against the rules.
func (a *app) testDetections(f *detectFlags, name string) error {
	set, err := f.load(a)
	if err != nil {
		return err
	}
	in, err := a.input(name, "events")
	if err != nil {
		return err
	}
	defer in.Close()
	d := detect.NewDetector(set, detect.Limits{}, nil, "")
	events, last := 0, time.Time{}
	err = detect.ReadEvents(in, func(n int, e *sekisho.Event) error {
		events++
		if e.Time.After(last) {
			last = e.Time
		}
		return a.showAlerts(f, n, d.Observe(last, e))
	})
	if err != nil {
		return fmt.Errorf("test %s: %w", name, err)
	}
	if err := a.showAlerts(f, 0, d.Flush(last.Add(1000*time.Hour))); err != nil {
		return err
	}
	if !f.json {
		c := d.Counts()
		fmt.Fprintln(a.Stdout, a.texts.Text("cli.detect.tested", "events", events, "alerts", c.Alerts, "folded", c.Folded, "demoted", c.Demoted))
	}
	return nil
}

func (a *app) showAlerts(f *detectFlags, line int, alerts []detect.Alert) error {
	for _, x := range alerts {
		if f.json {
			if err := json.NewEncoder(a.Stdout).Encode(x); err != nil {
				return err
			}
			continue
		}
		note := ""
		if x.Note != "" {
			note = "  (" + a.texts.Text(x.Note, "count", x.Count) + ")"
		}
		if _, err := fmt.Fprintf(a.Stdout, "%d\t%s\t%s\t%s%s\n", line, x.Priority, visible(x.Rule), visible(x.Output), note); err != nil {
			return err
		}
	}
	return nil
}
