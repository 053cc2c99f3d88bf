package field_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/detect/field"
)

// values are what a field holds in an event, as text; nil when it is missing.
func values(t *testing.T, e *sekisho.Event, name, arg string) []string {
	t.Helper()
	types := field.NewTypes()
	i := types.Of(e)
	if i < 0 {
		t.Fatalf("%+v is of no type", e)
	}
	f, a, problem := field.NewTable().Find(name, arg, arg != "")
	if problem != "" {
		t.Fatalf("%s %s", name, problem)
	}
	var x field.Context
	x.Reset(e, types.List()[i].Name)
	if f.Many(a) {
		var out []string
		for _, v := range f.List(&x, a, nil) {
			out = append(out, string(f.Format(nil, &v)))
		}
		return out
	}
	var v field.Value
	if !f.Get(&x, a, &v) {
		return nil
	}
	return []string{string(f.Format(nil, &v))}
}

func conn(kind sekisho.EventKind, local, remote string) *sekisho.Event {
	c := &sekisho.EventConn{Protocol: "tcp", Local: netip.MustParseAddrPort(local), Name: "db.example"}
	if remote != "" {
		c.Remote = netip.MustParseAddrPort(remote)
	}
	return &sekisho.Event{Kind: kind, Net: c, File: 3}
}

func TestFields(t *testing.T) {
	out := conn(sekisho.EventConnect, "10.0.0.1:40000", "[2001:db8::1]:443")
	in := conn(sekisho.EventAccept, "10.0.0.1:80", "192.0.2.1:5000")
	listens := conn(sekisho.EventListen, "0.0.0.0:80", "")
	unbound := conn(sekisho.EventConnect, "0.0.0.0:0", "192.0.2.1:443") // as it is when the call begins
	memfd := &sekisho.Event{Kind: sekisho.EventExec, Process: &sekisho.Process{Path: "/memfd:runc_cloned:/proc/self/exe"}}
	box := &sekisho.Container{ID: "0123456789abcdef", Name: "c", Image: "reg.example:5000/a/b:1.2@sha256:00", Mounts: []sekisho.Mount{{Source: "/proc", Destination: "/host/proc", Type: "bind"}}, Labels: map[string]string{"team": "x"},
		Workload: sekisho.Workload{Platform: "kubernetes", Namespace: "ns", Pod: "p"}}
	opened := &sekisho.Event{Kind: sekisho.EventOpen, Path: "/etc/ssl/x.pem", Raw: "../etc/ssl/x.pem", Flags: 0o1101, Mode: 0o640, Result: 5, File: 5, Container: box}
	for _, c := range []struct {
		e         *sekisho.Event
		name, arg string
		want      []string
	}{
		{out, "fd.name", "", []string{"10.0.0.1:40000->2001:db8::1:443"}}, {out, "fd.sip", "", []string{"2001:db8::1"}}, {out, "fd.sport", "", []string{"443"}}, {out, "fd.lport", "", []string{"40000"}}, {out, "fd.sip.name", "", []string{"db.example"}}, {out, "fd.cip.name", "", nil},
		{out, "fd.ip", "", []string{"10.0.0.1", "2001:db8::1"}}, {out, "fd.type", "", []string{"ipv6"}}, {out, "fd.typechar", "", []string{"6"}}, {out, "fd.is_server", "", []string{"false"}}, {out, "fd.directory", "", nil},
		{in, "fd.sport", "", []string{"80"}}, {in, "fd.cip", "", []string{"192.0.2.1"}}, {in, "fd.name", "", []string{"192.0.2.1:5000->10.0.0.1:80"}}, {in, "fd.is_server", "", []string{"true"}},
		{listens, "fd.name", "", []string{"0.0.0.0:80"}}, {listens, "fd.cip", "", nil}, {listens, "fd.port", "", []string{"80"}},
		{unbound, "fd.ip", "", []string{"192.0.2.1"}}, {unbound, "fd.port", "", []string{"443"}}, {unbound, "fd.cip", "", nil}, {unbound, "fd.lport", "", nil}, {unbound, "fd.name", "", []string{"192.0.2.1:443"}}, {memfd, "proc.exepath", "", []string{"memfd:runc_cloned:/proc/self/exe"}},
		{opened, "fd.directory", "", []string{"/etc/ssl"}}, {opened, "fd.filename", "", []string{"x.pem"}}, {opened, "fd.nameraw", "", []string{"../etc/ssl/x.pem"}}, {opened, "evt.arg.flags", "", []string{"O_WRONLY|O_CREAT|O_TRUNC"}}, {opened, "evt.arg", "mode", []string{"S_IRGRP|S_IWUSR|S_IRUSR"}},
		{opened, "evt.is_open_write", "", []string{"true"}}, {opened, "evt.is_open_read", "", []string{"false"}}, {opened, "fd.num", "", []string{"5"}}, {opened, "fd.ip", "", nil}, {opened, "evt.type", "", []string{"openat"}},
		{opened, "container.id", "", []string{"0123456789ab"}}, {opened, "container.image.repository", "", []string{"reg.example:5000/a/b"}}, {opened, "container.image.tag", "", []string{"1.2"}}, {opened, "container.mount.dest", "/proc*", []string{"/host/proc"}}, {opened, "container.mount.dest", "/var", []string{"N/A"}},
		{opened, "container.mounts", "", []string{"/proc:/host/proc:bind:true"}}, {opened, "container.label.team", "", []string{"x"}}, {opened, "k8s.ns.name", "", []string{"ns"}}, {opened, "k8s.pod.name", "", []string{"p"}}, {out, "container.name", "", []string{"host"}}, {out, "container.image", "", nil},
		{&sekisho.Event{Kind: sekisho.EventOpen, Path: "/x", Result: -13}, "fd.num", "", []string{"-1"}}, {&sekisho.Event{Kind: sekisho.EventOpen, Path: "/x", Result: -13}, "evt.res", "", []string{"EACCES"}}, {&sekisho.Event{Kind: sekisho.EventConnect, Result: -115}, "evt.res", "", []string{"EINPROGRESS"}},
		{&sekisho.Event{Kind: sekisho.EventOpen, Syscall: "creat", Path: "/x"}, "evt.is_open_write", "", []string{"true"}}, {&sekisho.Event{Kind: sekisho.EventCreate, Path: "/x"}, "evt.type", "", []string{"openat"}}, {&sekisho.Event{Kind: sekisho.EventCreate, Path: "/x"}, "evt.arg.flags", "", []string{"O_WRONLY|O_CREAT|O_TRUNC"}},
		{&sekisho.Event{Kind: sekisho.EventRmdir, Syscall: "unlinkat", Path: "/x"}, "evt.arg.name", "", []string{"/x"}}, {&sekisho.Event{Kind: sekisho.EventRmdir, Path: "/x"}, "evt.arg.path", "", []string{"/x"}}, {&sekisho.Event{Kind: sekisho.EventUnlink, Path: "/x"}, "evt.arg.path", "", nil},
		{&sekisho.Event{Kind: sekisho.EventRename, Path: "/x", Other: "/y"}, "evt.arg.newpath", "", []string{"/y"}}, {&sekisho.Event{Kind: sekisho.EventPtrace, Number: 0x4206}, "evt.arg.request", "", []string{"PTRACE_SEIZE"}}, {&sekisho.Event{Kind: sekisho.EventUnshare, Flags: 0x10020000}, "evt.arg.flags", "", []string{"CLONE_NEWNS|CLONE_NEWUSER"}},
		{&sekisho.Event{Kind: sekisho.EventOpen, Path: "/etc", Flags: 0x10000}, "fd.typechar", "", []string{"d"}}, {&sekisho.Event{Kind: sekisho.EventOpen, Path: "/etc", Flags: 0x10000}, "fd.directory", "", []string{"/etc"}}, {&sekisho.Event{Kind: sekisho.EventOpen, Path: "/etc"}, "fd.directory", "", []string{"/"}},
		{&sekisho.Event{Kind: sekisho.EventExec, Time: time.Unix(0, 5), Process: &sekisho.Process{Name: "x", Origin: sekisho.OriginMemory, Path: "/memfd:x (deleted)"}}, "evt.arg.flags", "", []string{"EXE_FROM_MEMFD"}}, {&sekisho.Event{Kind: sekisho.EventCapability, Number: 21}, "sekisho.capability", "", []string{"CAP_SYS_ADMIN"}},
		{&sekisho.Event{Kind: sekisho.EventSetuid, UID: 33}, "evt.arg.uid", "", []string{"33"}}, {&sekisho.Event{Kind: sekisho.EventSetuid}, "evt.arg.uid", "", []string{"root"}},
	} {
		if got := values(t, c.e, c.name, c.arg); !slices.Equal(got, c.want) {
			t.Errorf("%s[%s] of kind %v is %q, want %q", c.name, c.arg, c.e.Kind, got, c.want)
		}
	}
}

// TestTable holds that every field can be taken from an event that has next to
// nothing.
func TestTable(t *testing.T) {
	types := field.NewTypes()
	for name, f := range field.NewTable() {
		if f.Name != name || f.Get == nil && f.List == nil {
			t.Errorf("%s: %+v", name, f)
		}
		for _, typ := range types.List() {
			for _, e := range []*sekisho.Event{{Kind: typ.Kind}, {Kind: typ.Kind, Process: &sekisho.Process{}, Net: &sekisho.EventConn{}, Container: &sekisho.Container{}}} {
				var x field.Context
				x.Reset(e, typ.Name)
				var v field.Value
				if f.Get != nil {
					f.Get(&x, field.Arg{Has: true, Text: "x"}, &v)
					f.Get(&x, field.Arg{}, &v)
				}
				if f.List != nil {
					f.List(&x, field.Arg{}, nil)
				}
			}
		}
	}
}
