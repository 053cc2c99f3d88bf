package containerd

import (
	"context"
	"os"
	"strings"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sekisho"
	"sekisho/image"
)

// Container opens the live file system of a container of containerd: the
// directories of its overlay, its own one marked. Snapshotters without an
// overlay are refused.
func Container(ctx context.Context, id string, o Options) (*image.Image, error) {
	conn, o, err := dial(o)
	if err != nil {
		return nil, err
	}
	img, err := liveContainer(ctx, conn, id, o)
	if err != nil {
		conn.Close()
		return nil, err
	}
	img.Done = conn.Close
	return img, nil
}

func liveContainer(ctx context.Context, conn *grpc.ClientConn, id string, o Options) (*image.Image, error) {
	inside := in(ctx, o.Namespace)
	r, err := containers.NewContainersClient(conn).Get(inside, &containers.GetContainerRequest{ID: id})
	if status.Code(err) == codes.NotFound {
		return nil, sekisho.Errorf(sekisho.NotFound, "containerd has no container %s in namespace %s", id, o.Namespace).WithHint("--namespace k8s.io for Kubernetes, moby for Docker")
	}
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Unavailable, "no containerd at %s: %w", o.Address, err).WithHint("is it running, and may this user reach it?")
	}
	c := r.GetContainer()
	m, err := snapshots.NewSnapshotsClient(conn).Mounts(inside, &snapshots.MountsRequest{Snapshotter: c.GetSnapshotter(), Key: c.GetSnapshotKey()})
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "container %s: ask for its file system: %w", id, err)
	}
	var lower, upper string
	for _, x := range m.GetMounts() {
		for _, option := range x.GetOptions() {
			if dirs, ok := strings.CutPrefix(option, "lowerdir="); ok {
				lower = dirs
			}
			if dir, ok := strings.CutPrefix(option, "upperdir="); ok {
				upper = dir
			}
		}
	}
	if upper == "" {
		return nil, sekisho.Errorf(sekisho.Invalid, "container %s: snapshotter %q has no overlay", id, c.GetSnapshotter()).WithHint("scan its image: containerd:%s", c.GetImage())
	}
	if _, err := os.ReadDir(upper); err != nil {
		return nil, sekisho.Errorf(sekisho.Forbidden, "container %s: its files cannot be read: %w", id, err).WithHint("run as root on the machine of containerd")
	}
	base, err := open(ctx, conn, c.GetImage(), o)
	if err != nil {
		return nil, err
	}
	return &image.Image{Kind: image.KindContainer, Reference: "container:" + id, ID: base.ID, Platform: base.Platform, Config: base.Config, Layers: image.Overlay(lower, upper, base.Layers)}, nil
}
