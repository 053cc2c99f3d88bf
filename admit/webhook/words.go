package webhook

import (
	"fmt"
	"strings"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/webhook/object"
	"sekisho/internal/harmless"
	"sekisho/policy/assurance"
)

// Bounds of what people are told: a message in bytes, the reasons of one
// container in it, and one warning, which servers cut at 256 bytes when all
// together have more than 4,096.
const maxMessage, maxReasons, maxWarning, maxWarnings = 16 << 10, 40, 250, 15

// decided turns the gate's answer into the server's.
func (s *Server) decided(r *object.Request, o *object.Object, q question, a *admit.Answer) *object.Response {
	s.metrics.decided(a, r)
	out := &object.Response{Allowed: a.Result != sekisho.Deny, AuditAnnotations: map[string]string{"decision": a.Result, "policies": cut(policies(a), 1000)}}
	lines := s.lines(q, a)
	if len(lines) > 0 {
		out.AuditAnnotations["reasons"] = cut(strings.Join(lines, "; "), 4000)
	}
	if !out.Allowed {
		message := s.text("webhook.denied", "kind", o.Kind, "name", o.Name) + "\n" + strings.Join(lines, "\n")
		out.Status = &object.Status{Message: cut(message, maxMessage), Reason: "Forbidden", Code: 403}
		return out
	}
	out.Warnings = warnings(lines...)
	return out
}

// policies names those that judged.
func policies(a *admit.Answer) string {
	seen := map[string]bool{}
	var out []string
	for _, d := range a.Images {
		for _, p := range d.Policies {
			if name := p.Name + "@" + p.Version; !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return strings.Join(out, ",")
}

// lines tells every reason of every container, one a line. What controls say of
// several images of one container is said once.
func (s *Server) lines(q question, a *admit.Answer) (out []string) {
	seen, count := map[string]bool{}, map[*object.Container]int{}
	var current *object.Container
	left := func() {
		if n := count[current] - maxReasons; current != nil && n > 0 {
			out = append(out, s.text("webhook.more", "count", n))
		}
	}
	for i, d := range a.Images {
		c := q.of[i]
		if c != current {
			left()
			current = c
			if err := q.lookup[i]; err != nil && d.Result != sekisho.Allow {
				out = append(out, visible(fmt.Sprintf("%s %s (%s): %s", c.Role, c.Name, cut(c.Image, 300), s.text("webhook.unresolved", "error", cut(err.Error(), 300)))))
			}
		}
		for n := range d.Reasons {
			line := s.line(c, d, n)
			if line == "" || seen[line] {
				continue
			}
			seen[line] = true
			if count[c]++; count[c] <= maxReasons {
				out = append(out, line)
			}
		}
	}
	left()
	return out
}

// line tells one reason in the configured languages.
func (s *Server) line(c *object.Container, d *sekisho.Decision, n int) string {
	x := d.Reasons[n]
	text := fmt.Sprintf("%s %s (%s): [%s/%s]", c.Role, c.Name, cut(c.Image, 300), x.Policy, x.Control)
	one := sekisho.Decision{Reasons: []sekisho.Reason{x}}
	for i, p := range s.words {
		one.Reasons[0] = x
		assurance.Describe(&one, p)
		if i > 0 {
			text += " /"
		}
		text += " " + one.Reasons[0].Message
		if one.Reasons[0].Fix != "" {
			text += " → " + one.Reasons[0].Fix
		}
	}
	return visible(text)
}

// warnings bounds what the server shows to who asked.
func warnings(lines ...string) (out []string) {
	for _, l := range lines {
		for _, part := range strings.Split(l, "\n") {
			if part == "" || len(out) == maxWarnings {
				continue
			}
			out = append(out, cut(visible(part), maxWarning))
		}
	}
	return out
}

// visible makes what untrusted input could do to a terminal harmless.
func visible(s string) string { return harmless.Text(s) }
