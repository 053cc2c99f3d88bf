// Package format writes a report in the forms that people and programs read.
// The same report gives the same bytes. All values from the target are
// untrusted and made harmless for each form.
package format

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"sekisho"
	"sekisho/i18n"
	"sekisho/internal/harmless"
)

// Options of the forms that people read.
type Options struct {
	Printer *i18n.Printer
	Color   bool
	Width   int  // columns, 0 means 100
	All     bool // fold nothing
}

// form is one way to write a report.
type form struct {
	name  string
	write func(io.Writer, *sekisho.Report, Options) error
}

func forms() []form {
	return []form{{"table", table}, {"json", document}, {"cyclonedx", cyclonedx}, {"spdx", spdx}, {"sarif", sarif}, {"junit", junit}, {"html", html}, {"markdown", markdown}, {"github", github}, {"gitlab", gitlab}}
}

// Names lists the forms.
func Names() (names []string) {
	for _, f := range forms() {
		names = append(names, f.name)
	}
	return names
}

// Write writes a normalised and described report.
func Write(w io.Writer, name string, r *sekisho.Report, o Options) error {
	if o.Printer == nil {
		o.Printer = i18n.New(i18n.English)
	}
	for _, f := range forms() {
		if f.name == name {
			return f.write(w, r, o)
		}
	}
	return sekisho.Errorf(sekisho.Usage, "format %q: want one of %s", name, strings.Join(Names(), ", "))
}

// document writes the report itself (docs/schema/sekisho.scan.v1.json).
func document(w io.Writer, r *sekisho.Report, _ Options) error { return encode(w, r) }

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Describe fills in title and fix of findings from the catalogue.
func Describe(r *sekisho.Report, p *i18n.Printer) {
	for i := range r.Findings {
		describe(&r.Findings[i], r.Target.Kind, p)
	}
	if r.Decision != nil {
		index := byFingerprint(r)
		for i := range r.Decision.Reasons {
			describeReason(&r.Decision.Reasons[i], index, r.Target.Kind, p)
		}
	}
}

// describeReason words one reason. What is about a finding takes the words of
// the finding.
func describeReason(x *sekisho.Reason, index map[string]*sekisho.Finding, target string, p *i18n.Printer) {
	if x.Key == "" {
		return
	}
	params := x.Params
	if f := index[x.Finding]; x.Finding != "" && f != nil {
		one := *f
		describe(&one, target, p)
		params = maps.Clone(params)
		params["title"], params["fix"] = one.Title, one.Fix
	}
	x.Message = p.Fill(x.Key, params)
	switch {
	case x.FixKey == "policy.fix.finding" && params["fix"] == "":
		x.Fix = ""
	case x.FixKey != "":
		x.Fix = p.Fill(x.FixKey, params)
	}
}

// describe words one finding of a target of some kind.
func describe(x *sekisho.Finding, target string, p *i18n.Printer) {
	switch {
	case x.Kind == sekisho.Secret && x.Class != "":
		describeSecret(x, target, p)
	case x.Kind == sekisho.Malware:
		describeMalware(x, p)
	case x.Kind == sekisho.Vulnerability:
		describeVulnerable(x, p)
	default:
		x.Title = text(p, x.ID, "title", cmp.Or(x.Title, x.ID))
		x.Fix = text(p, x.ID, "fix", x.Fix)
	}
}

// describeMalware words malware by the rule's own description, or its name.
func describeMalware(x *sekisho.Finding, p *i18n.Printer) {
	if x.Class != "rule" || x.Title == "" {
		x.Title = p.Text("malware.title", "name", x.ID)
	}
	x.Title = text(p, x.ID, "title", x.Title)
	key := "malware.fix"
	if x.Confidence == "low" {
		key += ".low"
	}
	x.Fix = p.Text(key)
}

// describeSecret words a secret by its class and vendor; a rule of the user
// has a title of its own.
func describeSecret(x *sekisho.Finding, kind string, p *i18n.Printer) {
	if x.Title == "" || x.Class != "custom" {
		x.Title = p.Text("secret." + x.Class)
		if x.Vendor != "" {
			x.Title = p.Text("secret.title", "vendor", x.Vendor, "what", x.Title)
		}
	}
	key := "secret.fix"
	switch {
	case x.Confidence == "low":
		key += ".low"
	case x.Location.Hidden && kind == "repository":
		key += ".removed"
	case x.Location.Hidden:
		key += ".hidden"
	case p.Has(key + "." + x.Class):
		key += "." + x.Class
	}
	x.Fix = p.Text(key)
}

func text(p *i18n.Printer, id, part, other string) string {
	if key := "check." + id + "." + part; p.Has(key) {
		return p.Text(key)
	}
	return other
}

// Normalise puts everything in an order that depends on the content only, and
// turns missing lists into empty ones.
func Normalise(r *sekisho.Report) {
	r.Schema = sekisho.ReportSchema
	r.Target.Layers, r.Feeds = list(r.Target.Layers), list(r.Feeds)
	r.Packages, r.Findings, r.Problems, r.Coverage = list(r.Packages), list(r.Findings), list(r.Problems), list(r.Coverage)
	if d := r.Decision; d != nil {
		d.Reasons, d.Policies, d.Controls, d.Exceptions = list(d.Reasons), list(d.Policies), list(d.Controls), list(d.Exceptions)
	}
	for i := range r.Packages {
		r.Packages[i].Locations = list(r.Packages[i].Locations)
	}
	for i := range r.Findings {
		r.Findings[i].Aliases, r.Findings[i].FixedIn = list(r.Findings[i].Aliases), list(r.Findings[i].FixedIn)
		if v := r.Findings[i].Vulnerable; v != nil {
			v.CVSS, v.Ratings, v.CWE, v.Advisories, v.Sources = list(v.CVSS), list(v.Ratings), list(v.CWE), list(v.Advisories), list(v.Sources)
		}
	}
	slices.SortFunc(r.Packages, func(a, b sekisho.Package) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version),
			strings.Compare(a.PURL, b.PURL), slices.Compare(a.Locations, b.Locations))
	})
	slices.SortFunc(r.Findings, func(a, b sekisho.Finding) int {
		return cmp.Or(b.Severity.Rank()-a.Severity.Rank(), strings.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID),
			strings.Compare(a.Location.Path, b.Location.Path), a.Location.Line-b.Location.Line, strings.Compare(a.Evidence, b.Evidence),
			strings.Compare(string(a.Location.Layer), string(b.Location.Layer)), strings.Compare(purl(a), purl(b)))
	})
	slices.SortFunc(r.Problems, func(a, b sekisho.Problem) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message), strings.Compare(string(a.Layer), string(b.Layer)))
	})
}

func purl(x sekisho.Finding) string {
	if x.Package == nil {
		return ""
	}
	return x.Package.PURL
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// visible makes what untrusted input could do to a terminal harmless, and keeps
// it on one line.
func visible(s string) string { return harmless.Line(s) }

// place writes where a finding is, without its layer.
func place(l sekisho.Location) string {
	if l.Path == "" {
		return ""
	}
	if l.Line > 0 {
		return l.Path + ":" + itoa(l.Line)
	}
	return l.Path
}
