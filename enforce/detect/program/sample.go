package program

import (
	"net/netip"
	"time"

	"sekisho"
	"sekisho/enforce/detect/field"
)

// samples are ordinary events of a type, for which no rule is meant: look-ups
// are chosen by how many rules they leave out for these. They say nothing
// about what rules hold.
func samples(t field.EventType) []*sekisho.Event {
	var out []*sekisho.Event
	for i, p := range sampleProcesses() {
		e := &sekisho.Event{Seq: 1, Time: time.Unix(4000, 0), Kind: t.Kind, Syscall: t.Name, Process: p}
		if p.Container != "" {
			e.Container = &sekisho.Container{ID: p.Container, Name: "service", Runtime: "docker", Image: "registry.example/team/service:1", Started: time.Unix(1000, 0)}
		}
		out = append(out, dress(e, i)...)
	}
	return out
}

func sampleProcesses() []*sekisho.Process {
	make := func(name, path, container string, parent *sekisho.Process, args ...string) *sekisho.Process {
		p := &sekisho.Process{PID: 300, InnerPID: 30, ParentPID: 200, Name: name, Path: path, Args: append([]string{name}, args...), Directory: "/srv", UID: 0, LoginUID: 1<<32 - 1,
			Origin: sekisho.OriginImage, Started: time.Unix(2000, 0), Changed: time.Unix(500, 0), Container: container, Parent: parent}
		if container == "" {
			p.Origin, p.InnerPID = sekisho.OriginHost, p.PID
		}
		return p
	}
	const id = "4f5e2a1b9c8d7e6f4f5e2a1b9c8d7e6f4f5e2a1b9c8d7e6f4f5e2a1b9c8d7e6f"
	shim := make("containerd-shim", "/usr/bin/containerd-shim", "", nil, "-id", id)
	entry := make("entry", "/entry", id, shim, "--listen")
	daemon := make("initd", "/sbin/initd", "", nil)
	user := make("worker", "/opt/worker", id, make("entry", "/entry", id, shim), "--queue", "mail", "--threads", "8")
	user.UID, user.GID = 1000, 1000
	return []*sekisho.Process{make("worker", "/opt/worker", id, entry, "--queue", "mail", "--threads", "8"), user, make("collector", "/opt/collector", "", daemon, "--interval", "10")}
}

// dress gives an event what its kind has.
func dress(e *sekisho.Event, n int) []*sekisho.Event {
	more := *e
	switch e.Kind {
	case sekisho.EventOpen, sekisho.EventCreate:
		e.Path, e.File, e.Result = "/usr/lib/locale/C/data", 5, 5
		more.Path, more.File, more.Result, more.Flags, more.Mode = "/srv/data/cache.tmp", 6, 6, 0o1101, 0o644
	case sekisho.EventRename, sekisho.EventLink, sekisho.EventSymlink:
		e.Path, e.Other = "/srv/data/cache.tmp", "/srv/data/cache"
		more.Path, more.Other = "/tmp/a", "/tmp/b"
	case sekisho.EventUnlink, sekisho.EventMkdir, sekisho.EventRmdir, sekisho.EventChmod, sekisho.EventChown, sekisho.EventMount, sekisho.EventMap:
		e.Path, e.Mode = "/srv/data/cache", 0o644
		more.Path, more.Mode = "/tmp/a", 0o644
	case sekisho.EventConnect, sekisho.EventAccept, sekisho.EventListen, sekisho.EventSend, sekisho.EventReceive, sekisho.EventSocket, sekisho.EventDup:
		local, remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 2, 3}), 41000), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 9, byte(n)}), 5432)
		e.Net = &sekisho.EventConn{Protocol: "tcp", Local: local, Remote: remote, Domain: 2, Type: 1}
		e.File, e.Result = 7, 0
		more.Net = &sekisho.EventConn{Protocol: "tcp", Local: local, Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 9}), 443), Domain: 2, Type: 1}
		more.File = 8
		if e.Kind == sekisho.EventDup {
			e.Net, e.Path, e.Result, more.Result = nil, "/dev/null", 9, 9
		}
	}
	list := []*sekisho.Event{e, &more}
	if e.Kind == sekisho.EventOpen {
		third := more
		third.Path, third.Flags = "/opt/worker.d/state", 0o2
		list = append(list, &third)
	}
	return list
}

// classOf computes the row of a filter for an event.
func (f *filter) classOf(m *Matcher) int {
	if f.group >= 0 {
		return int(m.class(int(f.group)))
	}
	if m.leaf(&m.p.leaves[f.leaf]) {
		return 1
	}
	return 0
}
