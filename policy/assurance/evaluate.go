package assurance

import (
	"sekisho"
	"sekisho/policy/fact"
	"sekisho/policy/rule"
)

// Set is policies made ready to judge. It is immutable and may be shared.
type Set struct {
	policies []*Policy
}

// NewSet gathers policies.
func NewSet(policies ...*Policy) *Set { return &Set{policies: policies} }

// Policies lists them.
func (s *Set) Policies() []*Policy { return s.policies }

// Verdict is a decision before its words: what Decision needs to tell it.
type Verdict struct {
	Result     string // sekisho.Allow, Warn or Deny
	index      *Index
	request    *request
	policies   []policyVerdict
	judgements []judgement
	numbers    []int32
	unknowns   []int32
	packages   []int32
	facts      *rule.Facts // for free rules, when there are any
	unknown    []rule.Path

	asked request // what request points to: one allocation less a decision
}

type policyVerdict struct {
	policy *Policy
	result string
	span   span // of judgements
}

// Evaluate judges an image and a request by every policy whose scope they are
// in. It is pure: it reads no clock, starts nothing, and never stops at the
// first reason.
func Evaluate(s *Set, x *Index, q *fact.Request) *Verdict {
	v := &Verdict{Result: sekisho.Allow, index: x}
	v.request = &v.asked
	v.asked.fill(q, x)
	total := 0
	for _, p := range s.policies {
		total += len(p.controls)
	}
	v.judgements = make([]judgement, total) // those of policies that are for others are cut off
	v.policies = make([]policyVerdict, 0, len(s.policies))
	n := 0
	for _, p := range s.policies {
		if p.scope.Match(&v.request.subject) {
			n = v.policy(p, n)
		}
	}
	v.judgements = v.judgements[:n]
	return v
}

// policy judges by one policy, into the judgements from the nth on, and returns
// where they end.
func (v *Verdict) policy(p *Policy, from int) int {
	stops := false
	list := v.judgements[from : from+len(p.controls)]
	for n := range list {
		j := &list[n] // set in place: a judgement is large
		j.v, j.control, j.accepted = v, &p.controls[n], -1
		j.run()
		stops = stops || j.stops(p)
	}
	result := sekisho.Allow
	if stops {
		switch p.Mode {
		case sekisho.Deny:
			result = sekisho.Deny
		case sekisho.Warn:
			result = sekisho.Warn
		}
	}
	v.policies = append(v.policies, policyVerdict{p, result, span{int32(from), int32(from + len(list))}})
	v.Result = sekisho.Worst(v.Result, result)
	return from + len(list)
}

func (j *judgement) run() {
	v := j.v
	j.findings.from, j.unknown.from, j.packages.from = int32(len(v.numbers)), int32(len(v.unknowns)), int32(len(v.packages))
	if j.control.elsewhere(v.request.Stage) {
		j.nothing = true
	} else {
		j.control.control.judge(v.index, v.request, j)
	}
	j.findings.to, j.unknown.to, j.packages.to = int32(len(v.numbers)), int32(len(v.unknowns)), int32(len(v.packages))
	if j.reasons() > 0 {
		j.except()
	}
}

// except looks for an exception of the whole control.
func (j *judgement) except() {
	x, r := j.v.index, j.v.request
	for _, n := range x.concerned {
		e := &x.exceptions.Exceptions[n]
		if e.Control != j.control.name || e.Policy != "" && e.Policy != j.control.policy || !r.concern[n] {
			continue
		}
		if e.Ended(r.Now, false) == sekisho.ExceptionInForce {
			j.accepted = n
			return
		}
	}
}

func (j *judgement) reasons() int {
	return int(j.findings.to-j.findings.from+j.unknown.to-j.unknown.from+j.packages.to-j.packages.from) + len(j.details)
}

// result is the control's result: what failed weighs more than what broke,
// and that more than what is not known.
func (j *judgement) result() string {
	if j.nothing && len(j.details) == 0 {
		return sekisho.ControlNotApplicable
	}
	if j.accepted >= 0 {
		return sekisho.ControlPass
	}
	if j.findings.to > j.findings.from || j.packages.to > j.packages.from {
		return sekisho.ControlFail
	}
	out := sekisho.ControlPass
	if j.unknown.to > j.unknown.from {
		out = sekisho.ControlNotAssessed
	}
	for _, d := range j.details {
		switch {
		case d.result == sekisho.ControlFail:
			return d.result
		case d.result == sekisho.ControlError, out == sekisho.ControlPass:
			out = d.result
		}
	}
	return out
}

// stops reports whether the control acts as the policy's mode says.
func (j *judgement) stops(p *Policy) bool {
	if j.control.effect == sekisho.Note {
		return false
	}
	switch j.result() {
	case sekisho.ControlFail, sekisho.ControlError:
		return true
	case sekisho.ControlNotAssessed:
		return j.control.unknown != sekisho.Allow
	}
	return false
}
