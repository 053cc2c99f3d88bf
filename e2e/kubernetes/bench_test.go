package kubernetes_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// spread reports what lies at the middle and near the end, in milliseconds.
func spread(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	for _, q := range []float64{0.5, 0.99} {
		b.ReportMetric(float64(took[int(q*float64(len(took)-1))].Microseconds())/1000, fmt.Sprintf("%s-p%g-ms", name, q*100))
	}
}

// BenchmarkCreate creates pods by dry run, in turn in a namespace that is judged
// and pinned and in one that is left out, so that both see the same load of the
// machine.
func BenchmarkCreate(b *testing.B) {
	admin := shared.as("admin", "system:masters")
	namespace(b, admin, "shop", "free")
	registry := newRegistry(b)
	registry.push("app", "good", "musl")
	g := newGate(b, registry, "")
	g.start()
	g.install(admin, "--exempt", "free")
	eventually(b, "the gate is asked", func() bool {
		return admin.create(inShop+"?dryRun=All", pod("x", registry.host()+"/app:good", map[string]any{"securityContext": map[string]any{"privileged": true}})).code == 403
	})
	var took [2][]time.Duration
	for b.Loop() {
		for i, at := range []string{"/api/v1/namespaces/free/pods?dryRun=All", inShop + "?dryRun=All"} {
			start := time.Now()
			if a := admin.create(at, pod("x", registry.host()+"/app:good", nil)); a.code != 201 {
				b.Fatal(a)
			}
			took[i] = append(took[i], time.Since(start))
		}
	}
	spread(b, "free", took[0])
	spread(b, "judged", took[1])
}
