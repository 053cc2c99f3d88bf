package approval

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"sekisho/admit/signature"
	"sekisho/policy/fact"
)

// Step is one that was taken by somebody who may.
type Step struct {
	Record
	Who  string `json:"who"`
	Hash string `json:"hash"` // of the statement
}

// Road is a request and what came of it.
type Road struct {
	Request  Step      `json:"request"`
	Reviews  []Step    `json:"reviews"`
	Decision *Step     `json:"decision,omitempty"` // the last one
	Approval *Approval `json:"approval,omitempty"` // nil when it was not approved, or does not count
	Why      string    `json:"why,omitempty"`      // an approval does not count
}

// Roads puts the steps together that people took for an image, oldest request
// first. Steps that do not count are told with the reason. now is for times
// that lie ahead.
func (p *People) Roads(r *signature.Result, now time.Time) (list []Road, refused []signature.Refused) {
	steps, refused := p.steps(r, now)
	byHash := map[string]int{}
	for _, s := range steps {
		if s.Step == Request {
			byHash[s.Hash] = len(list)
			list = append(list, Road{Request: s, Reviews: []Step{}})
		}
	}
	for _, s := range steps {
		if s.Step == Request {
			continue
		}
		n, ok := byHash[s.Request]
		var err error
		if ok {
			err = list[n].add(s)
		} else {
			err = errors.New("the request that it answers is not here")
		}
		if err != nil {
			refused = append(refused, signature.Refused{Where: s.Hash, Form: s.Step, Reason: err.Error()})
		}
	}
	for n := range list {
		list[n].Approval, list[n].Why = list[n].approved(p)
	}
	return list, refused
}

// steps reads all records, in order of time; at the same time, rejections last.
func (p *People) steps(r *signature.Result, now time.Time) (steps []Step, refused []signature.Refused) {
	for i := range r.Verified {
		v := &r.Verified[i]
		if v.Predicate != PredicateType {
			continue
		}
		s, err := p.step(v, now)
		if err != nil {
			refused = append(refused, signature.Refused{Where: v.Where, Form: v.Form, Reason: err.Error()})
			continue
		}
		if !slices.ContainsFunc(steps, func(o Step) bool { return o.Hash == s.Hash }) {
			steps = append(steps, *s)
		}
	}
	rank := func(s *Step) int { return slices.Index([]string{Request, Review, Approve, Reject}, s.Step) }
	slices.SortStableFunc(steps, func(a, b Step) int {
		return cmp.Or(a.Time.Compare(b.Time), rank(&a)-rank(&b), cmp.Compare(a.Hash, b.Hash))
	})
	return steps, refused
}

func (p *People) step(v *signature.Verified, now time.Time) (*Step, error) {
	r, err := statementOf(v)
	if err != nil {
		return nil, err
	}
	who, err := p.who(v.Key, v.Identity, v.Issuer)
	if err != nil {
		return nil, err
	}
	if err := who.mayTake(r.Step, r.Environment); err != nil {
		return nil, err
	}
	if r.Time.After(now.Add(skew)) {
		return nil, fmt.Errorf("its time, %s, lies ahead", r.Time.Format(time.RFC3339))
	}
	return &Step{Record: *r, Who: who.name, Hash: Hash(v)}, nil
}

// add puts a review or a decision on the road.
func (r *Road) add(s Step) error {
	switch {
	case s.Who == r.Request.Who:
		return fmt.Errorf("%s asked for it and may not %s it", s.Who, s.Step)
	case s.Environment != r.Request.Environment:
		return fmt.Errorf("it is for %.100q, the request for %.100q", s.Environment, r.Request.Environment)
	case s.Time.Before(r.Request.Time):
		return errors.New("it is older than the request")
	case s.Evidence != nil && !same(s.Evidence, r.Request.Evidence):
		return errors.New("its evidence is not that of the request")
	}
	if s.Step == Review {
		r.Reviews = append(r.Reviews, s)
		return nil
	}
	r.Decision = &s
	return nil
}

// approved makes an approval of the road, or tells why it does not count.
func (r *Road) approved(p *People) (*Approval, string) {
	d := r.Decision
	if d == nil || d.Step != Approve {
		return nil, ""
	}
	var reviewers []string
	for _, s := range r.Reviews {
		if s.Who != d.Who && !s.Time.After(d.Time) && !slices.Contains(reviewers, s.Who) {
			reviewers = append(reviewers, s.Who)
		}
	}
	switch limit := d.Time.AddDate(0, 0, p.MaxDays); {
	case d.Until.After(limit):
		return nil, fmt.Sprintf("it holds until %s, longer than %d days", d.Until.Format(time.DateOnly), p.MaxDays)
	case len(reviewers) < p.Reviews:
		return nil, fmt.Sprintf("%d of %d reviews by others", len(reviewers), p.Reviews)
	case d.Evidence.Result == "deny" && !p.Denied:
		return nil, "the policy denied the image"
	}
	return &Approval{
		Approval: fact.Approval{Environment: d.Environment, Author: r.Request.Who, Approver: d.Who, Time: d.Time, Until: d.Until},
		Reason:   d.Reason, Request: r.Request.Hash, Reviews: reviewers, Evidence: *d.Evidence,
	}, ""
}

// Approvals are those that count, of several roads.
func Approvals(roads []Road) (list []Approval) {
	for _, r := range roads {
		if r.Approval != nil {
			list = append(list, *r.Approval)
		}
	}
	return list
}
