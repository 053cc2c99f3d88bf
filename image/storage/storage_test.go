package storage_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho"
	"sekisho/image/storage"
)

const diff = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// kept makes a storage as CRI-O keeps it, with one image of one layer; replace
// changes its files.
func kept(t testing.TB, replace ...string) (root, id string) {
	t.Helper()
	root = t.TempDir()
	config := `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + diff + `"]},"history":[{"created_by":"ADD x"}]}`
	id = fmt.Sprintf("%x", sha256.Sum256([]byte(config)))
	r := strings.NewReplacer(replace...)
	for name, text := range map[string]string{
		"overlay-images/images.json": `[{"id":"` + id + `","digest":"sha256:` + strings.Repeat("2", 64) + `","names":["localhost/app:1.0"],"layer":"aa"}]`,
		"overlay-images/" + id + "/=" + base64.StdEncoding.EncodeToString([]byte("sha256:"+id)): config,
		"overlay-layers/layers.json": `[{"id":"aa","diff-digest":"` + diff + `"},{"id":"bb","parent":"aa"}]`,
		"overlay-containers/volatile-containers.json": `[{"id":"c1","names":["k8s_app_web_shop_u_0"],"image":"` + id + `","layer":"bb","metadata":"{\"image-name\":\"registry.example/app:1\",\"metadata-name\":\"app\"}"},
{"id":"c2","names":["podman"],"image":"` + id + `"},{"id":"c3","image":""},{"id":"c4","image":"` + strings.Repeat("9", 64) + `"}]`,
		"overlay/aa/diff/etc/os-release": "ID=x\n",
	} {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(r.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root, id
}

// TestOpen opens an image by each of its names.
func TestOpen(t *testing.T) {
	root, id := kept(t)
	o := storage.Options{Roots: []string{t.TempDir(), root}}
	for _, ref := range []string{"app:1.0", "localhost/app:1.0", id, "sha256:" + id, "sha256:" + strings.Repeat("2", 64)} {
		img, err := storage.Open(ref, o)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		if img.ID != sekisho.Digest("sha256:"+id) || img.Digest != sekisho.Digest("sha256:"+strings.Repeat("2", 64)) || img.Platform.String() != "linux/amd64" || len(img.Layers) != 1 {
			t.Fatalf("%s: %+v", ref, img)
		}
		if l := img.Layers[0]; l.Dir != filepath.Join(root, "overlay/aa/diff") || !l.Overlay || l.DiffID != diff || l.CreatedBy != "ADD x" {
			t.Errorf("%s: layer %+v", ref, l)
		}
	}
}

// TestIdentify names the images of containers.
func TestIdentify(t *testing.T) {
	root, id := kept(t)
	o := storage.Options{Roots: []string{root}}
	for container, want := range map[string]struct {
		reference, name, pod string
		digests              int
	}{"c1": {"registry.example/app:1", "app", "web", 2}, "c2": {"localhost/app:1.0", "podman", "", 2}, "c4": {"", "", "", 1}} {
		i, err := storage.Identify(container, o)
		if err != nil {
			t.Fatal(container, err)
		}
		if i.Reference != want.reference || i.Name != want.name || i.Pod != want.pod || len(i.Digests) != want.digests {
			t.Errorf("%s: %+v", container, i)
		}
	}
	if i, err := storage.Lookup(id, o); err != nil || len(i.Digests) != 2 {
		t.Errorf("%+v %v", i, err)
	}
	for _, container := range []string{"c3", "c9"} {
		if i, err := storage.Identify(container, o); sekisho.KindOf(err) != sekisho.NotFound || err == nil {
			t.Errorf("%s: %+v %v", container, i, err)
		}
	}
}

// TestRefused holds that what does not fit together is no image.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		replace []string
		want    string
	}{
		"another configuration": {[]string{`"os":"linux"`, `"os":"plan9"`}, "its content has digest"},
		"another layer":         {[]string{`"id":"aa","diff-digest":"sha256:1`, `"id":"aa","diff-digest":"sha256:3`}, "in its configuration"},
		"a layer too much":      {[]string{`"layer":"aa"`, `"layer":"bb"`}, "2 layers"},
		"no such layer":         {[]string{`"layer":"aa"`, `"layer":"cc"`}, "not in the storage"},
		"a circle":              {[]string{`{"id":"aa",`, `{"id":"aa","parent":"aa",`}, "not in the storage"},
		"a path":                {[]string{`"layer":"aa"`, `"layer":"../aa"`, `{"id":"aa"`, `{"id":"../aa"`}, "not in the storage"},
		"no JSON":               {[]string{`[{"id":"aa"`, `{{`}, "layers.json"},
	} {
		root, id := kept(t, c.replace...)
		if img, err := storage.Open(id, storage.Options{Roots: []string{root}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v %v, want %q", name, img, err, c.want)
		}
	}
	root, _ := kept(t)
	if _, err := storage.Open("other", storage.Options{Roots: []string{root}}); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("another name: %v", err)
	}
	if _, err := storage.Open("app:1.0", storage.Options{Roots: []string{root}, Platform: sekisho.Platform{OS: "linux", Architecture: "arm64"}}); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("another platform: %v", err)
	}
}

// FuzzFiles reads a storage's lists, whatever stands in them.
func FuzzFiles(f *testing.F) {
	root, id := kept(f)
	for _, kind := range []string{"images/images", "layers/layers", "containers/volatile-containers"} {
		data, err := os.ReadFile(filepath.Join(root, "overlay-"+kind+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	roots := map[string]string{}
	for _, kind := range []string{"images/images", "layers/layers", "containers/volatile-containers"} {
		roots[kind], _ = kept(f)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for kind, root := range roots {
			if err := os.WriteFile(filepath.Join(root, "overlay-"+kind+".json"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			o := storage.Options{Roots: []string{root}}
			if img, err := storage.Open(id, o); err == nil && !strings.HasPrefix(img.Layers[0].Dir, filepath.Join(root, "overlay")+"/") {
				t.Errorf("a layer at %s", img.Layers[0].Dir)
			}
			_, _ = storage.Identify("c1", o)
		}
	})
}
