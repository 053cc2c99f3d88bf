package containerd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"

	content "github.com/containerd/containerd/api/services/content/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sekisho/image"
)

// snapshotLabel begins the label of a configuration that names the snapshot
// its image was unpacked to; the snapshotter's name follows.
const snapshotLabel = "containerd.io/gc.ref.snapshot."

// unpacked gives an image the directories of its layers where containerd does
// not hold their blobs: it fetches none that it has unpacked for another image,
// and may throw them away once unpacked (discard_unpacked_layers). What cannot
// be found stays as it is, and reading it says so.
func unpacked(ctx context.Context, conn *grpc.ClientConn, img *image.Image, o Options) {
	inside := in(ctx, o.Namespace)
	blobs := content.NewContentClient(conn)
	missing := func(l image.Layer) bool {
		_, err := blobs.Info(inside, &content.InfoRequest{Digest: string(l.Digest)})
		return status.Code(err) == codes.NotFound
	}
	if !slices.ContainsFunc(img.Layers, missing) {
		return
	}
	c, err := blobs.Info(inside, &content.InfoRequest{Digest: string(img.ID)})
	if err != nil {
		return
	}
	for label := range c.GetInfo().GetLabels() {
		snapshotter, ok := strings.CutPrefix(label, snapshotLabel)
		if !ok {
			continue
		}
		dirs := layerDirs(inside, conn, snapshotter, image.ChainID(img.Config.RootFS.DiffIDs))
		if len(dirs) != len(img.Layers) {
			continue
		}
		for i := range img.Layers {
			l := &img.Layers[i]
			l.Dir, l.Overlay, l.Open, l.Size = dirs[i], true, nil, -1
		}
		return
	}
}

// layerDirs are the directories of a snapshot's layers, lowest first; none when
// its snapshotter lays no directories over one another. The view that tells
// them is removed at once, and containerd's collector takes what is left.
func layerDirs(ctx context.Context, conn *grpc.ClientConn, snapshotter, key string) []string {
	client := snapshots.NewSnapshotsClient(conn)
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil
	}
	view := "sekisho-" + hex.EncodeToString(random)
	r, err := client.View(ctx, &snapshots.ViewSnapshotRequest{Snapshotter: snapshotter, Key: view, Parent: key})
	if err != nil {
		return nil
	}
	defer func() {
		_, _ = client.Remove(context.WithoutCancel(ctx), &snapshots.RemoveSnapshotRequest{Snapshotter: snapshotter, Key: view})
	}()
	if len(r.GetMounts()) != 1 {
		return nil
	}
	m := r.GetMounts()[0]
	if m.GetType() == "bind" && snapshotter == "overlayfs" { // one layer alone
		return []string{m.GetSource()}
	}
	for _, option := range m.GetOptions() {
		if lower, ok := strings.CutPrefix(option, "lowerdir="); ok {
			dirs := strings.Split(lower, ":")
			slices.Reverse(dirs)
			return dirs
		}
	}
	return nil
}
