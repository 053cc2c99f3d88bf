// Package approval keeps the road of an image to an environment: a request, its
// reviews, and the decision of somebody other than the author. Each step is a
// statement about the image's digest, signed by the one who takes it and kept
// beside the image, so that every gate verifies it offline. What the decision
// rested on is frozen in it; when something new and grave is known, it lapses.
package approval

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/predicate"
	"sekisho/policy/fact"
)

// PredicateType is that of the statements.
const PredicateType = "https://sekisho.dev/approval/v1"

// The steps.
const (
	Request = "request"
	Review  = "review"
	Approve = "approve"
	Reject  = "reject"
)

// maxRecord bounds a record in bytes, maxSerious the findings frozen in one,
// maxText its reason; skew is how far a clock may be ahead.
const maxRecord, maxSerious, maxText, skew = 2 << 20, 10_000, 4096, 5 * time.Minute

// Record is what one step says. Who says it is told by its signature.
type Record struct {
	Step        string    `json:"step"`
	Environment string    `json:"environment"`
	Reason      string    `json:"reason"`
	Time        time.Time `json:"time"`
	Request     string    `json:"request,omitempty"`  // sha256: of the request's statement; of all but a request
	Until       time.Time `json:"until,omitzero"`     // of an approval
	Evidence    *Evidence `json:"evidence,omitempty"` // of a request, and again of a decision
}

// Evidence is what a decision rests on.
type Evidence struct {
	Scan     string               `json:"scan"` // sha256: of the scan attestation's statement
	Scanned  time.Time            `json:"scanned,omitzero"`
	Feeds    map[string]time.Time `json:"feeds"` // newest record by name of the feed
	Counts   map[string]int       `json:"counts"`
	Serious  []string             `json:"serious"`  // critical findings and those in KEV: ID and package
	Policies []string             `json:"policies"` // names with versions
	Result   string               `json:"result,omitempty"`
	Reasons  []string             `json:"reasons"` // controls that spoke against it
}

// Parse reads a record.
func Parse(doc []byte) (*Record, error) {
	var r Record
	if len(doc) > maxRecord {
		return nil, sekisho.Errorf(sekisho.Invalid, "approval: more than %d bytes", maxRecord)
	}
	if err := json.Unmarshal(doc, &r); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "approval: %w", err)
	}
	return &r, r.check()
}

func (r *Record) check() error {
	bad := func(format string, args ...any) error {
		return sekisho.Errorf(sekisho.Invalid, "approval: "+format, args...)
	}
	switch {
	case !slices.Contains([]string{Request, Review, Approve, Reject}, r.Step):
		return bad("step %.40q is not known", r.Step)
	case r.Environment == "" || len(r.Environment) > 256 || r.Reason == "" || len(r.Reason) > maxText:
		return bad("want an environment and a reason of at most %d bytes", maxText)
	case r.Time.IsZero():
		return bad("it has no time")
	case r.Step == Request && r.Evidence == nil, r.Step == Approve && r.Evidence == nil:
		return bad("a %s without evidence", r.Step)
	case r.Step == Approve && !r.Until.After(r.Time):
		return bad("an approval without end")
	case r.Step != Request && sekisho.Digest(r.Request).Validate() != nil:
		return bad("a %s that names no request", r.Step)
	case r.Evidence != nil && len(r.Evidence.Serious) > maxSerious:
		return bad("more than %d grave findings", maxSerious)
	}
	return nil
}

// Freeze makes evidence of a scan and of what a policy said to it; decision may
// be nil.
func Freeze(i *fact.Image, scan *signature.Verified, decision *sekisho.Decision) (*Evidence, error) {
	e := &Evidence{Scan: Hash(scan), Feeds: map[string]time.Time{}, Counts: predicate.Counts(i), Policies: []string{}, Reasons: []string{}, Serious: serious(i)}
	if len(e.Serious) > maxSerious {
		return nil, sekisho.Errorf(sekisho.Denied, "%d critical or exploited findings, more than an approval can hold (%d)", len(e.Serious), maxSerious)
	}
	if i.Scanned != nil {
		e.Scanned = i.Scanned.UTC()
	}
	for _, f := range i.Feeds {
		e.Feeds[f.Name] = f.Newest.UTC()
	}
	if decision != nil {
		e.Result = decision.Result
		for _, p := range decision.Policies {
			e.Policies = append(e.Policies, p.Name+"@"+p.Version)
		}
		for _, r := range decision.Reasons {
			if !slices.Contains(e.Reasons, r.Control) {
				e.Reasons = append(e.Reasons, r.Control)
			}
		}
	}
	return e, nil
}

// Hash names a statement: the SHA-256 of what was signed.
func Hash(v *signature.Verified) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(v.Payload))
}

// serious lists what makes an approval lapse when it is new: critical
// vulnerabilities, those known to be exploited, malware. What an exception
// accepts is not in it.
func serious(i *fact.Image) []string {
	out := []string{}
	for _, f := range i.Findings {
		exploited := f.Vulnerable != nil && f.Vulnerable.KEV != nil
		if f.Suppressed != nil || f.Severity != sekisho.Critical && !exploited && f.Kind != sekisho.Malware {
			continue
		}
		name := f.ID
		if f.Package != nil {
			name += " " + f.Package.Name
		} else if f.Location.Path != "" {
			name += " " + f.Location.Path
		}
		if exploited {
			name += " KEV"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Approval is one that was given, by people who may.
type Approval struct {
	fact.Approval
	Reason   string   `json:"reason"`
	Request  string   `json:"request"`
	Reviews  []string `json:"reviews"` // by whom
	Evidence Evidence `json:"evidence"`
}

// Lapsed tells why an approval no longer counts under what is known now: grave
// findings that were not in its evidence. Empty means that it counts. One that
// was critical before and is exploited now is new.
func Lapsed(a *Approval, now *fact.Image) string {
	var fresh []string
	for _, name := range serious(now) {
		if !slices.Contains(a.Evidence.Serious, name) && !slices.Contains(a.Evidence.Serious, name+" KEV") {
			fresh = append(fresh, name)
		}
	}
	if len(fresh) > 3 {
		fresh = append(fresh[:3], fmt.Sprintf("+%d", len(fresh)-3))
	}
	return strings.Join(fresh, ", ")
}

// Facts are approvals for a policy, with whether they lapsed under what is known
// now. Never nil: it was looked for.
func Facts(list []Approval, now *fact.Image) []fact.Approval {
	out := []fact.Approval{}
	for i := range list {
		f := list[i].Approval
		f.Lapsed = Lapsed(&list[i], now)
		out = append(out, f)
	}
	return out
}

// statementOf reads the record of a statement.
func statementOf(v *signature.Verified) (*Record, error) {
	if v.Statement == nil || v.Statement.PredicateType != PredicateType {
		return nil, sekisho.Errorf(sekisho.Invalid, "no approval")
	}
	return Parse(v.Statement.Predicate)
}

// Statement makes the predicate of a record.
func (r *Record) Statement() (json.RawMessage, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

func same(a, b *Evidence) bool { return a != nil && b != nil && reflect.DeepEqual(a, b) }
