package signature_test

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/admit/signature"
	"sekisho/admit/signature/key"
	"sekisho/admit/signature/predicate"
	"sekisho/image/layout"
	"sekisho/internal/fixture"
)

// cosign runs cosign without a network: with our own home and no transparency log.
func cosign(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(fixture.Cosign(t), args...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "COSIGN_PASSWORD=secret", "PATH=" + os.Getenv("PATH"), "SIGSTORE_ROOT_FILE=", "TUF_ROOT=" + dir}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := cosign(t, dir, args...)
	if err != nil {
		t.Fatalf("cosign %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TestCosignAccepts: what we sign and attest, cosign verifies, in both of its
// formats, and refuses under another key.
func TestCosignAccepts(t *testing.T) {
	fixture.Cosign(t)
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mine, other := newKey(t), newKey(t)
			write(t, dir, "mine.pub", publicPEM(t, mine))
			write(t, dir, "other.pub", publicPEM(t, other))
			sealed, err := mine.PEM(rand.Reader, []byte("secret"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "mine.key", sealed)
			if out := must(t, dir, "public-key", "--key", "mine.key"); !strings.Contains(out, strings.TrimSpace(string(publicPEM(t, mine)))) {
				t.Errorf("cosign reads another key from ours:\n%s", out)
			}
			repo, image, ref := place.push(t, "app")
			s := &signature.Signer{Key: mine, Random: rand.Reader, Now: time.Now()}
			if _, err := s.Sign(t.Context(), repo, image); err != nil {
				t.Fatal(err)
			}
			verify := []string{"verify", "--insecure-ignore-tlog=true", "--allow-http-registry", "--key"}
			must(t, dir, append(verify, "mine.pub", ref)...)
			must(t, dir, append(verify, "mine.pub", "--new-bundle-format=false", ref)...)
			if out, err := cosign(t, dir, append(verify, "other.pub", ref)...); err == nil {
				t.Errorf("cosign took it under another key:\n%s", out)
			}
			doc := json.RawMessage(`{"bomFormat":"CycloneDX","specVersion":"1.6"}`)
			if _, err := s.Attest(t.Context(), repo, image, predicate.CycloneDX, doc, true); err != nil {
				t.Fatal(err)
			}
			attest := []string{"verify-attestation", "--insecure-ignore-tlog=true", "--allow-http-registry", "--type", "cyclonedx", "--key"}
			if out := must(t, dir, append(attest, "mine.pub", ref)...); !strings.Contains(out, "payload") {
				t.Errorf("cosign shows no payload:\n%s", out)
			}
			must(t, dir, append(attest, "mine.pub", "--new-bundle-format=false", ref)...)
			if out, err := cosign(t, dir, append(attest, "other.pub", ref)...); err == nil {
				t.Errorf("cosign took the attestation under another key:\n%s", out)
			}
			if _, err := s.SignBundle(t.Context(), repo, image); err != nil {
				t.Fatal(err)
			}
			must(t, dir, append(verify, "mine.pub", "--new-bundle-format=true", ref)...)
		})
	}
}

// TestCosignSigns: what cosign signs and attests, in both of its formats, with a
// key that it made, we verify.
func TestCosignSigns(t *testing.T) {
	fixture.Cosign(t)
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, dir, "generate-key-pair")
			must(t, dir, "signing-config", "create", "--out", "sc.json")
			keys, err := key.ParsePublic(read(t, dir, "cosign.pub"))
			if err != nil {
				t.Fatal(err)
			}
			private, err := key.ParsePrivate(read(t, dir, "cosign.key"), func() ([]byte, error) { return []byte("secret"), nil })
			if err != nil {
				t.Fatal(err)
			}
			if private.Public.Fingerprint != keys[0].Fingerprint {
				t.Errorf("the private key is %s, the public one %s", private.Public.Fingerprint, keys[0].Fingerprint)
			}
			if _, err := key.ParsePrivate(read(t, dir, "cosign.key"), func() ([]byte, error) { return []byte("wrong"), nil }); err == nil {
				t.Error("a wrong password opens the key")
			}
			repo, image, ref := place.push(t, "app")
			bundles := []string{"--key", "cosign.key", "--yes", "--allow-http-registry", "--signing-config", "sc.json"}
			legacy := []string{"--key", "cosign.key", "--yes", "--allow-http-registry", "--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"}
			must(t, dir, append(append([]string{"sign"}, bundles...), ref)...)
			must(t, dir, append(append([]string{"sign"}, legacy...), ref)...)
			write(t, dir, "slsa.json", []byte(`{"buildDefinition":{"buildType":"https://example.com/b","externalParameters":{"source":"git+https://example.com/us/app@refs/heads/main"},"resolvedDependencies":[{"uri":"git+https://example.com/us/app@refs/heads/main","digest":{"gitCommit":"e2f5e1a0a0c4cbe77d0e33e38a1cf0c1d3d7a6c1"}}]},"runDetails":{"builder":{"id":"https://example.com/builder"},"metadata":{}}}`))
			write(t, dir, "vex.json", []byte(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex","author":"us","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[]}`))
			must(t, dir, append(append([]string{"attest", "--type", "slsaprovenance1", "--predicate", "slsa.json"}, bundles...), ref)...)
			must(t, dir, append(append([]string{"attest", "--type", "openvex", "--predicate", "vex.json"}, legacy...), ref)...)

			got, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{Keys: keys}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			forms := map[string]int{}
			for _, v := range got.Verified {
				forms[v.Form+" "+predicate.Kind(v.Predicate)]++
				if v.Key != keys[0].Fingerprint || v.Subject != image.Digest {
					t.Errorf("verified %+v", v)
				}
			}
			for _, want := range []string{"bundle ", "simple ", "bundle slsa", "attestation vex"} {
				if forms[want] != 1 {
					t.Errorf("%q: %d, want 1 of %v", want, forms[want], forms)
				}
			}
			if len(got.Refused) != 0 {
				t.Errorf("refused %+v", got.Refused)
			}
			facts := facts(got)
			if len(facts.Signatures) != 1 || len(facts.Provenance) != 1 || facts.Provenance[0].Source != "https://example.com/us/app" || facts.Provenance[0].Commit == "" {
				t.Errorf("facts %+v %+v", facts.Signatures, facts.Provenance)
			}
			must(t, dir, "save", "--allow-http-registry", "--dir", "saved", ref)
			saved, err := layout.OpenBeside(filepath.Join(dir, "saved"))
			if err != nil {
				t.Fatal(err)
			}
			root, _, err := saved.Root(t.Context(), "")
			if err != nil || root.Digest != image.Digest {
				t.Fatalf("cosign saved %s: %v", root.Digest, err)
			}
			beside, err := signature.Verify(t.Context(), saved, subject(repo, image), &signature.Trust{Keys: keys}, time.Now())
			if err != nil || len(beside.Verified) < 2 {
				t.Errorf("beside the saved image: %+v %v", beside, err)
			}
			other, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{Keys: []key.Public{newKey(t).Public}}, time.Now())
			if err != nil || len(other.Verified) != 0 || len(other.Refused) != 4 {
				t.Errorf("under another key: %+v %v", other, err)
			}
		})
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}
