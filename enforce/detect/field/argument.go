package field

import (
	"net/netip"
	"strconv"

	"sekisho"
)

// argumentNames are the names of evt.arg, in the order of evt.args.
func argumentNames() []string {
	return []string{"res", "fd", "request", "cmd", "domain", "type", "name", "filename", "path", "oldpath", "newpath", "target", "linkpath", "dev", "dir", "flags", "nstype", "mode", "uid", "gid", "addr", "tuple", "pid", "oldfd", "newfd", "exe", "cwd"}
}

// argument is evt.arg.NAME: a parameter of the system call, as text.
func argument(x *Context, a Arg, v *Value) bool {
	e := x.Event
	switch a.Text {
	case "res":
		v.S = x.decimal(e.Result)
		if e.Result < 0 {
			v.S = errno(e.Result)
		}
		return true
	case "fd":
		var ok bool
		if v.N, ok = descriptor(x); ok {
			v.S = x.decimal(v.N)
		}
		return ok
	case "flags":
		return flags(x, v)
	case "mode":
		if !of(sekisho.EventChmod, sekisho.EventOpen, sekisho.EventCreate, sekisho.EventMkdir).Has(e.Kind) {
			return false
		}
		v.S = x.names(uint64(e.Mode), modeNames)
		return true
	}
	if ok, known := paths(e, x.Type, a.Text, v); known {
		return ok
	}
	return numbers(x, a.Text, v)
}

func (x *Context) decimal(n int64) string {
	start := len(x.buf)
	x.buf = strconv.AppendInt(x.buf, n, 10)
	return x.text(start)
}

// paths are arguments that name files.
func paths(e *sekisho.Event, typ, key string, v *Value) (ok, known bool) {
	set := func(s string) (bool, bool) { v.S = s; return s != "", true }
	switch e.Kind {
	case sekisho.EventOpen, sekisho.EventCreate:
		if key == "name" || key == "path" {
			if e.Raw != "" {
				return set(e.Raw)
			}
			return set(e.Path)
		}
	case sekisho.EventUnlink, sekisho.EventRmdir:
		// unlinkat(2), which removes directories too, calls it name, the others path.
		if key == "name" && typ == "unlinkat" || key == "path" && typ != "unlinkat" {
			return set(e.Path)
		}
	case sekisho.EventMkdir:
		if key == "path" {
			return set(e.Path)
		}
	case sekisho.EventRename, sekisho.EventLink:
		switch key {
		case "oldpath":
			return set(e.Path)
		case "newpath":
			return set(e.Other)
		}
	case sekisho.EventSymlink:
		switch key {
		case "linkpath":
			return set(e.Path)
		case "target":
			return set(e.Other)
		}
	case sekisho.EventChmod, sekisho.EventChown:
		if key == "filename" || key == "path" || key == "pathname" {
			return set(e.Path)
		}
	case sekisho.EventMount:
		switch key {
		case "dir":
			return set(e.Path)
		case "dev":
			return set(e.Other)
		}
	case sekisho.EventExec:
		switch key {
		case "filename", "trusted_exepath", "exe":
			if e.Process == nil {
				return false, true
			}
			return set(e.Process.Path)
		}
	}
	return false, false
}

// numbers are arguments that are numbers with names.
func numbers(x *Context, key string, v *Value) bool {
	e := x.Event
	switch {
	case key == "request" && e.Kind == sekisho.EventPtrace:
		v.S = ptraceName(e.Number)
	case key == "cmd" && e.Kind == sekisho.EventBPF:
		v.S = pick(bpfNames, e.Number)
	case key == "domain" && e.Kind == sekisho.EventSocket && e.Net != nil:
		v.S = pick(domainNames, int64(e.Net.Domain))
	case key == "type" && e.Kind == sekisho.EventSocket && e.Net != nil:
		v.S = socketType(e.Net.Type)
	case key == "nstype" && e.Kind == sekisho.EventSetns:
		v.S = x.names(e.Flags, cloneNames)
	case key == "uid" && (e.Kind == sekisho.EventSetuid || e.Kind == sekisho.EventChown):
		if v.S = x.user(e.UID); v.S == "" {
			v.S = x.decimal(int64(int32(e.UID)))
		}
	case key == "gid" && e.Kind == sekisho.EventChown:
		v.S = x.decimal(int64(int32(e.GID)))
	case key == "pid" && e.Target != 0:
		v.S = x.decimal(int64(e.Target))
	case key == "newfd" && e.Kind == sekisho.EventDup:
		v.S = x.decimal(e.Result)
	case key == "oldfd" && e.Kind == sekisho.EventDup:
		v.S = x.decimal(int64(e.File))
	case (key == "tuple" || key == "addr") && e.Net != nil:
		v.S, _ = connName(x)
	case key == "cwd" && e.Process != nil:
		v.S = e.Process.Directory
	default:
		return false
	}
	return v.S != ""
}

// flags are those of the event's system call.
func flags(x *Context, v *Value) bool {
	e := x.Event
	start := len(x.buf)
	switch e.Kind {
	case sekisho.EventOpen, sekisho.EventCreate:
		bits := openFlags(x)
		x.buf = append(x.buf, [...]string{"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"}[bits&3]...)
		more := x.names(bits, openNames)
		if more != "" {
			at := len(x.buf) - len(more)
			x.buf = append(x.buf, 0)
			copy(x.buf[at+1:], x.buf[at:])
			x.buf[at] = '|'
		}
	case sekisho.EventExec:
		if e.Process == nil {
			return false
		}
		x.exeFlags(e.Process)
	case sekisho.EventUnshare, sekisho.EventSetns, sekisho.EventFork:
		x.names(e.Flags, cloneNames)
	case sekisho.EventMount:
		x.names(e.Flags, mountNames)
	case sekisho.EventUnlink:
		if x.Type == "unlink" {
			return false
		}
		x.names(e.Flags, []flag{{0x200, "AT_REMOVEDIR"}})
	default:
		x.buf = strconv.AppendUint(x.buf, e.Flags, 10)
	}
	v.S = x.text(start)
	return v.S != ""
}

func (x *Context) exeFlags(p *sekisho.Process) {
	bits := uint64(0)
	switch p.Origin {
	case sekisho.OriginUpper:
		bits = 2
	case sekisho.OriginImage:
		bits = 8
	case sekisho.OriginMemory:
		if memfd(p.Path) {
			bits = 4
		}
	}
	x.names(bits, []flag{{2, "EXE_UPPER_LAYER"}, {4, "EXE_FROM_MEMFD"}, {8, "EXE_LOWER_LAYER"}})
}

// On reports whether events of a type can have the field at all.
func (f *Field) On(a Arg, t EventType) bool {
	if f.Never || !f.Kinds.Has(t.Kind) {
		return false
	}
	if f.Name != "evt.arg" && f.Name != "evt.rawarg" {
		return true
	}
	// An event that has everything an event of its type can have.
	end := netip.AddrPortFrom(netip.IPv4Unspecified(), 1)
	full := sekisho.Event{Kind: t.Kind, Path: "/a", Other: "/b", Flags: 1<<63 - 1, Mode: 0o7777, Number: 1, Target: 1, Process: &sekisho.Process{Path: "/a", Directory: "/", Origin: sekisho.OriginUpper},
		Net: &sekisho.EventConn{Domain: 2, Type: 1, Local: end, Remote: end}}
	x := Context{Event: &full, Type: t.Name}
	var v Value
	return f.Get(&x, a, &v)
}
