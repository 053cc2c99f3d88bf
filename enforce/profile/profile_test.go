package profile_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/profile"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const nginx, sh = "/usr/sbin/nginx", "/bin/sh"

func web(id string) *sekisho.Container {
	return &sekisho.Container{ID: id, Name: "web", ImageID: "sha256:" + sekisho.Digest(strings.Repeat("1", 64)), Started: start}
}

func event(kind sekisho.EventKind, after time.Duration, program string, set func(*sekisho.Event)) *sekisho.Event {
	e := &sekisho.Event{Kind: kind, Time: start.Add(after), Container: web("a"), Process: &sekisho.Process{Path: program, Container: "a", Origin: sekisho.OriginImage}}
	if set != nil {
		set(e)
	}
	return e
}

func on(path string) func(*sekisho.Event) { return func(e *sekisho.Event) { e.Path = path } }

func to(address, name string) func(*sekisho.Event) {
	return func(e *sekisho.Event) {
		e.Net = &sekisho.EventConn{Protocol: "tcp", Remote: netip.MustParseAddrPort(address), Name: name}
	}
}

// life is what a web server does.
func life() (events []*sekisho.Event) {
	events = append(events, event(sekisho.EventExec, time.Second, sh, nil),
		event(sekisho.EventExec, 2*time.Second, nginx, func(e *sekisho.Event) { e.Process.Parent = &sekisho.Process{Path: sh, Container: "a"} }),
		event(sekisho.EventExec, time.Hour, nginx, nil),
		event(sekisho.EventListen, 3*time.Second, nginx, func(e *sekisho.Event) {
			e.Net = &sekisho.EventConn{Protocol: "tcp", Local: netip.MustParseAddrPort("0.0.0.0:80")}
		}),
		event(sekisho.EventCapability, 3*time.Second, nginx, func(e *sekisho.Event) { e.Number = 10 }),
		event(sekisho.EventCreate, 3*time.Second, nginx, on("/run/nginx.pid")),
		event(sekisho.EventConnect, time.Minute, nginx, to("10.1.2.3:5432", "db.example.org")),
		event(sekisho.EventConnect, time.Minute, nginx, to("127.0.0.1:53", "")),
		event(sekisho.EventOpen, time.Minute, nginx, func(e *sekisho.Event) { e.Path, e.Flags, e.Syscall = "/etc/nginx/nginx.conf", 0, "openat" }),
		event(sekisho.EventExec, time.Minute, "/tmp/evil", func(e *sekisho.Event) { e.Process.Origin = sekisho.OriginUpper }))
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		events = append(events, event(sekisho.EventCreate, time.Minute, nginx, on("/var/cache/nginx/"+name)))
	}
	return append(events, event(sekisho.EventCreate, 2*time.Hour, nginx, on("/var/lib/x/0000000017")), &sekisho.Event{Kind: sekisho.EventLost, Number: 3})
}

func learned(t *testing.T) *profile.Profile {
	t.Helper()
	l := profile.NewLearner("web", "shop/web")
	for _, e := range life() {
		l.Observe(e)
	}
	p, full := l.Profile()
	if full {
		t.Fatal("full")
	}
	return p
}

func TestLearn(t *testing.T) {
	p := learned(t)
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	again, err := profile.Parse(&b, "web.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(profile.Diff(p, again)) != 0 {
		t.Errorf("written and read it differs: %v", profile.Diff(p, again))
	}
	var writes []string
	for _, w := range p.Writes {
		writes = append(writes, w.Path)
	}
	if got := strings.Join(writes, " "); got != "/run/nginx.pid /var/cache/nginx/** /var/lib/x/*" {
		t.Errorf("writes %s", got)
	}
	if len(p.Processes) != 2 || !p.Processes[0].Start || p.Processes[1].Start || p.Processes[1].Parents[0] != sh {
		t.Errorf("processes %+v: what is not of the image must not be learned", p.Processes)
	}
	if len(p.Connections) != 1 || p.Connections[0].To != "db.example.org:5432/tcp" || p.Listens[0] != "80/tcp" || p.Capabilities[0] != "NET_BIND_SERVICE" {
		t.Errorf("%+v %v %v", p.Connections, p.Listens, p.Capabilities)
	}
	if c := p.Coverage; c.Starts != 1 || c.Lost != 3 || c.Hours < 1.9 || len(p.Images) != 1 {
		t.Errorf("coverage %+v", c)
	}
}

func TestJudge(t *testing.T) {
	p := learned(t)
	p.Connections = append(p.Connections, profile.Connection{To: "10.9.0.0/16:443/tcp"})
	m, err := p.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range life() {
		if d := m.Judge(e); d != nil && d.What != "/tmp/evil" {
			t.Errorf("what was learned is unusual: %+v", d)
		}
	}
	for name, c := range map[string]struct {
		event *sekisho.Event
		kind  string
		why   string
	}{
		"another program":            {event(sekisho.EventExec, time.Hour, "/usr/bin/curl", nil), "process", "unknown"},
		"the start's shell later":    {event(sekisho.EventExec, time.Hour, sh, nil), "process", "only while starting"},
		"a replaced program":         {event(sekisho.EventExec, time.Hour, nginx, func(e *sekisho.Event) { e.Process.Origin = sekisho.OriginUpper }), "process", "other content"},
		"another parent":             {event(sekisho.EventExec, time.Hour, nginx, func(e *sekisho.Event) { e.Process.Parent = &sekisho.Process{Path: "/usr/bin/python3", Container: "a"} }), "process", "other parent /usr/bin/python3"},
		"another place":              {event(sekisho.EventOpen, time.Hour, nginx, func(e *sekisho.Event) { e.Path, e.Flags = "/etc/passwd", 1 }), "write", "unknown"},
		"a name that only begins so": {event(sekisho.EventCreate, time.Hour, nginx, on("/var/cache/nginx-evil")), "write", "unknown"},
		"moved to another place":     {event(sekisho.EventRename, time.Hour, nginx, func(e *sekisho.Event) { e.Path, e.Other = "/var/cache/nginx/a", "/etc/cron.d/x" }), "write", "unknown"},
		"another peer":               {event(sekisho.EventConnect, time.Hour, nginx, to("203.0.113.9:443", "")), "connection", "unknown"},
		"another port":               {event(sekisho.EventConnect, time.Hour, nginx, to("10.1.2.3:22", "db.example.org")), "connection", "unknown"},
		"a port of the network":      {event(sekisho.EventConnect, time.Hour, nginx, to("10.9.1.1:8443", "")), "connection", "unknown"},
		"another capability":         {event(sekisho.EventCapability, time.Hour, nginx, func(e *sekisho.Event) { e.Number = 21 }), "capability", "unknown"},
	} {
		if d := m.Judge(c.event); d == nil || d.Kind != c.kind || d.Why != c.why {
			t.Errorf("%s: %+v, want %s: %s", name, d, c.kind, c.why)
		}
	}
	for name, e := range map[string]*sekisho.Event{
		"reading":        event(sekisho.EventOpen, time.Hour, nginx, on("/etc/passwd")),
		"a failed write": event(sekisho.EventOpen, time.Hour, nginx, func(e *sekisho.Event) { e.Path, e.Flags, e.Result = "/etc/passwd", 1, -13 }),
		"of the network": event(sekisho.EventConnect, time.Hour, nginx, to("10.9.1.1:443", "")),
		"in a directory": event(sekisho.EventCreate, time.Hour, nginx, on("/var/cache/nginx/sub/x")),
	} {
		if d := m.Judge(e); d != nil {
			t.Errorf("%s is unusual: %+v", name, d)
		}
	}
}

// TestPromote holds that only what was named is taken over, and nothing lost.
func TestPromote(t *testing.T) {
	old := learned(t)
	l := profile.NewLearner("web", "shop/web")
	l.Observe(event(sekisho.EventExec, time.Hour, "/usr/bin/curl", nil))
	l.Observe(event(sekisho.EventConnect, time.Hour, "/usr/bin/curl", to("203.0.113.9:443", "")))
	newer, _ := l.Profile()
	out := profile.Promote(old, newer, "connection")
	var added []string
	for _, c := range profile.Diff(old, out) {
		if !c.Added {
			t.Errorf("lost %+v", c)
		}
		added = append(added, c.Kind+" "+c.What)
	}
	if strings.Join(added, ",") != "connection 203.0.113.9:443/tcp" {
		t.Errorf("added %v", added)
	}
	if len(old.Connections) != 1 {
		t.Error("the old profile was changed")
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"profile: a\nworkload: w\nmode: audit\nprocess: []\n":              "[4:1] unknown field",
		"profile: a\nworkload: w\nmode: fast\n":                            `mode: "fast" is none of`,
		"workload: w\nmode: audit\n":                                       "want a name",
		"profile: a\nmode: audit\n":                                        "want a workload or images",
		"profile: a\nworkload: w\nmode: audit\nwrites: [{path: tmp}]\n":    "want an absolute path",
		"profile: a\nimages: [\"sha256:x\"]\nmode: audit\n":                "images: digest",
		"profile: a\nworkload: w\nmode: audit\nprocesses: [{path: bin/x}]": "want an absolute path",
	} {
		if _, err := profile.Parse(strings.NewReader(text), "p.yaml"); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "p.yaml") {
			t.Errorf("%q is told as %v", text, err)
		}
	}
	p := &profile.Profile{Name: "a", Connections: []profile.Connection{{To: "example.org"}}}
	if _, err := p.Compile(); err == nil || !strings.Contains(err.Error(), "host:port/protocol") {
		t.Errorf("%v", err)
	}
}

func TestExports(t *testing.T) {
	p := learned(t)
	if got := strings.Join(p.ReadOnly(), " "); got != "/run /var/cache/nginx /var/lib/x" {
		t.Errorf("writable: %s", got)
	}
	for form, want := range map[string]string{profile.Compose: "read_only: true\ntmpfs:\n  - \"/run\"\n", profile.Kubernetes: "{name: rw-var-cache-nginx, mountPath: \"/var/cache/nginx\"}", profile.ECS: `"readonlyRootFilesystem": true`} {
		var b bytes.Buffer
		if err := p.ReadOnlyLines(&b, form); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%s: %v\n%s", form, err, b.String())
		}
	}
	var b bytes.Buffer
	if err := p.Seccomp(&b); err != nil {
		t.Fatal(err)
	}
	var doc struct{ Syscalls []struct{ Names []string } }
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil || len(doc.Syscalls[0].Names) < 20 {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	p.Writes = append(p.Writes, profile.Write{Path: "/x\"\n  capability sys_admin,\n"})
	if err := p.AppArmor(&b); err != nil || strings.Contains(b.String(), "\n  capability sys_admin") || !strings.Contains(b.String(), `"/usr/sbin/nginx" ix,`) {
		t.Errorf("%v\n%s", err, b.String())
	}
	p.Syscalls = nil
	if err := p.Seccomp(&b); err == nil {
		t.Error("a seccomp profile of nothing was written")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("profile: a\nworkload: w\nmode: audit\nconnections: [{to: \"[::1]:1/tcp\"}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := profile.Parse(bytes.NewReader(data), "p")
		if err != nil {
			return
		}
		if m, err := p.Compile(); err == nil {
			for _, e := range life() {
				m.Judge(e)
			}
		}
		var b bytes.Buffer
		_ = p.AppArmor(&b)
		_ = p.Seccomp(&b)
	})
}

func BenchmarkJudge(b *testing.B) {
	l := profile.NewLearner("web", "shop/web")
	events := life()
	for _, e := range events {
		l.Observe(e)
	}
	p, _ := l.Profile()
	m, err := p.Compile()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Judge(events[i%len(events)])
	}
}
