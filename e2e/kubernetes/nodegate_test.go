//go:build node

package kubernetes_test

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

// exec runs a command in a container over a path of the API, as kubectl does.
func (c *client) exec(user, path string, command ...string) (string, error) {
	at := func(name string) string { return filepath.Join(shared.dir, name) }
	u, err := url.Parse(shared.url + path)
	if err != nil {
		return "", err
	}
	q := url.Values{"command": command, "container": {"c"}, "stdout": {"true"}, "stderr": {"true"}, "output": {"1"}, "error": {"1"}}
	u.RawQuery = q.Encode()
	e, err := remotecommand.NewWebSocketExecutor(&rest.Config{Host: shared.url, TLSClientConfig: rest.TLSClientConfig{CAFile: at("ca.crt"), CertFile: at("user-" + user + ".crt"), KeyFile: at("user-" + user + ".key")}}, "GET", u.String())
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	err = e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &out})
	return out.String(), err
}

// why tells why a pod's first container is in a state, waiting or terminated.
func why(list []seen, state string) string {
	for _, p := range list {
		for _, c := range p.Status.ContainerStatuses {
			if w, ok := c.State[state]; ok {
				return w.Reason + ": " + w.Message
			}
		}
	}
	return ""
}

// TestNodeSessions holds that exec is decided by who asks, on every road of the
// API that leads to it, and that it works for who may; and that ephemeral
// containers are judged, and run.
func TestNodeSessions(t *testing.T) {
	admin, alice, _ := onNode(t, "shop")
	registry := newRegistry(t)
	registry.add("app", "good", runnable("/bin/sleep", "3600"))
	registry.push("app", "bad", "musl", "evil")
	g := newGate(t, registry, "")
	g.start()
	g.install(admin)
	eventually(t, "the gate is asked", func() bool {
		return alice.create(inShop+"?dryRun=All", pod("x", registry.host()+"/app:bad", nil)).code == 403
	})
	if a := alice.create(inShop, pod("web", registry.host()+"/app:good", nil)); a.code != 201 {
		t.Fatal(a)
	}
	eventually(t, "the pod runs", func() bool { return ready(pods(admin, "shop", "web")) == 1 })
	oncall := shared.as("oncall", "developers")
	if out, err := oncall.exec("oncall", inShop+"/web/exec", "/bin/cat", "/etc/os-release"); err != nil || !strings.Contains(out, "ID=alpine") {
		t.Errorf("who may: %v %s", err, out)
	}
	if out, err := alice.exec("alice", inShop+"/web/exec", "/bin/cat", "/etc/os-release"); err == nil || !strings.Contains(err.Error(), "alice may not use pods/exec") || out != "" {
		t.Errorf("who may not: %v %s", err, out)
	}
	const past = "/api/v1/nodes/node-1/proxy/exec/shop/web/c"
	for _, user := range []string{"alice", "oncall"} { // nodes/proxy is a right of its own
		if out, err := alice.exec(user, past, "/bin/cat", "/etc/os-release"); err == nil || !strings.Contains(err.Error(), user+" may not use nodes/proxy") || out != "" {
			t.Errorf("past pods/exec as %s: %v %s", user, err, out)
		}
	}
	if !g.audit(`"action":"session"`, `"actor":"oncall"`, `"result":"allow"`, "os-release") || !g.audit(`"action":"session"`, `"actor":"alice"`, `"result":"deny"`, `"subject":"nodes/proxy/node-1"`) {
		t.Error("the audit log does not tell")
	}
	add := func(name, tag string) answer {
		return alice.do("PATCH", inShop+"/web/ephemeralcontainers", "application/strategic-merge-patch+json", fmt.Appendf(nil, `{"spec":{"ephemeralContainers":[{"name":%q,"image":%q,"command":["/bin/sleep","600"]}]}}`, name, registry.host()+"/app:"+tag))
	}
	if a := add("worse", "bad"); a.code != 403 || !a.has("ephemeral worse", "denied-packages") {
		t.Errorf("a bad ephemeral container: %s", a)
	}
	if a := add("debug", "good"); a.code != 200 {
		t.Errorf("a good ephemeral container: %s", a)
	}
	eventually(t, "the ephemeral container runs", func() bool {
		return strings.Contains(string(admin.do("GET", inShop+"/web", "", nil).body), `"ephemeralContainerStatuses":[{"name":"debug","state":{"running":`)
	})
}

// TestNodeRollout holds that an update to what is denied leaves what runs alone,
// and that it rolls out with break-glass, on record.
func TestNodeRollout(t *testing.T) {
	admin, alice, sre := onNode(t, "shop")
	registry := newRegistry(t)
	registry.add("app", "good", runnable("/bin/sleep", "3600"))
	registry.push("app", "bad", "musl", "evil")
	g := newGate(t, registry, "")
	g.start()
	g.install(admin)
	eventually(t, "the gate is asked", func() bool {
		return alice.create(inShop+"?dryRun=All", pod("x", registry.host()+"/app:bad", nil)).code == 403
	})
	if a := alice.create(deployments, deployment("web", registry.host()+"/app:good", 2)); a.code != 201 {
		t.Fatal(a)
	}
	eventually(t, "it runs", func() bool { return ready(pods(admin, "shop", "web-")) == 2 })
	before := pods(admin, "shop", "web-")
	change := func(c *client, why string) answer {
		annotations := ""
		if why != "" {
			annotations = fmt.Sprintf(`"metadata":{"annotations":{"sekisho.dev/break-glass":%q}},`, why)
		}
		return c.do("PATCH", deployments+"/web", "application/strategic-merge-patch+json", []byte(`{"spec":{"template":{`+annotations+`"spec":{"containers":[{"name":"c","securityContext":{"privileged":true}}]}}}}`))
	}
	if a := change(alice, ""); a.code != 403 || !a.has("privileged") {
		t.Errorf("a change that is denied: %s", a)
	}
	if a := change(alice, "I want it"); a.code != 403 || !a.has("may not use break-glass") {
		t.Errorf("break-glass by who may not: %s", a)
	}
	if now := pods(admin, "shop", "web-"); ready(now) != 2 || now[0].Metadata.UID != before[0].Metadata.UID {
		t.Errorf("what ran was touched: %+v", now)
	}
	if a := change(sre, "incident 8"); a.code != 200 || !a.has("break-glass was used") {
		t.Fatalf("break-glass by who may: %s", a)
	}
	eventually(t, "it is rolled out", func() bool {
		now := pods(admin, "shop", "web-")
		return len(now) == 2 && ready(now) == 2 && now[0].Metadata.UID != before[0].Metadata.UID && now[1].Metadata.UID != before[1].Metadata.UID
	})
	if !g.audit(`"action":"admit.break-glass"`, `"actor":"sam"`, `"subject":"deployments/shop/web"`, "incident 8") || !g.audit(`"action":"admit.break-glass"`, `"actor":"system:serviceaccount:kube-system:replicaset-controller"`, "incident 8") {
		t.Error("the audit log does not tell")
	}
}

// static writes a static pod for the kubelet; it goes at the end.
func static(t *testing.T, admin *client, name, image string) {
	t.Helper()
	file := filepath.Join(shared.node.dir, "manifests", name+".yaml")
	write(t, file, fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: shop}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers: [{name: c, image: %q}]\n", name, image))
	t.Cleanup(func() { os.Remove(file) })
}

// TestNodeStatic holds that a static pod, which no API judges, is judged on the
// node; and that nothing starts while the node's gate is away.
func TestNodeStatic(t *testing.T) {
	admin, _, _ := onNode(t, "shop")
	registry := newRegistry(t)
	registry.add("app", "good", runnable("/bin/sleep", "3600"))
	bad := runnable("/bin/sleep", "3600")
	bad.packages = []string{"evil"}
	registry.add("app", "bad", bad)
	static(t, admin, "lawful", registry.host()+"/app:good")
	static(t, admin, "lawless", registry.host()+"/app:bad")
	eventually(t, "the good one runs", func() bool { return ready(pods(admin, "shop", "lawful-")) == 1 })
	eventually(t, "the bad one is denied", func() bool {
		return strings.Contains(why(pods(admin, "shop", "lawless-"), "waiting"), "package evil 1.0-r0 is denied")
	})
	n := shared.node
	if !n.audit(`"gate":"nri"`, `"subject":"pods/shop/lawless-node-1/c"`, `"result":"deny"`, `"static":"true"`, `"control":"denied-packages"`) || !n.audit(`"subject":"pods/shop/lawful-node-1/c"`, `"result":"allow"`) {
		t.Error("the audit log does not tell")
	}
	n.gate.stop()
	static(t, admin, "late", registry.host()+"/app:good")
	eventually(t, "it does not start without the gate", func() bool {
		return strings.Contains(why(pods(admin, "shop", "late-"), "waiting"), `required plugin "sekisho" not present`)
	})
	if ready(pods(admin, "shop", "lawful-")) != 1 {
		t.Error("what ran was touched")
	}
	if err := n.gate.start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it starts when the gate is back", func() bool { return ready(pods(admin, "shop", "late-")) == 1 })
}

// TestNodeRuntime holds that the gate in the runtime's place judges pods and
// what is made at containerd's socket, by what the plugin is not told.
func TestNodeRuntime(t *testing.T) {
	admin, alice, _ := onNode(t, "shop")
	n := shared.node
	registry := newRegistry(t)
	registry.add("app", "good", runnable("/bin/sleep", "3600"))
	if a := admin.create("/apis/node.k8s.io/v1/runtimeclasses", `{metadata: {name: guarded}, handler: guarded}`); a.code != 201 {
		t.Fatal(a)
	}
	t.Cleanup(func() { admin.do("DELETE", "/apis/node.k8s.io/v1/runtimeclasses/guarded", "", nil) })
	guarded := func(name string, more map[string]any) map[string]any {
		p := pod(name, registry.host()+"/app:good", more)
		p["spec"].(map[string]any)["runtimeClassName"] = "guarded"
		p["spec"].(map[string]any)["terminationGracePeriodSeconds"] = 1
		return p
	}
	for _, p := range []map[string]any{guarded("tame", nil), guarded("wild", map[string]any{"securityContext": map[string]any{"privileged": true}})} {
		if a := alice.create(inShop, p); a.code != 201 {
			t.Fatal(a)
		}
	}
	eventually(t, "the tame one runs", func() bool { return ready(pods(admin, "shop", "tame")) == 1 })
	eventually(t, "the privileged one is denied", func() bool {
		return strings.Contains(why(pods(admin, "shop", "wild"), "waiting")+why(pods(admin, "shop", "wild"), "terminated"), "privileged")
	})
	if !n.audit(`"gate":"runc"`, `"result":"deny"`, `"control":"privileged"`, `"subject":"pods/shop/wild/c"`) || !n.audit(`"gate":"runc"`, `"result":"allow"`, `"subject":"pods/shop/tame/c"`) {
		t.Error("the audit log does not tell")
	}
	bad := runnable("/bin/true")
	bad.packages = []string{"evil"}
	if err := n.load("bad:1", bad); err != nil {
		t.Fatal(err)
	}
	if err := n.load("fine:1", runnable("/bin/true")); err != nil {
		t.Fatal(err)
	}
	run := func(image string) (string, error) {
		out, err := exec.Command("ctr", "-n", "k8s.io", "run", "--rm", "--runc-binary", filepath.Join(n.dir, "sekisho-runc"), "docker.io/library/"+image, "by-hand", "/bin/true").CombinedOutput()
		return string(out), err
	}
	if out, err := run("fine:1"); err != nil {
		t.Errorf("a good image at the socket: %v %s", err, out)
	}
	if out, err := run("bad:1"); err == nil || !strings.Contains(out, "package evil 1.0-r0 is denied") {
		t.Errorf("a bad image at the socket: %v %s", err, out)
	}
}

// TestNodeCoverage holds that what no gate judged is found among what runs, and
// that nothing is told when all was judged.
func TestNodeCoverage(t *testing.T) {
	admin, alice, _ := onNode(t, "shop")
	n := shared.node
	registry := newRegistry(t)
	registry.add("app", "good", runnable("/bin/sleep", "3600"))
	if a := alice.create(deployments, deployment("web", registry.host()+"/app:good", 2)); a.code != 201 {
		t.Fatal(a)
	}
	eventually(t, "it runs", func() bool { return ready(pods(admin, "shop", "web-")) == 2 })
	coverage := func() (string, error) {
		c := exec.Command(shared.tested, "admit", "coverage", "--config", filepath.Join(n.dir, "admit.yaml"), "--engine", "containerd", "--all", "--fail", "--lang", "en")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := coverage(); err != nil || strings.Count(out, "judged ") < 2 || !strings.Contains(out, "shop/web-") || strings.Count(out, "pod sandbox")+strings.Count(out, "image judged") < 2 { // another test may have had the sandbox's image judged
		t.Errorf("all was judged: %v\n%s", err, out)
	}
	sneaky := runnable("/bin/sleep", "3600")
	sneaky.files["etc/who"] = "nobody asked"
	if err := n.load("sneaky:1", sneaky); err != nil {
		t.Fatal(err)
	}
	ctr := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ctr", append([]string{"-n", "k8s.io"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ctr %v: %v %s", args, err, out)
		}
	}
	ctr("run", "-d", "--label", "io.cri-containerd.kind=sandbox", "docker.io/library/sneaky:1", "sneaky")
	t.Cleanup(func() { ctr("containers", "rm", "sneaky") })
	t.Cleanup(func() { ctr("tasks", "rm", "-f", "sneaky") })
	out, err := coverage()
	if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != 3 || !strings.Contains(out, "UNJUDGED") || !strings.Contains(out, "sneaky:1") {
		t.Errorf("what nobody judged: %v\n%s", err, out)
	}
}
