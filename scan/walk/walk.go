// Package walk turns the layers of an image into the files a container sees.
// It decompresses, hashes and reads tar headers in one pass, honours
// whiteouts, bounds what it reads, and never writes to disk.
package walk

import (
	"io/fs"
	"time"

	"sekisho"
)

// Type of an entry.
type Type uint8

// The types of entries.
const (
	Regular Type = iota
	Directory
	Symlink
	Hardlink // Link is the path of the first name, cleaned like Path
	Special  // devices, pipes, sockets
	Whiteout // the path of lower layers is gone
	Opaque   // what lower layers have below this directory is gone
)

// Entry is one entry of a layer.
type Entry struct {
	Path    string // from the root, cleaned, without a leading slash; "" is the root itself
	Type    Type
	Mode    fs.FileMode // permission, setuid, setgid, sticky and type bits
	Size    int64
	UID     int
	GID     int
	Link    string
	ModTime time.Time
}

// Limits bound what a hostile layer can cost. A zero field means the default.
type Limits struct {
	Entries int64 // per layer, default 5,000,000
	Bytes   int64 // uncompressed per layer, default 256 GiB
	Ratio   int64 // uncompressed to stored bytes, checked after the first 64 MiB, default 1,100 (deflate cannot exceed 1,032)
	Header  int64 // bytes of PAX and GNU long-name records of one entry, default 1 MiB
}

// Summary is what is known of a layer once it was read to its end.
type Summary struct {
	DiffID  sekisho.Digest // of the uncompressed bytes
	Digest  sekisho.Digest // of the stored bytes
	Size    int64          // uncompressed
	Stored  int64
	Entries int64
}
