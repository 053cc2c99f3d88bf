package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"sekisho"
	"sekisho/image/oci"
)

// placed pushes an artifact and opens its repository.
func placed(t *testing.T, o ...registry.Option) (*Repository, oci.Descriptor) {
	t.Helper()
	s := httptest.NewServer(registry.New(append(o, registry.Logger(log.New(io.Discard, "", 0)))...))
	t.Cleanup(s.Close)
	ref := strings.TrimPrefix(s.URL, "http://") + "/team/app:1.0"
	if _, err := Push(t.Context(), ref, Artifact{Type: testType, ConfigType: testType + ".config", Config: []byte("{}"), Blobs: []Blob{blob("one")}}, Options{Insecure: true}); err != nil {
		t.Fatal(err)
	}
	repo, d, _, err := Resolve(t.Context(), ref, Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	return repo, d
}

// TestAttach: what is attached is listed, with the registry's API and without.
func TestAttach(t *testing.T) {
	for name, options := range map[string][]registry.Option{"referrers": {registry.WithReferrersSupport(true)}, "fallback tag": nil} {
		t.Run(name, func(t *testing.T) {
			repo, image := placed(t, options...)
			if list, whole, err := repo.Referrers(t.Context(), image.Digest); err != nil || !whole || len(list) != 0 {
				t.Fatalf("at first: %+v %v %v", list, whole, err)
			}
			for _, text := range []string{"two", "three"} {
				d, err := repo.Attach(t.Context(), Artifact{Type: testType, ConfigType: "application/vnd.oci.empty.v1+json", Config: []byte("{}"), Subject: &image, Blobs: []Blob{blob(text)}})
				if err != nil {
					t.Fatal(err)
				}
				raw, _, err := repo.Manifest(t.Context(), string(d))
				var m artifactManifest
				if err != nil || json.Unmarshal(raw, &m) != nil || m.Subject == nil || m.Subject.Digest != image.Digest || len(m.Layers) != 1 {
					t.Fatalf("%s %v", raw, err)
				}
				data, err := repo.Blob(t.Context(), oci.Descriptor{Digest: sekisho.Digest(m.Layers[0].Digest.String()), Size: m.Layers[0].Size}, 100)
				if err != nil || string(data) != text {
					t.Errorf("blob %q %v", data, err)
				}
				for _, wrong := range []int64{m.Layers[0].Size - 1, m.Layers[0].Size + 1, 101, -1} {
					if _, err := repo.Blob(t.Context(), oci.Descriptor{Digest: sekisho.Digest(m.Layers[0].Digest.String()), Size: wrong}, 100); err == nil {
						t.Errorf("a blob of %d bytes was read as %d", m.Layers[0].Size, wrong)
					}
				}
			}
			if list, whole, err := repo.Referrers(t.Context(), image.Digest); err != nil || !whole || len(list) != 2 {
				t.Errorf("%+v %v %v", list, whole, err)
			}
		})
	}
}

// TestAppend: blobs join those at a tag, and none is there twice.
func TestAppend(t *testing.T) {
	repo, _ := placed(t)
	config := func(b []Blob) (string, []byte) { return testType + ".config", fmt.Appendf(nil, "%d", len(b)) }
	for _, want := range []struct {
		text string
		n    int
	}{{"two", 1}, {"three", 2}, {"two", 2}} {
		if _, err := repo.Append(t.Context(), "beside", config, blob(want.text)); err != nil {
			t.Fatal(err)
		}
		raw, _, err := repo.Manifest(t.Context(), "beside")
		var m artifactManifest
		if err != nil || json.Unmarshal(raw, &m) != nil || len(m.Layers) != want.n {
			t.Errorf("after %s: %s %v", want.text, raw, err)
		}
	}
}

// TestPages: a list goes on where its Link says, in the same registry only.
func TestPages(t *testing.T) {
	next := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		if user, pass, _ := r.BasicAuth(); user != "me" || pass != "hush" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch {
		case r.URL.Path == "/v2/":
		case r.URL.RawQuery == "":
			if strings.Contains(r.URL.Path, "/referrers/") {
				w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, next))
			}
			fallthrough
		default:
			fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"sha256:%064d"}]}`, len(r.URL.RawQuery))
		}
	}))
	defer s.Close()
	dir := t.TempDir()
	host := strings.TrimPrefix(s.URL, "http://")
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"auths":{"`+host+`":{"username":"me","password":"hush"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	repo, d, _, err := Resolve(t.Context(), host+"/team/app:1.0", Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	next = "/v2/team/app/referrers/" + string(d.Digest) + "?n=1"
	if list, whole, err := repo.Referrers(t.Context(), d.Digest); err != nil || !whole || len(list) != 2 {
		t.Errorf("%+v %v %v", list, whole, err)
	}
	for _, elsewhere := range []string{"http://elsewhere.example.com/", "//elsewhere.example.com/", "https://" + host + "/", "file:///etc/passwd"} {
		next = elsewhere
		if _, _, err := repo.Referrers(t.Context(), d.Digest); err == nil {
			t.Errorf("went on at %s", elsewhere)
		}
	}
}

// FuzzReferrers: no list makes its reader panic.
func FuzzReferrers(f *testing.F) {
	f.Add([]byte(`{"manifests":[{"digest":"sha256:aa","artifactType":"x","platform":null}]}`), `</v2/x?n=1>; rel="next"`)
	f.Fuzz(func(t *testing.T, data []byte, link string) {
		referrers(data)
		if next := nextPage(link); next != "" && !strings.HasPrefix(link, "<"+next+">") {
			t.Errorf("%q goes on at %q", link, next)
		}
	})
}
