// Package squash lays the layers of an image over one another and says of
// every file that told something whether a container still sees it. What
// enters are results of layers, lowest first, hashed with one key; what leaves
// are the files, each with its layer and whether a later one hides it.
package squash

import (
	"path"
	"slices"
	"strings"

	"sekisho/internal/siphash"
	"sekisho/scan/layer"
)

// Placed is a file in its layer.
type Placed struct {
	*layer.File
	Layer  int
	Hidden bool // a later layer removed or replaced it
}

// maxLinks bounds how many symbolic links a path may go through, as Linux does
// (MAXSYMLINKS, path_resolution(7)).
const maxLinks = 40

// Tree is the image as one file system, as far as it is known.
type Tree struct {
	Files []Placed // in the order of layers, then of paths
	key   siphash.Key
	links map[string]string // visible symbolic links, to their targets as written
}

// Squash lays the layers over one another.
func Squash(layers []*layer.Result, key siphash.Key) *Tree {
	t := &Tree{key: key, links: map[string]string{}}
	covers := make([]cover, len(layers))
	for i, l := range layers {
		covers[i] = newCover(l)
	}
	var hashes []uint64
	for i, l := range layers {
		for j := range l.Files {
			f := &l.Files[j]
			hashes = t.hashPath(hashes[:0], f.Path)
			t.Files = append(t.Files, Placed{f, i, hidden(covers[i+1:], f.Path, hashes)})
		}
		for _, link := range l.Links {
			hashes = t.hashPath(hashes[:0], link.Path)
			if !hidden(covers[i+1:], link.Path, hashes) {
				t.links[link.Path] = link.Target
			}
		}
	}
	return t
}

// hashPath appends the hash of the path and then those of its parents,
// nearest first.
func (t *Tree) hashPath(list []uint64, p string) []uint64 {
	for p != "" {
		list = append(list, t.key.Sum(p))
		p = parent(p)
	}
	return list
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// cover is what one layer does to those below it.
type cover struct {
	*layer.Result
	gone   map[string]bool // whiteouts
	opaque map[string]bool
}

func newCover(l *layer.Result) cover {
	c := cover{l, make(map[string]bool, len(l.Whiteouts)), make(map[string]bool, len(l.Opaques))}
	for _, w := range l.Whiteouts {
		c.gone[w] = true
	}
	for _, o := range l.Opaques {
		c.opaque[o] = true
	}
	return c
}

func has(set []uint64, h uint64) bool {
	_, ok := slices.BinarySearch(set, h)
	return ok
}

// hidden reports whether one of the covers takes the path away: by a whiteout
// of it or of a parent, by an opaque parent, by an entry in its place, or by
// something other than a directory in the place of a parent.
func hidden(covers []cover, p string, hashes []uint64) bool {
	for _, c := range covers {
		if has(c.NonDirs, hashes[0]) || has(c.Dirs, hashes[0]) {
			return true
		}
		for _, h := range hashes[1:] {
			if has(c.NonDirs, h) {
				return true
			}
		}
		if len(c.gone)+len(c.opaque) == 0 {
			continue
		}
		for q := p; ; q = parent(q) {
			if c.gone[q] || q != p && c.opaque[q] {
				return true
			}
			if q == "" {
				break
			}
		}
	}
	return false
}

// Resolve follows the visible symbolic links of a path and returns the path
// without any, or false when there are too many.
func (t *Tree) Resolve(p string) (string, bool) {
	p = clean(p)
	for range maxLinks {
		next, followed := t.follow(p)
		if !followed {
			return p, true
		}
		p = next
	}
	return p, false
}

// follow replaces the first element of the path that is a link.
func (t *Tree) follow(p string) (string, bool) {
	for i := 0; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		target, ok := t.links[p[:i]]
		if !ok {
			continue
		}
		if !strings.HasPrefix(target, "/") {
			target = parent(p[:i]) + "/" + target
		}
		return clean(target + p[i:]), true
	}
	return p, false
}

func clean(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// Find returns the visible file at a path, links followed.
func (t *Tree) Find(p string) (Placed, bool) {
	p, ok := t.Resolve(p)
	if !ok {
		return Placed{}, false
	}
	for _, f := range t.Files {
		if !f.Hidden && f.Path == p {
			return f, true
		}
	}
	return Placed{}, false
}
