package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"sekisho"
)

// Bounds of what lies beside one image.
const (
	maxReferrers  = 200 // manifests
	maxAttached   = 200 // documents
	maxAttachment = 64 << 20
)

// Attachment is a document that lies beside an image in its registry. Nobody
// has looked at signatures.
type Attachment struct {
	Name      string // repository@digest
	MediaType string
	Predicate string // type of an attestation's predicate, where its makers noted it
	Data      []byte
}

// Attached gets the documents beside an image whose media type is among those
// wanted: beside the manifest with the digest, and beside what the reference
// names, an index for some. They are those of artifacts that refer to it (OCI distribution
// specification 1.1, "Listing Referrers", with the tag schema where a registry
// has no API), and of what cosign keeps under the tag sha256-….att.
func Attached(ctx context.Context, ref string, digest sekisho.Digest, wanted []string, o Options) ([]Attachment, error) {
	if err := digest.Validate(); err != nil {
		return nil, err
	}
	r, err := parse(ref, o.Insecure)
	if err != nil {
		return nil, err
	}
	a := attached{repository: r.Context(), options: options(ctx, o), wanted: wanted}
	if err := a.beside(digest); err != nil {
		return nil, err
	}
	root, err := remote.Head(r, a.options...)
	if err != nil {
		return a.found, nil // renamed or removed since
	}
	if d := sekisho.Digest(root.Digest.String()); d != digest {
		return a.found, a.beside(d)
	}
	return a.found, nil
}

type attached struct {
	repository name.Repository
	options    []remote.Option
	wanted     []string
	found      []Attachment
}

// beside takes the documents beside a manifest. What is gone meanwhile is
// passed over.
func (a *attached) beside(digest sekisho.Digest) error {
	subject := a.repository.Digest(string(digest))
	index, err := remote.Referrers(subject, a.options...)
	if err != nil {
		return explain(subject, err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		return fmt.Errorf("referrers of %s: %w", subject, err)
	}
	for i, m := range list.Manifests {
		if i >= maxReferrers {
			break
		}
		if err := a.manifest(a.repository.Digest(m.Digest.String())); err != nil && sekisho.KindOf(err) != sekisho.NotFound {
			return err
		}
	}
	tag := a.repository.Tag(strings.Replace(string(digest), ":", "-", 1) + ".att")
	if err := a.manifest(tag); err != nil && sekisho.KindOf(err) != sekisho.NotFound {
		return err
	}
	return nil
}

// manifest takes the wanted layers of an artifact. What is none is passed over.
func (a *attached) manifest(at name.Reference) error {
	img, err := remote.Image(at, a.options...)
	if err != nil {
		var t *transport.Error
		if errors.As(err, &t) && t.StatusCode == http.StatusNotFound {
			return sekisho.Errorf(sekisho.NotFound, "no artifact %s: %w", at, err)
		}
		return explain(at, err)
	}
	m, err := img.Manifest()
	if err != nil {
		return fmt.Errorf("artifact %s: %w", at, err)
	}
	for _, l := range m.Layers {
		if !slices.Contains(a.wanted, string(l.MediaType)) || len(a.found) >= maxAttached {
			continue
		}
		if err := a.layer(l); err != nil {
			return err
		}
	}
	return nil
}

func (a *attached) layer(l v1.Descriptor) error {
	at := a.repository.Digest(l.Digest.String())
	if slices.ContainsFunc(a.found, func(f Attachment) bool { return f.Name == at.Name() }) {
		return nil
	}
	if l.Size > maxAttachment {
		return sekisho.Errorf(sekisho.Invalid, "document %s: %d bytes, want at most %d", at, l.Size, maxAttachment)
	}
	blob, err := remote.Layer(at, a.options...)
	if err != nil {
		return explain(at, err)
	}
	rc, err := blob.Compressed()
	if err != nil {
		return explain(at, err)
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, maxAttachment+1)) // the library holds it to its digest
	if err != nil {
		return sekisho.Errorf(sekisho.Corrupt, "document %s: %w", at, err)
	}
	if len(data) > maxAttachment {
		return sekisho.Errorf(sekisho.Invalid, "document %s: more than %d bytes", at, maxAttachment)
	}
	a.found = append(a.found, Attachment{Name: at.Name(), MediaType: string(l.MediaType), Predicate: l.Annotations["predicateType"], Data: data})
	return nil
}
