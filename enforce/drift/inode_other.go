//go:build !linux

package drift

import "os"

func inode(os.FileInfo) uint64 { return 0 }

func changed(i os.FileInfo) int64 { return i.ModTime().UnixNano() }
