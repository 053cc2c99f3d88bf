// Package certificate keeps a server's own keys: an authority, and certificates
// that it signs, renewed at two thirds of their life without a restart. A new
// authority is published before anything that it signed is shown, so that
// nobody is turned away in between; several servers share one state. Names and
// lives come in, certificates come out. It refuses to overwrite what another
// server has written meanwhile.
package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"sekisho"
)

// State is all keys of a service.
type State struct {
	Authorities []Pair `json:"authorities"` // oldest first
	Serving     Pair   `json:"serving"`
}

// Pair is a certificate and its key, in PEM.
type Pair struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`
}

// Bundle is the certificates of all authorities, in PEM.
func (s *State) Bundle() (out []byte) {
	for _, a := range s.Authorities {
		out = append(out, a.Certificate...)
	}
	return out
}

// Store keeps the state. Load's error is of kind sekisho.NotFound before the
// first Save; Save with the version that Load gave is of kind
// sekisho.Unavailable when somebody else saved in between.
type Store interface {
	Load(context.Context) (state *State, version string, err error)
	Save(ctx context.Context, state *State, version string) error
}

// Publisher tells those who call the service which authorities to trust.
type Publisher interface {
	Publish(ctx context.Context, bundle []byte) error
}

// Options of a manager. Store, Names and Now are required.
type Options struct {
	Store         Store
	Publisher     Publisher // may be nil
	Names         []string  // DNS names and IP addresses
	Life          time.Duration
	AuthorityLife time.Duration
	Settle        time.Duration // from publishing an authority to using it
	Now           func() time.Time
}

// Manager keeps a certificate fresh. It is safe for use by several goroutines.
type Manager struct {
	Options
	current atomic.Pointer[shown]
}

type shown struct {
	certificate *tls.Certificate
	until       time.Time
	bundle      []byte
}

// New returns a manager; Refresh makes it ready.
func New(o Options) *Manager { return &Manager{Options: o} }

// Get returns the certificate to show, for tls.Config.GetCertificate.
func (m *Manager) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s := m.current.Load(); s != nil {
		return s.certificate, nil
	}
	return nil, sekisho.Errorf(sekisho.Unavailable, "no certificate yet")
}

// Until is when the shown certificate ends; zero before there is one.
func (m *Manager) Until() time.Time {
	if s := m.current.Load(); s != nil {
		return s.until
	}
	return time.Time{}
}

// Bundle is the authorities to trust.
func (m *Manager) Bundle() []byte {
	if s := m.current.Load(); s != nil {
		return s.bundle
	}
	return nil
}

// tries is how often Refresh tries again when others write at the same time.
const tries = 5

// Refresh reads the state, renews what is due, publishes the authorities and
// then shows the certificate. An error of publishing leaves the certificate
// shown.
func (m *Manager) Refresh(ctx context.Context) error {
	var err error
	for range tries {
		var state *State
		var version string
		state, version, err = m.Store.Load(ctx)
		if sekisho.KindOf(err) == sekisho.NotFound {
			state, version, err = &State{}, "", nil
		}
		if err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
		var changed bool
		if changed, err = m.renew(state); err != nil {
			return fmt.Errorf("renew certificate: %w", err)
		}
		if changed {
			if err = m.Store.Save(ctx, state, version); sekisho.KindOf(err) == sekisho.Unavailable && err != nil {
				continue
			}
			if err != nil {
				return fmt.Errorf("keep certificate: %w", err)
			}
		}
		return m.show(ctx, state)
	}
	return fmt.Errorf("keep certificate: %w", err)
}

func (m *Manager) show(ctx context.Context, state *State) error {
	var failed error
	if m.Publisher != nil {
		if err := m.Publisher.Publish(ctx, state.Bundle()); err != nil {
			failed = fmt.Errorf("publish certificate authority: %w", err)
		}
	}
	pair, err := tls.X509KeyPair(state.Serving.Certificate, state.Serving.Key)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	m.current.Store(&shown{&pair, pair.Leaf.NotAfter, state.Bundle()})
	return failed
}

// renew brings the state up to date, and reports whether it changed.
func (m *Manager) renew(s *State) (changed bool, err error) {
	now := m.Now()
	var authorities []*tls.Certificate
	var kept []Pair
	for _, p := range s.Authorities {
		if c, err := tls.X509KeyPair(p.Certificate, p.Key); err == nil && now.Before(c.Leaf.NotAfter) {
			authorities, kept = append(authorities, &c), append(kept, p)
		}
	}
	changed = len(kept) != len(s.Authorities)
	s.Authorities = kept
	if len(authorities) == 0 || due(authorities[len(authorities)-1].Leaf, now) {
		p, err := issue(template(now, m.AuthorityLife, "sekisho admission authority", nil), nil)
		if err != nil {
			return false, err
		}
		c, err := tls.X509KeyPair(p.Certificate, p.Key)
		if err != nil {
			return false, err
		}
		s.Authorities, authorities, changed = append(s.Authorities, p), append(authorities, &c), true
	}
	signer := authorities[0]
	for _, a := range authorities { // the newest that callers have had the time to learn
		if now.Sub(a.Leaf.NotBefore) >= m.Settle+skew {
			signer = a
		}
	}
	if m.good(s.Serving, signer.Leaf, now) {
		return changed, nil
	}
	s.Serving, err = issue(template(now, m.Life, m.Names[0], m.Names), signer)
	return true, err
}

// good reports whether a serving certificate may stay.
func (m *Manager) good(p Pair, signer *x509.Certificate, now time.Time) bool {
	c, err := tls.X509KeyPair(p.Certificate, p.Key)
	if err != nil || due(c.Leaf, now) || c.Leaf.CheckSignatureFrom(signer) != nil {
		return false
	}
	return !slices.ContainsFunc(m.Names, func(n string) bool { return c.Leaf.VerifyHostname(n) != nil })
}

// due reports whether two thirds of a certificate's life are over.
func due(c *x509.Certificate, now time.Time) bool {
	return now.Sub(c.NotBefore.Add(skew)) >= c.NotAfter.Sub(c.NotBefore.Add(skew))*2/3
}

// skew is how far the clocks of callers may be behind.
const skew = 5 * time.Minute

func template(now time.Time, life time.Duration, name string, names []string) *x509.Certificate {
	t := &x509.Certificate{Subject: pkix.Name{CommonName: cut(name)}, NotBefore: now.Add(-skew), NotAfter: now.Add(life), BasicConstraintsValid: true}
	if names == nil {
		t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
		return t
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return t
}

// cut bounds a common name, of which X.509 allows 64 characters.
func cut(s string) string { return s[:min(len(s), 64)] }

// issue makes a key and a certificate for it, signed by an authority or by
// itself.
func issue(t *x509.Certificate, by *tls.Certificate) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return Pair{}, err
	}
	parent, signer := t, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}, nil
}
