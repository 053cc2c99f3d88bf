// Package oci reads the documents of the OCI image specification and of
// Docker's manifest list: indexes, manifests, configurations. It verifies
// digests, bounds sizes and picks a platform. Where blobs come from is the
// caller's matter.
package oci

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"

	"sekisho"
	"sekisho/image"
)

// MaxDocument bounds an index, manifest or configuration in bytes.
const MaxDocument = 16 << 20

// maxNesting bounds indexes of indexes.
const maxNesting = 4

// Descriptor points to a blob (descriptor.md).
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       sekisho.Digest    `json:"digest"`
	Size         int64             `json:"size"`
	Platform     *Platform         `json:"platform,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

// Platform is the platform of a descriptor.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// Document is an index or a manifest: which one shows in its fields.
type Document struct {
	MediaType   string            `json:"mediaType"`
	Manifests   []Descriptor      `json:"manifests"`
	Config      Descriptor        `json:"config"`
	Layers      []Descriptor      `json:"layers"`
	Annotations map[string]string `json:"annotations"`
}

// Blobs is a place that keeps blobs by digest.
type Blobs interface {
	Open(ctx context.Context, d Descriptor) (io.ReadCloser, error)
}

// RefName is the annotation that names an image in a layout.
const RefName = "org.opencontainers.image.ref.name"

// Choice says which image is wanted.
type Choice struct {
	Ref      string           // tag, name or digest; empty means the only one
	Platform sekisho.Platform // zero means this machine's, else any
}

// Document reads and verifies a JSON blob.
func document(ctx context.Context, b Blobs, d Descriptor) (Document, []byte, error) {
	data, err := Read(ctx, b, d)
	if err != nil {
		return Document{}, nil, err
	}
	var doc Document
	if err := json.Unmarshal(data, &doc); err != nil {
		return Document{}, nil, sekisho.Errorf(sekisho.Invalid, "manifest %s: %w", d.Digest, err)
	}
	return doc, data, nil
}

// Read reads a small blob and verifies its digest.
func Read(ctx context.Context, b Blobs, d Descriptor) ([]byte, error) {
	return ReadAtMost(ctx, b, d, MaxDocument)
}

// ReadAtMost reads a blob of at most limit bytes and verifies its digest.
func ReadAtMost(ctx context.Context, b Blobs, d Descriptor, limit int64) ([]byte, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, err
	}
	rc, err := b.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, limit+1))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "read blob %s: %w", d.Digest, err)
	}
	if int64(len(data)) > limit {
		return nil, sekisho.Errorf(sekisho.Invalid, "blob %s: more than %d bytes", d.Digest, limit)
	}
	if sum := digest(data, d.Digest); sum != d.Digest {
		return nil, sekisho.Errorf(sekisho.Corrupt, "blob %s: its content has digest %s", d.Digest, sum)
	}
	return data, nil
}

// digest hashes data with the algorithm of another digest.
func digest(data []byte, like sekisho.Digest) sekisho.Digest {
	if strings.HasPrefix(string(like), "sha512:") {
		return sekisho.Digest(fmt.Sprintf("sha512:%x", sha512.Sum512(data)))
	}
	return sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
}

// Image opens the image that a descriptor of an index, a manifest list or a
// manifest points to.
func Image(ctx context.Context, b Blobs, d Descriptor, want sekisho.Platform) (*image.Image, error) {
	img := &image.Image{Kind: image.KindImage}
	for range maxNesting {
		doc, _, err := document(ctx, b, d)
		if err != nil {
			return nil, err
		}
		if len(doc.Manifests) == 0 {
			return img, fill(ctx, b, img, d, doc)
		}
		img.Platforms = append(img.Platforms, platforms(doc.Manifests)...)
		img.Also = append(img.Also, d.Digest)
		if d, err = Pick(doc.Manifests, want); err != nil {
			return nil, err
		}
	}
	return nil, sekisho.Errorf(sekisho.Invalid, "indexes nest more than %d deep", maxNesting)
}

// real leaves out attestations, which hide among the manifests of an index.
func real(list []Descriptor) (out []Descriptor) {
	for _, d := range list {
		if d.Annotations["vnd.docker.reference.type"] == "" && (d.Platform == nil || d.Platform.OS != "unknown") {
			out = append(out, d)
		}
	}
	return out
}

func platforms(list []Descriptor) (out []sekisho.Platform) {
	for _, d := range real(list) {
		if d.Platform != nil {
			out = append(out, sekisho.Platform(*d.Platform))
		}
	}
	return out
}

// Pick chooses a manifest by platform: the one asked for; else this machine's
// architecture, amd64, the first.
func Pick(list []Descriptor, want sekisho.Platform) (Descriptor, error) {
	list = real(list)
	if len(list) == 0 {
		return Descriptor{}, sekisho.Errorf(sekisho.NotFound, "the index holds no image")
	}
	wishes := []sekisho.Platform{want}
	if want == (sekisho.Platform{}) {
		wishes = []sekisho.Platform{{OS: "linux", Architecture: runtime.GOARCH}, {OS: "linux", Architecture: "amd64"}}
	}
	var offered []string
	for _, w := range wishes {
		for _, d := range list {
			if d.Platform == nil {
				continue
			}
			if sekisho.Platform(*d.Platform).Matches(w) {
				return d, nil
			}
			offered = append(offered, sekisho.Platform(*d.Platform).String())
		}
	}
	if want == (sekisho.Platform{}) {
		return list[0], nil
	}
	return Descriptor{}, sekisho.Errorf(sekisho.NotFound, "no image for %s; the index offers %s", want, strings.Join(offered, ", "))
}

// fill sets the image from its manifest and configuration.
func fill(ctx context.Context, b Blobs, img *image.Image, d Descriptor, doc Document) error {
	if doc.Config.Digest == "" {
		return sekisho.Errorf(sekisho.Invalid, "manifest %s names no configuration: it is no image", d.Digest)
	}
	raw, err := Read(ctx, b, doc.Config)
	if err != nil {
		return err
	}
	if img.Config, err = image.ParseConfig(raw); err != nil {
		return err
	}
	img.Digest, img.ID, img.Platform, img.Annotations = d.Digest, doc.Config.Digest, img.Config.Platform(), doc.Annotations
	return Layers(img, doc.Layers, b)
}

// Layers sets the layers of an image whose configuration is known.
func Layers(img *image.Image, list []Descriptor, b Blobs) error {
	ids := img.Config.RootFS.DiffIDs
	if len(ids) != len(list) {
		return sekisho.Errorf(sekisho.Invalid, "the manifest has %d layers, the configuration %d", len(list), len(ids))
	}
	by := img.Config.Instructions()
	for i, d := range list {
		if err := d.Digest.Validate(); err != nil {
			return err
		}
		l := image.Layer{DiffID: ids[i], Digest: d.Digest, MediaType: d.MediaType, Size: d.Size,
			Open: func(ctx context.Context) (io.ReadCloser, error) { return b.Open(ctx, d) }}
		if i < len(by) {
			l.CreatedBy = by[i]
		}
		img.Layers = append(img.Layers, l)
	}
	return nil
}

// Choose picks an image of a layout's index by tag, name or digest. Without a
// wish the only one is meant, or one index of several platforms.
func Choose(list []Descriptor, ref string) (Descriptor, error) {
	var names []string
	var found []Descriptor
	for _, d := range real(list) {
		name := d.Annotations[RefName]
		full := d.Annotations["io.containerd.image.name"]
		names = append(names, first(full, name, string(d.Digest)))
		if ref == "" || ref == name || ref == full || ref == string(d.Digest) || full != "" && (strings.HasSuffix(full, "/"+ref) || strings.HasSuffix(full, ":"+ref)) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(names) == 0:
		return Descriptor{}, sekisho.Errorf(sekisho.NotFound, "the layout holds no image")
	case len(found) == 0:
		return Descriptor{}, sekisho.Errorf(sekisho.NotFound, "no image %q; there are: %s", ref, strings.Join(names, ", "))
	}
	for _, d := range found[1:] {
		if d.Digest != found[0].Digest {
			return Descriptor{}, sekisho.Errorf(sekisho.Usage, "several images: %s", strings.Join(names, ", ")).WithHint("choose one: --image %s", names[0])
		}
	}
	return found[0], nil
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// IsManifest reports whether a media type is one of indexes and manifests,
// which registries keep apart from blobs.
func IsManifest(mediaType string) bool {
	switch mediaType {
	case "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json":
		return true
	}
	return false
}
