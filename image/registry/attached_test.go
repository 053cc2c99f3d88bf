package registry

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
)

const dsse, vexType = "application/vnd.dsse.envelope.v1+json", "application/vnd.openvex+json"

// TestAttached puts a VEX document, an SBOM and cosign's attestation beside an
// image, in registries with and without the referrers API.
func TestAttached(t *testing.T) {
	for name, api := range map[string]bool{"referrers API": true, "tag schema": false} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(api)))
			t.Cleanup(s.Close)
			ref := strings.TrimPrefix(s.URL, "http://") + "/team/app:1"
			o := Options{Insecure: true}
			subject := push(t, ref, empty.Image)
			digest := sekisho.Digest(subject.Digest.String())
			got, err := Attached(t.Context(), ref, digest, []string{dsse, vexType}, o)
			if err != nil || len(got) != 0 {
				t.Fatalf("an image with nothing beside it: %v, %v", got, err)
			}
			beside(t, ref, vexType, `{"vex": 1}`, "", subject)
			beside(t, ref, "application/spdx+json", `{"sbom": 1}`, "", subject)
			beside(t, ref+"-other", vexType, `{"vex": 2}`, "", nil)
			beside(t, strings.TrimSuffix(ref, "1")+strings.Replace(string(digest), ":", "-", 1)+".att", dsse, `{"payload": ""}`, "https://openvex.dev/ns/v0.2.0", nil)
			got, err = Attached(t.Context(), ref, digest, []string{dsse, vexType}, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 2 || string(got[0].Data) != `{"vex": 1}` || got[1].MediaType != dsse || got[1].Predicate != "https://openvex.dev/ns/v0.2.0" || !strings.Contains(got[0].Name, "/team/app@sha256:") {
				t.Errorf("found %+v", got)
			}
		})
	}
	if _, err := Attached(t.Context(), "localhost:1/a", "sha256:12", nil, Options{Insecure: true}); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("a digest that is none: %v", err)
	}
}

func push(t *testing.T, ref string, img v1.Image) *v1.Descriptor {
	t.Helper()
	at, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(at, img); err != nil {
		t.Fatal(err)
	}
	d, err := remote.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	return &d.Descriptor
}

// beside pushes an artifact with one document; with a subject it refers to it.
func beside(t *testing.T, ref, mediaType, text, predicate string, subject *v1.Descriptor) {
	t.Helper()
	layer := mutate.Addendum{Layer: static.NewLayer([]byte(text), types.MediaType(mediaType)), MediaType: types.MediaType(mediaType)}
	if predicate != "" {
		layer.Annotations = map[string]string{"predicateType": predicate}
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		t.Fatal(err)
	}
	if subject == nil {
		push(t, ref, img)
		return
	}
	push(t, ref+"-"+strings.NewReplacer("/", "-", "+", "-").Replace(mediaType), mutate.Subject(img, *subject).(v1.Image))
}
