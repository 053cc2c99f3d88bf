package field

import "sekisho"

// noLogin is the login uid of what nobody logged in to start.
const noLogin = 4294967295

func (x *Context) user(uid uint32) string {
	if p := x.Event.Process; p != nil && p.User != "" && p.UID == uid {
		return p.User
	}
	if x.Users != nil {
		if name, ok := x.Users.User(x.Event.Container, uid); ok {
			return name
		}
	}
	if uid == 0 {
		return "root"
	}
	return ""
}

func (x *Context) group(p *sekisho.Process) string {
	if p.Group != "" {
		return p.Group
	}
	if x.Users != nil {
		if name, ok := x.Users.Group(x.Event.Container, p.GID); ok {
			return name
		}
	}
	if p.GID == 0 {
		return "root"
	}
	return ""
}

func userFields() []Field {
	s := func(name string, get func(*Context, *sekisho.Process) string) Field {
		return Field{Name: name, Cost: 1, Get: ofProcess(0, func(x *Context, p *sekisho.Process) (string, bool) {
			v := get(x, p)
			return v, v != ""
		})}
	}
	n := func(name string, get func(*sekisho.Process) int64) Field {
		return Field{Name: name, Type: Number, Get: number(0, func(_ *Context, p *sekisho.Process) (int64, bool) { return get(p), true })}
	}
	return []Field{
		s("user.name", func(x *Context, p *sekisho.Process) string { return x.user(p.UID) }),
		s("user.loginname", func(x *Context, p *sekisho.Process) string {
			if p.LoginUID == noLogin {
				return ""
			}
			return x.user(p.LoginUID)
		}),
		s("group.name", func(x *Context, p *sekisho.Process) string { return x.group(p) }),
		n("user.uid", func(p *sekisho.Process) int64 { return int64(p.UID) }),
		n("group.gid", func(p *sekisho.Process) int64 { return int64(p.GID) }),
		n("user.loginuid", func(p *sekisho.Process) int64 { return int64(int32(p.LoginUID)) }),
	}
}

// neverFields are what Falco knows and the sensor does not tell: rules with
// them load, checks of them do not hold, and the loader warns.
func neverFields() []Field {
	var list []Field
	for _, name := range []string{"proc.loginshellid", "proc.vpgid.name", "proc.vpgid.exe", "proc.vpgid.exepath", "proc.pgid.name", "proc.pgid.exe", "proc.pgid.exepath", "proc.sid.exe", "proc.sid.exepath", "proc.vmsize",
		"proc.vmrss", "proc.vmswap", "proc.fdopencount", "proc.fdlimit", "proc.fdusage", "proc.is_exe_writable", "proc.exe_ino.ctime_duration_pidns_start", "proc.pidns_init_start_ts", "proc.nthreads", "proc.nchilds", "proc.nthreads", "proc.pgid",
		"proc.vpgid", "proc.pexe_ino", "proc.is_pgid_leader", "proc.cpu", "proc.thread.cpu", "thread.cpu", "thread.exectime", "thread.totexectime", "thread.cgroups", "thread.cgroup", "thread.pfmajor", "thread.pfminor", "thread.cap_inheritable", "thread.ptid", "proc.stdin.type",
		"proc.stdin.name", "proc.stdout.type", "proc.stdout.name", "proc.stderr.type", "proc.stderr.name", "evt.latency", "evt.latency.ns", "evt.deltatime", "evt.cpu", "evt.is_wait", "evt.wait_latency", "evt.is_syslog", "evt.asynctype", "evt.abspath",
		"evt.pluginname", "evt.plugininfo", "evt.reltime", "fd.ino", "fd.dev", "fd.dev.major", "fd.dev.minor", "fd.uid", "fd.containerdirectory", "fd.proto", "fd.cproto", "fd.sproto", "fd.lproto", "fd.rproto", "fd.types", "fs.path.nameraw", "fs.path.sourceraw",
		"fs.path.targetraw", "user.homedir", "user.shell", "container.ip", "container.cni.json", "container.liveness_probe", "container.readiness_probe", "container.healthcheck", "container.mount.propagation", "container.host_pid", "container.host_network", "container.host_ipc",
		"k8s.rc.name", "k8s.rs.name", "k8s.svc.name", "k8s.pod.ip", "k8s.pod.labels", "k8s.pod.sandbox_id", "k8s.pod.full_sandbox_id", "container.labels"} {
		list = append(list, Field{Name: name, Arg: MayKey, Never: true, Get: func(*Context, Arg, *Value) bool { return false }})
	}
	return list
}
