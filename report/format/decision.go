package format

import (
	"cmp"
	"strings"

	"sekisho"
	"sekisho/i18n"
)

// reasonGroup is all reasons of one control of one policy.
type reasonGroup struct {
	Policy, Control string
	Reasons         []sekisho.Reason
}

// reasonGroups gathers reasons by policy and control, in their order.
func reasonGroups(d *sekisho.Decision) (list []reasonGroup) {
	index := map[[2]string]int{}
	for _, x := range d.Reasons {
		key := [2]string{x.Policy, x.Control}
		n, ok := index[key]
		if !ok {
			n = len(list)
			index[key] = n
			list = append(list, reasonGroup{Policy: x.Policy, Control: x.Control})
		}
		list[n].Reasons = append(list[n].Reasons, x)
	}
	return list
}

// controlTitle is what a control wants, in words, or its name.
func controlTitle(p *i18n.Printer, name string) string {
	if key := "policy." + name + ".title"; p.Has(key) {
		return p.Text(key)
	}
	return name
}

// Colours of the results of decisions.
var resultColors = map[string]string{sekisho.Allow: "1;32", sekisho.Warn: "1;30;43", sekisho.Deny: "1;97;41"}

func (w *writer) verdict() {
	d := w.r.Decision
	if d == nil {
		w.line("%s", w.paint("2", w.t("report.next")))
		return
	}
	if len(d.Policies) > 0 {
		w.reasons(d)
		w.accepted(d)
		w.controls(d)
	}
	w.line("%s  %s", w.paint(resultColors[d.Result], " "+w.t("decision."+d.Result)+" "), visible(d.Policy))
	for _, p := range d.Policies {
		w.line("    %s", w.paint("2", visible(p.Name)+"  "+w.t("mode."+p.Mode)+"  "+w.t("decision."+p.Result)+"  "+visible(p.Version[:min(len(p.Version), 19)])))
	}
}

// maxReasons is how many reasons of a control are shown without --all.
const maxReasons = 8

func (w *writer) reasons(d *sekisho.Decision) {
	groups := reasonGroups(d)
	if len(groups) == 0 {
		return
	}
	w.line("%s  %d", w.paint("1", w.t("report.reasons")), len(d.Reasons))
	w.line("")
	for _, g := range groups {
		first := g.Reasons[0]
		w.line("%s  %s", w.paint("1", visible(controlTitle(w.Printer, g.Control))), w.paint("2", strings.TrimSpace(visible(g.Control+"  "+g.Policy))))
		for n, x := range g.Reasons {
			if n == maxReasons && !w.All && len(g.Reasons) > maxReasons+1 {
				w.line("      %s", w.paint("2", w.t("report.more", "count", len(g.Reasons)-maxReasons)))
				break
			}
			w.reason(x, n == 0 || x.Fix != g.Reasons[n-1].Fix)
		}
		if first.Owner != "" {
			w.line("    %s", w.paint("2", w.t("report.reason.of", "owner", visible(first.Owner))))
		}
		w.line("")
	}
}

// reason writes one reason; the fix is left out where it is the one before.
func (w *writer) reason(x sekisho.Reason, fix bool) {
	mark := w.paint("1;31", "✗")
	switch {
	case x.Effect == sekisho.Note:
		mark = w.paint("36", "·")
	case x.Result == sekisho.ControlNotAssessed:
		mark = w.paint("1;33", "?")
	case x.Result == sekisho.ControlError:
		mark = w.paint("1;33", "!")
	}
	for i, l := range wrap(visible(x.Message), w.Width-8) {
		w.line("    %s %s", map[bool]string{true: mark, false: " "}[i == 0], l)
	}
	if x.Evidence != "" && x.Evidence != x.Message {
		for _, l := range wrap(visible(x.Evidence), w.Width-8) {
			w.line("      %s", w.paint("2", l))
		}
	}
	if x.Fix != "" && fix {
		for i, l := range wrap(visible(x.Fix), w.Width-10) {
			w.line("      %s %s", map[bool]string{true: "→", false: " "}[i == 0], l)
		}
	}
}

// accepted lists the exceptions that concern the target; those that ended are
// loud.
func (w *writer) accepted(d *sekisho.Decision) {
	if len(d.Exceptions) == 0 {
		return
	}
	w.line("%s  %d", w.paint("1", w.t("report.exceptions")), len(d.Exceptions))
	for _, e := range d.Exceptions {
		line := exceptionLine(w.Printer, e)
		if e.State != sekisho.ExceptionInForce {
			line = w.paint("1;33", line)
		}
		w.line("    %s", line)
	}
	w.line("")
}

func exceptionLine(p *i18n.Printer, e sekisho.ExceptionUse) string {
	until := p.Text("report.exception.fixes")
	if !e.Until.IsZero() {
		until = e.Until.Format("2006-01-02")
	}
	return visible(p.Text("report.exception", "state", p.Text("exception."+e.State), "what", e.What, "reason", e.Reason, "owner", e.Owner, "until", until, "count", e.Count))
}

// controls tells how many controls said what; all of them with --all.
func (w *writer) controls(d *sekisho.Decision) {
	n := map[string]int{}
	for _, c := range d.Controls {
		n[c.Result]++
	}
	var parts []string
	for _, s := range []string{sekisho.ControlFail, sekisho.ControlError, sekisho.ControlNotAssessed, sekisho.ControlPass, sekisho.ControlNotApplicable} {
		if n[s] > 0 {
			parts = append(parts, w.t("control."+s)+" "+itoa(n[s]))
		}
	}
	w.line("%s  %d   %s", w.paint("1", w.t("report.controls")), len(d.Controls), strings.Join(parts, "   "))
	if w.All {
		for _, c := range d.Controls {
			w.line("    %s  %s  %s", pad(w.t("control."+c.Result), 14), pad(visible(c.Control), 22), w.paint("2", visible(c.Wants)))
		}
	}
	w.line("")
}

// reasonPlace finds the finding that a reason is about.
func reasonPlace(index map[string]*sekisho.Finding, x sekisho.Reason) sekisho.Location {
	if f := index[x.Finding]; x.Finding != "" && f != nil {
		return f.Location
	}
	return sekisho.Location{}
}

func byFingerprint(r *sekisho.Report) map[string]*sekisho.Finding {
	index := make(map[string]*sekisho.Finding, len(r.Findings))
	for i := range r.Findings {
		index[r.Findings[i].Fingerprint] = &r.Findings[i]
	}
	return index
}

// policyReasons are the reasons of policies that are about no finding: forms
// that list findings list them beside.
func policyReasons(r *sekisho.Report) (list []sekisho.Reason) {
	if r.Decision == nil {
		return nil
	}
	for _, x := range r.Decision.Reasons {
		if x.Policy != "" && x.Finding == "" {
			list = append(list, x)
		}
	}
	return list
}

// markdownReasons writes the reasons of a decision as a table.
func markdownReasons(b *strings.Builder, d *sekisho.Decision, t func(string, ...any) string) {
	if len(d.Policies) == 0 || len(d.Reasons) == 0 {
		return
	}
	b.WriteString("| " + t("report.control") + " | " + t("report.result") + " | " + t("report.reason") + " | " + t("report.fix") + " | " + t("report.owner") + " |\n|---|---|---|---|---|\n")
	for n, x := range d.Reasons {
		if n == 50 {
			b.WriteString("\n" + t("report.more", "count", len(d.Reasons)-n) + "\n")
			break
		}
		result := t("control." + cmp.Or(x.Result, sekisho.ControlFail))
		if x.Effect == sekisho.Note {
			result = t("effect.note")
		}
		b.WriteString("| " + cell(x.Control) + " | " + cell(result) + " | " + cell(x.Message) + " | " + cell(x.Fix) + " | " + cell(x.Owner) + " |\n")
	}
	b.WriteByte('\n')
}
