// Package container says which container a cgroup belongs to. In go the
// cgroups that the kernel makes and the command lines of container runtimes;
// out come containers with name, image, labels, mounts and workload, read from
// the files that the runtime wrote before it started the container. Only what
// those do not tell is asked of containerd, and no event waits for the answer.
// It believes no name that a container gives a cgroup of its own.
package container

import (
	"path"
	"strings"
	"sync"
	"time"

	"sekisho"
)

// Bounds of what is kept and read.
const (
	maxContainers = 16384
	maxPending    = 1024
	maxFile       = 4 << 20 // bytes of one file of a runtime
	maxTries      = 8       // to read the files of one container
)

// Cgroup is a control group with the key that the sensor's events carry.
type Cgroup struct {
	Key  uint64
	Path string // below the root of its hierarchy
}

// Tracker knows the containers of this host. It may be used by several
// goroutines; the containers it returns never change, a better known one is
// another value.
type Tracker struct {
	o       Options
	mu      sync.Mutex
	byKey   map[uint64]*known
	byID    map[string]*known
	pending map[string]string // bundle by id of a container that is being made
	order   []string          // of pending, oldest first
	places  map[string]place  // by id, of the same containers
	homes   map[string]place  // by the directory that the bundles of a containerd's namespace are in
	asks    chan *known
	changes uint64
}

// Options say where this host's files are.
type Options struct {
	Root string           // of the host's files as this process sees them; empty for /
	Now  func() time.Time // nil for time.Now
}

type known struct {
	container *sekisho.Container
	bundle    string
	keys      map[uint64]bool
	tries     int
	whole     bool
	questions int       // to containerd
	asked     time.Time // when the last one was answered, or should have been
}

// New returns a tracker that knows nothing yet.
func New(o Options) *Tracker {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Tracker{o: o, byKey: map[uint64]*known{}, byID: map[string]*known{}, pending: map[string]string{}, places: map[string]place{}, homes: map[string]place{}, asks: make(chan *known, 256)}
}

// Executed looks at a program that the host itself ran: a runtime that makes
// a container names its id and the directory of its configuration.
func (t *Tracker) Executed(p *sekisho.Process) {
	shimmed, where := shim(p.Args)
	id, bundle := creates(p.Args, p.Directory)
	if id == "" && shimmed == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if shimmed != "" {
		t.shimmed(shimmed, p.Directory, where)
		return
	}
	t.expect(id, bundle)
}

// maxHomes bounds the containerds and namespaces that are told apart.
const maxHomes = 256

// shimmed is told of a shim, which works in its container's bundle. The other
// containers of a pod have the same shim: their bundles lie beside it.
func (t *Tracker) shimmed(id, bundle string, where place) {
	t.expect(id, bundle)
	t.places[id] = where
	home := path.Dir(bundle)
	if _, ok := t.homes[home]; (ok || len(t.homes) < maxHomes) && path.Base(home) == where.namespace {
		t.homes[home] = where
	}
}

// where is the place of a container: its shim's, or that of its neighbours.
func (t *Tracker) where(k *known) place {
	if p, ok := t.places[k.container.ID]; ok {
		return p
	}
	return t.homes[path.Dir(k.bundle)]
}

func (t *Tracker) expect(id, bundle string) {
	if _, ok := t.pending[id]; !ok {
		t.order = append(t.order, id)
	}
	t.pending[id] = bundle
	for len(t.order) > maxPending {
		delete(t.pending, t.order[0])
		delete(t.places, t.order[0])
		t.order = t.order[1:]
	}
}

// creates reads the command line of runc, crun, youki or kata: create or run
// with a bundle, and the container's id as the last word.
func creates(args []string, cwd string) (id, bundle string) {
	if len(args) < 3 {
		return "", ""
	}
	verb := false
	bundle = cwd
	for i, a := range args[1:] {
		switch {
		case a == "create" || a == "run":
			verb = true
		case !verb:
		case a == "--bundle" || a == "-b" || a == "-bundle":
			if i+2 < len(args) {
				bundle = args[i+2]
			}
		default:
			if v, ok := strings.CutPrefix(a, "--bundle="); ok {
				bundle = v
			}
		}
	}
	if !verb || !path.IsAbs(bundle) {
		return "", ""
	}
	id = args[len(args)-1]
	if strings.HasPrefix(id, "-") || strings.Contains(id, "/") || len(id) > 255 {
		return "", ""
	}
	return id, bundle
}

// Made is told of every cgroup that the host makes, and returns the
// container that it is of, or nil.
func (t *Tracker) Made(c Cgroup) *sekisho.Container {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, runtime := Name(c.Path)
	bundle := t.pending[id]
	if id == "" {
		if id, bundle = t.unusual(c.Path); id == "" {
			return nil
		}
	}
	k := t.byID[id]
	if k == nil {
		if len(t.byID) >= maxContainers {
			return nil
		}
		k = &known{keys: map[uint64]bool{}, container: &sekisho.Container{ID: id, Runtime: runtime, Cgroup: c.Key}}
		t.byID[id] = k
	}
	if bundle != "" {
		k.bundle = bundle
	}
	k.keys[c.Key] = true
	t.byKey[c.Key] = k
	t.changes++
	if !k.whole { // one hierarchy is enough
		t.describe(k)
	}
	return k.container
}

// unusual finds a container whose cgroup has a free name: its runtime was
// seen, and the configuration says the cgroup's path.
func (t *Tracker) unusual(p string) (id, bundle string) {
	id = path.Base(p)
	bundle, ok := t.pending[id]
	if !ok {
		return "", ""
	}
	s, err := t.spec(bundle)
	if err != nil || s.Linux.CgroupsPath == "" || !strings.HasSuffix(p, path.Clean("/"+s.Linux.CgroupsPath)) {
		return "", ""
	}
	return id, bundle
}

// Inherit says that a cgroup was made below one that is a container's.
func (t *Tracker) Inherit(key, parent uint64) *sekisho.Container {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.byKey[parent]
	if k == nil {
		return nil
	}
	if len(k.keys) < 4096 {
		k.keys[key] = true
		t.byKey[key] = k
		t.changes++
	}
	return k.container
}

// Removed forgets a cgroup; a container without any is forgotten too.
func (t *Tracker) Removed(key uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.byKey[key]
	if k == nil {
		return
	}
	delete(t.byKey, key)
	delete(k.keys, key)
	t.changes++
	if len(k.keys) == 0 && t.byID[k.container.ID] == k {
		delete(t.byID, k.container.ID)
		delete(t.pending, k.container.ID)
	}
}

// Container returns the container of a key, nil if there is none.
func (t *Tracker) Container(key uint64) *sekisho.Container {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.byKey[key]
	if k == nil {
		return nil
	}
	if !k.whole && k.tries < maxTries {
		t.describe(k)
	} else if k.whole {
		t.want(k)
	}
	return k.container
}

// Keys returns the keys of a container's cgroups.
func (t *Tracker) Keys(id string) []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.byID[id]
	if k == nil {
		return nil
	}
	keys := make([]uint64, 0, len(k.keys))
	for key := range k.keys {
		keys = append(keys, key)
	}
	return keys
}

// List returns the containers that are known.
func (t *Tracker) List() []*sekisho.Container {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*sekisho.Container, 0, len(t.byID))
	for _, k := range t.byID {
		list = append(list, k.container)
	}
	return list
}

// prefixes are what runtimes write before an id in a cgroup's name.
var prefixes = []struct{ prefix, runtime string }{
	{"docker-", "docker"}, {"cri-containerd-", "containerd"}, {"crio-", "cri-o"}, {"libpod-", "podman"}, {"nerdctl-", "containerd"}, {"", ""},
}

// Name takes a container's id and its runtime from a cgroup's path: 64
// hexadecimal digits as the last part, with a runtime's prefix and .scope.
// The runtime is empty where the path does not tell it.
func Name(p string) (id, runtime string) {
	last := strings.TrimSuffix(path.Base(p), ".scope")
	for _, x := range prefixes {
		rest, ok := strings.CutPrefix(last, x.prefix)
		if !ok || !hex64(rest) {
			continue
		}
		runtime = x.runtime
		if runtime == "" && path.Base(path.Dir(p)) == "docker" {
			runtime = "docker"
		}
		return rest, runtime
	}
	return "", ""
}

func hex64(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
