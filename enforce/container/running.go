package container

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// hierarchy is one mounted tree of control groups.
type hierarchy struct {
	dir string
	id  uint64 // 0 for cgroup v2
}

// Key names a cgroup of any hierarchy: its id (the inode number) is unique in
// its own one only.
func Key(hierarchy, inode uint64) uint64 { return hierarchy<<56 ^ inode }

// Hierarchies finds the mounted cgroup hierarchies that name containers.
func (t *Tracker) hierarchies() []hierarchy {
	mounts, err := t.read("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	numbers := map[string]uint64{}
	cgroups, _ := t.read("/proc/cgroups")
	for line := range strings.Lines(string(cgroups)) {
		if f := strings.Fields(line); len(f) == 4 {
			numbers[f[0]], _ = strconv.ParseUint(f[1], 10, 8)
		}
	}
	var list []hierarchy
	seen := map[uint64]bool{}
	for line := range strings.Lines(string(mounts)) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 || f[3] != "/" {
			continue
		}
		if g[0] == "cgroup2" {
			list = append(list, hierarchy{dir: f[4]})
		}
		if g[0] != "cgroup" {
			continue
		}
		for option := range strings.SplitSeq(g[2], ",") {
			if id := numbers[option]; id != 0 && !seen[id] {
				seen[id] = true
				list = append(list, hierarchy{dir: f[4], id: id})
			}
		}
	}
	return list
}

// V1 says whether hierarchies of cgroup v1 are mounted.
func (t *Tracker) V1() bool {
	for _, h := range t.hierarchies() {
		if h.id != 0 {
			return true
		}
	}
	return false
}

// Unified returns the directory of cgroup v2, or nothing.
func (t *Tracker) Unified() string {
	for _, h := range t.hierarchies() {
		if h.id == 0 {
			return h.dir
		}
	}
	return ""
}

// Running finds the cgroups of containers that run already, with those below
// them, and returns the container's own key of each cgroup's key.
func (t *Tracker) Running() map[uint64]uint64 {
	shims := t.shims()
	t.mu.Lock()
	for id, s := range shims {
		t.take(id, s)
	}
	t.mu.Unlock()
	found := map[uint64]uint64{}
	for _, h := range t.hierarchies() {
		inside, owner := "", uint64(0)
		_ = filepath.WalkDir(h.dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil //nolint:nilerr // a cgroup may go while it is looked at
			}
			info, err := d.Info()
			if err != nil {
				return nil //nolint:nilerr // as above
			}
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return nil
			}
			key := Key(h.id, st.Ino)
			if inside != "" && strings.HasPrefix(name, inside+"/") {
				t.Inherit(key, owner)
				found[key] = owner
				return nil
			}
			inside = ""
			if t.Made(Cgroup{Key: key, Path: strings.TrimPrefix(name, h.dir)}) != nil {
				inside, owner = name, key
				found[key] = key
			}
			return nil
		})
	}
	return found
}

// running is what the process of a running shim tells.
type running struct {
	bundle string
	place  place
}

// take is told of a shim, or of conmon, which knows no place.
func (t *Tracker) take(id string, r running) {
	if r.place == (place{}) {
		t.expect(id, r.bundle)
		return
	}
	t.shimmed(id, r.bundle, r.place)
}

// hosts says whether a process sees the host's files: in a container anybody
// can call himself a shim.
func (t *Tracker) hosts(proc string) bool {
	own, err := os.Readlink(filepath.Join(proc, "ns/mnt"))
	if err != nil {
		return false
	}
	for _, pid := range []string{"1", "2"} { // the kernel's threads are the host's too, where the first process may not be looked at
		if first, err := os.Readlink(filepath.Join("/", t.o.Root, "proc", pid, "ns/mnt")); err == nil {
			return own == first
		}
	}
	return false
}

// shims finds the bundles of running containers: a shim's working directory
// is the bundle, and its command line has the id; conmon's has both.
func (t *Tracker) shims() map[string]running {
	dir := filepath.Join("/", t.o.Root, "proc")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	found := map[string]running{}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join(dir, e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(string(line), "\x00")
		if id, bundle := conmon(args); id != "" && t.hosts(filepath.Join(dir, e.Name())) {
			found[id] = running{bundle: bundle}
		}
		if !strings.Contains(string(line), "shim") || !t.hosts(filepath.Join(dir, e.Name())) {
			continue
		}
		cwd, err := os.Readlink(filepath.Join(dir, e.Name(), "cwd"))
		if id, where := shim(args); id != "" && err == nil {
			found[id] = running{cwd, where}
		}
	}
	return found
}
