package storage

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sekisho"
	"sekisho/image"
)

func sum(data []byte) sekisho.Digest {
	return sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
}

// layers are the directories of an image, lowest first. They must be those that
// its configuration lists.
func layers(top string, c image.Config, o Options) (out []image.Layer, err error) {
	known, places := map[string]layer{}, map[string]string{}
	for _, root := range o.roots() {
		all, err := list[layer](root, "layers")
		if err != nil {
			return nil, fmt.Errorf("layers of %s: %w", root, err)
		}
		for _, l := range all {
			if _, twice := known[l.ID]; !twice {
				known[l.ID], places[l.ID] = l, filepath.Join(root, "overlay", l.ID)
			}
		}
	}
	for id := top; id != ""; id = known[id].Parent {
		l, ok := known[id]
		if !ok || !plain(id) || len(out) == maxLayers {
			return nil, sekisho.Errorf(sekisho.Corrupt, "layer %q of the image is not in the storage", id)
		}
		if _, err := os.Stat(filepath.Join(places[id], "composefs-data")); err == nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "layer %s is kept as composefs, which cannot be read here", id).WithHint("scan the image in its registry: registry:NAME")
		}
		out = append(out, image.Layer{DiffID: l.Diff, Dir: filepath.Join(places[id], "diff"), Overlay: true, Size: -1})
	}
	slices.Reverse(out)
	if len(out) != len(c.RootFS.DiffIDs) {
		return nil, sekisho.Errorf(sekisho.Corrupt, "the storage has %d layers of the image, its configuration lists %d", len(out), len(c.RootFS.DiffIDs))
	}
	by := c.Instructions()
	for n := range out {
		if out[n].DiffID != c.RootFS.DiffIDs[n] {
			return nil, sekisho.Errorf(sekisho.Corrupt, "layer %d of the image is %s in the storage and %s in its configuration", n, out[n].DiffID, c.RootFS.DiffIDs[n])
		}
		if n < len(by) {
			out[n].CreatedBy = by[n]
		}
	}
	return out, nil
}
