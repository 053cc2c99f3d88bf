package admit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/audit"
	"sekisho/policy/assurance"
	"sekisho/policy/fact"
)

const strict = `
name: strict
mode: deny
controls:
  - control: severity
    maximum: medium
`

func digest(n int) sekisho.Digest { return sekisho.Digest(fmt.Sprintf("sha256:%064x", n)) }

// known are facts in memory.
type known struct {
	mu     sync.Mutex
	images map[sekisho.Digest]*fact.Image
	reads  int
}

func (k *known) Version(d sekisho.Digest) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.images[d] == nil {
		return ""
	}
	return fmt.Sprintf("%s-%d", d, len(k.images[d].Findings))
}

func (k *known) Image(d sekisho.Digest) (*fact.Image, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	if i := k.images[d]; i != nil {
		return i, nil
	}
	return nil, sekisho.Errorf(sekisho.NotFound, "unknown")
}

func (k *known) keep(d sekisho.Digest, severities ...sekisho.Severity) {
	i := &fact.Image{Digest: d, Assessed: fact.Assessable(), Packages: []sekisho.Package{}, Findings: []sekisho.Finding{}, Feeds: []sekisho.Feed{{Name: "debian", Checked: time.Unix(0, 0)}, {Name: "own"}}}
	for n, s := range severities {
		i.Findings = append(i.Findings, sekisho.Finding{Kind: sekisho.Vulnerability, ID: fmt.Sprintf("CVE-2026-%04d", n), Severity: s, Status: sekisho.StatusAffected,
			Package: &sekisho.PackageRef{Name: "p", Version: "1"}, Vulnerable: &sekisho.Vulnerable{}})
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.images[d] = i
}

// log keeps entries.
type log struct {
	mu      sync.Mutex
	entries []audit.Entry
}

func (l *log) Append(e ...audit.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e...)
	return nil
}

// scanner keeps facts when it is let go.
type scanner struct {
	known   *known
	release chan struct{}
	mu      sync.Mutex
	calls   int
}

func (s *scanner) Scan(_ context.Context, _ string, d sekisho.Digest) error {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	<-s.release
	if s.known == nil {
		return errors.New("no such image")
	}
	s.known.keep(d)
	return nil
}

func gate(t testing.TB, k *known, s admit.Scanner, l admit.Log) *admit.Gate {
	t.Helper()
	p, err := assurance.Parse(strings.NewReader(strict), "strict.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules := admit.Rules{Policies: assurance.NewSet(p)}
	return admit.New(admit.Options{Facts: k, Scanner: s, Rules: func() admit.Rules { return rules }, Log: l, Now: time.Now})
}

func ask(t testing.TB, g *admit.Gate, digests ...sekisho.Digest) *admit.Answer {
	t.Helper()
	q := admit.Question{Gate: "test", Actor: "alice", Subject: "pods/shop/cart"}
	for _, d := range digests {
		q.Images = append(q.Images, admit.Image{Reference: "registry.example.org/app:1", Digest: d})
	}
	a, err := g.Decide(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDecide(t *testing.T) {
	k, l := &known{images: map[sekisho.Digest]*fact.Image{}}, &log{}
	k.keep(digest(1))
	k.keep(digest(2), sekisho.High, sekisho.Critical)
	g := gate(t, k, nil, l)
	if a := ask(t, g, digest(1)); a.Result != sekisho.Allow || a.Facts[0] == "" {
		t.Errorf("a clean image: %+v", a)
	}
	a := ask(t, g, digest(1), digest(2))
	if a.Result != sekisho.Deny || a.Images[0].Result != sekisho.Allow || a.Images[1].Result != sekisho.Deny || len(a.Images[1].Reasons) != 2 {
		t.Errorf("one of two: %+v", a)
	}
	if a := ask(t, g, digest(3)); a.Result != sekisho.Deny || a.Images[0].Reasons[0].Result != sekisho.ControlNotAssessed {
		t.Errorf("an unknown image: %+v", a.Images[0])
	}
	if len(l.entries) != 4 || l.entries[2].Result != sekisho.Deny || l.entries[2].Actor != "alice" || l.entries[2].Details["digest"] != string(digest(2)) || l.entries[2].Facts == "" || !strings.HasPrefix(l.entries[2].Policies[0], "strict@sha256:") {
		t.Errorf("the audit log has %+v", l.entries)
	}
	if f := l.entries[0].Feeds; f["debian"] != "1970-01-01T00:00:00Z" || f["own"] != "undated" {
		t.Errorf("the audit log has feeds %v", f)
	}
	reads := k.reads
	ask(t, g, digest(1))
	if k.reads != reads {
		t.Error("facts that did not change were read again")
	}
	k.keep(digest(1), sekisho.Critical)
	if a := ask(t, g, digest(1)); a.Result != sekisho.Deny {
		t.Error("new facts are not seen")
	}
}

// TestOneScan holds that many who ask for an unknown image share one scan.
func TestOneScan(t *testing.T) {
	k := &known{images: map[sekisho.Digest]*fact.Image{}}
	s := &scanner{known: k, release: make(chan struct{})}
	g := gate(t, k, s, nil)
	var wait sync.WaitGroup
	results := make(chan string, 8)
	for range 8 {
		wait.Go(func() { results <- ask(t, g, digest(7)).Result })
	}
	close(s.release)
	wait.Wait()
	for range 8 {
		if r := <-results; r != sekisho.Allow {
			t.Errorf("it says %s", r)
		}
	}
	if s.calls < 1 || s.calls > 8 {
		t.Errorf("%d scans", s.calls)
	}
}

// TestScanFails holds that the audit log tells why an image stayed unknown.
func TestScanFails(t *testing.T) {
	l := &log{}
	s := &scanner{release: make(chan struct{})}
	close(s.release)
	g := gate(t, &known{images: map[sekisho.Digest]*fact.Image{}}, s, l)
	if a := ask(t, g, digest(5)); a.Result != sekisho.Deny || l.entries[0].Details["scan"] != "no such image" {
		t.Errorf("it says %s and notes %+v", a.Result, l.entries)
	}
}

// TestDeadline holds that a scan that takes too long leaves the image unknown,
// and that its result serves the next who asks.
func TestDeadline(t *testing.T) {
	k := &known{images: map[sekisho.Digest]*fact.Image{}}
	s := &scanner{known: k, release: make(chan struct{})}
	g := gate(t, k, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, err := g.Decide(ctx, admit.Question{Images: []admit.Image{{Reference: "a:1", Digest: digest(9)}}})
	if err != nil || a.Result != sekisho.Deny {
		t.Errorf("%+v, %v", a, err)
	}
	close(s.release)
	if a := ask(t, g, digest(9)); a.Result != sekisho.Allow {
		t.Errorf("later it says %s", a.Result)
	}
	if s.calls != 1 {
		t.Errorf("%d scans", s.calls)
	}
}

func BenchmarkDecide(b *testing.B) {
	k := &known{images: map[sekisho.Digest]*fact.Image{}}
	var list []sekisho.Severity
	for range 300 {
		list = append(list, sekisho.Low)
	}
	k.keep(digest(1), list...)
	g := gate(b, k, nil, nil)
	for b.Loop() {
		ask(b, g, digest(1))
	}
}
