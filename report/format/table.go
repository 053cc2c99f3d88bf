package format

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sekisho"
)

// writer writes the table; errors come out at the end, with Flush.
type writer struct {
	*bufio.Writer
	Options
	r *sekisho.Report
}

func (w *writer) t(key string, pairs ...any) string { return w.Printer.Text(key, pairs...) }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// Colours and symbols of severities; a symbol keeps them apart without colour.
var marks = map[sekisho.Severity]struct{ color, symbol string }{
	sekisho.Critical: {"1;97;41", "●"}, sekisho.High: {"1;31", "▲"}, sekisho.Medium: {"33", "■"},
	sekisho.Low: {"36", "○"}, sekisho.None: {"2", "·"}, sekisho.Unknown: {"2", "?"},
}

func (w *writer) paint(code, s string) string {
	if !w.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (w *writer) severity(s sekisho.Severity) string {
	m := marks[s]
	return w.paint(m.color, m.symbol+" "+w.t("severity."+string(s)))
}

func table(out io.Writer, r *sekisho.Report, o Options) error {
	if o.Width <= 0 {
		o.Width = 100
	}
	w := &writer{bufio.NewWriter(out), o, r}
	w.head()
	w.findings()
	w.vulnerabilities()
	w.packages()
	w.problems()
	w.verdict()
	return w.Flush()
}

func (w *writer) head() {
	t := w.r.Target
	w.line("%s  %s", w.paint("1", "sekisho"), w.paint("1", visible(t.Reference)))
	row := func(key, value string) {
		if value != "" {
			w.line("  %s %s", pad(w.t(key), 16), fit(visible(value), w.Width-20))
		}
	}
	row("report.digest", string(cmp.Or(t.Digest, t.ID)))
	platform := t.Platform
	if len(t.Platforms) > 1 {
		platform += "  (" + w.t("report.offers", "platforms", strings.Join(t.Platforms, ", ")) + ")"
	}
	row("report.platform", platform)
	row("report.os", w.os())
	for _, text := range w.extended() {
		w.line("  %s %s", pad("", 16), text)
	}
	var size int64
	for _, l := range t.Layers {
		size += l.Size
	}
	if len(t.Layers) > 0 {
		row("report.layers", fmt.Sprintf("%d, %s", len(t.Layers), mib(size)))
	}
	if s := knowledge(w.r, false); s.feeds > 0 {
		row("report.signatures", w.t("report.signatures.count", "count", s.records, "sources", s.feeds, "date", s.newest.Format("2006-01-02")))
	}
	w.coverage()
	if s := knowledge(w.r, true); s.feeds > 0 {
		row("", w.t("report.advisories", "records", s.records, "feeds", s.feeds, "date", s.checked.Format("2006-01-02")))
	}
	if len(w.r.Filters) > 0 {
		w.line("  %s", w.paint("1;33", fit(visible(w.t("report.filtered", "filters", strings.Join(w.r.Filters, ", "))), w.Width-2)))
	}
	w.line("")
}

// sources sums up feeds of one kind.
type sources struct {
	feeds, records  int
	newest, checked time.Time
}

// knowledge sums up the feeds of advisories, or those of signatures.
func knowledge(r *sekisho.Report, advisories bool) (s sources) {
	for _, f := range r.Feeds {
		if (f.Kind == sekisho.FeedAdvisories) != advisories {
			continue
		}
		s.feeds++
		s.records += f.Records
		if f.Newest.After(s.newest) {
			s.newest = f.Newest
		}
		if s.checked.IsZero() || f.Checked.Before(s.checked) {
			s.checked = f.Checked
		}
	}
	return s
}

// os names the distribution and until when it is supported.
func (w *writer) os() string {
	os := w.r.Target.OS
	if os == nil {
		return w.t("report.os.none")
	}
	if os.SupportedUntil == "" {
		return os.Name
	}
	key := "report.supported"
	if os.SupportedUntil < w.r.Generated.Format("2006-01-02") {
		key = "report.unsupported"
	}
	return os.Name + ", " + w.t(key, "date", os.SupportedUntil)
}

// extended names the vendor's paid support of the release.
func (w *writer) extended() (list []string) {
	if os := w.r.Target.OS; os != nil {
		for _, p := range os.Extended {
			list = append(list, visible(w.t("report.extended", "name", p.Name, "date", p.Until)))
		}
	}
	return list
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func (w *writer) findings() {
	n, suppressed, cleared := tallied(w.r)
	var parts []string
	for _, s := range sekisho.Severities() {
		if n[s] > 0 {
			parts = append(parts, w.severity(s)+" "+itoa(n[s]))
		}
	}
	if suppressed > 0 {
		parts = append(parts, w.t("report.suppressed", "count", suppressed))
	}
	if cleared > 0 {
		parts = append(parts, w.t("report.cleared", "count", cleared))
	}
	if len(parts) == 0 {
		parts = []string{w.t(none(w.r))}
	}
	w.line("%s  %s", w.paint("1", w.t("report.findings")), strings.Join(parts, "   "))
	w.line("")
	for _, g := range groups(w.r) {
		w.group(g)
	}
}

// none is how a report without findings is worded: where packages could not be
// held against advisories, none is not nothing.
func none(r *sekisho.Report) string {
	if slices.ContainsFunc(r.Coverage, func(c sekisho.Cover) bool { return c.State != sekisho.Covered && c.Packages > 0 }) {
		return "report.none.judged"
	}
	return "report.none"
}

// places is how many places of a finding are shown without --all.
const places = 4

func (w *writer) group(g group) {
	ids := g.ID
	if len(g.Aliases) > 0 {
		ids += "  " + strings.Join(g.Aliases[:min(2, len(g.Aliases))], " ")
	}
	w.line("%s  %s  %s", w.severity(g.Severity), w.paint("1", visible(g.Title)), w.paint("2", visible(ids)))
	for i, x := range g.members {
		if i == places && !w.All && len(g.members) > places+1 {
			w.line("      %s", w.paint("2", w.t("report.more", "count", len(g.members)-places)))
			break
		}
		w.place(x)
	}
	if g.Fix != "" {
		for i, l := range wrap(visible(g.Fix), w.Width-8) {
			w.line("    %s %s", map[bool]string{true: "→", false: " "}[i == 0], l)
		}
	}
	w.line("")
}

func (w *writer) place(x sekisho.Finding) {
	var parts []string
	if p := place(x.Location); p != "" {
		parts = append(parts, visible(p))
	}
	if x.Package != nil {
		parts = append(parts, visible(x.Package.Name+" "+x.Package.Version))
	}
	if x.Evidence != "" {
		parts = append(parts, visible(x.Evidence))
	}
	if l, ok := layerOf(w.r, x.Location.Layer); ok && w.r.Target.Kind != "directory" {
		parts = append(parts, w.t("report.layer", "index", l.Index)+": "+fit(visible(instruction(l.Instruction)), 40))
	}
	if x.Location.Layer == "" && x.Location.Instruction != "" {
		parts = append(parts, fit(visible(instruction(x.Location.Instruction)), 40))
	}
	if n := len(x.Places); n > 0 {
		parts = append(parts, w.t("report.elsewhere", "count", n))
	}
	if x.Confidence != "" {
		parts = append(parts, w.t("report.confidence."+x.Confidence))
	}
	parts = append(parts, w.state(x.Location)...)
	if x.Expired != nil {
		parts = append(parts, w.t("report.expired", "date", x.Expired.Until.Format("2006-01-02"), "owner", visible(x.Expired.Owner)))
	}
	if len(parts) > 0 {
		w.line("      %s", fit(strings.Join(parts, "  "), w.Width-6))
	}
}

// state tells whether a place is hidden or changed, in the words of what was
// scanned.
func (w *writer) state(l sekisho.Location) (parts []string) {
	repository := w.r.Target.Kind == "repository"
	if l.Commit != "" {
		parts = append(parts, w.t("report.commit", "commit", l.Commit[:min(len(l.Commit), 12)]))
	}
	switch {
	case l.Changed && repository:
		parts = append(parts, w.t("report.staged"))
	case l.Changed:
		parts = append(parts, w.t("report.changed"))
	}
	switch {
	case l.Hidden && repository:
		parts = append(parts, w.t("report.removed"))
	case l.Hidden:
		parts = append(parts, w.t("report.hidden"))
	}
	return parts
}

func (w *writer) packages() {
	w.line("%s  %d", w.paint("1", w.t("report.packages")), len(w.r.Packages))
	var kinds []string
	for _, k := range tallies(w.r, func(p sekisho.Package) string { return p.Type }) {
		kinds = append(kinds, k.name+" "+itoa(k.count))
	}
	w.folded(kinds)
	var licences []string
	for _, l := range licenceTallies(w.r) {
		if l.name == "" {
			l.name = w.t("report.licence.none")
		}
		licences = append(licences, visible(l.name)+" "+itoa(l.count))
	}
	if len(licences) > 0 {
		w.line("%s", w.paint("1", w.t("report.licences")))
		if len(licences) > 10 && !w.All {
			licences = append(licences[:10], w.t("report.more", "count", len(licences)-10))
		}
		w.folded(licences)
	}
	w.line("")
}

func (w *writer) folded(list []string) {
	for _, l := range wrap(strings.Join(list, " · "), w.Width-4) {
		if l != "" {
			w.line("    %s", l)
		}
	}
}

// problems are never hidden: what was not read was not judged.
func (w *writer) problems() {
	list := w.r.Problems
	if len(list) == 0 {
		return
	}
	w.line("%s  %d", w.paint("1;33", w.t("report.problems")), len(list))
	for i, p := range list {
		if i == 10 && !w.All {
			w.line("    %s", w.t("report.more", "count", len(list)-10))
			break
		}
		w.line("    %s", fit(visible(p.String()), w.Width-4))
	}
	w.line("")
}
