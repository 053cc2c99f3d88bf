package registry

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"sekisho"
)

const testType = "application/vnd.sekisho.test.v1"

func blob(text string) Blob {
	return Blob{MediaType: testType + ".blob", Digest: sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))), Size: int64(len(text)), Title: text,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// host starts a registry in memory and notes the blobs that are sent.
func host(t *testing.T) (ref string, sent *[]string, tamper *bool) {
	t.Helper()
	var mu sync.Mutex
	sent, tamper = new([]string), new(bool)
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/") {
			mu.Lock()
			*sent = append(*sent, r.URL.Query().Get("digest"))
			mu.Unlock()
		}
		if *tamper && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256:") {
			w.Write([]byte("something else"))
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://") + "/team/advisories:latest", sent, tamper
}

func TestArtifact(t *testing.T) {
	ref, sent, tamper := host(t)
	a := Artifact{Type: testType, ConfigType: testType + ".config", Config: []byte("not even JSON"), Blobs: []Blob{blob("one"), blob("two"), blob("one")}}
	o := Options{Insecure: true}
	digest, err := Push(t.Context(), ref, a, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(*sent) != 3 {
		t.Errorf("sent %v, want two blobs and the configuration", *sent)
	}
	*sent = nil
	a.Blobs = append(a.Blobs, blob("three"))
	if digest, err = Push(t.Context(), ref, a, o); err != nil {
		t.Fatal(err)
	}
	if len(*sent) != 1 || (*sent)[0] != string(blob("three").Digest) {
		t.Errorf("sent %v, want only what is new", *sent)
	}
	got, at, err := Pull(t.Context(), ref, testType, o)
	if err != nil {
		t.Fatal(err)
	}
	if at != digest || !bytes.Equal(got.Config, a.Config) || got.ConfigType != a.ConfigType || len(got.Blobs) != 3 {
		t.Errorf("pulled %+v at %s, want %s", got, at, digest)
	}
	for _, b := range got.Blobs {
		rc, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(rc)
		if err != nil || string(data) != b.Title || int64(len(data)) != b.Size {
			t.Errorf("blob %s: %q %v", b.Title, data, err)
		}
		rc.Close()
	}
	if _, _, err := Pull(t.Context(), ref, "application/vnd.other", o); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("another type: %v", err)
	}
	if _, _, err := Pull(t.Context(), strings.Replace(ref, "latest", "none", 1), testType, o); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("no such tag: %v", err)
	}
	*tamper = true
	rc, err := got.Blobs[0].Open()
	if err == nil {
		_, err = io.ReadAll(rc)
		rc.Close()
	}
	if err == nil {
		t.Error("a blob that is another was read")
	}
	if _, _, err := Pull(t.Context(), ref, testType, o); err == nil {
		t.Error("a configuration that is another was read")
	}
}
