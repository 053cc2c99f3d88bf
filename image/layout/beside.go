package layout

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"

	"sekisho"
	"sekisho/image/oci"
)

// maxBeside bounds the manifests of a layout that are read to find what refers
// to another, and maxReferrers what is listed of them.
const maxBeside, maxReferrers = 4096, 2000

// Beside gives what lies beside the images of a layout: signatures and the like,
// as cosign save or oras leave them.
type Beside struct {
	dir   directory
	index oci.Document
}

// kind is how cosign save marks a manifest of a layout instead of by a tag.
func kind(suffix string) string {
	switch suffix {
	case ".sig":
		return "dev.cosignproject.cosign/sigs"
	case ".att":
		return "dev.cosignproject.cosign/atts"
	}
	return ""
}

// OpenBeside opens a layout in a directory.
func OpenBeside(path string) (*Beside, error) {
	data, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	b := &Beside{dir: directory(path)}
	if err := json.Unmarshal(data, &b.index); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", filepath.Join(path, "index.json"), err)
	}
	return b, nil
}

// Root finds what a tag, a name or a digest points to, an image or an index.
func (b *Beside) Root(ctx context.Context, ref string) (oci.Descriptor, []byte, error) {
	var own []oci.Descriptor // images, not what lies beside them
	for _, d := range b.index.Manifests {
		if isImage(d.ArtifactType) && !isKind(d) && !strings.HasPrefix(d.Annotations[oci.RefName], "sha256-") {
			own = append(own, d)
		}
	}
	d, err := oci.Choose(own, ref)
	if err != nil {
		return d, nil, err
	}
	raw, err := oci.Read(ctx, b.dir, d)
	return d, raw, err
}

// isImage tells images by the type of their configuration, which some tools
// give as the artifact's.
func isImage(artifactType string) bool {
	switch artifactType {
	case "", "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json":
		return true
	}
	return false
}

func isKind(d oci.Descriptor) bool {
	k := d.Annotations["kind"]
	return k != "" && (k == kind(".sig") || k == kind(".att"))
}

// Manifest reads a manifest by tag or digest.
func (b *Beside) Manifest(ctx context.Context, at string) ([]byte, oci.Descriptor, error) {
	if d := sekisho.Digest(at); d.Validate() == nil {
		raw, err := oci.Read(ctx, b.dir, oci.Descriptor{Digest: d})
		return raw, oci.Descriptor{Digest: d, Size: int64(len(raw))}, err
	}
	for _, d := range b.index.Manifests {
		k := kind(filepath.Ext(at))
		if d.Annotations[oci.RefName] == at || k != "" && d.Annotations["kind"] == k {
			raw, err := oci.Read(ctx, b.dir, d)
			return raw, d, err
		}
	}
	return nil, oci.Descriptor{}, sekisho.Errorf(sekisho.NotFound, "no %s in the layout", at)
}

// Blob reads a blob of at most limit bytes and checks its digest.
func (b *Beside) Blob(ctx context.Context, d oci.Descriptor, limit int64) ([]byte, error) {
	return oci.ReadAtMost(ctx, b.dir, d, limit)
}

// Referrers lists the manifests of the layout that refer to one. A manifest
// that cannot be read is passed over: it may be another image's.
func (b *Beside) Referrers(ctx context.Context, d sekisho.Digest) (list []oci.Descriptor, whole bool, err error) {
	all := b.index.Manifests
	if raw, _, err := b.Manifest(ctx, strings.Replace(string(d), ":", "-", 1)); err == nil {
		var fallback oci.Document
		if json.Unmarshal(raw, &fallback) == nil {
			all = append(append([]oci.Descriptor{}, fallback.Manifests...), all...)
		}
	}
	seen := map[sekisho.Digest]bool{}
	for n, m := range all {
		if n == maxBeside || len(list) == maxReferrers {
			return list, false, nil
		}
		if seen[m.Digest] {
			continue
		}
		seen[m.Digest] = true
		raw, err := oci.Read(ctx, b.dir, m)
		if err != nil {
			continue
		}
		var doc struct {
			ArtifactType string          `json:"artifactType"`
			Subject      *oci.Descriptor `json:"subject"`
			Config       oci.Descriptor  `json:"config"`
		}
		if json.Unmarshal(raw, &doc) != nil || doc.Subject == nil || doc.Subject.Digest != d {
			continue
		}
		if m.ArtifactType = doc.ArtifactType; m.ArtifactType == "" {
			m.ArtifactType = doc.Config.MediaType
		}
		list = append(list, m)
	}
	return list, true, nil
}
