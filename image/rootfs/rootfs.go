// Package rootfs opens a directory of this machine as an image of one layer:
// a root file system or a source tree. Nothing outside the directory is read.
package rootfs

import (
	"os"
	"path/filepath"

	"sekisho"
	"sekisho/image"
)

// Open opens the directory.
func Open(path string) (*image.Image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "open directory: %w", err)
	}
	if !info.IsDir() {
		return nil, sekisho.Errorf(sekisho.Usage, "%s is no directory", path).WithHint("scan an image archive: archive:%s", path)
	}
	return &image.Image{Kind: image.KindDirectory, Reference: "dir:" + filepath.Clean(path), Layers: []image.Layer{{Dir: path, Size: -1}}}, nil
}
