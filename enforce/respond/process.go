package respond

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sekisho"
)

// maxProcesses bounds how many processes of a container are looked at.
const maxProcesses = 4096

// pids lists the processes of a container: those whose cgroup has its id.
func (r *Responder) pids(c *sekisho.Container) ([]int, error) {
	if len(c.ID) < 12 {
		return nil, sekisho.Errorf(sekisho.Invalid, "container %q: its id is too short to find its processes by", c.ID)
	}
	d, err := os.Open(r.Proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var list []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err == nil && len(list) < maxProcesses && r.belongs(pid, c) {
			list = append(list, pid)
		}
	}
	slices.Sort(list)
	return list, nil
}

// belongs says whether a process is of a container now.
func (r *Responder) belongs(pid int, c *sekisho.Container) bool {
	return strings.Contains(string(r.read(pid, "cgroup", 64<<10)), c.ID)
}

// read returns a file of a process, up to a bound; nil when it is gone.
func (r *Responder) read(pid int, name string, bound int64) []byte {
	f, err := os.Open(r.at(pid, name))
	if err != nil {
		return nil
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, bound))
	return data
}

func (r *Responder) at(pid int, name string) string {
	return filepath.Join(r.Proc, strconv.Itoa(pid), name)
}

// stat is what /proc/PID/stat tells (proc_pid_stat(5)).
type stat struct {
	name    string
	state   string
	parent  int
	started uint64 // clock ticks since boot
}

func (r *Responder) stat(pid int) (s stat, ok bool) {
	return parseStat(string(r.read(pid, "stat", 4<<10)))
}

// parseStat knows that a name may hold blanks and parentheses.
func parseStat(text string) (s stat, ok bool) {
	from, to := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if from < 0 || to < from {
		return s, false
	}
	fields := strings.Fields(text[to+1:])
	if len(fields) < 20 {
		return s, false
	}
	s.name, s.state = text[from+1:to], fields[0]
	var err error
	if s.parent, err = strconv.Atoi(fields[1]); err != nil {
		return s, false
	}
	s.started, err = strconv.ParseUint(fields[19], 10, 64)
	return s, err == nil
}
