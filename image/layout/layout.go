// Package layout opens OCI image layouts (image-layout.md of the OCI image
// specification), as a directory or as a tar of one. Paths of blobs are made
// from valid digests only.
package layout

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sekisho"
	"sekisho/image"
	"sekisho/image/archive"
	"sekisho/image/oci"
)

// Options choose among several images and platforms.
type Options struct {
	Ref      string
	Platform sekisho.Platform
}

// Open opens a layout.
func Open(ctx context.Context, path string, o Options) (*image.Image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "open OCI layout: %w", err)
	}
	if !info.IsDir() {
		img, err := archive.Open(ctx, path, archive.Options(o))
		if err != nil {
			return nil, err
		}
		img.Reference = "oci:" + path
		return img, nil
	}
	data, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	var index oci.Document
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", filepath.Join(path, "index.json"), err)
	}
	d, err := oci.Choose(index.Manifests, o.Ref)
	if err != nil && o.Ref == "" && len(index.Manifests) > 1 && allPlatforms(index.Manifests) {
		d, err = oci.Pick(index.Manifests, o.Platform)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	img, err := oci.Image(ctx, directory(path), d, o.Platform)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	img.Reference = "oci:" + path
	if o.Ref != "" {
		img.Reference += ":" + o.Ref
	}
	return img, nil
}

func readIndex(path string) ([]byte, error) {
	f, err := os.Open(filepath.Join(path, "index.json"))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "open OCI layout: %w", err).WithHint("scan a directory of files: dir:%s", path)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, oci.MaxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read OCI layout: %w", err)
	}
	if len(data) > oci.MaxDocument {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", f.Name(), oci.MaxDocument)
	}
	return data, nil
}

// allPlatforms reports whether the entries are one image for several platforms
// rather than several images: they have platforms and at most one name.
func allPlatforms(list []oci.Descriptor) bool {
	names := map[string]bool{}
	for _, d := range list {
		if d.Platform == nil {
			return false
		}
		names[d.Annotations[oci.RefName]] = true
	}
	return len(names) == 1
}

// directory keeps blobs as blobs/ALGORITHM/HEX.
type directory string

// Open implements oci.Blobs.
func (d directory) Open(_ context.Context, b oci.Descriptor) (io.ReadCloser, error) {
	if err := b.Digest.Validate(); err != nil {
		return nil, err
	}
	algorithm, hex, _ := strings.Cut(string(b.Digest), ":")
	f, err := os.Open(filepath.Join(string(d), "blobs", algorithm, hex))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "open blob: %w", err)
	}
	return f, nil
}
