// Package drift tells content that a container's image has from content that
// it does not have. Files of a container go in; out comes whether a file is
// the image's, was only touched (copied up with the image's content), or
// differs. It decides by content and inodes, never by names alone, and follows
// no link out of the container's layers.
package drift

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sekisho"
)

// Verdicts about a file.
type Verdict uint8

// The verdicts.
const (
	Differs Verdict = iota // the image has no such content there
	Touched                // copied up, with the image's content
	Image                  // the image's own file
)

// maxCompare bounds how much of a file is read to compare it, in bytes. A
// larger one that was copied up counts as different.
const maxCompare = 512 << 20

// maxCached bounds the verdicts that are remembered.
const maxCached = 1 << 15

// Layers are the directories of an overlay.
type Layers struct {
	Root  string   // where it is mounted
	Upper string   // the container's own
	Lower []string // of the image, topmost first
}

// Judge knows the layers of containers and remembers verdicts.
type Judge struct {
	mounts func() ([]byte, error) // of mountinfo
	mu     sync.Mutex
	layers map[string]*Layers // by container
	cache  map[key]Verdict
}

type key struct {
	upper         string
	inode         uint64
	changed, size int64
}

// New returns a judge that reads mounts from a file, as /proc/1/mountinfo.
func New(mountinfo string) *Judge {
	return &Judge{mounts: func() ([]byte, error) { return os.ReadFile(mountinfo) }, layers: map[string]*Layers{}, cache: map[key]Verdict{}}
}

// Layers returns those of a container, nil when its root is no overlay that is
// known here.
func (j *Judge) Layers(c *sekisho.Container) *Layers {
	j.mu.Lock()
	l, ok := j.layers[c.ID]
	j.mu.Unlock()
	if ok {
		return l
	}
	data, err := j.mounts()
	if err != nil {
		return nil
	}
	if l = find(data, c); l == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.layers) >= maxCached {
		clear(j.layers)
	}
	j.layers[c.ID] = l
	return l
}

// find looks for the overlay of a container: by where it is mounted, else by
// its upper directory.
func find(mountinfo []byte, c *sekisho.Container) *Layers {
	for line := range bytes.Lines(mountinfo) {
		if !bytes.Contains(line, []byte(" - overlay ")) {
			continue
		}
		before, after, ok := strings.Cut(string(line), " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(types) < 3 || types[0] != "overlay" {
			continue
		}
		l := &Layers{Root: unescape(fields[4])}
		for _, o := range options(types[2]) {
			switch name, value, _ := strings.Cut(o, "="); name {
			case "upperdir":
				l.Upper = unescape(value)
			case "lowerdir":
				l.Lower = append(l.Lower, split(unescape(value))...)
			case "lowerdir+":
				l.Lower = append(l.Lower, unescape(value))
			}
		}
		if l.Upper == "" || l.Root != c.Root && (c.Upper == "" || l.Upper != c.Upper) {
			continue
		}
		for i, dir := range l.Lower { // Docker mounts with names relative to its directory
			if !filepath.IsAbs(dir) {
				l.Lower[i] = filepath.Join(filepath.Dir(filepath.Dir(l.Upper)), dir)
			}
		}
		return l
	}
	return nil
}

// options cuts mount options at commas that are not escaped.
func options(s string) (list []string) {
	from := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ',':
			list = append(list, s[from:i])
			from = i + 1
		}
	}
	return append(list, s[from:])
}

// split cuts at colons that are not escaped.
func split(s string) (list []string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == ':':
			list = append(list, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(list, b.String())
}

// unescape undoes the octal of mountinfo (proc_pid_mountinfo(5)).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '3' && s[i+2] >= '0' && s[i+2] <= '7' && s[i+3] >= '0' && s[i+3] <= '7' {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// File judges an open file of a container by the path that it has in it. The
// file itself is what counts: a path that leads elsewhere by now proves
// nothing for it.
func (j *Judge) File(l *Layers, f *os.File, path string) Verdict {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return Differs
	}
	name := strings.TrimPrefix(filepath.Clean("/"+path), "/")
	up := lstat(l.Upper, name)
	lower := l.below(name)
	if lower == nil {
		return Differs
	}
	defer lower.Close()
	was, err := lower.Stat()
	if err != nil || !was.Mode().IsRegular() {
		return Differs
	}
	if up == nil && inode(info) == inode(was) && info.Size() == was.Size() && info.ModTime().Equal(was.ModTime()) {
		return Image
	}
	return j.compare(l, f, lower, info, was)
}

// compare reads both files, once for each state of the upper one.
func (j *Judge) compare(l *Layers, f, lower *os.File, info, was os.FileInfo) Verdict {
	if info.Size() != was.Size() || info.Size() > maxCompare {
		return Differs
	}
	k := key{l.Upper, inode(info), changed(info), info.Size()}
	j.mu.Lock()
	v, ok := j.cache[k]
	j.mu.Unlock()
	if ok {
		return v
	}
	v = Differs
	if a, b := sum(f, info.Size()), sum(lower, info.Size()); a != nil && bytes.Equal(a, b) {
		v = Touched
	}
	if after, err := f.Stat(); err != nil || changed(after) != changed(info) {
		return Differs // it was written while it was read
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.cache) >= maxCached {
		clear(j.cache)
	}
	j.cache[k] = v
	return v
}

func sum(f *os.File, size int64) []byte {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(f, 0, size+1))
	if err != nil || n != size {
		return nil
	}
	return h.Sum(nil)
}

func lstat(dir, name string) os.FileInfo {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil {
		return nil
	}
	return info
}

// below opens a file of the image: of the topmost layer that has the name.
func (l *Layers) below(name string) *os.File {
	for _, dir := range l.Lower {
		info := lstat(dir, name)
		if info == nil {
			continue
		}
		if !info.Mode().IsRegular() {
			return nil // removed by the image, or no file
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil
		}
		defer root.Close()
		f, err := root.Open(name)
		if err != nil {
			return nil
		}
		return f
	}
	return nil
}

// Touched says whether what an event ran is a file of the own layer that has
// the image's content after all.
func (j *Judge) Touched(e *sekisho.Event) bool {
	if e.Container == nil {
		return false
	}
	path := e.Path
	if e.Kind == sekisho.EventExec && e.Process != nil {
		path = e.Process.Path
	}
	return j.Path(e.Container, path) == Touched
}

// Path judges a file of a container's own layer by its name.
func (j *Judge) Path(c *sekisho.Container, path string) Verdict {
	l := j.Layers(c)
	if l == nil {
		return Differs
	}
	root, err := os.OpenRoot(l.Upper)
	if err != nil {
		return Differs
	}
	defer root.Close()
	name := strings.TrimPrefix(filepath.Clean("/"+path), "/")
	info, err := root.Lstat(name)
	if os.IsNotExist(err) {
		if lower := l.below(name); lower != nil {
			lower.Close()
			return Image
		}
		return Differs
	}
	if err != nil || !info.Mode().IsRegular() {
		return Differs
	}
	f, err := root.Open(name)
	if err != nil {
		return Differs
	}
	defer f.Close()
	return j.File(l, f, path)
}

// interpreters run scripts that are given to them by name.
var interpreters = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "python", "perl", "ruby", "node", "php", "lua", "tclsh", "busybox"}

// Script returns the file that an interpreter was told to run, if it is one of
// the container's own layer whose content the image does not have.
func (j *Judge) Script(e *sekisho.Event) (path string, ok bool) {
	if e.Kind != sekisho.EventExec || e.Process == nil || e.Container == nil || len(e.Process.Args) < 2 || !interpreter(e.Process.Path) {
		return "", false
	}
	args := e.Process.Args
	if filepath.Base(e.Process.Path) == "busybox" && filepath.Base(args[0]) == "busybox" {
		args = args[1:] // its own name, then that of the program in it
	}
	if !interpreter(args[0]) || filepath.Base(args[0]) == "busybox" {
		return "", false
	}
	for i, a := range args[1:] {
		if a == "" || i > 8 || a == "-c" || a == "-e" || a == "-m" {
			return "", false
		}
		if strings.HasPrefix(a, "-") {
			continue
		}
		if !filepath.IsAbs(a) {
			a = filepath.Join("/", e.Process.Directory, a)
		}
		l := j.Layers(e.Container)
		if l == nil {
			return "", false
		}
		info := lstat(l.Upper, strings.TrimPrefix(filepath.Clean(a), "/"))
		return a, info != nil && info.Mode().IsRegular() && j.Path(e.Container, a) == Differs
	}
	return "", false
}

func interpreter(path string) bool {
	base := strings.TrimRight(filepath.Base(path), "0123456789.")
	for _, i := range interpreters {
		if base == i {
			return true
		}
	}
	return false
}
