package field

import (
	"strings"
	"time"

	"sekisho"
)

// Types turns what an event says of itself into evt.type.
type Types struct {
	names  map[string]int
	byKind [64]int
	list   []EventType
}

// NewTypes returns the table of event types.
func NewTypes() *Types {
	t := &Types{names: map[string]int{}, list: EventTypes()}
	for i := range t.byKind {
		t.byKind[i] = -1
	}
	for i, e := range t.list {
		t.names[e.Name] = i
		if t.byKind[e.Kind] < 0 && e.Kind != sekisho.EventNone {
			t.byKind[e.Kind] = i
		}
	}
	t.byKind[sekisho.EventCreate] = t.names["openat"] // a file that was made is one opened to write
	return t
}

// List returns all types; an index in it names one.
func (t *Types) List() []EventType { return t.list }

// Of returns the index of an event's type, or -1.
func (t *Types) Of(e *sekisho.Event) int {
	usual := -1
	if int(e.Kind) < len(t.byKind) {
		usual = t.byKind[e.Kind]
	}
	if e.Syscall == "" || usual >= 0 && t.list[usual].Name == e.Syscall {
		return usual
	}
	if i, ok := t.names[e.Syscall]; ok {
		return i
	}
	return usual
}

// Index returns the index of a name, or -1.
func (t *Types) Index(name string) int {
	if i, ok := t.names[name]; ok {
		return i
	}
	return -1
}

func eventFields() []Field {
	n := func(name string, get func(*Context) (int64, bool), kinds Kinds) Field {
		return Field{Name: name, Type: Number, Kinds: kinds, Get: func(x *Context, _ Arg, v *Value) (ok bool) { v.N, ok = get(x); return ok }}
	}
	b := func(name string, get func(*Context) bool, kinds Kinds) Field {
		return Field{Name: name, Type: Bool, Kinds: kinds, Get: func(x *Context, _ Arg, v *Value) bool { v.N = bit(get(x)); return true }}
	}
	s := func(name string, cost uint8, get func(*Context) (string, bool)) Field {
		return Field{Name: name, Cost: cost, Get: func(x *Context, _ Arg, v *Value) (ok bool) { v.S, ok = get(x); return ok }}
	}
	opens := of(sekisho.EventOpen, sekisho.EventCreate)
	access := func(x *Context) uint64 { return openFlags(x) & 3 }
	return []Field{
		s("evt.type", 0, func(x *Context) (string, bool) { return x.Type, true }),
		s("syscall.type", 0, func(x *Context) (string, bool) { return x.Type, true }),
		s("evt.source", 0, func(x *Context) (string, bool) { return "syscall", true }),
		s("evt.dir", 0, func(x *Context) (string, bool) { return "<", true }),
		s("evt.res", 1, func(x *Context) (string, bool) {
			if x.Event.Result < 0 {
				return errno(x.Event.Result), true
			}
			return "SUCCESS", true
		}),
		s("evt.time", 9, func(x *Context) (string, bool) { return x.clock("15:04:05.000000000") }),
		s("evt.time.s", 9, func(x *Context) (string, bool) { return x.clock("15:04:05") }),
		s("evt.time.iso8601", 9, func(x *Context) (string, bool) { return x.clock("2006-01-02T15:04:05.000000000+0000") }),
		s("evt.datetime", 9, func(x *Context) (string, bool) { return x.clock("2006-01-02 15:04:05.000000000") }),
		s("evt.datetime.s", 9, func(x *Context) (string, bool) { return x.clock("2006-01-02 15:04:05") }),
		s("evt.hostname", 1, func(x *Context) (string, bool) { return x.Host, x.Host != "" }),
		s("evt.args", 9, func(x *Context) (string, bool) { return x.arguments(), true }),
		s("evt.info", 9, func(x *Context) (string, bool) { return x.arguments(), true }),
		s("evt.buffer", 1, func(x *Context) (string, bool) { return x.bytes(x.Event.Data), len(x.Event.Data) > 0 }),
		s("evt.category", 1, category),
		{Name: "evt.arg", Arg: MustKey, Cost: 4, Get: argument}, {Name: "evt.rawarg", Arg: MustKey, Cost: 4, Get: argument},
		n("evt.num", func(x *Context) (int64, bool) { return int64(x.Event.Seq), true }, 0),
		n("evt.rawres", func(x *Context) (int64, bool) { return x.Event.Result, true }, 0),
		n("evt.buflen", func(x *Context) (int64, bool) { return int64(len(x.Event.Data)), len(x.Event.Data) > 0 }, 0),
		n("evt.count", func(x *Context) (int64, bool) { return 1, true }, 0),
		n("evt.rawtime", func(x *Context) (int64, bool) { return stamp(x.Event.Time) }, 0),
		b("evt.failed", func(x *Context) bool { return x.Event.Result < 0 }, 0),
		b("evt.is_open_read", func(x *Context) bool { return access(x) == 0 || access(x) == 2 }, opens),
		b("evt.is_open_write", func(x *Context) bool { return access(x) == 1 || access(x) == 2 }, opens),
		b("evt.is_open_exec", func(x *Context) bool {
			return openFlags(x)&(0x40|0x400000) != 0 && x.Event.Mode&0o111 != 0
		}, opens),
		b("evt.is_open_create", func(x *Context) bool { return openFlags(x)&(0x40|0x400000) != 0 }, opens),
		b("evt.is_io_read", func(x *Context) bool { return x.Event.Kind == sekisho.EventReceive }, 0),
		b("evt.is_io_write", func(x *Context) bool { return x.Event.Kind == sekisho.EventSend }, 0),
		b("evt.is_io", func(x *Context) bool {
			return x.Event.Kind == sekisho.EventSend || x.Event.Kind == sekisho.EventReceive
		}, 0),
	}
}

// openFlags are those of open(2); a file that was made is one opened to write.
func openFlags(x *Context) uint64 {
	if x.Event.Flags == 0 && (x.Event.Kind == sekisho.EventCreate || x.Type == "creat") {
		return 0o1101 // O_WRONLY, O_CREAT, O_TRUNC
	}
	return x.Event.Flags
}

func category(x *Context) (string, bool) {
	switch x.Event.Kind {
	case sekisho.EventExec, sekisho.EventFork, sekisho.EventExit, sekisho.EventPtrace:
		return "process", true
	case sekisho.EventConnect, sekisho.EventAccept, sekisho.EventListen, sekisho.EventSocket, sekisho.EventDNS:
		return "net", true
	case sekisho.EventSend:
		return "IO write", true
	case sekisho.EventReceive:
		return "IO read", true
	case sekisho.EventSetuid:
		return "user", true
	case sekisho.EventBPF, sekisho.EventModule, sekisho.EventMount, sekisho.EventSetns, sekisho.EventUnshare:
		return "system", true
	}
	return "file", true
}

func (x *Context) clock(layout string) (string, bool) {
	if x.Event.Time.IsZero() {
		return "", false
	}
	start := len(x.buf)
	x.buf = x.Event.Time.In(time.UTC).AppendFormat(x.buf, layout)
	return x.text(start), true
}

func (x *Context) bytes(b []byte) string {
	start := len(x.buf)
	x.buf = append(x.buf, b...)
	return x.text(start)
}

// arguments writes all arguments that the event has.
func (x *Context) arguments() string {
	var parts []string
	for _, key := range argumentNames() {
		var v Value
		if argument(x, Arg{Has: true, Text: key}, &v) {
			parts = append(parts, key+"="+v.S)
		}
	}
	return strings.Join(parts, " ")
}
