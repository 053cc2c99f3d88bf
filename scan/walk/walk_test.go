package walk_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sekisho"
	"sekisho/image"
	"sekisho/scan/walk"
)

// layer is a layer of these bytes.
func layer(data []byte) image.Layer {
	return image.Layer{Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

type member struct {
	tar.Header
	content string
}

func archive(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := m.Header
		h.Size = int64(len(m.content))
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, content string) member { return member{tar.Header{Name: name}, content} }

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// list walks and writes each entry on a line, with the content of files.
func list(l image.Layer, o walk.Options) (lines []string, s walk.Summary, err error) {
	s, err = walk.Layer(context.Background(), l, o, func(e *walk.Entry, c *walk.Content) error {
		line := fmt.Sprintf("%c %s", "fdlhcwo"[e.Type], e.Path)
		if e.Link != "" {
			line += " > " + e.Link
		}
		if e.Type == walk.Regular {
			head := string(c.Peek(3))
			data, err := io.ReadAll(c)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(string(data), head) {
				return errors.New("a peek consumed bytes")
			}
			if len(data) > 40 {
				data = fmt.Appendf(nil, "%d bytes", len(data))
			}
			line += " " + string(data)
		}
		lines = append(lines, line)
		return nil
	})
	return lines, s, err
}

func TestForms(t *testing.T) {
	long := strings.Repeat("d/", 100) + "file"
	big := strings.Repeat("0123456789", 70_000)
	plain := archive(t, member{tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}, ""}, file("./etc/a", "one"), file(long, "two"),
		file("big", big), member{tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../x"}, ""},
		member{tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "./etc/a"}, ""}, file("etc/.wh.gone", ""), file("opt/.wh..wh..opq", ""),
		file(".wh..wh.plnk/1.2", ""), file(".wh..wh.aufs", ""), file("日本語", "three"))
	want := []string{"d etc", "f etc/a one", "f " + long + " two", "f big 700000 bytes", "l l > ../x", "h h > etc/a", "w etc/gone", "o opt", "f .wh..wh.plnk/1.2 ", "f 日本語 three"}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	half := len(plain) / 2
	for name, data := range map[string][]byte{"plain": plain, "gzip": zip(t, plain), "two gzip members": append(zip(t, plain[:half]), zip(t, plain[half:])...),
		"zstd": z.EncodeAll(plain, nil), "two zstd frames": append(z.EncodeAll(plain[:half], nil), z.EncodeAll(plain[half:], nil)...)} {
		got, s, err := list(layer(data), walk.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
		if d := sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(plain))); s.DiffID != d || s.Size != int64(len(plain)) {
			t.Errorf("%s: diff id %s of %d bytes, want %s of %d", name, s.DiffID, s.Size, d, len(plain))
		}
	}
}

// TestSHA512 wants digests of the other algorithm checked as well, and layers
// that have them read.
func TestSHA512(t *testing.T) {
	plain := archive(t, file("a", "one"))
	packed := zip(t, plain)
	of := func(data []byte) sekisho.Digest { return sekisho.Digest(fmt.Sprintf("sha512:%x", sha512.Sum512(data))) }
	for _, c := range []struct {
		name         string
		data         []byte
		diff, digest sekisho.Digest
		want         string
	}{
		{"both", packed, of(plain), of(packed), ""}, {"only the digest", packed, "", of(packed), ""}, {"uncompressed", plain, sekisho.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(plain))), of(plain), ""},
		{"wrong diff id", packed, of(packed), "", "has diff id sha512:"}, {"wrong digest", packed, "", of(plain), "has digest sha512:"},
	} {
		l := layer(c.data)
		l.DiffID, l.Digest = c.diff, c.digest
		_, s, err := list(l, walk.Options{})
		if c.want == "" && (err != nil || c.diff != "" && s.DiffID != c.diff) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %s, %v, want %q", c.name, s.DiffID, err, c.want)
		}
	}
}

func TestPaths(t *testing.T) {
	var problems []string
	got, _, err := list(layer(archive(t, file("../../etc/passwd", ""), file("/etc/shadow", ""), file("a/../b", ""), file("a//c/./d", ""))),
		walk.Options{Problem: func(path, _ string) { problems = append(problems, path) }})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"f etc/passwd ", "f etc/shadow ", "f b ", "f a/c/d "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := []string{"etc/passwd"}; !slices.Equal(problems, want) {
		t.Errorf("problems at %q, want %q", problems, want)
	}
}

// TestHostile holds that what is broken or out of bounds is an error that
// names it, and that nobody is left running.
func TestHostile(t *testing.T) {
	good := archive(t, file("a", strings.Repeat("x", 100_000)), file("b", "y"))
	before := runtime.NumGoroutine()
	bomb := zip(t, archive(t, file("zeros", string(make([]byte, 80<<20)))))
	negative := bytes.Clone(archive(t, file("neg", "x")))
	copy(negative[124:136], "-0000000001\x00")
	fix(negative)
	huge := bytes.Clone(archive(t, file("huge", "x")))
	copy(huge[124:136], []byte{0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	fix(huge)
	for _, c := range []struct {
		name, want string
		layer      image.Layer
		limits     walk.Limits
		kind       sekisho.Kind
	}{
		{"truncated gzip", "read layer", layer(zip(t, good)[:60]), walk.Limits{}, sekisho.Corrupt},
		{"truncated tar", "middle of a", layer(good[:50_000]), walk.Limits{}, sekisho.Corrupt},
		{"truncated header", "middle of a header", layer(good[:101_000]), walk.Limits{}, sekisho.Corrupt},
		{"damaged header", "checksum", layer(append(bytes.Clone(good[:100_864]), bytes.Repeat([]byte("z"), 512)...)), walk.Limits{}, sekisho.Corrupt},
		{"not an archive", "neither gzip, zstd nor tar", layer([]byte("hello")), walk.Limits{}, sekisho.Invalid},
		{"negative size", "is not a number from 0", layer(negative), walk.Limits{}, sekisho.Corrupt},
		{"lying size", "middle of huge", layer(huge), walk.Limits{}, sekisho.Corrupt},
		{"too many entries", "more than 1 entries, at b", layer(good), walk.Limits{Entries: 1}, sekisho.Invalid},
		{"too many bytes", "more than 1000 bytes", layer(good), walk.Limits{Bytes: 1000}, sekisho.Invalid},
		{"bomb", "expand to more than", layer(bomb), walk.Limits{Ratio: 100}, sekisho.Invalid},
		{"wrong diff id", "its content has diff id", image.Layer{DiffID: sekisho.Digest("sha256:" + strings.Repeat("0", 64)), Open: layer(good).Open}, walk.Limits{}, sekisho.Corrupt},
		{"wrong digest", "its content has digest", image.Layer{Digest: sekisho.Digest("sha256:" + strings.Repeat("0", 64)), Open: layer(zip(t, good)).Open}, walk.Limits{}, sekisho.Corrupt},
		{"huge name", "extended header of", layer(archive(t, file(strings.Repeat("n", 5000), ""))), walk.Limits{Header: 4096}, sekisho.Invalid},
	} {
		_, _, err := list(c.layer, walk.Options{Limits: c.limits})
		if err == nil || !strings.Contains(err.Error(), c.want) || sekisho.KindOf(err) != c.kind {
			t.Errorf("%s: error %v (kind %d), want %q (kind %d)", c.name, err, sekisho.KindOf(err), c.want, c.kind)
		}
	}
	stop := errors.New("enough")
	if _, err := walk.Layer(context.Background(), layer(zip(t, good)), walk.Options{}, func(*walk.Entry, *walk.Content) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the visitor's error is lost: %v", err)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// fix makes the checksum of the first header right again.
func fix(data []byte) {
	copy(data[148:156], "        ")
	sum := 0
	for _, b := range data[:512] {
		sum += int(b)
	}
	copy(data[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe() // a source that does not answer
	defer w.Close()
	l := image.Layer{Open: func(context.Context) (io.ReadCloser, error) { cancel(); return r, nil }}
	if _, err := walk.Layer(ctx, l, walk.Options{}, func(*walk.Entry, *walk.Content) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
}

func TestDirectory(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("b/file", "inside")
	write("a", "first")
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"b/out": outside, "c": filepath.Join(outside, "secret"), "loop": "."} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got, s, err := list(image.Layer{Dir: dir}, walk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"f a first", "d b", "f b/file inside", "l b/out > " + outside, "l c > " + filepath.Join(outside, "secret"), "l loop > ."}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if s.DiffID != "" {
		t.Error("a directory has no diff id")
	}
}

// FuzzTar holds our reader to archive/tar: what both read must be the same.
func FuzzTar(f *testing.F) {
	f.Add(archive(f, file("a", "x"), file(strings.Repeat("n", 300), "y")))
	f.Add(archive(f, member{tar.Header{Name: "s", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("l", 200)}, ""}))
	f.Add(archive(f, member{tar.Header{Name: "g", Format: tar.FormatGNU, Uid: 1 << 40}, "z"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 512 || len(data) > 1<<20 {
			return
		}
		var got []string
		_, err := walk.Layer(context.Background(), layer(data), walk.Options{}, func(e *walk.Entry, c *walk.Content) error {
			b, err := io.ReadAll(c)
			if err == nil && int64(len(b)) != e.Size {
				t.Errorf("%s: %d bytes, header says %d", e.Path, len(b), e.Size)
			}
			if strings.HasPrefix(e.Path, "/") || strings.HasPrefix(e.Path+"/", "../") || strings.Contains(e.Path, "/../") {
				t.Errorf("path %q leaves the root", e.Path)
			}
			got = append(got, fmt.Sprint(e.Path, e.Size))
			return err
		})
		if err != nil {
			return
		}
		r := tar.NewReader(bytes.NewReader(data))
		for i := 0; ; i++ {
			h, err := r.Next()
			if err != nil {
				return
			}
			if strings.Contains(h.Name, ".wh.") || strings.Contains(h.Name, ".") || h.Typeflag != tar.TypeReg || h.Format == tar.FormatUnknown {
				return // told apart on purpose
			}
			name := strings.Trim(h.Name, "/")
			if i >= len(got) || !strings.Contains(name, "//") && len(h.PAXRecords) == 0 && got[i] != fmt.Sprint(name, h.Size) {
				t.Errorf("entry %d: archive/tar reads %q of %d bytes, we %q", i, h.Name, h.Size, got[min(i, len(got)):])
				return
			}
		}
	})
}

// BenchmarkLayer walks a real layer; BenchmarkStandard does the same with the
// standard library, one after another.
func BenchmarkLayer(b *testing.B) {
	data := sample(b)
	b.SetBytes(int64(len(data.plain)))
	for b.Loop() {
		if _, err := walk.Layer(context.Background(), layer(data.zipped), walk.Options{}, func(*walk.Entry, *walk.Content) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStandard(b *testing.B) {
	data := sample(b)
	b.SetBytes(int64(len(data.plain)))
	for b.Loop() {
		z, err := gzip.NewReader(bytes.NewReader(data.zipped))
		if err != nil {
			b.Fatal(err)
		}
		h := sha256.New()
		r := tar.NewReader(io.TeeReader(z, h))
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

type sampled struct{ plain, zipped []byte }

// sample is a tar of this project's files, repeated to 64 MiB.
func sample(b *testing.B) sampled {
	b.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	root := os.DirFS("../..")
	add := func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || out.Len() > 64<<20 {
			return err
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}
	for out.Len() < 64<<20 {
		if err := fs.WalkDir(root, ".", add); err != nil {
			b.Fatal(err)
		}
	}
	w.Close()
	return sampled{out.Bytes(), zip(b, out.Bytes())}
}
