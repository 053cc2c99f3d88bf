package registry

import (
	"bytes"
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"sekisho"
)

// Resolved is what a reference points to at a moment.
type Resolved struct {
	Digest    sekisho.Digest // of the manifest or the index that the reference names
	Manifests []Manifest     // of an index, its images; nil for a manifest
}

// Manifest is one image of an index.
type Manifest struct {
	Platform sekisho.Platform
	Digest   sekisho.Digest
}

// maxManifests bounds the images of an index.
const maxManifests = 1000

// Current asks what a reference points to now. A manifest is only asked for by
// HEAD, which registries that count pulls do not count.
func Current(ctx context.Context, ref string, o Options) (Resolved, error) {
	r, err := parse(ref, o.Insecure)
	if err != nil {
		return Resolved{}, err
	}
	opts := options(ctx, o)
	if head, err := remote.Head(r, opts...); err == nil && !head.MediaType.IsIndex() {
		return Resolved{Digest: sekisho.Digest(head.Digest.String())}, nil
	}
	d, err := remote.Get(r, opts...)
	if err != nil {
		return Resolved{}, explain(r, err)
	}
	out := Resolved{Digest: sekisho.Digest(d.Digest.String())}
	if !d.MediaType.IsIndex() {
		return out, nil
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(d.Manifest))
	if err != nil {
		return Resolved{}, sekisho.Errorf(sekisho.Corrupt, "read the index of %s: %w", r, err)
	}
	if len(index.Manifests) > maxManifests {
		return Resolved{}, sekisho.Errorf(sekisho.Invalid, "resolve %s: an index of %d images, want at most %d", r, len(index.Manifests), maxManifests)
	}
	for _, m := range index.Manifests {
		if m.MediaType.IsIndex() || m.Platform != nil && m.Platform.OS == "unknown" {
			continue // what nodes do not follow, and what belongs to an image, such as attestations
		}
		var p sekisho.Platform // none is said: it may serve any
		if m.Platform != nil {
			p = sekisho.Platform{OS: m.Platform.OS, Architecture: m.Platform.Architecture, Variant: m.Platform.Variant}
		}
		d := sekisho.Digest(m.Digest.String())
		if err := d.Validate(); err != nil {
			return Resolved{}, fmt.Errorf("resolve %s: %w", r, err)
		}
		out.Manifests = append(out.Manifests, Manifest{p, d})
	}
	return out, nil
}
