package e2e_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"sekisho"
	"sekisho/internal/fixture/sigstoreca"
	"sekisho/internal/mkimage"
	"sekisho/policy/fact"
	"sekisho/store"
)

// road is an image in a registry, a gate of Kubernetes, and people who sign
// with identities.
type road struct {
	t            *testing.T
	dir          string
	image        string // by digest
	env          map[string]string
	sigstore     *sigstoreca.Sigstore
	port, health int
}

const (
	roadTrust     = "root: root.json\nidentities: [{issuer: \"https://issuer.example.com\", subject: ci@example.com}]\n"
	roadApprovers = `root: root.json
people:
- {name: alice, identities: [{issuer: "https://issuer.example.com", subject: alice@example.com}], may: [request, decide]}
- {name: carol, identities: [{issuer: "https://issuer.example.com", subject: carol@example.com}], may: [decide], environments: [production]}
`
	roadPolicy = "name: approved\nowner: lead\nmode: deny\ncontrols:\n- {control: approval}\n"
)

func newRoad(t *testing.T) *road {
	t.Helper()
	s := &road{t: t, sigstore: sigstoreca.New(t), port: port(t), health: port(t)}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	dir := t.TempDir()
	must(t, mkimage.Layout(dir, mkimage.Image{Name: "app:1.0", Run: map[string]any{"User": "10001"}, Layers: []mkimage.Layer{{Dir: write(t, map[string]string{"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n"}), By: "ADD"}}}))
	index, err := layout.ImageIndexFromPath(dir)
	must(t, err)
	m, err := index.IndexManifest()
	must(t, err)
	img, err := index.Image(m.Manifests[0].Digest)
	must(t, err)
	tag, err := name.ParseReference(host+"/team/app:1.0", name.Insecure)
	must(t, err)
	must(t, remote.Write(tag, img))
	s.image = host + "/team/app@" + m.Manifests[0].Digest.String()
	s.dir = write(t, map[string]string{"root.json": string(s.sigstore.Root()), "trust.yaml": roadTrust, "approvers.yaml": roadApprovers, "policy.yaml": roadPolicy,
		"admit.yaml": fmt.Sprintf(`policies: [policy.yaml]
facts: facts
audit: audit
trust: trust.yaml
approvers: approvers.yaml
attested: 24h
verify: 1s
environment: production
deadline: 10s
listen: 127.0.0.1:%d
health: 127.0.0.1:%d
resolve: {insecure: ["%s"]}
certificate: {directory: keys, names: [127.0.0.1]}
`, s.port, s.health, host)})
	s.env = map[string]string{"SOURCE_DATE_EPOCH": "", "SEKISHO_AUDIT_DIR": s.dir + "/steps"}
	return s
}

// do runs the program, which must succeed.
func (s *road) do(args ...string) {
	s.t.Helper()
	if status, out, fail := run(s.t, s.env, args...); status != 0 {
		s.t.Fatalf("%v: status %d: %s%s", args, status, out, fail)
	}
}

// scan lets the pipeline attest a scan, with these findings beside what is found.
func (s *road) scan(found ...sekisho.Finding) {
	s.t.Helper()
	report := s.dir + "/report.json"
	s.do("scan", "--insecure", "--no-cache", "-o", "json="+report, "registry:"+s.image)
	var r sekisho.Report
	data, err := os.ReadFile(report)
	must(s.t, err)
	must(s.t, json.Unmarshal(data, &r))
	image := fact.FromReport(&r)
	image.Findings = append(image.Findings, found...)
	doc, err := json.Marshal(map[string]any{"tool": map[string]string{"name": "sekisho"}, "facts": image})
	must(s.t, err)
	must(s.t, attestAs(s.sigstore, "ci@example.com", s.image, "https://sekisho.dev/scan/v1", doc))
}

// step takes a step of an approval as an identity.
func (s *road) step(identity string, args ...string) {
	s.t.Helper()
	file := s.dir + "/step.json"
	s.do(append(append([]string{"approve"}, args...), "--insecure", "--approvers", s.dir+"/approvers.yaml", "--trust", s.dir+"/trust.yaml", "--reason", "release", "-o", file, s.image)...)
	data, err := os.ReadFile(file)
	must(s.t, err)
	must(s.t, attestAs(s.sigstore, identity, s.image, "https://sekisho.dev/approval/v1", data))
}

// ask asks the webhook as the API server does, and returns its verdict.
func (s *road) ask(user string, owned bool) (bool, string) {
	s.t.Helper()
	meta := map[string]any{"name": "cart", "namespace": "shop"}
	if owned {
		meta["ownerReferences"] = []any{map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "u", "controller": true}}
	}
	body, err := json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": map[string]any{"uid": "u1", "operation": "CREATE", "namespace": "shop", "name": "cart",
		"kind": map[string]string{"version": "v1", "kind": "Pod"}, "resource": map[string]string{"version": "v1", "resource": "pods"}, "userInfo": map[string]any{"username": user},
		"object": map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": map[string]any{"containers": []any{map[string]any{"name": "cart", "image": s.image}}}}}})
	must(s.t, err)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	r, err := client.Post(fmt.Sprintf("https://127.0.0.1:%d/validate", s.port), "application/json", bytes.NewReader(body))
	must(s.t, err)
	defer r.Body.Close()
	var review struct {
		Response struct {
			Allowed bool
			Status  struct{ Message string }
		}
	}
	must(s.t, json.NewDecoder(r.Body).Decode(&review))
	return review.Response.Allowed, review.Response.Status.Message
}

const controller = "system:serviceaccount:kube-system:replicaset-controller"

// TestApprovalByIdentity follows an image whose pipeline, author and approver sign
// with identities: through a gate of Kubernetes that never scans, from the first
// refusal to the day on which the approval lapses.
func TestApprovalByIdentity(t *testing.T) {
	s := newRoad(t)
	s.scan()
	service(t, s.env, "admit", "serve", "--config", s.dir+"/admit.yaml")
	want := func(what, user string, owned, allowed bool, words string) {
		t.Helper()
		if ok, why := s.ask(user, owned); ok != allowed || !strings.Contains(why, words) {
			t.Errorf("%s: allowed %v, want %v: %s", what, ok, allowed, why)
		}
	}
	becomes := func(what string, allowed bool) {
		t.Helper()
		until(t, what, func() bool { ok, _ := s.ask("alice", false); return ok == allowed })
	}
	want("before anybody asked", "alice", false, false, "nobody has approved it")
	s.step("alice@example.com", "request", "--environment", "production")
	s.step("alice@example.com", "decide", "--approve")
	s.step("mallory@example.com", "decide", "--approve")
	_, list, _ := run(t, s.env, "approve", "list", "--insecure", "--approvers", s.dir+"/approvers.yaml", "--trust", s.dir+"/trust.yaml", s.image)
	if !strings.Contains(list, "production  open") || !strings.Contains(list, "alice asked for it") && !strings.Contains(list, "whom nobody trusts") {
		t.Errorf("what the author and a stranger decided: %s", list)
	}
	want("what the author and a stranger decided", "alice", false, false, "nobody has approved it")
	s.step("carol@example.com", "decide", "--approve")
	becomes("the gate knows of the approval", true)

	s.scan(sekisho.Finding{Kind: sekisho.Vulnerability, ID: "CVE-2026-9999", Severity: sekisho.High, Status: sekisho.StatusAffected, Package: &sekisho.PackageRef{Name: "musl", Version: "1.2"},
		Vulnerable: &sekisho.Vulnerable{KEV: &sekisho.KEV{Added: "2026-11-26"}}})
	becomes("a vulnerability that is exploited makes the approval lapse", false)
	want("a new pod", "alice", false, false, "CVE-2026-9999 musl KEV")
	want("a further copy of what runs", controller, true, true, "")
	want("a user who says that it is one", "alice", true, false, "lapsed")

	must(t, os.WriteFile(s.dir+"/policy.yaml", []byte(strings.Replace(roadPolicy, "control: approval", "control: approval, running: stop", 1)), 0o600))
	until(t, "a policy that stops what runs is in force", func() bool { ok, _ := s.ask(controller, true); return !ok })

	s.step("alice@example.com", "request", "--environment", "production")
	s.step("carol@example.com", "decide", "--approve")
	becomes("approved anew, with that in its evidence", true)
}

// lapse sets the approval of an image in a gate's facts.
func lapse(t *testing.T, dir string, d sekisho.Digest, a ...fact.Approval) {
	t.Helper()
	facts, err := store.OpenFacts(dir)
	must(t, err)
	image, err := facts.Image(d)
	must(t, err)
	image.Approvals = append([]fact.Approval{}, a...)
	_, err = facts.Keep(image, d)
	must(t, err)
}
