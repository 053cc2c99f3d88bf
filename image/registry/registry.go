// Package registry opens images of OCI registries (OCI distribution
// specification) with the credentials of Docker's configuration and helpers.
// TLS is used unless plain HTTP is asked for. Layers stream when they are
// opened; nothing is kept.
package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"sekisho"
	"sekisho/image"
	"sekisho/image/oci"
)

// Options of a registry.
type Options struct {
	Platform sekisho.Platform
	Insecure bool // plain HTTP and unverified certificates
}

// Open opens an image by its reference.
func Open(ctx context.Context, ref string, o Options) (*image.Image, error) {
	r, err := parse(ref, o.Insecure)
	if err != nil {
		return nil, err
	}
	b := &blobs{repository: r.Context(), options: options(ctx, o)}
	d, err := remote.Get(r, b.options...)
	if err != nil {
		return nil, explain(r, err)
	}
	b.root, b.manifest = sekisho.Digest(d.Digest.String()), d.Manifest
	img, err := oci.Image(ctx, b, oci.Descriptor{MediaType: string(d.MediaType), Digest: b.root, Size: d.Size}, o.Platform)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", r, err)
	}
	img.Reference = "registry:" + r.Name()
	return img, nil
}

func parse(ref string, insecure bool) (name.Reference, error) {
	var opts []name.Option
	if insecure {
		opts = append(opts, name.Insecure)
	}
	r, err := name.ParseReference(ref, opts...)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "image reference %q: %w", ref, err)
	}
	return r, nil
}

func options(ctx context.Context, o Options) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(roundTripper(o)), remote.WithUserAgent("sekisho")}
}

func roundTripper(o Options) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if o.Insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // asked for by --insecure
		return t
	}
	return onlyTLS{t}
}

// onlyTLS refuses plain HTTP: the library would try it for local names.
type onlyTLS struct{ http.RoundTripper }

var errPlain = errors.New("the registry does not answer over TLS")

func (t onlyTLS) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, errPlain
	}
	return t.RoundTripper.RoundTrip(r)
}

// explain turns the library's errors into ours.
func explain(r name.Reference, err error) error {
	host := r.Context().RegistryStr()
	var t *transport.Error
	if errors.As(err, &t) {
		switch t.StatusCode {
		case http.StatusNotFound:
			return sekisho.Errorf(sekisho.NotFound, "no image %s: %w", r, err)
		case http.StatusUnauthorized, http.StatusForbidden:
			return sekisho.Errorf(sekisho.Forbidden, "registry %s refuses: %w", host, err).WithHint("docker login %s", host)
		}
	}
	if strings.Contains(err.Error(), "error getting credentials") || strings.Contains(err.Error(), "docker-credential-") {
		return sekisho.Errorf(sekisho.Forbidden, "credentials for registry %s: the credential helper of Docker's configuration failed: %w", host, err).
			WithHint("see credHelpers and credsStore in Docker's config.json; try it: echo %s | docker-credential-NAME get", host)
	}
	e := sekisho.Errorf(sekisho.Unavailable, "registry %s does not answer: %w", host, err)
	if errors.Is(err, errPlain) || r.Context().Scheme() == "http" {
		return e.WithHint("for a registry without TLS: --insecure")
	}
	return e.WithHint("scan an archive instead: docker save %s | sekisho scan archive:-", r)
}

// blobs implements oci.Blobs over a repository.
type blobs struct {
	repository name.Repository
	options    []remote.Option
	root       sekisho.Digest // what the reference points to
	manifest   []byte
}

// Open opens a manifest or a blob by digest.
func (b *blobs) Open(_ context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	if d.Digest == b.root {
		return io.NopCloser(bytes.NewReader(b.manifest)), nil
	}
	at := b.repository.Digest(string(d.Digest))
	if oci.IsManifest(d.MediaType) {
		m, err := remote.Get(at, b.options...)
		if err != nil {
			return nil, explain(at, err)
		}
		return io.NopCloser(bytes.NewReader(m.Manifest)), nil
	}
	l, err := remote.Layer(at, b.options...)
	if err != nil {
		return nil, explain(at, err)
	}
	rc, err := l.Compressed()
	if err != nil {
		return nil, explain(at, err)
	}
	return rc, nil
}
