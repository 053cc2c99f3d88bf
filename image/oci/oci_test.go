package oci_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"sekisho"
	"sekisho/image/oci"
)

// blobs keeps blobs by digest.
type blobs map[sekisho.Digest][]byte

func (b blobs) Open(_ context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	data, ok := b[d.Digest]
	if !ok {
		return nil, sekisho.Errorf(sekisho.NotFound, "no blob %s", d.Digest)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// put keeps a document and points to it.
func (b blobs) put(t testing.TB, v any) oci.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := oci.Descriptor{Digest: sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data))), Size: int64(len(data))}
	b[d.Digest] = data
	return d
}

type object = map[string]any

var layer = sekisho.Digest("sha256:" + strings.Repeat("ab", 32))

// image keeps a manifest of one layer for a platform.
func (b blobs) image(t testing.TB, os, architecture string) oci.Descriptor {
	t.Helper()
	config := b.put(t, object{"os": os, "architecture": architecture, "rootfs": object{"type": "layers", "diff_ids": []any{layer}},
		"history": []any{object{"created_by": "ENV A=b", "empty_layer": true}, object{"created_by": "COPY . /"}}})
	d := b.put(t, object{"config": config, "layers": []any{oci.Descriptor{Digest: layer, Size: 7, MediaType: "application/vnd.oci.image.layer.v1.tar"}}})
	d.Platform = &oci.Platform{OS: os, Architecture: architecture}
	return d
}

// attestation is what builders hide among the images of an index.
func attestation(d oci.Descriptor) oci.Descriptor {
	d.Platform = &oci.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	return d
}

func TestImage(t *testing.T) {
	b := blobs{}
	arm, amd := b.image(t, "linux", "arm64"), b.image(t, "linux", "amd64")
	inner := b.put(t, object{"manifests": []any{attestation(arm), arm, amd}})
	outer := b.put(t, object{"manifests": []any{inner}})
	for _, c := range []struct {
		name     string
		d        oci.Descriptor
		platform sekisho.Platform
		want     string
		offered  int
	}{
		{"manifest", amd, sekisho.Platform{}, "linux/amd64", 0},
		{"index", inner, sekisho.Platform{OS: "linux", Architecture: "arm64"}, "linux/arm64", 2},
		{"index of indexes", outer, sekisho.Platform{}, "linux/", 2},
	} {
		img, err := oci.Image(t.Context(), b, c.d, c.platform)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.HasPrefix(img.Platform.String(), c.want) || len(img.Platforms) != c.offered || len(img.Layers) != 1 || img.Layers[0].DiffID != layer || img.Layers[0].CreatedBy != "COPY . /" {
			t.Errorf("%s: %+v", c.name, img)
		}
	}
}

// TestWhatIsNoImage wants an error that says what is wrong with the documents.
func TestWhatIsNoImage(t *testing.T) {
	b := blobs{}
	good := b.image(t, "linux", "amd64")
	index := b.put(t, object{"manifests": []any{good}})
	deep := good
	for range 6 {
		deep = b.put(t, object{"manifests": []any{deep}})
	}
	config := b.put(t, object{"os": "linux", "architecture": "amd64", "rootfs": object{"diff_ids": []any{layer}}})
	huge := b.put(t, object{"x": strings.Repeat("y", oci.MaxDocument)})
	lying := b.put(t, object{"config": config, "x": 1})
	b[lying.Digest] = []byte(`{"config":{}}`)
	long := oci.Descriptor{Digest: sekisho.Digest(fmt.Sprintf("sha512:%x", sha512.Sum512([]byte("other"))))}
	b[long.Digest] = []byte(`{}`)
	broken := b.put(t, "no object")
	for _, c := range []struct {
		name     string
		d        oci.Descriptor
		platform sekisho.Platform
		kind     sekisho.Kind
		want     string
	}{
		{"another platform", index, sekisho.Platform{OS: "linux", Architecture: "s390x"}, sekisho.NotFound, "offers linux/amd64"},
		{"nested too deep", deep, sekisho.Platform{}, sekisho.Invalid, "nest more than"},
		{"only attestations", b.put(t, object{"manifests": []any{attestation(good)}}), sekisho.Platform{}, sekisho.NotFound, "holds no image"},
		{"no configuration", b.put(t, object{"layers": []any{}}), sekisho.Platform{}, sekisho.Invalid, "names no configuration"},
		{"another number of layers", b.put(t, object{"config": config}), sekisho.Platform{}, sekisho.Invalid, "0 layers, the configuration 1"},
		{"no digest", oci.Descriptor{Digest: "../../etc/passwd"}, sekisho.Platform{}, sekisho.Invalid, "digest"},
		{"too large", huge, sekisho.Platform{}, sekisho.Invalid, "more than"},
		{"another content", lying, sekisho.Platform{}, sekisho.Corrupt, "its content has digest sha256:"},
		{"another content, sha512", long, sekisho.Platform{}, sekisho.Corrupt, "its content has digest sha512:"},
		{"no JSON object", broken, sekisho.Platform{}, sekisho.Invalid, "manifest"},
		{"missing", oci.Descriptor{Digest: sekisho.Digest("sha256:" + strings.Repeat("cd", 32))}, sekisho.Platform{}, sekisho.NotFound, "no blob"},
	} {
		_, err := oci.Image(t.Context(), b, c.d, c.platform)
		var e *sekisho.Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestChoose(t *testing.T) {
	named := func(n int, tag, full string) oci.Descriptor {
		a := map[string]string{}
		if tag != "" {
			a[oci.RefName] = tag
		}
		if full != "" {
			a["io.containerd.image.name"] = full
		}
		return oci.Descriptor{Digest: sekisho.Digest(fmt.Sprintf("sha256:%064d", n)), Annotations: a}
	}
	two := []oci.Descriptor{named(1, "1.0", "docker.io/library/app:1.0"), named(2, "2.0", "docker.io/library/app:2.0")}
	for _, c := range []struct {
		list []oci.Descriptor
		ref  string
		want string
	}{
		{two[:1], "", "0001"}, {two, "2.0", "0002"}, {two, "app:1.0", "0001"}, {two, "docker.io/library/app:2.0", "0002"}, {two, string(two[1].Digest), "0002"},
		{two, "", "several images"}, {two, "3.0", "there are: docker.io/library/app:1.0"}, {nil, "", "holds no image"}, {[]oci.Descriptor{two[0], two[0]}, "", "0001"},
	} {
		d, err := oci.Choose(c.list, c.ref)
		if got := fmt.Sprint(d.Digest, err); !strings.Contains(got, c.want) {
			t.Errorf("%d images, %q: %s, want %s", len(c.list), c.ref, got, c.want)
		}
	}
}

// FuzzImage wants an end for any document.
func FuzzImage(f *testing.F) {
	b := blobs{}
	d := b.image(f, "linux", "amd64")
	f.Add(b[d.Digest])
	f.Add([]byte(`{"manifests":[{"digest":"sha256:0","platform":{"os":"linux"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := oci.Descriptor{Digest: sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data)))}
		b := blobs{d.Digest: data}
		if img, err := oci.Image(t.Context(), b, d, sekisho.Platform{}); err == nil && len(img.Config.RootFS.DiffIDs) != len(img.Layers) {
			t.Fatalf("%d layers", len(img.Layers))
		}
	})
}
