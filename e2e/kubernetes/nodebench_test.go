//go:build node

package kubernetes_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// BenchmarkNodeStart runs pods, in turn in a namespace that the API's gate
// judges and in one that it leaves out; the node's gate judges both. It tells
// the time from the request until the kubelet says that the pod runs, and what
// the node's gate says that it took.
func BenchmarkNodeStart(b *testing.B) {
	admin := shared.as("admin", "system:masters")
	namespace(b, admin, "shop", "free")
	registry := newRegistry(b)
	registry.add("app", "good", runnable("/bin/sleep", "3600"))
	g := newGate(b, registry, "")
	g.start()
	g.install(admin, "--exempt", "free")
	eventually(b, "the gate is asked", func() bool {
		return admin.create(inShop+"?dryRun=All", pod("x", registry.host()+"/app:good", map[string]any{"securityContext": map[string]any{"privileged": true}})).code == 403
	})
	var took [2][]time.Duration
	n := 0
	for b.Loop() {
		for i, space := range []string{"free", "shop"} {
			n++
			name := fmt.Sprintf("b%d", n)
			p := pod(name, registry.host()+"/app:good", nil)
			p["spec"].(map[string]any)["terminationGracePeriodSeconds"] = 0
			start := time.Now()
			if a := admin.create("/api/v1/namespaces/"+space+"/pods", p); a.code != 201 {
				b.Fatal(a)
			}
			eventually(b, "it runs", func() bool { return ready(pods(admin, space, name)) == 1 })
			took[i] = append(took[i], time.Since(start))
			admin.do("DELETE", "/api/v1/namespaces/"+space+"/pods/"+name, "", nil)
			eventually(b, "it is gone", func() bool { return len(pods(admin, space, name)) == 0 })
		}
	}
	spread(b, "free", took[0])
	spread(b, "judged", took[1])
	var node []time.Duration
	for _, m := range regexp.MustCompile(`"gate":"nri".*?"latency_ns":([0-9]+)`).FindAllStringSubmatch((&gate{dir: shared.node.dir}).logged(), -1) {
		ns, err := strconv.Atoi(m[1])
		if err != nil {
			b.Fatal(err)
		}
		node = append(node, time.Duration(ns))
	}
	spread(b, "node-gate", node)
}
