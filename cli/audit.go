package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/audit"
	"sekisho/report/format"
)

// auditFlags choose entries of the audit log.
type auditFlags struct {
	config, dir                  string
	since, until                 string
	actor, subject, gate, result string
	action, format, head         string
}

func (a *app) auditCommand() *cobra.Command {
	t := a.texts.Text
	f := &auditFlags{}
	root := &cobra.Command{Use: "audit", Short: t("cli.audit.short"), Long: t("cli.audit.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	root.PersistentFlags().StringVar(&f.config, "config", "", t("cli.flag.admit_config"))
	root.PersistentFlags().StringVar(&f.dir, "audit", "", t("cli.flag.audit_dir"))
	show := &cobra.Command{Use: "show", Short: t("cli.audit.show"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error { return a.auditShow(f) }}
	flags := show.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.since, "since", "", t("cli.flag.audit_since"))
	flags.StringVar(&f.until, "until", "", t("cli.flag.audit_until"))
	flags.StringVar(&f.actor, "actor", "", t("cli.flag.audit_actor"))
	flags.StringVar(&f.subject, "subject", "", t("cli.flag.audit_subject"))
	flags.StringVar(&f.gate, "gate", "", t("cli.flag.audit_gate"))
	flags.StringVar(&f.action, "action", "", t("cli.flag.audit_action"))
	flags.StringVar(&f.result, "result", "", t("cli.flag.audit_result"))
	flags.StringVar(&f.format, "format", "text", t("cli.flag.audit_format"))
	verify := &cobra.Command{Use: "verify", Short: t("cli.audit.verify"), Long: t("cli.audit.verify.long"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error { return a.auditVerify(f) }}
	verify.Flags().StringVar(&f.head, "head", "", t("cli.flag.audit_head"))
	head := &cobra.Command{Use: "head", Short: t("cli.audit.head"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error { return a.auditHead(f) }}
	root.AddCommand(show, verify, head)
	return root
}

func (a *app) auditDir(f *auditFlags) (string, error) {
	if f.dir != "" {
		return f.dir, nil
	}
	c, err := a.placesOf(&admitFlags{config: f.config})
	if err != nil {
		return "", err
	}
	return c.Audit, nil
}

// moment is a time, or a span before now.
func moment(text string, now time.Time) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	span, err := parseSpan(text)
	if err != nil {
		return time.Time{}, sekisho.Errorf(sekisho.Usage, "%q: want a time, as 2026-01-31 or 2026-01-31T08:00:00Z, or a span before now, as 12h or 30d", text)
	}
	return now.Add(-span), nil
}

// chosen tells which entries are asked for.
func (f *auditFlags) chosen(now time.Time) (func(*audit.Entry) bool, error) {
	var from, to time.Time
	for text, at := range map[*string]*time.Time{&f.since: &from, &f.until: &to} {
		if *text == "" {
			continue
		}
		t, err := moment(*text, now)
		if err != nil {
			return nil, err
		}
		*at = t
	}
	return func(e *audit.Entry) bool {
		return !e.Time.Before(from) && (to.IsZero() || e.Time.Before(to)) && (f.actor == "" || e.Actor == f.actor) &&
			(f.gate == "" || e.Gate == f.gate) && (f.result == "" || e.Result == f.result) && (f.action == "" || e.Action == f.action) &&
			(f.subject == "" || strings.Contains(e.Subject, f.subject) || strings.Contains(e.Details["image"], f.subject) || strings.Contains(e.Details["digest"], f.subject))
	}, nil
}

// auditShow writes the entries that are asked for, oldest first. A chain that
// breaks is told at its place, after what came before it.
func (a *app) auditShow(f *auditFlags) error {
	if f.format != "text" && f.format != "json" {
		return sekisho.Errorf(sekisho.Usage, "format %q: want text or json", f.format)
	}
	dir, err := a.auditDir(f)
	if err != nil {
		return err
	}
	now, err := a.now()
	if err != nil {
		return err
	}
	choose, err := f.chosen(now)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(a.Stdout)
	lines.SetEscapeHTML(false)
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	err = audit.Read(dir, func(e audit.Entry) error {
		if !choose(&e) {
			return nil
		}
		if f.format == "json" {
			return lines.Encode(e)
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.UTC().Format(time.RFC3339), e.Gate, visible(e.Actor), visible(e.Action), visible(e.Subject), a.result(e.Result), visible(a.firstReason(&e)))
		return err
	})
	return errors.Join(w.Flush(), err)
}

// result is the word for a result, where the catalogue has one.
func (a *app) result(result string) string {
	if key := "decision." + result; a.texts.Has(key) {
		return a.texts.Text(key)
	}
	return result
}

// firstReason sums up why.
func (a *app) firstReason(e *audit.Entry) string {
	if len(e.Reasons) == 0 {
		return ""
	}
	format.Describe(&sekisho.Report{Decision: &sekisho.Decision{Reasons: e.Reasons}}, a.texts)
	text := e.Reasons[0].Message
	if text == "" {
		text = e.Reasons[0].Control
	}
	if n := len(e.Reasons); n > 1 {
		text += fmt.Sprintf(" (+%d)", n-1)
	}
	return text
}

// auditVerify checks the chain, and that it still holds a head that was noted
// earlier: then nothing before it changed and nothing of it was cut off.
func (a *app) auditVerify(f *auditFlags) error {
	dir, err := a.auditDir(f)
	if err != nil {
		return err
	}
	count, hash, err := audit.Head(dir)
	if err != nil {
		return err
	}
	if f.head != "" {
		held, err := audit.Holds(dir, strings.TrimSpace(f.head))
		if err != nil {
			return err
		}
		if !held {
			return sekisho.Errorf(sekisho.Corrupt, "%s", a.texts.Text("cli.audit.lost", "head", f.head))
		}
	}
	fmt.Fprintf(a.Stdout, "%s\n", a.texts.Text("cli.audit.holds", "count", count, "head", hash))
	return nil
}

func (a *app) auditHead(f *auditFlags) error {
	dir, err := a.auditDir(f)
	if err != nil {
		return err
	}
	count, hash, err := audit.Head(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%d:%s\n", count, hash)
	return nil
}
