//go:build node

package kubernetes_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// enforcer is a running sekisho enforce run.
type enforcer struct {
	t       *testing.T
	dir     string
	process *exec.Cmd
	done    chan struct{}
	mu      sync.Mutex
	out     bytes.Buffer
}

// Write takes what it says.
func (e *enforcer) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.out.Write(p)
}

func (e *enforcer) said() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.out.String()
}

// newEnforcer starts it. What the settings say has to name workloads of the
// test: others use this host too.
func newEnforcer(t *testing.T, settings string) *enforcer {
	t.Helper()
	e := &enforcer{t: t, dir: t.TempDir()}
	write(t, filepath.Join(e.dir, "enforce.yaml"), "state: state\nprofiles: profiles\npin: false\n"+settings)
	e.start()
	t.Cleanup(func() {
		e.stop()
		if t.Failed() {
			for line := range strings.Lines(e.said()) {
				if !strings.Contains(line, `"workload":{"platform":"docker"`) { // others use this host too
					t.Log(line[:min(len(line), 2000)])
				}
			}
		}
	})
	return e
}

func (e *enforcer) start() {
	e.t.Helper()
	p := exec.Command(shared.tested, "enforce", "run", "--json", "--config", filepath.Join(e.dir, "enforce.yaml"), "--lang", "en")
	p.Stdout, p.Stderr = e, e
	p.Env = append(os.Environ(), "HOME="+e.dir)
	if err := p.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.process, e.done = p, make(chan struct{})
	go func() {
		defer close(e.done)
		_ = p.Wait()
	}()
	n := strings.Count(e.said(), "the enforcer runs")
	eventually(e.t, "the enforcer is ready", func() bool {
		select {
		case <-e.done:
			e.t.Fatalf("the enforcer ended: %s", e.said())
		default:
		}
		return strings.Count(e.said(), "the enforcer runs") > n
	})
}

func (e *enforcer) stop() {
	if e.process == nil {
		return
	}
	_ = e.process.Process.Signal(os.Interrupt)
	<-e.done
	e.process = nil
}

// ask runs another command on its state.
func (e *enforcer) ask(args ...string) string {
	e.t.Helper()
	out, err := sekisho(append(append([]string{"enforce"}, args...), "--config", filepath.Join(e.dir, "enforce.yaml"))...)
	if err != nil {
		e.t.Errorf("%v: %v %s", args, err, out)
	}
	return out
}

// alert is what it tells.
type alert struct {
	Kind, Rule, What, Why, Done string
	Container                   *struct {
		ID, Name, Image string
		ImageDigest     string `json:"image_digest"`
		Runtime         string
		Workload        struct{ Platform, Namespace, Kind, Name, Pod, Container string }
	}
}

// alerts are those of a namespace.
func (e *enforcer) alerts(namespace string) (list []alert) {
	for line := range strings.Lines(e.said()) {
		var a alert
		if json.Unmarshal([]byte(line), &a) == nil && a.Container != nil && a.Container.Workload.Namespace == namespace {
			list = append(list, a)
		}
	}
	return list
}

// served is an image that serves and is probed in the ways there are.
func served(name, image string) map[string]any {
	d := deployment(name, image, 2)
	c := d["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	c["livenessProbe"] = map[string]any{"exec": map[string]any{"command": []any{"/bin/sh", "-c", "cat /etc/os-release && ls /"}}, "periodSeconds": 1}
	c["readinessProbe"] = map[string]any{"httpGet": map[string]any{"path": "/os-release", "port": 8080}, "periodSeconds": 1}
	c["startupProbe"] = map[string]any{"tcpSocket": map[string]any{"port": 8080}, "periodSeconds": 1}
	return d
}

// TestNodeEnforcer holds that pods are known from their first event on, that
// probes raise nothing, that drift in a pod is stopped, and that the sealed case
// of a pod that is gone names its workload.
func TestNodeEnforcer(t *testing.T) {
	guarded := "guarded-" + shared.node.id // another node may run on this host
	admin, alice, _ := onNode(t, guarded)
	registry := newRegistry(t)
	digest := registry.add("web", "1", runnable("/bin/httpd", "-f", "-p", "8080", "-h", "/etc"))
	e := newEnforcer(t, "mode: audit\nevidence: {case_each: 1s}\nworkloads: [{workload: \""+guarded+"/*\", mode: enforce}]\n")
	at := "/apis/apps/v1/namespaces/" + guarded + "/deployments"
	if a := alice.create(at, served("web", registry.host()+"/web:1")); a.code != 201 {
		t.Fatal(a)
	}
	eventually(t, "it runs", func() bool { return ready(pods(admin, guarded, "web-")) == 2 })
	eventually(t, "probes are seen", func() bool {
		return strings.Count(e.ask("query", "--since", "10m"), "cat /etc/os-release && ls /") > 10
	})
	for _, a := range e.alerts(guarded) {
		t.Errorf("ordinary life raised %+v", a)
	}
	list := pods(admin, guarded, "web-")
	if len(list) != 2 {
		t.Fatalf("%d pods", len(list))
	}
	name := list[0].Metadata.Name
	out, err := admin.exec("admin", "/api/v1/namespaces/"+guarded+"/pods/"+name+"/exec", "/bin/sh", "-c", "cp /bin/busybox /tmp/true && /tmp/true && echo it-ran")
	if err == nil || strings.Contains(out, "it-ran") {
		t.Errorf("drift ran: %v %s", err, out)
	}
	var drift alert
	eventually(t, "drift is told", func() bool {
		for _, a := range e.alerts(guarded) {
			if a.Kind == "drift" {
				drift = a
				return true
			}
		}
		return false
	})
	c := drift.Container
	if w := c.Workload; w.Platform != "kubernetes" || w.Kind != "Deployment" || w.Name != "web" || w.Pod != name || w.Container != "c" || c.ImageDigest != digest || c.Image != registry.host()+"/web:1" || c.Runtime != "containerd" || drift.Done != "denied" && drift.Done != "killed" {
		t.Errorf("told as %+v of %+v", drift, c)
	}
	admin.do("DELETE", "/api/v1/namespaces/"+guarded+"/pods/"+name, "", nil)
	eventually(t, "the pod is gone", func() bool { return admin.do("GET", "/api/v1/namespaces/"+guarded+"/pods/"+name, "", nil).code == 404 })
	eventually(t, "a case is sealed", func() bool { return strings.Contains(e.ask("cases", "list"), guarded+"/"+name+"/c") })
	if tree := e.ask("query", "--container", name, "--tree"); !strings.Contains(tree, "/tmp/true") {
		t.Errorf("the events of a pod that is gone: %s", tree)
	}
	if out := e.ask("cases", "verify"); !strings.Contains(out, ": holds") {
		t.Errorf("cases: %s", out)
	}
}

// TestNodeProfile holds that the copies of a Deployment, before and after a
// rolling update, are one workload with one profile, and that what a copy does
// that none did before is told.
func TestNodeProfile(t *testing.T) {
	learned := "learned-" + shared.node.id // another node may run on this host
	admin, alice, _ := onNode(t, learned)
	registry := newRegistry(t)
	first := registry.add("web", "1", runnable("/bin/sh", "-c", "ls / && sleep 3600"))
	second := registry.add("web", "2", runnable("/bin/sh", "-c", "id && sleep 3600"))
	e := newEnforcer(t, "mode: audit\nworkloads: [{workload: \""+learned+"/*\", mode: learn}]\n")
	at := "/apis/apps/v1/namespaces/" + learned + "/deployments"
	if a := alice.create(at, deployment("web", registry.host()+"/web:1", 3)); a.code != 201 {
		t.Fatal(a)
	}
	eventually(t, "it runs", func() bool { return ready(pods(admin, learned, "web-")) == 3 })
	before := pods(admin, learned, "web-")
	if a := alice.do("PATCH", at+"/web", "application/strategic-merge-patch+json", []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"`+registry.host()+`/web:2"}]}}}}`)); a.code != 200 {
		t.Fatal(a)
	}
	eventually(t, "the update is rolled out", func() bool {
		list := pods(admin, learned, "web-")
		old := slices.ContainsFunc(list, func(p seen) bool {
			return slices.ContainsFunc(before, func(b seen) bool { return b.Metadata.UID == p.Metadata.UID })
		})
		return len(list) == 3 && ready(list) == 3 && !old
	})
	eventually(t, "all was seen", func() bool {
		return strings.Count(e.ask("query", "--container", learned+"/web/c"), "id && sleep") >= 3
	})
	e.stop()
	names, _ := filepath.Glob(filepath.Join(e.dir, "profiles", learned+"-*.yaml"))
	mine := 0
	for _, name := range names {
		data, _ := os.ReadFile(name)
		text := string(data)
		if !strings.Contains(text, "workload: "+learned+"/web/c\n") {
			continue // of sandboxes
		}
		mine++
		for _, want := range []string{first, second, "path: /bin/busybox", "starts: 6"} {
			if !strings.Contains(text, want) {
				t.Errorf("the profile lacks %s:\n%s", want, text)
			}
		}
		base := strings.TrimSuffix(filepath.Base(name), ".yaml")
		e.ask("profile", "promote", base, "--mode", "audit")
	}
	if mine != 1 {
		t.Fatalf("%d profiles of one workload: %v", mine, names)
	}
	write(t, filepath.Join(e.dir, "enforce.yaml"), "state: state\nprofiles: profiles\npin: false\nmode: audit\n")
	e.start()
	one := pods(admin, learned, "web-")[0].Metadata.Name
	if out, err := admin.exec("admin", "/api/v1/namespaces/"+learned+"/pods/"+one+"/exec", "/bin/httpd", "-p", "9999", "-h", "/etc"); err != nil {
		t.Fatal(err, out)
	}
	eventually(t, "what is new is told", func() bool {
		for _, a := range e.alerts(learned) {
			if a.Kind == "profile" && a.Container.Workload.Pod == one && a.Container.Workload.Name == "web" {
				return true
			}
		}
		return false
	})
}

// TestNodeByHand holds that a container that was made at containerd's socket,
// without Kubernetes, is known with its image, and that drift in it is stopped.
func TestNodeByHand(t *testing.T) {
	onNode(t, "shop")
	n := shared.node
	image := runnable("/bin/sleep", "3600")
	image.files["etc/by"] = "hand"
	if err := n.load("hand:1", image); err != nil {
		t.Fatal(err)
	}
	e := newEnforcer(t, "mode: audit\nworkloads: [{image: \"docker.io/library/hand:1\", mode: enforce}, {workload: by-hand, mode: enforce}]\n")
	ctr := func(args ...string) (string, error) {
		out, err := exec.Command("ctr", args...).CombinedOutput()
		return string(out), err
	}
	if out, err := ctr("-n", "k8s.io", "run", "-d", "docker.io/library/hand:1", "by-hand"); err != nil {
		t.Fatal(err, out)
	}
	t.Cleanup(func() {
		_, _ = ctr("-n", "k8s.io", "tasks", "rm", "-f", "by-hand")
		_, _ = ctr("-n", "k8s.io", "containers", "rm", "by-hand")
	})
	if out, err := ctr("-n", "k8s.io", "tasks", "exec", "--exec-id", "x", "by-hand", "/bin/sh", "-c", "cp /bin/busybox /tmp/true && /tmp/true && echo it-ran"); err == nil || strings.Contains(out, "it-ran") {
		t.Errorf("drift ran: %v %s", err, out)
	}
	eventually(t, "drift is told with its image", func() bool {
		for line := range strings.Lines(e.said()) {
			var a alert
			if json.Unmarshal([]byte(line), &a) == nil && a.Kind == "drift" && a.Container != nil && a.Container.ID == "by-hand" {
				return a.What == "/tmp/true" && a.Container.Runtime == "containerd" && a.Container.Image == "docker.io/library/hand:1" && strings.HasPrefix(a.Container.ImageDigest, "sha256:")
			}
		}
		return false
	})
	eventually(t, "a case is sealed", func() bool { return strings.Contains(e.ask("cases", "list"), "by-hand") })
}
