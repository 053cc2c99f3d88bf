package detect_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/detect"
	"sekisho/internal/fixture"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// public returns the public rules, unmodified.
func public(t testing.TB, names ...string) []detect.Source {
	t.Helper()
	if len(names) == 0 {
		names = []string{"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"}
	}
	dir := fixture.Dir(t, "../rules/falco")
	var out []detect.Source
	for _, n := range names {
		data, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, detect.Source{Name: n, Data: data})
	}
	return out
}

func load(t testing.TB, all bool, sources ...detect.Source) *detect.Set {
	t.Helper()
	o := detect.Options{}
	if all {
		o.Enabled = func(string, bool) bool { return true }
	}
	set, err := detect.Load(o, sources...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// mod changes an event that is being made.
type mod func(*sekisho.Event)

// proc makes a process from its command line and its ancestors, nearest
// first, separated by " < ": "bash -i < nginx < containerd-shim".
func proc(line string) *sekisho.Process {
	var first, last *sekisho.Process
	for i, part := range strings.Split(line, " < ") {
		words := strings.Fields(part)
		name := words[0][strings.LastIndexByte(words[0], '/')+1:]
		path := words[0]
		if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "memfd:") {
			path = "/usr/bin/" + name
		}
		p := &sekisho.Process{PID: 1000 - i, ParentPID: 999 - i, InnerPID: 50 - i, Name: name[:min(15, len(name))], Path: path, Args: words, Directory: "/srv",
			LoginUID: 1<<32 - 1, Origin: sekisho.OriginImage, Started: start.Add(-time.Duration(i) * time.Minute)}
		if runtime := strings.HasPrefix(name, "runc") || strings.HasPrefix(name, "containerd") || strings.HasPrefix(name, "dockerd") || strings.HasPrefix(name, "buildk"); runtime {
			p.Origin = sekisho.OriginHost
		} else {
			p.Container = box().ID
		}
		if first == nil {
			first = p
		} else {
			last.Parent = p
		}
		last = p
	}
	return first
}

func box() *sekisho.Container {
	return &sekisho.Container{ID: strings.Repeat("0123456789abcdef", 4), Name: "web-1", Runtime: "docker", Image: "registry.example/team/web:1.4", Started: start.Add(-time.Hour)}
}

func event(kind sekisho.EventKind, line string, mods ...mod) *sekisho.Event {
	e := &sekisho.Event{Seq: 7, Time: start.Add(time.Second), Kind: kind, Process: proc(line), Container: box()}
	for _, m := range mods {
		m(e)
	}
	return e
}

func exec(line string, mods ...mod) *sekisho.Event {
	return event(sekisho.EventExec, line, append([]mod{func(e *sekisho.Event) { e.Syscall = "execve" }}, mods...)...)
}

// open flags, as in open(2).
const (
	write  = 0o1
	create = 0o100
	trunc  = 0o1000
)

func open(path string, flags uint64, line string, mods ...mod) *sekisho.Event {
	return event(sekisho.EventOpen, line, append([]mod{func(e *sekisho.Event) { e.Syscall, e.Path, e.Flags, e.Result, e.File = "openat", path, flags, 3, 3 }}, mods...)...)
}

// file is an event about a path, or two.
func file(kind sekisho.EventKind, path, other, line string, mods ...mod) *sekisho.Event {
	return event(kind, line, append([]mod{func(e *sekisho.Event) { e.Path, e.Other = path, other }}, mods...)...)
}

func conn(kind sekisho.EventKind, protocol, remote, line string, mods ...mod) *sekisho.Event {
	return event(kind, line, append([]mod{func(e *sekisho.Event) {
		e.File = 5
		r := netip.MustParseAddrPort(remote)
		local := netip.MustParseAddrPort("10.1.2.3:40000")
		if r.Addr().Is6() {
			local = netip.MustParseAddrPort("[fd00::3]:40000")
		}
		if kind == sekisho.EventConnect { // told before the kernel chose one
			local = netip.MustParseAddrPort("0.0.0.0:0")
			if r.Addr().Is6() {
				local = netip.MustParseAddrPort("[::]:0")
			}
		}
		e.Net = &sekisho.EventConn{Protocol: protocol, Remote: r, Local: local, Inbound: kind == sekisho.EventAccept || kind == sekisho.EventReceive}
	}}, mods...)...)
}

func host(e *sekisho.Event) {
	e.Container = nil
	for p := e.Process; p != nil; p = p.Parent {
		p.InnerPID, p.Container = p.PID, ""
	}
}
func privileged(e *sekisho.Event) { e.Container.Privileged = true }
func tty(e *sekisho.Event)        { e.Process.TTY = 34816 }
func fails(errno int64) mod       { return func(e *sekisho.Event) { e.Result = -errno } }
func call(name string) mod        { return func(e *sekisho.Event) { e.Syscall = name } }
func mode(m uint32) mod           { return func(e *sekisho.Event) { e.Mode = m } }
func number(n int64) mod          { return func(e *sekisho.Event) { e.Number = n } }
func origin(o string) mod         { return func(e *sekisho.Event) { e.Process.Origin = o } }
func caps(c uint64) mod {
	return func(e *sekisho.Event) { e.Process.Effective, e.Process.Permitted = c, c }
}
func env(v ...string) mod { return func(e *sekisho.Event) { e.Process.Env = v } }
func flags(f uint64) mod  { return func(e *sekisho.Event) { e.Flags = f } }
func user(name string, uid uint32) mod {
	return func(e *sekisho.Event) { e.Process.User, e.Process.UID = name, uid }
}
func login(uid uint32) mod { return func(e *sekisho.Event) { e.Process.LoginUID = uid } }
func old(e *sekisho.Event) { e.Process.Started = e.Time.Add(-time.Hour) }
func image(i string) mod   { return func(e *sekisho.Event) { e.Container.Image = i } }
func cwd(d string) mod     { return func(e *sekisho.Event) { e.Process.Directory = d } }
func result(r int64) mod   { return func(e *sekisho.Event) { e.Result = r } }
func data(b string) mod    { return func(e *sekisho.Event) { e.Data = []byte(b) } }
func raw(path string) mod  { return func(e *sekisho.Event) { e.Raw = path } }
func domain(d, typ int) mod {
	return func(e *sekisho.Event) { e.Net = &sekisho.EventConn{Domain: d, Type: typ} }
}

// fired are the names of the rules that hold for any of the events.
func fired(set *detect.Set, events ...*sekisho.Event) []string {
	m := set.NewMatcher(nil, "host")
	seen := map[string]bool{}
	var out []string
	for _, e := range events {
		for _, i := range m.Match(e) {
			if name := set.Rules[i].Name; !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}
