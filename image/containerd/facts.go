package containerd

import (
	"context"

	containers "github.com/containerd/containerd/api/services/containers/v1"

	"sekisho"
)

// Facts are what containerd knows of a container's image.
type Facts struct {
	Image  string
	Digest sekisho.Digest // of the manifest or the index that the name points at
	Labels map[string]string
}

// FactsOf asks for the image and the labels of a container.
func FactsOf(ctx context.Context, id string, o Options) (Facts, error) {
	conn, o, err := dial(o)
	if err != nil {
		return Facts{}, err
	}
	defer conn.Close()
	inside := in(ctx, o.Namespace)
	r, err := containers.NewContainersClient(conn).Get(inside, &containers.GetContainerRequest{ID: id})
	if err != nil {
		return Facts{}, sekisho.Errorf(sekisho.Unavailable, "ask containerd at %s for container %s: %w", o.Address, id, err)
	}
	c := r.GetContainer()
	f := Facts{Image: c.GetImage(), Labels: c.GetLabels()}
	if d, err := find(inside, conn, f.Image); err == nil {
		f.Digest = d.Digest
	}
	return f, nil
}
