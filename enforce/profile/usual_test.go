package profile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
)

var box = &sekisho.Container{ID: "c", Resolvers: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}

func event(kind sekisho.EventKind, local, remote, protocol string) *sekisho.Event {
	e := &sekisho.Event{Time: time.Unix(1000, 0), Kind: kind, Container: box, Process: &sekisho.Process{Path: "/bin/app"}, Net: &sekisho.EventConn{Protocol: protocol}}
	e.Net.Local, _ = netip.ParseAddrPort(local)
	e.Net.Remote, _ = netip.ParseAddrPort(remote)
	return e
}

// TestCovers holds that only what was observed all the time is covered, and
// that a profile which somebody wrote covers what it speaks of.
func TestCovers(t *testing.T) {
	written := &Profile{Writes: []Write{{Path: "/data/**"}}}
	if !written.Covers(KindWrite) || written.Covers(KindConnection) || written.Covers(KindProcess) {
		t.Error("a profile that somebody wrote covers what it does not speak of")
	}
	l := NewLearner("p", "w")
	l.Observes([]string{KindProcess, KindWrite, KindConnection})
	l.Observe(event(sekisho.EventConnect, "", "10.0.0.9:443", "tcp"))
	if p, _ := l.Profile(); !p.Covers(KindWrite) || p.Covers(KindListen) || !p.Covers(KindConnection) {
		t.Errorf("covers %v", p.Coverage.Kinds)
	}
	p, _ := l.Profile()
	again := Resume(p)
	again.Observes([]string{KindProcess, KindConnection, KindListen})
	if p, _ := again.Profile(); p.Covers(KindWrite) || p.Covers(KindListen) || !p.Covers(KindConnection) {
		t.Errorf("after a run that did not look at files: %v", p.Coverage.Kinds)
	}
	l.Observe(&sekisho.Event{Time: time.Unix(1000, 0), Kind: sekisho.EventIOUring, Number: 18, Container: box})
	if p, _ := l.Profile(); p.Covers(KindWrite) {
		t.Error("files opened through io_uring are not seen, and covered")
	}
}

// TestEverywhere holds that what every program does is neither learned nor
// unknown.
func TestEverywhere(t *testing.T) {
	m, err := (&Profile{Name: "p"}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	l := NewLearner("p", "w")
	quiet := []*sekisho.Event{
		event(sekisho.EventConnect, "", "127.0.0.1:80", "tcp"), event(sekisho.EventConnect, "", "[::1]:80", "tcp"), event(sekisho.EventConnect, "", "0.0.0.0:80", "tcp"),
		event(sekisho.EventSend, "", "10.0.0.2:53", "udp"), event(sekisho.EventListen, "127.0.0.1:40000", "", "tcp"),
	}
	for _, path := range []string{"/dev/null", "/dev/pts/7", "/proc/71/task/72/comm", "/proc/1/oom_score_adj"} {
		quiet = append(quiet, &sekisho.Event{Kind: sekisho.EventOpen, Flags: 1, Path: path, Container: box, Time: time.Unix(1000, 0)})
	}
	for _, e := range quiet {
		l.Observe(e)
		if d := m.Judge(e); d != nil {
			t.Errorf("%s %v is unknown", d.Kind, d.What)
		}
	}
	if p, _ := l.Profile(); len(p.Connections)+len(p.Writes)+len(p.Listens) > 0 {
		t.Errorf("learned %+v", p)
	}
	loud := []*sekisho.Event{
		event(sekisho.EventConnect, "", "10.0.0.2:80", "tcp"), event(sekisho.EventSend, "", "10.0.0.3:53", "udp"), event(sekisho.EventListen, "0.0.0.0:40000", "", "tcp"),
		{Kind: sekisho.EventOpen, Flags: 1, Path: "/proc/71/mem", Container: box}, {Kind: sekisho.EventOpen, Flags: 1, Path: "/proc/sysrq-trigger", Container: box}, {Kind: sekisho.EventOpen, Flags: 1, Path: "/dev/shm/x", Container: box},
	}
	for _, e := range loud {
		if m.Judge(e) == nil {
			t.Errorf("%v of %s %v is as usual", e.Kind, e.Path, e.Net)
		}
	}
}

// TestAnswersOfServers holds that what a UDP server answers makes no peers.
func TestAnswersOfServers(t *testing.T) {
	l := NewLearner("p", "w")
	for i := range 20 {
		l.Observe(event(sekisho.EventSend, "10.0.0.1:5353", fmt.Sprintf("10.0.1.%d:40000", i), "udp"))
	}
	l.Observe(event(sekisho.EventSend, "10.0.0.1:45000", "10.0.2.1:8125", "udp"))
	p, _ := l.Profile()
	if !slices.Equal(p.Listens, []string{"5353/udp"}) || len(p.Connections) != 1 || p.Connections[0].To != "10.0.2.1:8125/udp" {
		t.Errorf("learned %v, %v", p.Listens, p.Connections)
	}
	m, err := p.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if d := m.Judge(event(sekisho.EventSend, "10.0.0.1:5353", "10.9.9.9:1", "udp")); d != nil {
		t.Errorf("an answer is unknown: %v", d)
	}
	if m.Judge(event(sekisho.EventSend, "10.0.0.1:45000", "10.9.9.9:1", "udp")) == nil {
		t.Error("a datagram elsewhere is as usual")
	}
}

// TestPlaces holds that places in the form of the kernel never forbid what the
// matcher allows, and forbid the rest where no pattern is near.
func TestPlaces(t *testing.T) {
	p := &Profile{Name: "p"}
	for _, w := range []string{"/", "/data/**", "/data/x/*", "/run/app.pid", "/log/*", "/log/app-*.log", "/srv/[ab]/c", "/a b/**"} {
		p.Writes = append(p.Writes, Write{Path: w})
	}
	m, err := p.Compile()
	if err != nil {
		t.Fatal(err)
	}
	places := p.Places()
	for path, exact := range map[string]bool{"/": true, "/etc": true, "/data": true, "/data/": true, "/data/x/y/z": true, "/datax": true, "/run/app.pid": true, "/run/app.pid2": true, "/run": true,
		"/log/x": true, "/log/x/y": true, "/log/app-1.log": false, "/log/app-1.txt": false, "/srv/a/c": false, "/srv/z/c": false, "/a b/c": true} {
		known := m.write(path) == nil
		if got := allows(places, path); got != known && (exact || !got) {
			t.Errorf("%s: the kernel %t, the matcher %t", path, got, known)
		}
	}
}

// allows asks places as the kernel's program does: the longest that fits.
func allows(places []Place, path string) bool {
	best, found := Place{}, false
	for _, p := range places {
		whole := !p.Below && !p.Within && !p.Pattern
		if whole && path != p.Prefix || !strings.HasPrefix(path, p.Prefix) || found && len(p.Prefix) < len(best.Prefix) {
			continue
		}
		best, found = p, true
	}
	return found && (!best.Within || strings.LastIndexByte(path, '/')+1 == len(best.Prefix))
}

// TestDrawn holds which names stand for others.
func TestDrawn(t *testing.T) {
	for name, want := range map[string]bool{"PostgreSQL.2891347": true, "mysql-bin.000123": true, "tmp.aB3dE9xx": true, "session_Xk29Qz": true, "0123456789ab": true, "app.log": false, "config.json": false, "libfoo.so.1": false, "worker-access": false, "nginx.pid": false} {
		if random(name) != want {
			t.Errorf("%s: drawn is %t", name, !want)
		}
	}
}

func FuzzTargets(f *testing.F) {
	f.Add("db.example.org:5432/tcp", "/log/app-*.log", "8080/tcp")
	f.Add("[::1]:53/udp", "/**", "0/tcp")
	f.Add("10.0.0.0/8:443/tcp", `/a\*b/[`, "99999/")
	f.Fuzz(func(t *testing.T, to, place, listen string) {
		p := &Profile{Name: "p", Connections: []Connection{{To: to}}, Writes: []Write{{Path: place}}, Listens: []string{listen}}
		m, err := p.Compile()
		if err != nil {
			return
		}
		targets, err := p.Targets()
		if err != nil || len(targets) != 1 {
			t.Fatalf("what compiles has no target: %v", err)
		}
		p.Ports()
		places := p.Places()
		if m.write(place) == nil && !allows(places, place) && !strings.ContainsAny(place, "*?[\\") && !everywhere(place) {
			t.Errorf("%q is written and forbidden: %+v", place, places)
		}
	})
}
