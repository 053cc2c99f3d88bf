package format

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"

	"sekisho"
)

// annotation is one remark that a code host shows beside the code.
type annotation struct {
	level    string // error, warning or notice
	title    string
	text     string
	id       string
	print    string // fingerprint
	severity sekisho.Severity
	location sekisho.Location
	source   bool // the location is in the source code, whatever was scanned
}

// annotations are the reasons of the decision, if policies made one, else the
// findings that count.
func annotations(r *sekisho.Report) (list []annotation) {
	index := byFingerprint(r)
	if d := r.Decision; d != nil && len(d.Policies) > 0 {
		for _, x := range d.Reasons {
			a := annotation{level: annotationLevel(x, d.Result), title: x.Policy + ": " + x.Control, text: x.Message, id: "policy/" + x.Control, print: x.Finding,
				severity: sekisho.High, location: reasonPlace(index, x)}
			if at, ok := sourcePlace(x); ok {
				a.location, a.source = at, true
			}
			if x.Effect == sekisho.Note {
				a.severity = sekisho.Low
			}
			if f := index[x.Finding]; x.Finding != "" && f != nil {
				a.severity, a.id = f.Severity, f.ID
			}
			for _, s := range []string{x.Evidence, x.Fix} {
				if s != "" {
					a.text += "\n" + s
				}
			}
			if a.print == "" {
				a.print = hash(x.Policy, x.Control, x.Message, x.Evidence)
			}
			list = append(list, a)
		}
		return list
	}
	for _, x := range r.Findings {
		if x.Suppressed != nil {
			continue
		}
		lvl, _ := level(x.Severity)
		a := annotation{level: strings.Replace(lvl, "note", "notice", 1), title: x.ID, text: first(x.Title, x.ID), id: x.ID, print: x.Fingerprint, severity: x.Severity, location: x.Location}
		if x.Package != nil {
			a.text += ": " + x.Package.Name + " " + x.Package.Version
		}
		for _, s := range []string{x.Evidence, x.Fix} {
			if s != "" {
				a.text += "\n" + s
			}
		}
		list = append(list, a)
	}
	return list
}

// sourcePlace is where another tool found something, as its SARIF says: a path
// in the repository.
func sourcePlace(x sekisho.Reason) (sekisho.Location, bool) {
	path := x.Params["path"]
	if x.Control != "evidence" || path == "" || strings.HasPrefix(path, "/") || strings.Contains(path, ":") || strings.Contains(path, "..") {
		return sekisho.Location{}, false
	}
	line, _ := strconv.Atoi(x.Params["line"])
	return sekisho.Location{Path: path, Line: line}, true
}

func annotationLevel(x sekisho.Reason, result string) string {
	switch {
	case x.Effect == sekisho.Note:
		return "notice"
	case result == sekisho.Deny:
		return "error"
	}
	return "warning"
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// Escapes of GitHub's workflow commands.
var (
	commandText  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandValue = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// lines keeps line breaks and makes all else harmless.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i := range parts {
		parts[i] = visible(parts[i])
	}
	return strings.Join(parts, "\n")
}

// github writes workflow commands that GitHub turns into annotations. Places
// are named only where the target is source code.
func github(w io.Writer, r *sekisho.Report, o Options) error {
	var b strings.Builder
	for _, a := range annotations(r) {
		b.WriteString("::" + a.level + " ")
		if a.location.Path != "" && (a.source || sourceCode(r)) {
			b.WriteString("file=" + commandValue.Replace(visible(a.location.Path)) + ",line=" + itoa(max(a.location.Line, 1)) + ",")
		}
		b.WriteString("title=" + commandValue.Replace(visible(a.title)) + "::" + commandText.Replace(lines(a.text)) + "\n")
	}
	if d := r.Decision; d != nil {
		level := map[string]string{sekisho.Deny: "error", sekisho.Warn: "warning"}[d.Result]
		b.WriteString("::" + first(level, "notice") + " title=sekisho::" + commandText.Replace(visible(o.Printer.Text("decision."+d.Result)+": "+r.Target.Reference+" ("+d.Policy+")")) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func sourceCode(r *sekisho.Report) bool {
	return r.Target.Kind == "directory" || r.Target.Kind == "repository"
}

// gitlab writes GitLab's code quality report.
func gitlab(w io.Writer, r *sekisho.Report, _ Options) error {
	severities := map[sekisho.Severity]string{sekisho.Critical: "blocker", sekisho.High: "critical", sekisho.Medium: "major", sekisho.Low: "minor"}
	list, seen := []object{}, map[string]bool{}
	for _, a := range annotations(r) {
		if seen[a.id+a.print] {
			continue // GitLab wants each fingerprint once
		}
		seen[a.id+a.print] = true
		list = append(list, object{"description": strings.ReplaceAll(lines(a.text), "\n", ". "), "check_name": a.id, "fingerprint": hash(a.id, a.print),
			"severity": first(severities[a.severity], "info"),
			"location": object{"path": first(visible(a.location.Path), visible(r.Target.Reference)), "lines": object{"begin": max(a.location.Line, 1)}}})
	}
	return encode(w, list)
}
