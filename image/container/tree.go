package container

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"sekisho"
	"sekisho/image"
	"sekisho/internal/inflate"
)

// maxEntries bounds the files of one layer and of a container.
const maxEntries = 5_000_000

// node is what is compared of a file.
type node struct {
	kind     fs.FileMode // of the type bits, those that can differ in a layer
	mode     fs.FileMode // permission, setuid, setgid, sticky
	uid, gid uint32
	size     int64
	hash     uint64 // of the content or the link's target, with the tree's seed
}

func describe(m fs.FileMode) node {
	return node{kind: m.Type(), mode: m & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)}
}

// layerTree is one layer's entries.
type layerTree struct {
	nodes map[string]node
	gone  map[string]bool // whiteouts
	clear map[string]bool // opaque directories
}

// tree gathers the layers of an image as they pass by.
type tree struct {
	seed   maphash.Seed
	layers map[sekisho.Digest]*layerTree // by diff id
}

func newTree() *tree {
	return &tree{seed: maphash.MakeSeed(), layers: map[sekisho.Digest]*layerTree{}}
}

func (t *tree) sum(s string) uint64 { return maphash.String(t.seed, s) }

func (t *tree) sumOf(r io.Reader) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(t.seed)
	_, err := io.Copy(&h, r)
	return h.Sum64(), err
}

// watch shows a layer to visit and reads it along: the bytes that visit reads,
// and the rest after it.
func (t *tree) watch(ctx context.Context, l image.Layer, visit func(image.Layer) error) error {
	r, w := io.Pipe()
	var wait sync.WaitGroup
	var failed error
	wait.Go(func() {
		failed = t.add(r)
		io.Copy(io.Discard, r) // whoever reads along must not wait
	})
	var source io.ReadCloser
	shown := l
	shown.Open = func(ctx context.Context) (io.ReadCloser, error) {
		in, err := l.Open(ctx)
		if err != nil || source != nil {
			return in, err
		}
		source = in
		return keepOpen{io.TeeReader(in, w)}, nil
	}
	err := visit(shown)
	if err == nil && source == nil {
		source, err = l.Open(ctx)
	}
	if err == nil {
		_, err = io.Copy(w, source)
	}
	w.CloseWithError(err)
	wait.Wait()
	if source != nil {
		err = errors.Join(err, source.Close())
	}
	if err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("compare with the image: %w", failed)
	}
	return nil
}

// keepOpen leaves closing to watch.
type keepOpen struct{ io.Reader }

func (keepOpen) Close() error { return nil }

// add reads one layer.
func (t *tree) add(r io.Reader) error {
	in, err := decompress(r)
	if err != nil {
		return err
	}
	h := sha256.New()
	in = io.TeeReader(in, h)
	l := &layerTree{nodes: map[string]node{}, gone: map[string]bool{}, clear: map[string]bool{}}
	a := tar.NewReader(in)
	for n := 0; ; n++ {
		e, err := a.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return sekisho.Errorf(sekisho.Corrupt, "read layer: %w", err)
		}
		if n == maxEntries {
			return sekisho.Errorf(sekisho.Invalid, "a layer has more than %d entries", maxEntries)
		}
		if err := l.entry(t, e, a); err != nil {
			return fmt.Errorf("read layer: %s: %w", e.Name, err)
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("read layer: %w", err)
	}
	t.layers[sekisho.Digest("sha256:"+hex.EncodeToString(h.Sum(nil)))] = l
	return nil
}

func digest(data []byte) sekisho.Digest {
	sum := sha256.Sum256(data)
	return sekisho.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func (l *layerTree) entry(t *tree, e *tar.Header, content io.Reader) error {
	name := clean(e.Name)
	base := path.Base(name)
	if base == ".wh..wh..opq" {
		l.clear[path.Dir(name)] = true
		return nil
	}
	if hidden, ok := strings.CutPrefix(base, ".wh."); ok && hidden != "" && !strings.HasPrefix(hidden, ".wh.") {
		l.gone[path.Join(path.Dir(name), hidden)] = true
		return nil
	}
	if name == "" {
		return nil
	}
	if e.Typeflag == tar.TypeLink { // another name of a file of this layer
		l.nodes[name] = l.nodes[clean(e.Linkname)]
		return nil
	}
	n := describe(e.FileInfo().Mode())
	n.uid, n.gid = uint32(e.Uid), uint32(e.Gid)
	switch n.kind {
	case 0:
		var err error
		n.size = e.Size
		if n.hash, err = t.sumOf(content); err != nil {
			return err
		}
	case fs.ModeSymlink:
		n.hash = t.sum(e.Linkname)
	}
	l.nodes[name] = n
	return nil
}

// merge lays the layers over one another, lowest first.
func (t *tree) merge(order []image.Layer) (map[string]node, error) {
	whole := map[string]node{}
	for i, x := range order {
		l := t.layers[x.DiffID]
		if l == nil {
			return nil, sekisho.Errorf(sekisho.Corrupt, "layer %d: the engine has no layer with diff id %s", i, x.DiffID)
		}
		for name := range whole {
			if l.hides(name) {
				delete(whole, name)
			}
		}
		for name, n := range l.nodes {
			whole[name] = n
		}
	}
	return whole, nil
}

// hides reports whether a lower layer's path is out of sight below this one.
func (l *layerTree) hides(name string) bool {
	if l.gone[name] || l.clear["."] {
		return true
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if l.gone[dir] || l.clear[dir] {
			return true
		}
		if n, ok := l.nodes[dir]; ok && n.kind != fs.ModeDir {
			return true
		}
	}
	return false
}

// decompress knows plain archives and gzip.
func decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(4) // a layer may be empty
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return inflate.NewReader(b), nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return nil, sekisho.Errorf(sekisho.Invalid, "a layer is compressed with zstd, which cannot be compared with a container's files")
	}
	return b, nil
}
