package signature_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/envelope"
	"sekisho/admit/signature/key"
	"sekisho/admit/signature/keyless"
	"sekisho/admit/signature/predicate"
	"sekisho/image/oci"
	"sekisho/image/registry"
	"sekisho/internal/fixture/sigstoreca"
)

const ci, issuer = "ci@example.com", "https://issuer.example.com"

func layer(mediaType string, data []byte, annotations map[string]string) registry.Blob {
	return registry.Blob{MediaType: mediaType, Digest: sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data))), Size: int64(len(data)), Annotations: annotations,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// refer puts a blob beside an image as a referrer.
func refer(t *testing.T, repo *registry.Repository, image oci.Descriptor, artifactType, mediaType string, data []byte) {
	t.Helper()
	if _, err := repo.Attach(t.Context(), registry.Artifact{Type: artifactType, ConfigType: "application/vnd.oci.empty.v1+json", Config: []byte("{}"), Subject: &image,
		Blobs: []registry.Blob{layer(mediaType, data, nil)}}); err != nil {
		t.Fatal(err)
	}
}

func statement(t *testing.T, d sekisho.Digest, predicateType, doc string) []byte {
	t.Helper()
	data, err := json.Marshal(envelope.NewStatement("app", d, predicateType, json.RawMessage(doc)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func trusting(t *testing.T, s *sigstoreca.Sigstore, list ...keyless.Identity) *signature.Trust {
	t.Helper()
	v, err := keyless.New(s.Root())
	if err != nil {
		t.Fatal(err)
	}
	return &signature.Trust{Identities: list, Root: v}
}

// TestKeyless: an identity's signatures, in bundles and as cosign kept them
// before, hold under a trusted root, and under no other identity, issuer, root
// or time.
func TestKeyless(t *testing.T) {
	const provenance = `{"runDetails":{"builder":{"id":"https://example.com/builder"}},"buildDefinition":{}}`
	s := sigstoreca.New(t)
	place := memory(t, true)
	repo, image, _ := place.push(t, "app")
	now := time.Now().Add(5 * time.Minute)
	refer(t, repo, image, envelope.BundleType, envelope.BundleType, s.Attest(ci, issuer, statement(t, image.Digest, envelope.SignType, "{}"), now))
	refer(t, repo, image, envelope.BundleType, envelope.BundleType, s.Attest(ci, issuer, statement(t, image.Digest, predicate.SLSAv1, provenance), now))
	payload, err := envelope.NewSimple(repo.Name(), image.Digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := func([]registry.Blob) (string, []byte) {
		return "application/vnd.oci.image.config.v1+json", []byte("{}")
	}
	tag := strings.Replace(string(image.Digest), ":", "-", 1) + ".sig"
	if _, err := repo.Append(t.Context(), tag, config, layer(envelope.SimpleType, payload, s.Sign(ci, issuer, payload))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		trust *signature.Trust
		holds int
		why   string
	}{
		{"the identity", trusting(t, s, keyless.Identity{Issuer: issuer, Subject: ci}), 3, ""},
		{"a pattern", trusting(t, s, keyless.Identity{Issuer: issuer, SubjectRegexp: `.*@example\.com`}), 3, ""},
		{"a pattern for a part", trusting(t, s, keyless.Identity{Issuer: issuer, SubjectRegexp: `ci@example`}), 0, "whom nobody trusts"},
		{"another identity", trusting(t, s, keyless.Identity{Issuer: issuer, Subject: "me@example.com"}), 0, "whom nobody trusts"},
		{"another issuer", trusting(t, s, keyless.Identity{Issuer: "https://evil.example.com", Subject: ci}), 0, "whom nobody trusts"},
		{"another root", trusting(t, sigstoreca.New(t), keyless.Identity{Issuer: issuer, Subject: ci}), 0, ""},
		{"no identities", &signature.Trust{Keys: nil}, 0, "no identity with a trusted root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := signature.Verify(t.Context(), repo, subject(repo, image), c.trust, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Verified) != c.holds || len(got.Verified)+len(got.Refused) != 3 {
				t.Fatalf("%d verified, want %d; refused %+v", len(got.Verified), c.holds, got.Refused)
			}
			for _, v := range got.Verified {
				if v.Identity != ci || v.Issuer != issuer || v.Time.IsZero() {
					t.Errorf("verified %+v", v)
				}
			}
			for _, r := range got.Refused {
				if !strings.Contains(r.Reason, c.why) {
					t.Errorf("refused: %s, want %q", r.Reason, c.why)
				}
			}
			if f := facts(got); c.holds > 0 && (len(f.Signatures) == 0 || f.Signatures[0].Identity != ci || len(f.Provenance) != 1 || f.Provenance[0].Signer != ci) {
				t.Errorf("facts %+v %+v", f.Signatures, f.Provenance)
			}
		})
	}
}

// TestKeylessTampered: what was signed while the certificate did not hold, or
// was changed since, does not count.
func TestKeylessTampered(t *testing.T) {
	s := sigstoreca.New(t)
	d := sekisho.Digest("sha256:" + strings.Repeat("ab", 32))
	trust := trusting(t, s, keyless.Identity{Issuer: issuer, Subject: ci})
	good := s.Attest(ci, issuer, statement(t, d, envelope.SignType, "{}"), time.Now().Add(5*time.Minute))
	swapped := func(from, to string) []byte {
		var b map[string]any
		if err := json.Unmarshal(good, &b); err != nil {
			t.Fatal(err)
		}
		switch from {
		case "payload":
			b["dsseEnvelope"].(map[string]any)["payload"] = statement(t, d, envelope.SignType, to)
		case "log":
			b["verificationMaterial"].(map[string]any)["tlogEntries"] = []any{}
		case "certificate":
			var o map[string]any
			other := s.Attest("me@example.com", issuer, statement(t, d, envelope.SignType, "{}"), time.Now().Add(5*time.Minute))
			if err := json.Unmarshal(other, &o); err != nil {
				t.Fatal(err)
			}
			b["verificationMaterial"].(map[string]any)["certificate"] = o["verificationMaterial"].(map[string]any)["certificate"]
		}
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, c := range []struct {
		name  string
		data  []byte
		holds bool
	}{
		{"as it was made", good, true},
		{"another image", s.Attest(ci, issuer, statement(t, "sha256:"+sekisho.Digest(strings.Repeat("cd", 32)), envelope.SignType, "{}"), time.Now().Add(5*time.Minute)), false},
		{"an expired certificate", s.Attest(ci, issuer, statement(t, d, envelope.SignType, "{}"), time.Now().Add(time.Hour)), false},
		{"before the certificate", s.Attest(ci, issuer, statement(t, d, envelope.SignType, "{}"), time.Now().Add(-time.Hour)), false},
		{"another payload", swapped("payload", `{"x":1}`), false},
		{"no log", swapped("log", ""), false},
		{"another certificate", swapped("certificate", ""), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := signature.VerifyFiles(t.Context(), []signature.File{{Name: "b", Data: c.data}}, signature.Subject{Digests: []sekisho.Digest{d}}, trust, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if (len(got.Verified) == 1) != c.holds || len(got.Verified)+len(got.Refused) != 1 {
				t.Errorf("verified %d, refused %+v", len(got.Verified), got.Refused)
			}
		})
	}
}

// TestTimeOfKey: when a key signed is known when a timestamp authority of the
// root shows it, and the signature holds either way.
func TestTimeOfKey(t *testing.T) {
	s, mine := sigstoreca.New(t), newKey(t)
	d := sekisho.Digest("sha256:" + strings.Repeat("ab", 32))
	payload := statement(t, d, envelope.SignType, "{}")
	sig, err := mine.Sign(rand.Reader, envelope.PAE(envelope.InTotoType, payload))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := envelope.NewBundle(&envelope.Envelope{PayloadType: envelope.InTotoType, Payload: payload, Signatures: []envelope.Signature{{Sig: sig}}}, "hint")
	if err != nil {
		t.Fatal(err)
	}
	with := func(stamp []byte) []byte {
		var b map[string]any
		if err := json.Unmarshal(plain, &b); err != nil {
			t.Fatal(err)
		}
		b["verificationMaterial"].(map[string]any)["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": stamp}}}
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	trust := trusting(t, s)
	trust.Keys = []key.Public{mine.Public}
	for name, c := range map[string]struct {
		data  []byte
		known bool
	}{
		"no timestamp":              {plain, false},
		"a timestamp":               {with(s.Timestamp(sig)), true},
		"of something else":         {with(s.Timestamp([]byte("another signature"))), false},
		"by another's authority":    {with(sigstoreca.New(t).Timestamp(sig)), false},
		"something that is not one": {with([]byte("x")), false},
	} {
		got, err := signature.VerifyFiles(t.Context(), []signature.File{{Name: "b", Data: c.data}}, signature.Subject{Digests: []sekisho.Digest{d}}, trust, time.Now())
		if err != nil || len(got.Verified) != 1 || got.Verified[0].Time.IsZero() == c.known {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}
