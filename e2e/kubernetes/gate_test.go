package kubernetes_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gate is a running sekisho admit serve.
type gate struct {
	t       testing.TB
	dir     string
	port    string
	health  string
	process *exec.Cmd
	done    chan struct{}
	ended   error // how it ended; read after done
	mu      sync.Mutex
	said    bytes.Buffer
}

const denyPolicy = `
name: shop
mode: deny
controls:
  - {control: denied-packages, packages: [{name: evil}]}
  - {control: privileged}
`

const warnPolicy = `
name: careful
mode: warn
scope: {namespaces: [shop, soft]}
controls:
  - {control: read-only-root}
`

// newGate writes a configuration. more is YAML that is added to it.
func newGate(t testing.TB, registry *images, more string) *gate {
	g := &gate{t: t, dir: t.TempDir(), port: freePort(), health: freePort()}
	text := fmt.Sprintf(`
listen: 127.0.0.1:%s
health: 127.0.0.1:%s
policies: [deny.yaml, warn.yaml]
facts: facts
audit: audit
namespace: gatehouse
deadline: 4s
pin: pods
resolve: {insecure: ["%s"], ttl: 1s}
scopes:
  - {name: soft, namespaces: [soft, kube-system], failure: open, deadline: 2s, sessions: {action: warn}}
sessions: {action: deny, users: [oncall]}
nodes: {action: deny}
break_glass:
  - {groups: [sre], namespaces: [shop], until: 2099-01-01T00:00:00Z, reason: incident, owner: operations}
`, g.port, g.health, registry.host())
	if !strings.Contains(more, "certificate:") {
		more += "\ncertificate: {directory: keys, names: [127.0.0.1]}\n"
	}
	for name, data := range map[string]string{"admit.yaml": text + more, "deny.yaml": denyPolicy, "warn.yaml": warnPolicy} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(g.stop)
	return g
}

// start starts the program and waits until it is ready.
func (g *gate) start() {
	g.t.Helper()
	p := exec.Command(shared.tested, "admit", "serve", "--config", filepath.Join(g.dir, "admit.yaml"), "--lang", "en")
	p.Env = append(os.Environ(), "SEKISHO_CACHE_DIR="+filepath.Join(g.dir, "layers"), "SEKISHO_DB_DIR="+filepath.Join(g.dir, "db"))
	out, err := p.StderrPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.process, g.done = p, make(chan struct{})
	go func() {
		defer close(g.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			g.mu.Lock()
			g.said.WriteString(lines.Text() + "\n")
			g.mu.Unlock()
		}
		g.ended = p.Wait()
	}()
	eventually(g.t, "the gate is ready", func() bool {
		select {
		case <-g.done:
			g.t.Fatalf("the gate ended:\n%s", g.said.String())
		default:
		}
		resp, err := http.Get("http://127.0.0.1:" + g.health + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == 200
	})
}

// stop stops the program as an operator would, and waits.
func (g *gate) stop() {
	if g.process == nil {
		return
	}
	_ = g.process.Process.Signal(os.Interrupt)
	<-g.done
	g.process = nil
	if g.ended != nil {
		g.t.Errorf("stopped, it ends with %v", g.ended)
	}
	if g.t.Failed() {
		g.t.Logf("the gate said:\n%s", g.said.String())
	}
}

// audit finds an entry of the audit log.
func (g *gate) audit(texts ...string) bool {
lines:
	for line := range strings.Lines(g.logged()) {
		for _, x := range texts {
			if !strings.Contains(line, x) {
				continue lines
			}
		}
		return true
	}
	return false
}

// logged is the audit log, an entry a line.
func (g *gate) logged() (text string) {
	names, _ := filepath.Glob(filepath.Join(g.dir, "audit", "audit-*.log"))
	for _, name := range names {
		data, _ := os.ReadFile(name)
		text += string(data)
	}
	return text
}

// sekisho runs a command of the program.
func sekisho(args ...string) (string, error) {
	out, err := exec.Command(shared.tested, append(args, "--lang", "en")...).CombinedOutput()
	return string(out), err
}

// install makes the API server call the gate, by the manifest that sekisho
// prints, and takes it away at the end.
func (g *gate) install(admin *client, args ...string) {
	g.t.Helper()
	ca := filepath.Join(g.dir, "keys", "ca.crt")
	list := append([]string{"admit", "manifest", "--namespace", "gatehouse", "--open", "kube-system", "--open", "soft", "--url", "https://127.0.0.1:" + g.port}, args...)
	if _, err := os.Stat(ca); err == nil {
		list = append(list, "--ca", ca)
	}
	apply(g.t, admin, list...)
}

// apply makes the objects that a command prints.
func apply(t testing.TB, admin *client, args ...string) {
	t.Helper()
	c := exec.Command(shared.tested, args...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(out), "\n---\n") {
		path := "/apis/admissionregistration.k8s.io/v1/"
		kind := ""
		for _, k := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"} {
			if kind == "" && (strings.Contains(doc, "kind: "+k+"\n") || strings.Contains(doc, `"kind": "`+k+`",`)) {
				kind = k
			}
		}
		path += map[string]string{"MutatingWebhookConfiguration": "mutatingwebhookconfigurations", "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
			"ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings", "ValidatingAdmissionPolicy": "validatingadmissionpolicies"}[kind]
		a := admin.create(path, doc)
		if a.code != 201 {
			t.Fatalf("%s is not accepted: %s", kind, a)
		}
		if a.warnings != "" {
			t.Errorf("%s: the API server warns: %s", kind, a.warnings)
		}
		var made struct{ Metadata struct{ Name string } }
		if err := json.Unmarshal(a.body, &made); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { admin.do("DELETE", path+"/"+made.Metadata.Name, "", nil) })
	}
}

// namespace makes a namespace with the service account that pods use, which
// nobody else makes here.
func namespace(t testing.TB, admin *client, names ...string) {
	t.Helper()
	for _, n := range names {
		if a := admin.create("/api/v1/namespaces", "metadata: {name: "+n+"}"); a.code != 201 && a.code != 409 {
			t.Fatal(a)
		}
		if a := admin.create("/api/v1/namespaces/"+n+"/serviceaccounts", "metadata: {name: default}"); a.code != 201 && a.code != 409 {
			t.Fatal(a)
		}
	}
}

// users are those of the tests.
func users(t *testing.T) (admin, alice, sre, oncall *client) {
	admin = shared.as("admin", "system:masters")
	alice, sre, oncall = shared.as("alice", "developers"), shared.as("sam", "sre"), shared.as("oncall", "developers")
	a := admin.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", `{metadata: {name: testers}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin},
 subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: developers}, {kind: Group, apiGroup: rbac.authorization.k8s.io, name: sre}]}`)
	if a.code != 201 && a.code != 409 {
		t.Fatal(a)
	}
	eventually(t, "rights of alice", func() bool { return alice.do("GET", "/api/v1/namespaces/default/pods", "", nil).code == 200 })
	return admin, alice, sre, oncall
}

// pod is a pod of one container.
func pod(name, image string, more map[string]any) map[string]any {
	c := map[string]any{"name": "c", "image": image}
	for k, v := range more {
		c[k] = v
	}
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name}, "spec": map[string]any{"containers": []any{c}}}
}
