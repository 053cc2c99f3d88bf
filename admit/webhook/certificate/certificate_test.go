package certificate_test

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit/webhook/certificate"
)

// memory keeps a state as an API server does, with a version.
type memory struct {
	mu      sync.Mutex
	state   *certificate.State
	version int
	before  func() // is called before a save
}

func (m *memory) Load(context.Context) (*certificate.State, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return nil, "", sekisho.Errorf(sekisho.NotFound, "no secret")
	}
	s := *m.state
	return &s, string(rune('a' + m.version)), nil
}

func (m *memory) Save(_ context.Context, s *certificate.State, version string) error {
	if m.before != nil {
		f := m.before
		m.before = nil
		f()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != nil && version != string(rune('a'+m.version)) {
		return sekisho.Errorf(sekisho.Unavailable, "conflict")
	}
	c := *s
	m.state, m.version = &c, m.version+1
	return nil
}

// published is the bundle that callers trust, or an error.
type published struct {
	bundle string
	fail   bool
}

func (p *published) Publish(_ context.Context, b []byte) error {
	if p.fail {
		return errors.New("the API server is away")
	}
	p.bundle = string(b)
	return nil
}

// trusts reports whether a caller with a bundle accepts what is shown.
func trusts(t *testing.T, m *certificate.Manager, bundle string, now time.Time) bool {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(bundle))
	c, err := m.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "sekisho.sekisho.svc", CurrentTime: now})
	return err == nil
}

// TestLife holds over two authorities' lives that a caller who learns of a
// bundle late is never shown what it does not trust, and that keys are renewed
// in time.
func TestLife(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	store, p := &memory{}, &published{}
	o := certificate.Options{Store: store, Publisher: p, Names: []string{"sekisho.sekisho.svc"}, Life: 30 * 24 * time.Hour, AuthorityLife: 365 * 24 * time.Hour, Settle: 48 * time.Hour, Now: func() time.Time { return now }}
	one, two := certificate.New(o), certificate.New(o)
	shown := map[string]bool{}
	late := "" // what a caller knew a day ago
	for range 2 * 365 {
		for _, m := range []*certificate.Manager{one, two} {
			if err := m.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if late != "" && !trusts(t, m, late, now) {
				t.Fatalf("at %s a caller is turned away", now)
			}
			if left := m.Until().Sub(now); left < 8*24*time.Hour {
				t.Fatalf("at %s the certificate holds only %s more", now, left)
			}
			c, _ := m.Get(nil)
			shown[c.Leaf.SerialNumber.String()] = true
		}
		late = p.bundle
		now = now.Add(24 * time.Hour)
	}
	if len(shown) < 30 || len(shown) > 45 {
		t.Errorf("%d certificates in two years", len(shown))
	}
	if n := strings.Count(p.bundle, "BEGIN"); n > 2 {
		t.Errorf("%d authorities are trusted", n)
	}
}

func TestNames(t *testing.T) {
	store := &memory{}
	o := certificate.Options{Store: store, Names: []string{"a.example.org"}, Life: time.Hour, AuthorityLife: 24 * time.Hour, Now: time.Now}
	m := certificate.New(o)
	if _, err := m.Get(nil); err == nil {
		t.Error("there is a certificate before there is one")
	}
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.Names = []string{"sekisho.sekisho.svc", "127.0.0.1"}
	m = certificate.New(o)
	if err := m.Refresh(t.Context()); err != nil || !trusts(t, m, string(m.Bundle()), time.Now()) {
		t.Errorf("another name is not served: %v", err)
	}
}

// TestTwo holds that of two servers that start at once, one makes the keys and
// both show them.
func TestTwo(t *testing.T) {
	store := &memory{}
	o := certificate.Options{Store: store, Names: []string{"a"}, Life: time.Hour, AuthorityLife: 24 * time.Hour, Now: time.Now}
	one, two := certificate.New(o), certificate.New(o)
	store.before = func() {
		if err := two.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := one.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if string(one.Bundle()) != string(two.Bundle()) || store.version != 1 {
		t.Errorf("they trust different authorities, after %d saves", store.version)
	}
}

func TestUnpublished(t *testing.T) {
	p := &published{fail: true}
	m := certificate.New(certificate.Options{Store: &memory{}, Publisher: p, Names: []string{"a"}, Life: time.Hour, AuthorityLife: 24 * time.Hour, Now: time.Now})
	if err := m.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "publish") {
		t.Errorf("it says %v", err)
	}
	if m.Until().IsZero() {
		t.Error("without the API server there is no certificate")
	}
}

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	o := certificate.Options{Store: certificate.Directory(dir), Names: []string{"a"}, Life: time.Hour, AuthorityLife: 24 * time.Hour, Now: time.Now}
	one := certificate.New(o)
	if err := one.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := certificate.New(o)
	if err := again.Refresh(t.Context()); err != nil || string(again.Bundle()) != string(one.Bundle()) {
		t.Errorf("a restart makes other keys: %v", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil || string(ca) != string(one.Bundle()) {
		t.Errorf("ca.crt: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "state.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the keys can be read by others: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := certificate.New(o).Refresh(t.Context()); sekisho.KindOf(errors.Unwrap(err)) != sekisho.Corrupt {
		t.Errorf("a damaged state is told as %v", err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	store := &memory{}
	m := certificate.New(certificate.Options{Store: store, Names: []string{"a"}, Life: time.Hour, AuthorityLife: 24 * time.Hour, Now: time.Now})
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	put := func(p certificate.Pair, at time.Time) {
		for name, data := range map[string][]byte{"tls.crt": p.Certificate, "tls.key": p.Key} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := &certificate.Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	if err := f.Refresh(t.Context()); err == nil {
		t.Error("files that are not there are read")
	}
	put(store.state.Serving, time.Unix(1000, 0))
	if err := f.Refresh(t.Context()); err != nil || f.Until().IsZero() {
		t.Fatal(err)
	}
	before, _ := f.Get(nil)
	put(certificate.Pair{Certificate: store.state.Authorities[0].Certificate, Key: store.state.Serving.Key}, time.Unix(2000, 0))
	if err := f.Refresh(t.Context()); err == nil {
		t.Error("a key that does not fit is taken")
	}
	if now, err := f.Get(nil); err != nil || now != before {
		t.Error("the old certificate is not kept")
	}
	put(store.state.Authorities[0], time.Unix(3000, 0))
	if err := f.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now, _ := f.Get(nil); now == before {
		t.Error("the new certificate is not shown")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"authorities":[{"certificate":"YQ==","key":"YQ=="}],"serving":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _, err := certificate.Decode(data)
		if err != nil {
			return
		}
		store := &memory{state: s}
		m := certificate.New(certificate.Options{Store: store, Names: []string{"a"}, Life: time.Hour, AuthorityLife: 24 * time.Hour, Now: time.Now})
		if err := m.Refresh(t.Context()); err != nil {
			t.Errorf("from %q no certificate comes: %v", data, err)
		}
	})
}
