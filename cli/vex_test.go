package cli

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"sekisho"
	"sekisho/scan/vex"
)

// TestVEXAttached hears two documents beside an image, of which one is broken
// and the other clears a finding.
func TestVEXAttached(t *testing.T) {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	t.Cleanup(s.Close)
	at, err := name.ParseReference(strings.TrimPrefix(s.URL, "http://")+"/team/app:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(at, empty.Image); err != nil {
		t.Fatal(err)
	}
	root, err := remote.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	for _, text := range []string{"{", `{"@context": "https://openvex.dev/ns/v0.2.0", "author": "Example", "timestamp": "2024-01-02T00:00:00Z", "version": 1, "statements": [
		{"vulnerability": "CVE-2024-0001", "products": ["pkg:oci/app"], "status": "not_affected", "justification": "component_not_present"}]}`} {
		layer := static.NewLayer([]byte(text), "application/vnd.openvex+json")
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	if err := remote.Write(at.Context().Tag("vex"), mutate.Subject(img, root.Descriptor).(v1.Image)); err != nil {
		t.Fatal(err)
	}
	r := &sekisho.Report{Target: sekisho.Target{Kind: "image", Reference: "registry:" + at.Name(), Digest: sekisho.Digest(root.Digest.String())},
		Findings: []sekisho.Finding{{Kind: sekisho.Vulnerability, ID: "CVE-2024-0001", Package: &sekisho.PackageRef{Name: "a", PURL: "pkg:npm/a@1.0.0"}}}}
	var set vex.Set
	if err := new(app).attachedStatements(t.Context(), r, &set, true); err != nil {
		t.Fatal(err)
	}
	if done := set.Apply(r); done.Suppressed != 1 || len(set.Problems) != 1 {
		t.Errorf("%d findings are suppressed, problems %v; want 1 and one", done.Suppressed, set.Problems)
	}
}
