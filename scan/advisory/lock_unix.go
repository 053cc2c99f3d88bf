//go:build unix

package advisory

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"sekisho"
)

// lockPath takes the lock of a file until it is closed.
func lockPath(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock advisory database: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, sekisho.Errorf(sekisho.Unavailable, "another process updates the advisory database").WithHint("wait until it is done")
	}
	return nil, fmt.Errorf("lock advisory database: %w", err)
}
