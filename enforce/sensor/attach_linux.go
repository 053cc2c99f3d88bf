package sensor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"sekisho"
)

//go:generate sh bpf/build.sh

var objectNames = []string{"proc", "net", "sys", "lsm"}

// part is one place where a program is attached. The first one is that
// without which nothing works.
type part struct {
	feature, object, program string
	cgroup                   ebpf.AttachType // of a program that cgroups run
	tracepoint               string          // of a system call; it taxes all calls a little
	kinds                    []sekisho.EventKind
	mode                     Mode // wanted by policies of this mode too
	syscall                  string
	only                     bool            // when the system call is named in the options
	still                    bool            // it tells nothing: it is there for its mode only
	others                   func() []string // programs for kernels that do not have this one's place
}

// parts returns everything that can be attached.
func (s *Sensor) parts() []part {
	socket := []sekisho.EventKind{sekisho.EventSocket}
	if s.shared().V1 != 0 {
		socket = append(socket, sekisho.EventDNS) // an answer is of the socket's maker: its packet does not tell
	}
	list := []part{
		{feature: "exec", object: "proc", program: "on_exec"},
		{feature: "fork", object: "proc", program: "on_fork"},
		{feature: "exit", object: "proc", program: "on_exit"},
		{feature: "cgroup made", object: "proc", program: "on_cgroup_mkdir"},
		{feature: "cgroup removed", object: "proc", program: "on_cgroup_rmdir"},
		{feature: "capability", object: "proc", program: "on_capable", others: func() []string { return []string{"on_capable_exit"} }, kinds: []sekisho.EventKind{sekisho.EventCapability}, mode: DenyRaw},
		{feature: "io_uring", object: "proc", program: "on_uring", others: s.uring, kinds: []sekisho.EventKind{sekisho.EventIOUring}, mode: KillWrite},
		{feature: "connect IPv4", object: "net", program: "on_connect4", cgroup: ebpf.AttachCGroupInet4Connect, kinds: []sekisho.EventKind{sekisho.EventConnect}, mode: DenyConnect},
		{feature: "connect IPv6", object: "net", program: "on_connect6", cgroup: ebpf.AttachCGroupInet6Connect, kinds: []sekisho.EventKind{sekisho.EventConnect}, mode: DenyConnect},
		{feature: "datagram IPv4", object: "net", program: "on_sendmsg4", cgroup: ebpf.AttachCGroupUDP4Sendmsg, kinds: []sekisho.EventKind{sekisho.EventSend}, mode: DenyConnect},
		{feature: "datagram IPv6", object: "net", program: "on_sendmsg6", cgroup: ebpf.AttachCGroupUDP6Sendmsg, kinds: []sekisho.EventKind{sekisho.EventSend}, mode: DenyConnect},
		{feature: "socket made", object: "net", program: "on_socket", cgroup: ebpf.AttachCGroupInetSockCreate, kinds: socket, mode: DenyRaw | DenyICMP},
		{feature: "bind IPv4", object: "net", program: "on_bind4", cgroup: ebpf.AttachCGroupInet4Bind, mode: DenyListen | DenyConnect, still: true},
		{feature: "bind IPv6", object: "net", program: "on_bind6", cgroup: ebpf.AttachCGroupInet6Bind, mode: DenyListen | DenyConnect, still: true},
		{feature: "listen and accept", object: "net", program: "on_state", kinds: []sekisho.EventKind{sekisho.EventListen, sekisho.EventAccept}, mode: DenyListen},
		{feature: "DNS answers", object: "net", program: "on_dns", cgroup: ebpf.AttachCGroupInetIngress, kinds: []sekisho.EventKind{sekisho.EventDNS}, mode: DenyConnect},
		{feature: lsmExec, object: "lsm", program: "lsm_exec", mode: KillUpper | KillVolume | KillMemory},
		{feature: lsmMap, object: "lsm", program: "lsm_mmap", mode: KillMapped},
		{feature: lsmProtect, object: "lsm", program: "lsm_mprotect", mode: KillMapped},
		{feature: "mmap of code", object: "sys", program: "on_mmap", tracepoint: "sys_exit_mmap", kinds: []sekisho.EventKind{sekisho.EventMap}, mode: KillMapped},
		{feature: "mprotect of code", object: "sys", program: "on_mprotect", tracepoint: "sys_enter_mprotect", kinds: []sekisho.EventKind{sekisho.EventMap}, mode: KillMapped},
	}
	for _, c := range syscalls() {
		p := part{feature: "call " + c.name, object: "sys", program: "on_call", tracepoint: tracepointOf(c.name), kinds: []sekisho.EventKind{c.kind}, syscall: c.name, only: c.tier0}
		if c.how&howOpen != 0 {
			p.mode = KillWrite
		}
		list = append(list, p)
	}
	return list
}

// tracepointOf names the tracepoint of a call's return: after the kernel's own
// name of the call.
func tracepointOf(call string) string {
	if call == "umount2" {
		call = "umount"
	}
	return "sys_exit_" + call
}

// asked says whether any policy wants what a part tells.
func (s *Sensor) asked(p part) bool {
	if p.object == "lsm" {
		return s.asksLSM(p)
	}
	if len(p.kinds) == 0 && !p.still {
		return true
	}
	if p.only && !slices.Contains(s.o.Syscalls, p.syscall) {
		return false
	}
	bits, mode := s.o.Host.wants(), s.inUse()
	for _, policy := range s.policies {
		bits |= policy.wants()
	}
	for _, k := range p.kinds {
		if bits>>k&1 != 0 {
			return true
		}
	}
	if s.links[lsmMap] != nil && s.links[lsmProtect] != nil {
		return false // it is refused before it is mapped
	}
	return mode&p.mode != 0
}

// inUse returns what the policies of present containers forbid: hooks that only
// a policy without containers needs would cost all calls of the host something.
func (s *Sensor) inUse() Mode {
	mode := s.policies[0].Mode | s.trial | s.ahead
	if s.resting {
		mode |= s.policies[s.o.Loss.Unknown].Mode
	}
	for _, a := range s.assigned {
		mode |= s.policies[a.Policy].Mode
	}
	return mode
}

// Try attaches what policies of a mode need and detaches it again: it returns
// what this kernel can do.
func (s *Sensor) Try(m Mode) []Feature {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trial = m
	s.attachAll()
	features := s.features
	s.trial = 0
	s.attachAll()
	return features
}

// Expect attaches what policies of a mode need before a container is under
// one; 0 for none.
func (s *Sensor) Expect(m Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ahead != m {
		s.ahead = m
		s.attachAll()
	}
}

// attachAll attaches what is asked for and detaches what no longer is.
func (s *Sensor) attachAll() {
	parts := s.parts()
	features := make([]Feature, len(parts), len(parts)+1)
	// The first ones, which tell whatever runs on the host, come last: until
	// all are attached, nobody reads.
	for i, p := range slices.Backward(parts) {
		f := Feature{Name: p.feature, State: OK, Taxes: p.tracepoint != ""}
		l := s.links[p.feature]
		switch asked := s.asked(p); {
		case !asked:
			f.State = NotAsked
			s.detach(p.feature)
		case l == nil:
			err := s.refused[p.feature]
			if err == nil {
				err = s.keep(p)
			}
			if err != nil {
				s.refused[p.feature] = err
				f.State, f.Why = NotSupported, why(err)
			}
		}
		f.Unpinned = s.unpinned[p.feature]
		features[i] = f
	}
	s.features, s.mode = append(features, s.outlives()), s.inUse()
	s.loadedAll()
}

// outlives is the feature that programs and maps stay when the sensor ends.
func (s *Sensor) outlives() Feature {
	f := Feature{Name: "pinned", State: OK}
	switch {
	case s.o.Pins == "":
		f.State = NotAsked
	case s.pins == nil || s.unpinned[""] != "":
		f.State, f.Why = NotSupported, s.unpinned[""]
	}
	return f
}

// keep attaches a part and, once the sensor has taken over, pins it.
func (s *Sensor) keep(p part) error {
	l, err := s.attach(p)
	if err != nil {
		return err
	}
	s.links[p.feature] = l
	if s.settled {
		s.pinLink(p.feature)
	}
	return nil
}

func (s *Sensor) detach(feature string) {
	if s.settled {
		s.pins.Drop(s.generation, feature)
	}
	if l := s.links[feature]; l != nil {
		l.Close()
		delete(s.links, feature)
	}
}

func (s *Sensor) attach(p part) (link.Link, error) {
	if l := s.adopt(p); l != nil {
		return l, nil
	}
	l, err := s.attachTo(p)
	if p.others == nil || err == nil {
		return l, err
	}
	for _, other := range p.others() {
		p.program = other
		if x, failed := s.attachTo(p); failed == nil {
			return x, nil
		}
	}
	return l, err
}

func (s *Sensor) attachTo(p part) (link.Link, error) {
	prog, err := s.program(p)
	if err != nil {
		return nil, err
	}
	switch {
	case p.tracepoint != "":
		if p.syscall != "" {
			if _, ok := numbers[p.syscall]; !ok {
				return nil, errors.New("this architecture has no such call")
			}
		}
		if err := tracefs(); err != nil {
			return nil, err
		}
		l, err := link.Tracepoint("syscalls", p.tracepoint, prog, nil)
		if errors.Is(err, os.ErrNotExist) {
			err = errors.New("this kernel has no such tracepoint")
		}
		return l, err
	case p.object == "lsm":
		return s.attachLSM(prog)
	case prog.Type() != ebpf.Tracing:
		dir, err := s.unified()
		if err != nil {
			return nil, err
		}
		return link.AttachCgroup(link.CgroupOptions{Path: dir, Attach: p.cgroup, Program: prog})
	}
	return link.AttachTracing(link.TracingOptions{Program: prog})
}

// uring returns the program that knows where an older kernel's tracepoint has
// the number of io_uring's operation.
func (s *Sensor) uring() []string {
	types, err := s.kernelTypes()
	if err != nil {
		return nil
	}
	var d *btf.Typedef
	if err := types.TypeByName("btf_trace_io_uring_submit_sqe", &d); err != nil {
		return nil
	}
	p, _ := d.Type.(*btf.Pointer)
	if p == nil {
		return nil
	}
	f, _ := p.Target.(*btf.FuncProto)
	if f == nil {
		return nil
	}
	for i, a := range f.Params { // the first is the tracepoint's own
		if a.Name == "opcode" {
			return []string{fmt.Sprintf("on_uring_%d", i-1)}
		}
	}
	return []string{"on_uring_req"}
}

// program loads the program of a part, once.
func (s *Sensor) program(p part) (*ebpf.Program, error) {
	if prog := s.loaded[p.program]; prog != nil {
		return prog, nil
	}
	spec, err := s.object(p.object)
	if err != nil {
		return nil, err
	}
	load := s.load
	if s.form == old && p.object == "sys" && !s.finds() {
		load = s.loadOldest
	}
	prog, err := load(spec, p.program)
	if err != nil {
		return nil, err
	}
	s.loaded[p.program] = prog
	return prog, nil
}

// finds says whether programs can look for a mapping: the newest that those of
// system calls need. Without it they are loaded in their oldest form.
func (s *Sensor) finds() bool {
	types, err := s.kernelTypes()
	if err != nil {
		return false
	}
	var helpers *btf.Enum
	return types.TypeByName("bpf_func_id", &helpers) == nil && slices.ContainsFunc(helpers.Values, func(v btf.EnumValue) bool { return v.Name == "BPF_FUNC_find_vma" })
}

func (s *Sensor) loadOldest(_ *ebpf.CollectionSpec, name string) (*ebpf.Program, error) {
	spec, err := parse("sys", oldest)
	if err != nil {
		return nil, err
	}
	return s.load(spec, name)
}

// unified returns where cgroup v2 is mounted, which programs of sockets are
// attached to. Where no one did it is mounted aside: that takes nothing from
// the hierarchies of v1.
func (s *Sensor) unified() (string, error) {
	if dir := s.o.Containers.Unified(); dir != "" {
		return dir, nil
	}
	const dir = "/run/sekisho/cgroup2"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("mount cgroup v2: %w", err)
	}
	if err := unix.Mount("cgroup2", dir, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return "", fmt.Errorf("mount cgroup v2 at %s: %w", dir, err)
	}
	return dir, nil
}

// tracefs mounts the file system that numbers the tracepoints at its usual
// place where no one did.
func tracefs() error {
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if _, err := os.Stat(dir + "/events"); err == nil {
			return nil
		}
	}
	if err := unix.Mount("tracefs", "/sys/kernel/tracing", "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount tracefs at /sys/kernel/tracing: %w", err)
	}
	return nil
}

// describeNames writes the names whose opens are told, and only those.
func (s *Sensor) describeNames() error {
	want := map[uint64]bool{}
	for _, name := range s.o.Names {
		want[fnv1a(name)] = true
		if err := s.maps["names"].Put(fnv1a(name), uint8(1)); err != nil {
			return fmt.Errorf("write the name %q: %w", name, err)
		}
	}
	var old []uint64
	var k uint64
	var v uint8
	for it := s.maps["names"].Iterate(); it.Next(&k, &v); {
		if !want[k] {
			old = append(old, k)
		}
	}
	for _, k := range old {
		_ = s.maps["names"].Delete(k)
	}
	return nil
}

// describeCalls writes where each system call's arguments stand.
func (s *Sensor) describeCalls() error {
	for _, c := range syscalls() {
		nr, ok := numbers[c.name]
		if !ok || int(nr) >= len(s.callName) {
			continue
		}
		s.callName[nr] = c.name
		d := callDesc{Kind: uint8(c.kind), Dir: c.dir, Path: c.path, Dir2: c.dir2, Path2: c.path2, Flags: c.flags, Mode: c.mode, UID: c.uid, GID: c.gid, Number: c.number, File: c.file, Target: c.target, How: c.how}
		if err := s.maps["calls"].Put(nr, d); err != nil {
			return fmt.Errorf("describe %s: %w", c.name, err)
		}
	}
	s.callName[hookExec], s.callName[hookMap], s.callName[hookProtect] = "execve", "mmap", "mprotect"
	for _, name := range []string{"mmap", "mprotect"} {
		s.callName[numbers[name]] = name
	}
	return nil
}

// why is the first line of an error, without the verifier's log.
func why(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	line, _, _ = strings.Cut(line, " (MEMLOCK") // the limit is none; it is the kernel that says no
	return line[:min(len(line), 300)]
}
