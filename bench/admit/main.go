// Command admit measures the gate at the Kubernetes API: admission reviews over
// HTTPS at a steady rate, with images and policies as a cluster has them, facts
// and audit log on disk. Latency is counted from when a request was due, not
// from when it was sent, so that a server that falls behind shows it. Client
// and server share the process.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/webhook"
	"sekisho/admit/webhook/certificate"
	"sekisho/admit/webhook/object"
	"sekisho/audit"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
	"sekisho/store"
)

func main() {
	debug.SetGCPercent(admit.GCPercent) // as sekisho admit serve does
	o := options{}
	flag.IntVar(&o.images, "images", 10_000, "images that are known")
	flag.IntVar(&o.policies, "policies", 50, "policies that are loaded")
	flag.IntVar(&o.scopes, "scopes", 10, "namespaces that the policies are spread over; 1 lets every policy judge every request")
	flag.IntVar(&o.rate, "rate", 1000, "requests a second")
	flag.DurationVar(&o.time, "time", 20*time.Second, "how long")
	flag.IntVar(&o.containers, "containers", 1, "containers of a pod")
	flag.StringVar(&o.profile, "profile", "", "write a processor profile of the load to this file")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	images, policies, scopes, rate, containers int
	time                                       time.Duration
	profile                                    string
}

func digest(n int) sekisho.Digest { return sekisho.Digest(fmt.Sprintf("sha256:%064x", n+1)) }

// image has 20 vulnerabilities, every tenth 300.
func image(n int) *fact.Image {
	user, count := "10001", 20
	if n%10 == 0 {
		count = 300
	}
	yes, now := true, time.Now()
	i := &fact.Image{ScannedAs: fmt.Sprintf("registry.example.org/app-%d:1", n), Digest: digest(n), Assessed: fact.Assessable(), Packages: []sekisho.Package{}, User: &user, Scanned: &now, SBOM: &yes}
	severities := []sekisho.Severity{sekisho.Low, sekisho.Medium, sekisho.Low, sekisho.Medium, sekisho.Low}
	for k := range count {
		i.Findings = append(i.Findings, sekisho.Finding{Kind: sekisho.Vulnerability, ID: fmt.Sprintf("CVE-2026-%05d", n*7+k), Severity: severities[k%len(severities)], Status: sekisho.StatusAffected,
			Package: &sekisho.PackageRef{Name: fmt.Sprintf("lib%d", k), Version: "1.2.3"}, FixedIn: []string{"1.2.4"}, Vulnerable: &sekisho.Vulnerable{}})
	}
	return i
}

// policy has a dozen controls.
func policy(n, scopes int) (*assurance.Policy, error) {
	text := fmt.Sprintf(`
name: policy-%d
mode: deny
scope: {namespaces: [team-%d]}
controls:
  - {control: severity, maximum: high}
  - {control: tags, denied: [latest-%d]}
  - {control: kev}
  - {control: secrets}
  - {control: malware}
  - {control: denied-packages, packages: [{name: xz-%d}]}
  - {control: root-user}
  - {control: privileged}
  - {control: host-access}
  - {control: capabilities, allowed: [NET_BIND_SERVICE]}
  - {control: registries, allowed: [registry.example.org]}
  - {control: digest-pinned}
`, n, n%scopes, n%10, n)
	return assurance.Parse(strings.NewReader(text), "policy.yaml")
}

// server is the gate as sekisho admit serve makes it.
func server(dir string, o options) (*webhook.Server, *admit.Gate, error) {
	facts, err := store.OpenFacts(filepath.Join(dir, "facts"))
	if err != nil {
		return nil, nil, err
	}
	for n := range o.images {
		if _, err := facts.Keep(image(n)); err != nil {
			return nil, nil, err
		}
	}
	log, err := audit.Open(filepath.Join(dir, "audit"))
	if err != nil {
		return nil, nil, err
	}
	var list []*assurance.Policy
	for n := range o.policies {
		p, err := policy(n, o.scopes)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, p)
	}
	rules := admit.Rules{Policies: assurance.NewSet(list...)}
	g := admit.New(admit.Options{Facts: facts, Rules: func() admit.Rules { return rules }, Log: log, Now: time.Now, Keep: 2 * o.images})
	c, err := webhook.ParseConfig(strings.NewReader("policies: [x]\nfacts: f\naudit: a\ncertificate: {directory: c, names: [127.0.0.1]}\n"), "bench")
	return webhook.New(webhook.Options{Config: c, Gate: g, Log: log, Now: time.Now}), g, err
}

// review is what an API server sends for a pod.
func review(n int, o options) []byte {
	var containers []map[string]any
	for c := range o.containers {
		containers = append(containers, map[string]any{"name": fmt.Sprint("c", c), "image": fmt.Sprintf("registry.example.org/app-%d@%s", (n+c)%o.images, digest((n+c)%o.images)),
			"env":       []map[string]any{{"name": "A", "value": strings.Repeat("x", 200)}, {"name": "B", "value": "y"}},
			"resources": map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "128Mi"}}, "terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent",
			"securityContext": map[string]any{"runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []string{"ALL"}}}})
	}
	pod, _ := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"generateName": "app-", "labels": map[string]any{"app": "x", "pod-template-hash": "abc"},
		"managedFields": []map[string]any{{"manager": "kube-controller-manager", "fieldsV1": map[string]any{"f:spec": strings.Repeat("f", 1500)}}}},
		"spec": map[string]any{"containers": containers, "restartPolicy": "Always", "serviceAccountName": "app", "schedulerName": "default-scheduler"}})
	data, _ := json.Marshal(object.Review{APIVersion: object.APIVersion, Kind: "AdmissionReview", Request: &object.Request{UID: fmt.Sprint(n), Kind: object.Kind{Version: "v1", Kind: "Pod"},
		Resource: object.Resource{Version: "v1", Resource: "pods"}, Namespace: fmt.Sprintf("team-%d", n%o.scopes), Operation: "CREATE",
		User: object.User{Name: "system:serviceaccount:kube-system:replicaset-controller", Groups: []string{"system:serviceaccounts", "system:authenticated"}}, Object: pod}})
	return data
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "sekisho-bench-admit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	start := time.Now()
	s, g, err := server(dir, o)
	if err != nil {
		return err
	}
	fmt.Printf("%d images, %d policies of a dozen controls, %d in scope of a request: made in %.1f s\n", o.images, o.policies, o.policies/o.scopes, time.Since(start).Seconds())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client, url, done, err := listen(ctx, s, dir)
	if err != nil {
		return err
	}
	if err := decisions(ctx, g, o); err != nil { // also makes all images ready
		return err
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	before := cpu()
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	took, failed := load(client, url, o)
	used := cpu() - before
	report(fmt.Sprintf("HTTPS, %d/s asked, %.0f/s answered", o.rate, float64(len(took))/o.time.Seconds()), took)
	fmt.Printf("%d failed; heap %d MiB; processor time of server and client together %.0f µs a request\n", failed, memory.HeapAlloc>>20, used.Seconds()*1e6/float64(max(len(took), 1)))
	cancel()
	return <-done
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// listen starts the server and returns a client that trusts it.
func listen(ctx context.Context, s *webhook.Server, dir string) (*http.Client, string, chan error, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	keys := certificate.New(certificate.Options{Store: certificate.Directory(filepath.Join(dir, "keys")), Names: []string{"127.0.0.1"}, Life: time.Hour, AuthorityLife: 24 * time.Hour, Now: time.Now})
	if err := keys.Refresh(ctx); err != nil {
		return nil, "", nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(keys.Bundle())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, webhook.Listeners{Webhook: l}, keys, time.Minute) }()
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}, "https://" + l.Addr().String() + "/validate?timeout=5s", done, nil
}

// decisions measures the gate alone, on every image twice; the first time is
// not counted.
func decisions(ctx context.Context, g *admit.Gate, o options) error {
	var took []time.Duration
	no, namespace := false, "team-0"
	for n := range 2 * o.images {
		q := admit.Question{Gate: "bench", Actor: "bench", Images: []admit.Image{{Reference: fmt.Sprintf("registry.example.org/app-%d@%s", n%o.images, digest(n%o.images)), Digest: digest(n % o.images),
			Request: fact.Request{Stage: fact.Run, Workload: &fact.Workload{Namespace: &namespace, Labels: map[string]string{}, Privileged: &no, HostNetwork: &no, HostPID: &no, HostIPC: &no, HostPaths: []string{}, AddCapabilities: []string{}}}}}}
		start := time.Now()
		a, err := g.Decide(ctx, q)
		if err != nil {
			return err
		}
		if a.Result != sekisho.Allow {
			return fmt.Errorf("image %d is denied: %d reasons, of control %s", n, len(a.Images[0].Reasons), a.Images[0].Reasons[0].Control)
		}
		if n >= o.images {
			took = append(took, time.Since(start))
		}
	}
	report("decision on known facts, audit log included", took)
	return nil
}

// load asks at a steady rate.
func load(client *http.Client, url string, o options) (took []time.Duration, failed int) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	total := int(o.time.Seconds() * float64(o.rate))
	bodies := make([][]byte, min(total, o.images))
	for n := range bodies {
		bodies[n] = review(n, o)
	}
	ask(client, url, bodies[0]) // an API server keeps its connection
	start := time.Now()
	for n := range total {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(o.rate))
		if d := time.Until(due); d > 0 {
			time.Sleep(d)
		}
		wait.Go(func() {
			ok := ask(client, url, bodies[n%len(bodies)])
			d := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, d); !ok {
				failed++
			}
		})
	}
	wait.Wait()
	return took, failed
}

func ask(client *http.Client, url string, body []byte) bool {
	resp, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return err == nil && bytes.Contains(data, []byte(`"allowed":true`))
}

func report(what string, took []time.Duration) {
	slices.Sort(took)
	at := func(p float64) time.Duration { return took[int(p*float64(len(took)-1))].Round(time.Microsecond) }
	fmt.Printf("%s: %d, p50 %s, p90 %s, p99 %s, p99.9 %s, most %s\n", what, len(took), at(.5), at(.9), at(.99), at(.999), at(1))
}
