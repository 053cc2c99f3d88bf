package container

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho/image"
)

// layer packs entries: "name content", "name/ " for a directory, "name>target"
// for a link, "name=other" for a further name.
func layer(t testing.TB, zip bool, entries ...string) image.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		name, content, _ := strings.Cut(e, " ")
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)), Uid: os.Getuid(), Gid: os.Getgid()}
		if n, target, ok := strings.Cut(name, ">"); ok {
			h.Name, h.Typeflag, h.Linkname, h.Mode = n, tar.TypeSymlink, target, 0o777
		} else if n, target, ok := strings.Cut(name, "="); ok {
			h.Name, h.Typeflag, h.Linkname = n, tar.TypeLink, target
		} else if strings.HasSuffix(name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	id, data := digest(b.Bytes()), b.Bytes()
	if zip {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(data)
		w.Close()
		data = z.Bytes()
	}
	return image.Layer{DiffID: id, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// unpacked is the base image below as an engine unpacks it.
func unpacked(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"etc", "app/lib", "data"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
		for p := filepath.Join(dir, name); p != dir; p = filepath.Dir(p) {
			must(t, os.Chmod(p, 0o755))
		}
	}
	for name, content := range map[string]string{"etc/passwd": "root", "etc/copy": "root", "app/main": "one", "app/lib/a": "aaa", "app/lib/b": "bbb", "data/x": "xxx"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
		must(t, os.Chmod(filepath.Join(dir, name), 0o644))
	}
	must(t, os.Symlink("passwd", filepath.Join(dir, "etc/link")))
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// day is a time that no file of the test has.
var day = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// TestOver changes a container's files in every way and wants just that told.
func TestOver(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(at func(string) string) error
		mounts string
		want   []string // "-" is gone, "+" differs
	}{
		{"nothing", func(func(string) string) error { return nil }, "", nil},
		{"new file", func(at func(string) string) error { return os.WriteFile(at("app/new"), nil, 0o644) }, "", []string{"+app/new"}},
		{"same size, other content", func(at func(string) string) error { return os.WriteFile(at("app/main"), []byte("two"), 0o644) }, "", []string{"+app/main"}},
		{"mode", func(at func(string) string) error { return os.Chmod(at("app/main"), 0o755|fs.ModeSetuid) }, "", []string{"+app/main"}},
		{"mode of a directory", func(at func(string) string) error { return os.Chmod(at("app/lib"), 0o777) }, "", []string{"+app/lib"}},
		{"times only", func(at func(string) string) error { return os.Chtimes(at("app/main"), day, day) }, "", nil},
		{"removed", func(at func(string) string) error { return os.Remove(at("etc/passwd")) }, "", []string{"-etc/passwd"}},
		{"directory removed", func(at func(string) string) error { return os.RemoveAll(at("app")) }, "", []string{"-app"}},
		{"link elsewhere", func(at func(string) string) error {
			os.Remove(at("etc/link"))
			return os.Symlink("shadow", at("etc/link"))
		}, "", []string{"+etc/link"}},
		{"link in the place of a directory", func(at func(string) string) error {
			os.RemoveAll(at("app/lib"))
			return os.Symlink("/etc", at("app/lib"))
		}, "", []string{"-app/lib/a", "-app/lib/b", "+app/lib"}},
		{"below a mount", func(at func(string) string) error {
			os.Remove(at("data/x"))
			return os.WriteFile(at("data/volume"), nil, 0o644)
		}, "data", nil},
		{"a file is a mount", func(at func(string) string) error { return os.WriteFile(at("etc/passwd"), []byte("host"), 0o600) }, "etc/passwd", nil},
		{"looks like a whiteout", func(at func(string) string) error { return os.WriteFile(at("app/.wh.main"), nil, 0o644) }, "", []string{"+app/.wh.main"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := unpacked(t)
			must(t, c.do(func(name string) string { return filepath.Join(dir, name) }))
			base := &image.Image{Layers: []image.Layer{
				layer(t, true, "./etc/ ", "./etc/passwd root", "etc/copy=etc/passwd", "etc/link>passwd", "app/ ", "app/main zero", "app/old x", "tmp/ ", "tmp/x y", "data/ ", "data/x xxx"),
				layer(t, false, "app/.wh.old ", ".wh.tmp ", "app/main one", "app/lib/ ", "app/lib/a aaa", "app/lib/b bbb")}}
			img := &image.Image{}
			Over(img, base, Live{Root: dir, Mounts: map[string]bool{c.mounts: true}})
			shown := 0
			must(t, img.Stream(t.Context(), func(l image.Layer) error { shown++; return nil }))
			if shown != len(img.Layers) {
				t.Errorf("%d layers shown of %d", shown, len(img.Layers))
			}
			if diff := cmp.Diff(c.want, told(t, dir, img.Layers[2:])); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// told lists what the upper layers say.
func told(t *testing.T, dir string, layers []image.Layer) (list []string) {
	t.Helper()
	for _, l := range layers {
		if !l.Writable {
			t.Error("a layer of the container is not marked")
		}
		if l.Dir == "" {
			rc, err := l.Open(t.Context())
			must(t, err)
			for r := tar.NewReader(rc); ; {
				h, err := r.Next()
				if err == io.EOF {
					break
				}
				must(t, err)
				list = append(list, "-"+strings.Replace(h.Name, ".wh.", "", 1))
			}
			continue
		}
		reached := map[string]bool{}
		must(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
			if name == "." || err != nil {
				return err
			}
			if l.Leave(name, e.IsDir()) {
				return skip(e)
			}
			reached[name] = true
			return nil
		}))
		for name := range reached { // directories are passed on the way
			if !slices.ContainsFunc(keys(reached), func(other string) bool { return strings.HasPrefix(other, name+"/") }) {
				list = append(list, "+"+name)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b string) int {
		if a[0] != b[0] {
			return int(b[0]) - int(a[0])
		}
		return strings.Compare(a, b)
	})
	return list
}

func keys(m map[string]bool) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

// TestFind refuses a process that is of no container, as that of an engine on
// another machine would be.
func TestFind(t *testing.T) {
	if _, err := os.Stat("/proc/self/mountinfo"); err != nil {
		t.Skip("no /proc")
	}
	if _, err := Find(os.Getpid(), strings.Repeat("c0ffee", 10)); err == nil || !strings.Contains(err.Error(), "not of the container") {
		t.Errorf("error %v", err)
	}
}

func TestMount(t *testing.T) {
	p := Process{Live: Live{Mounts: map[string]bool{}}}
	for _, line := range []string{
		`900 800 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=4/fs:/run/a\040b/3/fs,upperdir=/run/snapshots/5/fs,workdir=/run/snapshots/5/work`,
		`901 900 0:51 / /proc rw - proc proc rw`,
		`902 900 8:1 /v /var/my\040volume rw - ext4 /dev/sda1 rw`,
		`nothing`,
	} {
		p.mount(line)
	}
	if p.Upper != "/run/snapshots/5/fs" || p.Lower != "/run/snapshots/4/fs:/run/a b/3/fs" {
		t.Errorf("upper %q, lower %q", p.Upper, p.Lower)
	}
	if diff := cmp.Diff(map[string]bool{"proc": true, "var/my volume": true}, p.Mounts); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func FuzzAdd(f *testing.F) {
	for _, zip := range []bool{false, true} {
		rc, _ := layer(f, zip, "a/ ", "a/b content", "c>d", "e=a/b", "a/.wh.x ", ".wh..wh..opq ").Open(f.Context())
		data, _ := io.ReadAll(rc)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree := newTree()
		if tree.add(bytes.NewReader(data)) != nil {
			return
		}
		for id := range tree.layers {
			if _, err := tree.merge([]image.Layer{{DiffID: id}, {DiffID: id}}); err != nil {
				t.Error(err)
			}
		}
	})
}
