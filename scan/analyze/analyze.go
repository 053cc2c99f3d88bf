// Package analyze holds the contract between the walk over a layer and those
// who look into its files, and the engine that lets every file be seen by all
// who want it while its bytes pass by once. An analyzer sees one file at a
// time, opens no path, logs nothing and never ends a scan: what it cannot read
// becomes a problem in the report.
package analyze

import (
	"io"
	"io/fs"
	"path"

	"sekisho"
	"sekisho/scan/symbol"
)

// Want says how an analyzer wants to see a file.
type Want uint8

// The ways to see a file.
const (
	Skip   Want = iota // not at all
	Header             // path, mode, size, owner, link; no content
	Whole              // all bytes at once in File.Data
	Stream             // as they come by, through Streamer
)

// File is one file of a layer.
type File struct {
	Path string // from the root, slash-separated, without a leading slash: "usr/bin/env"
	Mode fs.FileMode
	Size int64 // bytes
	UID  int
	GID  int
	Link string // target of a symbolic link, as written
	Root string // KindImage, KindContainer or KindDirectory of package image: what is being walked

	Head []byte // the first bytes, at most HeadSize; valid during the call
	Data []byte // all bytes, for Whole; valid during the call: copy what you keep
}

// HeadSize is how many bytes of a file Wants may look at.
const HeadSize = 512

// Base returns the last element of the path.
func (f *File) Base() string { return path.Base(f.Path) }

// MaxWhole is the largest file, in bytes, that is held in memory for analyzers
// that want it whole.
const MaxWhole = 120 << 20

// Analyzer looks into files. It must be safe for use by several goroutines.
type Analyzer interface {
	// Name and Version key the cache: a new version reads layers again.
	Name() string
	Version() int
	// Wants decides from everything but Data. It is called for every entry of
	// every layer, so it must be quick and must not allocate.
	Wants(*File) Want
	// Analyze adds what the file tells to the result; f.Data is set for Whole.
	// An error becomes a problem at this path, and what was added stays.
	Analyze(*File, *Result) error
}

// Streamer is an analyzer that answered Stream: it gets the bytes as they
// come, and Close when the file ends. Head is seen again as the first bytes.
type Streamer interface {
	Analyzer
	Stream(*File, *Result) io.WriteCloser
}

// Result is what one file told. Paths in it are like File.Path.
type Result struct {
	Packages []sekisho.Package `json:"packages,omitempty"` // Locations empty means this file
	Findings []sekisho.Finding `json:"findings,omitempty"` // Location.Path empty means this file
	Problems []string          `json:"problems,omitempty"`
	OS       *sekisho.OS       `json:"os,omitempty"`
	Owns     []Owned           `json:"owns,omitempty"`
	Licences []Licensed        `json:"licences,omitempty"`
	Facts    []Fact            `json:"facts,omitempty"`
	Symbols  symbol.Set        `json:"-"` // the functions of a program; kept beside the document
}

// Owned says that a package manager put files there.
type Owned struct {
	Package string   // type and name: "deb:openssl", "rpm:openssl-libs"
	Paths   []string // as the package manager writes them; a leading slash is fine
}

// Licensed gives the licence of a package that another file lists.
type Licensed struct {
	Package string `json:"package"` // type and name: "deb:openssl"
	Licence string `json:"licence"` // SPDX expression
}

// Fact is a plain observation for later judgement: kind "setuid", value
// "4755"; the path is the file's.
type Fact struct {
	Kind  string `json:"kind"`
	Value string `json:"value,omitempty"`
}

// Problem notes that something in the file could not be read.
func (r *Result) Problem(message string) { r.Problems = append(r.Problems, message) }

// Empty reports whether nothing was found.
func (r *Result) Empty() bool {
	return len(r.Packages)+len(r.Findings)+len(r.Problems)+len(r.Owns)+len(r.Licences)+len(r.Facts) == 0 && r.OS == nil && !r.Symbols.Known()
}
