package golang

import (
	"bytes"
	"net/url"
)

// splitter takes names apart. What it returns holds until the next call.
type splitter struct{ plain, method []byte }

// split cuts the linker's name of a function into its package, as it is
// written there, and its name as advisories write it: "Func" or "Type.Method",
// without type arguments, and the function that a closure is in for the
// closure. What belongs to no package gives nothing.
func (x *splitter) split(s []byte, f form) (path, name []byte) {
	if generated(s, f) {
		return nil, nil
	}
	if open := bytes.IndexByte(s, '['); open >= 0 { // type arguments may hold dots and slashes
		if end := bytes.LastIndexByte(s, ']'); end > open {
			x.plain = append(append(x.plain[:0], s[:open]...), s[end+1:]...)
			s = x.plain
		}
	}
	last := bytes.LastIndexByte(s, '/') + 1
	dot := bytes.IndexByte(s[last:], '.')
	if dot <= 0 {
		return nil, nil
	}
	return s[:last+dot], x.function(s[last+dot+1:])
}

// importPath undoes the linker's escapes (cmd/internal/objabi.PathToPrefix) and
// takes away the path of the program that vendored the package, as it stands
// in programs built before there were modules. What the standard library and
// the go command vendor is their own.
func importPath(path []byte) []byte {
	if bytes.IndexByte(path, '%') >= 0 {
		if text, err := url.PathUnescape(string(path)); err == nil {
			path = []byte(text)
		}
	}
	i := bytes.LastIndex(path, []byte("/vendor/"))
	first, _, _ := bytes.Cut(path, []byte("/"))
	if i >= 0 && bytes.IndexByte(first, '.') >= 0 {
		path = path[i+len("/vendor/"):]
	}
	return bytes.Clone(path)
}

// generated reports whether the compiler or linker made the function for no
// package: their names began with "go." and "type.", and from Go 1.20 on with
// a colon instead.
func generated(s []byte, f form) bool {
	if f >= form120 {
		return bytes.HasPrefix(s, []byte("go:")) || bytes.HasPrefix(s, []byte("type:"))
	}
	if bytes.HasPrefix(s, []byte("type..")) {
		return true
	}
	return bytes.HasPrefix(s, []byte("go.")) && bytes.IndexByte(s, '/') < 0
}

// function names the function or method at the start of what follows the
// package: "(*T).M", "T.M", "F", with ".func1" and the like for closures and
// "-fm" for method values.
func (x *splitter) function(s []byte) []byte {
	if i := bytes.IndexByte(s, '-'); i >= 0 {
		s = s[:i]
	}
	if rest, ok := bytes.CutPrefix(s, []byte("(*")); ok {
		t, m, ok := bytes.Cut(rest, []byte(")."))
		if !ok {
			return nil
		}
		m, _, _ = bytes.Cut(m, []byte("."))
		x.method = append(append(append(x.method[:0], t...), '.'), m...)
		return x.method
	}
	i := bytes.IndexByte(s, '.')
	if i < 0 {
		return s
	}
	second, _, _ := bytes.Cut(s[i+1:], []byte("."))
	if closure(second) {
		return s[:i]
	}
	return s[:i+1+len(second)]
}

// closure reports whether a part of a name counts closures, deferred calls or
// goroutines: func1, gowrap2, deferwrap1, 3.
func closure(s []byte) bool {
	for _, prefix := range []string{"func", "gowrap", "deferwrap"} {
		if rest, ok := bytes.CutPrefix(s, []byte(prefix)); ok && len(rest) > 0 && digits(rest) {
			return true
		}
	}
	return digits(s)
}

func digits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// plausible reports whether a text may be the name of a function rather than
// data or the name of a file.
func plausible(s []byte) bool {
	if len(s) < 3 || s[0] == '/' || s[0] == '.' || bytes.IndexByte(s, '.') < 0 {
		return false
	}
	for _, c := range s {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	for _, suffix := range []string{".go", ".s", ".c", ".h", ".S"} {
		if bytes.HasSuffix(s, []byte(suffix)) {
			return false
		}
	}
	return true
}
