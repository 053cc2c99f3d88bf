package runtime

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"sekisho"
)

// Image is which image a container was made from, by the word of the engine.
type Image struct {
	Reference string         // as the user wrote it
	Digest    sekisho.Digest // the most exact one
	Source    string         // where a scanner finds it
	Name      string         // of the container
	Namespace string         // of Kubernetes
	Pod       string         // of Kubernetes, whose frame it is when it has no name
	Again     bool           // it ran before: a restart
	Labels    map[string]string
}

// Storage tells from which image a container of CRI-O or Podman was made.
type Storage func(id string) (*Image, error)

// Containerd asks containerd from which image a container was made.
type Containerd func(ctx context.Context, namespace, id string) (*Image, error)

// dockerRecord is config.v2.json, which dockerd keeps of a container.
type dockerRecord struct {
	ID            string
	Name          string
	Image         sekisho.Digest
	ImageManifest *struct {
		Digest sekisho.Digest `json:"digest"`
	}
	State  struct{ StartedAt time.Time }
	Config struct {
		Image  string
		Labels map[string]string
	}
}

// errBuild says that a container is a step of BuildKit; beside it stands the
// image that the step builds on, where it is known.
var errBuild = errors.New("a step of a build has no image of its own")

// identify finds out from which image the container of a bundle was made. The
// engine's record decides; what the bundle says of itself only tells which
// engine to ask.
func (g *Gate) identify(ctx context.Context, c *Command, b *Bundle, dir string) (*Image, error) {
	for _, root := range g.Config.Docker {
		i, err := fromDocker(root, c.ID)
		if err == nil || sekisho.KindOf(err) != sekisho.NotFound {
			return i, err
		}
		if build(root, dir, b) {
			i, err := g.base(ctx, root, b)
			if err != nil { // unknown, and judged so
				return nil, errBuild
			}
			return i, errBuild
		}
	}
	if stored(dir, c.ID) && g.Storage != nil {
		return g.Storage(c.ID)
	}
	namespace := filepath.Base(filepath.Dir(dir)) // …/io.containerd.runtime.v2.task/NAMESPACE/ID
	if filepath.Base(dir) != c.ID || g.Containerd == nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "no engine knows container %s", c.ID)
	}
	i, err := g.Containerd(ctx, namespace, c.ID)
	if err != nil {
		return nil, err
	}
	i.Name, i.Namespace, i.Pod = b.Annotations["io.kubernetes.cri.container-name"], b.Annotations["io.kubernetes.cri.sandbox-namespace"], b.Annotations["io.kubernetes.cri.sandbox-name"]
	return i, nil
}

// fromDocker reads the engine's record of a container.
func fromDocker(root, id string) (*Image, error) {
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		return nil, sekisho.Errorf(sekisho.NotFound, "%s is no container of Docker", id)
	}
	name := filepath.Join(root, "containers", id, "config.v2.json")
	var r dockerRecord
	if err := readJSON(name, &r); err != nil {
		return nil, err
	}
	if r.ID != id {
		return nil, sekisho.Errorf(sekisho.Corrupt, "%s is about container %s", name, r.ID)
	}
	i := &Image{Reference: r.Config.Image, Digest: r.Image, Name: strings.TrimPrefix(r.Name, "/"), Labels: r.Config.Labels, Again: r.State.StartedAt.Year() > 1}
	if r.ImageManifest != nil && r.ImageManifest.Digest != "" {
		i.Digest = r.ImageManifest.Digest
	}
	if i.Digest == "" {
		return nil, errNoImage
	}
	if strings.HasPrefix(i.Reference, "sha256:") {
		i.Reference = "" // an identity is no name that a policy could trust
	}
	i.Source = "docker:" + string(r.Image)
	return i, i.Digest.Validate()
}

// stored tells whether a bundle is one of CRI-O's or Podman's:
// …/overlay-containers/ID/userdata.
func stored(dir, id string) bool {
	return filepath.Base(dir) == "userdata" && filepath.Base(filepath.Dir(dir)) == id && filepath.Base(filepath.Dir(filepath.Dir(dir))) == "overlay-containers"
}

// errNoImage says that a container was made from no image.
var errNoImage = errors.New("the container was made from no image")

// build tells whether a bundle is BuildKit's, which dockerd runs by itself.
func build(root, dir string, b *Bundle) bool {
	below := func(p string) bool { return strings.HasPrefix(p, filepath.Join(root, "buildkit")+"/") }
	return below(dir) || b.Root != nil && below(b.Root.Path)
}
