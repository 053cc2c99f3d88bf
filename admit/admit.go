// Package admit is the ship wing: may this workload start? A question about one
// or several images and how they are to run comes in, a decision with every
// reason comes out and is written to the audit log. Facts are looked up by
// digest; the network is asked only for an image that nobody has seen, within
// the deadline, once however many ask. It refuses to guess: what is not known
// is not assessed, and the policy says what that means.
package admit

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/audit"
	"sekisho/policy/assurance"
	"sekisho/policy/exception"
	"sekisho/policy/fact"
)

// Facts is what the gate asks of a store of what is known about images. A
// digest may be that of a manifest or of a configuration.
type Facts interface {
	// Version names the facts of a digest: equal versions are equal facts. It is
	// empty when nothing is known. It is asked for every decision and must be quick.
	Version(sekisho.Digest) string
	// Image returns the facts, or an error of kind sekisho.NotFound.
	Image(sekisho.Digest) (*fact.Image, error)
}

// Scanner learns the facts of an image that nobody has seen, and keeps them so
// that Facts has them.
type Scanner interface {
	Scan(ctx context.Context, reference string, digest sekisho.Digest) error
}

// Log is where decisions are written.
type Log interface {
	Append(...audit.Entry) error
}

// Rules are what is judged by at a moment; they are replaced as a whole.
type Rules struct {
	Policies   *assurance.Set
	Exceptions *exception.File // may be nil
}

// Options of a gate. Facts, Rules and Now are required.
type Options struct {
	Facts   Facts
	Scanner Scanner      // nil leaves unknown images unknown
	Rules   func() Rules // the current ones
	Log     Log          // may be nil
	Now     func() time.Time
	Keep    int // how many images are kept ready to be judged; 0 for 4,096
}

// Question asks whether something may start.
type Question struct {
	Gate    string // where it is asked: kubernetes, docker, runc, nri, ci
	Actor   string // who asks
	Action  string // what for: admit when empty
	Subject string // what, for the audit log: pods/shop/cart
	Images  []Image
	DryRun  bool              // decide, but do not note it as something that happened
	Details map[string]string // further words for the audit log
}

// Image is one image of a question, with how it is to run.
type Image struct {
	Reference string         // as the workload writes it
	Digest    sekisho.Digest // that it resolves to; empty when not known
	Request   fact.Request   // Now and Reference are filled in by the gate
	Source    string         // where a scanner finds it, as docker:ID; empty means by its reference
}

// Answer is what the gate says.
type Answer struct {
	Result  string              // the worst of all images
	Images  []*sekisho.Decision // in the order of the question
	Facts   []string            // versions of the facts that were judged; empty where nothing was known
	Latency time.Duration

	feeds   [][]sekisho.Feed // that the facts were made with
	unknown []error          // why nothing could be learned of an image
}

// Gate decides. It is safe for use by several goroutines.
type Gate struct {
	Options
	ready  ready
	flight flight
}

// New returns a gate.
func New(o Options) *Gate {
	if o.Keep == 0 {
		o.Keep = 4096
	}
	return &Gate{Options: o, ready: ready{limit: o.Keep}, flight: flight{running: map[string]*scan{}}}
}

// Decide judges every image of a question. The error is about the audit log or
// the context only: what cannot be found out about an image is part of the
// decision.
func (g *Gate) Decide(ctx context.Context, q Question) (*Answer, error) {
	start := g.Now()
	rules := g.Rules()
	a := &Answer{Result: sekisho.Allow, Images: make([]*sekisho.Decision, len(q.Images)), Facts: make([]string, len(q.Images)), feeds: make([][]sekisho.Feed, len(q.Images)), unknown: make([]error, len(q.Images))}
	verdicts := make([]*assurance.Verdict, len(q.Images))
	var wait sync.WaitGroup
	for i := range q.Images {
		if len(q.Images) == 1 {
			verdicts[i] = g.judge(ctx, a, i, &q.Images[i], rules, start)
			continue
		}
		wait.Go(func() { verdicts[i] = g.judge(ctx, a, i, &q.Images[i], rules, start) })
	}
	wait.Wait()
	for i, v := range verdicts {
		a.Images[i] = v.Decision()
		a.Result = worse(a.Result, v.Result)
	}
	a.Latency = g.Now().Sub(start)
	return a, g.note(q, a, start)
}

// judge judges image n of an answer by what is known of it, after it was looked
// at when nothing is.
func (g *Gate) judge(ctx context.Context, a *Answer, n int, i *Image, rules Rules, now time.Time) *assurance.Verdict {
	request := i.Request
	request.Now, request.Reference = now, i.Reference
	if i.Digest != "" && g.Scanner != nil && g.Facts.Version(i.Digest) == "" {
		a.unknown[n] = g.flight.do(ctx, string(i.Digest), func(ctx context.Context) error { return g.Scanner.Scan(ctx, cmp.Or(i.Source, i.Reference), i.Digest) }) // unknown stays unknown, and the policy says what that means
	}
	index, version := g.index(i.Digest, rules.Exceptions)
	a.Facts[n], a.feeds[n] = version, index.Feeds()
	return assurance.Evaluate(rules.Policies, index, &request)
}

// index returns the facts of a digest ready to be judged.
func (g *Gate) index(d sekisho.Digest, exceptions *exception.File) (*assurance.Index, string) {
	version := ""
	if d != "" {
		version = g.Facts.Version(d)
	}
	if version == "" {
		return assurance.Prepare(&fact.Image{Digest: d}, exceptions), ""
	}
	if x := g.ready.get(version, exceptions); x != nil {
		return x, version
	}
	image, err := g.Facts.Image(d)
	if err != nil {
		return assurance.Prepare(&fact.Image{Digest: d}, exceptions), ""
	}
	x := assurance.Prepare(image, exceptions)
	g.ready.put(version, exceptions, x)
	return x, version
}

func worse(a, b string) string {
	if b == sekisho.Deny || a == sekisho.Deny {
		return sekisho.Deny
	}
	if b == sekisho.Warn || a == sekisho.Warn {
		return sekisho.Warn
	}
	return sekisho.Allow
}

// maxWords bounds what an entry says about a scan that failed, in bytes.
const maxWords = 1000

func cut(s string) string {
	if len(s) > maxWords {
		return strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}

// maxNoted is how many reasons of one image the audit log keeps.
const maxNoted = 300

// note writes the decision to the audit log, one entry an image.
func (g *Gate) note(q Question, a *Answer, start time.Time) error {
	if g.Log == nil || q.DryRun {
		return nil
	}
	entries := make([]audit.Entry, 0, len(q.Images))
	for i := range q.Images {
		d := a.Images[i]
		e := audit.Entry{Time: start, Actor: q.Actor, Action: q.Action, Gate: q.Gate, Subject: q.Subject, Result: d.Result, Facts: a.Facts[i], Latency: a.Latency,
			Reasons: d.Reasons, Details: map[string]string{"image": q.Images[i].Reference, "digest": string(q.Images[i].Digest)}}
		if n := len(e.Reasons) - maxNoted; n > 0 { // an entry has a bound, and a decision must not fail for it
			e.Reasons, e.Details["reasons_left_out"] = e.Reasons[:maxNoted], strconv.Itoa(n)
		}
		if e.Action == "" {
			e.Action = "admit"
		}
		if err := a.unknown[i]; err != nil {
			e.Details["scan"] = cut(err.Error())
		}
		for k, v := range q.Details {
			e.Details[k] = v
		}
		for _, f := range a.feeds[i] {
			if e.Feeds == nil {
				e.Feeds = make(map[string]string, len(a.feeds[i]))
			}
			e.Feeds[f.Name] = edition(f)
		}
		for _, p := range d.Policies {
			e.Policies = append(e.Policies, p.Name+"@"+p.Version)
		}
		entries = append(entries, e)
	}
	return g.Log.Append(entries...)
}

// edition tells which state of a feed was used: when its source was last asked,
// else its newest record.
func edition(f sekisho.Feed) string {
	at := f.Checked
	if at.IsZero() {
		at = f.Newest
	}
	if at.IsZero() {
		return "undated"
	}
	return at.UTC().Format(time.RFC3339)
}
