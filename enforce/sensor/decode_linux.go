package sensor

import (
	"bytes"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sekisho"
	"sekisho/enforce/container"
)

var origins = [...]string{sekisho.OriginUnknown, sekisho.OriginImage, sekisho.OriginUpper, sekisho.OriginVolume, sekisho.OriginMemory, sekisho.OriginDeleted, sekisho.OriginHost}

func origin(n uint8) string {
	if int(n) < len(origins) {
		return origins[n]
	}
	return sekisho.OriginUnknown
}

// decode reads a record in place and hands on the event it is of.
func (s *Sensor) decode(b []byte, f func(*sekisho.Event)) {
	if len(b) < int(unsafe.Sizeof(head{})) {
		return
	}
	h := recordHead(b)
	switch kind := sekisho.EventKind(h.Kind); kind {
	case sekisho.EventExec:
		if len(b) >= fixedSize {
			s.exec((*execEvent)(unsafe.Pointer(h)), b[fixedSize:], f)
		}
	case sekisho.EventFork:
		if len(b) >= int(unsafe.Sizeof(forkEvent{})) {
			s.fork((*forkEvent)(unsafe.Pointer(h)), f)
		}
	case sekisho.EventExit:
		s.exit(h, f)
	case sekisho.EventCgroup:
		if len(b) >= fixedSize {
			s.cgroup((*cgroupEvent)(unsafe.Pointer(h)), b[fixedSize:], f)
		}
	case sekisho.EventCapability, sekisho.EventIOUring:
		if len(b) >= int(unsafe.Sizeof(numberEvent{})) {
			e := s.event(h)
			e.Number = (*numberEvent)(unsafe.Pointer(h)).Number
			reason := ReasonWrite
			if kind == sekisho.EventCapability {
				reason = ReasonSocket
			}
			s.emitKilled(e, h.Flags, reason, f)
		}
	case sekisho.EventDNS:
		if len(b) >= int(unsafe.Sizeof(dnsEvent{})) {
			s.dns((*dnsEvent)(unsafe.Pointer(h)), f)
		}
	default:
		s.other(h, b, f)
	}
}

// other decodes what a system call or a network hook tells.
func (s *Sensor) other(h *head, b []byte, f func(*sekisho.Event)) {
	switch {
	case len(b) == int(unsafe.Sizeof(netEvent{})):
		s.network((*netEvent)(unsafe.Pointer(h)), f)
	case len(b) >= fixedSize:
		s.call((*callEvent)(unsafe.Pointer(h)), b[fixedSize:], f)
	}
}

// container finds whose an event is: by the cgroup that the kernel took the
// container from, else by the process's own.
func (s *Sensor) container(h *head) *sekisho.Container {
	if h.Container != 0 {
		if c := s.o.Containers.Container(h.Container); c != nil {
			return c
		}
	}
	if h.Cgroup != 0 {
		return s.o.Containers.Container(h.Cgroup)
	}
	return nil
}

// event begins an event of a process.
func (s *Sensor) event(h *head) *sekisho.Event {
	e := &sekisho.Event{Time: s.wall(h.Time), Kind: sekisho.EventKind(h.Kind), Container: s.container(h), Result: h.Result, Compat: h.Flags&flagCompat != 0}
	if h.Flags&flagNoTask == 0 {
		e.Process = s.process(h, e.Container)
	}
	return e
}

// process finds the process of an event, or makes one of what the event tells.
func (s *Sensor) process(h *head, c *sekisho.Container) *sekisho.Process {
	if n := s.tree.find(h.PID, h.Start); n != nil {
		if sekisho.EventKind(h.Kind) == sekisho.EventSetuid && h.Result >= 0 {
			return n.p // who asked for it; the record tells who it is now
		}
		return n.as(h.UID, h.GID)
	}
	p := &sekisho.Process{ID: identity(h.Start, h.CPU), PID: int(h.PID), ParentPID: int(h.ParentPID), Name: s.comm(h.Comm[:]), UID: h.UID, GID: h.GID, LoginUID: 1<<32 - 1, Started: s.wall(h.Start)}
	if c != nil {
		p.Container = c.ID
	}
	return s.tree.put(h.PID, h.Start, p, s.tree.live[h.ParentPID]).p
}

// identity is unique on the host since it started: one CPU does not run two
// programs in a microsecond.
func identity(ns uint64, cpu uint32) uint64 { return ns&^0x3ff | uint64(cpu)&0x3ff }

func (s *Sensor) comm(b []byte) string {
	if n := bytes.IndexByte(b, 0); n >= 0 {
		b = b[:n]
	}
	return s.shares.Text(b)
}

// cut takes a string of n bytes off what follows an event.
func cut(b []byte, n uint32) (head, rest []byte) {
	n = min(n, uint32(len(b)))
	return b[:n], b[n:]
}

func (s *Sensor) exec(x *execEvent, rest []byte, f func(*sekisho.Event)) {
	h := &x.Head
	c := s.container(h)
	path, rest := cut(rest, x.Path)
	cwd, rest := cut(rest, x.Cwd)
	args, rest := cut(rest, x.Args)
	env, _ := cut(rest, x.Env)
	made := &born{}
	p := &made.p
	*p = sekisho.Process{
		ID: identity(h.Time, h.CPU), PID: int(h.PID), ParentPID: int(h.ParentPID), InnerPID: int(x.Inner), Name: s.comm(h.Comm[:]),
		Path: s.shares.Text(path), Args: s.shares.List(args), Directory: s.shares.Text(cwd), UID: h.UID, GID: h.GID, LoginUID: x.LoginUID,
		Effective: x.Effective, Permitted: x.Permitted, TTY: x.TTY, Leader: x.Leader != 0, Origin: origin(x.Origin), Replaces: h.Flags&flagLower != 0,
		Inode: x.Inode, Device: device(x.Device), Changed: nanoseconds(x.Changed), Modified: nanoseconds(x.Modified),
		Sockets: x.Sockets, Session: int(x.Session), Started: s.wall(h.Start),
	}
	if x.Env > 0 {
		p.Env = s.shares.List(env)
	}
	parent := s.tree.find(h.ParentPID, x.ParentStart)
	if before := s.tree.find(h.PID, h.Start); before != nil && before.p.Parent != nil {
		parent = &node{p: before.p.Parent, depth: before.depth - 1}
	}
	if x.MntNS == s.shared().HostMntNS && (parent == nil || parent.p.Container == "") {
		c = nil // the runtime itself, on its way into the container: it still sees the host's files
	}
	if c != nil {
		p.Container = c.ID
	}
	s.tree.add(h.PID, h.Start, made, parent)
	if c == nil {
		s.o.Containers.Executed(p)
	}
	e := &sekisho.Event{Time: s.wall(h.Time), Kind: sekisho.EventExec, Syscall: "execve", Process: p, Container: c, Path: p.Path, Origin: p.Origin, Compat: h.Flags&flagCompat != 0}
	s.emitKilled(e, h.Flags, ReasonProcess, f)
}

// emitKilled hands an event on, and another one when the process was killed
// for it: for drift, or because its profile does not have it.
func (s *Sensor) emitKilled(e *sekisho.Event, flags uint8, reason string, f func(*sekisho.Event)) {
	if flags&flagKilled == 0 {
		s.emit(e, f)
		return
	}
	e.Reason = ReasonDrift
	if flags&flagProfile != 0 {
		e.Reason = reason
	}
	s.emit(e, f)
	k := *e
	k.Kind, k.Syscall = sekisho.EventKill, ""
	s.emit(&k, f)
}

// device writes the kernel's number of a device as stat(2) does.
func device(n uint32) uint64 { return unix.Mkdev(n>>20, n&(1<<20-1)) }

func nanoseconds(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

func (s *Sensor) fork(x *forkEvent, f func(*sekisho.Event)) {
	h := &x.Head
	c := s.container(h)
	made := &born{}
	p := &made.p
	p.LoginUID = 1<<32 - 1
	parent := s.tree.find(x.Parent, x.ParentStart)
	if parent != nil {
		*p = *parent.p
		p.Ended = time.Time{}
	}
	p.ID, p.PID, p.ParentPID, p.InnerPID = identity(h.Time, h.CPU), int(h.PID), int(x.Parent), int(x.Inner)
	p.Name, p.UID, p.GID, p.Started, p.Leader, p.Container, p.Parent = s.comm(h.Comm[:]), h.UID, h.GID, s.wall(h.Start), false, "", nil
	if c != nil {
		p.Container = c.ID
	}
	s.tree.add(h.PID, h.Start, made, parent)
	s.emit(&sekisho.Event{Time: s.wall(h.Time), Kind: sekisho.EventFork, Process: p, Container: c, Compat: h.Flags&flagCompat != 0}, f)
}

func (s *Sensor) exit(h *head, f func(*sekisho.Event)) {
	c := s.container(h)
	p := s.process(h, c)
	if _, live := s.tree.live[h.PID]; !live {
		return // two last threads told it
	}
	last := &struct {
		e sekisho.Event
		p sekisho.Process
	}{p: *p}
	e := &last.e
	e.Time, e.Kind, e.Container, e.Result, e.Process, e.Compat = s.wall(h.Time), sekisho.EventExit, c, h.Result, &last.p, h.Flags&flagCompat != 0
	last.p.Ended = e.Time
	s.tree.end(h.PID, h.Start)
	s.emit(e, f)
}

func (s *Sensor) cgroup(x *cgroupEvent, rest []byte, f func(*sekisho.Event)) {
	h := &x.Head
	path, _ := cut(rest, x.Path)
	var c *sekisho.Container
	switch {
	case h.Flags&flagRemoved != 0:
		c = s.o.Containers.Container(h.Cgroup)
		s.o.Containers.Removed(h.Cgroup)
		if c != nil {
			s.forget(c.ID)
		}
	case h.Flags&flagKnown != 0:
		c = s.o.Containers.Inherit(h.Cgroup, x.Parent)
	default:
		c = s.o.Containers.Made(container.Cgroup{Key: h.Cgroup, Path: string(path)})
		if c != nil && h.Container == 0 {
			_ = s.maps["cgroups"].Update(h.Cgroup, cgroupValue{Container: h.Cgroup}, ebpf.UpdateNoExist)
		}
	}
	if c == nil {
		return
	}
	if h.Flags&flagRemoved == 0 {
		s.reassign(h.Cgroup, c.ID)
	}
	e := &sekisho.Event{Time: s.wall(h.Time), Kind: sekisho.EventCgroup, Path: string(path), Container: c, Flags: uint64(h.Flags & flagRemoved), Number: int64(h.Cgroup >> 56)}
	if n := s.tree.find(h.PID, h.Start); n != nil {
		e.Process = n.p
	}
	s.emit(e, f)
}
