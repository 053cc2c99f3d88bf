package keyless

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"sekisho/internal/fixture/sigstoreca"
)

const statement = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"aa"}}],"predicateType":"x","predicate":{}}`

func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		identity        Identity
		issuer, subject string
		want            bool
	}{
		{Identity{Issuer: "i", Subject: "s"}, "i", "s", true},
		{Identity{Issuer: "i", Subject: "s"}, "i", "S", false},
		{Identity{Issuer: "i", Subject: "s"}, "j", "s", false},
		{Identity{Issuer: "i", SubjectRegexp: "https://github.com/us/.*"}, "i", "https://github.com/us/app", true},
		{Identity{Issuer: "i", SubjectRegexp: "https://github.com/us/.*"}, "i", "https://evil.example/?https://github.com/us/app", false},
		{Identity{Issuer: "i", SubjectRegexp: "a|b"}, "i", "bc", false},
		{Identity{Issuer: "i", SubjectRegexp: ".*"}, "i", "", false},
		{Identity{Issuer: "i", SubjectRegexp: ".*"}, "i", "a\nb", false},
	} {
		if got := c.identity.Matches(c.issuer, c.subject); got != c.want {
			t.Errorf("%+v, %q, %q: %v", c.identity, c.issuer, c.subject, got)
		}
	}
}

func TestRoot(t *testing.T) {
	for text, want := range map[string]string{
		"":   "trusted root",
		"{}": "trusted root",
		`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`: "no certificate authority",
		strings.Repeat(" ", MaxRoot+1):                                              "more than",
	} {
		if _, err := New([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
		}
	}
}

// TestPublic verifies what GitHub Actions signed in the public sigstore, with
// its certificate and transparency logs, years later and offline.
func TestPublic(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	const issuer = "https://token.actions.githubusercontent.com"
	who := []Identity{{Issuer: issuer, SubjectRegexp: `https://github\.com/sigstore/sigstore-js/\.github/workflows/release\.yml@refs/heads/main`}}
	v, err := New(read("public-good.json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.Verify(read("sigstore-js.json"), nil, who)
	if err != nil {
		t.Fatal(err)
	}
	if s.Issuer != issuer || s.Time.Year() != 2023 || s.PayloadType != "application/vnd.in-toto+json" || !bytes.Contains(s.Payload, []byte("https://slsa.dev/provenance/v1")) {
		t.Errorf("%s %s %s %s", s.Identity, s.Issuer, s.Time, s.PayloadType)
	}
	changed := bytes.Replace(read("sigstore-js.json"), []byte(`"payload": "`), []byte(`"payload": "IA`), 1)
	if bytes.Equal(changed, read("sigstore-js.json")) {
		t.Fatal("nothing was changed")
	}
	if _, err := v.Verify(changed, nil, who); err == nil {
		t.Error("another payload holds")
	}
	private, err := New(read("scaffolding.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := private.Verify(read("sigstore-js.json"), nil, who); err == nil {
		t.Error("it holds under another root")
	}
	if _, err := v.Verify(read("othername.sigstore.json"), nil, who); err == nil {
		t.Error("a private sigstore's holds under the public root")
	}
}

// FuzzBundle: no bundle makes verifying panic, and none but the one that was
// signed holds.
func FuzzBundle(f *testing.F) {
	s := sigstoreca.New(f)
	v, err := New(s.Root())
	if err != nil {
		f.Fatal(err)
	}
	trusted := []Identity{{Issuer: "https://issuer.example.com", Subject: "ci@example.com"}}
	good := s.Attest("ci@example.com", "https://issuer.example.com", []byte(statement), time.Now().Add(5*time.Minute))
	if _, err := v.Verify(good, nil, trusted); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), "v0.3+json", "+json;version=0.1", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := v.Verify(data, nil, trusted); err == nil && string(got.Payload) != statement {
			t.Errorf("%q holds", got.Payload)
		}
	})
}

// FuzzRoot: no trusted root makes its reader panic.
func FuzzRoot(f *testing.F) {
	f.Add(sigstoreca.New(f).Root())
	f.Fuzz(func(t *testing.T, data []byte) { New(data) })
}

func BenchmarkVerify(b *testing.B) {
	s := sigstoreca.New(b)
	v, err := New(s.Root())
	if err != nil {
		b.Fatal(err)
	}
	data := s.Attest("ci@example.com", "https://issuer.example.com", []byte(statement), time.Now().Add(5*time.Minute))
	for b.Loop() {
		if _, err := v.Verify(data, nil, []Identity{{Issuer: "https://issuer.example.com", Subject: "ci@example.com"}}); err != nil {
			b.Fatal(err)
		}
	}
}
