package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"sekisho"
	"sekisho/image/oci"
)

// Artifact is something other than an image that a registry keeps (OCI image
// specification 1.1, "Guidelines for Artifact Usage").
type Artifact struct {
	Type       string // artifactType
	ConfigType string // media type of Config
	Config     []byte
	Blobs      []Blob

	Subject     *oci.Descriptor   // what it refers to, for signatures and the like; nil for none
	Annotations map[string]string // of the manifest
}

// Blob is one part of an artifact.
type Blob struct {
	MediaType string
	Digest    sekisho.Digest
	Size      int64 // bytes
	Title     string
	Open      func() (io.ReadCloser, error)

	Annotations map[string]string // besides the title
}

// titleKey is where a blob's name is kept (OCI annotations).
const titleKey = "org.opencontainers.image.title"

// maxConfig bounds the configuration of an artifact in bytes.
const maxConfig = 64 << 20

// maxBlobs bounds the blobs of an artifact.
const maxBlobs = 20_000

// Push writes an artifact and returns its digest. Blobs that the registry has
// already are not sent.
func Push(ctx context.Context, ref string, a Artifact, o Options) (sekisho.Digest, error) {
	r, err := parse(ref, o.Insecure)
	if err != nil {
		return "", err
	}
	core, err := newArtifact(a)
	if err != nil {
		return "", err
	}
	img, err := partial.CompressedToImage(core)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", r, err)
	}
	if err := remote.Write(r, img, options(ctx, o)...); err != nil {
		return "", refused(r, err)
	}
	return sekisho.Digest(core.digest.String()), nil
}

// Pull opens an artifact of a type. Blobs are fetched when they are opened, and
// checked against their digests while they are read.
func Pull(ctx context.Context, ref, artifactType string, o Options) (*Artifact, sekisho.Digest, error) {
	r, err := parse(ref, o.Insecure)
	if err != nil {
		return nil, "", err
	}
	opts := options(ctx, o)
	d, err := remote.Get(r, opts...)
	if err != nil {
		return nil, "", refused(r, err)
	}
	var m artifactManifest
	if err := json.Unmarshal(d.Manifest, &m); err != nil {
		return nil, "", sekisho.Errorf(sekisho.Corrupt, "read manifest of %s: %w", r, err)
	}
	if m.ArtifactType != artifactType {
		return nil, "", sekisho.Errorf(sekisho.Invalid, "%s holds %q, not %q", r, m.ArtifactType+string(m.Config.MediaType), artifactType)
	}
	if m.Config.Size > maxConfig || len(m.Layers) > maxBlobs {
		return nil, "", sekisho.Errorf(sekisho.Invalid, "%s is larger than allowed: a configuration of %d bytes, %d blobs", r, m.Config.Size, len(m.Layers))
	}
	open := func(h v1.Hash) (io.ReadCloser, error) {
		l, err := remote.Layer(r.Context().Digest(h.String()), opts...)
		if err != nil {
			return nil, refused(r, err)
		}
		rc, err := l.Compressed()
		if err != nil {
			return nil, refused(r, err)
		}
		return rc, nil
	}
	a := &Artifact{Type: m.ArtifactType, ConfigType: string(m.Config.MediaType)}
	if a.Config, err = readConfig(open, m.Config); err != nil {
		return nil, "", err
	}
	for _, l := range m.Layers {
		a.Blobs = append(a.Blobs, Blob{MediaType: string(l.MediaType), Digest: sekisho.Digest(l.Digest.String()), Size: l.Size, Title: l.Annotations[titleKey],
			Open: func() (io.ReadCloser, error) { return open(l.Digest) }, Annotations: l.Annotations})
	}
	return a, sekisho.Digest(d.Digest.String()), nil
}

// refused is explain for what is not an image: its words without a hint about
// images.
func refused(r name.Reference, err error) error {
	e := explain(r, err)
	var known *sekisho.Error
	if errors.As(e, &known) {
		if known.Kind == sekisho.NotFound {
			return sekisho.Errorf(sekisho.NotFound, "nothing at %s: %w", r, err)
		}
		if strings.Contains(known.Hint, "docker save") {
			known.Hint = ""
		}
	}
	return e
}

func readConfig(open func(v1.Hash) (io.ReadCloser, error), d v1.Descriptor) ([]byte, error) {
	rc, err := open(d.Digest)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, d.Size+1))
	if err == nil && int64(len(data)) != d.Size {
		err = sekisho.Errorf(sekisho.Corrupt, "%d bytes, want %d", len(data), d.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration of the artifact: %w", err)
	}
	return data, nil
}

// artifactManifest is the manifest of an artifact; the library's lacks
// artifactType.
type artifactManifest struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	ArtifactType  string          `json:"artifactType,omitempty"`
	Config        v1.Descriptor   `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	Subject       *oci.Descriptor `json:"subject,omitempty"`

	Annotations map[string]string `json:"annotations,omitempty"`
}

// artifact implements partial.CompressedImageCore.
type artifact struct {
	manifest []byte
	digest   v1.Hash
	config   []byte
	blobs    map[v1.Hash]Blob
}

func newArtifact(a Artifact) (*artifact, error) {
	hash, size, err := v1.SHA256(bytes.NewReader(a.Config))
	if err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	core := &artifact{config: a.Config, blobs: map[v1.Hash]Blob{}}
	m := artifactManifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: a.Type, Layers: []v1.Descriptor{}, Subject: a.Subject, Annotations: a.Annotations,
		Config: v1.Descriptor{MediaType: types.MediaType(a.ConfigType), Digest: hash, Size: size}}
	for _, b := range a.Blobs {
		h, err := v1.NewHash(string(b.Digest))
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "push: %w", err)
		}
		if o, twice := core.blobs[h]; twice && maps.Equal(o.annotations(), b.annotations()) {
			continue
		}
		core.blobs[h] = b // signatures by several people may be of one payload
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: types.MediaType(b.MediaType), Digest: h, Size: b.Size, Annotations: b.annotations()})
	}
	if core.manifest, err = json.Marshal(m); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	core.digest, _, err = v1.SHA256(bytes.NewReader(core.manifest))
	return core, err
}

func (b Blob) annotations() map[string]string {
	if b.Title == "" {
		return b.Annotations
	}
	all := map[string]string{titleKey: b.Title}
	maps.Copy(all, b.Annotations)
	return all
}

// RawManifest returns the manifest.
func (a *artifact) RawManifest() ([]byte, error) { return a.manifest, nil }

// RawConfigFile returns the configuration.
func (a *artifact) RawConfigFile() ([]byte, error) { return a.config, nil }

// MediaType returns that of the manifest.
func (a *artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// LayerByDigest returns a blob.
func (a *artifact) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	b, ok := a.blobs[h]
	if !ok {
		return nil, sekisho.Errorf(sekisho.NotFound, "no blob %s", h)
	}
	return blobLayer{b, h}, nil
}

type blobLayer struct {
	blob Blob
	hash v1.Hash
}

// Digest returns the digest of what is sent.
func (l blobLayer) Digest() (v1.Hash, error) { return l.hash, nil }

// Compressed opens what is sent.
func (l blobLayer) Compressed() (io.ReadCloser, error) { return l.blob.Open() }

// Size returns how much is sent, in bytes.
func (l blobLayer) Size() (int64, error) { return l.blob.Size, nil }

// MediaType returns the blob's.
func (l blobLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.blob.MediaType), nil
}
