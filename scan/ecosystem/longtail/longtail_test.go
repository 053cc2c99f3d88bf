package longtail_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/longtail"
)

// show gives a file to the reader as a layer's reader does.
func show(t testing.TB, path, data string) (*analyze.Result, error) {
	t.Helper()
	f := &analyze.File{Path: path, Mode: 0o644, Size: int64(len(data)), Data: []byte(data)}
	if w := longtail.New().Wants(f); w != analyze.Whole {
		t.Fatalf("%s: Wants is %d", path, w)
	}
	var out analyze.Result
	err := longtail.New().Analyze(f, &out)
	return &out, err
}

// lines writes packages as URL, licence and marks.
func lines(list []sekisho.Package) []string {
	out := []string{}
	for _, p := range list {
		s := p.PURL
		if p.Licence != "" {
			s += " " + p.Licence
		}
		if p.Dev {
			s += " dev"
		}
		if p.Found == sekisho.Installed {
			s += " installed"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestForms(t *testing.T) {
	for _, c := range cases {
		t.Run(c.path, func(t *testing.T) {
			out, err := show(t, c.path, c.data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(c.want, "\n"), lines(out.Packages)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestBroken: what does not have the form of its name is a problem, nothing
// that panics or invents a package.
func TestBroken(t *testing.T) {
	for _, path := range []string{"composer.lock", "vendor/composer/installed.json", "a.deps.json", "packages.lock.json", "Package.resolved", "renv.lock", "conan.lock", "Podfile.lock", "pubspec.lock", "etc/cos-package-info.json"} {
		for _, data := range []string{"hello, world", "{\"packages\": [{\"name\":", "<html>"} {
			out, err := show(t, path, data)
			if err == nil && !strings.HasPrefix(data, "{") {
				t.Errorf("%s: no error for %q", path, data)
			}
			if len(out.Packages) > 0 {
				t.Errorf("%s: invented %v", path, out.Packages)
			}
		}
	}
}

func TestLarge(t *testing.T) {
	f := &analyze.File{Path: "app/composer.lock", Size: 33 << 20}
	if w := longtail.New().Wants(f); w != analyze.Header {
		t.Fatalf("Wants is %d", w)
	}
	if err := longtail.New().Analyze(f, new(analyze.Result)); err == nil {
		t.Error("a lock file of 33 MiB is no problem")
	}
}

func TestGentoo(t *testing.T) {
	const dir = "var/db/pkg/app-containers/skopeo-1.5.1-r1/"
	out, _ := show(t, dir+"PF", "skopeo-1.5.1-r1\n")
	if diff := cmp.Diff([]string{"pkg:portage/app-containers/skopeo@1.5.1-r1 installed"}, lines(out.Packages)); diff != "" {
		t.Error(diff)
	}
	out, _ = show(t, dir+"LICENSE", "Apache-2.0 BSD MIT\n")
	if diff := cmp.Diff([]analyze.Licensed{{Package: "portage:app-containers/skopeo", Licence: "Apache-2.0 AND BSD-3-Clause AND MIT"}}, out.Licences); diff != "" {
		t.Error(diff)
	}
	out, _ = show(t, dir+"CONTENTS", "dir /usr\nobj /usr/bin/sko peo 376c02bd3b22804df8fdfdc895e7dbfb 1649284374\nsym /usr/lib -> lib64 1649284374\n")
	if diff := cmp.Diff([]analyze.Owned{{Package: "portage:app-containers/skopeo", Paths: []string{"/usr/bin/sko peo", "/usr/lib"}}}, out.Owns); diff != "" {
		t.Error(diff)
	}
}

// TestNix: directories of the store are packages, one each.
func TestNix(t *testing.T) {
	const store = "nix/store/h0cnbmfcn93xm5dg2x27ixhag1cwndga-"
	var out analyze.Result
	for _, name := range []string{"glibc-2.34-210-bin", "perl-5.38.2", "python3.11-requests-2.31.0", "coreutils-9.5-doc", "hello-2.12.drv", "stdenv-linux", "bash-5.2p26/bin", "source"} {
		f := &analyze.File{Path: store + name, Mode: fs.ModeDir | 0o755}
		if longtail.New().Wants(f) == analyze.Header {
			if err := longtail.New().Analyze(f, &out); err != nil {
				t.Error(err)
			}
		}
	}
	const hash = "?hash=h0cnbmfcn93xm5dg2x27ixhag1cwndga"
	want := []string{"pkg:nix/coreutils@9.5" + hash + "&output=doc installed", "pkg:nix/glibc@2.34-210" + hash + "&output=bin installed", "pkg:nix/perl@5.38.2" + hash + " installed", "pkg:nix/python3.11-requests@2.31.0" + hash + " installed"}
	if diff := cmp.Diff(want, lines(out.Packages)); diff != "" {
		t.Error(diff)
	}
}

// TestSkipped: near misses that a layer is full of.
func TestSkipped(t *testing.T) {
	for _, path := range []string{"usr/lib/python3/a.json", "app/my-composer.lock", "usr/share/doc/status", "var/lib/dpkg/status", "app/DESCRIPTION", "var/db/pkg/a/b-1/SIZE", "x/meta/snap.yaml", "etc/packages.configs", "Applications/a.app", "nix/store/.links", "app/node_modules/a/composer.lock", "vendor/a/b/composer.lock"} {
		if w := longtail.New().Wants(&analyze.File{Path: path, Mode: 0o644}); w != analyze.Skip {
			t.Errorf("%s: Wants is %d", path, w)
		}
	}
}

func FuzzAnalyze(f *testing.F) {
	for i, c := range cases {
		f.Add(uint8(i), []byte(c.data))
	}
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		c := cases[int(i)%len(cases)]
		var out analyze.Result
		file := &analyze.File{Path: c.path, Mode: 0o644, Size: int64(len(data)), Data: data}
		_ = longtail.New().Analyze(file, &out)
		for _, p := range out.Packages {
			if p.Name == "" || p.Version == "" || !strings.HasPrefix(p.PURL, "pkg:"+p.Type+"/") {
				t.Fatalf("%+v", p)
			}
		}
	})
}

func BenchmarkWants(b *testing.B) {
	a := longtail.New()
	files := []*analyze.File{{Path: "usr/lib/python3/dist-packages/requests/__pycache__/models.cpython-311.pyc"}, {Path: "app/node_modules/lodash/package.json"},
		{Path: "usr/share/doc/libc6/copyright"}, {Path: "srv/composer.lock"}, {Path: "usr/lib/x86_64-linux-gnu", Mode: fs.ModeDir}, {Path: "usr/include/linux/net_tstamp.h"}}
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range files {
			a.Wants(f)
		}
	}
}

func BenchmarkAnalyze(b *testing.B) {
	var sb strings.Builder
	sb.WriteString(`{"packages":[`)
	for i := range 500 {
		if i > 0 {
			sb.WriteByte(',')
		}
		sb.WriteString(`{"name":"vendor/name","version":"v1.2.3","source":{"type":"git","url":"https://github.com/a/b.git","reference":"0123456789012345678901234567890123456789"},"require":{"php":">=7.2"},"license":["MIT"],"description":"some words about it, as long as they are most of the time in such a file","time":"2023-01-01T00:00:00+00:00"}`)
	}
	sb.WriteString(`]}`)
	f := &analyze.File{Path: "composer.lock", Size: int64(sb.Len()), Data: []byte(sb.String())}
	b.SetBytes(f.Size)
	b.ReportAllocs()
	for b.Loop() {
		if err := longtail.New().Analyze(f, new(analyze.Result)); err != nil {
			b.Fatal(err)
		}
	}
}
