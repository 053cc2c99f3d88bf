package signature_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/key"
	"sekisho/image/oci"
	"sekisho/image/registry"
	"sekisho/policy/fact"
)

// place is a registry.
type place string

// places are a registry in memory with the referrers API, one without it, and
// Debian's docker-registry, which has none either.
func places(t *testing.T) map[string]place {
	return map[string]place{"referrers": memory(t, true), "fallback tag": memory(t, false), "docker-registry": debian(t)}
}

func memory(t *testing.T, referrers bool) place {
	t.Helper()
	s := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(referrers)))
	t.Cleanup(s.Close)
	return place(strings.TrimPrefix(s.URL, "http://"))
}

func debian(t *testing.T) place {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("docker-registry is missing")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: " + dir + "}}\nhttp: {addr: '" + at + "'}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "serve", config)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		if a, err := http.Get("http://" + at + "/v2/"); err == nil {
			a.Body.Close()
			return place(at)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("docker-registry does not answer:\n%s", out.String())
		}
	}
}

// push pushes a new image.
func (p place) push(t *testing.T, repository string) (*registry.Repository, oci.Descriptor, string) {
	t.Helper()
	img, err := random.Image(512, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p.write(t, repository, img)
}

func (p place) write(t *testing.T, repository string, img v1.Image) (*registry.Repository, oci.Descriptor, string) {
	t.Helper()
	at := string(p) + "/team/" + repository
	ref, err := name.ParseReference(at+":1.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	return p.resolve(t, at+":1.0")
}

func (p place) resolve(t *testing.T, ref string) (*registry.Repository, oci.Descriptor, string) {
	t.Helper()
	repo, d, _, err := registry.Resolve(t.Context(), ref, registry.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	return repo, d, repo.Name() + "@" + string(d.Digest)
}

func subject(repo *registry.Repository, d oci.Descriptor, above ...oci.Descriptor) signature.Subject {
	s := signature.Subject{Repository: repo.Name(), Digests: []sekisho.Digest{d.Digest}}
	for _, a := range above {
		s.Digests = append(s.Digests, a.Digest)
	}
	return s
}

func newKey(t *testing.T) key.Private {
	t.Helper()
	k, err := key.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publicPEM(t *testing.T, k key.Private) []byte {
	t.Helper()
	data, err := k.Public.PEM()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func facts(r *signature.Result) fact.Image {
	i := fact.Image{}
	r.Fill(&i, nil)
	return i
}

// BenchmarkVerify verifies an image with a signature and two attestations by a
// key, in a registry on this machine.
func BenchmarkVerify(b *testing.B) {
	s := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(true)))
	defer s.Close()
	ref, err := name.ParseReference(strings.TrimPrefix(s.URL, "http://")+"/app:1.0", name.Insecure)
	if err != nil {
		b.Fatal(err)
	}
	img, err := random.Image(512, 1)
	if err != nil {
		b.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		b.Fatal(err)
	}
	k, err := key.Generate(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	repo, d, _, err := registry.Resolve(b.Context(), ref.String(), registry.Options{Insecure: true})
	if err != nil {
		b.Fatal(err)
	}
	signer := signature.Signer{Key: k, Random: rand.Reader, Now: time.Now()}
	if _, err := signer.SignBundle(b.Context(), repo, d); err != nil {
		b.Fatal(err)
	}
	for _, doc := range []string{"{}", `{"a":1}`} {
		if _, err := signer.Attest(b.Context(), repo, d, "https://slsa.dev/provenance/v1", []byte(doc), false); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		r, err := signature.Verify(b.Context(), repo, subject(repo, d), &signature.Trust{Keys: []key.Public{k.Public}}, time.Now())
		if err != nil || len(r.Verified) != 3 {
			b.Fatal(r, err)
		}
	}
}
