//go:build !linux

package walk

import (
	"io/fs"
	"os"
	"syscall"
)

// owner returns the device, the device number and the user and group of a file.
func owner(info fs.FileInfo) (device, rdev uint64, uidgid [2]int) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Dev), uint64(s.Rdev), [2]int{int(s.Uid), int(s.Gid)}
	}
	return 0, 0, uidgid
}

// isOpaque is a word of Linux's overlay file system.
func isOpaque(*os.File) bool { return false }

// isVirtual knows Linux's file systems only.
func isVirtual(*os.Root, string) bool { return false }
