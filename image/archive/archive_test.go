package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho"
	"sekisho/image"
	"sekisho/image/archive"
	"sekisho/internal/mkimage"
)

// saved is an archive of two images as docker save writes it.
func saved(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	one := mkimage.Image{Name: "one:1", Layers: []mkimage.Layer{{Dir: dir, By: "COPY a"}}}
	two := one
	two.Name, two.Arch = "two:1", "arm64"
	if err := mkimage.Docker(&b, one, two); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, data []byte, o archive.Options) (*image.Image, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "app.tar")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return archive.Open(context.Background(), name, o)
}

func TestChoose(t *testing.T) {
	data := saved(t)
	if _, err := open(t, data, archive.Options{}); sekisho.KindOf(err) != sekisho.Usage || !strings.Contains(err.Error(), "one:1, two:1") {
		t.Errorf("two images and no choice: %v", err)
	}
	img, err := open(t, data, archive.Options{Ref: "two:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if img.Platform.Architecture != "arm64" || img.Layers[0].CreatedBy != "COPY a" {
		t.Errorf("got %+v", img)
	}
	rc, err := img.Layers[0].Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(rc)
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(content)); err != nil || got != string(img.Layers[0].DiffID) {
		t.Errorf("the layer has diff id %s, want %s (%v)", got, img.Layers[0].DiffID, err)
	}
	if _, err := open(t, data, archive.Options{Ref: "three:1"}); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("a missing image: %v", err)
	}
}

func TestStream(t *testing.T) {
	img := archive.Stream(bytes.NewReader(saved(t)), archive.Options{Ref: "one:1"})
	seen := 0
	err := img.Stream(context.Background(), func(l image.Layer) error {
		seen++
		rc, err := l.Open(context.Background())
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, rc)
		return err
	})
	if err != nil || seen != 2 || len(img.Layers) != 1 || img.ID == "" {
		t.Errorf("%d layers seen, image %+v, %v", seen, img, err)
	}
}

// members writes a tar of names and contents.
func members(t testing.TB, list ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(list); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: list[i], Size: int64(len(list[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, list[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return b.Bytes()
}

// TestLies holds that manifests that lie are errors that say so.
func TestLies(t *testing.T) {
	hex := strings.Repeat("a", 64)
	config := `{"rootfs":{"diff_ids":["sha256:` + hex + `"]}}`
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no manifest":        {members(t, "etc/passwd", "x"), "not an image archive"},
		"no JSON":            {members(t, "manifest.json", "{"), "manifest.json"},
		"missing config":     {members(t, "manifest.json", `[{"Config":"c.json","Layers":[]}]`), "has no c.json"},
		"config's digest":    {members(t, "manifest.json", `[{"Config":"`+hex+`.json","Layers":["l"]}]`, hex+".json", config), "its content has digest"},
		"missing layer":      {members(t, "manifest.json", `[{"Config":"c.json","Layers":["../../etc/passwd"]}]`, "c.json", config), "has no ../../etc/passwd"},
		"count of layers":    {members(t, "manifest.json", `[{"Config":"c.json","Layers":[]}]`, "c.json", config), "0 layers"},
		"digest is a path":   {members(t, "index.json", `{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`), "digest"},
		"index of nothing":   {members(t, "index.json", `{}`), "no image"},
		"diff id is no such": {members(t, "manifest.json", `[{"Config":"c.json","Layers":["l"]}]`, "c.json", `{"rootfs":{"diff_ids":["x"]}}`, "l", ""), "diff_ids"},
	} {
		_, err := open(t, c.data, archive.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(saved(f))
	f.Add(members(f, "index.json", `{"manifests":[{"digest":"sha256:`+strings.Repeat("a", 64)+`"}]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(dir, "x.tar")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if img, err := archive.Open(context.Background(), name, archive.Options{}); err == nil {
			img.Close()
		}
		img := archive.Stream(bytes.NewReader(data), archive.Options{})
		_ = img.Stream(context.Background(), func(image.Layer) error { return nil })
	})
}
