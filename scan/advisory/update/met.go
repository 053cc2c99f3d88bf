package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sekisho/internal/atomicfile"
)

// metName is the file, beside the database, of ecosystems that scans have met.
const metName = "met.json"

// maxMet bounds how many are remembered, maxName how long a name is, in bytes.
const maxMet, maxName = 2000, 128

type metFile struct {
	Ecosystems []string `json:"ecosystems"`
}

// Met remembers ecosystems that a scan has met, so that the next update gets
// their feeds. It writes only when one is new.
func Met(dir string, ecosystems []string) error {
	known, err := MetBefore(dir)
	if err != nil {
		known = nil // a file that cannot be read is written anew
	}
	all := slices.Clone(known)
	for _, e := range ecosystems {
		if e != "" && len(e) <= maxName && len(all) < maxMet && !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	if len(all) == len(known) {
		return nil
	}
	slices.Sort(all)
	return writeJSON(filepath.Join(dir, metName), metFile{all})
}

// MetBefore returns the ecosystems that scans have met.
func MetBefore(dir string) ([]string, error) {
	var f metFile
	if err := readJSON(filepath.Join(dir, metName), &f); err != nil {
		return nil, err
	}
	return f.Ecosystems, nil
}

// maxJSON bounds our own files in bytes.
const maxJSON = 16 << 20

// readJSON reads one of our own files; one that is not there is empty.
func readJSON(name string, to any) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxJSON)).Decode(to); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// writeJSON replaces a file at once.
func writeJSON(name string, from any) error {
	data, err := json.MarshalIndent(from, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(name, 0o644, append(data, '\n'))
}
