package cli

import (
	"crypto/rand"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/key"
	"sekisho/i18n"
	"sekisho/image/registry"
	"sekisho/store"
)

// TestSignedIndex: a gate asks for the image of a platform, and the index that
// its tag names is what was signed. It counts when the image is first seen, and
// when it is verified anew after the tag has moved.
func TestSignedIndex(t *testing.T) {
	s := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(true)))
	defer s.Close()
	at := strings.TrimPrefix(s.URL, "http://") + "/team/app:1.0"
	ref, err := name.ParseReference(at, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index, err := random.Index(256, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	child := sekisho.Digest(m.Manifests[1].Digest.String())

	k, err := key.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := k.Public.PEM()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, data := range map[string][]byte{"release.pub": pub, "trust.yaml": []byte("keys: [release.pub]\n")} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repo, top, _, err := registry.Resolve(t.Context(), at, registry.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	signer := signature.Signer{Key: k, Random: rand.Reader, Now: time.Now()}
	if _, err := signer.SignBundle(t.Context(), repo, top); err != nil {
		t.Fatal(err)
	}

	a := &app{Process: Process{Getenv: func(name string) string {
		return map[string]string{"SEKISHO_CACHE_DIR": filepath.Join(dir, "cache"), "SEKISHO_DB_DIR": filepath.Join(dir, "db")}[name]
	}, Stderr: io.Discard}, texts: i18n.New(i18n.English)}
	facts, err := store.OpenFacts(filepath.Join(dir, "facts"))
	if err != nil {
		t.Fatal(err)
	}
	c := &admitConfig{Trust: filepath.Join(dir, "trust.yaml"), Insecure: true}
	if err := a.scanner(c, facts, "registry").Scan(t.Context(), at, child); err != nil {
		t.Fatal(err)
	}
	signed := func(when string, want int) {
		t.Helper()
		i, err := facts.Image(child)
		if err != nil || i.Signatures == nil || len(i.Signatures) != want || want > 0 && i.Signatures[0].Key != k.Public.Fingerprint {
			t.Errorf("%s: %+v %v", when, i.Signatures, err)
		}
	}
	signed("first seen", 1)

	other, err := random.Index(256, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, other); err != nil {
		t.Fatal(err)
	}
	v, err := a.voucher(c.Trust, "", true)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := v.refresh(t.Context(), facts, nil); err != nil || n != 1 {
		t.Fatalf("%d verified anew: %v", n, err)
	}
	signed("after the tag has moved", 1)

	v.trust.Keys = nil
	if _, err := v.refresh(t.Context(), facts, nil); err != nil {
		t.Fatal(err)
	}
	signed("nobody is trusted any more", 0)
}
