package drift

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sekisho"
)

// Open opens a file of a container by its path there: through one of its
// processes, else through its root on the host, else in its own layer when it
// has ended. No link leads out of the container.
func Open(c *sekisho.Container, pid int, path string) (*os.File, error) {
	name := strings.TrimPrefix(filepath.Clean("/"+path), "/")
	var failed error
	for _, dir := range []string{filepath.Join("/proc", strconv.Itoa(pid), "root"), c.Root, c.Upper} {
		if dir == "" || pid <= 0 && strings.HasPrefix(dir, "/proc/") {
			continue
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			failed = err
			continue
		}
		f, err := root.Open(name)
		root.Close()
		if err != nil {
			failed = err
			continue
		}
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			f.Close()
			return nil, sekisho.Errorf(sekisho.Invalid, "open %s: no regular file", path)
		}
		return f, nil
	}
	return nil, fmt.Errorf("open a file of %s: %w", c.Name, failed)
}
