// Package pin keeps maps and links of the kernel's programs in a bpffs, where
// they outlive the process that made them. A directory goes in; out come the
// maps and links that a process before left there, by name. It knows no map
// and no program by itself, and refuses to share a directory between two that
// live.
//
// A directory of pins holds, for each layout of what the programs share,
//
//	LAYOUT/maps/NAME
//	LAYOUT/links/NUMBER-OBJECTS/NAME
//
// and a symbolic link, state, to the directory of the state that they are of.
package pin

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"sekisho"
)

// Generation is the links of one set of programs. Numbers grow.
type Generation struct {
	Number  uint32
	Objects string
}

func (g Generation) String() string { return fmt.Sprintf("%d-%s", g.Number, g.Objects) }

// Store is a directory of pins that this process holds.
type Store struct {
	root, dir string
	lock      *os.File
}

// Open takes a directory below a bpffs, which is mounted where there is none,
// for pins of a layout. It is Denied while another process holds it.
func Open(root, layout, state string) (*Store, error) {
	if err := Mount(root); err != nil {
		return nil, err
	}
	s := &Store{root: root, dir: filepath.Join(root, layout)}
	sweep(filepath.Dir(root))
	for _, dir := range []string{s.dir, filepath.Join(s.dir, "maps"), filepath.Join(s.dir, "links")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make a directory for pins: %w", err)
		}
	}
	var err error
	if s.lock, err = hold(root); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(root, "state")); err != nil {
		_ = os.Symlink(state, filepath.Join(root, "state")) // kernels before 4.16 have none: it is for people
	}
	return s, nil
}

// sweep removes what is pinned for states that are gone, as after a test or an
// uninstall: nobody can take it over, and all of it together slows the host.
func sweep(shared string) {
	if filepath.Base(shared) != "sekisho" {
		return // not a directory of our own
	}
	entries, _ := os.ReadDir(shared)
	for _, e := range entries {
		dir := filepath.Join(shared, e.Name())
		state, err := os.Readlink(filepath.Join(dir, "state"))
		if err != nil {
			continue
		}
		if _, err := os.Stat(state); errors.Is(err, os.ErrNotExist) && Abandoned(dir) {
			_, _ = Remove(dir)
		}
	}
}

func hold(root string) (*os.File, error) {
	f, err := os.Open(root)
	if err != nil {
		return nil, fmt.Errorf("open the directory of pins: %w", err)
	}
	for tries := 0; ; tries++ { // one that just ends, or one that only looks, lets go soon
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) || tries == 50 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, sekisho.Errorf(sekisho.Denied, "the pins in %s are in use", root).WithHint("another enforcer runs with the same state; stop it first")
		}
		return nil, fmt.Errorf("lock the directory of pins: %w", err)
	}
	return f, nil
}

// Abandoned says that a directory of pins is there and no process holds it.
func Abandoned(root string) bool {
	f, err := os.Open(root)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
}

// Mount makes sure that a directory is, or can be made, below a bpffs.
func Mount(dir string) error {
	at := filepath.Clean(dir)
	for {
		var fs unix.Statfs_t
		err := unix.Statfs(at, &fs)
		if err == nil && int64(fs.Type) == unix.BPF_FS_MAGIC {
			return nil
		}
		if err == nil {
			break
		}
		at = filepath.Dir(at)
	}
	if rel, err := filepath.Rel(usual, dir); err != nil || !filepath.IsLocal(rel) {
		return sekisho.Errorf(sekisho.Invalid, "pins in %s: no bpffs is mounted there", dir).WithHint("mount -t bpf bpf DIRECTORY, or name a directory below %s", usual)
	}
	if err := unix.Mount("bpf", usual, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount a bpffs at %s: %w", usual, err)
	}
	return nil
}

const usual = "/sys/fs/bpf"

// Map returns the map that is pinned under a specification's name, when it is
// of that form, else a new one.
func (s *Store) Map(name string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	if s != nil {
		if m, err := ebpf.LoadPinnedMap(s.mapPath(name), nil); err == nil {
			if spec.Compatible(m) == nil {
				return m, nil
			}
			m.Close()
		}
	}
	return ebpf.NewMap(spec)
}

func (s *Store) mapPath(name string) string { return filepath.Join(s.dir, "maps", Entry(name)) }

func (s *Store) linkPath(g Generation, name string) string {
	return filepath.Join(s.dir, "links", g.String(), Entry(name))
}

// Entry is a name that bpffs takes.
func Entry(name string) string {
	return strings.NewReplacer(" ", "-", ".", "_", "/", "_").Replace(name)
}

// Generations lists the sets of links that are there, oldest first.
func (s *Store) Generations() []Generation {
	if s == nil {
		return nil
	}
	return generations(s.dir)
}

func generations(dir string) (list []Generation) {
	entries, _ := os.ReadDir(filepath.Join(dir, "links"))
	for _, e := range entries {
		number, objects, _ := strings.Cut(e.Name(), "-")
		if n, err := strconv.ParseUint(number, 10, 32); err == nil {
			list = append(list, Generation{uint32(n), objects})
		}
	}
	slices.SortFunc(list, func(a, b Generation) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// Link returns a pinned link of a generation that is still attached, or nil.
func (s *Store) Link(g Generation, name string) link.Link {
	if s == nil {
		return nil
	}
	return open(s.linkPath(g, name))
}

func open(path string) link.Link {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return nil
	}
	info, err := l.Info()
	if err == nil {
		if cg := info.Cgroup(); cg == nil || cg.CgroupId != 0 {
			return l
		}
	}
	l.Close() // somebody detached it
	return nil
}

// KeepMap pins a map in place of one of another form.
func (s *Store) KeepMap(name string, m *ebpf.Map) error {
	if s == nil || m.IsPinned() {
		return nil
	}
	_ = os.Remove(s.mapPath(name))
	if err := m.Pin(s.mapPath(name)); err != nil {
		return fmt.Errorf("pin the map %s: %w", name, err)
	}
	return nil
}

// KeepLink pins a link of a generation.
func (s *Store) KeepLink(g Generation, name string, l link.Link) error {
	if s == nil {
		return nil
	}
	path := s.linkPath(g, name)
	if _, err := os.Lstat(path); err == nil {
		if p, ok := l.(interface{ IsPinned() bool }); ok && p.IsPinned() {
			return nil
		}
		_ = os.Remove(path) // detached by somebody
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make a directory for pins: %w", err)
	}
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin the link %s: %w", name, err)
	}
	return nil
}

// Drop removes the pin of a link.
func (s *Store) Drop(g Generation, name string) {
	if s != nil {
		_ = os.Remove(s.linkPath(g, name))
	}
}

// Only removes all links but those of a generation, and everything of other
// layouts, and returns the layouts. What nobody else holds is detached.
func (s *Store) Only(g Generation) (others []string, err error) {
	for _, old := range s.Generations() {
		if old != g {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, "links", old.String())))
		}
	}
	for _, layout := range layouts(s.root) {
		if dir := filepath.Join(s.root, layout); dir != s.dir {
			others = append(others, layout)
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return others, err
}

func layouts(root string) (list []string) {
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, e.Name())
		}
	}
	return list
}

// Close lets another process take the directory. The pins stay; directories
// without any do not.
func (s *Store) Close() {
	if s == nil {
		return
	}
	for _, dir := range []string{"maps", "links", "."} {
		_ = os.Remove(filepath.Join(s.dir, dir)) // refused while something is in it
	}
	if len(layouts(s.root)) == 0 {
		_ = os.RemoveAll(s.root)
	}
	s.lock.Close()
}

// Remove removes a directory of pins: programs that no process holds end. It
// returns how many maps and links there were, and is Denied while a process
// holds them.
func Remove(root string) (n int, err error) {
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	lock, err := hold(root)
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	for _, layout := range layouts(root) { // links first: no program runs without its maps
		for _, kind := range []string{"links", "maps"} {
			dir := filepath.Join(root, layout, kind)
			n += files(dir)
			if err := os.RemoveAll(dir); err != nil {
				return n, fmt.Errorf("remove pins: %w", err)
			}
		}
	}
	return n, os.RemoveAll(root)
}

func files(dir string) (n int) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil //nolint:nilerr // what cannot be read is not counted
	})
	return n
}

// Pins are what a directory holds, to be looked at.
type Pins struct {
	dir  string
	maps map[string]*ebpf.Map
}

// Read looks into the newest layout of a directory without taking it, and
// returns nothing where there is none.
func Read(root, layout string) *Pins {
	dir := filepath.Join(root, layout)
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	return &Pins{dir: dir, maps: map[string]*ebpf.Map{}}
}

// Map returns a pinned map, or nil.
func (p *Pins) Map(name string) *ebpf.Map {
	if p.maps[name] == nil {
		if m, err := ebpf.LoadPinnedMap(filepath.Join(p.dir, "maps", Entry(name)), nil); err == nil {
			p.maps[name] = m
		}
	}
	return p.maps[name]
}

// Attached returns the names of a generation's links whose programs the kernel
// runs now.
func (p *Pins) Attached(number uint32) []string { return attached(p.dir, number) }

// Attached is the same of what this process holds.
func (s *Store) Attached(number uint32) []string {
	if s == nil {
		return nil
	}
	return attached(s.dir, number)
}

func attached(dir string, number uint32) (names []string) {
	for _, g := range generations(dir) {
		if g.Number != number {
			continue
		}
		entries, _ := os.ReadDir(filepath.Join(dir, "links", g.String()))
		for _, e := range entries {
			if l := open(filepath.Join(dir, "links", g.String(), e.Name())); l != nil {
				names = append(names, e.Name())
				l.Close()
			}
		}
	}
	return names
}

// Close closes the maps.
func (p *Pins) Close() {
	for _, m := range p.maps {
		m.Close()
	}
}
