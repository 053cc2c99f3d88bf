package field

import "sekisho"

func processFields() []Field {
	s := func(name string, up int, cost uint8, get func(*Context, *sekisho.Process) (string, bool)) Field {
		return Field{Name: name, Cost: cost, Get: ofProcess(up, get)}
	}
	n := func(name string, typ Type, up int, get func(*Context, *sekisho.Process) (int64, bool)) Field {
		return Field{Name: name, Type: typ, Get: number(up, get)}
	}
	pid := func(_ *Context, p *sekisho.Process) (int64, bool) { return int64(p.PID), true }
	vpid := func(_ *Context, p *sekisho.Process) (int64, bool) {
		if p.InnerPID == 0 {
			return int64(p.PID), true
		}
		return int64(p.InnerPID), true
	}
	return []Field{
		s("proc.name", 0, 0, name), s("proc.pname", 1, 0, name),
		s("proc.exe", 0, 0, exe), s("proc.pexe", 1, 0, exe),
		s("proc.exepath", 0, 0, exePath), s("proc.pexepath", 1, 0, exePath),
		s("proc.args", 0, 3, args), s("proc.cmdline", 0, 3, cmdline), s("proc.pcmdline", 1, 3, cmdline),
		s("proc.exeline", 0, 3, exeline), s("proc.cwd", 0, 1, cwd), s("proc.sname", 0, 2, sessionName),
		s("thread.cap_effective", 0, 5, func(x *Context, p *sekisho.Process) (string, bool) { return x.capabilities(p.Effective), true }),
		s("thread.cap_permitted", 0, 5, func(x *Context, p *sekisho.Process) (string, bool) { return x.capabilities(p.Permitted), true }),
		{Name: "proc.env", Arg: MayKey, Cost: 7, Get: envOf},
		n("proc.pid", Number, 0, pid), n("proc.ppid", Number, 0, func(_ *Context, p *sekisho.Process) (int64, bool) { return int64(p.ParentPID), true }),
		n("proc.vpid", Number, 0, vpid), n("proc.pvpid", Number, 1, vpid), n("thread.tid", Number, 0, pid), n("thread.vtid", Number, 0, vpid),
		n("proc.sid", Number, 0, func(_ *Context, p *sekisho.Process) (int64, bool) { return int64(p.Session), p.Session != 0 }),
		n("proc.tty", Number, 0, func(_ *Context, p *sekisho.Process) (int64, bool) { return int64(p.TTY), true }),
		n("proc.cmdnargs", Number, 0, func(_ *Context, p *sekisho.Process) (int64, bool) { return int64(max(0, len(p.Args)-1)), true }),
		n("proc.cmdlenargs", Number, 0, func(_ *Context, p *sekisho.Process) (int64, bool) {
			total := 0
			for i := 1; i < len(p.Args); i++ {
				total += len(p.Args[i])
			}
			return int64(total), true
		}),
		n("proc.duration", Number, 0, sinceStart), n("proc.ppid.duration", Number, 1, sinceStart),
		n("proc.pid.ts", Time, 0, func(_ *Context, p *sekisho.Process) (int64, bool) { return stamp(p.Started) }),
		n("proc.ppid.ts", Time, 1, func(_ *Context, p *sekisho.Process) (int64, bool) { return stamp(p.Started) }),
		n("proc.exe_ino", Number, 0, func(_ *Context, p *sekisho.Process) (int64, bool) { return int64(p.Inode), p.Inode != 0 }),
		n("proc.exe_ino.ctime", Time, 0, func(_ *Context, p *sekisho.Process) (int64, bool) { return stamp(p.Changed) }),
		n("proc.exe_ino.mtime", Time, 0, func(_ *Context, p *sekisho.Process) (int64, bool) { return stamp(p.Modified) }),
		n("proc.exe_ino.ctime_duration_proc_start", Number, 0, func(_ *Context, p *sekisho.Process) (int64, bool) {
			if p.Changed.IsZero() || p.Started.IsZero() {
				return 0, false
			}
			return int64(p.Started.Sub(p.Changed)), true
		}),
	}
}

func flagFields() []Field {
	b := func(name string, get func(*Context, *sekisho.Process) bool) Field {
		return Field{Name: name, Type: Bool, Get: number(0, func(x *Context, p *sekisho.Process) (int64, bool) { return bit(get(x, p)), true })}
	}
	return []Field{
		b("proc.is_exe_upper_layer", func(_ *Context, p *sekisho.Process) bool { return p.Origin == sekisho.OriginUpper }),
		b("proc.is_exe_lower_layer", func(_ *Context, p *sekisho.Process) bool { return p.Origin == sekisho.OriginImage }),
		b("proc.is_exe_from_memfd", func(_ *Context, p *sekisho.Process) bool { return p.Origin == sekisho.OriginMemory && memfd(p.Path) }),
		b("proc.is_vpgid_leader", func(_ *Context, p *sekisho.Process) bool { return p.Leader }),
		b("proc.is_sid_leader", func(_ *Context, p *sekisho.Process) bool { return p.Session != 0 && p.Session == p.PID }),
		b("thread.ismain", func(_ *Context, p *sekisho.Process) bool { return true }),
		// Fields of this program's own: Falco does not know them.
		{Name: "sekisho.origin", Get: ofProcess(0, func(_ *Context, p *sekisho.Process) (string, bool) { return p.Origin, p.Origin != "" })},
		{Name: "sekisho.parent.host", Type: Bool, Get: number(1, func(_ *Context, p *sekisho.Process) (int64, bool) { return bit(p.Container == ""), true })},
		{Name: "sekisho.file.origin", Get: func(x *Context, _ Arg, v *Value) bool { v.S = x.Event.Origin; return v.S != "" }},
		{Name: "sekisho.stdio.sockets", Type: Number, Get: number(0, func(_ *Context, p *sekisho.Process) (int64, bool) { return int64(p.Sockets & 7), true })},
		{Name: "sekisho.file.made", Type: Bool, Get: func(x *Context, _ Arg, v *Value) bool { v.N = bit(x.Event.Made); return true }},
		{Name: "sekisho.compat", Type: Bool, Get: func(x *Context, _ Arg, v *Value) bool { v.N = bit(x.Event.Compat); return true }},
		{Name: "sekisho.number", Type: Number, Get: func(x *Context, _ Arg, v *Value) bool { v.N = x.Event.Number; return true }},
		{Name: "sekisho.parent.dialed", Type: Bool, Kinds: of(sekisho.EventExec), Get: func(x *Context, _ Arg, v *Value) bool { v.N = bit(x.Dialed); return true }},
		{Name: "sekisho.scan.ports", Type: Number, Kinds: of(sekisho.EventConnect, sekisho.EventSend), Get: func(x *Context, _ Arg, v *Value) bool { v.N = x.Ports; return x.Ports > 0 }},
		{Name: "sekisho.scan.hosts", Type: Number, Kinds: of(sekisho.EventConnect, sekisho.EventSend), Get: func(x *Context, _ Arg, v *Value) bool { v.N = x.Hosts; return x.Hosts > 0 }},
		{Name: "sekisho.dns.name", Kinds: of(sekisho.EventDNS), Get: func(x *Context, _ Arg, v *Value) bool { v.S = x.Event.Path; return v.S != "" }},
		{Name: "sekisho.workload.kind", Get: func(x *Context, _ Arg, v *Value) bool {
			if x.Event.Container == nil {
				return false
			}
			v.S = x.Event.Container.Workload.Kind
			return v.S != ""
		}},
		{Name: "sekisho.capability", Kinds: of(sekisho.EventCapability), Get: func(x *Context, _ Arg, v *Value) bool {
			v.S = capability(int(x.Event.Number))
			return v.S != ""
		}},
		{Name: "sekisho.io_uring.op", Kinds: of(sekisho.EventIOUring), Get: func(x *Context, _ Arg, v *Value) bool {
			v.S = pick(ioUringNames(), x.Event.Number)
			return v.S != ""
		}},
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
