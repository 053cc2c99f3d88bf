package signature_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/envelope"
	"sekisho/admit/signature/key"
	"sekisho/image/oci"
	"sekisho/image/registry"
)

// TestSimpleTampered: a signature counts for its own image, key and payload, and
// for its own repository when that is asked for.
func TestSimpleTampered(t *testing.T) {
	mine := newKey(t)
	place := memory(t, true)
	repo, image, _ := place.push(t, "app")
	sign := func(name string, d sekisho.Digest) (payload []byte, a map[string]string) {
		payload, err := envelope.NewSimple(name, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := mine.Sign(rand.Reader, payload)
		if err != nil {
			t.Fatal(err)
		}
		return payload, map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig)}
	}
	good, goodSig := sign(repo.Name(), image.Digest)
	other, otherSig := sign(repo.Name(), "sha256:"+sekisho.Digest(strings.Repeat("0", 64)))
	moved, movedSig := sign("elsewhere.example.com/team/app", image.Digest)
	config := func([]registry.Blob) (string, []byte) {
		return "application/vnd.oci.image.config.v1+json", []byte("{}")
	}
	if _, err := repo.Append(t.Context(), strings.Replace(string(image.Digest), ":", "-", 1)+".sig", config,
		layer(envelope.SimpleType, good, goodSig),
		layer(envelope.SimpleType, other, otherSig), // another image's
		layer(envelope.SimpleType, good, otherSig),  // another's signature
		layer(envelope.SimpleType, moved, movedSig), // made in another repository
		layer(envelope.SimpleType, []byte("{}"), goodSig),
		layer(envelope.SimpleType, good, map[string]string{"dev.cosignproject.cosign/signature": "!"}),
		layer(envelope.SimpleType, good, map[string]string{"dev.cosignproject.cosign/signature": otherSig["dev.cosignproject.cosign/signature"], "dev.sigstore.cosign/certificate": "none"}),
	); err != nil {
		t.Fatal(err)
	}
	got, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{Keys: []key.Public{mine.Public}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Verified) != 2 || len(got.Refused) != 5 {
		t.Errorf("verified %+v refused %+v", got.Verified, got.Refused)
	}
	strict, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{Keys: []key.Public{mine.Public}, SameRepository: true}, time.Now())
	if err != nil || len(strict.Verified) != 1 || strict.Verified[0].Reference != repo.Name() {
		t.Errorf("verified %+v %v", strict, err)
	}
	for _, r := range got.Refused {
		if r.Reason == "" || r.Where == "" {
			t.Errorf("refused without a reason or place: %+v", r)
		}
	}
}

// TestIndex: a signature over an index is good for its platforms, one over a
// platform is none for the index.
func TestIndex(t *testing.T) {
	mine := newKey(t)
	repo, child, _ := memory(t, true).push(t, "app")
	_, index, _ := memory(t, true).push(t, "index") // stands for one: only digests matter
	s := &signature.Signer{Key: mine, Random: rand.Reader, Now: time.Now()}
	trust := &signature.Trust{Keys: []key.Public{mine.Public}}
	if _, err := s.Sign(t.Context(), repo, index); err != nil {
		t.Fatal(err)
	}
	got, err := signature.Verify(t.Context(), repo, subject(repo, child, index), trust, time.Now())
	if err != nil || len(got.Verified) != 1 || got.Verified[0].Subject != index.Digest || got.Digest != child.Digest {
		t.Errorf("%+v %v", got, err)
	}
	if got, err = signature.Verify(t.Context(), repo, subject(repo, child), trust, time.Now()); err != nil || len(got.Verified) != 0 {
		t.Errorf("the platform without its index: %+v %v", got, err)
	}
}

// TestManyReferrers: somebody who fills the registry costs a bounded number of
// requests, and what was not read is said.
func TestManyReferrers(t *testing.T) {
	requests := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		digest := "sha256:" + strings.Repeat("a", 64)
		switch {
		case strings.Contains(r.URL.Path, "/referrers/"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			w.Header().Set("Link", fmt.Sprintf(`<%s?n=%d>; rel="next"`, r.URL.Path, requests)) // for ever
			var list []oci.Descriptor
			for i := range 500 {
				list = append(list, oci.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", ArtifactType: envelope.BundleType, Digest: sekisho.Digest(fmt.Sprintf("sha256:%064x", requests*1000+i)), Size: 100})
			}
			json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "manifests": list})
		case strings.HasSuffix(r.URL.Path, "/manifests/1.0"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", digest)
			w.Write([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`))
		case strings.HasSuffix(r.URL.Path, "/v2/"):
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	at := strings.TrimPrefix(s.URL, "http://")
	repo, image, _, err := registry.Resolve(t.Context(), at+"/team/app:1.0", registry.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := signature.Verify(t.Context(), repo, subject(repo, image), &signature.Trust{Keys: []key.Public{newKey(t).Public}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if requests > 300 {
		t.Errorf("%d requests", requests)
	}
	told := 0
	for _, r := range got.Refused {
		if strings.Contains(r.Reason, "was not read") {
			told++
		}
	}
	if told != 2 {
		t.Errorf("told %d times that something was not read, want of the list and of the manifests: %+v", told, got.Refused[:3])
	}
}

// source is a place that gives what it is told to.
type source struct {
	referrers []oci.Descriptor
	manifests map[string][]byte
	blobs     map[sekisho.Digest][]byte
}

func (s source) Referrers(context.Context, sekisho.Digest) ([]oci.Descriptor, bool, error) {
	return s.referrers, true, nil
}

func (s source) Manifest(_ context.Context, at string) ([]byte, oci.Descriptor, error) {
	m, ok := s.manifests[at]
	if !ok {
		return nil, oci.Descriptor{}, sekisho.Errorf(sekisho.NotFound, "no %s", at)
	}
	return m, oci.Descriptor{}, nil
}

func (s source) Blob(_ context.Context, d oci.Descriptor, limit int64) ([]byte, error) {
	return s.blobs[d.Digest], nil
}

// TestHostile: manifests with layers without end, blobs larger than allowed and
// lies about what is referred to are told and cost little.
func TestHostile(t *testing.T) {
	d := sekisho.Digest("sha256:" + strings.Repeat("a", 64))
	at, tag := "sha256:"+strings.Repeat("b", 64), "sha256-"+d.Hex()+".sig"
	layers := func(n int, size int64) []byte {
		m := oci.Document{}
		for range n {
			m.Layers = append(m.Layers, oci.Descriptor{MediaType: envelope.SimpleType, Digest: d, Size: size})
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, c := range []struct {
		name, where string
		manifest    []byte
		refused     int
		why         string
	}{
		{"many layers", tag, layers(50_000, 1), 129, "more than 128 layers"},
		{"huge layers", tag, layers(3, 1<<40), 3, "bytes beside the image"},
		{"a negative size", tag, layers(1, -1), 1, "no signature"},
		{"no manifest", tag, []byte("{"), 1, "manifest"},
		{"a list", tag, []byte("[]"), 1, "manifest"},
		{"not about the image", at, layers(1, 1), 1, "refers to something else"},
		{"unsigned", "sha256-" + d.Hex() + ".sbom", layers(1, 1), 1, "nobody signed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := source{manifests: map[string][]byte{c.where: c.manifest}, blobs: map[sekisho.Digest][]byte{d: []byte("{}")}}
			if c.where == at {
				src.referrers = []oci.Descriptor{{Digest: sekisho.Digest(at), ArtifactType: envelope.BundleType}}
			}
			r, err := signature.Verify(t.Context(), src, signature.Subject{Digests: []sekisho.Digest{d}}, &signature.Trust{Keys: []key.Public{newKey(t).Public}}, time.Now())
			if err != nil || len(r.Verified) != 0 || len(r.Refused) != c.refused || !strings.Contains(fmt.Sprint(r.Refused), c.why) {
				t.Errorf("%d refused, %v: %.300v; want %d, %q", len(r.Refused), err, r.Refused, c.refused, c.why)
			}
		})
	}
}

// FuzzVerify: whatever lies beside an image, verifying ends, and what does not
// carry a signature of the key never counts.
func FuzzVerify(f *testing.F) {
	d := sekisho.Digest("sha256:" + strings.Repeat("a", 64))
	at := "sha256:" + strings.Repeat("b", 64)
	private, err := key.Generate(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	payload, err := json.Marshal(envelope.NewStatement("app", d, envelope.SignType, json.RawMessage("{}")))
	if err != nil {
		f.Fatal(err)
	}
	bundle, err := envelope.NewBundle(&envelope.Envelope{PayloadType: envelope.InTotoType, Payload: payload, Signatures: []envelope.Signature{{Sig: []byte("sig")}}}, "hint")
	if err != nil {
		f.Fatal(err)
	}
	simple, err := envelope.NewSimple("app", d, nil)
	if err != nil {
		f.Fatal(err)
	}
	manifest := `{"layers":[{"mediaType":"` + envelope.BundleType + `","digest":"` + string(d) + `"}],"subject":{"digest":"` + string(d) + `"}}`
	f.Add([]byte(manifest), bundle)
	f.Add([]byte(strings.Replace(manifest, envelope.BundleType, envelope.SimpleType, 1)), simple)
	f.Add([]byte(strings.Replace(manifest, envelope.BundleType, envelope.DSSEType, 1)), []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"e30="}]}`))
	f.Fuzz(func(t *testing.T, manifest, blob []byte) {
		src := source{referrers: []oci.Descriptor{{Digest: sekisho.Digest(at)}}, manifests: map[string][]byte{at: manifest, "sha256-" + d.Hex() + ".sig": manifest}, blobs: map[sekisho.Digest][]byte{d: blob}}
		r, err := signature.Verify(t.Context(), src, signature.Subject{Digests: []sekisho.Digest{d}}, &signature.Trust{Keys: []key.Public{private.Public}}, time.Now())
		if err != nil || len(r.Verified) != 0 {
			t.Errorf("%+v %v", r, err)
		}
	})
}
