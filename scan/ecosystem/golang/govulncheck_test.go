package golang

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/internal/fixture"
)

const vulnerable = `package main

import (
	"fmt"
	"net/http"
	"os"

	jwt "github.com/dgrijalva/jwt-go"
	"github.com/gorilla/websocket"
	"golang.org/x/crypto/ssh"
	"golang.org/x/net/html"
	"golang.org/x/net/http2"
	"golang.org/x/text/language"
	"gopkg.in/yaml.v2"
)

func main() {
	fmt.Println(language.ParseAcceptLanguage(os.Args[1]))
	var v any
	fmt.Println(yaml.Unmarshal([]byte(os.Args[1]), &v))
	n, _ := html.Parse(os.Stdin)
	fmt.Println(n, http2.ConfigureServer(&http.Server{}, nil))
	t, err := jwt.Parse(os.Args[1], nil)
	fmt.Println(t, err)
	u := websocket.Upgrader{}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c, _ := u.Upgrade(w, r, nil)
		c.ReadMessage()
	})
	ssh.NewServerConn(nil, &ssh.ServerConfig{})
}
`

const vulnerableMod = `module example.com/vulnerable

go 1.21

require (
	github.com/dgrijalva/jwt-go v3.2.0+incompatible
	github.com/gorilla/websocket v1.4.0
	golang.org/x/crypto v0.1.0
	golang.org/x/net v0.4.0
	golang.org/x/text v0.5.0
	gopkg.in/yaml.v2 v2.2.2
)
`

// tool runs the go command in a directory. Without a network the test is
// skipped, unless CI=true.
func tool(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("go %v: %v: %s", args, err, out)
		}
		t.Skipf("no govulncheck to compare with: go %v: %v: %s", args, err, out)
	}
}

// database lays the Go vulnerability database out as govulncheck reads it, and
// returns its records.
func database(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	from := fixture.Dir(t, "../advisories")
	if err := os.CopyFS(filepath.Join(dir, "index"), os.DirFS(filepath.Join(from, "go-vulndb", "index"))); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(filepath.Join(from, "osv", "Go", "all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	records := map[string][]byte{}
	for _, f := range z.File {
		if !strings.HasPrefix(f.Name, "GO-") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		records[strings.TrimSuffix(f.Name, ".json")] = data
	}
	if err := os.Mkdir(filepath.Join(dir, "ID"), 0o755); err != nil {
		t.Fatal(err)
	}
	for id, data := range records {
		if err := os.WriteFile(filepath.Join(dir, "ID", id+".json"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

type finding struct{ id, pkg, name string }

// govulncheck returns the modules' flaws and the functions that it finds in a
// program.
func govulncheck(t *testing.T, program, db, exe string) (flaws map[finding]bool, functions map[finding]bool) {
	t.Helper()
	out, err := exec.Command(program, "-mode=binary", "-format=json", "-db=file://"+db, exe).Output()
	if err != nil {
		t.Fatalf("govulncheck: %v", err)
	}
	flaws, functions = map[finding]bool{}, map[finding]bool{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct {
			Finding *struct {
				OSV   string
				Trace []struct{ Module, Package, Function, Receiver string }
			}
		}
		if err := d.Decode(&m); err == io.EOF {
			return flaws, functions
		} else if err != nil {
			t.Fatal(err)
		}
		if m.Finding == nil {
			continue
		}
		at := m.Finding.Trace[0]
		flaws[finding{m.Finding.OSV, at.Module, ""}] = true
		if at.Function != "" {
			functions[finding{m.Finding.OSV, at.Package, strings.TrimPrefix(strings.TrimPrefix(at.Receiver, "*")+"."+at.Function, ".")}] = true
		}
	}
}

// TestGovulncheck builds a program with vulnerable modules, asks govulncheck
// which vulnerable functions it holds, and wants the same answers: of the
// program as it is, and when it is stripped, which govulncheck cannot read. It
// leaves functions out that are not exported where it has others of the same
// flaw and package.
func TestGovulncheck(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	db, dir := t.TempDir(), t.TempDir()
	records := database(t, db)
	for name, text := range map[string]string{"go.mod": vulnerableMod, "main.go": vulnerable} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tools := t.TempDir()
	tool(t, tools, "install", "golang.org/x/vuln/cmd/govulncheck@v1.9.0")
	tool(t, dir, "mod", "tidy")
	tool(t, dir, "build", "-trimpath", "-o", "plain", ".")
	tool(t, dir, "build", "-ldflags=-s -w", "-o", "stripped", ".")
	flaws, theirs := govulncheck(t, filepath.Join(tools, "govulncheck"), db, filepath.Join(dir, "plain"))
	if len(theirs) < 50 {
		t.Fatalf("govulncheck finds %d functions, want more than 50", len(theirs))
	}
	for _, name := range []string{"plain", "stripped"} {
		data := load(t, filepath.Join(dir, name))
		s := read(t, data, 32<<10).Symbols
		yes, no, unexported := 0, 0, 0
		for _, q := range asked(t, records, flaws) {
			ours := s.Has(q.pkg, q.name)
			switch {
			case ours && theirs[q]:
				yes++
			case !ours && !theirs[q]:
				no++
			case ours && !exported(q.name) && reported(theirs, q):
				unexported++
			default:
				t.Errorf("%s: %s: %s.%s is there: ours %v, govulncheck's %v", name, q.id, q.pkg, q.name, ours, theirs[q])
			}
		}
		t.Logf("%s: both find %d and miss %d functions; %d that are not exported only we name", name, yes, no, unexported)
		if yes < 50 || no < 50 {
			t.Errorf("%s: %d found and %d missed, want more to compare", name, yes, no)
		}
	}
}

// asked lists the functions that the records of flaws name.
func asked(t *testing.T, records map[string][]byte, flaws map[finding]bool) []finding {
	t.Helper()
	var list []finding
	for f := range flaws {
		var r struct {
			Affected []struct {
				Package  struct{ Name string }
				Specific struct {
					Imports []struct {
						Path         string
						Symbols      []string
						GOOS, GOARCH []string
					}
				} `json:"ecosystem_specific"`
			}
		}
		if err := json.Unmarshal(records[f.id], &r); err != nil {
			t.Fatalf("%s: %v", f.id, err)
		}
		for _, a := range r.Affected {
			for _, i := range a.Specific.Imports {
				if a.Package.Name != f.pkg || len(i.GOOS)+len(i.GOARCH) > 0 {
					continue
				}
				for _, s := range i.Symbols {
					list = append(list, finding{f.id, i.Path, s})
				}
			}
		}
	}
	return list
}

func exported(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if !token.IsExported(part) {
			return false
		}
	}
	return true
}

// reported tells whether some other function of the flaw and package is.
func reported(list map[finding]bool, q finding) bool {
	for f := range list {
		if f.id == q.id && f.pkg == q.pkg {
			return true
		}
	}
	return false
}
