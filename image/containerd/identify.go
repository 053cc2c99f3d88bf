package containerd

import (
	"context"
	"fmt"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	namespaces "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	task "github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sekisho"
	"sekisho/image"
)

// Identity is which image a name or a container stands for.
type Identity struct {
	Reference string           // the name
	Digests   []sekisho.Digest // of the manifest for this platform, the configuration, the index
	Labels    map[string]string
}

// Lookup finds out which image a name stands for now.
func Lookup(ctx context.Context, ref string, o Options) (*Identity, error) {
	conn, o, err := dial(o)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	img, err := open(ctx, conn, ref, o)
	if err != nil {
		return nil, err
	}
	return identity(ref, img), nil
}

func identity(ref string, img *image.Image) *Identity {
	i := &Identity{Reference: ref}
	for _, d := range append([]sekisho.Digest{img.Digest, img.ID}, img.Also...) {
		if d != "" {
			i.Digests = append(i.Digests, d)
		}
	}
	return i
}

// Identify finds out from which image a container was made. The name in the
// container's record may have moved since: the snapshot that the container
// stands on must be that of the image, else the error is of kind Corrupt. A
// container that was made from no image is NotFound.
func Identify(ctx context.Context, id string, o Options) (*Identity, error) {
	conn, o, err := dial(o)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	inside := in(ctx, o.Namespace)
	r, err := containers.NewContainersClient(conn).Get(inside, &containers.GetContainerRequest{ID: id})
	if status.Code(err) == codes.NotFound {
		return nil, sekisho.Errorf(sekisho.NotFound, "containerd has no container %s in namespace %s", id, o.Namespace)
	}
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Unavailable, "no containerd at %s: %w", o.Address, err)
	}
	return identify(ctx, conn, r.GetContainer(), o)
}

func identify(ctx context.Context, conn *grpc.ClientConn, c *containers.Container, o Options) (*Identity, error) {
	if c.GetImage() == "" {
		return &Identity{Labels: c.GetLabels()}, sekisho.Errorf(sekisho.NotFound, "container %s was made from no image", c.GetID())
	}
	img, err := open(ctx, conn, c.GetImage(), o)
	if err != nil {
		return nil, err
	}
	s, err := snapshots.NewSnapshotsClient(conn).Stat(in(ctx, o.Namespace), &snapshots.StatSnapshotRequest{Snapshotter: c.GetSnapshotter(), Key: c.GetSnapshotKey()})
	if err != nil {
		return nil, fmt.Errorf("container %s: ask for its snapshot: %w", c.GetID(), err)
	}
	if parent, want := s.GetInfo().GetParent(), image.ChainID(img.Config.RootFS.DiffIDs); parent != want {
		return nil, sekisho.Errorf(sekisho.Corrupt, "container %s stands on snapshot %s, which is not that of image %s (%s): the name moved", c.GetID(), parent, c.GetImage(), want)
	}
	i := identity(c.GetImage(), img)
	i.Labels = c.GetLabels()
	return i, nil
}

// Running is a container whose task runs.
type Running struct {
	Namespace, ID string
	PID           uint32
	Identity      *Identity
	Problem       string // why its image is not known
	Sandbox       bool   // it holds a pod's namespaces, of the image that containerd's settings name
}

// ListRunning lists what runs in all namespaces. Docker's own namespace, moby,
// has containers without images; they are listed like the others.
func ListRunning(ctx context.Context, o Options) ([]Running, error) {
	conn, o, err := dial(o)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	spaces, err := namespaces.NewNamespacesClient(conn).List(ctx, &namespaces.ListNamespacesRequest{})
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Unavailable, "no containerd at %s: %w", o.Address, err)
	}
	var list []Running
	for _, n := range spaces.GetNamespaces() {
		o.Namespace = n.GetName()
		more, err := listRunning(ctx, conn, o)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// sandbox tells a pod's sandbox of the image that containerd's own settings
// name: it is pinned. Another image that calls itself one is none.
func sandbox(ctx context.Context, conn *grpc.ClientConn, c *containers.Container) bool {
	if c.GetLabels()["io.cri-containerd.kind"] != "sandbox" {
		return false
	}
	r, err := images.NewImagesClient(conn).Get(ctx, &images.GetImageRequest{Name: c.GetImage()})
	return err == nil && r.GetImage().GetLabels()["io.cri-containerd.pinned"] == "pinned"
}

func listRunning(ctx context.Context, conn *grpc.ClientConn, o Options) (list []Running, err error) {
	inside := in(ctx, o.Namespace)
	r, err := tasks.NewTasksClient(conn).List(inside, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, fmt.Errorf("list tasks of namespace %s: %w", o.Namespace, err)
	}
	for _, t := range r.GetTasks() {
		if s := t.GetStatus(); s != task.Status_RUNNING && s != task.Status_PAUSED && s != task.Status_PAUSING {
			continue
		}
		x := Running{Namespace: o.Namespace, ID: t.GetID(), PID: t.GetPid()}
		c, err := containers.NewContainersClient(conn).Get(inside, &containers.GetContainerRequest{ID: t.GetID()})
		if err != nil {
			x.Problem = err.Error()
		} else if x.Identity, err = identify(ctx, conn, c.GetContainer(), o); err != nil {
			x.Problem = err.Error()
		} else {
			x.Sandbox = sandbox(inside, conn, c.GetContainer())
		}
		list = append(list, x)
	}
	return list, nil
}
