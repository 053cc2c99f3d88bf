// Package program recognises well-known programs that came without a package
// manager: by their file name and the version that stands in their bytes.
package program

import (
	"bytes"
	"regexp"
	"strings"

	"sekisho"
	"sekisho/internal/purl"
	"sekisho/scan/analyze"
)

// New returns the reader.
func New() analyze.Analyzer { return reader{} }

type reader struct{}

func (reader) Name() string { return "program" }
func (reader) Version() int { return 1 }

// Wants knows the programs' names; shared libraries end in .so.N.
func (reader) Wants(f *analyze.File) analyze.Want {
	if !f.Mode.IsRegular() || f.Size < 16 {
		return analyze.Skip
	}
	base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
	if base == "release" || base == "version.php" || base == "VERSION" {
		if base == "version.php" && !strings.HasSuffix(f.Path, "wp-includes/version.php") || base == "VERSION" && !strings.HasSuffix(f.Path, "go/VERSION") || f.Size > 64<<10 {
			return analyze.Skip
		}
		return analyze.Whole
	}
	if len(f.Head) < 4 || f.Head[0] != 0x7f || f.Head[1] != 'E' {
		return analyze.Skip
	}
	if _, ok := find(base); ok {
		return analyze.Whole
	}
	return analyze.Skip
}

// find returns what is known of a file name: exact, or a library before .so.
func find(base string) (known, bool) {
	if k, ok := programs[base]; ok {
		return k, true
	}
	if i := strings.Index(base, ".so"); i > 0 {
		k, ok := libraries[base[:i]]
		return k, ok
	}
	if strings.HasPrefix(base, "python") || strings.HasPrefix(base, "php") || strings.HasPrefix(base, "ruby") || strings.HasPrefix(base, "perl5") {
		k, ok := programs[strings.TrimRight(base, "0123456789.")]
		return k, ok
	}
	return known{}, false
}

// known is a program and how its version stands in its bytes: behind a literal
// that is found quickly, by an expression with the version as its only group.
type known struct {
	name    string
	literal string
	version *regexp.Regexp
}

// Analyze reads one file.
func (reader) Analyze(f *analyze.File, out *analyze.Result) error {
	base := f.Base()
	switch base {
	case "release":
		jdk(f.Data, out)
		return nil
	case "version.php":
		add("wordpress", wordpress.FindSubmatch(f.Data), out)
		return nil
	case "VERSION":
		add("go", goVersion.FindSubmatch(f.Data), out)
		return nil
	}
	k, _ := find(base)
	add(k.name, k.find(f.Data), out)
	return nil
}

// window is how many bytes around the literal the expression sees.
const window = 160

func (k known) find(data []byte) [][]byte {
	for range 64 {
		i := bytes.Index(data, []byte(k.literal))
		if i < 0 {
			return nil
		}
		if m := k.version.FindSubmatch(data[max(0, i-window):min(len(data), i+window)]); m != nil {
			return m
		}
		data = data[i+len(k.literal):]
	}
	return nil
}

func add(name string, m [][]byte, out *analyze.Result) {
	if len(m) < 2 || name == "" {
		return
	}
	version := string(m[1])
	out.Packages = append(out.Packages, sekisho.Package{Name: name, Version: version, Type: "generic", Found: sekisho.Embedded, PURL: purl.New("generic", "", name, version)})
}

// jdk reads the file release of a Java runtime.
func jdk(data []byte, out *analyze.Result) {
	if !bytes.Contains(data, []byte("JAVA_VERSION=")) {
		return
	}
	add("openjdk", javaVersion.FindSubmatch(data), out)
}

var (
	wordpress   = regexp.MustCompile(`\$wp_version\s*=\s*'([\d.]+[^']*)'`)
	goVersion   = regexp.MustCompile(`^go(\d[\w.]*)`)
	javaVersion = regexp.MustCompile(`(?m)^JAVA_VERSION="([^"]+)"`)
)
