package golang

import (
	"bytes"
	"debug/buildinfo"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/analyze"
)

// read streams data in pieces of a size, as an engine would.
func read(t testing.TB, data []byte, piece int) analyze.Result {
	t.Helper()
	r := New()
	f := &analyze.File{Path: "bin/x", Mode: 0o755, Size: int64(len(data)), Head: data[:min(len(data), analyze.HeadSize)]}
	var out analyze.Result
	if r.Wants(f) != analyze.Stream {
		return out
	}
	s := r.(analyze.Streamer).Stream(f, &out)
	for len(data) > 0 {
		n := min(piece, len(data))
		if _, err := s.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// oracle gives what Go's own reader says, in our words.
func oracle(data []byte) (out analyze.Result, ok bool) {
	b, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return out, false
	}
	text := (&debug.BuildInfo{Path: b.Path, Main: b.Main, Deps: b.Deps, Settings: b.Settings}).String()
	info{b.GoVersion, text}.report(&out)
	return out, true
}

func compare(t *testing.T, data []byte) {
	t.Helper()
	want, ok := oracle(data)
	if !ok {
		t.Error("Go's own reader finds nothing")
	}
	for _, piece := range []int{len(data), 32 << 10, 777} {
		got := read(t, data, piece)
		got.Symbols = want.Symbols // tested on their own
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pieces of %d: (-Go's reader +ours)\n%s", piece, diff)
		}
	}
}

func load(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestProgramsOnThisMachine(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{self}
	if tool, err := exec.LookPath("go"); err == nil {
		paths = append(paths, tool)
	}
	for _, p := range paths {
		t.Run(filepath.Base(p), func(t *testing.T) { compare(t, load(t, p)) })
	}
}

// TestBuilt builds a program in the ways that change where the linker puts
// things, and wants what Go's own reader says.
func TestBuilt(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.com/hello\n\ngo 1.21\n\nrequire example.com/dep v1.2.3\n\nreplace example.com/dep => ./dep\n",
		"main.go": "package main\n\nimport \"example.com/dep\"\n\nvar version string\n\nfunc main() { println(dep.Hello, version) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "dep"), os.DirFS("testdata/dep")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, env, flags string }{
		{"plain", "GOOS=linux", ""},
		{"stripped", "GOOS=linux", "-ldflags=-s -w -buildid="},
		{"version", "GOOS=linux", "-ldflags=-X main.version=1.4.0"},
		{"windows", "GOOS=windows", ""},
		{"darwin", "GOOS=darwin", ""},
		{"32 bits, big end", "GOOS=linux GOARCH=mips", ""},
		{"64 bits, big end", "GOOS=linux GOARCH=s390x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			exe := filepath.Join(t.TempDir(), "exe")
			args := []string{"build", "-trimpath", "-o", exe}
			if c.flags != "" {
				args[1] = c.flags // -trimpath hides -ldflags
			}
			cmd := exec.Command("go", append(args, ".")...)
			cmd.Dir = dir
			cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off"), strings.Fields(c.env)...)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			data := load(t, exe)
			compare(t, data)
			main := devel
			if c.name == "version" {
				main = "v1.4.0"
			}
			want := []sekisho.Package{
				{Name: "stdlib", Version: goVersion(runtime.Version()), Type: "golang", PURL: "pkg:golang/stdlib@" + goVersion(runtime.Version()), Found: sekisho.Embedded},
				pkg("example.com/hello", main, sekisho.Embedded),
				{Name: "example.com/dep", Version: "(devel)", Type: "golang", PURL: "pkg:golang/example.com/dep", Found: sekisho.Embedded},
			}
			if diff := cmp.Diff(want, read(t, data, len(data)).Packages); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestOld reads the essence of a program of Go 1.17: pointers in the data
// segment to strings in read-only data.
func TestOld(t *testing.T) {
	data := load(t, "testdata/go1.17.elf")
	compare(t, data)
	got := read(t, data, len(data)).Packages
	if len(got) < 2 || got[0].Version != "1.17.13" {
		t.Errorf("got %v, want stdlib 1.17.13 and modules", got)
	}
}

func TestMainVersion(t *testing.T) {
	for _, c := range []struct{ flags, module, want string }{
		{`-s -w -X main.version=1.2.3`, "example.com/a", "v1.2.3"},
		{`"-X 'k8s.io/component-base/version.gitVersion=v1.29.0'"`, "k8s.io/kubernetes", "v1.29.0"},
		{`-X github.com/prometheus/common/version.Version=2.45.0`, "github.com/prometheus/prometheus", "v2.45.0"},
		{`-X github.com/other/lib.Version=2.45.0`, "github.com/prometheus/prometheus", ""},
		{`-X main.version=1.2.3 -X main.Version=1.2.4`, "example.com/a", ""},
		{`-X main.version=abcdef`, "example.com/a", ""},
		{``, "example.com/a", ""},
	} {
		if got := linked(c.flags, c.module); got != c.want {
			t.Errorf("linked(%q, %s) = %q, want %q", c.flags, c.module, got, c.want)
		}
	}
	commit := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}, {Key: "vcs.time", Value: "2024-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}}}
	if got, want := worktree(commit), "v0.0.0-20240102030405-0123456789ab+dirty"; got != want {
		t.Errorf("worktree = %q, want %q", got, want)
	}
}

func TestManifest(t *testing.T) {
	const text = `module example.com/app // comment

go 1.22.3

require golang.org/x/net v0.17.0
require (
	golang.org/x/text v0.13.0 // indirect
	"example.com/quoted" v1.0.0
	example.com/old v1.0.0
	example.com/here v1.0.0
	example.com/bad v0.1.0
)
exclude example.com/bad v0.1.0
replace (
	example.com/old v1.0.0 => example.com/new v2.0.0
	example.com/here => ../here
)
tool golang.org/x/tools/cmd/stringer
`
	var out analyze.Result
	if err := New().Analyze(&analyze.File{Path: "go.mod", Data: []byte(text)}, &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range out.Packages {
		got = append(got, p.Name+" "+p.Version+" "+p.PURL)
	}
	want := []string{
		"golang.org/x/net v0.17.0 pkg:golang/golang.org/x/net@v0.17.0",
		"golang.org/x/text v0.13.0 pkg:golang/golang.org/x/text@v0.13.0",
		"example.com/quoted v1.0.0 pkg:golang/example.com/quoted@v1.0.0",
		"example.com/new v2.0.0 pkg:golang/example.com/new@v2.0.0",
		"example.com/here (devel) pkg:golang/example.com/here",
		"stdlib 1.22.3 pkg:golang/stdlib@1.22.3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWants(t *testing.T) {
	elf := append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"), make([]byte, 100)...)
	object := append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"), make([]byte, 100)...)
	class := append([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x34"), make([]byte, 100)...)
	text := []byte("module example.com/a\n")
	for _, c := range []struct {
		path string
		mode os.FileMode
		head []byte
		want analyze.Want
	}{
		{"usr/bin/tool", 0o755, elf, analyze.Stream},
		{"usr/bin/setuid", 0o755 | os.ModeSetuid, elf, analyze.Stream},
		{"usr/lib/libplugin.so", 0o644, elf, analyze.Stream},
		{"usr/lib/module.ko", 0o644, object, analyze.Skip},
		{"app/A.class", 0o644, class, analyze.Skip},
		{"src/go.mod", 0o644, text, analyze.Whole},
		{"go.mod", 0o644, text, analyze.Whole},
		{"src/cargo.mod", 0o644, text, analyze.Skip},
		{"root/go/pkg/mod/example.com/a@v1.0.0/go.mod", 0o644, text, analyze.Skip},
		{"src/go.mod", 0o755 | os.ModeDir, text, analyze.Skip},
	} {
		f := &analyze.File{Path: c.path, Mode: c.mode, Size: 100_000, Head: c.head}
		if got := New().Wants(f); got != c.want {
			t.Errorf("Wants(%s) = %d, want %d", c.path, got, c.want)
		}
	}
	f, r := &analyze.File{Path: "usr/share/doc/x/copyright", Mode: 0o644, Size: 1000, Head: text}, New()
	if n := testing.AllocsPerRun(100, func() { r.Wants(f) }); n > 0 {
		t.Errorf("Wants allocates %v times", n)
	}
}

// FuzzExecutable wants no panic, the same answer for any pieces, and Go's own
// answer where Go's reader has one.
func FuzzExecutable(f *testing.F) {
	f.Add(load(f, "testdata/go1.17.elf"), 100)
	f.Add(load(f, "testdata/go1.26.elf"), 4097)
	for _, form := range []form{form12, form116, form118, form120} {
		f.Add(table(binary.LittleEndian, 64, form, "runtime.main", "net/http.(*Client).Do"), 61)
	}
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		if len(data) < minExecutable {
			data = append(data, make([]byte, minExecutable-len(data))...)
		}
		whole := read(t, data, len(data))
		if diff := cmp.Diff(whole, read(t, data, min(max(piece, 1), 1<<20))); diff != "" {
			t.Errorf("pieces differ: %s", diff)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("module a\nrequire (\n\tb v1\n)\nreplace b => c v2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out analyze.Result
		if err := manifest(data, &out); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkExecutable(b *testing.B) {
	tool, err := exec.LookPath("go")
	if err != nil {
		b.Skip("no go command")
	}
	if big := os.Getenv("BENCH_EXECUTABLE"); big != "" {
		tool = big
	}
	data := load(b, tool)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		read(b, data, 64<<10)
	}
}
