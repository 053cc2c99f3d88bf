// Package storage opens images that CRI-O, Podman and Buildah keep on this
// machine (containers/storage with its overlay driver), and tells from which
// image a container of theirs was made. It reads their files, bounded, asks no
// process and changes nothing; layers are read where they are unpacked.
package storage

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sekisho"
	"sekisho/image"
)

// Roots are where the storage is when nothing is said.
func Roots() []string { return []string{"/var/lib/containers/storage"} }

// maxFile bounds a file of the storage, in bytes.
const maxFile = 64 << 20

// maxLayers bounds the layers of an image.
const maxLayers = 1024

// Options say where the storage is.
type Options struct {
	Roots    []string // directories; those of Roots when empty. Images of one may stand on layers of another.
	Platform sekisho.Platform
}

func (o Options) roots() []string {
	if len(o.Roots) == 0 {
		return Roots()
	}
	return o.Roots
}

// Identity is which image a name or a container stands for.
type Identity struct {
	Reference string           // the image's name; empty when it has none
	Digests   []sekisho.Digest // of the manifest, the configuration
	Name      string           // of the container, as the engine has it
	Pod       string           // of Kubernetes
	Namespace string
}

// record is an image of images.json.
type record struct {
	ID     string         `json:"id"`
	Digest sekisho.Digest `json:"digest"`
	Names  []string       `json:"names"`
	Layer  string         `json:"layer"`
}

func (r *record) id() sekisho.Digest { return sekisho.Digest("sha256:" + r.ID) }

func (r *record) identity() *Identity {
	i := &Identity{}
	if len(r.Names) > 0 {
		i.Reference = r.Names[0]
	}
	for _, d := range []sekisho.Digest{r.Digest, r.id()} {
		if d.Validate() == nil {
			i.Digests = append(i.Digests, d)
		}
	}
	return i
}

// layer is one of layers.json.
type layer struct {
	ID     string         `json:"id"`
	Parent string         `json:"parent"`
	Diff   sekisho.Digest `json:"diff-digest"`
}

// container is one of containers.json.
type container struct {
	ID       string   `json:"id"`
	Names    []string `json:"names"`
	Image    string   `json:"image"`
	Metadata string   `json:"metadata"` // JSON of the engine's own
}

// list reads a list of the storage; a file that is not there is empty. Some
// entries stand in a second file, which does not outlive a start of the machine.
func list[T any](root, kind string) (all []T, err error) {
	for _, name := range []string{kind, "volatile-" + kind} {
		var some []T
		err := readJSON(filepath.Join(root, "overlay-"+kind, name+".json"), &some)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func readJSON(name string, v any) error {
	data, err := read(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return sekisho.Errorf(sekisho.Corrupt, "%s: %w", name, err)
	}
	return nil
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", name, maxFile)
	}
	return data, err
}

// plain tells whether a name from the storage's files is the name of a file
// below a directory of it.
func plain(id string) bool {
	return id != "" && len(id) <= 255 && strings.Trim(id, "0123456789abcdef") == ""
}

// find looks for an image by its name, its identity or the digest of its
// manifest.
func find(ref string, o Options) (*record, string, error) {
	for _, root := range o.roots() {
		all, err := list[record](root, "images")
		if err != nil {
			return nil, "", fmt.Errorf("images of %s: %w", root, err)
		}
		for i := range all {
			if r := &all[i]; plain(r.ID) && r.is(ref) {
				return r, root, nil
			}
		}
	}
	return nil, "", sekisho.Errorf(sekisho.NotFound, "no image %s in %s", ref, strings.Join(o.roots(), ", ")).WithHint("podman images or crictl images tell what there is; a name may begin with localhost/")
}

func (r *record) is(ref string) bool {
	if ref == r.ID || ref == string(r.id()) || ref == string(r.Digest) {
		return true
	}
	for _, n := range r.Names {
		if n == ref || n == ref+":latest" || n == "localhost/"+ref || n == "docker.io/library/"+ref || n == "docker.io/"+ref {
			return true
		}
	}
	return false
}

// Lookup finds out which image a name stands for now.
func Lookup(ref string, o Options) (*Identity, error) {
	r, _, err := find(ref, o)
	if err != nil {
		return nil, err
	}
	i := r.identity()
	i.Reference = ref
	return i, nil
}

// Identify finds out from which image a container was made. A container that is
// not here, or was made from no image, is NotFound.
func Identify(id string, o Options) (*Identity, error) {
	for _, root := range o.roots() {
		all, err := list[container](root, "containers")
		if err != nil {
			return nil, fmt.Errorf("containers of %s: %w", root, err)
		}
		n := slices.IndexFunc(all, func(c container) bool { return c.ID == id })
		if n < 0 {
			continue
		}
		return all[n].identity(o)
	}
	return nil, sekisho.Errorf(sekisho.NotFound, "no container %s in %s", id, strings.Join(o.roots(), ", "))
}

func (c *container) identity(o Options) (*Identity, error) {
	if !plain(c.Image) {
		return nil, sekisho.Errorf(sekisho.NotFound, "container %s was made from no image", c.ID)
	}
	r, _, err := find(c.Image, o)
	if err != nil { // removed by force; its identity is that of its configuration
		r = &record{ID: c.Image}
	}
	i := r.identity()
	var m struct {
		Image     string `json:"image-name"`
		Name      string `json:"metadata-name"`
		Namespace string `json:"namespace"`
	}
	if json.Unmarshal([]byte(c.Metadata), &m) == nil && m.Image != "" { // of CRI-O
		i.Reference, i.Name, i.Namespace = m.Image, m.Name, m.Namespace
	}
	if len(c.Names) > 0 {
		if p := strings.Split(c.Names[0], "_"); len(p) == 6 && p[0] == "k8s" { // k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT
			i.Name, i.Pod, i.Namespace = p[1], p[2], p[3]
		} else if i.Name == "" {
			i.Name = c.Names[0]
		}
	}
	return i, nil
}

// Open opens an image.
func Open(ref string, o Options) (*image.Image, error) {
	r, root, err := find(ref, o)
	if err != nil {
		return nil, err
	}
	raw, err := read(filepath.Join(root, "overlay-images", r.ID, "="+base64.StdEncoding.EncodeToString([]byte(r.id()))))
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", ref, err)
	}
	if sum(raw) != r.id() {
		return nil, sekisho.Errorf(sekisho.Corrupt, "configuration of %s: its content has digest %s, want %s", ref, sum(raw), r.id())
	}
	img := &image.Image{Kind: image.KindImage, Reference: "storage:" + ref, ID: r.id()}
	if r.Digest.Validate() == nil {
		img.Digest = r.Digest
	}
	if img.Config, err = image.ParseConfig(raw); err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", ref, err)
	}
	img.Platform = img.Config.Platform()
	if o.Platform != (sekisho.Platform{}) && !img.Platform.Matches(o.Platform) {
		return nil, sekisho.Errorf(sekisho.NotFound, "%s is for %s, not for %s", ref, img.Platform, o.Platform)
	}
	img.Layers, err = layers(r.Layer, img.Config, o)
	return img, err
}
