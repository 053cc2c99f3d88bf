package container

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"sekisho"
	"sekisho/image"
)

// Live is where a container's files are.
type Live struct {
	Root    string          // directory on this machine
	Mounts  map[string]bool // paths below Root that are not the container's own
	Shifted bool            // owners are those of a user namespace and cannot be compared
}

// Over gives img the layers of base and, above them, what differs at the live
// root: first what is gone, then what is new or another. Files are compared by
// kind, mode, owner and content; their times say nothing.
func Over(img, base *image.Image, live Live) {
	img.Layers = append(slices.Clone(base.Layers), image.Layer{Dir: live.Root, Size: -1, Writable: true})
	img.Stream = func(ctx context.Context, visit func(image.Layer) error) error {
		t := newTree()
		each := base.Stream
		if each == nil {
			each = func(_ context.Context, visit func(image.Layer) error) error { return all(base.Layers, visit) }
		}
		if err := each(ctx, func(l image.Layer) error { return t.watch(ctx, l, visit) }); err != nil {
			return err
		}
		seen, err := t.merge(base.Layers)
		if err != nil {
			return err
		}
		d := &difference{ctx: ctx, tree: t, live: live, image: seen, seen: map[string]bool{}, changed: map[string]bool{}, above: map[string]bool{}}
		if err := d.find(); err != nil {
			return err
		}
		run := img.Config.Config
		img.Config, img.Layers = base.Config, slices.Clone(base.Layers)
		img.Config.Config = run
		return all(d.layers(), func(l image.Layer) error {
			img.Layers = append(img.Layers, l)
			return visit(l)
		})
	}
}

func all(list []image.Layer, visit func(image.Layer) error) error {
	for _, l := range list {
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

// difference is what a root has that the image has not, and the reverse.
type difference struct {
	ctx     context.Context
	tree    *tree
	live    Live
	image   map[string]node
	seen    map[string]bool // directories and files of the image that are there
	changed map[string]bool
	above   map[string]bool // directories with something changed below
}

// maxDepth bounds how deep directories may nest; what is deeper counts as
// changed, and whoever reads it has a bound of its own.
const maxDepth = 256

func (d *difference) find() error {
	root, err := os.OpenRoot(d.live.Root)
	if err != nil {
		return sekisho.Errorf(sekisho.Forbidden, "read the container's files: %w", err).WithHint("run as root on the machine of the engine")
	}
	defer root.Close()
	n := 0
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if stop := d.ctx.Err(); stop != nil {
			return stop
		}
		if n++; n > maxEntries {
			return sekisho.Errorf(sekisho.Invalid, "the container has more than %d files", maxEntries)
		}
		switch {
		case name == ".":
			return err
		case d.live.Mounts[name]:
			d.seen[name] = true
			return skip(e)
		case err != nil: // it is there and cannot be read: whoever reads it says so
			d.seen[name] = true
			d.differs(name)
			return nil
		case strings.Count(name, "/") > maxDepth:
			d.differs(name)
			return skip(e)
		}
		if d.compare(root, name, e) {
			return nil
		}
		d.differs(name)
		return nil
	})
}

func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (d *difference) differs(name string) {
	d.changed[name] = true
	for dir := path.Dir(name); dir != "." && !d.above[dir]; dir = path.Dir(dir) {
		d.above[dir] = true
	}
}

// compare reports whether the image has the same. What vanishes while it is
// looked at is not there.
func (d *difference) compare(root *os.Root, name string, e fs.DirEntry) bool {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	d.seen[name] = true
	old, ok := d.image[name]
	if err != nil || !ok {
		return false
	}
	is := describe(info.Mode())
	is.size = info.Size()
	if s, ok := info.Sys().(*syscall.Stat_t); ok && !d.live.Shifted {
		is.uid, is.gid = s.Uid, s.Gid
	} else {
		is.uid, is.gid = old.uid, old.gid
	}
	switch is.kind {
	case 0: // a regular file
		if is.size != old.size || is.mode != old.mode || is.uid != old.uid || is.gid != old.gid || old.kind != 0 {
			return false
		}
		is.hash, err = d.content(root, name)
	case fs.ModeSymlink:
		var link string
		link, err = root.Readlink(name)
		is.mode, is.size, is.hash = old.mode, old.size, d.tree.sum(link)
	default:
		is.size = old.size
	}
	return err == nil && is == old
}

func (d *difference) content(root *os.Root, name string) (uint64, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, errors.New("it is no regular file any more")
	}
	return d.tree.sumOf(f)
}

// layers returns what is gone, as an archive of whiteouts, and what differs.
func (d *difference) layers() []image.Layer {
	var list []image.Layer
	if gone := d.gone(); len(gone) > 0 {
		data := whiteouts(gone)
		list = append(list, image.Layer{DiffID: digest(data), Size: int64(len(data)), Writable: true, CreatedBy: "removed in the container",
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }})
	}
	leave := func(name string, dir bool) bool {
		return d.live.Mounts[name] || !d.changed[name] && (!dir || !d.above[name])
	}
	return append(list, image.Layer{Dir: d.live.Root, Size: -1, Writable: true, CreatedBy: "written in the container", Leave: leave})
}

// gone lists the topmost paths of the image that are not there any more. What
// a mount covers is out of sight, not gone.
func (d *difference) gone() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(d.image)) {
		parent := path.Dir(name)
		if !d.seen[name] && (parent == "." || d.seen[parent]) && !d.live.Mounts[parent] && !under(name, d.live.Mounts) {
			list = append(list, name)
		}
	}
	return list
}

func under(name string, dirs map[string]bool) bool {
	for ; name != "." && name != "/"; name = path.Dir(name) {
		if dirs[name] {
			return true
		}
	}
	return false
}

// whiteouts writes an archive as layers have it (OCI image specification,
// layer.md, "Whiteouts").
func whiteouts(gone []string) []byte {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, name := range gone {
		h := tar.Header{Typeflag: tar.TypeReg, Name: path.Join(path.Dir(name), ".wh."+path.Base(name)), Mode: 0o600, Format: tar.FormatPAX}
		if err := t.WriteHeader(&h); err != nil { // a name that no archive can hold came from one
			continue
		}
	}
	t.Close() // into memory
	return b.Bytes()
}
