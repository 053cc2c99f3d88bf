package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const inShop, deployments = "/api/v1/namespaces/shop/pods", "/apis/apps/v1/namespaces/shop/deployments"

// TestGate holds what users of a guarded cluster notice.
func TestGate(t *testing.T) {
	admin, alice, sre, oncall := users(t)
	namespace(t, admin, "shop", "soft", "gatehouse")
	registry := newRegistry(t)
	good := registry.push("app", "good", "musl")
	registry.push("app", "bad", "musl", "evil")
	image := func(tag string) string { return registry.host() + "/app:" + tag }
	g := newGate(t, registry, "")
	g.start()
	g.install(admin)
	eventually(t, "the gate is asked", func() bool {
		return alice.create(inShop+"?dryRun=All", pod("probe", image("good"), map[string]any{"securityContext": map[string]any{"privileged": true}})).code == 403
	})

	t.Run("denied with all reasons", func(t *testing.T) {
		a := alice.create(inShop, pod("evil", image("bad"), map[string]any{"securityContext": map[string]any{"privileged": true}}))
		if a.code != 403 || !a.has("sekisho", "container c", "evil", "the container is privileged", "[shop/denied-packages]", "[careful/read-only-root]") {
			t.Errorf("it says %s", a)
		}
		if !g.audit(`"actor":"alice"`, `"subject":"pods/shop/evil"`, `"result":"deny"`, `"control":"denied-packages"`) {
			t.Error("the audit log does not tell")
		}
	})
	t.Run("warned and pinned", func(t *testing.T) {
		a := alice.create(inShop, pod("good", image("good"), nil))
		if a.code != 201 || !a.has("careful/read-only-root") || !strings.Contains(string(a.body), image("good")+"@"+good) {
			t.Errorf("it says %s", a)
		}
		if !g.audit(`"result":"warn"`, good) {
			t.Error("the audit log does not tell")
		}
	})
	t.Run("dry run", func(t *testing.T) {
		if a := alice.create(inShop+"?dryRun=All", pod("dry", image("bad"), nil)); a.code != 403 {
			t.Errorf("it says %s", a)
		}
		if g.audit(`pods/shop/dry`) {
			t.Error("what was only tried is in the audit log")
		}
	})
	t.Run("on record at the API server", func(t *testing.T) {
		eventually(t, "the annotation", func() bool {
			data, _ := os.ReadFile(filepath.Join(shared.dir, "audit.log"))
			return strings.Contains(string(data), `"gate.sekisho.dev/decision":"deny"`) && strings.Contains(string(data), "gate.sekisho.dev/policies")
		})
	})
	t.Run("what makes pods", func(t *testing.T) { makers(t, alice, image) })
	t.Run("update of an image", func(t *testing.T) {
		patch := func(tag string) answer {
			return alice.do("PATCH", inShop+"/good", "application/strategic-merge-patch+json", []byte(`{"spec":{"containers":[{"name":"c","image":"`+image(tag)+`"}]}}`))
		}
		if a := patch("bad"); a.code != 403 || !a.has("denied-packages") {
			t.Errorf("a bad image: %s", a)
		}
		if a := alice.do("PATCH", inShop+"/good", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`)); a.code != 200 || a.warnings != "" {
			t.Errorf("a label: %s", a)
		}
	})
	t.Run("ephemeral container", func(t *testing.T) {
		add := func(tag string) answer {
			return alice.do("PATCH", inShop+"/good/ephemeralcontainers", "application/strategic-merge-patch+json", []byte(`{"spec":{"ephemeralContainers":[{"name":"debug","image":"`+image(tag)+`"}]}}`))
		}
		if a := add("bad"); a.code != 403 || !a.has("ephemeral debug", "denied-packages") {
			t.Errorf("a bad one: %s", a)
		}
		if a := add("good"); a.code != 200 || strings.Count(string(a.body), "@"+good) < 2 {
			t.Errorf("a good one: %s", a)
		}
	})
	t.Run("sessions", func(t *testing.T) {
		for _, path := range []string{"/exec?command=sh&container=c", "/attach?container=c", "/portforward?ports=80", "/proxy/"} {
			if a := alice.do("POST", inShop+"/good"+path, "", nil); a.code != 403 || !a.has("alice may not use pods/"+strings.Trim(strings.SplitN(path, "?", 2)[0], "/")) {
				t.Errorf("%s: %s", path, a)
			}
		}
		if a := oncall.do("POST", inShop+"/good/exec?command=sh&container=c", "", nil); a.code == 403 {
			t.Errorf("who may: %s", a)
		}
		if a := alice.do("GET", "/api/v1/nodes/n1/proxy/pods", "", nil); a.code != 403 || !a.has("nodes/proxy") {
			t.Errorf("nodes/proxy: %s", a)
		}
		if !g.audit(`"action":"session"`, `"result":"deny"`, `\"command\":[\"sh\"]`) || !g.audit(`"action":"session"`, `"actor":"oncall"`, `"result":"allow"`) {
			t.Error("the audit log does not tell")
		}
	})
	t.Run("break-glass", func(t *testing.T) {
		p := pod("urgent", image("bad"), nil)
		p["metadata"] = map[string]any{"name": "urgent", "annotations": map[string]any{"sekisho.dev/break-glass": "incident 7"}}
		if a := alice.create(inShop, p); a.code != 403 || !a.has("may not use break-glass") {
			t.Errorf("who may not: %s", a)
		}
		if a := sre.create(inShop, p); a.code != 201 || !a.has("break-glass was used", "denied-packages") {
			t.Errorf("who may: %s", a)
		}
		if !g.audit(`"action":"admit.break-glass"`, `"actor":"sam"`, "incident 7", `"result":"allow"`) {
			t.Error("the audit log does not tell")
		}
	})
	t.Run("a tag that moves", func(t *testing.T) {
		registry.push("app", "moving", "musl")
		if a := alice.create(inShop, pod("before", image("moving"), nil)); a.code != 201 {
			t.Fatal(a)
		}
		registry.push("app", "moving", "musl", "evil")
		eventually(t, "the new image is judged", func() bool { return alice.create(inShop+"?dryRun=All", pod("after", image("moving"), nil)).code == 403 })
	})
	t.Run("not in time", func(t *testing.T) {
		if a := alice.create(inShop, pod("late", image("hangs"), nil)); a.code != 403 || !a.has("could not be found out in time") {
			t.Errorf("a closed namespace: %s", a)
		}
		if a := alice.create("/api/v1/namespaces/soft/pods", pod("late", image("hangs"), nil)); a.code != 201 || !a.has("lets it pass") {
			t.Errorf("an open namespace: %s", a)
		}
		if a := alice.create("/api/v1/namespaces/soft/pods", pod("late2", image("hangs"), map[string]any{"securityContext": map[string]any{"privileged": true}})); a.code != 403 {
			t.Errorf("what is known to be bad: %s", a)
		}
		if !g.audit(`"action":"admit.failure"`, `"failure":"deadline"`, `"result":"deny"`) || !g.audit(`"action":"admit.failure"`, `"failure":"deadline"`, `"result":"allow"`) {
			t.Error("the audit log does not tell")
		}
	})
	t.Run("own namespace", func(t *testing.T) {
		if a := alice.create("/api/v1/namespaces/gatehouse/pods", pod("self", image("bad"), nil)); a.code != 201 || a.warnings != "" {
			t.Errorf("it says %s", a)
		}
	})
	t.Run("metrics", func(t *testing.T) {
		resp, err := http.Get("http://127.0.0.1:" + g.health + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data := make([]byte, 1<<16)
		n, _ := resp.Body.Read(data)
		for _, want := range []string{`sekisho_admit_decisions_total{result="deny",kind="Pod"}`, "sekisho_admit_seconds_bucket", "sekisho_admit_certificate_until_seconds"} {
			if !strings.Contains(string(data[:n]), want) {
				t.Errorf("the metrics lack %s:\n%s", want, data[:n])
			}
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		g.stop()
		if a := alice.create(inShop, pod("lost", image("good"), nil)); a.code != 500 || !a.has("gate.sekisho.dev") {
			t.Errorf("a closed namespace: %s", a)
		}
		if a := alice.create("/api/v1/namespaces/soft/pods", pod("lost", image("bad"), nil)); a.code != 201 {
			t.Errorf("an open namespace: %s", a)
		}
		if a := alice.create("/api/v1/namespaces/gatehouse/pods", pod("again", image("good"), nil)); a.code != 201 {
			t.Errorf("the gate locks itself out: %s", a)
		}
		if a := alice.do("PATCH", inShop+"/good", "application/merge-patch+json", []byte(`{"metadata":{"finalizers":[],"labels":{"c":"d"}}}`)); a.code != 200 {
			t.Errorf("a finalizer cannot be removed: %s", a)
		}
		if a := alice.do("DELETE", inShop+"/urgent", "", nil); a.code != 200 {
			t.Errorf("a pod cannot be deleted: %s", a)
		}
		g.start()
		if a := alice.create(inShop, pod("found", image("good"), nil)); a.code != 201 {
			t.Errorf("after a restart: %s", a)
		}
		if a := alice.create("/api/v1/namespaces/soft/pods", pod("evil", image("bad"), nil)); a.code != 403 {
			t.Errorf("after a restart an open namespace is not judged: %s", a)
		}
	})
}

// makers holds that all that makes pods is judged where it is made.
func makers(t *testing.T, alice *client, image func(string) string) {
	for path, kind := range map[string]string{"/apis/apps/v1/namespaces/shop/deployments": "Deployment", "/apis/apps/v1/namespaces/shop/replicasets": "ReplicaSet", "/apis/apps/v1/namespaces/shop/statefulsets": "StatefulSet",
		"/apis/apps/v1/namespaces/shop/daemonsets": "DaemonSet", "/apis/batch/v1/namespaces/shop/jobs": "Job", "/apis/batch/v1/namespaces/shop/cronjobs": "CronJob",
		"/api/v1/namespaces/shop/replicationcontrollers": "ReplicationController", "/api/v1/namespaces/shop/podtemplates": "PodTemplate"} {
		make := func(tag string) map[string]any {
			template := map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "x"}}, "spec": pod("", image(tag), nil)["spec"]}
			spec := map[string]any{"template": template, "selector": map[string]any{"matchLabels": map[string]any{"app": "x"}}}
			o := map[string]any{"metadata": map[string]any{"name": "x-" + tag}, "spec": spec}
			switch kind {
			case "Job":
				delete(spec, "selector")
				template["spec"].(map[string]any)["restartPolicy"] = "Never"
			case "CronJob":
				delete(spec, "selector")
				template["spec"].(map[string]any)["restartPolicy"] = "Never"
				o["spec"] = map[string]any{"schedule": "@daily", "jobTemplate": map[string]any{"spec": spec}}
			case "ReplicationController":
				spec["selector"] = map[string]any{"app": "x"}
			case "StatefulSet":
				spec["serviceName"] = "x"
			case "PodTemplate":
				delete(o, "spec")
				o["template"] = template
			}
			return o
		}
		if a := alice.create(path, make("bad")); a.code != 403 || !a.has(kind, "denied-packages") {
			t.Errorf("a bad %s: %s", kind, a)
		}
		if a := alice.create(path, make("good")); a.code != 201 {
			t.Errorf("a good %s: %s", kind, a)
		}
	}
	const at = "/apis/apps/v1/namespaces/shop/deployments/x-good"
	if a := alice.do("PATCH", at+"/scale", "application/merge-patch+json", []byte(`{"spec":{"replicas":3}}`)); a.code != 200 {
		t.Errorf("scaling: %s", a)
	}
	if a := alice.do("PATCH", at, "application/strategic-merge-patch+json", []byte(`{"spec":{"template":{"spec":{"initContainers":[{"name":"i","image":"`+image("bad")+`"}]}}}}`)); a.code != 403 || !a.has("init i") {
		t.Errorf("a bad init container: %s", a)
	}
}

// TestRotation holds that nobody is turned away while keys and authority are
// renewed, with the gate's state in a secret and its authority in the webhook
// configurations, by no more rights than the manifest gives.
func TestRotation(t *testing.T) {
	admin, alice, _, _ := users(t)
	namespace(t, admin, "shop", "gatehouse")
	registry := newRegistry(t)
	registry.push("app", "good", "musl")
	token := rights(t, admin)
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, registry, fmt.Sprintf(`
api: {server: "%s", token: %s, ca: %s}
certificate: {secret: sekisho-admit, names: [127.0.0.1], webhooks: [sekisho], life: 10s, authority_life: 18s, settle: 3s}
`, shared.url, tokenFile, filepath.Join(shared.dir, "ca.crt")))
	g.install(admin)
	g.start()
	deny := pod("probe", registry.host()+"/app:good", map[string]any{"securityContext": map[string]any{"privileged": true}})
	eventually(t, "the gate is asked", func() bool { return alice.create(inShop+"?dryRun=All", deny).code == 403 })

	seen := func() (authorities int, bundle string) {
		var v struct {
			Webhooks []struct{ ClientConfig struct{ CABundle []byte } }
		}
		_ = json.Unmarshal(admin.do("GET", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sekisho", "", nil).body, &v)
		if len(v.Webhooks) == 0 {
			return 0, ""
		}
		bundle = string(v.Webhooks[0].ClientConfig.CABundle)
		return strings.Count(bundle, "BEGIN"), bundle
	}
	_, first := seen()
	ctx, cancel := context.WithCancel(t.Context())
	var asked, lost atomic.Int64
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			for ctx.Err() == nil {
				a := alice.create(inShop+"?dryRun=All", deny)
				asked.Add(1)
				if a.code != 403 {
					lost.Add(1)
					t.Errorf("turned away: %s", a)
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	two := false
	eventually(t, "another authority alone", func() bool {
		n, bundle := seen()
		two = two || n > 1
		return two && n >= 1 && !strings.Contains(bundle, first)
	})
	cancel()
	wait.Wait()
	t.Logf("%d requests while the authority was replaced, %d lost", asked.Load(), lost.Load())
	if asked.Load() < 20 {
		t.Errorf("only %d requests were made", asked.Load())
	}
}

// rights gives a service account what the manifest gives, and returns a token.
func rights(t *testing.T, admin *client) string {
	t.Helper()
	docs := manifest(t)
	for _, doc := range docs {
		path := ""
		for kind, p := range map[string]string{"ServiceAccount": "/api/v1/namespaces/gatehouse/serviceaccounts", "Secret": "/api/v1/namespaces/gatehouse/secrets", "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/gatehouse/roles",
			"RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/gatehouse/rolebindings", "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"} {
			if strings.Contains(doc, "\nkind: "+kind+"\n") {
				path = p
			}
		}
		if path == "" {
			continue
		}
		if a := admin.create(path, doc); a.code != 201 {
			t.Fatal(a)
		}
	}
	a := admin.create("/api/v1/namespaces/gatehouse/serviceaccounts/sekisho/token", `{"spec":{"expirationSeconds":3600}}`)
	var v struct{ Status struct{ Token string } }
	if err := json.Unmarshal(a.body, &v); err != nil || v.Status.Token == "" {
		t.Fatal(a)
	}
	return v.Status.Token
}
