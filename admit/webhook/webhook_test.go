package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/admittest"
	"sekisho/admit/webhook"
	"sekisho/admit/webhook/object"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
)

const rules = `
name: strict
mode: deny
controls:
  - control: severity
    maximum: medium
  - control: privileged
  - control: host-access
`

const warning = `
name: careful
mode: warn
controls:
  - control: read-only-root
`

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// Images of the tests: clean, bad, one that nobody knows, and one whose approval lapsed.
var clean, bad, unknown, lapsed = admittest.Digest(1), admittest.Digest(2), admittest.Digest(3), admittest.Digest(8)

// facts are what is known of three images.
func facts() *admittest.Facts {
	f := &admittest.Facts{}
	for _, d := range []sekisho.Digest{clean, bad, lapsed} {
		user, i := "10001", admittest.Image(d)
		i.User = &user
		if d == bad {
			i.Findings = append(i.Findings, admittest.Vulnerability("CVE-2026-0001", sekisho.Critical))
		}
		if d == lapsed {
			i.Approvals = []fact.Approval{{Author: "alice", Approver: "bob", Time: noon.AddDate(0, -1, 0), Lapsed: "CVE-2026-0009 is exploited"}}
		}
		f.Keep(i)
	}
	return f
}

// registry resolves tags: clean and bad by name, others hang.
type registry struct{ index bool }

func (r registry) Resolve(ctx context.Context, ref string) (webhook.Resolved, error) {
	switch {
	case strings.Contains(ref, "gone"):
		return webhook.Resolved{}, sekisho.Errorf(sekisho.NotFound, "no image %s", ref)
	case strings.Contains(ref, "slow"):
		<-ctx.Done()
		return webhook.Resolved{}, sekisho.Errorf(sekisho.Unavailable, "%w", ctx.Err())
	case strings.Contains(ref, "multi"):
		return webhook.Resolved{Digest: admittest.Digest(9), Manifests: []webhook.Manifest{{sekisho.Platform{OS: "linux", Architecture: "amd64"}, clean}, {sekisho.Platform{OS: "linux", Architecture: "arm64"}, bad}}}, nil
	case strings.Contains(ref, "lapsed"):
		return webhook.Resolved{Digest: lapsed}, nil
	case strings.Contains(ref, "bad"):
		return webhook.Resolved{Digest: bad}, nil
	case strings.Contains(ref, "unknown"):
		return webhook.Resolved{Digest: unknown}, nil
	}
	return webhook.Resolved{Digest: clean}, nil
}

const config = `
policies: [strict]
facts: f
audit: a
certificate: {directory: c, names: [localhost]}
pin: pods
namespace: sekisho
sessions: {action: deny, users: [oncall]}
nodes: {action: deny, groups: ["system:monitoring"]}
break_glass:
  - {groups: [sre], namespaces: [shop], until: 2026-11-25T18:00:00Z, reason: incident 7, owner: head of operations}
scopes:
  - {namespaces: [kube-system, soft-*], failure: open, sessions: {action: warn}}
  - {namespaces: [free], exempt: true}
  - {namespaces: [slow], failure: closed, deadline: 30ms}
  - {namespaces: [slowsoft], failure: open, deadline: 30ms}
`

type gate struct {
	*webhook.Server
	log *admittest.Log
}

func server(t testing.TB, text string, policies ...string) gate {
	t.Helper()
	c, err := webhook.ParseConfig(strings.NewReader(text), "admit.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var list []*assurance.Policy
	for _, p := range append([]string{rules}, policies...) {
		parsed, err := assurance.Parse(strings.NewReader(p), "policy.yaml")
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, parsed)
	}
	l := &admittest.Log{}
	set := admit.Rules{Policies: assurance.NewSet(list...)}
	now := func() time.Time { return noon }
	g := admit.New(admit.Options{Facts: facts(), Rules: func() admit.Rules { return set }, Log: l, Now: now})
	return gate{webhook.New(webhook.Options{Config: c, Gate: g, Resolver: registry{}, Log: l, Now: now}), l}
}

// request asks for an object of a kind.
func request(namespace, user, operation string, m object.Maker, o map[string]any) *object.Request {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	r := &object.Request{UID: "u1", Kind: object.Kind{Group: m.Group, Version: "v1", Kind: m.Kind}, Resource: object.Resource{Group: m.Group, Version: "v1", Resource: m.Resource},
		Name: "cart", Namespace: namespace, Operation: operation, User: object.User{Name: user}, Object: data}
	return r
}

var pods = object.Maker{Kind: "Pod", Resource: "pods"}

// pod is a pod of containers with images.
func pod(images ...string) map[string]any {
	var list []map[string]any
	for i, image := range images {
		list = append(list, map[string]any{"name": fmt.Sprint("c", i), "image": image})
	}
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "cart"}, "spec": map[string]any{"containers": list}}
}

// at wraps a pod as a kind wants it.
func at(m object.Maker, p map[string]any) map[string]any {
	if m.Path == "" {
		return p
	}
	out := p
	parts := strings.Split(m.Path[1:], "/")
	for i := len(parts) - 1; i >= 0; i-- {
		out = map[string]any{parts[i]: out}
	}
	out["metadata"] = map[string]any{"name": "cart"}
	return out
}

// TestEveryContainer holds that an image is judged wherever it stands, in every
// kind that makes pods.
func TestEveryContainer(t *testing.T) {
	s := server(t, config)
	for _, m := range object.Makers() {
		for _, field := range []string{"initContainers", "containers", "ephemeralContainers", "volumes"} {
			for place := range 3 {
				p := pod("registry.example/app:clean")
				spec := p["spec"].(map[string]any)
				var list []map[string]any
				for i := range 3 {
					image := "registry.example/clean:1"
					if i == place {
						image = "registry.example/bad:1"
					}
					c := map[string]any{"name": fmt.Sprint(field, i), "image": image}
					if field == "volumes" {
						c["image"] = map[string]any{"reference": image}
					}
					list = append(list, c)
				}
				spec[field] = list
				out := s.Validate(t.Context(), request("shop", "alice", "CREATE", m, at(m, p)))
				name := fmt.Sprint(field, place)
				if out.Allowed || !strings.Contains(out.Status.Message, name+" ") || !strings.Contains(out.Status.Message, "CVE-2026-0001") || strings.Contains(out.Status.Message, "clean:1") {
					t.Errorf("%s %s[%d]: %+v %v", m.Kind, field, place, out, out.Status)
				}
				spec[field].([]map[string]any)[place] = spec[field].([]map[string]any)[(place+1)%3]
				if out := s.Validate(t.Context(), request("shop", "alice", "CREATE", m, at(m, p))); !out.Allowed {
					t.Errorf("%s: clean images are denied: %s", m.Kind, out.Status.Message)
				}
			}
		}
	}
}

func TestDecisions(t *testing.T) {
	s := server(t, strings.Replace(config, "policies:", "language: both\npolicies:", 1), warning)
	out := s.Validate(t.Context(), request("shop", "alice", "CREATE", pods, pod("registry.example/clean:1")))
	if !out.Allowed || len(out.Warnings) == 0 || out.UID != "u1" || out.AuditAnnotations["decision"] != "warn" {
		t.Errorf("a warning: %+v", out)
	}
	p := pod("registry.example/clean:1", "registry.example/bad:1", "registry.example/gone:1")
	p["spec"].(map[string]any)["hostNetwork"] = true
	p["spec"].(map[string]any)["containers"].([]map[string]any)[0]["securityContext"] = map[string]any{"privileged": true}
	out = s.Validate(t.Context(), request("shop", "alice", "CREATE", pods, p))
	if out.Allowed {
		t.Fatal("it is allowed")
	}
	for _, want := range []string{"container c0 (registry.example/clean:1): [strict/privileged]", "the container is privileged", "特権", "container c1 (registry.example/bad:1): [strict/severity]", "3.0.2", "c2 (registry.example/gone:1): the registry could not be asked", "[strict/host-access]", "[careful/read-only-root]"} {
		if !strings.Contains(out.Status.Message, want) {
			t.Errorf("the message lacks %q:\n%s", want, out.Status.Message)
		}
	}
	e := s.log.Find("admit")
	if e == nil || e.Actor != "alice" || e.Subject != "pods/shop/cart" || e.Details["scope"] == "" || e.Details["uid"] != "u1" {
		t.Errorf("the audit log has %+v", e)
	}
	n := len(s.log.Entries())
	dry := request("shop", "alice", "CREATE", pods, p)
	dry.DryRun = new(bool)
	*dry.DryRun = true
	if out := s.Validate(t.Context(), dry); out.Allowed || len(s.log.Entries()) != n {
		t.Errorf("a dry run: %+v, %d entries more", out, len(s.log.Entries())-n)
	}
	for namespace, want := range map[string]string{"sekisho": "own", "free": "exempt"} {
		if out := s.Validate(t.Context(), request(namespace, "alice", "CREATE", pods, p)); !out.Allowed || out.AuditAnnotations["decision"] != want {
			t.Errorf("in %s: %+v", namespace, out)
		}
	}
}

// TestPlatforms holds that every image of an index that a node may run is
// judged.
func TestPlatforms(t *testing.T) {
	one, two := server(t, config), server(t, "platforms: [linux/amd64, linux/arm64]"+config)
	r := request("shop", "alice", "CREATE", pods, pod("registry.example/multi:1"))
	if out := one.Validate(t.Context(), r); !out.Allowed {
		t.Errorf("amd64 alone: %s", out.Status.Message)
	}
	if out := two.Validate(t.Context(), r); out.Allowed {
		t.Error("the image for arm64 was not judged")
	}
	if out := one.Mutate(t.Context(), r); !strings.Contains(string(out.Patch), string(admittest.Digest(9))) {
		t.Errorf("the tag is pinned by %s", out.Patch)
	}
}

// TestUpdates holds that what starts nothing is not judged, and what does is.
func TestUpdates(t *testing.T) {
	s := server(t, config)
	update := func(m object.Maker, from, to map[string]any) *object.Response {
		r := request("shop", "alice", "UPDATE", m, at(m, to))
		r.OldObject, _ = json.Marshal(at(m, from))
		return s.Validate(t.Context(), r)
	}
	labelled := func(p map[string]any) map[string]any {
		p["metadata"] = map[string]any{"name": "cart", "labels": map[string]any{"a": "b"}, "finalizers": []string{}}
		return p
	}
	deployment := object.Makers()[3]
	if out := update(pods, pod("r.example/bad:1"), labelled(pod("r.example/bad:1"))); !out.Allowed {
		t.Errorf("labels of a pod: %s", out.Status.Message)
	}
	if out := update(pods, pod("r.example/bad:1"), pod("r.example/bad:2")); out.Allowed {
		t.Error("another image of a pod is not judged")
	}
	two := pod("r.example/bad:1")
	two["spec"].(map[string]any)["ephemeralContainers"] = []map[string]any{{"name": "debug", "image": "r.example/clean:1"}}
	if out := update(pods, pod("r.example/bad:1"), two); !out.Allowed {
		t.Errorf("a clean container beside a bad one that runs: %s", out.Status.Message)
	}
	two["spec"].(map[string]any)["ephemeralContainers"] = []map[string]any{{"name": "debug", "image": "r.example/bad:1"}}
	if out := update(pods, pod("r.example/clean:1"), two); out.Allowed {
		t.Error("a bad ephemeral container is not judged")
	}
	if out := update(deployment, pod("r.example/bad:1"), pod("r.example/bad:1")); !out.Allowed {
		t.Errorf("scaling: %s", out.Status.Message)
	}
	if out := update(deployment, pod("r.example/bad:1"), labelled(pod("r.example/bad:1"))); out.Allowed {
		t.Error("a new template is not judged")
	}
	if out := s.Validate(t.Context(), request("shop", "alice", "DELETE", pods, nil)); !out.Allowed {
		t.Errorf("a deletion: %s", out.Status.Message)
	}
}

func TestPin(t *testing.T) {
	s := server(t, config)
	p := pod("nginx", "r.example/app:1", "r.example/app@"+string(clean), "r.example/gone:1", "::broken::")
	out := s.Mutate(t.Context(), request("shop", "alice", "CREATE", pods, p))
	want := fmt.Sprintf(`[{"op":"replace","path":"/spec/containers/0/image","value":"nginx@%s"},{"op":"replace","path":"/spec/containers/1/image","value":"r.example/app:1@%s"}]`, clean, clean)
	if !out.Allowed || string(out.Patch) != want || out.PatchType != "JSONPatch" || len(out.Warnings) != 1 {
		t.Errorf("it says %s %q, want %s", out.Patch, out.Warnings, want)
	}
	deployment := object.Makers()[3]
	if out := s.Mutate(t.Context(), request("shop", "alice", "CREATE", deployment, at(deployment, pod("nginx")))); out.Patch != nil {
		t.Errorf("a deployment is pinned: %s", out.Patch)
	}
	all := server(t, strings.Replace(config, "pin: pods", "pin: all", 1))
	if out := all.Mutate(t.Context(), request("shop", "alice", "CREATE", deployment, at(deployment, pod("nginx")))); !strings.Contains(string(out.Patch), `"/spec/template/spec/containers/0/image"`) {
		t.Errorf("a deployment is pinned by %s", out.Patch)
	}
}

func TestSessions(t *testing.T) {
	s := server(t, config)
	ask := func(namespace, user string, resource, sub string, groups ...string) *object.Response {
		return s.Validate(t.Context(), &object.Request{UID: "u", Kind: object.Kind{Kind: "PodExecOptions"}, Resource: object.Resource{Resource: resource}, SubResource: sub,
			Namespace: namespace, Name: "cart", Operation: "CONNECT", User: object.User{Name: user, Groups: groups}, Object: []byte(`{"command":["sh"]}`)})
	}
	for _, sub := range []string{"exec", "attach", "portforward", "proxy"} {
		if out := ask("shop", "alice", "pods", sub); out.Allowed || !strings.Contains(out.Status.Message, "alice") || !strings.Contains(out.Status.Message, sub) {
			t.Errorf("%s: %+v", sub, out)
		}
		if out := ask("shop", "oncall", "pods", sub); !out.Allowed {
			t.Errorf("%s by who may: %+v", sub, out.Status)
		}
	}
	if e := s.log.Find("session"); e == nil || e.Result != "deny" || !strings.Contains(e.Details["options"], "sh") {
		t.Errorf("the audit log has %+v", e)
	}
	if out := ask("soft-1", "alice", "pods", "exec"); !out.Allowed || len(out.Warnings) != 1 {
		t.Errorf("a warning: %+v", out)
	}
	if out := ask("shop", "alice", "pods", "exec", "sre"); !out.Allowed || len(out.Warnings) != 1 {
		t.Errorf("by break-glass: %+v", out)
	}
	if out := ask("", "alice", "nodes", "proxy"); out.Allowed {
		t.Error("nodes/proxy is open")
	}
	if out := ask("", "prometheus", "nodes", "proxy", "system:monitoring"); !out.Allowed {
		t.Error("nodes/proxy is closed for who may")
	}
}

func TestBreakGlass(t *testing.T) {
	s := server(t, config)
	urgent := func(namespace, user string, groups ...string) *object.Response {
		p := pod("r.example/bad:1")
		p["metadata"] = map[string]any{"name": "cart", "annotations": map[string]any{webhook.BreakGlassKey: "incident 7: shop is down"}}
		r := request(namespace, user, "CREATE", pods, p)
		r.User.Groups = groups
		return s.Validate(t.Context(), r)
	}
	out := urgent("shop", "alice", "sre")
	if !out.Allowed || len(out.Warnings) < 2 || out.AuditAnnotations["decision"] != "break-glass" {
		t.Fatalf("it says %+v", out)
	}
	if e := s.log.Find("admit.break-glass"); e == nil || e.Details["reason"] != "incident 7: shop is down" || e.Details["owner"] == "" || !strings.Contains(e.Details["message"], "CVE-2026-0001") {
		t.Errorf("the audit log has %+v", e)
	}
	if out := urgent("shop", "mallory", "devs"); out.Allowed || !strings.Contains(out.Status.Message, "mallory") {
		t.Errorf("anybody passes: %+v", out)
	}
	if out := urgent("other", "alice", "sre"); out.Allowed {
		t.Error("it holds in every namespace")
	}
	if out := urgent("shop", "system:serviceaccount:kube-system:replicaset-controller"); !out.Allowed {
		t.Errorf("what controllers make of it is denied: %s", out.Status.Message)
	}
	if out := urgent("shop", "system:serviceaccount:shop:replicaset-controller"); out.Allowed {
		t.Error("anybody's service account is a controller")
	}
	late := server(t, strings.Replace(config, "2026-11-25T18", "2026-11-25T11", 1))
	s = late
	if out := urgent("shop", "alice", "sre"); out.Allowed {
		t.Error("it holds after its end")
	}
}

func TestFailures(t *testing.T) {
	s := server(t, config)
	rollout := object.Maker{Group: "argoproj.io", Kind: "Rollout", Resource: "rollouts"}
	for namespace, pass := range map[string]bool{"shop": false, "soft-1": true} {
		s.log.Clear()
		out := s.Validate(t.Context(), request(namespace, "alice", "CREATE", rollout, pod("a")))
		if out.Allowed != pass || s.log.Find("admit.failure") == nil || s.log.Find("admit.failure").Details["failure"] != "unreadable" || out.UID != "u1" {
			t.Errorf("%s: an unknown kind: %+v", namespace, out)
		}
		if pass && len(out.Warnings) == 0 {
			t.Error("nobody is told")
		}
		broken := request(namespace, "alice", "CREATE", pods, nil)
		broken.Object = []byte(`{"spec":{"containers":"no"}}`)
		if out := s.Validate(t.Context(), broken); out.Allowed != pass {
			t.Errorf("%s: an object that is none: %+v", namespace, out)
		}
	}
	s.log.Break(true)
	if out := s.Validate(t.Context(), request("shop", "alice", "CREATE", pods, pod("r.example/clean:1"))); out.Allowed {
		t.Error("what was not noted was allowed")
	}
	if out := s.Validate(t.Context(), request("soft-1", "alice", "CREATE", pods, pod("r.example/bad:1"))); out.Allowed {
		t.Error("a denial was lifted because the log failed")
	}
	if out := s.Validate(t.Context(), request("soft-1", "alice", "CREATE", pods, pod("r.example/clean:1"))); !out.Allowed {
		t.Error("an open scope stops what is allowed")
	}
}

// TestDeadline holds that what cannot be found out in time follows the failure
// mode, and what is known to be bad does not.
func TestDeadline(t *testing.T) {
	s := server(t, config, warning) // what only warns says nothing about a denial
	out := s.Validate(t.Context(), request("slow", "alice", "CREATE", pods, pod("r.example/slow:1")))
	if out.Allowed || s.log.Find("admit.failure") == nil || !strings.Contains(out.Status.Message, "in time") {
		t.Errorf("closed: %+v", out)
	}
	s.log.Clear()
	if out := s.Validate(t.Context(), request("slowsoft", "alice", "CREATE", pods, pod("r.example/slow:1"))); !out.Allowed || s.log.Find("admit.failure") == nil {
		t.Errorf("open: %+v", out)
	}
	if out := s.Validate(t.Context(), request("slowsoft", "alice", "CREATE", pods, pod("r.example/slow:1", "r.example/bad:1"))); out.Allowed {
		t.Error("a bad image passed because another was slow")
	}
	if out := s.Validate(t.Context(), request("slowsoft", "alice", "CREATE", pods, pod("r.example/unknown:1"))); out.Allowed {
		t.Error("an image that nobody knows is no failure: the policy counts")
	}
}

// TestStatic holds that a pod that a node shows stays visible, and that nobody
// else passes by saying so.
func TestStatic(t *testing.T) {
	s := server(t, config)
	p := pod("r.example/bad:1")
	p["metadata"] = map[string]any{"name": "cart", "annotations": map[string]any{"kubernetes.io/config.mirror": "x"}}
	p["spec"].(map[string]any)["nodeName"] = "n1"
	r := request("shop", "system:node:n1", "CREATE", pods, p)
	if out := s.Validate(t.Context(), r); out.Allowed {
		t.Error("a user named like a node passes")
	}
	r.User.Groups = []string{"system:nodes"}
	if out := s.Validate(t.Context(), r); !out.Allowed || len(out.Warnings) == 0 || s.log.Find("admit.static-pod") == nil {
		t.Errorf("a node's own pod: %+v", out)
	}
	if out := s.Mutate(t.Context(), r); out.Patch != nil {
		t.Errorf("a node's own pod is changed: %s", out.Patch)
	}
}

// TestImmutable holds what the control tag-immutable is told.
func TestImmutable(t *testing.T) {
	const policy = "name: fixed\nmode: deny\ncontrols: [{control: tag-immutable}]\n"
	if out := server(t, config, policy).Validate(t.Context(), request("shop", "a", "CREATE", pods, pod("r.example/clean:1"))); out.Allowed {
		t.Error("a tag of which nothing is known passes")
	}
	if out := server(t, config+"resolve: {immutable: [r.example]}\n", policy).Validate(t.Context(), request("shop", "a", "CREATE", pods, pod("r.example/clean:1"))); !out.Allowed {
		t.Errorf("a tag that cannot be moved: %s", out.Status.Message)
	}
}

// TestOnly holds that no registry is asked but those that are named.
func TestOnly(t *testing.T) {
	s := server(t, config+"resolve: {only: [ours.example]}\n")
	if out := s.Validate(t.Context(), request("slow", "a", "CREATE", pods, pod("theirs.example/slow:1"))); out.Allowed || s.log.Find("admit.failure") != nil {
		t.Errorf("a registry that is not named: %+v", out)
	}
	if out := s.Validate(t.Context(), request("shop", "a", "CREATE", pods, pod("ours.example/clean:1"))); !out.Allowed {
		t.Errorf("one that is: %s", out.Status.Message)
	}
	if out := s.Mutate(t.Context(), request("shop", "a", "CREATE", pods, pod("theirs.example/clean:1"))); out.Patch != nil {
		t.Errorf("its digest is asked for: %s", out.Patch)
	}
}

func BenchmarkReview(b *testing.B) {
	s := server(b, config)
	data, err := json.Marshal(object.Review{APIVersion: object.APIVersion, Kind: "AdmissionReview", Request: request("shop", "alice", "CREATE", pods, pod("r.example/clean:1"))})
	if err != nil {
		b.Fatal(err)
	}
	h := s.Handler()
	b.ReportAllocs()
	for b.Loop() {
		s.log.Clear()
		r := httptest.NewRequest("POST", "/validate?timeout=5s", bytes.NewReader(data))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

type panics struct{}

func (panics) Decide(context.Context, admit.Question) (*admit.Answer, error) { panic("boom") }

func TestPanic(t *testing.T) {
	s := server(t, config)
	s.Gate = panics{}
	if out := s.Validate(t.Context(), request("shop", "a", "CREATE", pods, pod("r.example/clean:1"))); out.Allowed || out.UID != "u1" {
		t.Errorf("closed: %+v", out)
	}
	if out := s.Validate(t.Context(), request("soft-1", "a", "CREATE", pods, pod("r.example/clean:1"))); !out.Allowed {
		t.Errorf("open: %+v", out)
	}
}

// TestHTTP holds what a server on the wire says to what it cannot read.
func TestHTTP(t *testing.T) {
	s := server(t, config)
	post := func(path, contentType string, body []byte) (int, *object.Review) {
		r := httptest.NewRequest("POST", path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		v := &object.Review{}
		_ = json.Unmarshal(w.Body.Bytes(), v) // plain text where there is no review
		return w.Code, v
	}
	review := func(r *object.Request) []byte {
		data, err := json.Marshal(object.Review{APIVersion: object.APIVersion, Kind: "AdmissionReview", Request: r})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := review(request("soft-1", "alice", "CREATE", pods, pod("r.example/bad:1")))
	if code, v := post("/validate", "application/json", good); code != 200 || v.Response == nil || v.Response.Allowed || v.Response.UID != "u1" {
		t.Errorf("a bad pod: %d %+v", code, v.Response)
	}
	huge := review(request("soft-1", "alice", "CREATE", pods, pod(strings.Repeat("x", 9<<20))))
	if code, v := post("/validate", "application/json", huge); code != 200 || v.Response == nil || !v.Response.Allowed || v.Response.UID != "u1" {
		t.Errorf("an oversized one in an open scope: %d %+v", code, v.Response)
	}
	if e := s.log.Find("admit.failure"); e == nil || e.Details["failure"] != "oversized" || e.Actor != "alice" || e.Subject != "pods/soft-1/cart" {
		t.Errorf("the audit log has %+v", e)
	}
	cut := bytes.Replace(good, []byte("soft-1"), []byte("shop-1"), 1)
	if code, v := post("/validate", "application/json", cut[:len(cut)-40]); code != 200 || v.Response == nil || v.Response.Allowed {
		t.Errorf("half of one in a closed scope: %d %+v", code, v.Response)
	}
	for _, body := range []string{"", "{}", "[]", "null", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`} {
		if code, v := post("/validate", "application/json", []byte(body)); code != 400 || v.Response != nil {
			t.Errorf("%q: %d %+v", body, code, v.Response)
		}
	}
	if code, v := post("/validate", "text/plain", good); code != 200 || v.Response == nil || !v.Response.Allowed {
		t.Errorf("another content type in an open scope: %d %+v", code, v.Response)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct{ change, want string }{
		{"failure: ajar", `"ajar" is none of open, closed`},
		{"polices: [x]", `unknown field: "polices"`},
		{"deadline: 40s", "deadline"},
		{"language: fr", `"fr" is none of en, ja, both`},
		{"pin: some", `"some" is none of`},
		{"platforms: [amd64]", "platform"},
		{"break_glass: [{users: [a], namespaces: ['*'], reason: x, owner: y}]", "until is missing"},
		{"scopes: [{failure: open}]", "scopes[0]: namespaces"},
		{"sessions: {action: block}", "sessions.action"},
	} {
		key, _, _ := strings.Cut(c.change, ":")
		base := "policies: [a]\nfacts: f\naudit: a\ncertificate: {directory: c, names: [n]}\n"
		if _, err := webhook.ParseConfig(strings.NewReader(base+c.change+"\n"), "admit.yaml"); err == nil || !strings.Contains(err.Error(), c.want) || sekisho.KindOf(err) != sekisho.Invalid {
			t.Errorf("%s: %v, want %s", key, err, c.want)
		}
	}
	if _, err := webhook.ParseConfig(strings.NewReader("facts: f\naudit: a\n"), "admit.yaml"); err == nil || !strings.Contains(err.Error(), "policies") {
		t.Errorf("no policies: %v", err)
	}
}

func FuzzReview(f *testing.F) {
	data, _ := json.Marshal(object.Review{APIVersion: object.APIVersion, Kind: "AdmissionReview", Request: request("shop", "alice", "UPDATE", pods, pod("r.example/bad:1", "nginx"))})
	f.Add(data)
	f.Add([]byte(`{"apiVersion":"admission.k8s.io/v1","request":{"uid":"1","operation":"CONNECT","resource":{"resource":"nodes"},"subResource":"proxy"}}`))
	f.Add([]byte(`{"request":{"uid":"1","namespace":"soft-1","object":`))
	s := server(f, config)
	f.Fuzz(func(t *testing.T, data []byte) {
		s.log.Clear()
		for _, path := range []string{"/validate", "/mutate"} {
			r := httptest.NewRequest("POST", path, bytes.NewReader(data))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			v := &object.Review{}
			if w.Code == 200 && (json.Unmarshal(w.Body.Bytes(), v) != nil || v.Response == nil || v.Response.UID == "" || !v.Response.Allowed && v.Response.Status.Message == "") {
				t.Errorf("%q: an answer that is none: %s", data, w.Body)
			}
		}
	})
}

// TestLapsed holds that a lapsed approval stops what is new, and lets what runs
// under it restart and scale, when the cluster's controllers ask, and only then.
func TestLapsed(t *testing.T) {
	const approved = "name: approved\nowner: lead\nmode: deny\ncontrols: [{control: approval}]\n"
	const controller = "system:serviceaccount:kube-system:replicaset-controller"
	owned := pod("registry.example/lapsed:1")
	owned["metadata"].(map[string]any)["ownerReferences"] = []map[string]any{{"kind": "ReplicaSet", "controller": true}}
	s := server(t, config, approved)
	for name, c := range map[string]struct {
		user string
		pod  map[string]any
		want bool
	}{
		"a new pod":                     {"alice", pod("registry.example/lapsed:1"), false},
		"a further copy":                {controller, owned, true},
		"a user who says it is owned":   {"alice", owned, false},
		"a controller without an owner": {controller, pod("registry.example/lapsed:1"), false},
	} {
		out := s.Validate(t.Context(), request("shop", c.user, "CREATE", pods, c.pod))
		if out.Allowed != c.want || !c.want && !strings.Contains(out.Status.Message, "CVE-2026-0009") {
			t.Errorf("%s: allowed %v, want %v: %+v", name, out.Allowed, c.want, out.Status)
		}
	}
	stop := server(t, config, strings.Replace(approved, "control: approval", "control: approval, running: stop", 1))
	if out := stop.Validate(t.Context(), request("shop", controller, "CREATE", pods, owned)); out.Allowed {
		t.Error("a policy that stops what runs does not")
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(config)
	f.Add("policies: [a]\nfacts: f\naudit: a\ncertificate: {cert: c, key: k}\nscopes: [{namespaces: ['*'], pin: all, deadline: 1s}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := webhook.ParseConfig(strings.NewReader(text), "admit.yaml")
		if err == nil && (len(c.Policies) == 0 || c.Deadline <= 0 || c.InFlight < 1) {
			t.Errorf("%q was taken: %+v", text, c)
		}
	})
}
