// Package exception reads .sekisho.yaml, the file in which a team says which
// findings it accepts, for which images, why, who answers for that and until
// when, and applies it. A finding that is excepted stays in the report; an
// exception past its end no longer counts and says so. Unknown fields are
// errors.
package exception

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/goccy/go-yaml"

	"sekisho"
	"sekisho/policy/scope"
	"sekisho/policy/source"
)

// MaxSize bounds the file in bytes.
const MaxSize = 4 << 20

// File is the whole file.
type File struct {
	Exceptions []Exception `yaml:"exceptions"`
}

// Exception accepts the findings that match every field it names, or what a
// control of a policy says, on the images it names. It must name at least one
// of ID, Fingerprint, Package, Path and Control.
type Exception struct {
	ID          string           `yaml:"id"`          // or an alias, as CVE-2024-1234
	Fingerprint string           `yaml:"fingerprint"` // of one finding
	Package     string           `yaml:"package"`     // a package's name
	Path        string           `yaml:"path"`        // a pattern of path.Match; DIR/** means all below
	Kind        string           `yaml:"kind"`
	Control     string           `yaml:"control"`  // of a policy, for what is no finding
	Policy      string           `yaml:"policy"`   // only of the policy of this name
	Images      []string         `yaml:"images"`   // patterns, see scope.ParseImage; none means all
	Digests     []sekisho.Digest `yaml:"digests"`  // only these, of the images
	Versions    string           `yaml:"versions"` // only tags in this range: ">= 1.2, < 1.5"
	Reason      string           `yaml:"reason"`
	Owner       string           `yaml:"owner"`
	Approver    string           `yaml:"approver"`
	Until       Date             `yaml:"until"`
	UntilFixed  bool             `yaml:"until_fixed"` // it ends when a version with the fix is out
	VEX         *VEX             `yaml:"vex"`         // what others are told about the vulnerability

	images   []scope.Image
	versions *semver.Constraints
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
	if err := source.Plain(data); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, err)
	}
	var f File
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %s", name, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	for i := range f.Exceptions {
		if err := f.Exceptions[i].Compile(); err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "%s: exceptions[%d]: %w", name, i, err)
		}
	}
	return &f, nil
}

// Compile checks the exception and makes it ready; Parse has done so.
func (e *Exception) Compile() error {
	switch {
	case e.ID == "" && e.Fingerprint == "" && e.Package == "" && e.Path == "" && e.Control == "":
		return fmt.Errorf("want at least one of id, fingerprint, package, path, control")
	case e.Reason == "":
		return fmt.Errorf("reason is missing: say why this is acceptable")
	case e.Owner == "":
		return fmt.Errorf("owner is missing: say who answers for it")
	case e.Until.IsZero() && (!e.UntilFixed || e.Control != ""):
		return fmt.Errorf("until is missing: say up to which day, YYYY-MM-DD, or until_fixed: true")
	case e.Policy != "" && e.Control == "":
		return fmt.Errorf("policy goes with control")
	case e.Control != "" && (e.ID != "" || e.Fingerprint != "" || e.Package != "" || e.Path != "" || e.Kind != ""):
		return fmt.Errorf("control stands alone: what is accepted is a finding, or all that the control says")
	case e.Approver != "" && e.Approver == e.Owner:
		return fmt.Errorf("approver and owner are the same; somebody else must agree")
	}
	if _, err := path.Match(e.Path, ""); err != nil {
		return fmt.Errorf("path %q: %w", e.Path, err)
	}
	for _, text := range e.Images {
		i, err := scope.ParseImage(text)
		if err != nil {
			return fmt.Errorf("images: %w", err)
		}
		e.images = append(e.images, i)
	}
	for _, d := range e.Digests {
		if err := d.Validate(); err != nil {
			return fmt.Errorf("digests: %w", err)
		}
	}
	if e.Versions != "" {
		var err error
		if e.versions, err = semver.NewConstraint(e.Versions); err != nil {
			return fmt.Errorf("versions %q: %w; want a range such as %q", e.Versions, err, ">= 1.2, < 1.5")
		}
	}
	if e.VEX != nil {
		return e.VEX.validate()
	}
	return nil
}

// Subject is the image that is judged. What is not known matches no exception
// that names it.
type Subject struct {
	Reference *scope.Reference
	Digests   []sekisho.Digest // of manifest and configuration
}

// For reports whether the exception is for an image.
func (e *Exception) For(s Subject) bool {
	if len(e.images) > 0 && (s.Reference == nil || !slices.ContainsFunc(e.images, func(i scope.Image) bool { return i.Match(*s.Reference) })) {
		return false
	}
	if len(e.Digests) > 0 && !slices.ContainsFunc(s.Digests, func(d sekisho.Digest) bool { return slices.Contains(e.Digests, d) }) {
		return false
	}
	if e.versions == nil {
		return true
	}
	if s.Reference == nil {
		return false
	}
	v, err := semver.NewVersion(s.Reference.Tag)
	return err == nil && e.versions.Check(v)
}

// Ended says whether the exception has ended for something that has a fix or
// not: sekisho.ExceptionInForce, Expired or Fixed.
func (e *Exception) Ended(now time.Time, fixed bool) string {
	switch {
	case !e.Until.IsZero() && !now.Before(e.Until.AddDate(0, 0, 1)):
		return sekisho.ExceptionExpired
	case e.UntilFixed && fixed:
		return sekisho.ExceptionFixed
	}
	return sekisho.ExceptionInForce
}

// What writes the fields that the exception names.
func (e *Exception) What() string {
	var parts []string
	for _, p := range [][2]string{{"id", e.ID}, {"fingerprint", e.Fingerprint}, {"package", e.Package}, {"path", e.Path}, {"kind", e.Kind},
		{"control", e.Control}, {"policy", e.Policy}, {"images", strings.Join(e.Images, ",")}, {"versions", e.Versions}} {
		if p[1] != "" {
			parts = append(parts, p[0]+"="+p[1])
		}
	}
	for _, d := range e.Digests {
		parts = append(parts, "digest="+string(d))
	}
	return strings.Join(parts, " ")
}

// validate follows the OpenVEX specification, sections "Status Labels" and
// "Status Justifications".
func (v VEX) validate() error {
	statuses := []string{sekisho.StatusNotAffected, sekisho.StatusAffected, sekisho.StatusFixed, sekisho.StatusInvestigated}
	justifications := []string{"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist"}
	switch {
	case !slices.Contains(statuses, v.Status):
		return fmt.Errorf("vex.status: %q is none of %s", v.Status, strings.Join(statuses, ", "))
	case v.Justification != "" && !slices.Contains(justifications, v.Justification):
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
func (f *File) Covering(x *sekisho.Finding, subject Subject, now time.Time) *Exception {
	var found *Exception
	for i := range f.Exceptions {
		e := &f.Exceptions[i]
		holds := e.For(subject) && e.Covers(x) && e.Ended(now, len(x.FixedIn) > 0) == sekisho.ExceptionInForce
		if holds && (found == nil || found.VEX == nil && e.VEX != nil) {
			found = e
		}
	}
	return found
}

// Apply marks the findings that an exception covers. Of several exceptions
// for one finding, one that still holds wins.
func (f *File) Apply(findings []sekisho.Finding, subject Subject, now time.Time) {
	for n := range f.Exceptions {
		e := &f.Exceptions[n]
		if e.Control != "" || !e.For(subject) {
			continue
		}
		for i := range findings {
			if e.Covers(&findings[i]) {
				e.mark(&findings[i], now)
			}
		}
	}
}

func (e *Exception) mark(x *sekisho.Finding, now time.Time) {
	if x.Suppressed != nil {
		return
	}
	s := &sekisho.Suppressed{Reason: e.Reason, Owner: e.Owner, Approver: e.Approver, Until: e.Until.Time, UntilFixed: e.UntilFixed}
	if e.Ended(now, len(x.FixedIn) > 0) == sekisho.ExceptionInForce {
		x.Suppressed, x.Expired = s, nil
		return
	}
	x.Expired = cmp.Or(x.Expired, s)
}

// Covers reports whether the exception's fields match a finding. One for a
// control covers none.
func (e *Exception) Covers(x *sekisho.Finding) bool {
	if e.Control != "" {
		return false
	}
	if e.ID != "" && e.ID != x.ID && !slices.Contains(x.Aliases, e.ID) {
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
