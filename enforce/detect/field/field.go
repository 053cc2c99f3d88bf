// Package field takes the fields of the Falco language (proc.name, fd.sip,
// evt.arg.flags …) out of a kernel event. Nothing is computed before it is
// asked for, and nothing is allocated once a Context has been used. A field
// that an event does not have is reported as missing, never as empty.
package field

import (
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"sekisho"
)

// Type is what a field holds and how it is compared.
type Type uint8

// The types of fields.
const (
	String Type = iota
	Number
	Bool    // N is 0 or 1
	Address // IP
	Network // IP, compared with networks
	Time    // N is nanoseconds since 1970
)

// Value is what a field holds in one event.
type Value struct {
	S  string
	N  int64
	IP netip.Addr
}

// Arg is what stands in brackets after a field's name.
type Arg struct {
	Has   bool
	Text  string
	Index int
}

// Brackets says whether a field takes an argument.
type Brackets uint8

// The rules of arguments.
const (
	Bare    Brackets = iota // none
	MayIdx                  // perhaps a number
	MustIdx                 // a number
	MayKey                  // perhaps a word
	MustKey                 // a word
)

// Kinds is a set of kinds of events; none stands for all.
type Kinds uint64

func of(kinds ...sekisho.EventKind) (k Kinds) {
	for _, e := range kinds {
		k |= 1 << e
	}
	return k
}

// Has reports whether the set has the kind.
func (k Kinds) Has(e sekisho.EventKind) bool { return k == 0 || k&(1<<e) != 0 }

// Field is one field of the language.
type Field struct {
	Name  string
	Type  Type
	Arg   Brackets
	Kinds Kinds // only events of these kinds have it
	Cost  uint8 // 0 is at hand, 9 is dear
	// Get writes the value; false when the event does not have it.
	Get func(*Context, Arg, *Value) bool
	// List, instead of Get, appends all values of a field that has several:
	// a check holds when it holds for one of them.
	List func(*Context, Arg, []Value) []Value
	// Ends is a field of both ends of a connection: not equal must hold for
	// both, everything else for one.
	Ends bool
	// Never is a field that Falco knows and this sensor cannot fill.
	Never bool
}

// Many reports whether the field has several values when used with this argument.
func (f *Field) Many(a Arg) bool { return f.List != nil && (f.Ends || !a.Has) }

// Context is the event that fields are taken from, and memory for what has to
// be put together. It serves one goroutine.
type Context struct {
	Event  *sekisho.Event
	Type   string // evt.type
	Users  Users  // may be nil
	Host   string // evt.hostname
	Ports  int64  // that the container connected to at this peer within a minute
	Hosts  int64  // that the program connected to at this port within a minute
	Dialed bool   // the parent connected to another host within a minute
	buf    []byte
}

// Users names users and groups of a container, or of the host for nil.
type Users interface {
	User(c *sekisho.Container, uid uint32) (string, bool)
	Group(c *sekisho.Container, gid uint32) (string, bool)
}

// Reset points the context at another event. Strings taken before are no
// longer valid.
func (x *Context) Reset(e *sekisho.Event, typ string) {
	x.Event, x.Type = e, typ
	x.buf = x.buf[:0]
	if cap(x.buf) > 1<<18 {
		x.buf = nil
	}
}

// text returns what was appended to the buffer since start.
func (x *Context) text(start int) string {
	if start == len(x.buf) {
		return ""
	}
	return unsafe.String(&x.buf[start], len(x.buf)-start)
}

// Format writes a value as outputs show it.
func (f *Field) Format(b []byte, v *Value) []byte {
	switch f.Type {
	case Number, Time:
		return strconv.AppendInt(b, v.N, 10)
	case Bool:
		return strconv.AppendBool(b, v.N != 0)
	case Address, Network:
		return v.IP.Unmap().AppendTo(b)
	}
	return append(b, v.S...)
}

// ParseArg checks what stands in brackets.
func (f *Field) ParseArg(text string, has bool) (Arg, string) {
	a := Arg{Has: has, Text: text}
	switch {
	case has && f.Arg == Bare:
		return a, "takes no argument"
	case !has && (f.Arg == MustIdx || f.Arg == MustKey):
		return a, "wants an argument in square brackets"
	case has && (f.Arg == MayIdx || f.Arg == MustIdx):
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxAncestors {
			return a, "wants a small number in square brackets"
		}
		a.Index = n
	}
	return a, ""
}

// Table finds fields by name.
type Table map[string]*Field

// NewTable returns all fields.
func NewTable() Table {
	t := Table{}
	for _, group := range [][]Field{processFields(), ancestorFields(), flagFields(), eventFields(), fileFields(), connFields(), containerFields(), userFields(), neverFields()} {
		for i := range group {
			t[group[i].Name] = &group[i]
		}
	}
	return t
}

// Find returns a field and its argument. evt.arg.NAME, proc.aname.2 and
// container.label.NAME are other ways to write brackets.
func (t Table) Find(name, arg string, has bool) (*Field, Arg, string) {
	f := t[name]
	if f == nil && !has {
		for _, base := range []string{"evt.arg", "evt.rawarg", "proc.env", "container.label", "k8s.pod.label", "k8s.ns.label"} {
			if key, ok := strings.CutPrefix(name, base+"."); ok {
				f, arg, has = t[base], key, true
			}
		}
	}
	if f == nil {
		return nil, Arg{}, "is no field"
	}
	a, problem := f.ParseArg(arg, has)
	return f, a, problem
}
