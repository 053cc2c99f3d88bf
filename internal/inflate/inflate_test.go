package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	kp "github.com/klauspost/compress/gzip"

	"sekisho/internal/inflate"
)

func pack(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
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

func samples() map[string][]byte {
	noise := make([]byte, 700_000)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(source.Uint32())
	}
	mixed := append(bytes.Repeat([]byte("abcdefgh"), 50_000), noise...)
	skewed := make([]byte, 500_000)
	for i := range skewed {
		skewed[i] = byte(source.ExpFloat64() * 9)
	}
	return map[string][]byte{"empty": {}, "one": {7}, "noise": noise, "runs": make([]byte, 1_000_000), "text": []byte(strings.Repeat("the quick brown fox ", 40_000)), "mixed": mixed, "skewed": skewed}
}

// slowly hands out a few bytes at a time.
type slowly struct{ io.Reader }

func (s slowly) Read(b []byte) (int, error) { return s.Reader.Read(b[:min(len(b), 7)]) }

func TestReader(t *testing.T) {
	for name, data := range samples() {
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, 1, 6, 9} {
			z := pack(t, data, level)
			two := append(bytes.Clone(z), z...)
			for _, src := range []io.Reader{bytes.NewReader(z), slowly{bytes.NewReader(z)}} {
				if got, err := io.ReadAll(inflate.NewReader(src)); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s, level %d: %d bytes, want %d: %v", name, level, len(got), len(data), err)
				}
			}
			if got, err := io.ReadAll(inflate.NewReader(bytes.NewReader(two))); err != nil || len(got) != 2*len(data) {
				t.Errorf("%s twice, level %d: %d bytes: %v", name, level, len(got), err)
			}
			for _, cut := range []int{1, 5, 12, len(z) / 2, len(z) - 1} {
				if _, err := io.ReadAll(inflate.NewReader(bytes.NewReader(z[:min(cut, len(z)-1)]))); err == nil {
					t.Errorf("%s, level %d: cut at %d is whole", name, level, cut)
				}
			}
			z[len(z)-6] ^= 1
			if _, err := io.ReadAll(inflate.NewReader(bytes.NewReader(z))); err == nil {
				t.Errorf("%s: a wrong checksum passes", name)
			}
		}
	}
}

// FuzzReader holds us to compress/gzip: the same bytes, or both an error.
func FuzzReader(f *testing.F) {
	for _, data := range samples() {
		f.Add(pack(f, data[:min(len(data), 3000)], 6))
		f.Add(pack(f, data[:min(len(data), 3000)], 1))
	}
	f.Fuzz(func(t *testing.T, z []byte) {
		got, err := io.ReadAll(io.LimitReader(inflate.NewReader(bytes.NewReader(z)), 4<<20))
		var want []byte
		r, fail := gzip.NewReader(bytes.NewReader(z))
		if fail == nil {
			want, fail = io.ReadAll(io.LimitReader(r, 4<<20))
		}
		if fail == nil && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%d bytes and %v, want %d", len(got), err, len(want))
		}
		if fail != nil && fail != gzip.ErrHeader && err == nil && len(z) > 0 { // names longer than Go allows are fine
			t.Errorf("%d bytes, want the error %v", len(got), fail)
		}
	})
}

func sample(b *testing.B) (plain int, z []byte) {
	b.Helper()
	var out bytes.Buffer
	root := os.DirFS("/usr/lib")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && out.Len() < 64<<20 {
			if data, err := fs.ReadFile(root, name); err == nil {
				out.Write(data)
			}
		}
		return nil
	})
	if err != nil || out.Len() == 0 {
		b.Fatal("no data: ", err)
	}
	return out.Len(), pack(b, out.Bytes(), 6)
}

func run(b *testing.B, open func(io.Reader) (io.Reader, error)) {
	plain, z := sample(b)
	b.SetBytes(int64(plain))
	buf := make([]byte, 256<<10)
	for b.Loop() {
		r, err := open(bytes.NewReader(z))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	run(b, func(r io.Reader) (io.Reader, error) { return inflate.NewReader(r), nil })
}

func BenchmarkKlauspost(b *testing.B) {
	run(b, func(r io.Reader) (io.Reader, error) { return kp.NewReader(r) })
}

func BenchmarkStandard(b *testing.B) {
	run(b, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
}

// TestRaw reads bare DEFLATE data, twice with one reader.
func TestRaw(t *testing.T) {
	r := inflate.NewRaw(nil)
	for i, text := range []string{strings.Repeat("the quick brown fox ", 50_000), "", "short"} {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, 6)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r.Reset(&b)
		got, err := io.ReadAll(r)
		if err != nil || string(got) != text {
			t.Fatalf("%d: %d bytes, error %v; want %d bytes", i, len(got), err, len(text))
		}
	}
	r.Reset(strings.NewReader("\x05\x00 cut"))
	if _, err := io.ReadAll(r); err == nil {
		t.Fatal("damaged data: want an error")
	}
}
