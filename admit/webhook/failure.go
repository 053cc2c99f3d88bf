package webhook

import (
	"context"
	"errors"

	"sekisho"
	"sekisho/admit/webhook/object"
)

// failed answers a request that could not be judged, as its scope's failure
// mode says. Kinds: unreadable, oversized, overload, deadline, audit, panic,
// internal.
func (s *Server) failed(r *object.Request, c *Scope, kind string, err error) *object.Response {
	if errors.Is(err, context.DeadlineExceeded) {
		kind = "deadline"
	}
	s.metrics.count("sekisho_admit_failures_total", "kind", kind, "mode", c.Failure)
	result, message := sekisho.Deny, s.text("webhook.failed.closed", "why", s.text("webhook.failure."+kind), "error", cut(errorText(err), 500))
	if c.Failure == Open {
		result, message = sekisho.Allow, s.text("webhook.failed.open", "why", s.text("webhook.failure."+kind))
	}
	s.note(entry(r, "admit.failure", result, map[string]string{"failure": kind, "mode": c.Failure, "scope": c.Name, "error": cut(errorText(err), 2000)}))
	if result == sekisho.Allow {
		out := allowed("failed-open")
		out.Warnings = warnings(message)
		return out
	}
	out := denied("failed-closed", message)
	out.Status.Reason, out.Status.Code = "InternalError", 500
	return out
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// unknown answers when a denial rests on nothing but what could not be found
// out in time: the scope's failure mode decides.
func (s *Server) unknown(r *object.Request, c *Scope, late error, decided *object.Response) *object.Response {
	if c.Failure == Open {
		return s.failed(r, c, "deadline", late)
	}
	s.metrics.count("sekisho_admit_failures_total", "kind", "deadline", "mode", c.Failure)
	s.note(entry(r, "admit.failure", sekisho.Deny, map[string]string{"failure": "deadline", "mode": c.Failure, "scope": c.Name, "error": cut(late.Error(), 2000)}))
	decided.Status.Message += "\n" + s.text("webhook.late")
	return decided
}

// mirrored answers for a pod that a node started from a file: it runs whatever
// the API says, and hiding it would only blind people.
func (s *Server) mirrored(r *object.Request, decided *object.Response) *object.Response {
	s.metrics.count("sekisho_admit_static_pods_total")
	s.note(entry(r, "admit.static-pod", sekisho.Allow, map[string]string{"message": cut(decided.Status.Message, 4000)}))
	out := allowed("static-pod")
	out.Warnings = warnings(s.text("webhook.static_pod"), decided.Status.Message)
	return out
}

// breakGlass tells whether the request may pass in need, and refuses those that
// say so without being allowed to. What controllers make of it passes as long
// as the grant does.
func (s *Server) breakGlass(r *object.Request, o, old *object.Object) (*glass, *object.Response) {
	reason := o.Annotations[BreakGlassKey]
	if reason == "" {
		return nil, nil
	}
	now := s.Now()
	if g := s.Config.grant(r.User.Name, r.User.Groups, r.Namespace, now); g != nil {
		return &glass{g, reason}, nil
	}
	if holds(s.Config.Controllers, nil, r.User.Name, nil) {
		if g := s.Config.granted(r.Namespace, now); g != nil {
			return &glass{g, reason}, nil
		}
		return nil, nil
	}
	if old != nil && (old.Annotations[BreakGlassKey] == reason && len(o.Changed(old)) == 0) {
		return nil, nil
	}
	s.metrics.count("sekisho_admit_break_glass_total", "result", sekisho.Deny)
	s.note(entry(r, "admit.break-glass", sekisho.Deny, map[string]string{"reason": cut(reason, 1000)}))
	return nil, denied("break-glass-refused", s.text("webhook.break_glass.refused", "user", r.User.Name, "key", BreakGlassKey))
}

// glass is a grant that is used.
type glass struct {
	grant  *Grant
	reason string
}

// brokenGlass lets a denied request pass.
func (s *Server) brokenGlass(r *object.Request, g *glass, decided *object.Response) *object.Response {
	s.metrics.count("sekisho_admit_break_glass_total", "result", sekisho.Allow)
	if !r.Dry() {
		s.note(entry(r, "admit.break-glass", sekisho.Allow, map[string]string{"reason": cut(g.reason, 1000), "grant": g.grant.Reason, "owner": g.grant.Owner,
			"until": g.grant.Until.UTC().Format("2006-01-02T15:04:05Z"), "message": cut(decided.Status.Message, 8000)}))
	}
	s.Report("break-glass was used by "+cut(r.User.Name, 200)+" for "+cut(r.Subject(), 300), nil)
	out := allowed("break-glass")
	out.AuditAnnotations["break-glass"] = cut(g.reason, 500)
	out.Warnings = warnings(s.text("webhook.break_glass.used", "until", g.grant.Until.UTC().Format("2006-01-02 15:04 UTC")), decided.Status.Message)
	return out
}

// session answers whether somebody may reach into what runs.
func (s *Server) session(r *object.Request, c *Scope) *object.Response {
	rules := c.Sessions
	if r.Resource.Resource == "nodes" {
		rules = &s.Config.Nodes
	}
	what := r.Resource.Resource + "/" + r.SubResource
	details := map[string]string{"what": what, "options": cut(string(r.Object), 4000)}
	result := rules.Action
	if holds(rules.Users, rules.Groups, r.User.Name, r.User.Groups) {
		result = sekisho.Allow
	}
	if result == sekisho.Deny {
		if g := s.Config.grant(r.User.Name, r.User.Groups, r.Namespace, s.Now()); g != nil {
			result = sekisho.Warn
			details["break_glass"], details["owner"] = g.Reason, g.Owner
		}
	}
	s.metrics.count("sekisho_admit_sessions_total", "what", what, "result", result)
	e := entry(r, "session", result, details)
	e.Time, e.Gate = s.Now(), "kubernetes"
	if err := s.Log.Append(e); err != nil && result != sekisho.Deny {
		return s.failed(r, c, "audit", err)
	}
	switch result {
	case sekisho.Deny:
		return denied(sekisho.Deny, s.text("webhook.session.denied", "user", r.User.Name, "what", what, "name", r.Name))
	case sekisho.Warn:
		out := allowed(sekisho.Warn)
		out.Warnings = warnings(s.text("webhook.session.warned", "what", what))
		return out
	}
	return allowed(sekisho.Allow)
}
