// Package misconfig judges how an image is configured: whom it runs as, what
// its environment, history and files give away, what does not belong in it.
// The facts about files come from Files, an analyzer; Image judges them
// together with the configuration. Words for people are in i18n by check id.
package misconfig

import (
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/image"
	"sekisho/scan/analyze"
)

// Input is what is known of an image.
type Input struct {
	Kind   string // of package image
	Name   string // reference by which the image was asked for, empty for files
	Config image.Config
	Facts  []Placed // of files that a container sees
	OS     *sekisho.OS
	Now    time.Time
}

// Placed is a fact with its file and layer.
type Placed struct {
	analyze.Fact
	Path  string
	Layer int
}

// Judged is a finding and the layer that brought it, -1 for the configuration.
type Judged struct {
	sekisho.Finding
	Layer int
}

// judge collects findings.
type judge struct {
	Input
	list []Judged
}

// Image judges everything that can be judged.
func Image(in Input) []Judged {
	j := &judge{Input: in}
	if in.Kind != image.KindDirectory {
		j.user()
		j.environment()
		j.history()
		j.start()
		j.config()
	}
	if j.isRoot() {
		j.files()
		j.accounts()
		j.packages()
	}
	return j.list
}

// isRoot reports whether a root file system was looked at, rather than a
// source tree.
func (j *judge) isRoot() bool { return j.Kind != image.KindDirectory || j.OS != nil }

// add notes a finding of the configuration. Its evidence begins with the
// instruction's name and its subject, as "ENV NAME=…": the last instruction of
// the history that has both is said to have made it.
func (j *judge) add(id, evidence string) {
	j.at(id, Placed{Layer: -1}, evidence)
	name, subject, ok := strings.Cut(evidence, " ")
	subject, _, _ = strings.Cut(subject, "=")
	if !ok || subject == "" {
		return
	}
	for _, h := range slices.Backward(j.Config.History) {
		if strings.Contains(h.CreatedBy, name+" ") && strings.Contains(h.CreatedBy, strings.Trim(subject, `"`)) {
			j.list[len(j.list)-1].Location.Instruction = Scrub(h.CreatedBy)
			return
		}
	}
}

// at notes a finding in a file.
func (j *judge) at(id string, p Placed, evidence string) {
	c := checks[id]
	j.list = append(j.list, Judged{sekisho.Finding{Kind: sekisho.Misconfiguration, ID: id, Severity: c.severity, Aliases: c.aliases,
		Evidence: evidence, Location: sekisho.Location{Path: p.Path}}, p.Layer})
}

// of returns the facts of a kind.
func (j *judge) of(kind string) (list []Placed) {
	for _, f := range j.Facts {
		if f.Kind == kind {
			list = append(list, f)
		}
	}
	return list
}
