package zipstream_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"sekisho/internal/zipstream"
)

type file struct {
	name, text string
	method     uint16
	raw        bool // sizes in front, as programs write that can seek
}

func archive(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: f.method}
		create := w.CreateHeader
		if f.raw {
			h.UncompressedSize64, h.CompressedSize64 = uint64(len(f.text)), uint64(len(f.text))
			create = w.CreateRaw
		}
		m, err := create(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(m, f.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMembers wants the members that archive/zip wrote, whether they are read,
// skipped or read in part.
func TestMembers(t *testing.T) {
	files := []file{{"a.txt", strings.Repeat("a text ", 10_000), zip.Deflate, false}, {"dir/", "", zip.Store, true}, {"b.jar", "PK\x03\x04 stored", zip.Store, true},
		{"empty", "", zip.Deflate, false}, {"c/d", "x", zip.Deflate, false}}
	data := append([]byte("#!/bin/sh\nexec java -jar $0\n"), archive(t, files...)...)
	for _, limit := range []int64{1 << 20, 100, 0} {
		r := zipstream.New(bytes.NewReader(data))
		for _, f := range files {
			m, err := r.Next()
			if err != nil || m.Name != f.name {
				t.Fatalf("limit %d: %v, %v; want %s", limit, m, err, f.name)
			}
			got, err := io.ReadAll(io.LimitReader(r, limit))
			if want := f.text[:min(int64(len(f.text)), limit)]; err != nil || string(got) != want {
				t.Fatalf("limit %d: %s: %d bytes, %v; want %d", limit, f.name, len(got), err, len(want))
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Fatalf("after the last: %v", err)
		}
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	good := archive(t, file{"a", "stored bytes", zip.Store, true}, file{"b", strings.Repeat("b", 999), zip.Deflate, false})
	locked := bytes.Clone(good)
	locked[6] |= 1
	method := bytes.Clone(good)
	method[8] = 99
	longer := bytes.Clone(good)
	longer[18]++
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no zip": {[]byte(strings.Repeat("text ", 100)), "not a zip"}, "empty": {nil, "not a zip"}, "cut": {good[:len(good)/3], "EOF"}, "encrypted": {locked, "encrypted"},
		"method": {method, "unknown method"}, "too long": {longer, "does not begin"}, "stored without a size": {archive(t, file{"a", "abc", zip.Store, false}), "nothing tells"},
	} {
		r := zipstream.New(bytes.NewReader(c.data))
		var list []error
		for {
			_, err := r.Next()
			if err == io.EOF {
				break
			}
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				list = append(list, err)
				continue
			}
			list = append(list, err)
			break
		}
		if err := errors.Join(list...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzReader wants an end for anything.
func FuzzReader(f *testing.F) {
	f.Add(archive(f, file{"a", "stored bytes", zip.Store, true}, file{"b", strings.Repeat("b", 999), zip.Deflate, false}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := zipstream.New(bytes.NewReader(data))
		for {
			if _, err := r.Next(); err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20)); err != nil && r.Expanded() < 0 {
				t.Fatal(err)
			}
			if r.Expanded() > 64<<20 {
				return
			}
		}
	})
}
