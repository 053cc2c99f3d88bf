//go:build unix

package table

import (
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, size int64) (*Mapping, error) {
	if int64(int(size)) != size {
		return nil, unix.EFBIG
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &Mapping{data, func() error { return unix.Munmap(data) }}, nil
}
