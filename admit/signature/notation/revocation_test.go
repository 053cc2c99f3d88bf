package notation_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature/jws"
	"golang.org/x/crypto/ocsp"

	"sekisho"
	"sekisho/admit/signature/notation"
	"sekisho/internal/fixture/notaryca"
)

func lists(t testing.TB, ders ...[]byte) (out []*notation.CRL) {
	t.Helper()
	for _, der := range ders {
		l, err := notation.ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l...)
	}
	return out
}

// point is the extension that says what a list is about.
func point(t *testing.T, v any) func(*x509.RevocationList) {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: der}}
	}
}

// TestRevocation: what lists say decides, and what they do not say follows the
// level of verification.
func TestRevocation(t *testing.T) {
	ca, stranger := notaryca.New(t, "ca"), notaryca.New(t, "ca")
	tsa := notaryca.NewStamper(t, noon.Add(-10*time.Hour))
	url := "http://crl.example.com/ca"
	data, leaf := ca.Sign(image, notaryca.Signing{From: noon.Add(-20 * time.Hour), To: noon.Add(20 * time.Hour), Points: []string{url}, Stamper: tsa})
	stale := func(l *x509.RevocationList) { l.NextUpdate = noon.Add(-time.Minute) }
	type named struct {
		Name asn1.RawValue `asn1:"optional,tag:0"`
	}
	uri := func(u string) func(*x509.RevocationList) {
		name, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(u)})
		if err != nil {
			t.Fatal(err)
		}
		full, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: name})
		if err != nil {
			t.Fatal(err)
		}
		return point(t, named{asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: full}})
	}
	good := tsa.Revokes(nil)
	for _, c := range []struct {
		name  string
		lists [][]byte
		state string // for level permissive
		why   string // for level strict
	}{
		{"not on the list", [][]byte{ca.Revokes(nil), good}, notation.Good, ""},
		{"revoked", [][]byte{ca.Revokes(nil, notaryca.Row(leaf, time.Time{})), good}, notation.Revoked, "was revoked on"},
		{"revoked after it was used", [][]byte{ca.Revokes(nil, notaryca.Row(leaf, noon.Add(-3*time.Hour))), good}, notation.Good, ""},
		{"revoked before it was used", [][]byte{ca.Revokes(nil, notaryca.Row(leaf, noon.Add(-11*time.Hour))), good}, notation.Revoked, "was revoked on"},
		{"no list", [][]byte{good}, notation.Unknown, "no list of its issuer"},
		{"a list of another with the same name", [][]byte{stranger.Revokes(nil), good}, notation.Unknown, "not by its authority"},
		{"out of date", [][]byte{ca.Revokes(stale), good}, notation.Unknown, "out of date"},
		{"out of date, and revoked by then", [][]byte{ca.Revokes(stale, notaryca.Row(leaf, time.Time{})), good}, notation.Revoked, "was revoked on"},
		{"an old list and a new one", [][]byte{ca.Revokes(stale), ca.Revokes(nil), good}, notation.Good, ""},
		{"one of several has it", [][]byte{ca.Revokes(nil), ca.Revokes(nil, notaryca.Row(leaf, time.Time{})), good}, notation.Revoked, "was revoked on"},
		{"a list of authorities only", [][]byte{ca.Revokes(point(t, struct {
			CA bool `asn1:"optional,tag:2"`
		}{true})), good}, notation.Unknown, "no list of its issuer"},
		{"a list of some reasons only", [][]byte{ca.Revokes(point(t, struct {
			Some asn1.BitString `asn1:"optional,tag:3"`
		}{asn1.BitString{Bytes: []byte{0x40}, BitLength: 2}})), good}, notation.Unknown, "some reasons only"},
		{"a list for its place", [][]byte{ca.Revokes(uri(url)), good}, notation.Good, ""},
		{"a list for another place", [][]byte{ca.Revokes(uri(url + "2")), good}, notation.Unknown, "no list of its issuer"},
		{"the authority of the timestamp is not known to be good", [][]byte{ca.Revokes(nil)}, notation.Unknown, "CN=tsa"},
		{"the authority of the timestamp was revoked", [][]byte{ca.Revokes(nil), tsa.Revokes(nil, notaryca.Row(tsa.Leaf, time.Time{}))}, notation.Revoked, "timestamp: "},
	} {
		for _, level := range []string{"strict", "permissive", "audit"} {
			l, err := notation.ParseLevel(level, nil)
			if err != nil {
				t.Fatal(err)
			}
			trust := &notation.Trust{CA: certs(ca), TSA: certs(tsa.Authority), CRLs: lists(t, c.lists...), Identities: []string{"*"}, Level: l}
			s, err := trust.Verify(t.Context(), jws.MediaTypeEnvelope, data, []sekisho.Digest{image}, noon)
			switch {
			case c.state == notation.Revoked || level == "strict" && c.why != "":
				if err == nil || !strings.Contains(err.Error(), c.why) {
					t.Errorf("%s, %s: %v, want %q", c.name, level, err, c.why)
				}
			case err != nil || s.Revocation != c.state || (c.state == notation.Unknown) != slices.Contains(s.Failed, "revocation") || s.Key == "":
				t.Errorf("%s, %s: %+v %v, want %s", c.name, level, s, err, c.state)
			}
		}
	}
}

// TestLevels: what each level lets pass, and what none does.
func TestLevels(t *testing.T) {
	ca, other := notaryca.New(t, "ca"), notaryca.New(t, "other")
	good, _ := ca.Sign(image, notaryca.Signing{From: noon.Add(-20 * time.Hour), To: noon.Add(20 * time.Hour)})
	late, _ := ca.Sign(image, notaryca.Signing{From: noon.Add(-20 * time.Hour), To: noon.Add(-time.Hour)})
	expired, _ := ca.Sign(image, notaryca.Signing{From: noon.Add(-20 * time.Hour), To: noon.Add(20 * time.Hour), Expiry: noon.Add(-time.Hour)})
	changed := append(slices.Clone(good[:len(good)-10]), good[len(good)-9:]...)
	for _, c := range []struct {
		name, level string
		override    map[string]string
		data        []byte
		by          *notaryca.Authority
		of          sekisho.Digest
		failed      string // checks that are logged; - when the signature is refused
	}{
		{"good", "strict", nil, good, ca, image, ""},
		{"good", "", nil, good, ca, image, ""},
		{"late", "strict", nil, late, ca, image, "-"},
		{"late", "permissive", nil, late, ca, image, "authentic_timestamp"},
		{"late", "permissive", map[string]string{"authentic_timestamp": "enforce"}, late, ca, image, "-"},
		{"late", "strict", map[string]string{"authentic_timestamp": "log"}, late, ca, image, "authentic_timestamp"},
		{"expired", "strict", nil, expired, ca, image, "-"},
		{"expired", "permissive", nil, expired, ca, image, "expiry"},
		{"a stranger's", "permissive", nil, good, other, image, "-"},
		{"a stranger's", "audit", nil, good, other, image, "authenticity,revocation"},
		{"another image", "audit", nil, good, ca, "sha256:2", "-"},
		{"changed", "audit", nil, changed, ca, image, "-"},
		{"good", "skip", nil, good, ca, image, "-"},
	} {
		level, err := notation.ParseLevel(c.level, c.override)
		if err != nil {
			t.Fatal(err)
		}
		trust := &notation.Trust{CA: certs(c.by), Identities: []string{"*"}, Level: level}
		s, err := trust.Verify(t.Context(), jws.MediaTypeEnvelope, c.data, []sekisho.Digest{c.of}, noon)
		if (err != nil) != (c.failed == "-") || err == nil && (strings.Join(s.Failed, ",") != c.failed || len(s.Logged) != len(s.Failed)) {
			t.Errorf("%s, %s %v: %+v %v", c.name, c.level, c.override, s, err)
		}
		if err == nil && c.by == other && (s.Key != "" || s.Subject != "" || s.Issuer != "") {
			t.Errorf("%s: said to be by %+v, for whom nobody vouches", c.name, s)
		}
	}
	for name, override := range map[string]map[string]string{"lax": nil, "skip": {"expiry": "log"}, "strict": {"expiry": "skip"}, "audit": {"integrity": "log"}, "permissive": {"expiry": "ignore"}} {
		if l, err := notation.ParseLevel(name, override); err == nil {
			t.Errorf("%s %v: %+v", name, override, l)
		}
	}
}

// TestOnline: what no list tells is asked for, only when the trust says so and
// only about certificates for which somebody vouches.
func TestOnline(t *testing.T) {
	ca, other := notaryca.New(t, "ca"), notaryca.New(t, "other")
	var leaf *x509.Certificate
	asked, status, list := 0, ocsp.Good, []byte(nil)
	mux := http.NewServeMux()
	mux.HandleFunc("/ocsp/", func(w http.ResponseWriter, _ *http.Request) {
		asked++
		der, err := ocsp.CreateResponse(ca.Cert, ca.Cert, ocsp.Response{Status: status, SerialNumber: leaf.SerialNumber, ThisUpdate: noon.Add(-time.Hour), NextUpdate: noon.Add(time.Hour), RevokedAt: noon.Add(-time.Hour)}, ca.Key)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(der)
	})
	mux.HandleFunc("/crl", func(w http.ResponseWriter, _ *http.Request) { asked++; _, _ = w.Write(list) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	verify := func(s notaryca.Signing, by *notaryca.Authority, online *notation.Online) (*notation.Signer, error) {
		s.From, s.To = noon.Add(-20*time.Hour), noon.Add(20*time.Hour)
		var data []byte
		data, leaf = ca.Sign(image, s)
		if list == nil || status == ocsp.Revoked {
			list = ca.Revokes(nil)
			if status == ocsp.Revoked {
				list = ca.Revokes(func(l *x509.RevocationList) { l.Number = big.NewInt(2) }, notaryca.Row(leaf, time.Time{}))
			}
		}
		level, err := notation.ParseLevel("audit", map[string]string{"revocation": "enforce"})
		if err != nil {
			t.Fatal(err)
		}
		trust := &notation.Trust{CA: certs(by), Identities: []string{"*"}, Online: online, Level: level}
		return trust.Verify(t.Context(), jws.MediaTypeEnvelope, data, []sekisho.Digest{image}, noon)
	}
	byOCSP, byList := notaryca.Signing{OCSP: []string{server.URL + "/ocsp"}}, notaryca.Signing{Points: []string{server.URL + "/crl"}}
	for name, s := range map[string]notaryca.Signing{"OCSP": byOCSP, "a list": byList} {
		status, list, asked = ocsp.Good, nil, 0
		if got, err := verify(s, ca, nil); err == nil || asked != 0 {
			t.Errorf("%s: not allowed to ask: %+v %v, %d asked", name, got, err, asked)
		}
		if got, err := verify(s, ca, notation.NewOnline(10*time.Second)); err != nil || got.Revocation != notation.Good || asked == 0 {
			t.Errorf("%s: good: %+v %v, %d asked", name, got, err, asked)
		}
		asked = 0
		if got, err := verify(s, other, notation.NewOnline(10*time.Second)); err == nil || asked != 0 {
			t.Errorf("%s: a stranger's certificate: %+v %v, %d asked", name, got, err, asked)
		}
		status = ocsp.Revoked
		if got, err := verify(s, ca, notation.NewOnline(10*time.Second)); err == nil || !strings.Contains(err.Error(), "was revoked") {
			t.Errorf("%s: revoked: %+v %v", name, got, err)
		}
	}
	server.Close()
	if got, err := verify(byOCSP, ca, notation.NewOnline(10*time.Second)); err == nil || !strings.Contains(err.Error(), "not known whether") {
		t.Errorf("nobody answers: %+v %v", got, err)
	}
}

// FuzzCRL: no list makes its reader panic.
func FuzzCRL(f *testing.F) {
	ca := notaryca.New(f, "ca")
	der := ca.Revokes(nil, notaryca.Row(ca.Cert, noon))
	f.Add(der)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if list, err := notation.ParseCRL(data); err == nil && len(list) == 0 {
			t.Error("neither a list nor an error")
		}
	})
}
