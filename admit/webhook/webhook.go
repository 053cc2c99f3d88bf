// Package webhook is the gate at the Kubernetes API: a server that validates
// what makes pods, pins tags to digests, and says who may reach into what runs.
// Admission reviews come in over TLS, each is answered with every reason and
// noted in the audit log. What it cannot understand or find out in time follows
// the failure mode of its scope; it never guesses, and keeps nothing in the
// cluster but its own certificate.
package webhook

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/webhook/object"
	"sekisho/audit"
	"sekisho/i18n"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
)

// Decider judges images; admit.Gate is one.
type Decider interface {
	Decide(context.Context, admit.Question) (*admit.Answer, error)
}

// Options of a server. Config, Gate, Log and Now are required.
type Options struct {
	Config   *Config
	Gate     Decider
	Resolver Resolver // nil leaves tags unknown
	Log      admit.Log
	Now      func() time.Time
	Report   func(message string, err error) // what whoever runs the server should know; may be nil
}

// Server answers admission reviews. It is safe for use by several goroutines.
type Server struct {
	Options
	tags    tags
	words   []*i18n.Printer
	metrics metrics
	slots   chan struct{}
}

// New returns a server.
func New(o Options) *Server {
	s := &Server{Options: o, slots: make(chan struct{}, o.Config.InFlight)}
	for _, l := range i18n.Languages() {
		if o.Config.Language == string(l) || o.Config.Language == "both" {
			s.words = append(s.words, i18n.New(l))
		}
	}
	if s.Report == nil {
		s.Report = func(string, error) {}
	}
	s.tags = tags{resolver: o.Resolver, now: o.Now, ttl: o.Config.Resolve.TTL, limit: o.Config.Resolve.MaxImages, moved: s.moved, slots: make(chan struct{}, 32), end: make(chan struct{})}
	return s
}

// text says something in the configured language or languages.
func (s *Server) text(key string, pairs ...any) string {
	list := make([]string, 0, len(s.words))
	for _, p := range s.words {
		list = append(list, p.Text(key, pairs...))
	}
	return strings.Join(list, " / ")
}

// Validate answers a request to the validating webhook.
func (s *Server) Validate(ctx context.Context, r *object.Request) *object.Response {
	return s.answer(ctx, r, s.validate)
}

// Mutate answers a request to the mutating webhook.
func (s *Server) Mutate(ctx context.Context, r *object.Request) *object.Response {
	return s.answer(ctx, r, s.mutate)
}

// answer runs one request within its deadline, and answers also when the way
// there breaks.
func (s *Server) answer(ctx context.Context, r *object.Request, how func(context.Context, *object.Request, *Scope) *object.Response) (out *object.Response) {
	c := s.Config.scopeOf(r.Namespace)
	defer func() {
		if p := recover(); p != nil {
			s.Report("a request made the server fail", fmt.Errorf("%v\n%s", p, debug.Stack()))
			out = s.failed(r, c, "panic", fmt.Errorf("internal error: %v", p))
		}
		out.UID = r.UID
	}()
	ctx, cancel := context.WithTimeout(ctx, c.Deadline)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return s.failed(r, c, "overload", fmt.Errorf("%d requests are being judged already", s.Config.InFlight))
	}
	if r.Namespace == s.Config.Namespace && r.Namespace != "" {
		return allowed("own")
	}
	if c.Exempt {
		return allowed("exempt")
	}
	return how(ctx, r, c)
}

func allowed(decision string) *object.Response {
	return &object.Response{Allowed: true, AuditAnnotations: map[string]string{"decision": decision}}
}

func denied(decision, message string) *object.Response {
	return &object.Response{Status: &object.Status{Message: message, Reason: "Forbidden", Code: 403}, AuditAnnotations: map[string]string{"decision": decision}}
}

// validate judges.
func (s *Server) validate(ctx context.Context, r *object.Request, c *Scope) *object.Response {
	if r.Operation == object.Connect {
		return s.session(r, c)
	}
	if r.Operation != object.Create && r.Operation != object.Update {
		return allowed("nothing")
	}
	o, old, err := objects(r)
	if err != nil {
		return s.failed(r, c, "unreadable", err)
	}
	containers := o.Changed(old)
	why, refused := s.breakGlass(r, o, old)
	if refused != nil {
		return refused
	}
	if len(containers) == 0 {
		return allowed("unchanged")
	}
	q, late := s.question(ctx, r, c, o, containers)
	a, err := s.Gate.Decide(ctx, q.Question)
	if a == nil {
		return s.failed(r, c, "internal", err)
	}
	out := s.decided(r, o, q, a)
	switch {
	case why != nil && a.Result == sekisho.Deny:
		return s.brokenGlass(r, why, out)
	case a.Result == sekisho.Deny && o.Mirror && slices.Contains(r.User.Groups, "system:nodes"):
		return s.mirrored(r, out)
	case a.Result == sekisho.Deny && late == nil && ctx.Err() != nil:
		late = ctx.Err()
	}
	if a.Result == sekisho.Deny && late != nil && onlyUnknown(a) {
		return s.unknown(r, c, late, out)
	}
	if err != nil && a.Result != sekisho.Deny { // what was not noted was not decided
		return s.failed(r, c, "audit", err)
	}
	return out
}

// objects reads the object and what it was before.
func objects(r *object.Request) (o, old *object.Object, err error) {
	if o, err = object.Read(r.Kind, r.Namespace, r.Object); err != nil {
		return nil, nil, err
	}
	if r.Operation == object.Update {
		old, err = object.Read(r.Kind, r.Namespace, r.OldObject)
	}
	return o, old, err
}

// onlyUnknown reports whether a denial rests on missing facts alone. What
// policies say that do not deny is no part of it.
func onlyUnknown(a *admit.Answer) bool {
	for _, d := range a.Images {
		for _, p := range d.Policies {
			if p.Result != sekisho.Deny {
				continue
			}
			for _, x := range d.Reasons {
				if x.Policy == p.Name && x.Effect != sekisho.Note && x.Result != sekisho.ControlNotAssessed {
					return false
				}
			}
		}
	}
	return true
}

// question is what the gate is asked; of knows whose each image is.
type question struct {
	admit.Question
	of     []*object.Container
	lookup []error // of each image, where the registry did not tell its digest
}

// question looks up the images of all containers. The error is that of the
// last that may be known later.
func (s *Server) question(ctx context.Context, r *object.Request, c *Scope, o *object.Object, containers []object.Container) (q question, late error) {
	q.Question = admit.Question{Gate: "kubernetes", Actor: r.User.Name, Subject: r.Subject(), DryRun: r.Dry(),
		Details: map[string]string{"uid": r.UID, "operation": r.Operation, "scope": c.Name, "service_account": o.ServiceAccount, "groups": cut(strings.Join(r.User.Groups, ","), 1000)}}
	if r.Name == "" && o.Name != "" {
		q.Subject += "/" + o.Name
	}
	var environment *string
	if c.Environment != "" {
		environment = &c.Environment
	}
	found := make([][]sekisho.Digest, len(containers))
	names := make([]*scope.Reference, len(containers))
	errs := make([]error, len(containers))
	var wait sync.WaitGroup
	for i := range containers {
		if names[i], found[i], errs[i] = s.known(containers[i].Image); found[i] != nil || errs[i] != nil {
			continue
		}
		wait.Go(func() { found[i], errs[i] = s.digests(ctx, *names[i]) })
	}
	wait.Wait()
	for i := range containers {
		if transient(errs[i]) {
			late = errs[i]
		}
		if len(found[i]) == 0 {
			found[i] = []sekisho.Digest{""}
		}
		for _, d := range found[i] {
			q.Images = append(q.Images, admit.Image{Reference: containers[i].Image, Digest: d,
				Request: fact.Request{Stage: fact.Run, Again: again(r, o), Name: names[i], Environment: environment, TagFixed: s.tagFixed(names[i]), Workload: &containers[i].Workload}})
			q.of, q.lookup = append(q.of, &containers[i]), append(q.lookup, errs[i])
		}
	}
	return q, late
}

// again reports whether a workload that was let in starts once more: one of the
// cluster's controllers makes what its object, which was judged, says. A user's
// own word about an owner counts for nothing.
func again(r *object.Request, o *object.Object) bool {
	return o.Owned && slices.Contains(controllers(), r.User.Name)
}

// known reads a reference, and answers what needs no registry.
func (s *Server) known(image string) (*scope.Reference, []sekisho.Digest, error) {
	ref, err := scope.Parse(image)
	if err != nil {
		return nil, []sekisho.Digest{""}, nil // the gate's policies tell that it is broken
	}
	if s.Resolver == nil || !s.Config.Resolve.Asks(ref.Registry) {
		return &ref, []sekisho.Digest{ref.Digest}, nil
	}
	return &ref, nil, nil
}

// tagFixed tells whether a tag can be moved, where that is known: because the
// operator says so of the registry, or because it was seen.
func (s *Server) tagFixed(ref *scope.Reference) *bool {
	if ref == nil || ref.Digest != "" {
		return nil
	}
	if s.tags.strayed(*ref) {
		return new(bool)
	}
	if scope.Any(s.Config.Resolve.Immutable, ref.Registry) {
		yes := true
		return &yes
	}
	return nil
}

// digests are those of the images that nodes may run for a reference: one for a
// manifest, and one for each platform of the nodes for an index.
func (s *Server) digests(ctx context.Context, ref scope.Reference) ([]sekisho.Digest, error) {
	start := s.Now()
	r, err := s.tags.resolve(ctx, ref)
	s.metrics.resolved(err, s.Now().Sub(start))
	if err != nil {
		return []sekisho.Digest{ref.Digest}, err
	}
	if r.Manifests == nil {
		return []sekisho.Digest{r.Digest}, nil
	}
	var out []sekisho.Digest
	for _, want := range s.Config.platforms {
		for _, m := range r.Manifests {
			if (m.Platform == sekisho.Platform{} || m.Platform.Matches(want)) && !slices.Contains(out, m.Digest) {
				out = append(out, m.Digest)
			}
		}
	}
	if out == nil { // it has nothing for our nodes: it is known by its own digest, or not at all
		out = []sekisho.Digest{r.Digest}
	}
	return out, nil
}

// moved notes that a tag was moved to another image.
func (s *Server) moved(reference string, from, to sekisho.Digest) {
	s.metrics.count("sekisho_admit_tags_moved_total")
	s.note(audit.Entry{Actor: "sekisho", Action: "tag.moved", Subject: reference, Result: "done", Details: map[string]string{"from": string(from), "to": string(to)}})
}

// note writes an entry to the audit log; where that fails, whoever runs the
// server hears of it.
func (s *Server) note(e audit.Entry) {
	e.Time, e.Gate = s.Now(), "kubernetes"
	if err := s.Log.Append(e); err != nil {
		s.metrics.count("sekisho_admit_audit_errors_total")
		s.Report("an audit entry was not written", err)
	}
}

// entry is an audit entry about a request.
func entry(r *object.Request, action, result string, details map[string]string) audit.Entry {
	d := map[string]string{"uid": r.UID, "operation": r.Operation, "groups": cut(strings.Join(r.User.Groups, ","), 1000)}
	if r.Dry() {
		d["dry_run"] = "true"
	}
	maps.Copy(d, details)
	return audit.Entry{Actor: cut(r.User.Name, 1000), Action: action, Subject: cut(r.Subject(), 1000), Result: result, Details: d}
}

// cut bounds what others wrote, in bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
