package kubernetes_test

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const signedPolicy = `
name: signed
mode: deny
controls:
  - {control: signature, keys: ["%s"]}
`

// TestTrust holds that images are let in by whose signature they bear, as
// trust.yaml says, and that a signature that comes later is known within verify.
func TestTrust(t *testing.T) {
	admin, alice, _, _ := users(t)
	namespace(t, admin, "shop", "gatehouse")
	registry := newRegistry(t)
	for _, tag := range []string{"signed", "foreign", "late", "plain"} {
		registry.push("app", tag, "musl", tag)
	}
	g := newGate(t, registry, "trust: trust.yaml\nverify: 1s\n")
	print := map[string]string{} // of keys
	for _, key := range []string{"ours", "theirs"} {
		if out, err := sekisho("keys", "generate", "--prefix", filepath.Join(g.dir, key)); err != nil {
			t.Fatal(err, out)
		}
		data, err := os.ReadFile(filepath.Join(g.dir, key+".pub"))
		block, _ := pem.Decode(data)
		if err != nil || block == nil {
			t.Fatal(err, string(data))
		}
		print[key] = fmt.Sprintf("sha256:%x", sha256.Sum256(block.Bytes))
	}
	sign := func(key, tag string) {
		t.Helper()
		if out, err := sekisho("sign", "--key", filepath.Join(g.dir, key+".key"), "--insecure", registry.host()+"/app:"+tag); err != nil {
			t.Fatal(err, out)
		}
	}
	sign("ours", "signed")
	sign("theirs", "foreign")
	write(t, filepath.Join(g.dir, "trust.yaml"), "keys: [ours.pub, theirs.pub]\n") // both are known, and the policy chooses
	write(t, filepath.Join(g.dir, "deny.yaml"), fmt.Sprintf(signedPolicy, print["ours"]))
	g.start()
	g.install(admin)
	create := func(tag string) answer {
		return alice.create(inShop+"?dryRun=All", pod("x-"+tag, registry.host()+"/app:"+tag, nil))
	}
	eventually(t, "the gate is asked", func() bool { return create("plain").code == 403 })
	if a := create("signed"); a.code != 201 {
		t.Errorf("signed by us: %s", a)
	}
	if a := create("plain"); a.code != 403 || !a.has("[signed/signature]") {
		t.Errorf("not signed: %s", a)
	}
	if a := create("foreign"); a.code != 403 || !a.has("[signed/signature]") {
		t.Errorf("signed by somebody else: %s", a)
	}
	if a := create("late"); a.code != 403 {
		t.Errorf("not signed yet: %s", a)
	}
	sign("ours", "late")
	eventually(t, "the signature that came later is known", func() bool { return create("late").code == 201 })
	if a := alice.create(deployments, map[string]any{"metadata": map[string]any{"name": "x"}, "spec": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"a": "b"}},
		"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "b"}}, "spec": pod("", registry.host()+"/app:plain", nil)["spec"]}}}); a.code != 403 || !a.has("[signed/signature]") {
		t.Errorf("a Deployment that is not signed: %s", a)
	}
	if !g.audit(`"subject":"deployments/shop/x"`, `"result":"deny"`, `"control":"signature"`) {
		t.Error("the audit log does not tell")
	}
}
