package layer

import (
	"bytes"
	"path"
	"strings"

	"sekisho/scan/walk"
)

// heads are how files begin that can be run, loaded or linked: ELF, archives of
// objects, PE, Mach-O, Java classes, WebAssembly, scripts.
var heads = [][]byte{[]byte("\x7fELF"), []byte("!<arch>\n"), []byte("MZ"), {0xcf, 0xfa, 0xed, 0xfe}, {0xca, 0xfe, 0xba, 0xbe}, []byte("\x00asm"), []byte("#!")}

// extensions of files that an interpreter, a virtual machine or a compiler
// takes. C headers are not among them: what they declare is elsewhere.
var extensions = map[string]bool{
	".py": true, ".pyc": true, ".pm": true, ".pl": true, ".rb": true, ".js": true, ".mjs": true, ".cjs": true, ".ts": true, ".php": true, ".jar": true,
	".war": true, ".lua": true, ".tcl": true, ".el": true, ".elc": true, ".go": true, ".rs": true, ".c": true, ".cc": true, ".cpp": true, ".hh": true, ".hpp": true,
	".java": true, ".scm": true, ".r": true, ".jl": true, ".sh": true, ".beam": true, ".hs": true, ".rdb": true, ".awk": true, ".vim": true, ".ps": true, ".xsl": true, ".m4": true,
}

// isCode reports whether a file can be run, loaded or compiled. Compressed
// kernel modules count, compressed manuals do not.
func isCode(name string, head []byte) bool {
	for _, h := range heads {
		if bytes.HasPrefix(head, h) {
			return true
		}
	}
	ext := path.Ext(name)
	switch ext {
	case "":
		return false
	case ".xz", ".gz", ".zst":
		return strings.HasSuffix(name[:len(name)-len(ext)], ".ko")
	}
	return extensions[ext]
}

// code notes that a file holds code, under both names that it has where /lib
// and its kin are links into /usr.
func (v *visit) code(e *walk.Entry, head []byte) {
	if !isCode(e.Path, head) {
		return
	}
	v.result.Code = append(v.result.Code, v.key.Sum(e.Path))
	if other := merged(e.Path); other != "" {
		v.result.Code = append(v.result.Code, v.key.Sum(other))
	}
}

// merged returns the other name of a path below /usr/lib or /lib, /usr/bin or
// /bin …, "" for others (file-hierarchy(7), "usr-merge").
func merged(p string) string {
	rest, inUsr := strings.CutPrefix(p, "usr/")
	first, _, _ := strings.Cut(rest, "/")
	if first != "bin" && first != "sbin" && !strings.HasPrefix(first, "lib") || first == rest {
		return ""
	}
	if inUsr {
		return rest
	}
	return "usr/" + p
}
