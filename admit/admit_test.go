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
	"sekisho/admit/admittest"
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

// image has vulnerabilities.
func image(d sekisho.Digest, severities ...sekisho.Severity) *fact.Image {
	i := admittest.Image(d)
	i.Feeds = []sekisho.Feed{{Name: "debian", Checked: time.Unix(0, 0)}, {Name: "own"}}
	for n, s := range severities {
		i.Findings = append(i.Findings, admittest.Vulnerability(fmt.Sprintf("CVE-2026-%04d", n), s))
	}
	return i
}

// scanner keeps facts when it is let go.
type scanner struct {
	known   *admittest.Facts
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
	s.known.Keep(image(d))
	return nil
}

func gate(t testing.TB, k *admittest.Facts, s admit.Scanner, l admit.Log) *admit.Gate {
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
	k, l := &admittest.Facts{}, &admittest.Log{}
	k.Keep(image(admittest.Digest(1)))
	k.Keep(image(admittest.Digest(2), sekisho.High, sekisho.Critical))
	g := gate(t, k, nil, l)
	if a := ask(t, g, admittest.Digest(1)); a.Result != sekisho.Allow || a.Facts[0] == "" {
		t.Errorf("a clean image: %+v", a)
	}
	a := ask(t, g, admittest.Digest(1), admittest.Digest(2))
	if a.Result != sekisho.Deny || a.Images[0].Result != sekisho.Allow || a.Images[1].Result != sekisho.Deny || len(a.Images[1].Reasons) != 2 {
		t.Errorf("one of two: %+v", a)
	}
	if a := ask(t, g, admittest.Digest(3)); a.Result != sekisho.Deny || a.Images[0].Reasons[0].Result != sekisho.ControlNotAssessed {
		t.Errorf("an unknown image: %+v", a.Images[0])
	}
	if len(l.Entries()) != 4 || l.Entries()[2].Result != sekisho.Deny || l.Entries()[2].Actor != "alice" || l.Entries()[2].Details["digest"] != string(admittest.Digest(2)) || l.Entries()[2].Facts == "" || !strings.HasPrefix(l.Entries()[2].Policies[0], "strict@sha256:") {
		t.Errorf("the audit log has %+v", l.Entries())
	}
	if f := l.Entries()[0].Feeds; f["debian"] != "1970-01-01T00:00:00Z" || f["own"] != "undated" {
		t.Errorf("the audit log has feeds %v", f)
	}
	reads := k.Reads()
	ask(t, g, admittest.Digest(1))
	if k.Reads() != reads {
		t.Error("facts that did not change were read again")
	}
	k.Keep(image(admittest.Digest(1), sekisho.Critical))
	if a := ask(t, g, admittest.Digest(1)); a.Result != sekisho.Deny {
		t.Error("new facts are not seen")
	}
}

// TestOneScan holds that many who ask for an unknown image share one scan.
func TestOneScan(t *testing.T) {
	k := &admittest.Facts{}
	s := &scanner{known: k, release: make(chan struct{})}
	g := gate(t, k, s, nil)
	var wait sync.WaitGroup
	results := make(chan string, 8)
	for range 8 {
		wait.Go(func() { results <- ask(t, g, admittest.Digest(7)).Result })
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
	l := &admittest.Log{}
	s := &scanner{release: make(chan struct{})}
	close(s.release)
	g := gate(t, &admittest.Facts{}, s, l)
	if a := ask(t, g, admittest.Digest(5)); a.Result != sekisho.Deny || l.Entries()[0].Details["scan"] != "no such image" {
		t.Errorf("it says %s and notes %+v", a.Result, l.Entries())
	}
}

// TestDeadline holds that a scan that takes too long leaves the image unknown,
// and that its result serves the next who asks.
func TestDeadline(t *testing.T) {
	k := &admittest.Facts{}
	s := &scanner{known: k, release: make(chan struct{})}
	g := gate(t, k, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, err := g.Decide(ctx, admit.Question{Images: []admit.Image{{Reference: "a:1", Digest: admittest.Digest(9)}}})
	if err != nil || a.Result != sekisho.Deny {
		t.Errorf("%+v, %v", a, err)
	}
	close(s.release)
	if a := ask(t, g, admittest.Digest(9)); a.Result != sekisho.Allow {
		t.Errorf("later it says %s", a.Result)
	}
	if s.calls != 1 {
		t.Errorf("%d scans", s.calls)
	}
}

func BenchmarkDecide(b *testing.B) {
	k := &admittest.Facts{}
	var list []sekisho.Severity
	for range 300 {
		list = append(list, sekisho.Low)
	}
	k.Keep(image(admittest.Digest(1), list...))
	g := gate(b, k, nil, nil)
	for b.Loop() {
		ask(b, g, admittest.Digest(1))
	}
}
