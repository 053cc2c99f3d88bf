package content_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"sekisho"
	"sekisho/internal/siphash"
	"sekisho/scan/analyze"
	"sekisho/scan/content"
	"sekisho/scan/malware"
	"sekisho/scan/secret"
)

func analyzer(t testing.TB) *content.Analyzer {
	t.Helper()
	e, err := secret.New(siphash.Key{1})
	if err != nil {
		t.Fatal(err)
	}
	m, err := malware.New(malware.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := content.New(e, m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func look(t testing.TB, a *content.Analyzer, name string, data []byte) analyze.Result {
	t.Helper()
	var out analyze.Result
	if err := a.Analyze(&analyze.File{Path: name, Size: int64(len(data)), Data: data}, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// The secret and the virus that the tests plant, in pieces so that this file
// holds neither.
var (
	token = "AKIA" + "QYLPMN5HFIQR7BBB"
	eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR` + `-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
)

type file struct{ name, text string }

func tarball(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.text)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		m, err := w.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
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

func xzed(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// ar makes the archive that Debian packages are.
func ar(name string, data []byte) []byte {
	head := fmt.Sprintf("!<arch>\n%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(data))
	return append([]byte(head), data...)
}

func wide(text string, order int) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		if order == 0 {
			b = append(b, byte(u), byte(u>>8))
		} else {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return b
}

// TestEverywhere plants a secret and a virus in every kind of file and wants
// both, at the place where they are.
func TestEverywhere(t *testing.T) {
	a := analyzer(t)
	text := "a\nkey=" + token + "\n"
	inner := tarball(t, file{"etc/app.env", text}, file{"tmp/e.com", eicar})
	for _, c := range []struct {
		name, path string
		data       []byte
		line       int
		virus      bool
	}{
		{"a.env", "a.env", []byte(text), 2, false},
		{"wide.txt", "wide.txt", wide(text, 0), 2, false},
		{"wide-be.txt", "wide-be.txt", wide(text, 1), 2, false},
		{"min.js", "min.js", []byte(strings.Repeat("function a(b){return b+1};", 100_000) + `k="` + token + `";` + strings.Repeat("c(d);", 100_000)), 1, false},
		{"big.log", "big.log", []byte(strings.Repeat("2026-11-24 INFO request served in 12 ms\n", 1_000_000) + text), 1_000_002, false},
		{"a.tar", "a.tar!/etc/app.env", inner, 2, true},
		{"a.tar.gz", "a.tar.gz!/etc/app.env", gzipped(t, inner), 2, true},
		{"a.tar.xz", "a.tar.xz!/etc/app.env", xzed(t, inner), 2, true},
		{"a.tar.zst", "a.tar.zst!/etc/app.env", zstded(t, inner), 2, true},
		{"app.jar", "app.jar!/etc/app.env", zipped(t, file{"etc/app.env", text}, file{"e.com", eicar}), 2, true},
		{"nested.war", "nested.war!/lib/in.jar!/x.properties", zipped(t, file{"lib/in.jar", string(zipped(t, file{"x.properties", text}, file{"e.com", eicar}))}), 2, true},
		{"a.deb", "a.deb!/data.tar.gz!/etc/app.env", ar("data.tar.gz", gzipped(t, inner)), 2, true},
		{"program", "program", []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00" + token + "\x00\x00"), 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := look(t, a, c.name, c.data)
			var secrets, viruses int
			for _, x := range out.Findings {
				switch {
				case x.Kind == sekisho.Secret && x.ID == "aws-access-key-id" && x.Location.Path == c.path && x.Location.Line == c.line:
					secrets++
				case x.Kind == sekisho.Malware && x.ID == "SKS_EICAR_Test_File" && strings.HasSuffix(x.Location.Path, "e.com"):
					viruses++
				default:
					t.Errorf("unexpected: %+v", x)
				}
			}
			if secrets != 1 || (viruses == 1) != c.virus {
				t.Errorf("%d secrets, %d viruses; problems %v", secrets, viruses, out.Problems)
			}
		})
	}
}

// TestWhatIsNotReadIsSaid wants a word about everything that was not opened.
func TestWhatIsNotReadIsSaid(t *testing.T) {
	a := analyzer(t)
	deep := []byte("x")
	for range 8 {
		deep = zipped(t, file{"in.zip", string(deep)})
	}
	bomb := gzipped(t, bytes.Repeat([]byte{'a'}, 100<<20))
	cut := gzipped(t, []byte(strings.Repeat("some text ", 1000)))
	locked := zipped(t, file{"a", "secret"})
	locked[6] |= 1
	locked[bytes.LastIndex(locked, []byte("PK\x01\x02"))+8] |= 1
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"deep.zip", deep, "nested more than"},
		{"bomb.gz", bomb, "only its first"},
		{"cut.gz", cut[:len(cut)-12], "decompress"},
		{"cut.zip", zipped(t, file{"a", "b"})[:30], "zip"},
		{"locked.zip", locked, "encrypted"},
		{"a.7z", []byte("7z\xbc\xaf\x27\x1c\x00\x04 and more"), "not opened"},
		{"lies.a", []byte("!<arch>\n" + fmt.Sprintf("%-48s%-10s`\n", "x", "999999999") + "abc"), "size is wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := look(t, a, c.name, c.data)
			if !strings.Contains(strings.Join(out.Problems, "\n"), c.want) {
				t.Errorf("problems %q, want one with %q", out.Problems, c.want)
			}
		})
	}
}

// TestStream wants secrets of a file that is too large for memory, once each,
// with their lines.
func TestStream(t *testing.T) {
	a := analyzer(t)
	var out analyze.Result
	w := a.Stream(&analyze.File{Path: "huge.log", Size: 1 << 40}, &out)
	line := []byte("2026-11-24 INFO request served in 12 ms\n")
	block := bytes.Repeat(line, 2000)
	for i := range 300 {
		if i == 150 {
			if _, err := w.Write([]byte("key=" + token + "\n")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if len(out.Findings) != 1 || out.Findings[0].Location.Line != 300_001 {
		t.Errorf("got %+v", out.Findings)
	}
	if len(out.Problems) != 1 {
		t.Errorf("problems %q, want a word about malware", out.Problems)
	}
}

// TestArchiveTooLargeToHold wants the secrets and viruses in archives that pass
// by in pieces, as in those that are held.
func TestArchiveTooLargeToHold(t *testing.T) {
	a := analyzer(t)
	text := "a\nkey=" + token + "\n"
	inner := tarball(t, file{"x.bin", strings.Repeat("\x00\x01filler", 1<<20)}, file{"etc/app.env", text}, file{"tmp/e.com", eicar})
	for name, data := range map[string][]byte{
		"a.tar": inner, "a.tar.gz": gzipped(t, inner), "a.tar.xz": xzed(t, inner), "a.tar.zst": zstded(t, inner),
		"app.jar": zipped(t, file{"x.bin", strings.Repeat("\x00\x01filler", 1<<20)}, file{"etc/app.env", text}, file{"tmp/e.com", eicar}),
	} {
		var out analyze.Result
		w := a.Stream(&analyze.File{Path: name, Size: analyze.MaxWhole + 1, Head: data[:analyze.HeadSize]}, &out)
		for piece := range slices.Chunk(data, 1000) {
			if _, err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, x := range out.Findings {
			got[x.ID+" "+x.Location.Path]++
		}
		if len(got) != 2 || got["aws-access-key-id "+name+"!/etc/app.env"] != 1 || got["SKS_EICAR_Test_File "+name+"!/tmp/e.com"] != 1 || len(out.Problems) > 0 {
			t.Errorf("%s: %v, problems %q", name, got, out.Problems)
		}
	}
}

// FuzzStream wants an end for anything that passes by.
func FuzzStream(f *testing.F) {
	a := analyzer(f)
	for _, data := range [][]byte{zipped(f, file{"a", "b"}, file{"c/d", token}), gzipped(f, tarball(f, file{"x", eicar})), xzed(f, []byte("abc")), zstded(f, []byte("abc")), []byte(token)} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var out analyze.Result
		w := a.Stream(&analyze.File{Path: "x", Size: analyze.MaxWhole + 1, Head: data[:min(len(data), analyze.HeadSize)]}, &out)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		w.Close()
	})
}

func FuzzAnalyze(f *testing.F) {
	a := analyzer(f)
	for _, data := range [][]byte{zipped(f, file{"a", "b"}, file{"c/d", token}), gzipped(f, tarball(f, file{"x", eicar})), xzed(f, []byte("abc")), zstded(f, []byte("abc")), ar("x", []byte("abc")), wide("key="+token, 0)} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { look(t, a, "x", data) })
}

func BenchmarkText(b *testing.B) {
	a := analyzer(b)
	data := []byte(strings.Repeat("func (s *Server) handle(w http.ResponseWriter, r *http.Request) {\n\tkey := r.URL.Query().Get(\"key\")\n\ttoken, err := s.store.Lookup(r.Context(), key)\n\tif err != nil {\n\t\treturn\n\t}\n}\n", 5000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		look(b, a, "server.go", data)
	}
}
