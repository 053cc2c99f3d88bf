package notation

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/testhelper"

	"sekisho"
)

func TestName(t *testing.T) {
	for text, want := range map[string]string{
		"x509.subject: C=US, ST=WA, O=example":            "example",
		`x509.subject:O=Acme\, Inc.,C=US,ST=WA`:           "Acme, Inc.",
		"x509.subject: O=a, O=b":                          "",
		"x509.subject:":                                   "",
		"O=example":                                       "",
		"x509.subject: C=US, ST=WA, O=example, ,":         "",
		`x509.subject: C=US+O=one\+two`:                   "one+two",
		"x509.subject: OU=x,O=example,C=US\u0000,ST=WA  ": "example",
	} {
		got, err := parseName(text)
		if got["O"] != want && !(err != nil && want == "") || err == nil && want == "" {
			t.Errorf("%q: %v %v, want %q", text, got, err, want)
		}
	}
	if err := (&Trust{CA: []*x509.Certificate{testhelper.GetECRootCertificate().Cert}, Identities: []string{"x509.subject: O=example"}}).Check(); err == nil {
		t.Error("an identity without country and state was taken")
	}
}

// FuzzVerify: no envelope makes verifying panic or holds unsigned.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"payload":"e30","protected":"eyJhbGciOiJQUzI1NiJ9","header":{"x5c":["MA=="]},"signature":"AA"}`))
	f.Add([]byte("\xd2\x84C\xa1\x01&\xa0@@"))
	trust := &Trust{CA: []*x509.Certificate{testhelper.GetECRootCertificate().Cert}, Identities: []string{"*"}}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, form := range []string{"application/jose+json", "application/cose"} {
			if s, err := trust.Verify(t.Context(), form, data, []sekisho.Digest{"sha256:aa"}, time.Unix(0, 0)); err == nil {
				t.Errorf("%+v", s)
			}
		}
		ParseCA(data)
		parseName(string(data))
	})
}
