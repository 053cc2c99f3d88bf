package sensor

import (
	"bytes"
	"net/netip"
	"path"

	"sekisho"
	"sekisho/enforce/sensor/dns"
)

const (
	removeDir   = 0x200 // AT_REMOVEDIR
	established = 1     // TCP_ESTABLISHED, of datagram sockets with a fixed peer too
)

// call decodes a system call that returned.
func (s *Sensor) call(x *callEvent, rest []byte, f func(*sekisho.Event)) {
	h := &x.Head
	e := s.event(h)
	if int(h.Call) < len(s.callName) {
		e.Syscall = s.callName[h.Call]
	}
	base, rest := cut(rest, x.Base)
	first, rest := cut(rest, x.Path)
	base2, rest := cut(rest, x.Base2)
	second, rest := cut(rest, x.Path2)
	data, _ := cut(rest, x.Data)
	e.File, e.Flags, e.Mode, e.UID, e.GID, e.Number, e.Target = int(x.File), x.Flags, x.Mode, x.EUID, x.EGID, int64(x.Number), int(x.Target)
	e.Origin, e.Made = origin(x.Origin), x.Made != 0
	e.Path, e.Other = absolute(base, first), absolute(base2, second)
	if e.Kind == sekisho.EventOpen && h.Result >= 0 {
		first, e.Other = second, "" // the text; the path is that of the file
	}
	if bytes.Contains(first, []byte("..")) || bytes.HasPrefix(first, []byte("/proc/")) {
		e.Raw = string(first) // rules look for paths that climb, or go through another process
	}
	if len(data) > 0 {
		e.Data = bytes.Clone(data)
	}
	switch e.Kind {
	case sekisho.EventUnlink:
		if e.Syscall == "unlinkat" && e.Flags&removeDir != 0 {
			e.Kind = sekisho.EventRmdir
		}
	case sekisho.EventAccept, sekisho.EventSocket:
		e.File = int(h.Result)
	case sekisho.EventOpen:
		e.File = max(int(h.Result), -1)
	case sekisho.EventSymlink, sekisho.EventMount:
		if e.Syscall != "move_mount" {
			e.Other = string(second)
		}
	}
	if x.Family != 0 {
		e.Net = s.conn(h, x.Family, x.Type, x.Protocol, x.LPort, x.RPort, x.Local, x.Remote)
		e.Net.Unix, e.Other = e.Other, ""
		e.Net.Connected = x.State == established
		if e.Syscall == "bind" {
			e.Net.Local, e.Net.Remote = e.Net.Remote, netip.AddrPort{}
		}
		e.Net.Inbound = e.Kind == sekisho.EventAccept || e.Kind == sekisho.EventReceive
	}
	s.emitKilled(e, h.Flags, ReasonWrite, f)
}

// absolute joins a path with the directory that it begins at.
func absolute(base, name []byte) string {
	if len(name) == 0 {
		return ""
	}
	if name[0] == '/' || len(base) == 0 {
		return path.Clean(string(name))
	}
	return path.Join(string(base), string(name))
}

// network decodes what the hooks below the system calls tell.
func (s *Sensor) network(x *netEvent, f func(*sekisho.Event)) {
	h := &x.Head
	e := s.event(h)
	e.Net = s.conn(h, x.Family, x.Type, x.Protocol, x.LPort, x.RPort, x.Local, x.Remote)
	e.Net.Inbound = h.Flags&flagInbound != 0
	switch e.Kind {
	case sekisho.EventSocket:
		e.Number, e.Flags = int64(x.Family), uint64(x.Type)
	case sekisho.EventDenied:
		if int(x.Op) < len(denials) {
			e.Syscall, e.Reason = denials[x.Op].call, denials[x.Op].reason
		}
		if e.Syscall == "bind" || e.Syscall == "socket" {
			e.Net.Remote = netip.AddrPort{}
		}
		if e.Syscall == "socket" {
			e.Net.Local = netip.AddrPort{}
		}
	}
	s.emitKilled(e, h.Flags, ReasonListen, f)
}

// denials say what was denied by enum op of bpf/event.h.
var denials = [...]struct{ call, reason string }{{}, {"connect", ReasonConnection}, {"sendto", ReasonConnection}, {"bind", ReasonListen}, {"socket", ReasonSocket}}

func (s *Sensor) conn(h *head, family, kind, protocol, lport, rport uint16, local, remote [16]byte) *sekisho.EventConn {
	c := &sekisho.EventConn{Protocol: protocolName(family, kind, protocol), Domain: int(family), Type: int(kind)}
	if family == 2 || family == 10 {
		c.Local, c.Remote = addrPort(family, local, lport), addrPort(family, remote, rport)
		c.Name = s.names.Of(h.Container, c.Remote.Addr())
	}
	return c
}

func addrPort(family uint16, b [16]byte, port uint16) netip.AddrPort {
	if family == 2 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(b).Unmap(), port)
}

const multipath = 262 // IPPROTO_MPTCP

func protocolName(family, kind, protocol uint16) string {
	switch {
	case family == 1:
		return "unix"
	case protocol == 6, protocol == multipath, protocol == 0 && kind == 1:
		return "tcp"
	case protocol == 17, protocol == 0 && kind == 2:
		return "udp"
	case protocol == 1, protocol == 58:
		return "icmp"
	}
	return "raw"
}

// dns decodes the answer of a name server.
func (s *Sensor) dns(x *dnsEvent, f func(*sekisho.Event)) {
	payload, protocol := x.Payload[:min(int(x.Length), len(x.Payload))], "udp"
	if x.Stream != 0 {
		payload, protocol = dns.Message(payload), "tcp"
	}
	a, ok := dns.Parse(payload)
	if !ok {
		return
	}
	e := s.event(&x.Head)
	s.names.Add(x.Head.Container, a)
	e.Path, e.Number, e.Result = a.Name, int64(a.Kind), -int64(a.Code)
	e.Net = &sekisho.EventConn{Protocol: protocol, Addresses: a.Addresses, Inbound: true}
	s.emit(e, f)
}
