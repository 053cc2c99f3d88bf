//go:build node

package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// own is the program's image, of nothing but the program.
func own(t *testing.T) content {
	t.Helper()
	data, err := os.ReadFile(shared.tested)
	if err != nil {
		t.Fatal(err)
	}
	return content{files: map[string]string{"bin/sekisho": string(data)}, entry: []string{"/bin/sekisho"}}
}

// objects are where kinds of the manifest are made.
func objects() map[string]string {
	const in = "/namespaces/gatehouse/"
	return map[string]string{"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1" + in + "serviceaccounts", "Secret": "/api/v1" + in + "secrets", "ConfigMap": "/api/v1" + in + "configmaps", "Service": "/api/v1" + in + "services",
		"Role": "/apis/rbac.authorization.k8s.io/v1" + in + "roles", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1" + in + "rolebindings", "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
		"Deployment": "/apis/apps/v1" + in + "deployments", "StatefulSet": "/apis/apps/v1" + in + "statefulsets", "PodDisruptionBudget": "/apis/policy/v1" + in + "poddisruptionbudgets",
		"MutatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"}
}

// deploy installs the gate in the cluster as people do, with a policy and a
// registry of the test's, and takes it away at the end.
func deploy(t *testing.T, admin *client, registry *images, certificate string, args ...string) {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "own.yaml")
	write(t, policy, denyPolicy)
	for _, doc := range manifest(t, append([]string{"--image", registry.host() + "/sekisho:1", "--policy", policy, "--open", "kube-system"}, args...)...) {
		kind := ""
		for line := range strings.Lines(doc) {
			if k, ok := strings.CutPrefix(line, "kind: "); ok {
				kind = strings.TrimSpace(k)
			}
		}
		if kind == "ConfigMap" {
			doc = strings.Replace(doc, "    pin: pods\n", "    pin: pods\n    resolve: {insecure: [\""+registry.host()+"\"]}\n    sessions: {action: deny}\n", 1)
			doc = strings.Replace(doc, "      webhooks: [sekisho]\n", "      webhooks: [sekisho]\n"+certificate, 1)
		}
		a := admin.create(objects()[kind], doc)
		if kind == "Namespace" && a.code == 409 { // another test made it, without the labels that bind what runs there
			a = admin.do("PATCH", objects()[kind]+"/gatehouse?fieldManager=test&force=true", "application/apply-patch+yaml", []byte(doc))
		}
		if a.code != 201 && a.code != 200 || a.warnings != "" {
			t.Fatalf("%s: %s", kind, a)
		}
		var made struct{ Metadata struct{ Name string } }
		_ = json.Unmarshal(a.body, &made)
		if kind != "Namespace" && a.code == 201 {
			t.Cleanup(func() {
				admin.do("DELETE", objects()[kind]+"/"+made.Metadata.Name+"?propagationPolicy=Background", "", nil)
			})
		}
	}
}

// TestNodeInstall holds what people get who apply the manifest: servers in pods
// that guard the cluster by keys of their own making, renew them while nobody is
// turned away, and come back by themselves when they are all gone although
// everything else is closed then.
func TestNodeInstall(t *testing.T) {
	admin, alice, _ := onNode(t, "shop", "gatehouse")
	registry := newRegistry(t)
	registry.add("sekisho", "1", own(t))
	registry.add("app", "good", runnable("/bin/sleep", "3600"))
	registry.push("app", "bad", "musl", "evil")
	deploy(t, admin, registry, "      life: 20s\n      authority_life: 36s\n      settle: 6s\n")
	eventually(t, "two servers are ready", func() bool { return ready(pods(admin, "gatehouse", "sekisho-")) == 2 })
	bad, good := deployment("bad", registry.host()+"/app:bad", 1), deployment("good", registry.host()+"/app:good", 1)
	eventually(t, "they are asked", func() bool { return alice.create(deployments+"?dryRun=All", bad).code == 403 })
	if a := alice.create(deployments, bad); a.code != 403 || !a.has("denied-packages", "evil") {
		t.Errorf("a bad image: %s", a)
	}
	if a := alice.create(deployments, good); a.code != 201 {
		t.Fatalf("a good image: %s", a)
	}
	eventually(t, "it runs", func() bool { return ready(pods(admin, "shop", "good-")) == 1 })
	renewed(t, admin, alice, bad)

	// All servers go at once: nothing is let in, but the servers themselves.
	before := pods(admin, "gatehouse", "sekisho-")
	for _, p := range before {
		if a := admin.do("DELETE", "/api/v1/namespaces/gatehouse/pods/"+p.Metadata.Name+"?gracePeriodSeconds=0", "", nil); a.code != 200 {
			t.Fatal(a)
		}
	}
	closed := false
	eventually(t, "the servers come back", func() bool {
		a := alice.create(inShop+"?dryRun=All", pod("x", registry.host()+"/app:good", nil))
		closed = closed || a.code == 500 && a.has("gate.sekisho.dev")
		if !closed && a.code != 201 {
			t.Errorf("without servers: %s", a)
		}
		return closed && a.code == 201
	})
	eventually(t, "bad images are denied again", func() bool { return alice.create(deployments+"?dryRun=All", bad).code == 403 })
	for _, p := range pods(admin, "gatehouse", "sekisho-") {
		for _, old := range before {
			if p.Metadata.UID == old.Metadata.UID {
				t.Errorf("%s was not replaced", p.Metadata.Name)
			}
		}
	}
}

// renewed asks while keys and authority are replaced.
func renewed(t *testing.T, admin, alice *client, denied any) {
	t.Helper()
	bundle := func() string {
		var v struct {
			Webhooks []struct{ ClientConfig struct{ CABundle []byte } }
		}
		_ = json.Unmarshal(admin.do("GET", objects()["ValidatingWebhookConfiguration"]+"/sekisho", "", nil).body, &v)
		if len(v.Webhooks) == 0 {
			return ""
		}
		return string(v.Webhooks[0].ClientConfig.CABundle)
	}
	first := bundle()
	ctx, cancel := context.WithCancel(t.Context())
	var asked, lost atomic.Int64
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for ctx.Err() == nil {
				a := alice.create(deployments+"?dryRun=All", denied)
				if asked.Add(1); a.code != 403 {
					lost.Add(1)
					t.Errorf("turned away: %s", a)
				}
				<-time.After(50 * time.Millisecond)
			}
		})
	}
	eventually(t, "the authority is replaced", func() bool { b := bundle(); return b != "" && !strings.Contains(b, strings.TrimSpace(first)) })
	cancel()
	wait.Wait()
	t.Logf("%d requests while the authority was replaced, %d lost", asked.Load(), lost.Load())
}

// TestNodeStorage holds that with --storage the audit log outlives its server.
func TestNodeStorage(t *testing.T) {
	admin, alice, _ := onNode(t, "shop", "gatehouse")
	registry := newRegistry(t)
	registry.add("sekisho", "1", own(t))
	registry.push("app", "bad", "musl", "evil")
	dir := t.TempDir()
	if err := os.Chown(dir, 65532, 65532); err != nil { // the test's volume knows no fsGroup
		t.Fatal(err)
	}
	if a := admin.create("/api/v1/persistentvolumes", fmt.Sprintf(`{metadata: {name: gate}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: here, hostPath: {path: %q}}}`, dir)); a.code != 201 {
		t.Fatal(a)
	}
	t.Cleanup(func() {
		admin.do("DELETE", "/api/v1/namespaces/gatehouse/persistentvolumeclaims", "", nil)
		admin.do("DELETE", "/api/v1/persistentvolumes/gate", "", nil)
	})
	deploy(t, admin, registry, "", "--replicas", "1", "--storage", "1Gi", "--storage-class", "here")
	eventually(t, "the server is ready", func() bool { return ready(pods(admin, "gatehouse", "sekisho-0")) == 1 })
	bad := deployment("bad", registry.host()+"/app:bad", 1)
	eventually(t, "it is asked", func() bool { return alice.create(deployments, bad).code == 403 })
	seq := func() int { return strings.Count((&gate{dir: dir}).logged(), `"subject":"deployments/shop/bad"`) }
	before, old := seq(), pods(admin, "gatehouse", "sekisho-0")
	if before == 0 {
		t.Fatal("nothing was noted")
	}
	admin.do("DELETE", "/api/v1/namespaces/gatehouse/pods/sekisho-0", "", nil)
	eventually(t, "another server is ready", func() bool {
		now := pods(admin, "gatehouse", "sekisho-0")
		return len(now) == 1 && now[0].Metadata.UID != old[0].Metadata.UID && ready(now) == 1
	})
	eventually(t, "it is asked", func() bool { return alice.create(deployments, bad).code == 403 })
	if after := seq(); after <= before {
		t.Errorf("%d entries before, %d after", before, after)
	}
	out, err := sekisho("audit", "verify", "--audit", filepath.Join(dir, "audit"))
	if err != nil {
		t.Errorf("the chain of the log: %v %s", err, out)
	}
}
