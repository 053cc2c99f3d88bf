package notation_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	core "github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/jws"

	"sekisho"
	"sekisho/admit/signature/notation"
	"sekisho/internal/fixture/notaryca"
)

const image = sekisho.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")

var noon = time.Now().UTC().Truncate(time.Second)

func certs(list ...*notaryca.Authority) (out []*x509.Certificate) {
	for _, a := range list {
		out = append(out, a.Cert)
	}
	return out
}

// TestTimestamp: a signature that was made in the certificate's life holds after
// it, when a trusted authority's timestamp shows so, and not otherwise.
func TestTimestamp(t *testing.T) {
	ca, year := notaryca.New(t, "ca"), 365*24*time.Hour
	within, late, early := notaryca.NewStamper(t, noon.Add(-10*time.Hour)), notaryca.NewStamper(t, noon.Add(-time.Minute)), notaryca.NewStamper(t, noon.Add(-30*time.Hour))
	edge := notaryca.NewStamper(t, noon.Add(-time.Hour-time.Minute))
	edge.Accuracy = 2 * time.Minute
	old := notaryca.Signing{From: noon.Add(-20 * time.Hour), To: noon.Add(-time.Hour)} // a certificate that has expired
	young := notaryca.Signing{From: noon.Add(-20 * time.Hour), To: noon.Add(year)}
	stamped := func(s notaryca.Signing, by *notaryca.Stamper) notaryca.Signing { s.Stamper = by; return s }
	for _, c := range []struct {
		name  string
		sign  notaryca.Signing
		tsa   *notaryca.Stamper
		after bool
		why   string
		known bool
	}{
		{"a timestamp in the certificate's life", stamped(old, within), within, false, "", true},
		{"only after it has expired", stamped(old, within), within, true, "", true},
		{"no timestamp", old, within, false, "there is none", false},
		{"nobody trusted for timestamps", stamped(old, within), nil, false, "is valid from", false},
		{"another authority's", stamped(old, within), late, false, "no authority in tsa", false},
		{"after the certificate", stamped(old, late), late, false, "is valid from", false},
		{"before the certificate", stamped(old, early), early, false, "is valid from", false},
		{"perhaps after the certificate", stamped(old, edge), edge, false, "is valid from", false},
		{"a young certificate with one", stamped(young, within), within, false, "", true},
		{"a young certificate without one", young, within, false, "there is none", false},
		{"a young certificate that needs none", young, within, true, "", false},
	} {
		for _, inCOSE := range []bool{false, true} {
			c.sign.COSE = inCOSE
			data, _ := ca.Sign(image, c.sign)
			trust := &notation.Trust{CA: certs(ca), Identities: []string{"*"}, AfterExpiry: c.after}
			if c.tsa != nil {
				trust.TSA = certs(c.tsa.Authority)
				trust.CRLs = lists(t, c.tsa.Revokes(nil))
			}
			s, err := trust.Verify(t.Context(), c.sign.MediaType(), data, []sekisho.Digest{image}, noon)
			if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("%s: %v, want %q", c.name, err, c.why)
				continue
			}
			if err == nil && (s.Time.IsZero() == c.known || c.known && !s.Time.Equal(c.tsa.At)) {
				t.Errorf("%s: signed at %v", c.name, s.Time)
			}
		}
	}
}

// TestTimestampMoved: a timestamp of another signature is worth nothing.
func TestTimestampMoved(t *testing.T) {
	ca, tsa := notaryca.New(t, "ca"), notaryca.NewStamper(t, noon.Add(-10*time.Hour))
	s := notaryca.Signing{From: noon.Add(-20 * time.Hour), To: noon.Add(-time.Hour)}
	bare, _ := ca.Sign(image, s)
	s.Stamper = tsa
	other, _ := ca.Sign(image, s)
	mark := `"io.cncf.notary.timestampSignature":`
	_, rest, ok := strings.Cut(string(other), mark)
	if !ok {
		t.Fatalf("no timestamp in %s", other)
	}
	stamp, _, _ := strings.Cut(rest[1:], `"`)
	data := strings.Replace(string(bare), `"header":{`, `"header":{`+mark+`"`+stamp+`",`, 1)
	trust := &notation.Trust{CA: certs(ca), TSA: certs(tsa.Authority), Identities: []string{"*"}}
	if _, err := trust.Verify(t.Context(), jws.MediaTypeEnvelope, []byte(data), []sekisho.Digest{image}, noon); err == nil || !strings.Contains(err.Error(), "timestamp:") || strings.Contains(err.Error(), "there is none") {
		t.Errorf("%v", err)
	}
}

// TestSigningAuthority: only who is trusted for it is believed about the time.
func TestSigningAuthority(t *testing.T) {
	ca := notaryca.New(t, "ca")
	at := noon.Add(-10 * time.Hour)
	data, _ := ca.Sign(image, notaryca.Signing{From: noon.Add(-20 * time.Hour), To: noon.Add(-time.Hour), At: at, Scheme: core.SigningSchemeX509SigningAuthority})
	for name, c := range map[string]struct {
		trust notation.Trust
		why   string
	}{
		"trusted for it":           {notation.Trust{SigningAuthority: certs(ca)}, ""},
		"trusted for signers only": {notation.Trust{CA: certs(ca)}, "no authority"},
	} {
		c.trust.Identities = []string{"*"}
		s, err := c.trust.Verify(t.Context(), jws.MediaTypeEnvelope, data, []sekisho.Digest{image}, noon)
		if c.why == "" && (err != nil || !s.Time.Equal(at)) || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}
}
