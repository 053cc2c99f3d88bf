package notation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/notaryproject/notation-core-go/revocation/purpose"
)

// What is known of whether a chain's certificates were revoked.
const (
	Good        = "good"        // none was
	Revoked     = "revoked"     // one was
	Unknown     = "unknown"     // of one it is not known
	Irrevocable = "irrevocable" // none has a list or a responder that could tell
)

const timestamping, codeSigning = purpose.Timestamping, purpose.CodeSigning

// errRevoked is that a certificate was revoked, which is never only logged.
var errRevoked = errors.New("was revoked")

// revocation: none of the certificates was revoked, of the signer and of the
// timestamp. Who is not vouched for by anybody names no address that is asked.
func (v *verification) revocation(ctx context.Context) error {
	if !v.authentic {
		v.signer.Revocation = Unknown
		return errors.New("not asked for: nobody vouches for the certificate")
	}
	state, err := v.state(ctx, v.info.CertificateChain, codeSigning, v.signer.Time)
	if v.stamped != nil && state != Revoked {
		other, why := v.state(ctx, v.stamped, timestamping, v.signer.Time)
		if state, err = worse(state, other), errors.Join(err, why); other == Revoked {
			state = Revoked
		}
	}
	v.signer.Revocation = state
	return err
}

// worse is what is known of two chains.
func worse(a, b string) string {
	for _, s := range []string{Revoked, Unknown, Good} {
		if a == s || b == s {
			return s
		}
	}
	return Irrevocable
}

// state tells what is known of a chain, whose last certificate is its root, and
// why, where that is nothing good. at is when it was used, where that is known.
func (v *verification) state(ctx context.Context, chain []*x509.Certificate, of purpose.Purpose, at time.Time) (string, error) {
	state, unknown, open := Irrevocable, []int(nil), error(nil)
	for i := range len(chain) - 1 {
		one, err := v.listed(chain[i], chain[i+1], at)
		switch one {
		case Revoked:
			return Revoked, err
		case Unknown:
			unknown, open = append(unknown, i), errors.Join(open, err)
		default:
			state = worse(state, one)
		}
	}
	if len(unknown) == 0 {
		return state, nil
	}
	if v.Online == nil {
		return Unknown, open
	}
	asked, err := v.Online.ask(ctx, chain, unknown, of, at)
	return worse(state, asked), err
}

// listed tells what the lists say of a certificate. That one of them has it
// counts more than that another has not.
func (v *verification) listed(c, issuer *x509.Certificate, at time.Time) (string, error) {
	state, why := Irrevocable, errors.New("no list of its issuer is given (crl), and nobody is asked (online)")
	if len(c.CRLDistributionPoints)+len(c.OCSPServer) > 0 {
		state = Unknown
	}
	for _, l := range v.CRLs {
		switch found, err := l.state(c, issuer, at, v.now); {
		case found == Revoked:
			return Revoked, err
		case found == Good:
			state = Good
		case found == Unknown && state != Good:
			state, why = Unknown, err
		}
	}
	if state == Unknown {
		return state, fmt.Errorf("it is not known whether the certificate of %.200q was revoked: %w", c.Subject, why)
	}
	return state, nil
}
