package signature_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	core "github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/notation"
)

// authority is one that vouches for signers.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: k}
	a.cert = a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "root", Organization: []string{"example"}, Country: []string{"JP"}, Province: []string{"Tokyo"}}}, k.Public(), time.Now().Add(-240*time.Hour), time.Now().Add(24*time.Hour))
	return a
}

func (a *authority) issue(c *x509.Certificate, pub crypto.PublicKey, from, to time.Time) *x509.Certificate {
	a.t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), from, to
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// sign makes a Notary Project signature over a digest.
func (a *authority) sign(mediaType string, d sekisho.Digest, certTo, expiry time.Time) []byte {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf := a.issue(&x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		Subject: pkix.Name{CommonName: "release", Organization: []string{"example"}, Country: []string{"JP"}, Province: []string{"Tokyo"}}}, k.Public(), time.Now().Add(-200*time.Hour), certTo)
	signer, err := core.NewLocalSigner([]*x509.Certificate{leaf, a.cert}, k)
	if err != nil {
		a.t.Fatal(err)
	}
	payload, err := json.Marshal(map[string]any{"targetArtifact": map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": d, "size": 1}})
	if err != nil {
		a.t.Fatal(err)
	}
	e := jws.NewEnvelope()
	if mediaType == cose.MediaTypeEnvelope {
		e = cose.NewEnvelope()
	}
	data, err := e.Sign(&core.SignRequest{Payload: core.Payload{ContentType: "application/vnd.cncf.notary.payload.v1+json", Content: payload},
		Signer: signer, SigningTime: time.Now().Add(-100 * time.Hour).Truncate(time.Second), Expiry: expiry, SigningScheme: core.SigningSchemeX509})
	if err != nil {
		a.t.Fatal(err)
	}
	return data
}

// TestNotation: the Notary Project's signatures in both forms, beside an image.
func TestNotation(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	repo, image, _ := memory(t, true).push(t, "app")
	later, past := time.Now().Add(20*time.Hour), time.Now().Add(-time.Hour)
	another := sekisho.Digest("sha256:" + strings.Repeat("0", 64))
	who := []string{"x509.subject: C=JP, ST=Tokyo, O=example"}
	for _, form := range []string{jws.MediaTypeEnvelope, cose.MediaTypeEnvelope} {
		good := a.sign(form, image.Digest, later, later.Truncate(time.Second))
		for _, c := range []struct {
			name  string
			data  []byte
			trust notation.Trust
			why   string
		}{
			{"good", good, notation.Trust{CA: []*x509.Certificate{a.cert}, Identities: who}, ""},
			{"anybody", good, notation.Trust{CA: []*x509.Certificate{a.cert}, Identities: []string{"*"}}, ""},
			{"another authority", good, notation.Trust{CA: []*x509.Certificate{other.cert}, Identities: who}, "no authority"},
			{"another identity", good, notation.Trust{CA: []*x509.Certificate{a.cert}, Identities: []string{"x509.subject: C=JP, ST=Tokyo, O=example, CN=me"}}, "whom nobody trusts"},
			{"another image", a.sign(form, another, later, time.Time{}), notation.Trust{CA: []*x509.Certificate{a.cert}, Identities: who}, "another image"},
			{"an expired certificate", a.sign(form, image.Digest, past, time.Time{}), notation.Trust{CA: []*x509.Certificate{a.cert}, Identities: who}, "is valid from"},
			{"expired", a.sign(form, image.Digest, later, past.Truncate(time.Second)), notation.Trust{CA: []*x509.Certificate{a.cert}, Identities: who}, "expired on"},
			{"changed", append(append([]byte{}, good[:len(good)-40]...), good[len(good)-39:]...), notation.Trust{CA: []*x509.Certificate{a.cert}, Identities: who}, "signature"},
		} {
			t.Run(form+" "+c.name, func(t *testing.T) {
				s, err := c.trust.Verify(form, c.data, []sekisho.Digest{image.Digest}, time.Now())
				if c.why == "" && (err != nil || !strings.Contains(s.Subject, "CN=release") || s.Digest != image.Digest) || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
					t.Errorf("%+v, %v; want %q", s, err, c.why)
				}
			})
		}
		refer(t, repo, image, notation.ArtifactType, form, good)
	}
	got, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{Notation: &notation.Trust{CA: []*x509.Certificate{a.cert}, Identities: who}}, time.Now())
	if err != nil || len(got.Verified) != 2 || len(facts(got).Signatures) != 2 {
		t.Errorf("%+v %v", got, err)
	}
	none, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{}, time.Now())
	if err != nil || len(none.Verified) != 0 || len(none.Refused) != 2 {
		t.Errorf("without a trust store: %+v %v", none, err)
	}
}
