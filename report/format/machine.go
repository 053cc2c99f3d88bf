package format

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"sekisho"
)

// level is SARIF's word for a severity, and score the number that code hosts
// sort by.
func level(s sekisho.Severity) (level, score string) {
	switch s {
	case sekisho.Critical:
		return "error", "9.5"
	case sekisho.High:
		return "error", "8.0"
	case sekisho.Medium:
		return "warning", "5.5"
	case sekisho.Low:
		return "note", "3.0"
	}
	return "note", "0.0"
}

// sarif writes SARIF 2.1.0 (OASIS).
func sarif(w io.Writer, r *sekisho.Report, o Options) error {
	rules, results := []object{}, []object{}
	index := map[string]int{}
	for _, x := range r.Findings {
		lvl, score := level(x.Severity)
		if x.Vulnerable != nil && len(x.CVSS) > 0 {
			score = fmt.Sprintf("%.1f", x.CVSS[0].Score)
		}
		if _, ok := index[x.ID]; !ok {
			index[x.ID] = len(rules)
			rules = append(rules, object{"id": x.ID, "name": x.ID, "shortDescription": object{"text": first(x.Title, x.ID)},
				"fullDescription": object{"text": text(o.Printer, x.ID, "why", first(x.Title, x.ID))}, "help": object{"text": first(x.Fix, x.Title, x.ID)},
				"defaultConfiguration": object{"level": lvl}, "properties": object{"security-severity": score, "tags": append([]string{"security", x.Kind}, x.Aliases...)}})
		}
		results = append(results, result(r, x, index[x.ID], lvl))
	}
	for _, x := range policyReasons(r) {
		id, lvl := "policy/"+x.Control, map[string]string{"error": "error", "warning": "warning", "notice": "note"}[annotationLevel(x, r.Decision.Result)]
		if _, ok := index[id]; !ok {
			index[id] = len(rules)
			title := controlTitle(o.Printer, x.Control)
			rules = append(rules, object{"id": id, "name": id, "shortDescription": object{"text": title}, "fullDescription": object{"text": title}, "help": object{"text": first(x.Fix, title)},
				"defaultConfiguration": object{"level": lvl}, "properties": object{"tags": []string{"policy"}}})
		}
		results = append(results, object{"ruleId": id, "ruleIndex": index[id], "level": lvl, "message": object{"text": visible(x.Message)},
			"locations":           []object{{"physicalLocation": object{"artifactLocation": object{"uri": uri(r.Target.Reference)}, "region": object{"startLine": 1}}}},
			"partialFingerprints": object{"sekisho/v1": hash(x.Policy, x.Control, x.Message, x.Evidence)}, "properties": object{"policy": x.Policy, "owner": x.Owner, "result": x.Result}})
	}
	properties := object{"target": r.Target.Reference, "digest": string(r.Target.Digest)}
	if d := r.Decision; d != nil {
		properties["decision"], properties["policy"] = d.Result, d.Policy
	}
	notifications := []object{}
	for _, c := range covers(r) {
		if c.State != sekisho.Covered {
			notifications = append(notifications, object{"level": "warning", "message": object{"text": visible(cover(c, o.Printer))}})
		}
	}
	return encode(w, object{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": []object{{
		"tool":        object{"driver": object{"name": "sekisho", "version": r.Tool.Version, "rules": rules}},
		"invocations": []object{{"executionSuccessful": true, "toolExecutionNotifications": notifications}},
		"results":     results, "properties": properties}}})
}

func result(r *sekisho.Report, x sekisho.Finding, index int, lvl string) object {
	message := first(x.Title, x.ID)
	if x.Evidence != "" {
		message += ": " + x.Evidence
	}
	if x.Vulnerable != nil && x.Package != nil {
		message = x.Package.Name + " " + x.Package.Version + ": " + message + ". " + x.Fix
	}
	region := object{"startLine": max(x.Location.Line, 1)}
	location := object{"physicalLocation": object{"artifactLocation": object{"uri": uri(first(x.Location.Path, r.Target.Reference))}, "region": region}}
	if x.Location.Instruction != "" {
		location["message"] = object{"text": instruction(x.Location.Instruction)}
	}
	out := object{"ruleId": x.ID, "ruleIndex": index, "level": lvl, "message": object{"text": visible(message)}, "locations": []object{location},
		"partialFingerprints": object{"sekisho/v1": x.Fingerprint}}
	var others []object
	for i, l := range x.Places {
		others = append(others, object{"id": i, "physicalLocation": object{"artifactLocation": object{"uri": uri(first(l.Path, r.Target.Reference))}, "region": object{"startLine": max(l.Line, 1)}}})
	}
	if others != nil {
		out["relatedLocations"] = others
	}
	if x.Confidence != "" {
		out["properties"] = object{"confidence": x.Confidence}
	}
	if s := x.Suppressed; s != nil {
		out["suppressions"] = []object{{"kind": "external", "status": "accepted", "justification": s.Reason + " (" + s.Owner + ")"}}
	}
	return out
}

// uri writes a path as a relative reference (RFC 3986, 4.2).
func uri(p string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(p) {
		c := p[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/@!+,", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}

type testSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	Suites  []testSuite
}

type testSuite struct {
	XMLName  xml.Name `xml:"testsuite"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Errors   int      `xml:"errors,attr"`
	Cases    []testCase
}

type testCase struct {
	XMLName xml.Name `xml:"testcase"`
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Failure *message `xml:"failure,omitempty"`
	Skipped *message `xml:"skipped,omitempty"`
	Error   *message `xml:"error,omitempty"`
}

type message struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// junit writes one test suite per kind of finding: each finding fails, each
// suppressed one is skipped, each problem is an error.
func junit(w io.Writer, r *sekisho.Report, o Options) error {
	var doc testSuites
	kinds := []string{}
	for _, x := range r.Findings {
		if !slices.Contains(kinds, x.Kind) {
			kinds = append(kinds, x.Kind)
		}
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		s := testSuite{Name: r.Target.Reference + " " + k}
		for _, x := range r.Findings {
			if x.Kind != k {
				continue
			}
			c := testCase{Class: x.ID, Name: visible(subject(x))}
			if x.Suppressed != nil {
				c.Skipped = &message{Message: visible(x.Suppressed.Reason)}
				s.Skipped++
			} else {
				c.Failure = &message{Message: visible(first(x.Title, x.ID)), Type: string(x.Severity), Text: visible(x.Fix)}
				s.Failures++
			}
			s.Tests++
			s.Cases = append(s.Cases, c)
		}
		doc.Suites = append(doc.Suites, s)
	}
	if r.Decision != nil && len(r.Decision.Policies) > 0 {
		doc.Suites = append(doc.Suites, junitPolicy(r))
	}
	s := testSuite{Name: r.Target.Reference + " scan", Tests: 1 + len(r.Problems), Errors: len(r.Problems), Cases: []testCase{{Class: "scan", Name: "completed"}}}
	for _, p := range r.Problems {
		s.Cases = append(s.Cases, testCase{Class: "scan", Name: visible(p.Path), Error: &message{Message: visible(p.Message)}})
	}
	for _, c := range covers(r) {
		if c.State != sekisho.Covered {
			s.Tests++
			s.Skipped++
			s.Cases = append(s.Cases, testCase{Class: "coverage", Name: visible(first(c.Ecosystem, c.State)), Skipped: &message{Message: visible(cover(c, o.Printer))}})
		}
	}
	doc.Suites = append(doc.Suites, s)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junitPolicy writes one test case per control: what does not pass fails, what
// is not applicable is skipped, what was not assessed is an error.
func junitPolicy(r *sekisho.Report) testSuite {
	s := testSuite{Name: r.Target.Reference + " policy", Tests: len(r.Decision.Controls)}
	for _, c := range r.Decision.Controls {
		one := testCase{Class: c.Policy, Name: visible(strings.TrimSpace(c.Control + " " + c.Wants))}
		var texts []string
		for _, x := range r.Decision.Reasons {
			if x.Policy == c.Policy && x.Control == c.Control && x.Params["wants"] == c.Wants {
				texts = append(texts, visible(x.Message+" ("+x.Evidence+")"))
			}
		}
		m := &message{Message: first(append(texts, c.Result)[0]), Type: c.Effect, Text: strings.Join(texts, "\n")}
		switch {
		case c.Result == sekisho.ControlNotApplicable:
			one.Skipped, s.Skipped = &message{Message: c.Result}, s.Skipped+1
		case c.Result == sekisho.ControlFail && c.Effect == sekisho.Violation:
			one.Failure, s.Failures = m, s.Failures+1
		case (c.Result == sekisho.ControlNotAssessed || c.Result == sekisho.ControlError) && c.Effect == sekisho.Violation:
			one.Error, s.Errors = m, s.Errors+1
		}
		s.Cases = append(s.Cases, one)
	}
	return s
}

// markdown writes a short comment for a change request.
func markdown(w io.Writer, r *sekisho.Report, o Options) error {
	t := o.Printer.Text
	var b strings.Builder
	b.WriteString("## sekisho: " + cell(r.Target.Reference) + "\n\n")
	if d := r.Decision; d != nil {
		b.WriteString("**" + t("decision."+d.Result) + "** (" + cell(d.Policy) + ")\n\n")
		markdownReasons(&b, d, t)
	}
	n, suppressed := counts(r)
	b.WriteString("| " + t("report.severity") + " | " + t("report.findings") + " |\n|---|--:|\n")
	for _, s := range sekisho.Severities() {
		if n[s] > 0 {
			b.WriteString("| " + marks[s].symbol + " " + t("severity."+string(s)) + " | " + itoa(n[s]) + " |\n")
		}
	}
	b.WriteString("| " + t("report.packages") + " | " + itoa(len(r.Packages)) + " |\n\n")
	if suppressed > 0 {
		b.WriteString(t("report.suppressed", "count", suppressed) + "\n\n")
	}
	if list := groups(r); len(list) > 0 {
		b.WriteString("| | ID | " + t("report.finding") + " | " + t("report.where") + " | " + t("report.fix") + " |\n|---|---|---|---|---|\n")
		for _, g := range list {
			where := cell(first(strings.TrimSpace(place(g.Location)+" "+g.Evidence), "-"))
			if len(g.members) > 1 {
				where += " (+" + itoa(len(g.members)-1) + ")"
			}
			b.WriteString("| " + marks[g.Severity].symbol + " " + t("severity."+string(g.Severity)) + " | " + cell(g.ID) + " | " + cell(g.Title) + " | " + where + " | " + cell(g.Fix) + " |\n")
		}
		b.WriteByte('\n')
	}
	markdownPiles(&b, piles(r), o)
	for _, c := range covers(r) {
		if c.State != sekisho.Covered {
			b.WriteString("- ⚠ " + cell(cover(c, o.Printer)) + "\n")
		}
	}
	for _, p := range r.Problems[:min(len(r.Problems), 10)] {
		b.WriteString("- ⚠ " + cell(p.String()) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// subject says what a finding is about: a package, or a place and what is there.
func subject(x sekisho.Finding) string {
	if x.Vulnerable != nil && x.Package != nil {
		return strings.TrimSpace(x.Package.Name + " " + x.Package.Version + " " + place(x.Location))
	}
	return strings.TrimSpace(place(x.Location) + " " + x.Evidence)
}

// markdownPiles writes the vulnerabilities by package.
func markdownPiles(b *strings.Builder, list []pile, o Options) {
	if len(list) == 0 {
		return
	}
	t := o.Printer.Text
	w := writer{Options: o}
	b.WriteString("| | " + t("report.package") + " | " + t("report.vulnerabilities") + " | " + t("report.fix") + " |\n|---|---|---|---|\n")
	for _, p := range list[:min(len(list), 50)] {
		var ids []string
		for _, x := range p.Findings[:min(len(p.Findings), folded)] {
			ids = append(ids, strings.TrimSpace(x.ID+" "+strings.Join(notes(x, o.Printer), " ")))
		}
		if n := len(p.Findings) - folded; n > 0 {
			ids = append(ids, "+"+itoa(n))
		}
		b.WriteString("| " + marks[p.Severity()].symbol + " " + t("severity."+string(p.Severity())) + " | " + cell(p.Name+" "+p.Version) + " | " + cell(strings.Join(ids, ", ")) + " | " + cell(w.advice(p)) + " |\n")
	}
	if n := len(list) - 50; n > 0 {
		b.WriteString("\n" + t("report.more", "count", n) + "\n")
	}
	b.WriteByte('\n')
}

// cell makes a text harmless inside a table of Markdown.
func cell(s string) string {
	var b strings.Builder
	for _, r := range visible(s) {
		if r < 0x80 && strings.ContainsRune("\\`*_{}[]<>()#!|~&@", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
