package table

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sekisho"
)

// Mapping is a file in memory: shared with all processes that map it where the
// system can do that, else read.
type Mapping struct {
	Data  []byte
	unmap func() error
}

// Map opens a file. Data must not be used after Close.
func Map(path string) (*Mapping, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sekisho.Errorf(sekisho.NotFound, "open table: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, sekisho.Errorf(sekisho.Corrupt, "open table %s: not a file, or an empty one", path)
	}
	m, err := mapFile(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("open table %s: %w", path, err)
	}
	return m, nil
}

// Close lets go of the memory.
func (m *Mapping) Close() error {
	m.Data = nil
	if m.unmap == nil {
		return nil
	}
	unmap := m.unmap
	m.unmap = nil
	return unmap()
}
