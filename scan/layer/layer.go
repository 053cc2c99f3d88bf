// Package layer reads one layer: it walks the layer once, shows every file to
// the analyzers that want it, and keeps what they told together with just
// enough of the layer's tree to lay further layers over it. What enters is a
// layer of an image, what leaves is a Result that can be stored and loaded.
package layer

import (
	"sekisho"
	"sekisho/scan/analyze"
	"sekisho/scan/walk"
)

// Result is all that is kept of a layer.
type Result struct {
	Summary   walk.Summary
	Files     []File            // that told something, by path
	Links     []Link            // symbolic links, in the order of the layer
	Whiteouts []string          // paths that lower layers lose
	Opaques   []string          // directories whose lower content is gone
	Problems  []sekisho.Problem // of the walk; Layer is not set

	// Keyed hashes of the paths of all entries, sorted: whether a path is in
	// this layer is all that a lower layer needs to know.
	NonDirs []uint64
	Dirs    []uint64
	Code    []uint64 // of files that can be run, loaded or compiled, by each name they may be listed under
	Cached  bool     `json:"-"`
}

// File is what one file told.
type File struct {
	Path string `json:"path"`
	analyze.Result
	Owns []Owned `json:"owns,omitempty"` // instead of analyze.Result.Owns, which is emptied
}

// Owned is analyze.Owned with hashed paths.
type Owned struct {
	Package string   `json:"package"`
	Paths   []uint64 `json:"-"` // in the order of the package manager
}

// Link is a symbolic link.
type Link struct {
	Path   string
	Target string // as written
}
