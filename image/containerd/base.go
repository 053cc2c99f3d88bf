package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	images "github.com/containerd/containerd/api/services/images/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sekisho"
	"sekisho/image"
)

// maxSnapshots bounds how many snapshots are looked at.
const maxSnapshots = 100_000

// Base finds the image that a snapshot builds on, by the snapshot's own
// directory: the step of a build, which has no record of its own. Of several
// images below it the topmost counts. Where there is none it is NotFound.
func Base(ctx context.Context, snapshotter, upper string, o Options) (*Identity, error) {
	conn, o, err := dial(o)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	below, err := parents(in(ctx, o.Namespace), conn, snapshotter, upper)
	if err != nil {
		return nil, err
	}
	return topmost(ctx, conn, below, o)
}

// parents are the names of what the snapshot with a directory stands on, the
// nearest first.
func parents(ctx context.Context, conn *grpc.ClientConn, snapshotter, upper string) (below []string, err error) {
	client := snapshots.NewSnapshotsClient(conn)
	stream, err := client.List(ctx, &snapshots.ListSnapshotsRequest{Snapshotter: snapshotter})
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	parent := map[string]string{}
	var active []*snapshots.Info
	for len(parent) < maxSnapshots {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if status.Code(err) == codes.Unavailable {
			return nil, sekisho.Errorf(sekisho.Unavailable, "no containerd: %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		for _, i := range r.GetInfo() {
			if parent[i.GetName()] = i.GetParent(); i.GetKind() == snapshots.Kind_ACTIVE {
				active = append(active, i)
			}
		}
	}
	slices.SortFunc(active, func(x, y *snapshots.Info) int { return y.GetCreatedAt().AsTime().Compare(x.GetCreatedAt().AsTime()) }) // it was just made
	for _, i := range active {
		m, err := client.Mounts(ctx, &snapshots.MountsRequest{Snapshotter: snapshotter, Key: i.GetName()})
		if err != nil || len(m.GetMounts()) != 1 || !slices.Contains(m.GetMounts()[0].GetOptions(), "upperdir="+upper) {
			continue // one that is gone by now, or another
		}
		for name := i.GetParent(); name != "" && len(below) < len(parent); name = parent[name] {
			below = append(below, name)
		}
		return below, nil
	}
	return nil, sekisho.Errorf(sekisho.NotFound, "containerd has no snapshot whose directory is %s", upper)
}

// topmost finds the image that was unpacked to the nearest of some snapshots.
func topmost(ctx context.Context, conn *grpc.ClientConn, below []string, o Options) (*Identity, error) {
	if !slices.ContainsFunc(below, func(name string) bool { return strings.HasPrefix(name, "sha256:") }) {
		return nil, sekisho.Errorf(sekisho.NotFound, "the snapshot stands on no image")
	}
	r, err := images.NewImagesClient(conn).List(in(ctx, o.Namespace), &images.ListImagesRequest{})
	if err != nil {
		return nil, fmt.Errorf("list images of namespace %s: %w", o.Namespace, err)
	}
	var found *Identity
	at := len(below)
	for _, i := range r.GetImages() {
		img, err := open(ctx, conn, i.GetName(), o)
		if err != nil {
			continue // of another platform, or not whole
		}
		if n := slices.Index(below, image.ChainID(img.Config.RootFS.DiffIDs)); n >= 0 && (n < at || n == at && strings.Contains(found.Reference, "@")) { // of several with these layers one that has a name of its own
			at, found = n, identity(i.GetName(), img)
		}
	}
	if found == nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "no image of namespace %s is what the snapshot stands on", o.Namespace)
	}
	return found, nil
}
