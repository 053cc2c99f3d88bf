// Package containerd opens images of containerd through its API: the image
// service for names, the content service for blobs.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	content "github.com/containerd/containerd/api/services/content/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	namespaces "github.com/containerd/containerd/api/services/namespaces/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sekisho"
	"sekisho/image"
	"sekisho/image/oci"
)

// DefaultAddress is where containerd listens.
const DefaultAddress = "/run/containerd/containerd.sock"

// Options say where containerd is and in which namespace the image.
type Options struct {
	Address   string
	Namespace string // empty means "default"
	Platform  sekisho.Platform
}

// Open opens an image by name.
func Open(ctx context.Context, ref string, o Options) (*image.Image, error) {
	conn, o, err := dial(o)
	if err != nil {
		return nil, err
	}
	img, err := open(ctx, conn, ref, o)
	if err != nil {
		conn.Close()
		return nil, err
	}
	unpacked(ctx, conn, img, o)
	img.Reference = "containerd:" + ref
	img.Done = conn.Close
	return img, nil
}

// dial fills in what the options leave out.
func dial(o Options) (*grpc.ClientConn, Options, error) {
	if o.Address == "" {
		o.Address = DefaultAddress
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	conn, err := grpc.NewClient("unix://"+strings.TrimPrefix(o.Address, "unix://"), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		return nil, o, sekisho.Errorf(sekisho.Unavailable, "containerd at %s: %w", o.Address, err)
	}
	return conn, o, nil
}

func in(ctx context.Context, namespace string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
}

func open(ctx context.Context, conn *grpc.ClientConn, ref string, o Options) (*image.Image, error) {
	d, err := find(in(ctx, o.Namespace), conn, ref)
	if status.Code(err) == codes.NotFound {
		return nil, missing(ctx, conn, ref, o)
	}
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Unavailable, "no containerd at %s: %w", o.Address, err).WithHint("is it running, and may this user reach it?")
	}
	img, err := oci.Image(ctx, store{conn, o.Namespace}, d, o.Platform)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", ref, err)
	}
	return img, nil
}

// names are the ways in which containerd may know a short reference.
func names(ref string) []string {
	list := []string{ref}
	if !strings.Contains(ref, "@") && !strings.Contains(ref[strings.LastIndexByte(ref, '/')+1:], ":") {
		ref += ":latest"
		list = append(list, ref)
	}
	first, _, slash := strings.Cut(ref, "/")
	switch {
	case !slash:
		list = append(list, "docker.io/library/"+ref)
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		list = append(list, "docker.io/"+ref)
	}
	return list
}

func find(ctx context.Context, conn *grpc.ClientConn, ref string) (d oci.Descriptor, err error) {
	for _, name := range names(ref) {
		var r *images.GetImageResponse
		if r, err = images.NewImagesClient(conn).Get(ctx, &images.GetImageRequest{Name: name}); err == nil {
			t := r.GetImage().GetTarget()
			return oci.Descriptor{MediaType: t.GetMediaType(), Digest: sekisho.Digest(t.GetDigest()), Size: t.GetSize()}, nil
		}
	}
	return d, err
}

// missing says where the image is, if it is in another namespace.
func missing(ctx context.Context, conn *grpc.ClientConn, ref string, o Options) error {
	e := sekisho.Errorf(sekisho.NotFound, "containerd has no image %s in namespace %s", ref, o.Namespace)
	list, err := namespaces.NewNamespacesClient(conn).List(ctx, &namespaces.ListNamespacesRequest{})
	if err != nil {
		return e
	}
	var others []string
	for _, n := range list.GetNamespaces() {
		others = append(others, n.GetName())
		if _, err := find(in(ctx, n.GetName()), conn, ref); err == nil {
			return e.WithHint("it is in another namespace: --namespace %s", n.GetName())
		}
	}
	return e.WithHint("namespaces: %s", strings.Join(others, ", "))
}

// store implements oci.Blobs over the content service.
type store struct {
	conn      *grpc.ClientConn
	namespace string
}

// Open opens a blob.
func (s store) Open(ctx context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(in(ctx, s.namespace))
	r, err := content.NewContentClient(s.conn).Read(ctx, &content.ReadContentRequest{Digest: string(d.Digest)})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("read blob %s: %w", d.Digest, err)
	}
	return &reader{stream: r, cancel: cancel, digest: d.Digest}, nil
}

// reader reads a blob as containerd sends it.
type reader struct {
	stream content.Content_ReadClient
	cancel context.CancelFunc
	digest sekisho.Digest
	rest   []byte
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		m, err := r.stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		case status.Code(err) == codes.NotFound:
			return 0, sekisho.Errorf(sekisho.NotFound, "containerd does not hold blob %s: was the image pulled for another platform?", r.digest)
		case err != nil:
			return 0, fmt.Errorf("read blob %s: %w", r.digest, err)
		}
		r.rest = m.GetData()
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends the stream.
func (r *reader) Close() error {
	r.cancel()
	return nil
}
