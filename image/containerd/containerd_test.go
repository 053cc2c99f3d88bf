package containerd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	content "github.com/containerd/containerd/api/services/content/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	namespaces "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"sekisho"
	"sekisho/image"
	"sekisho/image/containerd"
)

// daemon answers as containerd does, for one image in one namespace.
type daemon struct {
	blobs  map[string][]byte
	target string // digest of the image
	mounts []*types.Mount
	views  map[string]string // parents, by key
}

func space(ctx context.Context) string {
	m, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(m.Get("containerd-namespace"), "")
}

type (
	imagesServer struct {
		*daemon
		images.UnimplementedImagesServer
	}
	contentServer struct {
		*daemon
		content.UnimplementedContentServer
	}
	namespacesServer struct {
		*daemon
		namespaces.UnimplementedNamespacesServer
	}
	containersServer struct {
		*daemon
		containers.UnimplementedContainersServer
	}
	snapshotsServer struct {
		*daemon
		snapshots.UnimplementedSnapshotsServer
	}
)

func (d imagesServer) Get(ctx context.Context, r *images.GetImageRequest) (*images.GetImageResponse, error) {
	if r.Name != "docker.io/library/app:latest" || space(ctx) != "k8s.io" {
		return nil, status.Error(codes.NotFound, "not found")
	}
	return &images.GetImageResponse{Image: &images.Image{Name: r.Name, Target: &types.Descriptor{Digest: d.target, MediaType: "application/vnd.oci.image.manifest.v1+json"}}}, nil
}

func (d contentServer) Read(r *content.ReadContentRequest, s content.Content_ReadServer) error {
	data, ok := d.blobs[r.Digest]
	if !ok || space(s.Context()) != "k8s.io" {
		return status.Error(codes.NotFound, "not found")
	}
	for len(data) > 0 { // in pieces, as the real one
		n := min(len(data), 7)
		if err := s.Send(&content.ReadContentResponse{Data: data[:n]}); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (d namespacesServer) List(context.Context, *namespaces.ListNamespacesRequest) (*namespaces.ListNamespacesResponse, error) {
	return &namespaces.ListNamespacesResponse{Namespaces: []*namespaces.Namespace{{Name: "default"}, {Name: "k8s.io"}}}, nil
}

func (d containersServer) Get(ctx context.Context, r *containers.GetContainerRequest) (*containers.GetContainerResponse, error) {
	if r.ID != "web" || space(ctx) != "k8s.io" {
		return nil, status.Error(codes.NotFound, "not found")
	}
	return &containers.GetContainerResponse{Container: &containers.Container{ID: r.ID, Image: "docker.io/library/app:latest", Snapshotter: "overlayfs", SnapshotKey: "web"}}, nil
}

// Info is asked about blobs; a configuration tells where it was unpacked to.
func (d contentServer) Info(ctx context.Context, r *content.InfoRequest) (*content.InfoResponse, error) {
	if _, ok := d.blobs[r.Digest]; !ok || space(ctx) != "k8s.io" {
		return nil, status.Error(codes.NotFound, "not found")
	}
	return &content.InfoResponse{Info: &content.Info{Digest: r.Digest, Labels: map[string]string{"containerd.io/gc.ref.snapshot.overlayfs": "x", "other": "y"}}}, nil
}

func (d snapshotsServer) View(_ context.Context, r *snapshots.ViewSnapshotRequest) (*snapshots.ViewSnapshotResponse, error) {
	d.views[r.Key] = r.Parent
	return &snapshots.ViewSnapshotResponse{Mounts: d.mounts}, nil
}

func (d snapshotsServer) Remove(_ context.Context, r *snapshots.RemoveSnapshotRequest) (*emptypb.Empty, error) {
	d.views[r.Key] = "removed after " + d.views[r.Key]
	return &emptypb.Empty{}, nil
}

func (d snapshotsServer) Mounts(context.Context, *snapshots.MountsRequest) (*snapshots.MountsResponse, error) {
	return &snapshots.MountsResponse{Mounts: d.mounts}, nil
}

func (d *daemon) put(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	id := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	d.blobs[id] = data
	return id
}

type object = map[string]any

// serve starts the daemon and returns where it listens.
func serve(t *testing.T) (*daemon, string) {
	t.Helper()
	d := &daemon{blobs: map[string][]byte{}, views: map[string]string{}}
	layer := d.put("the bytes of a layer")
	config := d.put(object{"os": "linux", "architecture": "amd64", "rootfs": object{"diff_ids": []string{layer}}, "history": []any{object{"created_by": "COPY . /"}}})
	d.target = d.put(object{"config": object{"digest": config}, "layers": []any{object{"digest": layer}}})
	dir, err := os.MkdirTemp("", "cd") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	images.RegisterImagesServer(s, imagesServer{daemon: d})
	content.RegisterContentServer(s, contentServer{daemon: d})
	namespaces.RegisterNamespacesServer(s, namespacesServer{daemon: d})
	containers.RegisterContainersServer(s, containersServer{daemon: d})
	snapshots.RegisterSnapshotsServer(s, snapshotsServer{daemon: d})
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return d, path
}

func TestOpen(t *testing.T) {
	_, at := serve(t)
	for _, ref := range []string{"app", "app:latest", "docker.io/library/app:latest"} {
		img, err := containerd.Open(t.Context(), ref, containerd.Options{Address: at, Namespace: "k8s.io"})
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		if img.Reference != "containerd:"+ref || img.Platform.String() != "linux/amd64" || len(img.Layers) != 1 || img.Layers[0].CreatedBy != "COPY . /" {
			t.Errorf("%s: %+v", ref, img)
		}
		if got := layer(t, img); got != `"the bytes of a layer"` {
			t.Errorf("%s: layer %q", ref, got)
		}
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	}
}

func layer(t *testing.T, img *image.Image) string {
	t.Helper()
	rc, err := img.Layers[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, rc); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestUnpacked reads a layer whose blob containerd does not hold where it was
// unpacked, and says that it is missing where that cannot be told.
func TestUnpacked(t *testing.T) {
	d, at := serve(t)
	open := func() *image.Image {
		t.Helper()
		img, err := containerd.Open(t.Context(), "app", containerd.Options{Address: at, Namespace: "k8s.io"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { img.Close() })
		return img
	}
	d.mounts = []*types.Mount{{Type: "bind", Source: "/snapshots/1/fs", Options: []string{"ro", "rbind"}}}
	if img := open(); img.Layers[0].Dir != "" || len(d.views) != 0 {
		t.Errorf("with the blob: %+v, views %v", img.Layers[0], d.views)
	}
	id := open().Layers[0].DiffID
	delete(d.blobs, string(id))
	if img := open(); img.Layers[0].Dir != "/snapshots/1/fs" || !img.Layers[0].Overlay || img.Layers[0].DiffID != id {
		t.Errorf("without the blob: %+v", img.Layers[0])
	}
	for _, state := range d.views {
		if state != "removed after "+string(id) {
			t.Errorf("a view is %q", state)
		}
	}
	for name, m := range map[string][]*types.Mount{"directories of other layers": {{Type: "overlay", Options: []string{"lowerdir=/b:/a"}}}, "no directories": {{Type: "ext4", Source: "/dev/x"}}, "nothing": nil} {
		d.mounts = m
		img := open()
		if img.Layers[0].Dir != "" {
			t.Errorf("%s: %+v", name, img.Layers[0])
			continue
		}
		r, err := img.Layers[0].Open(t.Context())
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if sekisho.KindOf(err) != sekisho.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrors(t *testing.T) {
	d, at := serve(t)
	open := func(ref string, o containerd.Options) error {
		img, err := containerd.Open(t.Context(), ref, o)
		if err == nil {
			img.Close()
		}
		return err
	}
	hint := func(err error) string {
		var e *sekisho.Error
		if errors.As(err, &e) {
			return e.Hint
		}
		return ""
	}
	if err := open("app", containerd.Options{Address: at}); sekisho.KindOf(err) != sekisho.NotFound || !strings.Contains(hint(err), "--namespace k8s.io") {
		t.Errorf("another namespace: %v, hint %q", err, hint(err))
	}
	if err := open("other", containerd.Options{Address: at, Namespace: "k8s.io"}); sekisho.KindOf(err) != sekisho.NotFound || !strings.Contains(hint(err), "default, k8s.io") {
		t.Errorf("no such image: %v, hint %q", err, hint(err))
	}
	if err := open("app", containerd.Options{Address: at + ".no"}); sekisho.KindOf(err) != sekisho.Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
	good := d.blobs[d.target]
	d.blobs[d.target] = []byte("{}")
	if err := open("app", containerd.Options{Address: at, Namespace: "k8s.io"}); sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("another content: %v", err)
	}
	delete(d.blobs, d.target)
	if err := open("app", containerd.Options{Address: at, Namespace: "k8s.io"}); err == nil || !strings.Contains(err.Error(), "does not hold blob") {
		t.Errorf("a blob is missing: %v", err)
	}
	d.blobs[d.target] = good
}

func TestContainer(t *testing.T) {
	d, at := serve(t)
	lower, upper := t.TempDir(), t.TempDir()
	o := containerd.Options{Address: at, Namespace: "k8s.io"}
	d.mounts = []*types.Mount{{Type: "overlay", Options: []string{"lowerdir=" + lower, "upperdir=" + upper}}}
	img, err := containerd.Container(t.Context(), "web", o)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if img.Kind != image.KindContainer || len(img.Layers) != 2 || img.Layers[0].Dir != lower || img.Layers[0].CreatedBy != "COPY . /" || !img.Layers[1].Writable {
		t.Errorf("got %+v", img.Layers)
	}
	if _, err := containerd.Container(t.Context(), "gone", o); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("no such container: %v", err)
	}
	d.mounts = []*types.Mount{{Type: "bind"}}
	if _, err := containerd.Container(t.Context(), "web", o); err == nil || !strings.Contains(err.Error(), "no overlay") {
		t.Errorf("no overlay: %v", err)
	}
	d.mounts = []*types.Mount{{Type: "overlay", Options: []string{"lowerdir=" + lower, "upperdir=" + upper + "/gone"}}}
	if _, err := containerd.Container(t.Context(), "web", o); sekisho.KindOf(err) != sekisho.Forbidden {
		t.Errorf("files that cannot be read: %v", err)
	}
}
