// Package golang reads Go programs, stripped or not, by the build information
// that the linker leaves in them, and go.mod files.
package golang

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"runtime/debug"
	"strings"

	"golang.org/x/mod/modfile"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "golang" }
func (reader) Version() int { return 1 }

// Wants executables of the formats that Go links, and go.mod.
func (reader) Wants(f *analyze.File) analyze.Want {
	if !f.Mode.IsRegular() {
		return analyze.Skip
	}
	if f.Mode&0o111 != 0 && Executable(f.Head) && !strings.Contains(f.Path, ".so.") && !strings.HasSuffix(f.Path, ".so") {
		return analyze.Whole
	}
	if strings.HasSuffix(f.Path, "go.mod") && (f.Path == "go.mod" || strings.HasSuffix(f.Path, "/go.mod")) && !dependency(f.Path) {
		return analyze.Whole
	}
	return analyze.Skip
}

// dependency reports whether go.mod is one of a module that is only there to
// be compiled in, or of the Go distribution itself.
func dependency(p string) bool {
	return strings.Contains(p, "pkg/mod/") || strings.Contains(p, "/vendor/") || strings.Contains(p, "/testdata/") || strings.Contains(p, "usr/share/gocode/") ||
		strings.Contains(p, "lib/go") || strings.Contains(p, "usr/local/go/") || strings.Contains(p, "share/go-")
}

// Executable recognises ELF, PE and Mach-O by their first bytes.
func Executable(head []byte) bool {
	if len(head) < 64 {
		return false
	}
	switch {
	case head[0] == 0x7f:
		return string(head[1:4]) == "ELF" && (head[16] == 2 || head[16] == 3 || head[17] == 2 || head[17] == 3)
	case head[0] == 'M':
		return head[1] == 'Z'
	case head[0] == 0xcf || head[0] == 0xce:
		return head[1] == 0xfa && head[2] == 0xed && head[3] == 0xfe
	}
	return false
}

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	if f.Base() == "go.mod" {
		return mod(f, out)
	}
	if !bytes.Contains(f.Data, []byte("\xff Go buildinf:")) {
		return nil
	}
	info, err := buildinfo.Read(bytes.NewReader(f.Data))
	if err != nil {
		return nil // holds the mark as data, as the go command does
	}
	binary(info, out)
	return nil
}

func binary(info *debug.BuildInfo, out *analyze.Result) {
	if v, ok := strings.CutPrefix(info.GoVersion, "go"); ok {
		v, _, _ = strings.Cut(v, " ")
		out.Packages = append(out.Packages, pack("stdlib", v, sekisho.Embedded))
	}
	if info.Main.Path != "" {
		version := info.Main.Version
		if version == "(devel)" {
			version = ""
		}
		out.Packages = append(out.Packages, pack(info.Main.Path, version, sekisho.Embedded))
	}
	for _, d := range info.Deps {
		for d.Replace != nil {
			d = d.Replace
		}
		version := d.Version
		if version == "(devel)" {
			version = ""
		}
		out.Packages = append(out.Packages, pack(d.Path, version, sekisho.Embedded))
	}
}

func pack(path, version, how string) sekisho.Package {
	space, name := "", path
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		space, name = path[:i], path[i+1:]
	}
	return sekisho.Package{Name: path, Version: version, Type: "golang", Found: how, PURL: purl.New("golang", space, name, version)}
}

func mod(f *analyze.File, out *analyze.Result) error {
	file, err := modfile.ParseLax("go.mod", f.Data, nil)
	if err != nil {
		return fmt.Errorf("read module file: %w", err)
	}
	replaced := map[string]*modfile.Replace{}
	strict, err := modfile.Parse("go.mod", f.Data, nil) // replacements are in the strict form only
	if err == nil {
		for _, r := range strict.Replace {
			replaced[r.Old.Path] = r
		}
	}
	for _, r := range file.Require {
		m := r.Mod
		if to := replaced[m.Path]; to != nil && (to.Old.Version == "" || to.Old.Version == m.Version) {
			if to.New.Version == "" {
				continue // a directory
			}
			m = to.New
		}
		out.Packages = append(out.Packages, pack(m.Path, m.Version, sekisho.Declared))
	}
	return nil
}
