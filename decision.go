package sekisho

import (
	"slices"
	"time"
)

// Results of a decision, and the modes of a policy beside Audit.
const (
	Allow = "allow"
	Warn  = "warn"
	Deny  = "deny"
	Audit = "audit" // a mode only: everything is told, nothing is stopped
)

// Worst is the stricter of two results.
func Worst(a, b string) string {
	if a == Deny || b == Deny {
		return Deny
	}
	if a == Warn || b == Warn {
		return Warn
	}
	return Allow
}

// Results of a control.
const (
	ControlPass          = "pass"
	ControlFail          = "fail"
	ControlManual        = "manual"
	ControlNotApplicable = "not_applicable"
	ControlNotAssessed   = "not_assessed" // a fact is missing: never a pass
	ControlError         = "error"
)

// Effects of a control that fails.
const (
	Violation = "violation" // acts as the policy's mode says
	Note      = "note"      // is told only
)

// Decision says whether the target may pass, with every reason.
type Decision struct {
	Result     string          `json:"result"`
	Policy     string          `json:"policy"`     // the names of the policies that judged
	Policies   []PolicyResult  `json:"policies"`   // each of them
	Reasons    []Reason        `json:"reasons"`    // all of them, never the first only
	Controls   []ControlResult `json:"controls"`   // what every control said, also those that passed
	Exceptions []ExceptionUse  `json:"exceptions"` // that concern the target, in force or not
}

// Denial is what stops the target: the policies that deny it, and their reasons.
// Those of policies that only warn or note are left out.
func (d *Decision) Denial() (policies []string, reasons []Reason) {
	for _, p := range d.Policies {
		if p.Result == Deny {
			policies = append(policies, p.Name)
		}
	}
	for _, r := range d.Reasons {
		if r.Effect != Note && (len(policies) == 0 || slices.Contains(policies, r.Policy)) {
			reasons = append(reasons, r)
		}
	}
	if len(policies) == 0 { // a decision without policies, of --fail-on
		policies = []string{d.Policy}
	}
	return policies, reasons
}

// PolicyResult is what one policy said.
type PolicyResult struct {
	Name    string `json:"name"`
	Version string `json:"version"` // sha256: and the hash of the file as it was read
	Mode    string `json:"mode"`
	Result  string `json:"result"`
}

// Reason is one thing that spoke against the target. Message and Fix are in the
// report's language; Key, FixKey and Params say the same in any.
type Reason struct {
	Policy   string            `json:"policy,omitempty"`
	Control  string            `json:"control"`
	Result   string            `json:"result,omitempty"` // fail, not_assessed or error
	Effect   string            `json:"effect,omitempty"` // violation or note
	Message  string            `json:"message"`
	Evidence string            `json:"evidence"`
	Fix      string            `json:"fix"`
	Owner    string            `json:"owner,omitempty"`
	Finding  string            `json:"finding,omitempty"` // the fingerprint of the finding that it is about
	Key      string            `json:"key,omitempty"`
	FixKey   string            `json:"fix_key,omitempty"`
	Params   map[string]string `json:"params,omitempty"`
}

// ControlResult is what one control of a policy said.
type ControlResult struct {
	Policy    string   `json:"policy"`
	Control   string   `json:"control"`
	Result    string   `json:"result"`
	Effect    string   `json:"effect"`
	Wants     string   `json:"wants"`              // its parameters, as key=value
	Looked    int      `json:"looked"`             // at how many things: findings, packages, signatures …
	Reasons   int      `json:"reasons"`            // how many spoke against the target
	Excepted  int      `json:"excepted,omitempty"` // how many more would have without exceptions
	Satisfies []string `json:"satisfies"`          // requirements that it gives evidence for
}

// States of an exception.
const (
	ExceptionInForce = "in_force"
	ExceptionExpired = "expired" // its day has passed
	ExceptionFixed   = "fixed"   // it held until a fix exists, and one does
)

// ExceptionUse is an exception that concerns the target.
type ExceptionUse struct {
	Number   int       `json:"-"`    // its place in its file, from 0
	What     string    `json:"what"` // the fields that it names, as key=value
	Reason   string    `json:"reason"`
	Owner    string    `json:"owner"`
	Approver string    `json:"approver,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	State    string    `json:"state"`
	Count    int       `json:"count"` // of findings and controls that it covers, or covered
}
