package notation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	nx509 "github.com/notaryproject/notation-core-go/x509"
	"github.com/notaryproject/tspclient-go"
)

// timestamp: every certificate of the chain was valid when the signature was
// made. When that was says a timestamp (RFC 3161) of an authority that is
// trusted, or the signing authority; without either it must be valid now.
func (v *verification) timestamp(ctx context.Context) error {
	signed := &v.info.SignedAttributes
	switch {
	case signed.SigningScheme == signature.SigningSchemeX509SigningAuthority:
		if err := v.valid(signed.SigningTime, 0); err != nil {
			return err
		}
		if v.authentic {
			v.signer.Time = signed.SigningTime.UTC()
		}
		return nil
	case len(v.TSA) == 0, v.AfterExpiry && v.valid(v.now, 0) == nil:
		return v.valid(v.now, 0)
	}
	stamp, chain, err := v.countersigned(ctx)
	if err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	if err := v.valid(stamp.Value, stamp.Accuracy); err != nil {
		return err
	}
	if state, err := v.state(ctx, chain, timestamping, stamp.Value); state == Revoked {
		return fmt.Errorf("timestamp: %w", err)
	}
	v.signer.Time, v.stamped = stamp.Value.UTC(), chain
	return nil
}

// valid checks the dates of the chain at a moment that is known to within give.
func (v *verification) valid(at time.Time, give time.Duration) error {
	for _, c := range v.info.CertificateChain {
		if at.Add(-give).Before(c.NotBefore) || at.Add(give).After(c.NotAfter) {
			return fmt.Errorf("the certificate of %.200q is valid from %s to %s, not at %s", c.Subject,
				c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly), at.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// countersigned verifies the timestamp over the signature and returns it with
// its authority's chain.
func (v *verification) countersigned(ctx context.Context) (*tspclient.Timestamp, []*x509.Certificate, error) {
	raw := v.info.UnsignedAttributes.TimestampSignature
	if len(raw) == 0 {
		return nil, nil, errors.New("there is none, and tsa asks for one")
	}
	token, err := tspclient.ParseSignedToken(raw)
	if err != nil {
		return nil, nil, err
	}
	info, err := token.Info()
	if err != nil {
		return nil, nil, err
	}
	stamp, err := info.Validate(v.info.Signature)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	for _, c := range v.TSA {
		roots.AddCert(c)
	}
	chain, err := token.Verify(ctx, x509.VerifyOptions{CurrentTime: stamp.Value, Roots: roots})
	if err != nil {
		return nil, nil, fmt.Errorf("no authority in tsa vouches for it: %w", err)
	}
	if err := nx509.ValidateTimestampingCertChain(chain); err != nil {
		return nil, nil, err
	}
	return stamp, chain, nil
}
