// Package image describes an image: its configuration, its layers, its
// digests. The rooms below open one source each (archive, layout, registry,
// daemon …) and return an *Image. Nothing is read from a layer before Open.
package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"

	"sekisho"
)

// Kinds of targets.
const (
	KindImage     = "image"
	KindContainer = "container"
	KindDirectory = "directory"

	KindRepository = "repository" // a git repository
)

// Image is a set of layers with a configuration. It does not change once it
// is open, but for one whose layers can only be streamed (see Stream).
type Image struct {
	Kind        string // KindImage, KindContainer, KindDirectory, KindRepository
	Reference   string // as the user named it, credentials removed
	Digest      sekisho.Digest
	ID          sekisho.Digest
	Also        []sekisho.Digest // further digests of the same image: of the index it was chosen from, of manifests that an engine remembers
	Platform    sekisho.Platform
	Platforms   []sekisho.Platform // what the index offered, empty without an index
	Config      Config
	Annotations map[string]string
	Layers      []Layer

	// Stream, when set, is the only way to the layers: the source is a pipe.
	// It hands each layer to visit in the order of the source; the layer can
	// be read until visit returns. Digest, ID, Config and Layers may be
	// incomplete until Stream has returned.
	Stream func(ctx context.Context, visit func(Layer) error) error

	// Origin, when set, tells of an entry which file it is a version of, the
	// commit that brought it, and whether the current state still has it.
	Origin func(ctx context.Context, entry string) (path, commit string, current bool)

	// Done releases the source; it may be nil.
	Done func() error
}

// Close releases the source of the image.
func (i *Image) Close() error {
	if i.Done == nil {
		return nil
	}
	return i.Done()
}

// Layer is one layer, lowest first in Image.Layers.
type Layer struct {
	DiffID    sekisho.Digest // of the uncompressed archive; empty where the source does not tell
	Digest    sekisho.Digest // of the stored blob; empty where the source does not tell
	MediaType string         // may be empty: the bytes tell
	Size      int64          // stored bytes, -1 when unknown
	CreatedBy string         // the instruction, from the image's history
	Writable  bool           // a container's own layer

	// Open returns the stored bytes, compressed or not. It may be called again
	// unless the layer comes from Image.Stream.
	Open func(context.Context) (io.ReadCloser, error)

	// Dir, instead of Open, is a directory on this machine that holds the
	// layer's files. Overlay says that it is an overlay file system's upper or
	// lower directory: whiteouts are character devices 0/0 and opaque
	// directories carry the xattr trusted.overlay.opaque.
	Dir     string
	Overlay bool

	// Leave, when set, tells of a path below Dir whether it is left out; of a
	// directory, with all below it.
	Leave func(path string, dir bool) bool
}

// Overlay lists the directories of an overlay file system, lowest first. A
// directory more than the image has layers, as Docker's "-init" that prepares
// /etc/hosts and the like, is counted with the image.
func Overlay(lower, upper string, base []Layer) (list []Layer) {
	dirs := strings.Split(lower, ":")
	for i := len(dirs) - 1; i >= 0; i-- {
		l := Layer{Dir: dirs[i], Overlay: true, Size: -1}
		if n := len(list); n < len(base) {
			l.DiffID, l.CreatedBy = base[n].DiffID, base[n].CreatedBy
		}
		list = append(list, l)
	}
	return append(list, Layer{Dir: upper, Overlay: true, Writable: true, Size: -1})
}

// ChainID names layers laid over one another: the ChainID of the OCI image
// specification (config.md, "Layer ChainID"). Of no layers it is empty.
func ChainID(ids []sekisho.Digest) string {
	out := ""
	for _, id := range ids {
		if out == "" {
			out = string(id)
			continue
		}
		sum := sha256.Sum256([]byte(out + " " + string(id)))
		out = "sha256:" + hex.EncodeToString(sum[:])
	}
	return out
}
