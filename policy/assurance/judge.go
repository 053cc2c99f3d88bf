package assurance

import (
	"time"

	"sekisho"
	"sekisho/policy/exception"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
)

// control judges one thing. It is immutable once it is ready.
type control interface {
	// ready checks the parameters and prepares them.
	ready() error
	// judge tells j what speaks against the image or workload.
	judge(x *Index, r *request, j *judgement)
}

// request is a fact.Request made ready.
type request struct {
	*fact.Request
	day     int32
	subject scope.Subject
	ref     *scope.Reference // nil when the image has no name that could be read
	broken  string           // why a name could not be read
	image   exception.Subject
	concern []bool // by exception: whether it is for this image; nil when there are none
}

// fill makes a request ready.
func (r *request) fill(q *fact.Request, x *Index) {
	r.Request, r.day = q, day(q.Now)
	switch {
	case q.Name != nil:
		r.ref = q.Name
	case q.Reference != "":
		r.ref, r.broken = reference(q.Reference)
	default:
		r.ref, r.broken = x.name, x.broken
	}
	r.subject = scope.Subject{Reference: r.ref, Host: q.Host, Environment: q.Environment}
	if w := q.Workload; w != nil {
		r.subject.Namespace, r.subject.Labels = w.Namespace, w.Labels
	}
	r.image = exception.Subject{Reference: r.ref, Digests: x.digests}
	if len(x.concerned) > 0 {
		r.concern = make([]bool, len(x.exceptions.Exceptions))
		for _, e := range x.concerned {
			r.concern[e] = x.exceptions.Exceptions[e].For(r.image)
		}
	}
}

// reference reads an image's name, or tells why not.
func reference(name string) (*scope.Reference, string) {
	ref, err := scope.Parse(name)
	if err != nil {
		return nil, err.Error()
	}
	return &ref, ""
}

// span is a part of a shared list.
type span struct{ from, to int32 }

// judgement collects what one control says. Findings and packages are kept as
// numbers; words are made when somebody reads them.
type judgement struct {
	v        *Verdict
	control  *prepared
	findings span // in v.numbers: findings that fail
	unknown  span // in v.unknowns: findings that could not be judged
	packages span // in v.packages
	details  []detail
	looked   int
	excepted int32
	accepted int32 // the exception of the whole control; -1 for none
	nothing  bool  // not applicable
}

// detail is a reason that is about no finding.
type detail struct {
	result string // sekisho.ControlFail, NotAssessed or Error
	key    string // of the message, behind "policy.CONTROL."
	params []string
}

func (j *judgement) fail(key string, params ...string) {
	j.details = append(j.details, detail{sekisho.ControlFail, key, params})
}

// missing tells that a fact is not known; key is one of the catalogue's fact.*.
func (j *judgement) missing(key string) {
	j.details = append(j.details, detail{sekisho.ControlNotAssessed, "", []string{"fact", "@fact." + key}})
}

func (j *judgement) broken(text string) {
	j.details = append(j.details, detail{sekisho.ControlError, "", []string{"error", text}})
}

// needs reports whether the image was searched for a kind of knowledge.
func (j *judgement) needs(x *Index, kind string) bool {
	if x.knows(kind) {
		if kind == fact.Vulnerabilities {
			for _, e := range x.uncovered {
				j.details = append(j.details, detail{sekisho.ControlNotAssessed, "", []string{"fact", "@fact.uncovered", "ecosystem", e}})
			}
		}
		return true
	}
	j.missing(kind)
	return false
}

// workload returns the workload, or tells that there is none to judge.
func (j *judgement) workload(r *request) *fact.Workload {
	if r.Workload == nil {
		j.nothing = true
	}
	return r.Workload
}

// yes tells whether a fact is known and true.
func (j *judgement) yes(value *bool, key string) bool {
	if value == nil {
		j.missing(key)
		return false
	}
	return *value
}

// vulnerability adds one that fails, unless it is accepted.
func (j *judgement) vulnerability(x *Index, r *request, v *vuln) {
	if v.flags&(maybe|set) != 0 && accepted(x, r, v.finding) {
		j.excepted++
		return
	}
	j.v.numbers = append(j.v.numbers, v.finding)
}

// finding adds one that fails, unless it is accepted.
func (j *judgement) finding(x *Index, r *request, n int32) {
	if accepted(x, r, n) {
		j.excepted++
		return
	}
	j.v.numbers = append(j.v.numbers, n)
}

// unjudged adds a vulnerability that lacks what the control asks for.
func (j *judgement) unjudged(x *Index, r *request, v *vuln) {
	if v.flags&(maybe|set) != 0 && accepted(x, r, v.finding) {
		j.excepted++
		return
	}
	j.v.unknowns = append(j.v.unknowns, v.finding)
}

func (j *judgement) pkg(n int32) { j.v.packages = append(j.v.packages, n) }

// accepted reports whether a finding is suppressed now: by VEX, by an
// exception that was applied before and has not ended, or by one of these.
func accepted(x *Index, r *request, n int32) bool {
	f := &x.image.Findings[n]
	if s := f.Suppressed; s != nil {
		ended := !s.Until.IsZero() && !r.Now.Before(s.Until.AddDate(0, 0, 1)) || s.UntilFixed && len(f.FixedIn) > 0
		if !ended {
			return true
		}
	}
	for _, e := range x.covered[n] {
		if r.concern[e] && x.exceptions.Exceptions[e].Ended(r.Now, len(f.FixedIn) > 0) == sekisho.ExceptionInForce {
			return true
		}
	}
	return false
}

// since counts whole days from t to now.
func (r *request) since(t time.Time) int { return int(r.Now.Sub(t).Hours() / 24) }
