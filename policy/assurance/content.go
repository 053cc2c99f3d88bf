package assurance

import (
	"fmt"
	"slices"

	"sekisho"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
	"sekisho/policy/source"
)

// malwareControl: no malware was found.
type malwareControl struct {
	Confidence string `yaml:"confidence"`
}

func (c *malwareControl) ready() error { return confidenceWord(c.Confidence) }

func (c *malwareControl) judge(x *Index, r *request, j *judgement) {
	j.needs(x, fact.Malware) // malicious packages are told all the same
	j.looked = len(x.malware)
	for _, n := range x.malware {
		if sure(x.image.Findings[n].Confidence, c.Confidence) {
			j.finding(x, r, n)
		}
	}
}

// secretsControl: no secrets were found.
type secretsControl struct {
	Confidence string   `yaml:"confidence"`
	Classes    []string `yaml:"classes"`
}

func (c *secretsControl) ready() error {
	if err := confidenceWord(c.Confidence); err != nil {
		return err
	}
	return globs("classes", c.Classes)
}

func (c *secretsControl) judge(x *Index, r *request, j *judgement) {
	if !j.needs(x, fact.Secrets) {
		return
	}
	j.looked = len(x.secrets)
	for _, n := range x.secrets {
		f := &x.image.Findings[n]
		if sure(f.Confidence, c.Confidence) && (len(c.Classes) == 0 || scope.Any(c.Classes, f.Class)) {
			j.finding(x, r, n)
		}
	}
}

// confidences, surest first.
var confidences = [...]string{"high", "medium", "low"}

func confidenceWord(s string) error {
	if s != "" && !slices.Contains(confidences[:], s) {
		return source.Wrong("confidence", s, confidences[:]...)
	}
	return nil
}

// sure reports whether a finding is at least as sure as asked; one that does
// not say is taken for sure.
func sure(have, least string) bool {
	return least == "" || have == "" || slices.Index(confidences[:], have) <= slices.Index(confidences[:], least)
}

// misconfigurationControl: none of these, and none worse than a severity.
type misconfigurationControl struct {
	IDs     []string         `yaml:"ids"`
	Maximum sekisho.Severity `yaml:"maximum"`
}

func (c *misconfigurationControl) ready() error {
	if len(c.IDs) == 0 && c.Maximum == "" {
		return fmt.Errorf("want ids, as SKS-IMG-001, or maximum, a severity")
	}
	if c.Maximum != "" {
		if err := severityWord("maximum", c.Maximum); err != nil {
			return err
		}
	}
	return globs("ids", c.IDs)
}

func (c *misconfigurationControl) judge(x *Index, r *request, j *judgement) {
	if !j.needs(x, fact.Misconfiguration) {
		return
	}
	j.looked = len(x.misconfigs)
	for _, n := range x.misconfigs {
		f := &x.image.Findings[n]
		if c.Maximum != "" && f.Severity.Rank() > c.Maximum.Rank() || scope.Any(c.IDs, f.ID) ||
			slices.ContainsFunc(f.Aliases, func(id string) bool { return scope.Any(c.IDs, id) }) {
			j.finding(x, r, n)
		}
	}
}

// pattern is which packages are meant.
type pattern struct {
	Name    string `yaml:"name"`
	Type    string `yaml:"type"`
	Version string `yaml:"version"`
}

func (p pattern) String() string {
	s := p.Name
	if p.Type != "" {
		s = p.Type + ":" + s
	}
	if p.Version != "" {
		s += " " + p.Version
	}
	return s
}

func checkPatterns(list []pattern) error {
	if len(list) == 0 {
		return fmt.Errorf("packages: want at least one, as {name: telnetd, type: deb}")
	}
	for _, p := range list {
		if p.Name == "" {
			return fmt.Errorf("packages: name is missing")
		}
		if err := scope.CheckGlobs([]string{p.Name, p.Type, p.Version}, true); err != nil {
			return fmt.Errorf("packages: %w", err)
		}
	}
	return nil
}

// each calls f for every package that matches.
func (p pattern) each(x *Index, f func(int32)) {
	one := func(n int32) {
		k := &x.image.Packages[n]
		if (p.Type == "" || match(p.Type, k.Type)) && (p.Version == "" || match(p.Version, k.Version)) {
			f(n)
		}
	}
	if !wild(p.Name) {
		for _, n := range x.names[p.Name] {
			one(n)
		}
		return
	}
	for n := range x.image.Packages {
		if match(p.Name, x.image.Packages[n].Name) {
			one(int32(n))
		}
	}
}

// deniedPackagesControl: none of these is there.
type deniedPackagesControl struct {
	Packages []pattern `yaml:"packages"`
}

func (c *deniedPackagesControl) ready() error { return checkPatterns(c.Packages) }

func (c *deniedPackagesControl) judge(x *Index, _ *request, j *judgement) {
	if !j.needs(x, fact.Packages) {
		return
	}
	j.looked = len(x.image.Packages)
	var hits []int32
	for _, p := range c.Packages {
		p.each(x, func(n int32) { hits = append(hits, n) })
	}
	slices.Sort(hits)
	for _, n := range slices.Compact(hits) {
		j.pkg(n)
	}
}

// requiredPackagesControl: each of these is there.
type requiredPackagesControl struct {
	Packages []pattern `yaml:"packages"`
}

func (c *requiredPackagesControl) ready() error { return checkPatterns(c.Packages) }

func (c *requiredPackagesControl) judge(x *Index, _ *request, j *judgement) {
	if !j.needs(x, fact.Packages) {
		return
	}
	j.looked = len(x.image.Packages)
	for _, p := range c.Packages {
		found := false
		p.each(x, func(int32) { found = true })
		if !found {
			j.fail("fail", "package", p.String())
		}
	}
}

// licencesControl: every licence is allowed.
type licencesControl struct {
	Denied  []string `yaml:"denied"`
	Allowed []string `yaml:"allowed"`
}

func (c *licencesControl) ready() error {
	if len(c.Denied)+len(c.Allowed) == 0 {
		return fmt.Errorf("want denied or allowed, lists of SPDX identifiers")
	}
	if err := globs("denied", c.Denied); err != nil {
		return err
	}
	return globs("allowed", c.Allowed)
}

func (c *licencesControl) judge(x *Index, _ *request, j *judgement) {
	if !j.needs(x, fact.Packages) {
		return
	}
	j.looked = len(x.image.Packages)
	ok := func(id string) bool {
		return !scope.Any(c.Denied, id) && (len(c.Allowed) == 0 || scope.Any(c.Allowed, id))
	}
	none := 0
	for _, l := range x.licences {
		switch {
		case l.text == "":
			none += len(l.packages)
		case !l.terms.Allowed(ok):
			for _, n := range l.packages {
				j.pkg(n)
			}
		}
	}
	if none > 0 {
		j.details = append(j.details, detail{sekisho.ControlNotAssessed, "unknown", []string{"count", fmt.Sprint(none), "package", "@policy.licences.packages"}})
	}
}

// unreadControl: the scan could read everything.
type unreadControl struct {
	Maximum int `yaml:"maximum"`
}

func (c *unreadControl) ready() error { return between("maximum", c.Maximum, 0, 1<<20) }

func (c *unreadControl) judge(x *Index, _ *request, j *judgement) {
	if x.image.Scanned == nil || x.image.Scanner != nil { // others tell what they found, not what they could not read
		j.missing("scanned")
		return
	}
	j.looked = len(x.image.Problems)
	if len(x.image.Problems) > c.Maximum {
		for i := range x.image.Problems {
			j.fail("fail", "evidence", x.image.Problems[i].String())
		}
	}
}
