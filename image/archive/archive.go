// Package archive opens image archives: what docker save writes (manifest.json
// with layer archives beside it) and tars of OCI layouts. A file is indexed by
// its headers and its layers are then read in parallel; a pipe is read once,
// from front to end.
package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"sekisho"
	"sekisho/image"
	"sekisho/image/oci"
)

// Options choose among several images and platforms.
type Options struct {
	Ref      string // tag, name or digest
	Platform sekisho.Platform
}

// Bounds of an archive's own structure.
const (
	maxMembers = 200_000
	maxLinks   = 8
)

// member is one file of the archive.
type member struct {
	offset, size int64
	link         string // of a symbolic or hard link
}

// entry is one image of manifest.json.
type entry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Open opens an archive on disk.
func Open(ctx context.Context, name string, o Options) (*image.Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.NotFound, "open archive: %w", err)
	}
	img, err := OpenFile(ctx, f, o)
	if err != nil {
		f.Close()
		return nil, err
	}
	if img.Done == nil {
		img.Done = f.Close
	}
	return img, nil
}

// OpenFile opens an archive that is open already. A file that is compressed as
// a whole can only be streamed.
func OpenFile(ctx context.Context, f *os.File, o Options) (*image.Image, error) {
	var head [4]byte
	if n, err := f.ReadAt(head[:], 0); err == nil || n == len(head) {
		if compressed(head[:]) {
			img := Stream(f, o)
			img.Reference = "archive:" + f.Name()
			return img, nil
		}
	}
	a, err := index(f)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Name(), err)
	}
	img, err := a.image(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Name(), err)
	}
	img.Reference = "archive:" + f.Name()
	return img, nil
}

func compressed(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

// contents are the members of an archive by name.
type contents struct {
	source  io.ReaderAt
	members map[string]member
}

// index reads the headers of an archive.
func index(f *os.File) (*contents, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a := &contents{source: f, members: map[string]member{}}
	in := io.NewSectionReader(f, 0, info.Size())
	r := tar.NewReader(in)
	for n := 0; ; n++ {
		h, err := r.Next()
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "not a tar archive: %w", err)
		}
		if n == maxMembers {
			return nil, sekisho.Errorf(sekisho.Invalid, "more than %d members: not an image archive", maxMembers).WithHint("unpack it and scan the directory: dir:DIR")
		}
		offset, err := in.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		name := clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			if h.Size > info.Size()-offset {
				return nil, sekisho.Errorf(sekisho.Corrupt, "%s says %d bytes, the archive ends before", h.Name, h.Size)
			}
			a.members[name] = member{offset: offset, size: h.Size}
		case tar.TypeSymlink:
			a.members[name] = member{link: clean(path.Join(path.Dir(name), h.Linkname))}
		case tar.TypeLink:
			a.members[name] = member{link: clean(h.Linkname)}
		}
	}
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// open returns a member's content, its links followed.
func (a *contents) open(name string) (*io.SectionReader, error) {
	at := clean(name)
	for range maxLinks {
		m, ok := a.members[at]
		if !ok {
			break
		}
		if m.link == "" {
			return io.NewSectionReader(a.source, m.offset, m.size), nil
		}
		at = m.link
	}
	return nil, sekisho.Errorf(sekisho.NotFound, "the archive has no %s", name)
}

// Open implements oci.Blobs.
func (a *contents) Open(_ context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, err
	}
	s, err := a.open("blobs/" + strings.Replace(string(d.Digest), ":", "/", 1))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(s), nil
}

func (a *contents) read(name string) ([]byte, error) {
	s, err := a.open(name)
	if err != nil {
		return nil, err
	}
	if s.Size() > oci.MaxDocument {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %d bytes, want at most %d", name, s.Size(), oci.MaxDocument)
	}
	return io.ReadAll(s)
}

func (a *contents) has(name string) bool { _, ok := a.members[name]; return ok }

// image reads whichever form the archive has.
func (a *contents) image(ctx context.Context, o Options) (*image.Image, error) {
	switch {
	case a.has("manifest.json"):
		data, err := a.read("manifest.json")
		if err != nil {
			return nil, err
		}
		return a.docker(data, o)
	case a.has("index.json"):
		data, err := a.read("index.json")
		if err != nil {
			return nil, err
		}
		var doc oci.Document
		if err := json.Unmarshal(data, &doc); err != nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "index.json: %w", err)
		}
		d, err := oci.Choose(doc.Manifests, o.Ref)
		if err != nil {
			return nil, err
		}
		return oci.Image(ctx, a, d, o.Platform)
	}
	return nil, notImage()
}

func notImage() error {
	return sekisho.Errorf(sekisho.Invalid, "neither manifest.json nor index.json in it: not an image archive").
		WithHint("docker save writes one; for a plain tar of files, unpack it and scan dir:DIR")
}

func (a *contents) docker(manifest []byte, o Options) (*image.Image, error) {
	e, err := choose(manifest, o.Ref)
	if err != nil {
		return nil, err
	}
	raw, err := a.read(e.Config)
	if err != nil {
		return nil, err
	}
	img, err := fromEntry(e, raw)
	if err != nil {
		return nil, err
	}
	for i, name := range e.Layers {
		s, err := a.open(name)
		if err != nil {
			return nil, err
		}
		img.Layers[i].Size = s.Size()
		img.Layers[i].Open = func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(s, 0, s.Size())), nil
		}
	}
	return img, nil
}

// choose picks an image of manifest.json.
func choose(manifest []byte, ref string) (entry, error) {
	var list []entry
	if err := json.Unmarshal(manifest, &list); err != nil {
		return entry{}, sekisho.Errorf(sekisho.Invalid, "manifest.json: %w", err)
	}
	var names []string
	var found []entry
	for _, e := range list {
		names = append(names, strings.Join(append(e.RepoTags, e.Config)[:1], ""))
		if ref == "" || matches(e, ref) {
			found = append(found, e)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(list) == 0:
		return entry{}, sekisho.Errorf(sekisho.NotFound, "the archive holds no image")
	case len(found) == 0:
		return entry{}, sekisho.Errorf(sekisho.NotFound, "no image %q; there are: %s", ref, strings.Join(names, ", "))
	}
	return entry{}, sekisho.Errorf(sekisho.Usage, "several images: %s", strings.Join(names, ", ")).WithHint("choose one: --image %s", names[0])
}

func matches(e entry, ref string) bool {
	if strings.Contains(e.Config, strings.TrimPrefix(ref, "sha256:")) && len(ref) >= 12 {
		return true
	}
	for _, t := range e.RepoTags {
		if t == ref || strings.HasSuffix(t, "/"+ref) || strings.HasSuffix(t, ":"+ref) || strings.TrimSuffix(t, ":latest") == ref {
			return true
		}
	}
	return false
}

// fromEntry makes an image of manifest.json's words; layers get Open later.
func fromEntry(e entry, raw []byte) (*image.Image, error) {
	img := &image.Image{Kind: image.KindImage}
	return img, fillEntry(img, e, raw)
}

func fillEntry(img *image.Image, e entry, raw []byte) error {
	config, err := image.ParseConfig(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Config, err)
	}
	ids := config.RootFS.DiffIDs
	if len(ids) != len(e.Layers) {
		return sekisho.Errorf(sekisho.Invalid, "manifest.json has %d layers, %s has %d", len(e.Layers), e.Config, len(ids))
	}
	if err := checkConfig(e.Config, raw); err != nil {
		return err
	}
	img.Config, img.Platform, img.ID = config, config.Platform(), configID(raw)
	by := config.Instructions()
	img.Layers = nil
	for i, id := range ids {
		l := image.Layer{DiffID: id, Size: -1}
		if i < len(by) {
			l.CreatedBy = by[i]
		}
		img.Layers = append(img.Layers, l)
	}
	return nil
}
