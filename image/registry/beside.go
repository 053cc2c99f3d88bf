package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"sekisho"
	"sekisho/image/oci"
)

// maxPages and MaxReferrers bound what a registry may list as referring to one
// manifest; maxManifest, in bytes, bounds a manifest and a page.
const maxPages, MaxReferrers, maxManifest = 64, 2000, 4 << 20

// Repository gives what lies beside the images of one repository: artifacts
// that refer to a manifest, and tags. It keeps connections and tokens.
type Repository struct {
	name   name.Repository
	o      Options
	puller *remote.Puller
	plain  http.RoundTripper
	client *http.Client // with credentials; made on first use
}

// Resolve finds what a reference points to, in the repository that it names.
func Resolve(ctx context.Context, ref string, o Options) (*Repository, oci.Descriptor, []byte, error) {
	r, err := parse(ref, o.Insecure)
	if err != nil {
		return nil, oci.Descriptor{}, nil, err
	}
	opts := options(ctx, o)
	p, err := remote.NewPuller(opts...)
	if err != nil {
		return nil, oci.Descriptor{}, nil, fmt.Errorf("open %s: %w", r, err)
	}
	repository := &Repository{name: r.Context(), o: o, puller: p, plain: roundTripper(o)}
	d, raw, err := repository.get(ctx, r)
	return repository, d, raw, err
}

// Name returns the repository's name with its registry.
func (r *Repository) Name() string { return r.name.Name() }

// Manifest reads a manifest or index by tag or digest.
func (r *Repository) Manifest(ctx context.Context, at string) ([]byte, oci.Descriptor, error) {
	d, raw, err := r.get(ctx, r.reference(at))
	return raw, d, err
}

func (r *Repository) reference(at string) name.Reference {
	if strings.Contains(at, ":") {
		return r.name.Digest(at)
	}
	return r.name.Tag(at)
}

func (r *Repository) get(ctx context.Context, ref name.Reference) (oci.Descriptor, []byte, error) {
	m, err := r.puller.Get(ctx, ref)
	if err != nil {
		return oci.Descriptor{}, nil, explain(ref, err)
	}
	if len(m.Manifest) > maxManifest {
		return oci.Descriptor{}, nil, sekisho.Errorf(sekisho.Invalid, "manifest of %s: %d bytes, want at most %d", ref, len(m.Manifest), maxManifest)
	}
	return oci.Descriptor{MediaType: string(m.MediaType), Digest: sekisho.Digest(m.Digest.String()), Size: int64(len(m.Manifest))}, m.Manifest, nil
}

// Blob reads a blob of at most limit bytes and checks it against its digest.
func (r *Repository) Blob(ctx context.Context, d oci.Descriptor, limit int64) ([]byte, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, err
	}
	if d.Size < 0 || d.Size > limit {
		return nil, sekisho.Errorf(sekisho.Invalid, "blob %s: %d bytes, want at most %d", d.Digest, d.Size, limit)
	}
	at := r.name.Digest(string(d.Digest))
	l, err := r.puller.Layer(ctx, at)
	if err != nil {
		return nil, explain(at, err)
	}
	rc, err := l.Compressed()
	if err != nil {
		return nil, explain(at, err)
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, d.Size+1))
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "read blob %s: %w", d.Digest, err)
	}
	if int64(len(data)) != d.Size {
		return nil, sekisho.Errorf(sekisho.Corrupt, "blob %s: %d bytes or more, want %d", d.Digest, len(data), d.Size)
	}
	return data, nil
}

// Referrers lists the manifests that refer to one: by the registry's API, page
// by page, and, where it has none, by the fallback tag (OCI distribution
// specification 1.1, "Listing Referrers" and "Referrers Tag Schema"). It ends
// at MaxReferrers; whole tells whether that was all.
func (r *Repository) Referrers(ctx context.Context, d sekisho.Digest) (list []oci.Descriptor, whole bool, err error) {
	if err := d.Validate(); err != nil {
		return nil, false, err
	}
	next := fmt.Sprintf("/v2/%s/referrers/%s", r.name.RepositoryStr(), d)
	for range maxPages {
		page, link, err := r.page(ctx, next)
		if err != nil {
			return nil, false, err
		}
		if page == nil {
			return r.fallback(ctx, d)
		}
		list = append(list, page...)
		if len(list) > MaxReferrers {
			return list[:MaxReferrers], false, nil
		}
		if link == "" {
			return list, true, nil
		}
		next = link
	}
	return list, false, nil
}

// page reads one page of referrers; a list of nil means that the registry has
// no such API.
func (r *Repository) page(ctx context.Context, path string) (list []oci.Descriptor, next string, err error) {
	client, err := r.authorized(ctx)
	if err != nil {
		return nil, "", err
	}
	u := url.URL{Scheme: r.name.Scheme(), Host: r.name.RegistryStr()}
	target, err := u.Parse(path)
	if err != nil || target.Host != u.Host || target.Scheme != u.Scheme {
		return nil, "", sekisho.Errorf(sekisho.Invalid, "registry %s: the list of referrers goes on at %q", u.Host, path)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, "", fmt.Errorf("list referrers: %w", err)
	}
	q.Header.Set("Accept", string(types.OCIImageIndex))
	a, err := client.Do(q)
	if err != nil {
		return nil, "", explain(r.name.Tag("referrers"), err)
	}
	defer a.Body.Close()
	if err := transport.CheckError(a, http.StatusOK, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable); err != nil {
		return nil, "", explain(r.name.Tag("referrers"), err)
	}
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	if a.StatusCode != http.StatusOK || kind != string(types.OCIImageIndex) {
		return nil, "", nil
	}
	data, err := io.ReadAll(io.LimitReader(a.Body, maxManifest+1))
	if err != nil {
		return nil, "", sekisho.Errorf(sekisho.Unavailable, "list referrers: %w", err)
	}
	list, err = referrers(data)
	return list, nextPage(a.Header.Get("Link")), err
}

// nextPage reads a Link header (RFC 8288): <URL>; rel="next".
func nextPage(link string) string {
	target, rest, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !ok || !strings.HasPrefix(link, "<") || !strings.Contains(rest, "next") {
		return ""
	}
	return target
}

func referrers(data []byte) ([]oci.Descriptor, error) {
	if len(data) > maxManifest {
		return nil, sekisho.Errorf(sekisho.Invalid, "list of referrers: more than %d bytes", maxManifest)
	}
	var index oci.Document
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "list of referrers: %w", err)
	}
	if index.Manifests == nil {
		return []oci.Descriptor{}, nil
	}
	return index.Manifests, nil
}

func (r *Repository) fallback(ctx context.Context, d sekisho.Digest) ([]oci.Descriptor, bool, error) {
	tag := strings.Replace(string(d), ":", "-", 1)
	raw, _, err := r.Manifest(ctx, tag[:min(len(tag), 128)])
	if sekisho.KindOf(err) == sekisho.NotFound {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	list, err := referrers(raw)
	if len(list) > MaxReferrers {
		return list[:MaxReferrers], false, err
	}
	return list, true, err
}

// authorized makes a client that sends the credentials of Docker's
// configuration, and of the registry's token service.
func (r *Repository) authorized(ctx context.Context) (*http.Client, error) {
	if r.client != nil {
		return r.client, nil
	}
	who, err := authn.Resolve(ctx, authn.DefaultKeychain, r.name)
	if err != nil {
		return nil, explain(r.name.Tag("referrers"), err)
	}
	t, err := transport.NewWithContext(ctx, r.name.Registry, who, r.plain, []string{r.name.Scope(transport.PullScope)})
	if err != nil {
		return nil, explain(r.name.Tag("referrers"), err)
	}
	r.client = &http.Client{Transport: t}
	return r.client, nil
}

// Attach writes an artifact that refers to a.Subject; where the registry does
// not list referrers, the fallback tag is kept up too.
func (r *Repository) Attach(ctx context.Context, a Artifact) (sekisho.Digest, error) {
	core, err := newArtifact(a)
	if err != nil {
		return "", err
	}
	return Push(ctx, r.name.Digest(core.digest.String()).String(), a, r.o)
}

// Append adds blobs to the artifact at a tag, or makes it. Blobs that are there
// stay; one with the same digest and annotations is not added again. There is
// no lock in the protocol: of two that append at once, one may be lost.
func (r *Repository) Append(ctx context.Context, tag string, config func(blobs []Blob) (mediaType string, data []byte), add ...Blob) (sekisho.Digest, error) {
	var all []Blob
	raw, _, err := r.Manifest(ctx, tag)
	switch {
	case sekisho.KindOf(err) == sekisho.NotFound:
	case err != nil:
		return "", err
	default:
		var m artifactManifest
		if err := json.Unmarshal(raw, &m); err != nil || len(m.Layers) > maxBlobs {
			return "", sekisho.Errorf(sekisho.Invalid, "add to %s: what is there is no manifest that can be added to", r.name.Tag(tag))
		}
		for _, l := range m.Layers {
			d := oci.Descriptor{MediaType: string(l.MediaType), Digest: sekisho.Digest(l.Digest.String()), Size: l.Size}
			all = append(all, Blob{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Annotations: l.Annotations, Open: func() (io.ReadCloser, error) {
				data, err := r.Blob(ctx, d, maxConfig)
				return io.NopCloser(bytes.NewReader(data)), err
			}})
		}
	}
	for _, b := range add {
		if !slices.ContainsFunc(all, func(o Blob) bool { return o.Digest == b.Digest && maps.Equal(o.Annotations, b.Annotations) }) {
			all = append(all, b)
		}
	}
	mediaType, data := config(all)
	return Push(ctx, r.name.Tag(tag).String(), Artifact{ConfigType: mediaType, Config: data, Blobs: all}, r.o)
}
