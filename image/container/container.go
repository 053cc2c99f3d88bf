// Package container opens the live file system of a container of a Docker
// engine on this machine: the directories of its overlay, the container's own
// one marked, so that what differs from the image shows; with other storage
// drivers, its root, compared with the image file by file. Volumes and other
// mounts are not the container's own and are not read.
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
	State       struct{ Pid int }
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
	base, err := daemon.Open(ctx, string(i.Image), o.Docker)
	if err != nil {
		return nil, err
	}
	img := &image.Image{Kind: image.KindContainer, Reference: "container:" + strings.TrimPrefix(i.Name, "/"), ID: i.Image, Platform: base.Platform, Config: base.Config}
	img.Config.Config = i.Config
	d := i.GraphDriver.Data
	if d.UpperDir == "" {
		if err := live(img, base, i); err != nil {
			return nil, err
		}
		return img, nil
	}
	if _, err := os.ReadDir(d.UpperDir); err != nil {
		return nil, sekisho.Errorf(sekisho.Forbidden, "container %s: its files cannot be read: %w", id, err).WithHint("run as root on the machine of the engine")
	}
	img.Layers = image.Overlay(d.LowerDir, d.UpperDir, base.Layers)
	return img, nil
}
