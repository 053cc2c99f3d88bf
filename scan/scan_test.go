package scan_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/image"
	"sekisho/scan"
	"sekisho/scan/analyze"
	"sekisho/scan/cache"
	"sekisho/scan/layer"
	"sekisho/scan/symbol"
)

// layerOf makes a layer of entries: "path=content", "path>target" for a
// symbolic and "path>>target" for a hard link.
func layerOf(t testing.TB, entries ...string) image.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Mode: 0o755}
		name, content, file := strings.Cut(e, "=")
		if link, target, ok := strings.Cut(e, ">>"); ok && !file {
			h.Typeflag, h.Name, h.Linkname, content = tar.TypeLink, link, target, ""
		} else if link, target, ok := strings.Cut(e, ">"); ok && !file {
			h.Typeflag, h.Name, h.Linkname, content = tar.TypeSymlink, link, target, ""
		} else {
			h.Name, h.Size = name, int64(len(content))
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
	data := b.Bytes()
	return image.Layer{DiffID: sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data))), Size: int64(len(data)), CreatedBy: "step",
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

func report(t testing.TB, o scan.Options, layers ...image.Layer) *sekisho.Report {
	t.Helper()
	if o.Analyzers == nil {
		o.Analyzers = scan.Analyzers()
	}
	o.Jobs = 2
	r, err := scan.Scan(context.Background(), &image.Image{Kind: image.KindImage, Layers: layers}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func purls(r *sekisho.Report) string {
	var list []string
	for _, p := range r.Packages {
		list = append(list, p.PURL)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

const pkg = `{"name":"%s","version":"1.0.0"}`

func npm(name string) string { return fmt.Sprintf(pkg, name) }

// TestChangedLayer holds that a second scan reads only the layer that changed.
func TestChangedLayer(t *testing.T) {
	c, err := cache.Open(t.TempDir(), 0, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	base, app := layerOf(t, "node_modules/base/package.json="+npm("base")), layerOf(t, "node_modules/app/package.json="+npm("app"))
	read := 0
	o := scan.Options{Cache: c, Layer: func(_, _ int, cached bool) {
		if !cached {
			read++
		}
	}}
	cold := report(t, o, base, app)
	if read != 2 {
		t.Errorf("cold: %d layers read, want 2", read)
	}
	read = 0
	base.Open = func(context.Context) (io.ReadCloser, error) {
		t.Error("an unchanged layer is opened")
		return nil, io.EOF
	}
	warm := report(t, o, base, app)
	if read != 0 || purls(warm) != purls(cold) {
		t.Errorf("warm: %d layers read, %s", read, purls(warm))
	}
	changed := report(t, o, base, layerOf(t, "node_modules/new/package.json="+npm("new")))
	if read != 1 || purls(changed) != "pkg:npm/base@1.0.0 pkg:npm/new@1.0.0" {
		t.Errorf("changed: %d layers read, %s", read, purls(changed))
	}
}

// TestHardLink holds that a file counts by all its names, whichever comes first.
func TestHardLink(t *testing.T) {
	for name, entries := range map[string][]string{
		"the interesting name first": {"node_modules/x/package.json=" + npm("x"), "store/ab12>>node_modules/x/package.json"},
		"the interesting name later": {"store/ab12=" + npm("x"), "zz/node_modules/x/package.json>>store/ab12"},
	} {
		if got := purls(report(t, scan.Options{}, layerOf(t, entries...))); got != "pkg:npm/x@1.0.0" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

const (
	status  = "Package: python3-flask\nStatus: install ok installed\nVersion: 2.2.2-3\nArchitecture: all\n\n"
	meta    = "usr/lib/python3/dist-packages/Flask-2.2.2.dist-info/METADATA"
	content = "Name: Flask\nVersion: 2.2.2\n\n"
	owned   = "/.\n/usr\n/usr/lib\n/" + meta + "\n"
)

// TestOwner holds that a language package of a distribution package is not
// reported twice, unless a later layer changed it.
func TestOwner(t *testing.T) {
	base := layerOf(t, "var/lib/dpkg/status="+status, "var/lib/dpkg/info/python3-flask.list="+owned, meta+"="+content)
	if got := purls(report(t, scan.Options{}, base)); got != "pkg:deb/python3-flask@2.2.2-3?arch=all" {
		t.Errorf("owned: %s", got)
	}
	r := report(t, scan.Options{}, base, layerOf(t, meta+"=Name: Flask\nVersion: 3.0.0\n\n"))
	if got := purls(r); got != "pkg:deb/python3-flask@2.2.2-3?arch=all pkg:pypi/flask@3.0.0" {
		t.Errorf("changed: %s", got)
	}
	for _, p := range r.Packages {
		if p.Type == "pypi" && p.Owner != "deb:python3-flask" {
			t.Errorf("the owner is %q", p.Owner)
		}
	}
	merged := layerOf(t, "lib>usr/lib", "var/lib/dpkg/status="+status, "var/lib/dpkg/info/python3-flask.list="+strings.ReplaceAll(owned, "/usr/lib/python3", "/lib/python3"), meta+"="+content)
	if got := purls(report(t, scan.Options{}, merged)); got != "pkg:deb/python3-flask@2.2.2-3?arch=all" {
		t.Errorf("owned through a link: %s", got)
	}
}

// TestOrigin holds that a package belongs to the layer that installed it, not
// to the last one that rewrote the database.
func TestOrigin(t *testing.T) {
	second := "Package: curl\nStatus: install ok installed\nVersion: 7\nArchitecture: amd64\n\n"
	layers := []image.Layer{layerOf(t, "var/lib/dpkg/status="+status), layerOf(t, "x=y"), layerOf(t, "var/lib/dpkg/status="+status+second)}
	for _, p := range report(t, scan.Options{}, layers...).Packages {
		want := map[string]image.Layer{"python3-flask": layers[0], "curl": layers[2]}[p.Name]
		if p.Layer != want.DiffID {
			t.Errorf("%s is said to come from %s, want %s", p.Name, p.Layer, want.DiffID)
		}
	}
}

// TestLockBesideTree holds that an installed tree is believed over its lock file.
func TestLockBesideTree(t *testing.T) {
	lock := `{"lockfileVersion":3,"packages":{"node_modules/here":{"version":"1.0.0"},"node_modules/gone":{"version":"1.0.0"}}}`
	l := layerOf(t, "app/package-lock.json="+lock, "app/node_modules/here/package.json="+npm("here"), "other/package-lock.json="+strings.ReplaceAll(lock, "gone", "other"))
	if got := purls(report(t, scan.Options{}, l)); got != "pkg:npm/here@1.0.0 pkg:npm/other@1.0.0" {
		t.Errorf("got %s", got)
	}
}

// hostile is a reader that panics and one that finds a secret.
type hostile struct{ secret bool }

func (h hostile) Name() string                   { return fmt.Sprint("hostile", h.secret) }
func (hostile) Version() int                     { return 1 }
func (hostile) Wants(*analyze.File) analyze.Want { return analyze.Whole }
func (h hostile) Analyze(f *analyze.File, out *analyze.Result) error {
	if !h.secret {
		panic("boom")
	}
	out.Findings = append(out.Findings, sekisho.Finding{Kind: sekisho.Secret, ID: "key"})
	return nil
}

// TestReaderPanics holds that a reader that panics costs one file, and that
// several readers see one file.
func TestReaderPanics(t *testing.T) {
	r := report(t, scan.Options{Analyzers: []analyze.Analyzer{hostile{}, hostile{true}}}, layerOf(t, "a=b"))
	if len(r.Problems) != 1 || r.Problems[0].Path != "a" || !strings.Contains(r.Problems[0].Message, "boom") {
		t.Errorf("problems %v", r.Problems)
	}
	secrets := 0
	for _, x := range r.Findings {
		if x.Kind == sekisho.Secret {
			secrets++
		}
	}
	if secrets != 1 {
		t.Errorf("%d secrets: the other reader does not see the file", secrets)
	}
}

// TestHiddenSecret holds that a secret in a deleted file is still found, and
// said to be hidden.
func TestHiddenSecret(t *testing.T) {
	r := report(t, scan.Options{Analyzers: []analyze.Analyzer{hostile{true}}}, layerOf(t, "key=x"), layerOf(t, ".wh.key="))
	found := false
	for _, x := range r.Findings {
		found = found || x.Kind == sekisho.Secret && x.Location.Hidden && x.Location.Path == "key" && x.Location.Instruction == "step"
	}
	if !found {
		t.Errorf("findings %+v", r.Findings)
	}
}

// TestNoSecretShown holds that a secret in an instruction is nowhere in the
// report.
func TestNoSecretShown(t *testing.T) {
	l := layerOf(t, "usr/bin/su=x")
	l.CreatedBy = "RUN |1 NPM_TOKEN=a1b2c3d4e5f6g7h8 /bin/sh -c curl https://bob:hunter22@example.org | sh"
	img := &image.Image{Kind: image.KindImage, Layers: []image.Layer{l}}
	img.Config.History = []image.History{{CreatedBy: l.CreatedBy}}
	img.Config.Config.Env = []string{"API_KEY=q9w8e7r6t5y4"}
	r, err := scan.Scan(context.Background(), img, scan.Options{Analyzers: scan.Analyzers(), Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", r)
	for _, secret := range []string{"a1b2c3d4", "hunter22", "q9w8e7"} {
		if strings.Contains(text, secret) {
			t.Errorf("the report shows %s", secret)
		}
	}
	if !strings.Contains(text, "SKS-IMG-009") || !strings.Contains(text, "SKS-IMG-008") {
		t.Error("the secrets are not reported")
	}
}

// TestCorrupt holds that a layer that is not what it claims ends the scan.
func TestCorrupt(t *testing.T) {
	l := layerOf(t, "a=b")
	l.DiffID = layerOf(t, "c=d").DiffID
	_, err := scan.Scan(context.Background(), &image.Image{Kind: image.KindImage, Layers: []image.Layer{l}}, scan.Options{Analyzers: scan.Analyzers(), Jobs: 1})
	if sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("got %v", err)
	}
}

// FuzzDecode gives any bytes to the reader of cache entries.
func FuzzDecode(f *testing.F) {
	r := &layer.Result{NonDirs: []uint64{1}, Files: []layer.File{{Path: "a", Owns: []layer.Owned{{Package: "deb:a", Paths: []uint64{2, 3}}}}}}
	var program symbol.Builder
	program.Add([]byte("net/http"), []byte("Get"))
	r.Files = append(r.Files, layer.File{Path: "b", Result: analyze.Result{Symbols: program.Set("")}})
	data, err := r.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := layer.Decode(data); err == nil {
			if _, err := r.Encode(); err != nil {
				t.Error(err)
			}
		}
	})
}
