package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/store"
)

func (a *app) admitFactsCommand(shared *admitFlags) *cobra.Command {
	t := a.texts.Text
	root := &cobra.Command{Use: "facts", Short: t("cli.facts.short"), Long: t("cli.facts.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var format, older string
	list := &cobra.Command{Use: "list", Short: t("cli.facts.list"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error { return a.factsList(shared, format) }}
	list.Flags().StringVar(&format, "format", "text", t("cli.flag.explain_format"))
	show := &cobra.Command{Use: "show DIGEST", Short: t("cli.facts.show"), Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error { return a.factsShow(shared, args[0]) }}
	prune := &cobra.Command{Use: "prune", Short: t("cli.facts.prune"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error { return a.factsPrune(shared, older) }}
	prune.Flags().StringVar(&older, "older", "90d", t("cli.flag.older"))
	root.AddCommand(list, show, prune, a.factsVerifyCommand(shared))
	return root
}

// openFacts opens the directory of the configuration; policies are not needed.
func (a *app) openFacts(shared *admitFlags) (*store.Facts, error) {
	c, err := a.placesOf(shared)
	if err != nil {
		return nil, err
	}
	return store.OpenFacts(c.Facts)
}

// placesOf reads the configuration for its directories only.
func (a *app) placesOf(shared *admitFlags) (*admitConfig, error) {
	f := *shared
	if len(f.policies) == 0 {
		f.policies = []string{"baseline"}
	}
	return a.admitConfig(&f)
}

// factLine is a digest about which something is known.
type factLine struct {
	Digest    sekisho.Digest `json:"digest"`
	Kept      time.Time      `json:"kept"`
	Facts     string         `json:"facts"`
	ScannedAs string         `json:"scanned_as"`
	Packages  int            `json:"packages"`
	Findings  int            `json:"findings"`
}

func (a *app) factsList(shared *admitFlags, format string) error {
	if format != "text" && format != "json" {
		return sekisho.Errorf(sekisho.Usage, "format %q: want text or json", format)
	}
	facts, err := a.openFacts(shared)
	if err != nil {
		return err
	}
	list, err := facts.List()
	if err != nil {
		return err
	}
	lines := make([]factLine, 0, len(list))
	for _, k := range list {
		l := factLine{Digest: k.Digest, Kept: k.Time.UTC(), Facts: k.Version}
		if i, err := facts.Image(k.Digest); err == nil {
			l.ScannedAs, l.Packages, l.Findings = i.ScannedAs, len(i.Packages), len(i.Findings)
		}
		lines = append(lines, l)
	}
	if format == "json" {
		return a.encode(lines)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Digest, l.Kept.Format(time.RFC3339), a.texts.Text("cli.facts.line", "packages", l.Packages, "findings", l.Findings), visible(l.ScannedAs))
	}
	return w.Flush()
}

// encode writes a document of JSON.
func (a *app) encode(v any) error {
	e := json.NewEncoder(a.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (a *app) factsShow(shared *admitFlags, digest string) error {
	d := sekisho.Digest(digest)
	if err := d.Validate(); err != nil {
		return usage(err)
	}
	facts, err := a.openFacts(shared)
	if err != nil {
		return err
	}
	i, err := facts.Image(d)
	if err != nil {
		return err
	}
	return a.encode(i)
}

func (a *app) factsPrune(shared *admitFlags, older string) error {
	span, err := parseSpan(older)
	if err != nil {
		return err
	}
	facts, err := a.openFacts(shared)
	if err != nil {
		return err
	}
	n, err := facts.Prune(time.Now().Add(-span))
	fmt.Fprintf(a.Stdout, "%s\n", a.texts.Text("cli.facts.pruned", "count", n))
	return err
}
