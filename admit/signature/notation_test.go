package signature_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/notation"
	"sekisho/internal/fixture/notaryca"
)

// TestNotation: the Notary Project's signatures in both forms, beside an image.
func TestNotation(t *testing.T) {
	a, other := notaryca.New(t, "root"), notaryca.New(t, "other")
	repo, image, _ := memory(t, true).push(t, "app")
	now := time.Now().Truncate(time.Second)
	later, past := now.Add(20*time.Hour), now.Add(-time.Hour)
	another := sekisho.Digest("sha256:" + strings.Repeat("0", 64))
	who := []string{"x509.subject: C=JP, ST=Tokyo, O=example"}
	by := func(a *notaryca.Authority, who ...string) notation.Trust {
		return notation.Trust{CA: []*x509.Certificate{a.Cert}, Identities: who}
	}
	for _, inCOSE := range []bool{false, true} {
		sign := func(d sekisho.Digest, to, expiry time.Time) []byte {
			data, _ := a.Sign(d, notaryca.Signing{COSE: inCOSE, From: now.Add(-200 * time.Hour), To: to, Expiry: expiry})
			return data
		}
		form, good := notaryca.Signing{COSE: inCOSE}.MediaType(), sign(image.Digest, later, later)
		for _, c := range []struct {
			name  string
			data  []byte
			trust notation.Trust
			why   string
		}{
			{"good", good, by(a, who...), ""},
			{"anybody", good, by(a, "*"), ""},
			{"another authority", good, by(other, who...), "no authority"},
			{"another identity", good, by(a, "x509.subject: C=JP, ST=Tokyo, O=example, CN=me"), "whom nobody trusts"},
			{"another image", sign(another, later, time.Time{}), by(a, who...), "another image"},
			{"an expired certificate", sign(image.Digest, past, time.Time{}), by(a, who...), "is valid from"},
			{"expired", sign(image.Digest, later, past), by(a, who...), "expired on"},
			{"changed", append(append([]byte{}, good[:len(good)-40]...), good[len(good)-39:]...), by(a, who...), "signature"},
		} {
			t.Run(form+" "+c.name, func(t *testing.T) {
				s, err := c.trust.Verify(t.Context(), form, c.data, []sekisho.Digest{image.Digest}, now)
				if c.why == "" && (err != nil || !strings.Contains(s.Subject, "CN=release") || s.Digest != image.Digest) || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
					t.Errorf("%+v, %v; want %q", s, err, c.why)
				}
			})
		}
		refer(t, repo, image, notation.ArtifactType, form, good)
	}
	trust := by(a, who...)
	got, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{Notation: &trust}, now)
	if err != nil || len(got.Verified) != 2 || len(facts(got).Signatures) != 2 || facts(got).Signatures[0].Revocation != notation.Irrevocable {
		t.Errorf("%+v %v", got, err)
	}
	none, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{}, now)
	if err != nil || len(none.Verified) != 0 || len(none.Refused) != 2 {
		t.Errorf("without a trust store: %+v %v", none, err)
	}
	// What the level lets pass though nobody vouches for it proves nothing.
	level, err := notation.ParseLevel("audit", nil)
	if err != nil {
		t.Fatal(err)
	}
	trust = by(other, who...)
	trust.Level = level
	lax, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{Notation: &trust}, now)
	if err != nil || len(lax.Verified) != 2 || len(lax.Verified[0].Logged) == 0 || len(facts(lax).Signatures) != 0 {
		t.Errorf("at level audit: %+v %v", lax, err)
	}
}
