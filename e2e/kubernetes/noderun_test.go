//go:build node

package kubernetes_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// deployment runs copies of an image.
func deployment(name, image string, replicas int) map[string]any {
	labels := map[string]any{"app": name}
	spec := pod("", image, nil)["spec"].(map[string]any)
	spec["terminationGracePeriodSeconds"] = 1
	return map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{"replicas": replicas, "selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": spec}}}
}

// seen is what the API tells of a pod.
type seen struct {
	Metadata struct{ Name, UID string }
	Status   struct {
		Phase             string
		PodIP             string
		ContainerStatuses []struct {
			Name, ContainerID, ImageID string
			Ready                      bool
			RestartCount               int
			State                      map[string]struct{ Reason, Message string }
		}
	}
}

// pods are those of a namespace whose names begin so.
func pods(c *client, namespace, prefix string) (list []seen) {
	var v struct{ Items []seen }
	_ = json.Unmarshal(c.do("GET", "/api/v1/namespaces/"+namespace+"/pods", "", nil).body, &v)
	for _, p := range v.Items {
		if strings.HasPrefix(p.Metadata.Name, prefix) {
			list = append(list, p)
		}
	}
	return list
}

// ready counts those whose containers all are.
func ready(list []seen) (n int) {
	for _, p := range list {
		all := len(p.Status.ContainerStatuses) > 0
		for _, c := range p.Status.ContainerStatuses {
			all = all && c.Ready
		}
		if all {
			n++
		}
	}
	return n
}

// onNode begins a test on the node: its namespaces, which end empty, and users.
func onNode(t *testing.T, names ...string) (admin, alice, sre *client) {
	t.Helper()
	admin, alice, sre, _ = users(t)
	namespace(t, admin, names...)
	t.Cleanup(func() {
		for _, n := range names {
			for _, kind := range []string{"/apis/apps/v1/namespaces/" + n + "/deployments", "/apis/apps/v1/namespaces/" + n + "/statefulsets", "/apis/apps/v1/namespaces/" + n + "/daemonsets", "/apis/batch/v1/namespaces/" + n + "/jobs"} {
				admin.do("DELETE", kind+"?propagationPolicy=Background", "", nil)
			}
			admin.do("DELETE", "/api/v1/namespaces/"+n+"/pods?gracePeriodSeconds=1", "", nil)
			eventually(t, "namespace "+n+" is empty", func() bool { return len(pods(admin, n, "")) == 0 })
		}
	})
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, n := range names {
			for _, p := range pods(admin, n, "") {
				t.Logf("%s/%s: %+v", n, p.Metadata.Name, p.Status)
			}
		}
		if name := os.Getenv("SEKISHO_LOGS"); name != "" { // for whoever looks for a mistake
			_ = exec.Command("cp", "-r", shared.dir, name).Run()
		}
	})
	return admin, alice, sre
}

// TestNodeDeployment holds that of two Deployments the good one runs, and the
// other is denied with its reasons and noted.
func TestNodeDeployment(t *testing.T) {
	admin, alice, _ := onNode(t, "shop")
	registry := newRegistry(t)
	registry.add("app", "good", runnable("/bin/sleep", "3600"))
	registry.push("app", "bad", "musl", "evil")
	g := newGate(t, registry, "")
	g.start()
	g.install(admin)
	eventually(t, "the gate is asked", func() bool {
		return alice.create(deployments+"?dryRun=All", deployment("bad", registry.host()+"/app:bad", 1)).code == 403
	})
	if a := alice.create(deployments, deployment("bad", registry.host()+"/app:bad", 1)); a.code != 403 || !a.has("denied-packages", "evil") {
		t.Errorf("a bad image: %s", a)
	}
	if !g.audit(`"subject":"deployments/shop/bad"`, `"result":"deny"`, `"actor":"alice"`) {
		t.Error("the audit log does not tell")
	}
	if a := alice.create(deployments, deployment("good", registry.host()+"/app:good", 2)); a.code != 201 {
		t.Fatalf("a good image: %s", a)
	}
	eventually(t, "two pods run", func() bool { return ready(pods(admin, "shop", "good-")) == 2 })
}
