//go:build !unix

package advisory

import (
	"fmt"
	"os"
)

// lockPath opens the file; the system has no lock that ends with its process.
func lockPath(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock advisory database: %w", err)
	}
	return f, nil
}
