// Package container opens the live file system of a container of a Docker
// engine on this machine: the directories of its overlay, the container's own
// one marked, so that what differs from the image shows.
package container

import (
	"context"
	"os"
	"strings"

	"sekisho"
	"sekisho/image"
	"sekisho/image/daemon"
)

// Options say where the engine is.
type Options struct {
	Docker daemon.Options
}

// inspected is what GET /containers/ID/json tells.
type inspected struct {
	ID          string `json:"Id"`
	Name        string
	Image       sekisho.Digest
	Config      image.Run
	GraphDriver struct {
		Name string
		Data struct{ LowerDir, UpperDir string }
	}
}

// Open opens a container by name or id.
func Open(ctx context.Context, id string, o Options) (*image.Image, error) {
	c, err := daemon.NewClient(o.Docker)
	if err != nil {
		return nil, err
	}
	var i inspected
	if err := c.Get(ctx, "/containers/"+id+"/json", &i); err != nil {
		return nil, err
	}
	d := i.GraphDriver.Data
	if i.GraphDriver.Name != "overlay2" || d.UpperDir == "" {
		return nil, sekisho.Errorf(sekisho.Invalid, "container %s: its storage driver is %q, want overlay2", id, i.GraphDriver.Name).
			WithHint("docker export %s > fs.tar, unpack it and scan dir:DIR", id)
	}
	if _, err := os.ReadDir(d.UpperDir); err != nil {
		return nil, sekisho.Errorf(sekisho.Forbidden, "container %s: its files cannot be read: %w", id, err).WithHint("run as root on the machine of the engine")
	}
	base, err := daemon.Open(ctx, string(i.Image), o.Docker)
	if err != nil {
		return nil, err
	}
	img := &image.Image{Kind: image.KindContainer, Reference: "container:" + strings.TrimPrefix(i.Name, "/"), ID: i.Image, Platform: base.Platform, Config: base.Config}
	img.Config.Config = i.Config
	img.Layers = layers(d.LowerDir, d.UpperDir, base)
	return img, nil
}

// layers lists the overlay's directories, lowest first. Docker's own "-init"
// directory, which prepares /etc/hosts and the like, is counted with the image.
func layers(lower, upper string, base *image.Image) (list []image.Layer) {
	dirs := strings.Split(lower, ":")
	for i := len(dirs) - 1; i >= 0; i-- {
		l := image.Layer{Dir: dirs[i], Overlay: true, Size: -1}
		if n := len(list); n < len(base.Layers) {
			l.DiffID, l.CreatedBy = base.Layers[n].DiffID, base.Layers[n].CreatedBy
		}
		list = append(list, l)
	}
	return append(list, image.Layer{Dir: upper, Overlay: true, Writable: true, Size: -1})
}
