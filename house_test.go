package sekisho_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "sekisho"

// floors are the top folders from the ground up. A room imports only from the
// floors below its own; rooms on one floor do not know one another.
var floors = [][]string{
	{".", "i18n", "internal"},
	{"image", "policy", "audit", "report"},
	{"scan", "admit", "enforce", "console", "store"},
	{"cli"},
	{"cmd", "e2e", "bench"},
}

// Bounds of one function, file, package, interface, and of the vocabulary.
// Tables and generated code live in files of their own (table*.go, or with the
// usual mark) and are not counted.
const maxFunc, maxFile, maxPackage, maxInterface, maxVocabulary = 80, 500, 3000, 5, 1200

// larger lists the packages that may be larger, and why.
var larger = map[string]int{
	"cli": 12000, // one file a command, none of which knows another: cutting it would only hide that they share one app
}

// owners says which rooms may import a third-party module, and why it is here.
// Longest prefix wins.
var owners = []struct {
	module string
	rooms  []string
	reason string
}{
	{"github.com/klauspost/compress", []string{"scan/walk", "scan/content", "image/archive", "internal/mkimage", "scan/advisory", "store", "enforce/evidence"}, "zstd"},
	{"github.com/google/go-containerregistry", []string{"image/registry"}, "the distribution protocol and Docker's credentials"},
	{"github.com/containerd/containerd", []string{"image/containerd"}, "containerd's API messages"},
	{"github.com/containerd/nri", []string{"admit/nri"}, "the Node Resource Interface of containerd 2 and CRI-O: its protocol and its test runtime"},
	{"google.golang.org/grpc", []string{"image/containerd"}, "containerd speaks gRPC"},
	{"github.com/spf13", []string{"cli"}, "command line, help and completion"},
	{"github.com/goccy/go-yaml", []string{"enforce/profile", "policy", "scan/secret/rulefile", "scan/advisory/update", "enforce/detect/rulefile", "admit/signature/trust"}, "YAML with line and column in errors"},
	{"github.com/Masterminds/semver", []string{"policy/exception"}, "ranges of versions in tags"},
	{"github.com/distribution/reference", []string{"policy/scope"}, "the grammar of image references"},
	{"cel.dev/cel-go", []string{"policy/rule"}, "free rules of policies, type-checked and bounded"},
	{"github.com/pelletier/go-toml", []string{"scan/secret/rulefile"}, "gitleaks' configuration"},
	{"github.com/pandatix/go-cvss", []string{"scan/cvss"}, "formulas and tables of the Common Vulnerability Scoring System"},
	{"github.com/ulikunitz/xz", []string{"scan/content", "scan/advisory/feed"}, "xz inside images, of feeds and of test data"},
	{"golang.org/x/net", []string{"scan/advisory/fetch", "enforce/sensor"}, "who is asked through which proxy; messages of DNS"},
	{"golang.org/x/sync", []string{"scan", "enforce", "cli"}, "errgroup and a weighted semaphore"},
	{"github.com/sigstore/sigstore-go", []string{"admit/signature/keyless", "internal/fixture/sigstoreca"}, "sigstore's bundles signed with short-lived certificates; 4.8 MB and 58 modules, so it stays in this room"},
	{"github.com/sigstore/sigstore", []string{"admit/signature/keyless"}, "a key as sigstore-go wants it"},
	{"github.com/sigstore/protobuf-specs", []string{"internal/fixture/sigstoreca"}, "bundles for tests"},
	{"google.golang.org/protobuf", []string{"internal/fixture/sigstoreca"}, "bundles for tests"},
	{"github.com/notaryproject/notation-core-go", []string{"admit/signature/notation", "internal/fixture/notaryca"}, "the Notary Project's envelopes, JWS and COSE, and its questions to OCSP responders"},
	{"github.com/notaryproject/tspclient-go", []string{"admit/signature/notation", "internal/fixture/notaryca"}, "timestamps of RFC 3161, as the Notary Project countersigns with; came with notation-core-go"},
	{"github.com/digitorus/timestamp", []string{"internal/fixture/notaryca"}, "a timestamp authority for tests; came with sigstore-go"},
	{"golang.org/x/crypto", []string{"admit/signature/key"}, "scrypt and NaCl, with which cosign encrypts private keys"},
	{"golang.org/x/sys", []string{"scan/walk", "scan/advisory", "enforce/respond", "enforce/fanotify", "enforce/sensor"}, "system calls: files mapped into memory, locks, epoll"},
	{"github.com/cilium/ebpf", []string{"enforce/sensor"}, "loading eBPF programs: ELF, relocation by type information, maps, links"},
	{"golang.org/x/term", []string{"cli"}, "is this a terminal, and how wide"},
	{"golang.org/x/text", []string{"report/format"}, "width of East Asian characters"},
}

// TestHouse parses the sources itself rather than running go list: the test
// cache sees files that a test opens, not those that its children open.
func TestHouse(t *testing.T) {
	documented, lines := map[string]bool{}, map[string]int{}
	set := token.NewFileSet()
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() != "." && (d.Name()[0] == '.' || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if _, err := os.Stat(path.Join(name, "go.mod")); d.IsDir() && name != "." && err == nil {
			return fs.SkipDir // a module of its own, which the product does not see
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		documented[dir] = documented[dir] || f.Doc != nil
		checkImports(t, name, f)
		if !ast.IsGenerated(f) && !strings.HasPrefix(path.Base(name), "table") {
			lines[dir] += set.Position(f.End()).Line
			checkSize(t, name, set, f)
		}
		checkNevers(t, name, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no package comment; say what enters, what leaves, what it refuses", dir)
		}
	}
	for dir, n := range lines {
		limit := max(maxPackage, larger[dir])
		if dir == "." {
			limit = maxVocabulary
		}
		if n > limit {
			t.Errorf("%s: %d lines, want at most %d; cut it into rooms", dir, n, limit)
		}
	}
}

func checkImports(t *testing.T, name string, f *ast.File) {
	dir := path.Dir(name)
	from := top(dir)
	if floor(from) < 0 {
		t.Errorf("%s: folder %q stands on no floor; give it a line in floors and a reason", dir, from)
	}
	for _, spec := range f.Imports {
		imported := strings.Trim(spec.Path.Value, `"`)
		first, _, _ := strings.Cut(imported, "/")
		if strings.Contains(first, ".") {
			checkOwner(t, name, dir, imported)
			continue
		}
		rest, ours := strings.CutPrefix(imported, module)
		if !ours || rest != "" && rest[0] != '/' {
			continue
		}
		if to := top(strings.TrimPrefix(rest, "/")); to != from && floor(to) >= floor(from) && floor(to) > 0 {
			t.Errorf("%s (floor %d) must not import %s (floor %d); declare the interface you need and let cli hand it over", name, floor(from), to, floor(to))
		}
		if dir == "." {
			t.Errorf("%s: the vocabulary imports the standard library only, not %s", name, imported)
		}
	}
}

func checkOwner(t *testing.T, name, dir, imported string) {
	for _, o := range owners {
		if imported != o.module && !strings.HasPrefix(imported, o.module+"/") {
			continue
		}
		for _, room := range o.rooms {
			if dir == room || strings.HasPrefix(dir, room+"/") {
				return
			}
		}
		t.Errorf("%s: %s belongs to %v (%s); ask that room instead", name, imported, o.rooms, o.reason)
		return
	}
	t.Errorf("%s: %s has no owner room; add a line with its reason to owners", name, imported)
}

func checkSize(t *testing.T, name string, set *token.FileSet, f *ast.File) {
	if n := set.Position(f.End()).Line; n > maxFile {
		t.Errorf("%s: %d lines, want at most %d; split it by idea", name, n, maxFile)
	}
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line; n > maxFunc {
			t.Errorf("%s: %s has %d lines, want at most %d; name its steps", name, fn.Name.Name, n, maxFunc)
		}
		if fn.Recv == nil && fn.Name.Name == "init" {
			t.Errorf("%s: func init; pass the value instead", name)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if i, ok := n.(*ast.InterfaceType); ok && len(i.Methods.List) > maxInterface {
			t.Errorf("%s: an interface of %d methods, want at most %d", set.Position(i.Pos()), len(i.Methods.List), maxInterface)
		}
		return true
	})
}

// nevers are calls and imports that have one place only.
var nevers = []struct {
	imported, selector string
	allowed            []string
	instead            string
}{
	{"os", "Exit", []string{"cmd", "bench"}, "return an error; main turns it into a status"},
	{"os", "Getenv", []string{"cli", "cmd", "e2e", "bench"}, "take the value as a parameter; cli reads the environment"},
	{"os", "LookupEnv", []string{"cli", "cmd", "e2e", "bench"}, "take the value as a parameter; cli reads the environment"},
	{"context", "Background", []string{"cmd", "cli", "e2e", "bench"}, "take the context as the first parameter"},
	{"database/sql", "", []string{"store"}, "ask store"},
	{"flag", "", []string{"cli", "cmd", "bench"}, "flags stop in cli"},
}

func checkNevers(t *testing.T, name string, f *ast.File) {
	from := top(path.Dir(name))
	if strings.HasPrefix(name, "internal/fixture/") {
		return // serves tests only: it must know whether it runs in CI
	}
	for _, n := range nevers {
		if slices.Contains(n.allowed, from) {
			continue
		}
		for _, spec := range f.Imports {
			if strings.Trim(spec.Path.Value, `"`) != n.imported {
				continue
			}
			if n.selector == "" || uses(f, path.Base(n.imported), n.selector) {
				t.Errorf("%s: %s.%s; %s", name, n.imported, n.selector, n.instead)
			}
		}
	}
}

func uses(f *ast.File, pkg, selector string) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == selector {
			if id, ok := s.X.(*ast.Ident); ok && id.Name == pkg {
				found = true
			}
		}
		return !found
	})
	return found
}

func floor(folder string) int {
	for i, rooms := range floors {
		if slices.Contains(rooms, folder) {
			return i
		}
	}
	return -1
}

func top(dir string) string {
	folder, _, _ := strings.Cut(dir, "/")
	return cmp.Or(folder, ".")
}
