package registry

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"sekisho"
)

// TestCurrent: a manifest costs one HEAD; an index tells its images; registries
// without HEAD are asked for the document.
func TestCurrent(t *testing.T) {
	var asked []string
	headless := false
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			asked = append(asked, r.Method)
			if headless && r.Method == http.MethodHead {
				http.Error(w, "no", http.StatusMethodNotAllowed)
				return
			}
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	push := func(tag string, write func(name.Reference) error) {
		ref, err := name.ParseReference(host+"/app:"+tag, name.Insecure)
		if err == nil {
			err = write(ref)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	push("one", func(r name.Reference) error { return remote.Write(r, img) })
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}},
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}})
	push("many", func(r name.Reference) error { return remote.WriteIndex(r, index) })
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, headless = range []bool{false, true} {
		asked = nil
		one, err := Current(t.Context(), host+"/app:one", Options{Insecure: true})
		if err != nil || string(one.Digest) != want.String() || one.Manifests != nil {
			t.Errorf("a manifest: %+v, %v", one, err)
		}
		if got := fmt.Sprint(asked); !headless && got != "[HEAD]" {
			t.Errorf("a manifest is asked for by %s", got)
		}
		many, err := Current(t.Context(), host+"/app:many", Options{Insecure: true})
		if err != nil || len(many.Manifests) != 1 || string(many.Manifests[0].Digest) != want.String() || many.Manifests[0].Platform.String() != "linux/arm64/v8" || many.Digest == one.Digest {
			t.Errorf("an index: %+v, %v", many, err)
		}
		if again, err := Current(t.Context(), host+"/app:many@"+string(many.Digest), Options{Insecure: true}); err != nil || again.Digest != many.Digest {
			t.Errorf("by digest: %+v, %v", again, err)
		}
	}
	if _, err := Current(t.Context(), host+"/app:none", Options{Insecure: true}); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("what is not there: %v", err)
	}
	s.Close()
	if _, err := Current(t.Context(), host+"/app:one", Options{Insecure: true}); sekisho.KindOf(err) != sekisho.Unavailable {
		t.Errorf("a registry that is away: %v", err)
	}
}
