package format

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"sekisho"
	"sekisho/i18n"
)

//go:embed page.html
var page string

//go:embed page.css
var style string

// html writes one page that needs nothing else: no script, no network. Both
// languages are in it; a switch that is only style shows one.
func html(w io.Writer, r *sekisho.Report, o Options) error {
	both := map[i18n.Lang]*i18n.Printer{}
	for _, l := range i18n.Languages() {
		both[l] = i18n.New(l)
	}
	v := view{Report: r, Style: template.CSS(style), Japanese: o.Printer.Lang() == i18n.Japanese, both: both, index: byFingerprint(r)}
	sum := sha256.Sum256([]byte(style))
	v.Policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	v.Groups, v.Piles = groups(r), piles(r)
	v.Counts, v.Suppressed = counts(r)
	t, err := template.New("page").Funcs(template.FuncMap{
		"t": v.say, "check": v.check, "title": v.title, "fix": v.fix, "visible": visible, "place": place, "instruction": instruction, "list": sekisho.Severities,
		"symbol": func(s sekisho.Severity) string { return marks[s].symbol },
		"layer": func(d sekisho.Digest) string {
			if l, ok := layerOf(r, d); ok {
				return itoa(l.Index)
			}
			return ""
		},
		"size": mib, "reasons": reasonGroups, "reason": v.reason, "control": v.control, "exception": v.exception, "cover": v.cover, "describe": v.describe, "advice": v.advice, "notes": v.notes, "none": func() string { return none(r) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("html template: %w", err)
	}
	return t.Execute(w, v)
}

// view is what the page shows.
type view struct {
	*sekisho.Report
	Style      template.CSS
	Policy     string
	Japanese   bool
	Groups     []group
	Piles      []pile
	Counts     map[sekisho.Severity]int
	Suppressed int
	both       map[i18n.Lang]*i18n.Printer
	index      map[string]*sekisho.Finding
}

// HiddenKey is the word for what is not in the present state.
func (v view) HiddenKey() string {
	if v.Target.Kind == "repository" {
		return "report.removed"
	}
	return "report.hidden"
}

// Covers says what was held against advisories.
func (v view) Covers() []sekisho.Cover { return covers(v.Report) }

// Signatures tells how many there were and how new they are.
func (v view) Signatures() string {
	s := knowledge(v.Report, false)
	if s.feeds == 0 {
		return ""
	}
	return itoa(s.records) + ", " + s.newest.Format("2006-01-02")
}

// Members are the findings of a group.
func (g group) Members() []sekisho.Finding { return g.members }

// say writes a text in both languages.
func (v view) say(key string) template.HTML { return v.pair(key, "") }

// check writes a part of a check's text in both languages, or what the report
// has.
func (v view) check(id, part, other string) template.HTML { return v.pair("check."+id+"."+part, other) }

// title and fix write what a group of findings is called, and what to do, in
// both languages.
func (v view) title(g group) template.HTML {
	return v.each(g, func(x sekisho.Finding) string { return x.Title })
}

func (v view) fix(g group) template.HTML {
	return v.each(g, func(x sekisho.Finding) string { return x.Fix })
}

// reason writes the message and fix of a reason in both languages.
func (v view) reason(x sekisho.Reason) (out template.HTML) {
	return v.spans(func(p *i18n.Printer) string {
		one := x
		describeReason(&one, v.index, v.Target.Kind, p)
		if one.Fix == "" {
			return one.Message
		}
		return one.Message + " → " + one.Fix
	})
}

// control writes what a control wants in both languages.
func (v view) control(name string) template.HTML {
	return v.spans(func(p *i18n.Printer) string { return controlTitle(p, name) })
}

// exception writes an exception in both languages.
func (v view) exception(e sekisho.ExceptionUse) template.HTML {
	return v.spans(func(p *i18n.Printer) string { return exceptionLine(p, e) })
}

func (v view) spans(of func(*i18n.Printer) string) (out template.HTML) {
	for _, l := range i18n.Languages() {
		out += template.HTML(`<span lang="` + string(l) + `">` + template.HTMLEscapeString(visible(of(v.both[l]))) + `</span>`)
	}
	return out
}

func (v view) each(g group, of func(sekisho.Finding) string) template.HTML {
	return v.inBoth(func(p *i18n.Printer) string {
		x := g.Finding
		describe(&x, v.Target.Kind, p)
		return of(x)
	})
}

// cover, describe, advice and notes word coverage and vulnerabilities in both
// languages.
func (v view) cover(c sekisho.Cover) template.HTML {
	return v.inBoth(func(p *i18n.Printer) string { return cover(c, p) })
}

func (v view) describe(x sekisho.Finding) template.HTML {
	return v.inBoth(func(p *i18n.Printer) string {
		describeVulnerable(&x, p)
		return x.Title
	})
}

func (v view) advice(p pile) template.HTML {
	return v.inBoth(func(l *i18n.Printer) string {
		w := writer{Options: Options{Printer: l}}
		describeVulnerable(&p.Findings[0], l)
		return w.advice(p)
	})
}

func (v view) notes(x sekisho.Finding) template.HTML {
	return v.inBoth(func(p *i18n.Printer) string { return strings.Join(notes(x, p), " ") })
}

func (v view) inBoth(say func(*i18n.Printer) string) (out template.HTML) {
	for _, l := range i18n.Languages() {
		out += template.HTML(`<span lang="` + string(l) + `">` + template.HTMLEscapeString(visible(say(v.both[l]))) + `</span>`)
	}
	return out
}

func (v view) pair(key, other string) template.HTML {
	return v.inBoth(func(p *i18n.Printer) string {
		if p.Has(key) {
			return p.Text(key)
		}
		return other
	})
}
