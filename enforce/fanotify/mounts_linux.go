package fanotify

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sekisho"
)

// maxMounts bounds the mounts of one container that are marked.
const maxMounts = 512

// Mounts marks the volumes and the file systems in memory of a container, once
// one of its processes shows them.
func (g *Guard) Mounts(c *sekisho.Container, pid int) error {
	g.mu.Lock()
	w := g.watched[c.ID]
	if w == nil || w.mounts {
		g.mu.Unlock()
		return nil
	}
	w.mounts = true
	g.mu.Unlock()
	proc := filepath.Join(g.o.Proc, strconv.Itoa(pid))
	data, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		return g.again(w, err)
	}
	root, err := unix.Open(filepath.Join(proc, "root"), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return g.again(w, err)
	}
	defer unix.Close(root)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(root, &fs); err != nil || fs.Fsid != w.fsid {
		return g.again(w, err) // the runtime did not enter the container's root yet
	}
	var failed error
	for point, memory := range markable(data) {
		if err := g.mark(root, point, memory); err != nil {
			failed = errors.Join(failed, fmt.Errorf("watch %s of %s: %w", point, c.Name, err))
		}
	}
	return failed
}

// again lets the next event of the container try once more.
func (g *Guard) again(w *watch, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.mounts = false
	return err
}

// markable lists the mount points from which programs can run, and whether
// they are file systems in memory.
func markable(mountinfo []byte) map[string]bool {
	points := map[string]bool{}
	for line := range bytes.Lines(mountinfo) {
		before, after, ok := strings.Cut(string(line), " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(types) < 1 || fields[4] == "/" || len(points) >= maxMounts {
			continue
		}
		switch types[0] {
		case "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "bpf", "tracefs", "debugfs", "securityfs", "nsfs":
			continue
		}
		if strings.Contains(","+fields[5]+",", ",noexec,") {
			continue
		}
		points[unescape(fields[4])] = types[0] == "tmpfs" || types[0] == "ramfs"
	}
	return points
}

// unescape undoes the octal of mountinfo (proc_pid_mountinfo(5)).
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// mark opens a mount point below the container's root, following nothing out
// of it, and asks for its executions.
func (g *Guard) mark(root int, point string, memory bool) error {
	fd, err := unix.Openat2(root, point, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// fanotify_mark takes no O_PATH descriptor: name it through /proc.
	kind := uint(unix.FAN_MARK_MOUNT)
	if memory {
		kind = unix.FAN_MARK_FILESYSTEM
	}
	return unix.FanotifyMark(g.fd, unix.FAN_MARK_ADD|kind, unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd))
}
