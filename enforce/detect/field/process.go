package field

import (
	"strings"
	"time"

	"sekisho"
)

const maxAncestors = 64

// process returns the event's process.
func process(x *Context) *sekisho.Process { return x.Event.Process }

// ancestor returns the n-th ancestor, 0 is the process itself.
func ancestor(p *sekisho.Process, n int) *sekisho.Process {
	for ; p != nil && n > 0; n-- {
		p = p.Parent
	}
	return p
}

// ofProcess makes a getter of a string of the process.
func ofProcess(up int, get func(*Context, *sekisho.Process) (string, bool)) func(*Context, Arg, *Value) bool {
	return func(x *Context, _ Arg, v *Value) (ok bool) {
		p := ancestor(x.Event.Process, up)
		if p == nil {
			return false
		}
		v.S, ok = get(x, p)
		return ok
	}
}

// number makes a getter of a number of the process.
func number(up int, get func(*Context, *sekisho.Process) (int64, bool)) func(*Context, Arg, *Value) bool {
	return func(x *Context, _ Arg, v *Value) (ok bool) {
		p := ancestor(x.Event.Process, up)
		if p == nil {
			return false
		}
		v.N, ok = get(x, p)
		return ok
	}
}

func name(_ *Context, p *sekisho.Process) (string, bool) { return p.Name, p.Name != "" }

// exePath is the program's path. The public rules write the name of a memfd
// without what a path has around it.
func exePath(_ *Context, p *sekisho.Process) (string, bool) {
	if memfd(p.Path) {
		return strings.TrimSuffix(strings.TrimPrefix(p.Path, "/"), " (deleted)"), true
	}
	return p.Path, p.Path != ""
}

// exe is the program's own name for itself, its first argument.
func exe(_ *Context, p *sekisho.Process) (string, bool) {
	if len(p.Args) == 0 {
		return p.Path, p.Path != ""
	}
	return p.Args[0], true
}

// args are the arguments after the first, with blanks between.
func args(x *Context, p *sekisho.Process) (string, bool) {
	start := len(x.buf)
	if len(p.Args) > 1 {
		x.join(p.Args[1:])
	}
	return x.text(start), true
}

// cmdline is the name and the arguments.
func cmdline(x *Context, p *sekisho.Process) (string, bool) {
	return x.line(p.Name, p)
}

// exeline is the first argument as given and the others.
func exeline(x *Context, p *sekisho.Process) (string, bool) {
	first, _ := exe(x, p)
	return x.line(first, p)
}

func (x *Context) line(first string, p *sekisho.Process) (string, bool) {
	if first == "" {
		return "", false
	}
	start := len(x.buf)
	x.buf = append(x.buf, first...)
	if len(p.Args) > 1 {
		x.buf = append(x.buf, ' ')
		x.join(p.Args[1:])
	}
	return x.text(start), true
}

func (x *Context) join(words []string) {
	for i, w := range words {
		if i > 0 {
			x.buf = append(x.buf, ' ')
		}
		x.buf = append(x.buf, w...)
	}
}

// cwd ends with a slash, as Falco's does.
func cwd(x *Context, p *sekisho.Process) (string, bool) {
	if p.Directory == "" || strings.HasSuffix(p.Directory, "/") {
		return p.Directory, p.Directory != ""
	}
	start := len(x.buf)
	x.buf = append(append(x.buf, p.Directory...), '/')
	return x.text(start), true
}

func env(x *Context, p *sekisho.Process) (string, bool) {
	start := len(x.buf)
	x.join(p.Env)
	return x.text(start), len(p.Env) > 0
}

// envOf is all of the environment, or one variable of it.
func envOf(x *Context, a Arg, v *Value) (ok bool) {
	p := process(x)
	if p == nil {
		return false
	}
	if !a.Has {
		v.S, ok = env(x, p)
		return ok
	}
	return variable(p, a.Text, v)
}

func variable(p *sekisho.Process, key string, v *Value) bool {
	for _, e := range p.Env {
		if len(e) > len(key) && e[len(key)] == '=' && e[:len(key)] == key {
			v.S = e[len(key)+1:]
			return true
		}
	}
	return false
}

// sinceStart is the age of a process in nanoseconds.
func sinceStart(x *Context, p *sekisho.Process) (int64, bool) {
	if p.Started.IsZero() || x.Event.Time.IsZero() {
		return 0, false
	}
	return int64(max(0, x.Event.Time.Sub(p.Started))), true
}

func stamp(t time.Time) (int64, bool) {
	if t.IsZero() {
		return 0, false
	}
	return t.UnixNano(), true
}

// sessionName is the name of the leader of the session.
func sessionName(_ *Context, p *sekisho.Process) (string, bool) {
	for q, n := p, 0; q != nil && p.Session != 0 && n < maxAncestors; q, n = q.Parent, n+1 {
		if q.PID == p.Session {
			return q.Name, q.Name != ""
		}
	}
	return "", false
}

// ancestors makes a field of a process's line of parents: all of them, or the
// n-th.
func ancestors(name string, typ Type, cost uint8, get func(*Context, *sekisho.Process, *Value) bool) Field {
	return Field{Name: name, Type: typ, Arg: MayIdx, Cost: cost,
		Get: func(x *Context, a Arg, v *Value) bool {
			p := ancestor(x.Event.Process, a.Index)
			return p != nil && get(x, p, v)
		},
		List: func(x *Context, _ Arg, out []Value) []Value {
			if x.Event.Process == nil {
				return out
			}
			for p, n := x.Event.Process.Parent, 0; p != nil && n < maxAncestors; p, n = p.Parent, n+1 {
				var v Value
				if get(x, p, &v) {
					out = append(out, v)
				}
			}
			return out
		}}
}

func text(get func(*Context, *sekisho.Process) (string, bool)) func(*Context, *sekisho.Process, *Value) bool {
	return func(x *Context, p *sekisho.Process, v *Value) (ok bool) {
		v.S, ok = get(x, p)
		return ok
	}
}

func ancestorFields() []Field {
	return []Field{
		ancestors("proc.aname", String, 2, text(name)),
		ancestors("proc.aexe", String, 2, text(exe)),
		ancestors("proc.aexepath", String, 2, text(exePath)),
		ancestors("proc.acmdline", String, 6, text(cmdline)),
		ancestors("proc.aargs", String, 6, text(args)),
		ancestors("proc.acwd", String, 6, text(cwd)),
		ancestors("proc.apid", Number, 2, func(_ *Context, p *sekisho.Process, v *Value) bool {
			v.N = int64(p.PID)
			return true
		}),
		ancestors("proc.aenv", String, 7, text(env)),
	}
}
