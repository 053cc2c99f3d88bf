// Package mkimage makes images for tests: layers from directories, written as
// docker save writes them or as an OCI layout. The bytes depend on the input
// only.
package mkimage

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// Layer is one layer.
type Layer struct {
	Dir         string // its files; .wh. names are whiteouts
	Compression string // "", "gzip" or "zstd"
	By          string // the instruction
}

// Image is what is to be made.
type Image struct {
	Name   string // tag
	Arch   string // empty means amd64
	Run    map[string]any
	Layers []Layer
}

type blob struct {
	digest string
	data   []byte
}

func newBlob(data []byte) blob { return blob{fmt.Sprintf("%x", sha256.Sum256(data)), data} }

// built is an image as blobs.
type built struct {
	config, manifest blob
	layers           []blob
	arch             string
}

func build(img Image) (built, error) {
	b := built{arch: img.Arch}
	if b.arch == "" {
		b.arch = "amd64"
	}
	var diffs []string
	var descriptors, history []map[string]any
	for _, l := range img.Layers {
		plain, err := archive(l.Dir)
		if err != nil {
			return b, err
		}
		diffs = append(diffs, "sha256:"+newBlob(plain).digest)
		packed, suffix, err := compress(plain, l.Compression)
		if err != nil {
			return b, err
		}
		x := newBlob(packed)
		b.layers = append(b.layers, x)
		descriptors = append(descriptors, map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar" + suffix, "digest": "sha256:" + x.digest, "size": len(packed)})
		history = append(history, map[string]any{"created_by": l.By})
	}
	config, err := json.Marshal(map[string]any{"architecture": b.arch, "os": "linux", "config": img.Run,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs}, "history": history})
	if err != nil {
		return b, err
	}
	b.config = newBlob(config)
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + b.config.digest, "size": len(config)}, "layers": descriptors})
	b.manifest = newBlob(manifest)
	return b, err
}

func compress(plain []byte, how string) (data []byte, suffix string, err error) {
	var out bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "":
		return plain, "", nil
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		if w, err = zstd.NewWriter(&out); err != nil {
			return nil, "", err
		}
	default:
		return nil, "", fmt.Errorf("compression %q", how)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, "", err
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return out.Bytes(), "+" + how, nil
}

// archive makes a tar of a directory.
func archive(dir string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(name); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		*h = tar.Header{Typeflag: h.Typeflag, Name: filepath.ToSlash(rel), Linkname: link, Mode: h.Mode, Size: h.Size, Format: tar.FormatPAX}
		if info.IsDir() {
			h.Name += "/"
		}
		if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// Docker writes images in docker save's old form: manifest.json at the end,
// layers before it.
func Docker(w io.Writer, images ...Image) error {
	t := tar.NewWriter(w)
	var list []map[string]any
	for _, img := range images {
		b, err := build(img)
		if err != nil {
			return err
		}
		var names []string
		for i, l := range b.layers {
			name := fmt.Sprintf("%x/layer.tar", sha256.Sum256(fmt.Appendf(nil, "%s %d", l.digest, i)))
			names = append(names, name)
			if err := put(t, name, l.data); err != nil {
				return err
			}
		}
		if err := put(t, b.config.digest+".json", b.config.data); err != nil {
			return err
		}
		list = append(list, map[string]any{"Config": b.config.digest + ".json", "RepoTags": []string{img.Name}, "Layers": names})
	}
	manifest, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := put(t, "manifest.json", manifest); err != nil {
		return err
	}
	return t.Close()
}

func put(t *tar.Writer, name string, data []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644}); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}

// Layout writes an OCI layout into a directory. Images of one name become one
// index of several platforms.
func Layout(dir string, images ...Image) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	write := func(b blob) error { return os.WriteFile(filepath.Join(blobs, b.digest), b.data, 0o644) }
	byName := map[string][]map[string]any{}
	var names []string
	for _, img := range images {
		b, err := build(img)
		if err != nil {
			return err
		}
		for _, x := range append(b.layers, b.config, b.manifest) {
			if err := write(x); err != nil {
				return err
			}
		}
		if byName[img.Name] == nil {
			names = append(names, img.Name)
		}
		byName[img.Name] = append(byName[img.Name], map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + b.manifest.digest,
			"size": len(b.manifest.data), "platform": map[string]any{"os": "linux", "architecture": b.arch}})
	}
	var top []map[string]any
	for _, name := range names {
		d := byName[name][0]
		if len(byName[name]) > 1 {
			data, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": byName[name]})
			if err != nil {
				return err
			}
			x := newBlob(data)
			if err := write(x); err != nil {
				return err
			}
			d = map[string]any{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + x.digest, "size": len(data)}
		}
		d["annotations"] = map[string]string{"org.opencontainers.image.ref.name": name}
		top = append(top, d)
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": top})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}
