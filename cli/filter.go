package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/i18n"
	"sekisho/policy/exception"
)

// filter chooses what is shown and what fails the run.
type filter struct {
	severity    sekisho.Severity
	failOn      sekisho.Severity
	kinds       []string
	paths       []string
	skip        []string
	age         int // days that the newest signatures may be old; 0 does not ask
	advisoryAge int // days since the feeds of advisories were asked; 0 does not ask
}

func newFilter(f *scanFlags) (*filter, error) {
	out := &filter{kinds: f.kinds, paths: f.paths, skip: f.skip, age: f.signatureAge, advisoryAge: f.advisoryAge}
	var err error
	if out.severity, err = severity("severity", f.severity); err != nil {
		return nil, err
	}
	if out.failOn, err = severity("fail-on", f.failOn); err != nil {
		return nil, err
	}
	all := []string{sekisho.Vulnerability, sekisho.Secret, sekisho.Malware, sekisho.Misconfiguration, sekisho.Licence}
	for _, k := range f.kinds {
		if !slices.Contains(all, k) {
			return nil, sekisho.Errorf(sekisho.Usage, "--kind %s: want one of %s", k, strings.Join(all, ", "))
		}
	}
	return out, nil
}

func severity(flag, text string) (sekisho.Severity, error) {
	s := sekisho.Severity(strings.ToLower(text))
	if text != "" && (!slices.Contains(sekisho.Severities(), s) || s == sekisho.Unknown) {
		return "", sekisho.Errorf(sekisho.Usage, "--%s %s: want critical, high, medium, low or none", flag, text)
	}
	return s, nil
}

// apply removes the findings and packages that were not asked for.
func (f *filter) apply(r *sekisho.Report) {
	r.Filters = f.filters()
	r.Findings = slices.DeleteFunc(r.Findings, func(x sekisho.Finding) bool {
		return f.severity != "" && x.Severity.Rank() < f.severity.Rank() ||
			len(f.kinds) > 0 && !slices.Contains(f.kinds, x.Kind)
	})
	kept := r.Findings[:0]
	for _, x := range r.Findings {
		places := slices.DeleteFunc(append([]sekisho.Location{x.Location}, x.Places...), func(l sekisho.Location) bool { return !f.path(l.Path) })
		if len(places) == 0 {
			continue
		}
		x.Location, x.Places = places[0], places[1:]
		kept = append(kept, x)
	}
	r.Findings = kept
	r.Packages = slices.DeleteFunc(r.Packages, func(p sekisho.Package) bool {
		return len(p.Locations) > 0 && !slices.ContainsFunc(p.Locations, f.path)
	})
}

// filters tells what was asked to be left out.
func (f *filter) filters() (out []string) {
	if f.severity != "" {
		out = append(out, "--severity "+string(f.severity))
	}
	for _, l := range []struct {
		flag string
		list []string
	}{{"--kind", f.kinds}, {"--path", f.paths}, {"--skip-path", f.skip}} {
		if len(l.list) > 0 {
			out = append(out, l.flag+" "+strings.Join(l.list, ","))
		}
	}
	return out
}

// path reports whether a path was asked for. What has no path (the
// configuration) is left out only when paths are named.
func (f *filter) path(p string) bool {
	match := func(pattern string) bool { return exception.Match(pattern, p) }
	if len(f.paths) > 0 && !slices.ContainsFunc(f.paths, match) {
		return false
	}
	return !slices.ContainsFunc(f.skip, match)
}

// decide judges when --fail-on or --max-signature-age asks for it.
func (f *filter) decide(r *sekisho.Report) *sekisho.Decision {
	if f.failOn == "" && f.age == 0 && f.advisoryAge == 0 {
		return nil
	}
	d := &sekisho.Decision{Result: sekisho.Allow, Policy: f.policy(), Reasons: []sekisho.Reason{}}
	for _, x := range r.Findings {
		if f.failOn != "" && x.Suppressed == nil && x.Severity.Rank() >= f.failOn.Rank() {
			d.Reasons = append(d.Reasons, sekisho.Reason{Control: "severity", Message: x.ID + " " + string(x.Severity),
				Evidence: strings.TrimSpace(x.Location.Path + " " + x.Evidence), Fix: x.Fix})
		}
	}
	if reason, old := f.signaturesOld(r); old {
		d.Reasons = append(d.Reasons, reason)
	}
	if reason, old := f.advisoriesOld(r); old {
		d.Reasons = append(d.Reasons, reason)
	}
	if len(d.Reasons) > 0 {
		d.Result = sekisho.Deny
	}
	return d
}

func (f *filter) policy() string {
	var parts []string
	if f.failOn != "" {
		parts = append(parts, "--fail-on "+string(f.failOn))
	}
	if f.age > 0 {
		parts = append(parts, fmt.Sprintf("--max-signature-age %d", f.age))
	}
	if f.advisoryAge > 0 {
		parts = append(parts, fmt.Sprintf("--max-advisory-age %d", f.advisoryAge))
	}
	return strings.Join(parts, " ")
}

// signaturesOld judges how long ago the newest signatures were made. Where
// malware was not searched for at all, that is too old.
func (f *filter) signaturesOld(r *sekisho.Report) (sekisho.Reason, bool) {
	if f.age == 0 {
		return sekisho.Reason{}, false
	}
	var newest time.Time
	for _, x := range r.Feeds {
		if x.Kind != sekisho.FeedAdvisories && x.Newest.After(newest) {
			newest = x.Newest
		}
	}
	if r.Generated.Sub(newest) <= time.Duration(f.age)*24*time.Hour {
		return sekisho.Reason{}, false
	}
	evidence := "none"
	if !newest.IsZero() {
		evidence = newest.Format(time.DateOnly)
	}
	return sekisho.Reason{Control: "signature-age", Message: fmt.Sprintf("signatures older than %d days", f.age), Evidence: evidence}, true
}

// advisoriesOld judges when the feeds of advisories were last asked: the one
// that was asked longest ago counts. Without a database that is too old.
func (f *filter) advisoriesOld(r *sekisho.Report) (sekisho.Reason, bool) {
	if f.advisoryAge == 0 {
		return sekisho.Reason{}, false
	}
	var oldest time.Time
	name := "none"
	for _, x := range r.Feeds {
		if x.Kind == sekisho.FeedAdvisories && (oldest.IsZero() || x.Checked.Before(oldest)) {
			oldest, name = x.Checked, x.Name+" "+x.Checked.Format(time.DateOnly)
		}
	}
	if !oldest.IsZero() && r.Generated.Sub(oldest) <= time.Duration(f.advisoryAge)*24*time.Hour {
		return sekisho.Reason{}, false
	}
	return sekisho.Reason{Control: "advisory-age", Message: fmt.Sprintf("advisories last checked more than %d days ago", f.advisoryAge), Evidence: name}, true
}

// verdict is the error that a denied report ends with.
func (f *filter) verdict(r *sekisho.Report, texts *i18n.Printer) error {
	if r.Decision == nil || r.Decision.Result != sekisho.Deny {
		return nil
	}
	policies, reasons := r.Decision.Denial()
	return sekisho.Errorf(sekisho.Denied, "%s", texts.Text("cli.denied", "count", len(reasons), "policy", strings.Join(policies, ", ")))
}

// exceptionsName is the file that is read when none is named.
const exceptionsName = ".sekisho.yaml"

func (a *app) exceptions(name string) (*exception.File, error) {
	asked := name != ""
	if !asked {
		name = exceptionsName
	}
	f, err := os.Open(name)
	if os.IsNotExist(err) && !asked {
		return nil, nil
	}
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open exceptions: %w", err)
	}
	defer f.Close()
	file, err := exception.Parse(f, name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "exceptions: %w", err)
	}
	if !asked && len(file.Exceptions) > 0 {
		fmt.Fprintf(a.Stderr, "sekisho: %s\n", a.texts.Text("cli.note.exceptions", "file", name, "count", len(file.Exceptions)))
	}
	return file, nil
}
