package misconfig

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"sekisho/image"
	"sekisho/scan/analyze"
)

// Files notes facts about files: mode bits, accounts, things left behind.
type Files struct{}

// Name is part of the cache key.
func (Files) Name() string { return "misconfig" }

// Version is part of the cache key.
func (Files) Version() int { return 1 }

// Wants looks at headers, and at the content of the account files.
func (Files) Wants(f *analyze.File) analyze.Want {
	if strings.HasPrefix(f.Path, "etc/") {
		switch f.Path {
		case "etc/passwd", "etc/shadow", "etc/group", "etc/ld.so.preload":
			return analyze.Whole
		}
	}
	if modeKind(f) != "" || placeKind(f) != "" {
		return analyze.Header
	}
	return analyze.Skip
}

const executable = 0o111

// modeKind names what is notable about a file's mode.
func modeKind(f *analyze.File) string {
	regular := f.Mode.IsRegular()
	switch {
	case regular && f.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && f.Mode&executable != 0:
		return "setuid"
	case f.Mode&0o002 != 0 && (regular || f.Mode.IsDir() && f.Mode&fs.ModeSticky == 0) && isSensitive(f.Path):
		return "world-writable"
	}
	return ""
}

// placeKind names what is notable about a file's name and place.
func placeKind(f *analyze.File) string {
	regular := f.Mode.IsRegular()
	if !regular && !f.Mode.IsDir() {
		return ""
	}
	if regular && f.Mode&executable != 0 {
		if kind := tools[f.Path[strings.LastIndexByte(f.Path, '/')+1:]]; kind != "" && inPath(f.Path) {
			return kind
		}
	}
	if regular {
		for _, c := range caches {
			if strings.HasPrefix(f.Path, c) {
				return "cache"
			}
		}
	}
	return leftover(f)
}

func isSensitive(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	for _, s := range sensitive {
		if first == s {
			return true
		}
	}
	return false
}

func inPath(p string) bool {
	dir := path.Dir(p)
	return strings.HasSuffix(dir, "bin")
}

// leftover recognises what a build forgot: repositories, environment files,
// credentials' homes.
func leftover(f *analyze.File) string {
	if f.Root == image.KindDirectory {
		return "" // a source tree may have them
	}
	base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
	if len(base) < 3 || base[0] != '.' || strings.HasPrefix(f.Path, "usr/share/") || strings.Contains(f.Path, "node_modules/") {
		return ""
	}
	switch base {
	case ".git", ".svn", ".hg", ".aws", ".terraform":
		if f.Mode.IsDir() {
			return "leftover"
		}
	case ".env":
		if f.Mode.IsRegular() {
			return "leftover"
		}
	case ".ssh":
		return "" // its keys are a secret scan's matter, the directory alone is not
	}
	return ""
}

// Analyze notes the facts.
func (Files) Analyze(f *analyze.File, out *analyze.Result) error {
	switch f.Path {
	case "etc/passwd":
		passwd(f.Data, out)
	case "etc/group":
		duplicates(f.Data, 2, "duplicate", out)
	case "etc/shadow":
		eachLine(f.Data, func(fields []string) {
			if len(fields) > 1 && fields[1] == "" {
				out.Facts = append(out.Facts, analyze.Fact{Kind: "empty-password", Value: fields[0]})
			}
			out.Facts = append(out.Facts, analyze.Fact{Kind: "shadow", Value: fields[0]})
		})
	case "etc/ld.so.preload":
		if text := strings.TrimSpace(string(f.Data[:min(len(f.Data), 256)])); text != "" {
			out.Facts = append(out.Facts, analyze.Fact{Kind: "preload", Value: text})
		}
	}
	if kind := modeKind(f); kind != "" {
		out.Facts = append(out.Facts, analyze.Fact{Kind: kind, Value: fmt.Sprintf("%04o uid=%d", bits(f.Mode), f.UID)})
	}
	if kind := placeKind(f); kind != "" {
		value := ""
		if kind == "cache" {
			value = strconv.FormatInt(f.Size, 10)
		}
		out.Facts = append(out.Facts, analyze.Fact{Kind: kind, Value: value})
	}
	return nil
}

// bits writes a mode as chmod(1) takes it.
func bits(m fs.FileMode) uint32 {
	b := uint32(m.Perm())
	for mode, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&mode != 0 {
			b |= bit
		}
	}
	return b
}

// maxAccounts bounds how many lines of an account file are read.
const maxAccounts = 20_000

func eachLine(data []byte, see func(fields []string)) {
	n := 0
	for line := range bytes.Lines(data) {
		if n++; n > maxAccounts {
			return
		}
		text := strings.TrimRight(string(line[:min(len(line), 4096)]), "\r\n")
		if text == "" || text[0] == '#' || text[0] == '+' {
			continue
		}
		see(strings.Split(text, ":"))
	}
}

func passwd(data []byte, out *analyze.Result) {
	eachLine(data, func(fields []string) {
		if len(fields) < 3 {
			return
		}
		name, uid := fields[0], fields[2]
		out.Facts = append(out.Facts, analyze.Fact{Kind: "account", Value: name + ":" + uid})
		if fields[1] == "" {
			out.Facts = append(out.Facts, analyze.Fact{Kind: "empty-passwd", Value: name})
		}
	})
	duplicates(data, 2, "duplicate", out)
}

// duplicates notes names and numbers that stand twice.
func duplicates(data []byte, field int, kind string, out *analyze.Result) {
	names, numbers := map[string]bool{}, map[string]string{}
	eachLine(data, func(fields []string) {
		if len(fields) <= field {
			return
		}
		if names[fields[0]] {
			out.Facts = append(out.Facts, analyze.Fact{Kind: kind, Value: fields[0]})
		}
		if other, ok := numbers[fields[field]]; ok && other != fields[0] {
			out.Facts = append(out.Facts, analyze.Fact{Kind: kind, Value: other + ", " + fields[0] + ": " + fields[field]})
		}
		names[fields[0]], numbers[fields[field]] = true, fields[0]
	})
}
