package notation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-core-go/revocation/result"
)

// Online asks authorities over the network whether certificates were revoked:
// their responders (OCSP, RFC 6960), else the lists that the certificates name.
// It is for when an image is first seen, never for a gate that decides.
type Online struct {
	client *http.Client
	lists  *memory
}

// maxKept bounds the lists that are kept between questions.
const maxKept = 32

// NewOnline returns one that waits so long for each answer.
func NewOnline(wait time.Duration) *Online {
	return &Online{client: &http.Client{Timeout: wait}, lists: &memory{kept: map[string]*crl.Bundle{}}}
}

// ask tells what is known of some certificates of a chain, given by their
// places.
func (o *Online) ask(ctx context.Context, chain []*x509.Certificate, some []int, of purpose.Purpose, at time.Time) (string, error) {
	fetch, err := crl.NewHTTPFetcher(o.client)
	if err != nil {
		return Unknown, err
	}
	fetch.Cache, fetch.DiscardCacheError = o.lists, true
	validator, err := revocation.NewWithOptions(revocation.Options{OCSPHTTPClient: o.client, CRLFetcher: fetch, CertChainPurpose: of})
	if err != nil {
		return Unknown, err
	}
	found, err := validator.ValidateContext(ctx, revocation.ValidateContextOptions{CertChain: chain, AuthenticSigningTime: at})
	if err != nil {
		return Unknown, err
	}
	state, open := Irrevocable, error(nil)
	for i, r := range found {
		if r.Result != result.ResultRevoked && !slices.Contains(some, i) {
			continue
		}
		switch r.Result {
		case result.ResultRevoked:
			return Revoked, fmt.Errorf("the certificate of %.200q %w", chain[i].Subject, errRevoked)
		case result.ResultOK:
			state = worse(state, Good)
		case result.ResultNonRevokable:
		default:
			state = Unknown
			open = errors.Join(open, fmt.Errorf("it is not known whether the certificate of %.200q was revoked: %w", chain[i].Subject, reason(r)))
		}
	}
	return state, open
}

func reason(r *result.CertRevocationResult) error {
	for _, s := range r.ServerResults {
		if s.Error != nil {
			return s.Error
		}
	}
	return errors.New("nobody answered")
}

// memory keeps lists between questions. It implements crl.Cache.
type memory struct {
	mu   sync.Mutex
	kept map[string]*crl.Bundle
}

// Get implements crl.Cache.
func (m *memory) Get(_ context.Context, url string) (*crl.Bundle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.kept[url]; b != nil {
		return b, nil
	}
	return nil, crl.ErrCacheMiss
}

// Set implements crl.Cache.
func (m *memory) Set(_ context.Context, url string, b *crl.Bundle) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) >= maxKept {
		clear(m.kept)
	}
	m.kept[url] = b
	return nil
}
