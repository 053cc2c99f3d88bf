package field

import (
	"strings"

	"sekisho"
)

func memfd(path string) bool {
	return strings.HasPrefix(path, "memfd:") || strings.HasPrefix(path, "/memfd:")
}

// files are the kinds of events that carry an open file or directory.
func files() Kinds {
	return of(sekisho.EventOpen, sekisho.EventCreate, sekisho.EventMap, sekisho.EventModule)
}

// sockets are the kinds that carry a connection.
func sockets() Kinds {
	return of(sekisho.EventConnect, sekisho.EventAccept, sekisho.EventListen, sekisho.EventSend, sekisho.EventReceive, sekisho.EventDup, sekisho.EventSocket, sekisho.EventDNS, sekisho.EventDenied)
}

// hasFile reports whether the event is about a descriptor of a file.
func hasFile(x *Context) bool {
	e := x.Event
	return e.Path != "" && (files().Has(e.Kind) || e.Kind == sekisho.EventDup && e.Net == nil || x.Type == "fchmod" || x.Type == "fchown")
}

// descriptor is fd.num; -1 of an open that did not succeed.
func descriptor(x *Context) (int64, bool) {
	e := x.Event
	switch {
	case e.Kind == sekisho.EventOpen || e.Kind == sekisho.EventCreate:
		if e.Result < 0 {
			return -1, true
		}
		if e.File > 0 {
			return int64(e.File), true
		}
		return e.Result, true
	case hasFile(x) || sockets().Has(e.Kind):
		return int64(e.File), true
	}
	return 0, false
}

func fdName(x *Context) (string, bool) {
	if hasFile(x) {
		return x.Event.Path, true
	}
	return connName(x)
}

func isDirectory(e *sekisho.Event) bool {
	return e.Flags&0x10000 != 0 && (e.Kind == sekisho.EventOpen || e.Kind == sekisho.EventCreate)
}

// split cuts a path into directory and name; the root's directory is itself.
func split(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	switch {
	case i < 0:
		return "", path
	case i == 0:
		return "/", path[1:]
	}
	return path[:i], path[i+1:]
}

func fdType(x *Context) (string, string) {
	e := x.Event
	switch {
	case hasFile(x) && isDirectory(e):
		return "directory", "d"
	case hasFile(x) && memfd(e.Path):
		return "memfd", "m"
	case hasFile(x):
		return "file", "f"
	case e.Net == nil || !sockets().Has(e.Kind):
		return "", ""
	case e.Net.Unix != "" || e.Net.Protocol == "unix":
		return "unix", "u"
	}
	remote, local := e.Net.Remote.Addr(), e.Net.Local.Addr()
	switch {
	case remote.Is4() || !remote.IsValid() && local.Is4():
		return "ipv4", "4"
	case remote.Is6() || local.Is6():
		return "ipv6", "6"
	}
	return "", ""
}

func fileFields() []Field {
	both := files() | sockets() | of(sekisho.EventChmod, sekisho.EventChown)
	s := func(name string, get func(*Context) (string, bool)) Field {
		return Field{Name: name, Kinds: both, Cost: 1, Get: func(x *Context, _ Arg, v *Value) (ok bool) { v.S, ok = get(x); return ok }}
	}
	where := func(name string, get func(*sekisho.Event) string) Field {
		return Field{Name: name, Get: func(x *Context, _ Arg, v *Value) bool { v.S = get(x.Event); return v.S != "" }}
	}
	named := func(x *Context) (string, bool) { return x.Event.Path, hasFile(x) }
	return []Field{
		{Name: "fd.num", Type: Number, Kinds: both, Get: func(x *Context, _ Arg, v *Value) (ok bool) { v.N, ok = descriptor(x); return ok }},
		s("fd.name", fdName),
		s("fd.nameraw", func(x *Context) (string, bool) {
			if hasFile(x) && x.Event.Raw != "" {
				return x.Event.Raw, true
			}
			return fdName(x)
		}),
		s("fd.directory", func(x *Context) (string, bool) {
			path, ok := named(x)
			dir, _ := split(path)
			if isDirectory(x.Event) {
				dir = path
			}
			return dir, ok && dir != ""
		}),
		s("fd.filename", func(x *Context) (string, bool) {
			path, ok := named(x)
			_, base := split(path)
			return base, ok && base != ""
		}),
		s("fd.containername", func(x *Context) (string, bool) { return fdName(x) }),
		s("fd.type", func(x *Context) (string, bool) { typ, _ := fdType(x); return typ, typ != "" }),
		s("fd.typechar", func(x *Context) (string, bool) { _, c := fdType(x); return c, c != "" }),
		{Name: "fd.is_upper_layer", Type: Bool, Kinds: files(), Get: func(x *Context, _ Arg, v *Value) bool {
			v.N = bit(x.Event.Origin == sekisho.OriginUpper)
			return hasFile(x) && x.Event.Origin != ""
		}},
		{Name: "fd.is_lower_layer", Type: Bool, Kinds: files(), Get: func(x *Context, _ Arg, v *Value) bool {
			v.N = bit(x.Event.Origin == sekisho.OriginImage)
			return hasFile(x) && x.Event.Origin != ""
		}},
		where("fs.path.name", func(e *sekisho.Event) string {
			if e.Kind == sekisho.EventExec {
				return ""
			}
			return e.Path
		}),
		where("fs.path.source", func(e *sekisho.Event) string {
			if e.Kind == sekisho.EventRename || e.Kind == sekisho.EventLink {
				return e.Path
			}
			if e.Kind == sekisho.EventMount || e.Kind == sekisho.EventSymlink {
				return e.Other
			}
			return ""
		}),
		where("fs.path.target", func(e *sekisho.Event) string {
			switch e.Kind {
			case sekisho.EventRename, sekisho.EventLink:
				return e.Other
			case sekisho.EventMount, sekisho.EventSymlink:
				return e.Path
			}
			return ""
		}),
	}
}
