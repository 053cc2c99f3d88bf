package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// programs are real ones with old modules, built here with this Go.
var programs = []struct{ name, module string }{
	{"hey", "github.com/rakyll/hey@v0.1.4"}, {"yq", "github.com/mikefarah/yq/v4@v4.18.1"}, {"cfssl", "github.com/cloudflare/cfssl/cmd/cfssl@v1.6.1"},
	{"crane", "github.com/google/go-containerregistry/cmd/crane@v0.8.0"}, {"osv-scanner", "github.com/google/osv-scanner/cmd/osv-scanner@v1.9.2"},
}

const vulncheck = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"

// oldToolchain builds a program whose standard library has known flaws.
const oldToolchain = "go1.21.0"

// govulncheck holds Go programs against Go's own tool with the same database:
// which flaws their modules have, and whether the vulnerable functions are
// there.
func (l *lab) govulncheck() error {
	program, err := l.tool("govulncheck", vulncheck)
	if err != nil {
		return err
	}
	records, db, err := l.golangDatabase()
	if err != nil {
		return err
	}
	ours, err := l.database("go-db", filepath.Join(l.data, "advisories"), "osv-go")
	if err != nil {
		return err
	}
	old, err := l.oldProgram()
	if err != nil {
		return err
	}
	if err := l.vulnerable(program, db, ours, old, oldToolchain, records); err != nil {
		return err
	}
	for _, p := range programs {
		path, err := l.tool(p.name, p.module)
		if err != nil {
			return err
		}
		if err := l.vulnerable(program, db, ours, path, p.name, records); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// golangDatabase lays the Go vulnerability database out as govulncheck reads
// it, and returns its records.
func (l *lab) golangDatabase() (records map[string][]byte, dir string, err error) {
	dir = filepath.Join(l.dir, "vulndb")
	if err := os.CopyFS(filepath.Join(dir, "index"), os.DirFS(filepath.Join(l.data, "advisories/go-vulndb/index"))); err != nil {
		return nil, "", err
	}
	z, err := zip.OpenReader(filepath.Join(l.data, "advisories/osv/Go/all.zip"))
	if err != nil {
		return nil, "", err
	}
	defer z.Close()
	records = map[string][]byte{}
	list := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, "", err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, "", err
		}
		list["ID/"+f.Name] = string(data)
		var tight bytes.Buffer
		if err := json.Compact(&tight, data); err != nil {
			return nil, "", err
		}
		records[strings.TrimSuffix(f.Name, ".json")] = tight.Bytes()
	}
	return records, dir, files(dir, list)
}

// oldProgram builds a program of the standard library by an old Go, stripped
// of nothing.
func (l *lab) oldProgram() (string, error) {
	path := filepath.Join(l.tools, "old-"+oldToolchain)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	dir := filepath.Join(l.dir, "old")
	err := files(dir, map[string]string{"go.mod": "module example.com/old\n\ngo 1.21\n", "main.go": `package main

import (
	"archive/zip"
	"crypto/tls"
	"encoding/gob"
	"encoding/xml"
	"html/template"
	"net/http"
	"net/mail"
	"os"
)

func main() {
	_, _ = mail.ParseAddress(os.Args[1])
	_, _ = zip.OpenReader(os.Args[1])
	_ = xml.NewDecoder(os.Stdin).Decode(nil)
	_ = gob.NewDecoder(os.Stdin).Decode(nil)
	_ = template.Must(template.New("x").Parse(os.Args[1])).Execute(os.Stdout, nil)
	_, _ = tls.Dial("tcp", os.Args[1], nil)
	_ = http.ListenAndServe(os.Args[1], http.FileServer(http.Dir(".")))
}
`})
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOTOOLCHAIN="+oldToolchain, "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build with %s: %w: %s", oldToolchain, err, out)
	}
	return path, nil
}

// vulnerable compares two questions: which flaws the modules have ("module"),
// and of which a vulnerable function is there ("function").
func (l *lab) vulnerable(program, db, ours, exe, name string, records map[string][]byte) error {
	theirs, err := l.govulncheckOf(program, db, exe)
	if err != nil {
		return err
	}
	root := filepath.Join(l.dir, "go-root")
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		return err
	}
	if err := os.Link(exe, filepath.Join(root, "bin", "program")); err != nil {
		data, err := os.ReadFile(exe)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, "bin", "program"), data, 0o755); err != nil {
			return err
		}
	}
	found, err := l.scan(ours, "dir:"+root)
	if err != nil {
		return err
	}
	mine := set{}
	for _, f := range found {
		for _, id := range f.names() {
			if strings.HasPrefix(id, "GO-") {
				mine["module "+id] = true
				if f.Reachable == "yes" {
					mine["function "+id] = true
				}
			}
		}
	}
	l.compare("govulncheck", "program "+name, theirs, mine, func(key string, own bool) string {
		kind, id, _ := strings.Cut(key, " ")
		switch {
		case kind == "function" && !own && !bytes.Contains(records[id], []byte(`"symbols"`)):
			return "the record names no functions: shown as unknown"
		case own && bytes.Contains(records[id], []byte(`"goarch"`)):
			return "a flaw of another processor: a directory, unlike an image, does not say which one it is for"
		case kind == "module" && own && bytes.Contains(records[id], []byte(`"goos":["windows"]`)):
			return "a flaw of Windows: listed as not present"
		}
		return ""
	})
	return nil
}

// govulncheckOf returns the flaws that govulncheck finds in a program.
func (l *lab) govulncheckOf(program, db, exe string) (set, error) {
	out, err := exec.Command(program, "-mode=binary", "-format=json", "-db=file://"+db, exe).Output()
	if err != nil {
		return nil, told(err)
	}
	found := set{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct {
			Finding *struct {
				OSV   string
				Trace []struct{ Function string }
			}
		}
		if err := d.Decode(&m); err == io.EOF {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		if m.Finding == nil {
			continue
		}
		found["module "+m.Finding.OSV] = true
		if slices.ContainsFunc(m.Finding.Trace, func(t struct{ Function string }) bool { return t.Function != "" }) {
			found["function "+m.Finding.OSV] = true
		}
	}
}
