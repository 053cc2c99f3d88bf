package kubernetes_test

import (
	"os/exec"
	"strings"
	"testing"
)

// manifest is what sekisho prints, by document.
func manifest(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command(shared.tested, append([]string{"admit", "manifest", "--namespace", "gatehouse"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(out), "\n---\n")
}

// TestInstall holds that the API server takes every object of the manifest
// without an error or a warning, and that its strict reading finds no field
// that it does not know.
func TestInstall(t *testing.T) {
	admin, _, _, _ := users(t)
	namespace(t, admin, "gatehouse")
	paths := map[string]string{"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/namespaces/gatehouse/serviceaccounts", "Secret": "/api/v1/namespaces/gatehouse/secrets",
		"Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/gatehouse/roles", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/gatehouse/rolebindings",
		"ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "ConfigMap": "/api/v1/namespaces/gatehouse/configmaps",
		"Deployment": "/apis/apps/v1/namespaces/gatehouse/deployments", "PodDisruptionBudget": "/apis/policy/v1/namespaces/gatehouse/poddisruptionbudgets", "Service": "/api/v1/namespaces/gatehouse/services",
		"MutatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"}
	seen := 0
	for _, doc := range manifest(t, "--policy", "production", "--exempt", "istio-system") {
		kind := ""
		for line := range strings.Lines(doc) {
			if k, ok := strings.CutPrefix(line, "kind: "); ok {
				kind = strings.TrimSpace(k)
			}
		}
		seen++
		a := admin.create(paths[kind]+"?dryRun=All&fieldValidation=Strict", doc)
		if a.code != 201 && !(kind == "Namespace" && a.code == 409) && a.code != 409 || a.warnings != "" {
			t.Errorf("%s: %s", kind, a)
		}
	}
	if seen != len(paths) {
		t.Errorf("%d objects, want %d", seen, len(paths))
	}
}

const nativePolicy = `
name: Native.Shop
mode: deny
scope: {namespaces: [native-*]}
controls:
  - {control: privileged}
  - {control: privilege-escalation}
  - {control: host-access, allowed_paths: [/var/log/**]}
  - {control: capabilities, allowed: [NET_BIND_SERVICE], drop_all: true}
  - {control: read-only-root}
  - {control: root-user}
  - {control: registries, allowed: [registry.example.org, docker.io]}
  - {control: digest-pinned}
`

// TestNative holds that the API server accepts exported policies, and denies by
// them alone what sekisho denies, while no gate runs.
func TestNative(t *testing.T) {
	admin, alice, _, _ := users(t)
	namespace(t, admin, "native-1", "other")
	file := t.TempDir() + "/native.yaml"
	write(t, file, nativePolicy)
	apply(t, admin, "admit", "manifest", "--native", file)
	digest := "@sha256:" + strings.Repeat("a", 64)
	good := func() map[string]any {
		return map[string]any{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}, "add": []any{"NET_BIND_SERVICE"}}}
	}
	with := func(key string, value any) map[string]any {
		c := good()
		c[key] = value
		return c
	}
	host := func(change func(spec map[string]any)) map[string]any {
		p := pod("x", "nginx"+digest, map[string]any{"securityContext": good()})
		change(p["spec"].(map[string]any))
		return p
	}
	const at = "/api/v1/namespaces/native-1/pods?dryRun=All"
	eventually(t, "the policy is in force", func() bool { return alice.create(at, pod("x", "nginx", nil)).code == 403 })
	for name, c := range map[string]struct {
		pod  map[string]any
		want string // part of the message; empty for allowed
	}{
		"good":           {pod("x", "nginx"+digest, map[string]any{"securityContext": good()}), ""},
		"privileged":     {pod("x", "nginx"+digest, map[string]any{"securityContext": map[string]any{"privileged": true, "readOnlyRootFilesystem": true}}), "privileged"},
		"escalation":     {pod("x", "nginx"+digest, map[string]any{"securityContext": with("allowPrivilegeEscalation", true)}), "privilege escalation"},
		"capability":     {pod("x", "nginx"+digest, map[string]any{"securityContext": with("capabilities", map[string]any{"drop": []any{"ALL"}, "add": []any{"NET_RAW"}})}), "adds a capability"},
		"no drop":        {pod("x", "nginx"+digest, map[string]any{"securityContext": with("capabilities", map[string]any{})}), "does not drop"},
		"writable":       {pod("x", "nginx"+digest, map[string]any{"securityContext": with("readOnlyRootFilesystem", false)}), "root file system"},
		"root":           {pod("x", "nginx"+digest, map[string]any{"securityContext": with("runAsUser", 0)}), "user"},
		"root, refused":  {pod("x", "nginx"+digest, map[string]any{"securityContext": map[string]any{"runAsUser": 0, "runAsNonRoot": true, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}}}}), ""},
		"registry":       {pod("x", "evil.example.com/nginx"+digest, map[string]any{"securityContext": good()}), "evil.example.com/nginx"},
		"registry, good": {pod("x", "registry.example.org/nginx"+digest, map[string]any{"securityContext": good()}), ""},
		"tag":            {pod("x", "nginx:1", map[string]any{"securityContext": good()}), "not pinned"},
		"host network":   {host(func(s map[string]any) { s["hostNetwork"] = true }), "network namespace"},
		"host pid":       {host(func(s map[string]any) { s["hostPID"] = true }), "pid namespace"},
		"host path": {host(func(s map[string]any) {
			s["volumes"] = []any{map[string]any{"name": "v", "hostPath": map[string]any{"path": "/etc"}}}
		}), "mounts a path"},
		"host path, logs": {host(func(s map[string]any) {
			s["volumes"] = []any{map[string]any{"name": "v", "hostPath": map[string]any{"path": "/var/log/pods"}}}
		}), ""},
	} {
		a := alice.create(at, c.pod)
		if c.want == "" && a.code != 201 || c.want != "" && (a.code != 403 || !a.has("sekisho", c.want)) {
			t.Errorf("%s: %s, want %q", name, a, c.want)
		}
	}
	if a := alice.create("/api/v1/namespaces/other/pods?dryRun=All", pod("x", "nginx", nil)); a.code != 201 {
		t.Errorf("out of scope: %s", a)
	}
	deployment := map[string]any{"metadata": map[string]any{"name": "x"}, "spec": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"a": "b"}},
		"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "b"}}, "spec": pod("x", "nginx:1", nil)["spec"]}}}
	if a := alice.create("/apis/apps/v1/namespaces/native-1/deployments?dryRun=All", deployment); a.code == 201 {
		t.Errorf("a Deployment: %s", a)
	}
}
