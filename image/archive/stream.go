package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"

	"sekisho"
	"sekisho/image"
	"sekisho/image/oci"
)

// maxDocuments bounds all the small files of a pipe together, in bytes.
const maxDocuments = 64 << 20

// Stream opens an archive that can be read once, from front to end. Its layers
// are handed out as they come by; the image is complete when Stream returns.
func Stream(r io.Reader, o Options) *image.Image {
	img := &image.Image{Kind: image.KindImage, Reference: "archive:-"}
	img.Stream = func(ctx context.Context, visit func(image.Layer) error) error {
		s := &stream{documents: map[string][]byte{}, layers: map[string]bool{}}
		if err := s.read(ctx, r, visit); err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if err := s.finish(ctx, img, o); err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		return nil
	}
	return img
}

// stream is what is kept of a pipe: its small files.
type stream struct {
	documents map[string][]byte
	layers    map[string]bool // names that were handed out
	size      int
}

func (s *stream) read(ctx context.Context, r io.Reader, visit func(image.Layer) error) error {
	in, err := expand(r)
	if err != nil {
		return err
	}
	t := tar.NewReader(in)
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return sekisho.Errorf(sekisho.Corrupt, "archive: %w", err)
		}
		if n == maxMembers {
			return sekisho.Errorf(sekisho.Invalid, "more than %d members: not an image archive", maxMembers)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := s.member(clean(h.Name), h.Size, bufio.NewReaderSize(t, 1024), visit); err != nil {
			return err
		}
	}
}

func expand(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(4)
	switch {
	case !compressed(head):
		return b, nil
	case head[0] == 0x1f:
		return gzip.NewReader(b)
	}
	z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

// member keeps a document and hands out a layer.
func (s *stream) member(name string, size int64, in *bufio.Reader, visit func(image.Layer) error) error {
	if head, _ := in.Peek(600); isLayer(name, head) {
		l := image.Layer{Size: size, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(in), nil }}
		if hex, ok := strings.CutPrefix(name, "blobs/sha256/"); ok {
			l.Digest = sekisho.Digest("sha256:" + hex)
		}
		s.layers[name] = true
		return visit(l)
	}
	if size > oci.MaxDocument || s.size+int(size) > maxDocuments {
		return nil // what is needed and missing is missed later, by name
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	s.size += len(data)
	s.documents[name] = data
	return nil
}

// isLayer tells a layer from a document by its first bytes: gzip, zstd or a
// tar header.
func isLayer(name string, head []byte) bool {
	if path.Ext(name) == ".json" {
		return false
	}
	return compressed(head) || len(head) > 262 && string(head[257:262]) == "ustar" || path.Base(name) == "layer.tar"
}

// Open implements oci.Blobs over the documents.
func (s *stream) Open(_ context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	name := "blobs/" + strings.Replace(string(d.Digest), ":", "/", 1)
	data, ok := s.documents[name]
	if !ok {
		return nil, sekisho.Errorf(sekisho.NotFound, "the archive has no %s, or it is too large", name)
	}
	return io.NopCloser(strings.NewReader(string(data))), nil
}

// finish completes the image from the documents.
func (s *stream) finish(ctx context.Context, img *image.Image, o Options) error {
	if manifest, ok := s.documents["manifest.json"]; ok {
		e, err := choose(manifest, o.Ref)
		if err != nil {
			return err
		}
		raw, ok := s.documents[clean(e.Config)]
		if !ok {
			return sekisho.Errorf(sekisho.NotFound, "the archive has no %s", e.Config)
		}
		return fillEntry(img, e, raw)
	}
	data, ok := s.documents["index.json"]
	if !ok {
		return notImage()
	}
	var doc oci.Document
	if err := json.Unmarshal(data, &doc); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "index.json: %w", err)
	}
	d, err := oci.Choose(doc.Manifests, o.Ref)
	if err != nil {
		return err
	}
	whole, err := oci.Image(ctx, s, d, o.Platform)
	if err != nil {
		return err
	}
	img.Digest, img.ID, img.Platform, img.Platforms, img.Config, img.Layers = whole.Digest, whole.ID, whole.Platform, whole.Platforms, whole.Config, whole.Layers
	return nil
}

// configID is the digest of a configuration's bytes.
func configID(raw []byte) sekisho.Digest {
	sum := sha256.Sum256(raw)
	return sekisho.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// checkConfig holds a configuration to the digest in its name, where it has
// one: HEX.json or blobs/sha256/HEX.
func checkConfig(name string, raw []byte) error {
	claimed := sekisho.Digest("sha256:" + strings.TrimSuffix(path.Base(name), ".json"))
	if claimed.Validate() != nil {
		return nil
	}
	if id := configID(raw); id != claimed {
		return sekisho.Errorf(sekisho.Corrupt, "%s: its content has digest %s", name, id)
	}
	return nil
}
