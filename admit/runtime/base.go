package runtime

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sekisho"
	"sekisho/image"
)

// Base tells which image of Docker's in containerd a snapshot stands on, by the
// snapshot's own directory.
type Base func(ctx context.Context, upper string) (*Image, error)

// overlay is how a root file system is laid over others.
type overlay struct {
	upper string
	lower []string // topmost first
}

// mounted finds the overlay at a path; nil where there is none.
func mounted(mountinfo, at string) *overlay {
	data, err := os.ReadFile(mountinfo)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		before, after, ok := strings.Cut(line, " - overlay ")
		fields, options := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || fields[4] != at || len(options) < 2 {
			continue
		}
		o := &overlay{}
		for option := range strings.SplitSeq(options[1], ",") {
			if v, ok := strings.CutPrefix(option, "lowerdir="); ok {
				o.lower = strings.Split(v, ":")
			}
			if v, ok := strings.CutPrefix(option, "upperdir="); ok {
				o.upper = v
			}
		}
		return o
	}
	return nil
}

// base finds the image that a step of BuildKit builds on: what its root file
// system is laid over. What stands on none is NotFound.
func (g *Gate) base(ctx context.Context, root string, b *Bundle) (*Image, error) {
	none := sekisho.Errorf(sekisho.NotFound, "the step stands on no image that is known")
	if b.Root == nil {
		return nil, none
	}
	o := mounted(g.mountinfo(), b.Root.Path)
	if o == nil || o.upper == "" {
		return nil, none
	}
	if strings.HasPrefix(o.upper, filepath.Join(root, "overlay2")+"/") {
		return below(root, o.lower)
	}
	if g.Base == nil {
		return nil, none
	}
	return g.Base(ctx, o.upper)
}

func (g *Gate) mountinfo() string {
	if g.Mountinfo != "" {
		return g.Mountinfo
	}
	return "/proc/self/mountinfo"
}

// maxImages bounds the images and layers of an engine that are looked at.
const maxImages = 100_000

// below finds, in Docker's own store (storage driver overlay2), the image whose
// layers are the topmost of some directories.
func below(root string, lower []string) (*Image, error) {
	store := filepath.Join(root, "image", "overlay2")
	chains, err := filepath.Glob(filepath.Join(store, "layerdb", "sha256", "*", "cache-id"))
	if err != nil || len(chains) > maxImages {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: more than %d layers", store, maxImages)
	}
	byDir := map[string]string{} // chain by the directory that has the layer's files
	for _, name := range chains {
		if data, err := os.ReadFile(name); err == nil {
			byDir[strings.TrimSpace(string(data))] = "sha256:" + filepath.Base(filepath.Dir(name))
		}
	}
	var have []string // chains below the step, topmost first
	for _, dir := range lower {
		if to, err := filepath.EvalSymlinks(dir); err == nil {
			have = append(have, byDir[filepath.Base(filepath.Dir(to))])
		}
	}
	tags := tagged(store)
	found, at := sekisho.Digest(""), len(have)
	names, err := filepath.Glob(filepath.Join(store, "imagedb", "content", "sha256", "*"))
	if err != nil || len(names) > maxImages {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: more than %d images", store, maxImages)
	}
	for _, name := range names {
		var c struct {
			RootFS struct {
				DiffIDs []sekisho.Digest `json:"diff_ids"`
			} `json:"rootfs"`
		}
		if readJSON(name, &c) != nil || len(c.RootFS.DiffIDs) == 0 {
			continue
		}
		id := sekisho.Digest("sha256:" + filepath.Base(name))
		if n := slices.Index(have, image.ChainID(c.RootFS.DiffIDs)); n >= 0 && (n < at || n == at && tags[found] == "") { // of several with these layers one that has a name
			found, at = id, n
		}
	}
	if found.Validate() != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "no image of %s is what the step stands on", root)
	}
	return &Image{Reference: tags[found], Digest: found, Source: "docker:" + string(found)}, nil
}

// tagged are names of images, by their identity.
func tagged(store string) map[sekisho.Digest]string {
	var r struct {
		Repositories map[string]map[string]sekisho.Digest
	}
	tags := map[sekisho.Digest]string{}
	if readJSON(filepath.Join(store, "repositories.json"), &r) != nil {
		return tags
	}
	for _, refs := range r.Repositories {
		for name, id := range refs {
			if !strings.Contains(name, "@") && (tags[id] == "" || name < tags[id]) {
				tags[id] = name
			}
		}
	}
	return tags
}
