// Package authz is the gate in front of a Docker engine: an authorization
// plugin of the engine's protocol, version 1. Calls of the engine's API come
// in, allowed or denied goes out, by user, image and what a container may do to
// its host. It fails closed: what it cannot read, look up or judge, and what it
// does not know, is denied, and every decision is written to the audit log.
package authz

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/audit"
	"sekisho/policy/fact"
)

// Options of the plugin. All but Request are required.
type Options struct {
	Rules    func() *Rules // the current ones
	Gate     *admit.Gate
	Engine   *Engine
	Log      admit.Log
	Token    string                                // that the gate's own look-ups carry
	Text     func(key string, pairs ...any) string // words for people
	Say      func(*sekisho.Decision) string        // a decision in a line
	Now      func() time.Time
	Real     func(path string) (string, error) // follows links of the host
	Deadline time.Duration                     // of one decision
	Request  fact.Request                      // environment and host
}

// plugin implements the protocol.
type plugin struct{ Options }

// maxMessage bounds what the engine sends, in bytes: a body of 1 MiB in base64,
// headers and certificates.
const maxMessage = 8 << 20

// New returns the plugin as a handler of HTTP.
func New(o Options) http.Handler {
	p := &plugin{o}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /Plugin.Activate", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string][]string{"Implements": {"authz"}})
	})
	mux.HandleFunc("POST /AuthZPlugin.AuthZReq", func(w http.ResponseWriter, r *http.Request) { reply(w, p.ask(r)) })
	mux.HandleFunc("POST /AuthZPlugin.AuthZRes", func(w http.ResponseWriter, _ *http.Request) { reply(w, verdict{Allow: true}) }) // what was asked for was judged before
	return mux
}

// message is what the engine sends (docker/pkg/authorization, Request).
type message struct {
	User            string            `json:"User"`
	UserAuthNMethod string            `json:"UserAuthNMethod"`
	RequestMethod   string            `json:"RequestMethod"`
	RequestURI      string            `json:"RequestUri"`
	RequestBody     string            `json:"RequestBody"` // base64
	RequestHeaders  map[string]string `json:"RequestHeaders"`
}

// verdict is the answer.
type verdict struct {
	Allow bool   `json:"Allow"`
	Msg   string `json:"Msg,omitempty"`
	Err   string `json:"Err,omitempty"`
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/vnd.docker.plugins.v1.2+json")
	_ = json.NewEncoder(w).Encode(v) // the engine takes half an answer for a denial
}

// ask reads and judges one call. A panic is a denial too.
func (p *plugin) ask(r *http.Request) (v verdict) {
	defer func() {
		if x := recover(); x != nil {
			v = verdict{Msg: p.Text("docker.error", "error", "internal error")}
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), p.Deadline)
	defer cancel()
	start := p.Now()
	var m message
	data, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
	if err == nil && len(data) > maxMessage {
		err = sekisho.Errorf(sekisho.Invalid, "a message of more than %d bytes", maxMessage)
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return p.deny(&request{action: Other}, start, p.Text("docker.unread", "error", err))
	}
	return p.decide(ctx, &m, start)
}

// decide judges one call.
func (p *plugin) decide(ctx context.Context, m *message, start time.Time) verdict {
	if p.own(m) {
		return verdict{Allow: true}
	}
	q, err := parse(m.RequestMethod, m.RequestURI)
	if err != nil {
		return p.deny(&request{user: m.User, certificate: m.UserAuthNMethod != "", action: Other, path: m.RequestURI}, start, p.Text("docker.unread", "error", err))
	}
	q.user, q.certificate = m.User, m.User != "" || m.UserAuthNMethod != ""
	if form(m) {
		return p.deny(q, start, p.Text("docker.form"))
	}
	body, err := base64.StdEncoding.DecodeString(m.RequestBody)
	if err != nil {
		return p.deny(q, start, p.Text("docker.unread", "error", err))
	}
	images, why := p.understand(ctx, q, body)
	if why != "" {
		return p.deny(q, start, why)
	}
	rules := p.Rules()
	rule, no := rules.allow(q)
	if rule == "" {
		return p.deny(q, start, p.refused(q, no))
	}
	return p.pass(ctx, q, rule, rules, images, start)
}

// pass lets through what the rules allow and the policies do not deny.
func (p *plugin) pass(ctx context.Context, q *request, rule string, rules *Rules, images []admit.Image, start time.Time) verdict {
	if len(images) > 0 && rules.Images != "trust" {
		a, err := p.Gate.Decide(ctx, admit.Question{Gate: "docker", Actor: q.actor(), Action: q.verb(), Subject: q.subject(), Images: images, Details: q.details(rule)})
		if err != nil {
			return verdict{Msg: p.Text("docker.error", "error", err)}
		}
		if a.Result == sekisho.Deny {
			return verdict{Msg: p.say(a)}
		}
		return verdict{Allow: true}
	}
	if q.action != Read || rules.Reads {
		if err := p.note(q, sekisho.Allow, rule, "", start); err != nil {
			return verdict{Msg: p.Text("docker.error", "error", err)}
		}
	}
	return verdict{Allow: true}
}

func (p *plugin) say(a *admit.Answer) string {
	for _, d := range a.Images {
		if d.Result == sekisho.Deny {
			return p.Say(d)
		}
	}
	return ""
}

// own reports whether the gate itself asks: only to look, and with its token.
func (p *plugin) own(m *message) bool {
	for name, value := range m.RequestHeaders {
		if m.RequestMethod == http.MethodGet && p.Token != "" && strings.EqualFold(name, TokenHeader) {
			return subtle.ConstantTimeCompare([]byte(value), []byte(p.Token)) == 1
		}
	}
	return false
}

// form reports whether the body may hold parameters: the engine takes them as
// if they stood in the address, and hands no such body over.
func form(m *message) bool {
	for name, value := range m.RequestHeaders {
		if !strings.EqualFold(name, "Content-Type") {
			continue
		}
		kind, _, err := mime.ParseMediaType(value)
		if kind == "application/x-www-form-urlencoded" || strings.HasPrefix(kind, "multipart/") || err != nil && strings.Contains(strings.ToLower(value), "form") {
			return true
		}
	}
	return false
}

// deny refuses and notes it.
func (p *plugin) deny(q *request, start time.Time, why string) verdict {
	if err := p.note(q, sekisho.Deny, "", why, start); err != nil {
		why += " (" + err.Error() + ")"
	}
	return verdict{Msg: "sekisho: " + why}
}

func (p *plugin) note(q *request, result, rule, why string, start time.Time) error {
	e := audit.Entry{Time: start, Actor: q.actor(), Action: q.verb(), Subject: q.subject(), Gate: "docker", Result: result, Details: q.details(rule), Latency: p.Now().Sub(start)}
	if why != "" {
		e.Reasons = []sekisho.Reason{{Control: "docker-rules", Result: sekisho.ControlFail, Effect: sekisho.Violation, Message: clip(why)}}
	}
	return p.Log.Append(e)
}

// actor is who asks, for the audit log.
func (q *request) actor() string {
	if !q.certificate {
		return "local"
	}
	return "cn:" + clip(q.user)
}

// verb is what is asked for, for the audit log.
func (q *request) verb() string {
	if q.wants == wantsStart {
		return "start"
	}
	if q.wants == wantsCreate {
		return "create"
	}
	return q.action
}

func (q *request) subject() string {
	switch {
	case q.container != "":
		return "container/" + clip(q.container)
	case q.image != "":
		return "image/" + clip(q.image)
	}
	return clip(q.method + " " + q.path)
}

func (q *request) details(rule string) map[string]string {
	d := map[string]string{"call": clip(q.method + " " + q.path)}
	if rule != "" {
		d["rule"] = rule
	}
	if q.id != "" {
		d["container"] = q.id
	}
	if len(q.needs) > 0 {
		d["grants"] = clip(strings.Join(q.needs, " "))
	}
	return d
}

// clip bounds words of strangers in the audit log, in bytes.
func clip(s string) string {
	const limit = 1024
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
