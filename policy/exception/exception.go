// Package exception reads .sekisho.yaml, the file in which a team says which
// findings it accepts, why, who answers for that and until when, and applies
// it. A finding that is excepted stays in the report; an exception past its
// date no longer counts and says so. Unknown fields are errors.
package exception

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"sekisho"
)

// MaxSize bounds the file in bytes.
const MaxSize = 4 << 20

// File is the whole file.
type File struct {
	Exceptions []Exception `yaml:"exceptions"`
}

// Exception accepts the findings that match every field it names. It must name
// at least one of ID, Fingerprint, Package and Path.
type Exception struct {
	ID          string `yaml:"id"`          // or an alias, as CVE-2024-1234
	Fingerprint string `yaml:"fingerprint"` // of one finding
	Package     string `yaml:"package"`     // a package's name
	Path        string `yaml:"path"`        // a pattern of path.Match; DIR/** means all below
	Kind        string `yaml:"kind"`
	Reason      string `yaml:"reason"`
	Owner       string `yaml:"owner"`
	Until       Date   `yaml:"until"`
	VEX         *VEX   `yaml:"vex"` // what others are told about the vulnerability
}

// VEX is the judgement behind an exception, in the words of OpenVEX.
type VEX struct {
	Status        string `yaml:"status"`        // not_affected, affected, fixed, under_investigation
	Justification string `yaml:"justification"` // of not_affected
	Impact        string `yaml:"impact"`        // of not_affected, why
	Action        string `yaml:"action"`        // of affected, what to do
}

// Date is a day, written 2006-01-02: the last on which an exception holds.
type Date struct{ time.Time }

// UnmarshalYAML reads a day.
func (d *Date) UnmarshalYAML(text []byte) error {
	day, err := time.Parse(time.DateOnly, strings.Trim(strings.TrimSpace(string(text)), `"'`))
	if err != nil {
		return fmt.Errorf("until: %q is not a day, want YYYY-MM-DD", strings.TrimSpace(string(text)))
	}
	d.Time = day
	return nil
}

// Parse reads the file; name is for errors.
func Parse(r io.Reader, name string) (*File, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > MaxSize {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", name, MaxSize)
	}
	var f File
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&f); err != nil && err != io.EOF {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %s", name, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	for i, e := range f.Exceptions {
		if err := e.validate(); err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "%s: exceptions[%d]: %w", name, i, err)
		}
	}
	return &f, nil
}

func (e Exception) validate() error {
	switch {
	case e.ID == "" && e.Fingerprint == "" && e.Package == "" && e.Path == "":
		return fmt.Errorf("want at least one of id, fingerprint, package, path")
	case e.Reason == "":
		return fmt.Errorf("reason is missing: say why this is acceptable")
	case e.Owner == "":
		return fmt.Errorf("owner is missing: say who answers for it")
	case e.Until.IsZero():
		return fmt.Errorf("until is missing: say up to which day, YYYY-MM-DD")
	}
	if _, err := path.Match(e.Path, ""); err != nil {
		return fmt.Errorf("path %q: %w", e.Path, err)
	}
	if e.VEX != nil {
		return e.VEX.validate()
	}
	return nil
}

// validate follows the OpenVEX specification, sections "Status Labels" and
// "Status Justifications".
func (v VEX) validate() error {
	statuses := []string{sekisho.StatusNotAffected, sekisho.StatusAffected, sekisho.StatusFixed, sekisho.StatusInvestigated}
	justifications := []string{"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist"}
	switch {
	case !contains(statuses, v.Status):
		return fmt.Errorf("vex.status: %q is none of %s", v.Status, strings.Join(statuses, ", "))
	case v.Justification != "" && !contains(justifications, v.Justification):
		return fmt.Errorf("vex.justification: %q is none of %s", v.Justification, strings.Join(justifications, ", "))
	case v.Status == sekisho.StatusNotAffected && v.Justification == "" && v.Impact == "":
		return fmt.Errorf("vex: not_affected wants a justification or an impact")
	case v.Status != sekisho.StatusNotAffected && v.Justification != "":
		return fmt.Errorf("vex: a justification belongs to not_affected only")
	case v.Status == sekisho.StatusAffected && v.Action == "":
		return fmt.Errorf("vex: affected wants an action: say what users should do")
	}
	return nil
}

// Covering returns the exception that holds for a finding, or nil. Of several
// one with a judgement wins.
func (f *File) Covering(x *sekisho.Finding, now time.Time) *Exception {
	var found *Exception
	for i := range f.Exceptions {
		e := &f.Exceptions[i]
		if e.covers(x) && e.holds(now) && (found == nil || found.VEX == nil && e.VEX != nil) {
			found = e
		}
	}
	return found
}

func (e Exception) holds(now time.Time) bool { return now.Before(e.Until.AddDate(0, 0, 1)) }

// Apply marks the findings that an exception covers. Of several exceptions
// for one finding, one that still holds wins.
func (f *File) Apply(findings []sekisho.Finding, now time.Time) {
	for i := range findings {
		x := &findings[i]
		for _, e := range f.Exceptions {
			if !e.covers(x) {
				continue
			}
			s := &sekisho.Suppressed{Reason: e.Reason, Owner: e.Owner, Until: e.Until.Time}
			if e.holds(now) {
				x.Suppressed, x.Expired = s, nil
				break
			}
			if x.Suppressed == nil {
				x.Expired = s
			}
		}
	}
}

func (e Exception) covers(x *sekisho.Finding) bool {
	if e.ID != "" && e.ID != x.ID && !contains(x.Aliases, e.ID) {
		return false
	}
	if e.Fingerprint != "" && e.Fingerprint != x.Fingerprint || e.Kind != "" && e.Kind != x.Kind {
		return false
	}
	if e.Package != "" && (x.Package == nil || x.Package.Name != e.Package) {
		return false
	}
	if e.Path == "" {
		return true
	}
	for _, l := range append([]sekisho.Location{x.Location}, x.Places...) { // all of them, or it is still somewhere
		if !Match(e.Path, l.Path) {
			return false
		}
	}
	return true
}

func contains(list []string, s string) bool {
	for _, t := range list {
		if s == t {
			return true
		}
	}
	return false
}

// Match reports whether a path matches a pattern of path.Match, or lies below
// DIR for the pattern DIR/**. A leading slash does not matter.
func Match(pattern, name string) bool {
	pattern, name = strings.TrimPrefix(pattern, "/"), strings.TrimPrefix(name, "/")
	if dir, ok := strings.CutSuffix(pattern, "/**"); ok {
		for name != "" && name != "." {
			if ok, _ := path.Match(dir, name); ok {
				return true
			}
			name = path.Dir(name)
		}
		return false
	}
	ok, _ := path.Match(pattern, name)
	return ok
}
