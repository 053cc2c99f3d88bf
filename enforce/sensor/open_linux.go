package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"sekisho"
	"sekisho/enforce/container"
	"sekisho/enforce/sensor/dns"
	"sekisho/enforce/sensor/pin"
	"sekisho/enforce/sensor/ring"
	"sekisho/internal/intern"
)

// Sensor listens until it is closed.
type Sensor struct {
	o          Options
	maps       map[string]*ebpf.Map
	cache      *btf.Cache           // the kernel's types, while programs are loaded
	form       form                 // of the programs that this kernel takes
	refused    map[string]error     // features that this kernel refused
	links      map[string]link.Link // by feature
	loaded     map[string]*ebpf.Program
	objects    map[string]*ebpf.CollectionSpec // while programs are loaded
	callName   [512]string
	programs   []*ebpf.Program
	features   []Feature
	config     []byte // the map of that name, in memory
	critical   *ring.Ring
	bulk       *ring.Ring
	stop       int // an eventfd
	epoll      int
	tree       *tree
	seq        uint64
	expected   []uint64 // the last number of each CPU
	shares     *intern.Table
	gap        bool // a number was missing
	untold     bool // there were events since the losses were looked at
	told       time.Time
	boot       time.Duration
	bootAt     time.Time
	names      *dns.Names
	mu         sync.Mutex // of what follows
	policies   map[uint32]Policy
	assigned   map[string]assignment // by container
	rules      map[uint32]*written   // by number
	idle       []uint32              // of those that no container is under, the oldest first
	trial      Mode                  // as if a policy had it
	ahead      Mode                  // of policies that are expected
	mode       Mode                  // what was in use when the hooks were attached
	pins       *pin.Store            // nil where nothing outlives the sensor
	unpinned   map[string]string     // why, by feature; "" for all
	generation pin.Generation
	settled    bool
	resting    bool
	outlived   *Outlived
	before     map[string]bool   // programs that were attached all the time
	reading    []byte            // the map of the reader, in memory
	reader     *reader           // what outlives the sensor of its reading
	over       map[uint64]uint32 // beyond budgets, that were told
	lost       *[64]uint64       // that were told
	provedLSM  bool              // the kernel asks programs before it acts
}

// Open loads the programs and attaches what the options ask for. It needs
// CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN, or root.
func Open(o Options) (*Sensor, error) {
	s := &Sensor{o: o, over: map[uint64]uint32{}, refused: map[string]error{}, maps: map[string]*ebpf.Map{}, shares: intern.New(words), stop: -1, epoll: -1, names: dns.New(), policies: map[uint32]Policy{}, assigned: map[string]assignment{}, rules: map[uint32]*written{}, unpinned: map[string]string{}, before: map[string]bool{}, links: map[string]link.Link{}, loaded: map[string]*ebpf.Program{}}
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	if s.o.Containers == nil {
		s.o.Containers = container.New(container.Options{})
	}
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Sensor) open() error {
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}) // kernels before 5.11
	if err := s.takePins(); err != nil {
		return err
	}
	var err error
	if s.objects, err = s.choose(); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	s.tree = newTree(s.o.Now)
	s.attachAll()
	if f := s.features[0]; f.State != OK {
		return sekisho.Errorf(sekisho.Unavailable, "this kernel shows no exec: %s", f.Why).WithHint("kernel 5.8 or later with type information in /sys/kernel/btf/vmlinux is needed")
	}
	if err := s.seed(); err != nil {
		return err
	}
	return s.rings()
}

// choose takes the objects with direct loads where this kernel knows them,
// and makes the maps that all programs share.
func (s *Sensor) choose() (map[string]*ebpf.CollectionSpec, error) {
	proc, err := parse("proc", s.form)
	if err != nil {
		return nil, err
	}
	if err := s.makeMaps(proc); err != nil {
		return nil, err
	}
	if err := s.number(); err != nil {
		return nil, err
	}
	if p, err := s.load(proc, "on_exec"); err == nil {
		s.loaded["on_exec"] = p
	} else {
		s.form = old
	}
	specs := map[string]*ebpf.CollectionSpec{}
	for _, name := range objectNames {
		spec, err := parse(name, s.form)
		if err != nil {
			return nil, err
		}
		if err := s.makeMaps(spec); err != nil {
			return nil, err
		}
		specs[name] = spec
	}
	return specs, nil
}

// object returns an object to load programs from.
func (s *Sensor) object(name string) (*ebpf.CollectionSpec, error) {
	if s.objects[name] == nil {
		spec, err := parse(name, s.form)
		if err != nil {
			return nil, err
		}
		if s.objects == nil {
			s.objects = map[string]*ebpf.CollectionSpec{}
		}
		s.objects[name] = spec
	}
	return s.objects[name], nil
}

// loadedAll lets go of what only loading needs: megabytes of types.
func (s *Sensor) loadedAll() { s.objects, s.cache = nil, nil }

// form is how programs were compiled.
type form string

// The forms: with direct loads (6.2 and later), with loads by a helper, and
// those of system calls for kernels before 5.17.
const (
	direct form = ""
	old    form = "_old"
	oldest form = "_oldest"
)

func parse(name string, f form) (*ebpf.CollectionSpec, error) {
	data, err := objects.ReadFile("bpf/" + name + string(f) + ".o")
	if err != nil {
		data, err = objects.ReadFile("bpf/" + name + "_" + runtime.GOARCH + string(f) + ".o")
	}
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Unavailable, "no programs for %s: %w", runtime.GOARCH, err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read the object %s: %w", name, err)
	}
	return spec, nil
}

func (s *Sensor) makeMaps(spec *ebpf.CollectionSpec) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count the CPUs: %w", err)
	}
	grows := s.grows()
	for name, m := range spec.Maps {
		if name == "scratches" {
			m.MaxEntries = uint32(cpus)
		}
		if m.Type == ebpf.Hash && !grows {
			m.Flags &^= unix.BPF_F_NO_PREALLOC
		}
		if s.maps[name] != nil || strings.HasPrefix(name, ".") {
			continue
		}
		made, err := s.pins.Map(name, m)
		if err != nil {
			if errors.Is(err, os.ErrPermission) {
				return sekisho.Errorf(sekisho.Forbidden, "make the map %s: %w", name, err).WithHint("run it as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN")
			}
			return fmt.Errorf("make the map %s: %w", name, err)
		}
		s.maps[name] = made
	}
	return nil
}

// grows says whether maps may get their memory as they fill: kernels before
// 6.1 warn of that where programs of system calls use them.
func (s *Sensor) grows() bool {
	types, err := s.kernelTypes()
	if err != nil {
		return false
	}
	var allocator *btf.Struct
	return types.TypeByName("bpf_mem_alloc", &allocator) == nil
}

// kernelTypes are read once, and let go of when everything is loaded.
func (s *Sensor) kernelTypes() (*btf.Spec, error) {
	if s.cache == nil {
		s.cache = btf.NewCache()
	}
	return s.cache.Kernel()
}

// load loads one program of an object on its own, so that one which this
// kernel refuses does not take the others with it.
func (s *Sensor) load(spec *ebpf.CollectionSpec, name string) (*ebpf.Program, error) {
	if _, err := s.kernelTypes(); err != nil {
		return nil, fmt.Errorf("read the kernel's types: %w", err)
	}
	one := spec.Copy()
	for k := range one.Programs {
		if k != name {
			delete(one.Programs, k)
		}
	}
	if v := one.Variables["thread_size"]; v != nil {
		if err := v.Set(uint32(max(16384, os.Getpagesize()))); err != nil {
			return nil, fmt.Errorf("tell the size of stacks: %w", err)
		}
	}
	if v := one.Variables["generation"]; v != nil {
		if err := v.Set(s.generation.Number); err != nil {
			return nil, fmt.Errorf("number the programs: %w", err)
		}
	}
	replace := map[string]*ebpf.Map{}
	for k := range one.Maps {
		if s.maps[k] != nil {
			replace[k] = s.maps[k]
			one.Maps[k].Flags = s.maps[k].Flags() // as this kernel takes it
		}
	}
	c, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{MapReplacements: replace, Cache: s.cache})
	if err != nil {
		return nil, err
	}
	p := c.Programs[name]
	delete(c.Programs, name)
	c.Close()
	s.programs = append(s.programs, p)
	return p, nil
}

// configure writes what the programs read on every event.
func (s *Sensor) configure() error {
	host, err := hostMounts()
	if err != nil {
		return err
	}
	c := s.shared()
	v := configValue{HostWants: s.o.Host.wants(), HostOpens: uint32(s.o.Host.Opens), HostMntNS: host, Env: uint32(min(s.o.Env, 8191)), Data: uint32(min(s.o.Data, 1023)), Budget: uint32(s.o.Budget), Self: uint32(os.Getpid()), Generation: c.Generation}
	if s.o.Containers.V1() {
		v.V1 = 1
	}
	if v.Caps = s.o.Capabilities; v.Caps == 0 {
		v.Caps = escapes
	}
	s.o.Loss.write(&v)
	*c = v
	if err := s.describeNames(); err != nil {
		return err
	}
	if err := s.describeCalls(); err != nil {
		return err
	}
	return s.SetPolicy(0, s.o.Default)
}

// hostMounts returns the number of the host's mount namespace: that of the
// first process, or of the kernel's threads where the first one may not be
// looked at.
func hostMounts() (uint32, error) {
	var err error
	for _, pid := range []string{"1", "2"} {
		var st unix.Stat_t
		if err = unix.Stat("/proc/"+pid+"/ns/mnt", &st); err == nil {
			return uint32(st.Ino), nil
		}
	}
	return 0, sekisho.Errorf(sekisho.Forbidden, "read the host's mount namespace: %w", err).WithHint("in a container, run it with --pid=host and CAP_SYS_PTRACE")
}

func (s *Sensor) shared() *configValue { return (*configValue)(unsafe.Pointer(&s.config[0])) }

func (s *Sensor) rings() error {
	var err error
	for _, r := range []struct {
		name string
		to   **ring.Ring
		done *uint64
	}{{"critical", &s.critical, &s.reader.Critical}, {"bulk", &s.bulk, &s.reader.Bulk}} {
		m := s.maps[r.name]
		if *r.to, err = ring.New(m.FD(), int(m.MaxEntries()), r.done); err != nil {
			return err
		}
	}
	if s.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make an event descriptor: %w", err)
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll: %w", err)
	}
	for _, fd := range []int{s.maps["critical"].FD(), s.maps["bulk"].FD(), s.stop} {
		if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return fmt.Errorf("watch a ring: %w", err)
		}
	}
	return nil
}

// seed learns what runs already: containers into the kernel's map, processes
// into the tree. The programs are attached by now, so nothing falls between.
func (s *Sensor) seed() error {
	for key, owner := range s.o.Containers.Running() {
		if err := s.maps["cgroups"].Update(key, cgroupValue{Container: owner}, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return fmt.Errorf("name a container's cgroup: %w", err)
		}
	}
	s.clock()
	s.tree.seed("/proc", s.bootAt.Add(-s.boot))
	return nil
}

// clock compares the kernel's time since boot with that of the wall.
func (s *Sensor) clock() {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err == nil {
		s.boot, s.bootAt = time.Duration(ts.Nano()), s.o.Now()
	}
}

func (s *Sensor) wall(boot uint64) time.Time {
	return s.bootAt.Add(time.Duration(boot) - s.boot).UTC()
}

// Features says what this kernel can do of what the sensor knows.
func (s *Sensor) Features() []Feature {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.features
}

// SetPolicy writes a policy; containers follow it at once.
func (s *Sensor) SetPolicy(id uint32, p Policy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[id] = p
	err := s.maps["policies"].Put(id, policyValue{Wants: p.wants(), Mode: uint32(p.Mode), Opens: uint32(p.Opens)})
	if err != nil {
		return fmt.Errorf("write policy %d: %w", id, err)
	}
	if s.tree != nil {
		s.attachAll()
	}
	return nil
}

// Exempt lets one file's content run in spite of drift: content that is the
// image's although the file was copied up. It holds until the file changes.
func (s *Sensor) Exempt(inode uint64, device uint32, changed uint64) error {
	return s.maps["exempt"].Put(exemptKey{Inode: inode, Device: device}, changed)
}

// counts reads the kernel's counters.
func (s *Sensor) counts() (map[sekisho.EventKind]Count, error) {
	kinds := map[sekisho.EventKind]Count{}
	var values []counterValue
	for k := uint32(1); k < s.maps["counters"].MaxEntries(); k++ {
		if err := s.maps["counters"].Lookup(k, &values); err != nil {
			return nil, fmt.Errorf("read the counters: %w", err)
		}
		var sum Count
		for _, v := range values {
			sum = sum.add(Count(v))
		}
		if sum != (Count{}) {
			kinds[sekisho.EventKind(k)] = sum
		}
	}
	return kinds, nil
}

// Stats says what the kernel counted.
func (s *Sensor) Stats() (Stats, error) {
	kinds, err := s.counts()
	if err != nil {
		return Stats{}, err
	}
	st := Stats{Kinds: kinds}
	for _, sum := range kinds {
		st.Total = st.Total.add(sum)
	}
	s.mu.Lock()
	programs := slices.Clone(s.programs)
	s.mu.Unlock()
	for _, p := range programs {
		if ps, err := p.Stats(); err == nil {
			st.Missed += ps.RecursionMisses
		}
	}
	if s.tree != nil {
		st.Processes = s.tree.len()
	}
	return st, nil
}

// Close detaches everything. Run must have returned.
func (s *Sensor) Close() error {
	for _, l := range s.links {
		l.Close()
	}
	defer s.pins.Close()
	for _, p := range s.programs {
		p.Close()
	}
	for _, r := range []*ring.Ring{s.critical, s.bulk} {
		if r != nil {
			r.Close()
		}
	}
	for _, mem := range [][]byte{s.config, s.reading} {
		if mem != nil {
			unix.Munmap(mem)
		}
	}
	for _, fd := range []int{s.stop, s.epoll} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	for _, m := range s.maps {
		m.Close()
	}
	return nil
}
