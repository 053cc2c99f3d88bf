package golang

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/scan/symbol"
)

func has(t *testing.T, s symbol.Set, want bool, names ...string) {
	t.Helper()
	for _, n := range names {
		pkg, name, method := strings.Cut(n, " ")
		if got := method && s.Has(pkg, name) || !method && s.HasPackage(pkg); got != want {
			t.Errorf("the set has %q: %v, want %v", n, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name      string
		form      form
		pkg, want string
	}{
		{"fmt.Println", form120, "fmt", "Println"},
		{"net/http.(*Client).Do", form120, "net/http", "Client.Do"},
		{"net/http.(*Client).do.func2", form120, "net/http", "Client.do"},
		{"net/http.Header.Get", form120, "net/http", "Header.Get"},
		{"main.main.func1.gowrap2", form120, "main", "main"},
		{"main.glob..func1", form120, "main", "glob"},
		{"main.init.0", form120, "main", "init"},
		{"gopkg.in/yaml%2ev2.(*decoder).unmarshal", form116, "gopkg.in/yaml.v2", "decoder.unmarshal"},
		{"example.com/a.(*Tree[...]).Walk", form120, "example.com/a", "Tree.Walk"},
		{"example.com/a.Map[go.shape.struct { net/url.x int },go.shape.int].func1", form118, "example.com/a", "Map"},
		{"example.com/a.(*T).M-fm", form120, "example.com/a", "T.M"},
		{"vendor/golang.org/x/net/idna.New", form120, "vendor/golang.org/x/net/idna", "New"},
		{"cmd/vendor/golang.org/x/mod/semver.Compare", form120, "cmd/vendor/golang.org/x/mod/semver", "Compare"},
		{"github.com/docker/docker/vendor/golang.org/x/net/http2.(*Framer).ReadFrame", form116, "golang.org/x/net/http2", "Framer.ReadFrame"},
		{"go.uber.org/zap.New", form116, "go.uber.org/zap", "New"},
		{"go.uber.org/zap.New", form120, "go.uber.org/zap", "New"},
		{"type..eq.net/http.x", form116, "", ""},
		{"type:.eq.net/http.x", form120, "", ""},
		{"go.buildid", form116, "", ""},
		{"go:buildid", form120, "", ""},
		{"_cgo_init", form120, "", ""},
		{"", form120, "", ""},
	} {
		var x splitter
		path, name := x.split([]byte(c.name), c.form)
		if pkg := string(importPath(path)); pkg != c.pkg || string(name) != c.want {
			t.Errorf("%s is %q %q, want %q %q", c.name, pkg, name, c.pkg, c.want)
		}
	}
}

// byteOrder is binary.BigEndian or binary.LittleEndian.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// table makes an ELF file with a table of one form and its names.
func table(order byteOrder, bits int, f form, names ...string) []byte {
	text := []byte(strings.Join(names, "\x00") + "\x00")
	ptr := bits / 8
	word := func(b []byte, n uint64) []byte {
		if ptr == 4 {
			return order.AppendUint32(b, uint32(n))
		}
		return order.AppendUint64(b, n)
	}
	magic := map[form]uint32{form12: 0xfffffffb, form116: 0xfffffffa, form118: 0xfffffff0, form120: 0xfffffff1}[f]
	tab := append(order.AppendUint32(nil, magic), 0, 0, 1, byte(ptr))
	if f == form12 {
		first := (8 + 4*ptr + 4 + ptr - 1) &^ (ptr - 1)
		for _, n := range []int{1, 0x1000, first, 0x2000} {
			tab = word(tab, uint64(n))
		}
		tab = append(tab, make([]byte, first+16-len(tab))...)
	} else {
		n := 7
		if f >= form118 {
			n = 8
		}
		head := (8+n*ptr+31)&^31 + 32
		words := []uint64{3, 1, uint64(head), uint64(head + len(text)), uint64(head + len(text)), uint64(head + len(text)), uint64(head + len(text))}
		if n == 8 {
			words = append(words[:2:2], append([]uint64{0x1000}, words[2:]...)...)
		}
		for _, w := range words {
			tab = word(tab, w)
		}
		tab = append(tab, make([]byte, head-len(tab))...)
	}
	tab = append(tab, text...)

	sample, err := os.ReadFile("testdata/go1.26.elf")
	if err != nil {
		panic(err)
	}
	head := make([]byte, 4096)
	copy(head, "\x7fELF")
	head[4], head[5], head[6] = byte(bits/32), 1, 1
	if order == byteOrder(binary.BigEndian) {
		head[5] = 2
	}
	order.PutUint16(head[16:], 2)
	blob := sample[bytes.Index(sample, []byte(mark)):]
	blob = blob[:min(len(blob), 16<<10)]
	size := uint64(len(tab)+15) &^ 15
	segment := func(at int, flags uint32, off, n uint64) {
		order.PutUint32(head[at:], 1)
		if bits == 64 {
			order.PutUint32(head[at+4:], flags)
			for i, v := range []uint64{off, off, off, n, n, 1} {
				order.PutUint64(head[at+8+8*i:], v)
			}
			return
		}
		for i, v := range []uint64{off, off, off, n, n, uint64(flags), 1} {
			order.PutUint32(head[at+4+4*i:], uint32(v))
		}
	}
	if bits == 64 {
		order.PutUint64(head[32:], 64)
		order.PutUint16(head[54:], 56)
		order.PutUint16(head[56:], 2)
		segment(64, 4, 4096, size)
		segment(64+56, 6, 4096+size, uint64(len(blob)))
	} else {
		order.PutUint32(head[28:], 64)
		order.PutUint16(head[42:], 32)
		order.PutUint16(head[44:], 2)
		segment(64, 4, 4096, size)
		segment(64+32, 6, 4096+size, uint64(len(blob)))
	}
	return append(append(append(head, tab...), make([]byte, int(size)-len(tab))...), blob...)
}

// TestForms reads tables of all forms in both byte orders, in any pieces.
func TestForms(t *testing.T) {
	long := "example.com/a." + strings.Repeat("Long", 1000)
	for _, order := range []byteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, bits := range []int{32, 64} {
			for _, f := range []form{form12, form116, form118, form120} {
				data := table(order, bits, f, "runtime.main", "net/http.(*Client).Do", long, "main.main", "/src/a.go")
				whole := read(t, data, len(data)).Symbols
				has(t, whole, true, "runtime", "runtime main", "net/http Client.Do", "example.com/a "+long[14:])
				has(t, whole, false, "net/http Client.Get", "net", "src/a")
				if whole.Complete() != (f != form12) {
					t.Errorf("%v %d %d: complete %v", order, bits, f, whole.Complete())
				}
				for _, piece := range []int{1, 7, 71, 73, 4095} {
					if got := read(t, data, piece).Symbols; !got.Equal(whole) {
						t.Errorf("%v, %d bits, form %d: pieces of %d give %d functions, want %d", order, bits, f, piece, got.Count(), whole.Count())
					}
				}
			}
		}
	}
	data := table(binary.LittleEndian, 64, form120, "a.F", "b."+strings.Repeat("x", maxName), "c.G")
	if s := read(t, data, 4096).Symbols; s.Complete() || !s.Has("a", "F") || !s.Has("c", "G") {
		t.Errorf("a name too long hides others, or that it is missing: complete %v, %d functions", s.Complete(), s.Count())
	}
}

const functionsMain = `package main

import (
	"os"

	"example.com/dep"
)

var Version string

type local struct{}

func (local) run() int { return dep.Inlined(len(os.Args)) + dep.Map[int, string]([]int{1}, func(int) string { return "" }) }

func main() {
	var t dep.T
	go func() { t.Pointer() }()
	println(local{}.run(), t.Value(), Version)
}
`

const functionsDep = `package dep

import (
	"os"
	"sort"
)

type T struct{ n int }

//go:noinline
func (t *T) Pointer() { t.n++ }

//go:noinline
func (t T) Value() int { return t.n + helper(t.n) }

func Inlined(n int) int { return os.Getpid() + n*n }

func helper(n int) int { return n * 7 }

//go:noinline
func Map[A, B any](list []A, f func(A) B) int {
	sort.Slice(list, func(i, j int) bool { return i < j })
	for _, a := range list {
		f(a)
	}
	return len(list)
}

//go:noinline
func Dead() int { return deeper() }

func deeper() int { return 3 }
`

// TestFunctions builds a program in the ways that change its tables. What is
// only inlined counts, what the linker drops does not.
func TestFunctions(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/hello\n\ngo 1.21\n\nrequire example.com/dep v1.2.3\n\nreplace example.com/dep => ./dep\n")
	write("cmd/tool/main.go", functionsMain)
	write("dep/go.mod", "module example.com/dep\n\ngo 1.21\n")
	write("dep/dep.go", functionsDep)
	var plain symbol.Set
	for _, c := range []struct{ name, env, flag string }{
		{"plain", "GOOS=linux", "-trimpath"},
		{"stripped", "GOOS=linux", "-ldflags=-s -w -buildid="},
		{"position independent", "GOOS=linux", "-buildmode=pie"},
		{"windows", "GOOS=windows", "-ldflags=-s"},
		{"darwin", "GOOS=darwin", "-trimpath"},
		{"32 bits, big end", "GOOS=linux GOARCH=mips", "-ldflags=-s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			exe := filepath.Join(t.TempDir(), "exe")
			cmd := exec.Command("go", "build", c.flag, "-o", exe, "./cmd/tool")
			cmd.Dir = dir
			cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off"), strings.Fields(c.env)...)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			data := load(t, exe)
			s := read(t, data, 32<<10).Symbols
			if !s.Complete() {
				t.Error("the set is not complete")
			}
			has(t, s, true, "example.com/dep", "example.com/dep T.Pointer", "example.com/dep T.Value", "example.com/dep Inlined", "example.com/dep helper", "example.com/dep Map",
				"example.com/hello/cmd/tool main", "example.com/hello/cmd/tool local.run", "sort", "runtime mallocgc", "os")
			has(t, s, false, "main main", "example.com/dep Dead", "example.com/dep deeper", "net/http", "example.com/hello")
			everyFunction(t, data, s)
			switch c.name {
			case "plain":
				plain = s
			case "stripped":
				if !s.Equal(plain) {
					t.Errorf("%d functions when stripped, %d when not", s.Count(), plain.Count())
				}
			}
		})
	}
}

// everyFunction wants all that the standard library's reader of the table
// names, which leaves out what was inlined.
func everyFunction(t *testing.T, data []byte, s symbol.Set) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return // not ELF
	}
	for _, sec := range f.Sections {
		if !strings.HasSuffix(sec.Name, ".gopclntab") {
			continue
		}
		raw, err := sec.Data()
		if err != nil {
			t.Fatal(err)
		}
		tab, err := gosym.NewTable(nil, gosym.NewLineTable(raw, 0))
		if err != nil {
			t.Fatal(err)
		}
		if len(tab.Funcs) < 500 {
			t.Fatalf("only %d functions to compare with", len(tab.Funcs))
		}
		var x splitter
		for _, f := range tab.Funcs {
			path, name := x.split([]byte(f.Name), form120)
			if pkg := string(importPath(path)); pkg != "" && pkg != "main" && !s.Has(pkg, string(name)) {
				t.Errorf("%s is missing", f.Name)
			}
		}
		return
	}
	t.Error("no table to compare with")
}

// TestManyRanges holds that a file whose segments lie over one another many
// times is read once.
func TestManyRanges(t *testing.T) {
	var x functions
	data := table(binary.LittleEndian, 64, form120, "a.F")
	x.order = binary.LittleEndian
	for i := range uint64(200) {
		x.ranges = append(x.ranges, span{i, uint64(len(data)) - i})
	}
	x.merge()
	if got := fmt.Sprint(x.ranges); got != fmt.Sprint([]span{{0, uint64(len(data))}}) {
		t.Errorf("ranges are %s", got)
	}
}
