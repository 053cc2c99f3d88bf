//go:build !unix

package table

import (
	"io"
	"os"
)

func mapFile(f *os.File, size int64) (*Mapping, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return &Mapping{Data: data}, nil
}
