package rust

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho/scan/analyze"
)

const list = `{"packages":[
	{"name":"app","version":"0.1.0","source":"local","dependencies":[1],"root":true},
	{"name":"serde","version":"1.0.197","source":"crates.io"},
	{"name":"cc","version":"1.0.83","source":"crates.io","kind":"build"}]}`

func pack(text string) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.Bytes()
}

// elf lays out a program as linkers do: a mapped segment, then debugging
// information, the section, symbols, and the list of sections.
func elf(data []byte, debug, symbols int) []byte {
	names := "\x00.dep-v0\x00.shstrtab\x00"
	const mapped = 8192
	var b []byte
	off := mapped + debug
	namesAt := off + len(data) + symbols
	table := namesAt + len(names)
	le := binary.LittleEndian
	b = append(b, "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	b = le.AppendUint16(b, 3)
	b = le.AppendUint16(b, 62)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, 64)
	b = le.AppendUint64(b, uint64(table))
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 1, 64, 3, 2} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 1)
	b = le.AppendUint32(b, 5)
	for _, v := range []uint64{0, 0, 0, mapped, mapped, 4096} {
		b = le.AppendUint64(b, v)
	}
	b = append(b, make([]byte, off-len(b))...)
	b = append(b, data...)
	b = append(b, make([]byte, symbols)...)
	b = append(b, names...)
	section := func(name, kind uint32, off, size int) {
		b = le.AppendUint32(b, name)
		b = le.AppendUint32(b, kind)
		for _, v := range []uint64{0, 0, uint64(off), uint64(size), 0, 1, 0} {
			b = le.AppendUint64(b, v)
		}
	}
	section(0, 0, 0, 0)
	section(1, 1, off, len(data))
	section(9, 3, namesAt, len(names))
	return b
}

// pe is a Windows program with one section.
// mapped makes the one segment reach behind the section, as in programs of
// 2021.
func mapped(data []byte) []byte {
	binary.LittleEndian.PutUint64(data[64+32:], uint64(len(data))-1<<20)
	return data
}

func pe(data []byte) []byte {
	b := make([]byte, 1024)
	copy(b, "MZ")
	le := binary.LittleEndian
	le.PutUint32(b[0x3c:], 128)
	copy(b[128:], "PE\x00\x00")
	le.PutUint16(b[128+6:], 1)
	le.PutUint16(b[128+20:], 112)
	le.PutUint16(b[128+24:], 0x20b)
	s := b[128+24+112:]
	copy(s, ".dep-v0")
	le.PutUint32(s[8:], uint32(len(data)))
	le.PutUint32(s[12:], 0x1000)
	le.PutUint32(s[16:], uint32(len(data)))
	le.PutUint32(s[20:], 1024)
	return append(b, data...)
}

// macho is a macOS program with one section in one segment.
func macho(data []byte) []byte {
	b := make([]byte, 512)
	le := binary.LittleEndian
	for i, v := range []uint32{0xfeedfacf, 0x100000c, 0, 2, 1, 152, 0, 0, 0x19, 152} {
		le.PutUint32(b[4*i:], v)
	}
	copy(b[40:], "__DATA")
	le.PutUint64(b[32+40:], 512)
	le.PutUint64(b[32+48:], uint64(len(data)))
	le.PutUint32(b[32+64:], 1)
	copy(b[32+72:], ".dep-v0")
	le.PutUint64(b[32+72+40:], uint64(len(data)))
	le.PutUint32(b[32+72+48:], 512)
	return append(b, data...)
}

func read(t testing.TB, data []byte, piece int) (analyze.Result, error) {
	t.Helper()
	r := New()
	f := &analyze.File{Path: "bin/x", Mode: 0o755, Size: int64(len(data)), Head: data[:min(len(data), analyze.HeadSize)]}
	var out analyze.Result
	if r.Wants(f) != analyze.Stream {
		return out, nil
	}
	s := r.(analyze.Streamer).Stream(f, &out)
	for len(data) > 0 {
		n := min(piece, len(data))
		if _, err := s.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	return out, s.Close()
}

func TestExecutables(t *testing.T) {
	want := "pkg:cargo/app@0.1.0 pkg:cargo/serde@1.0.197 pkg:cargo/cc@1.0.83(dev)"
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"elf, stripped", elf(pack(list), 0, 0)},
		{"elf, symbols", elf(pack(list), 1000, 5<<20)},
		{"elf, much debugging information", elf(pack(list), 40<<20, 5<<20)},
		{"elf, much behind it", elf(pack(list), 100, 40<<20)},
		{"elf, mapped", mapped(elf(pack(list), 1000, 5<<20))},
		{"pe", pe(pack(list))},
		{"mach-o", macho(pack(list))},
	} {
		for _, piece := range []int{len(c.data), 64 << 10, 4095} {
			out, err := read(t, c.data, piece)
			var got []string
			for _, p := range out.Packages {
				s := p.PURL
				if p.Dev {
					s += "(dev)"
				}
				got = append(got, s)
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%s, pieces of %d: %v, %v", c.name, piece, got, err)
			}
		}
	}
}

func TestBroken(t *testing.T) {
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"no zlib", "section .dep-v0", elf([]byte("nonsense"), 0, 0)},
		{"bomb", "inflates to more", elf(pack(strings.Repeat(" ", maxText+1)), 0, 0)},
		{"no list", "section .dep-v0", elf(pack("[1"), 0, 0)},
		{"cut short", "section .dep-v0", elf(pack(list)[:40], 0, 0)},
	} {
		out, err := read(t, c.data, 4096)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(out.Packages) > 0 {
			t.Errorf("%s: %v, %v; want an error with %q", c.name, out.Packages, err, c.want)
		}
	}
	if out, err := read(t, elf(nil, 0, 0)[:8200], 4096); err != nil || !out.Empty() {
		t.Errorf("a truncated program: %v, %v; want nothing", out, err)
	}
}

func TestLock(t *testing.T) {
	const text = `# This file is automatically @generated by Cargo.
version = 3

[[package]]
name = "app"
version = "0.1.0"
dependencies = [
 "serde",
]

[[package]]
name = "serde"
version = "1.0.197"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "3fb1c873e1b9b056a4dc4c0c198b24c3ffa059243875552b2bd0933b1aee4ce2"

[metadata]
name = "none"
`
	var out analyze.Result
	if err := New().Analyze(&analyze.File{Path: "a/Cargo.lock", Data: []byte(text)}, &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range out.Packages {
		got = append(got, p.PURL)
	}
	if diff := cmp.Diff([]string{"pkg:cargo/serde@1.0.197"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func FuzzExecutable(f *testing.F) {
	f.Add(elf(pack(list), 100, 10), 100)
	f.Add(pe(pack(list)), 5000)
	f.Add(macho(pack(list)), 512)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		a, aerr := read(t, data, max(1, len(data)))
		b, berr := read(t, data, min(max(piece, 1), 1<<20))
		if diff := cmp.Diff(a, b); diff != "" || (aerr == nil) != (berr == nil) {
			t.Errorf("pieces differ: %s %v %v", diff, aerr, berr)
		}
	})
}

func FuzzLock(f *testing.F) {
	f.Add([]byte("[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"b\"\n"))
	f.Fuzz(func(_ *testing.T, data []byte) { lock(data, &analyze.Result{}) })
}

func BenchmarkExecutable(b *testing.B) {
	data := elf(pack(list), 60<<20, 1<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(b, data, 64<<10); err != nil {
			b.Fatal(err)
		}
	}
}
