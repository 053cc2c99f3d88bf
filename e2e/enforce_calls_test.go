//go:build linux

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"sekisho"
	"sekisho/enforce/sensor"
)

// TestFilesTold hears what a container does to its files, by absolute paths
// although the container used relative ones.
func TestFilesTold(t *testing.T) {
	s := newStage(t)
	e := listen(t, sensor.Options{Names: []string{"shadow", "b"}, Default: sensor.Policy{Opens: sensor.OpensToWrite | sensor.OpensOfNames, Kinds: []sekisho.EventKind{
		sekisho.EventOpen, sekisho.EventRename, sekisho.EventUnlink, sekisho.EventLink, sekisho.EventSymlink, sekisho.EventMkdir, sekisho.EventRmdir, sekisho.EventChmod, sekisho.EventChown}}})
	if out, err := s.run("files", nil, "/bin/actor", "files"); err != nil {
		t.Fatal(err, out)
	}
	for _, w := range []struct {
		kind        sekisho.EventKind
		path, other string
		check       func(*sekisho.Event) bool
	}{
		{sekisho.EventMkdir, "/desk", "", func(x *sekisho.Event) bool { return x.Mode&0o777 == 0o755 && x.Result == 0 }},
		{sekisho.EventOpen, "/desk/a", "", func(x *sekisho.Event) bool { return x.Flags&(os_WRONLY|os_CREAT) != 0 && x.File > 2 }},
		{sekisho.EventOpen, "/desk/b", "", func(x *sekisho.Event) bool { return x.Flags&3 == 0 && x.Origin == sekisho.OriginUpper }},
		{sekisho.EventRename, "/desk/a", "/desk/b", nil},
		{sekisho.EventLink, "/desk/b", "/desk/c", nil},
		{sekisho.EventSymlink, "/desk/d", "/etc/shadow", nil},
		{sekisho.EventChmod, "/desk/b", "", func(x *sekisho.Event) bool { return x.Mode == 0o4755 }},
		{sekisho.EventChown, "/desk/b", "", func(x *sekisho.Event) bool { return x.UID == 7 && x.GID == 8 }},
		{sekisho.EventUnlink, "/desk/c", "", nil},
		{sekisho.EventRmdir, "/desk/e", "", func(x *sekisho.Event) bool { return x.Result == 0 }},
	} {
		x := e.await(fmt.Sprint(w.kind, w.path), func(x *sekisho.Event) bool {
			return of("files", w.kind)(x) && x.Path == w.path && x.Other == w.other && (w.check == nil || w.check(x))
		})
		if x.Process.Path != "/bin/actor" || !slices.Equal(x.Process.Args, []string{"/bin/actor", "files"}) || x.Syscall == "" {
			t.Errorf("%s %s: by %+v through %q", w.kind, w.path, x.Process, x.Syscall)
		}
	}
	for _, x := range e.all(of("files", sekisho.EventOpen)) {
		if x.Flags&3 == 0 && x.Flags&os_CREAT == 0 && x.Path != "/desk/b" {
			t.Errorf("a read that no one asked for was told: %s", x.Path)
		}
	}
	balanced(t, e)
}

const (
	os_WRONLY = 1
	os_CREAT  = 0o100
)

// balanced holds that the kernel counted every event exactly once.
func balanced(t *testing.T, e *ear) {
	t.Helper()
	st, err := e.Stats()
	must(t, err)
	for k, c := range st.Kinds {
		if c.Seen != c.Filtered+c.Submitted+c.Lost {
			t.Errorf("%s: %d seen, but %d filtered, %d submitted and %d lost", k, c.Seen, c.Filtered, c.Submitted, c.Lost)
		}
		if c.Lost != 0 {
			t.Errorf("%s: %d lost", k, c.Lost)
		}
	}
	if st.Missed != 0 {
		t.Errorf("%d calls of programs were refused", st.Missed)
	}
}

// TestNetworkTold hears a listener, connections and a datagram.
func TestNetworkTold(t *testing.T) {
	s := newStage(t)
	e := listen(t, sensor.Options{Default: sensor.Policy{Kinds: []sekisho.EventKind{sekisho.EventConnect, sekisho.EventListen, sekisho.EventAccept, sekisho.EventSend, sekisho.EventSocket}}})
	if out, err := s.run("talk", nil, "/bin/actor", "talk"); err != nil {
		t.Fatal(err, out)
	}
	home := netip.MustParseAddrPort("127.0.0.1:4567")
	for _, w := range []struct {
		kind  sekisho.EventKind
		check func(*sekisho.EventConn) bool
	}{
		{sekisho.EventListen, func(c *sekisho.EventConn) bool { return c.Local == home && c.Protocol == "tcp" }},
		{sekisho.EventConnect, func(c *sekisho.EventConn) bool { return c.Remote == home && c.Protocol == "tcp" }},
		{sekisho.EventSend, func(c *sekisho.EventConn) bool { return c.Remote.Port() == 5353 && c.Protocol == "udp" }},
		{sekisho.EventSocket, func(c *sekisho.EventConn) bool { return c.Domain == 2 && c.Type == 2 }},
	} {
		x := e.await(w.kind.String(), func(x *sekisho.Event) bool { return of("talk", w.kind)(x) && w.check(x.Net) })
		if x.Process == nil || x.Process.Path != "/bin/actor" {
			t.Errorf("%s: by %+v", w.kind, x.Process)
		}
	}
	x := e.await("accept", func(x *sekisho.Event) bool { return of("talk", sekisho.EventAccept)(x) })
	if x.Net.Local != home || !x.Net.Inbound {
		t.Errorf("accept: %+v", x.Net)
	}
	balanced(t, e)
}

// TestCallsTold hears the calls that lead out of a container, with their
// arguments and results.
func TestCallsTold(t *testing.T) {
	s := newStage(t)
	e := listen(t, sensor.Options{Default: sensor.Policy{Kinds: sekisho.EventKinds(), Opens: sensor.OpensToWrite}, Syscalls: []string{"connect", "socket", "listen", "accept", "accept4"}})
	if out, err := s.run("calls", []string{"--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"}, "/bin/actor", "calls"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := s.run("uring", []string{"--security-opt=seccomp=unconfined"}, "/bin/actor", "uring"); err != nil {
		t.Fatal(err, out)
	}
	for _, w := range []struct {
		call  string
		kind  sekisho.EventKind
		check func(*sekisho.Event) bool
	}{
		{"connect", sekisho.EventConnect, func(x *sekisho.Event) bool { return x.Net.Unix == "/sock" && x.Net.Protocol == "unix" && x.Result == 0 }},
		{"socket", sekisho.EventSocket, func(x *sekisho.Event) bool { return x.Number == 17 && x.Flags&0xf == 3 && x.Result > 0 }},
		{"listen", sekisho.EventListen, func(x *sekisho.Event) bool { return x.Net != nil && x.Net.Local.Port() == 4568 }},
		{"dup2", sekisho.EventDup, func(x *sekisho.Event) bool {
			return x.Result == 200 && x.Net.Local.Port() == 4568 && x.Net.Protocol == "tcp"
		}},
		{"unshare", sekisho.EventUnshare, func(x *sekisho.Event) bool { return x.Flags == 0x4000000 && x.Result == 0 }},
		{"ptrace", sekisho.EventPtrace, func(x *sekisho.Event) bool { return x.Number == 16 && x.Target == 1 && x.Result < 0 }},
		{"bpf", sekisho.EventBPF, func(x *sekisho.Event) bool { return x.Number == 0 && x.Result < 0 }},
		{"userfaultfd", sekisho.EventFault, func(x *sekisho.Event) bool { return x.Flags == 1 }},
		{"setns", sekisho.EventSetns, func(x *sekisho.Event) bool { return x.Flags == 0x40000000 && x.Result == -22 }},
		{"mount", sekisho.EventMount, func(x *sekisho.Event) bool {
			return x.Path == "/mnt" && x.Other == "none" && x.Flags == 8 && x.Result == 0
		}},
		{"setuid", sekisho.EventSetuid, func(x *sekisho.Event) bool { return x.UID == 4242 && x.Result == 0 }},
		{"mkdirat", sekisho.EventMkdir, func(x *sekisho.Event) bool { return x.Path == "/mnt" }},
		{"", sekisho.EventCapability, func(x *sekisho.Event) bool { return x.Number == 13 && x.Result == 0 }},
		{"", sekisho.EventCapability, func(x *sekisho.Event) bool { return x.Number == 21 && x.Result == 0 }},
	} {
		e.await(w.call+" "+w.kind.String(), func(x *sekisho.Event) bool {
			return of("calls", w.kind)(x) && (x.Syscall == w.call || w.call == "mkdirat" && x.Syscall == "mkdir") && x.Process.Path == "/bin/actor" && w.check(x)
		})
	}
	x := e.await("io_uring", of("uring", sekisho.EventIOUring))
	if x.Number != 0 || x.Process.Path != "/bin/actor" {
		t.Errorf("io_uring: %+v", x)
	}
	if list := e.all(of("calls", sekisho.EventMap)); len(list) > 0 {
		t.Errorf("a static program mapped %s", list[0].Path)
	}
	balanced(t, e)
}

// TestNamesTold hears the answer of a name server, and a later connection
// carries the name.
func TestNamesTold(t *testing.T) {
	need(t, true, "/bin/busybox")
	e := listen(t, sensor.Options{Host: sensor.Policy{Kinds: []sekisho.EventKind{sekisho.EventDNS, sekisho.EventConnect}}})
	server, err := net.ListenPacket("udp4", "127.0.0.53:53")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go answer(server)
	exec.Command("/bin/busybox", "nslookup", "Pool.Example.org", "127.0.0.53").Run()
	x := e.await("an answer", func(x *sekisho.Event) bool {
		return x.Kind == sekisho.EventDNS && x.Path == "pool.example.org" && len(x.Net.Addresses) > 0
	})
	if x.Net.Addresses[0] != netip.MustParseAddr("127.0.0.77") {
		t.Errorf("answer: %v", x.Net.Addresses)
	}
	exec.Command("/bin/busybox", "nc", "-w", "1", "127.0.0.77", "9").Run()
	e.await("a connection with its name", func(x *sekisho.Event) bool {
		return x.Kind == sekisho.EventConnect && x.Net.Name == "pool.example.org" && x.Process.Path == "/usr/bin/busybox"
	})
}

// TestNamesOfContainers holds that an answer is told of the container that
// asked, and that its connection carries the name.
func TestNamesOfContainers(t *testing.T) {
	s := newStage(t)
	e := listen(t, sensor.Options{Default: sensor.Policy{Kinds: []sekisho.EventKind{sekisho.EventDNS, sekisho.EventConnect}}})
	if out, err := s.run("asks", nil, "/bin/actor", "resolve"); err != nil {
		t.Fatal(err, out)
	}
	address := netip.MustParseAddr("127.0.0.99")
	x := e.await("the answer", of("asks", sekisho.EventDNS))
	if x.Path != "c2.example" || !slices.Equal(x.Net.Addresses, []netip.Addr{address}) {
		t.Errorf("the answer: %q is %v", x.Path, x.Net.Addresses)
	}
	x = e.await("the connection", func(x *sekisho.Event) bool {
		return of("asks", sekisho.EventConnect)(x) && x.Net.Remote.Addr() == address
	})
	if x.Net.Name != "c2.example" {
		t.Errorf("the connection: %+v", x.Net)
	}
}

// answer is a name server that knows one address.
func answer(c net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b[:n]) != nil || len(m.Questions) == 0 {
			continue
		}
		m.Response = true
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 77}}}}
		}
		if out, err := m.Pack(); err == nil {
			c.WriteTo(out, from)
		}
	}
}

// TestEnforceEvents runs the command itself and holds that hostile names
// reach no terminal as they are.
func TestEnforceEvents(t *testing.T) {
	s := newStage(t)
	type result struct {
		status   int
		out, err string
	}
	done := make(chan result, 1)
	go func() {
		status, out, fail := run(t, nil, "enforce", "events", "--for", "6s", "--kind", "exec", "--container", "hostile")
		done <- result{status, out, fail}
	}()
	var heard result
	for i := 0; ; i++ { // containers come and go until the command has ended
		select {
		case heard = <-done:
		default:
			if out, err := s.run(fmt.Sprintf("other%d", i), nil, "/bin/actor", "show"); err != nil {
				t.Fatal(err, out)
			}
			if i == 0 {
				if out, err := s.run("hostile", nil, "/bin/busybox", "sh", "-c", "while /bin/actor named /x; do /bin/busybox usleep 300000; [ $((i+=1)) -lt 25 ] || exit 0; done"); err != nil {
					t.Fatal(err, out)
				}
			}
			continue
		}
		break
	}
	if heard.status != 0 {
		t.Fatal(heard.status, heard.err)
	}
	named := 0
	for line := range strings.Lines(heard.out) {
		var x sekisho.Event
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if x.Container == nil || x.Container.Name != "hostile" || x.Kind != sekisho.EventExec {
			t.Errorf("an event that was not asked for: %s", line)
		}
		if strings.ContainsAny(line, "\x1b\xff") {
			t.Errorf("control characters: %q", line)
		}
		if len(x.Process.Args) > 0 && strings.HasPrefix(x.Process.Args[0], "a\x1b[2Jb\nc") {
			named++
		}
	}
	if named == 0 {
		t.Errorf("the hostile name was not told: %s", heard.out)
	}
}

// TestArgumentsOfMegabytes cuts what a container makes too long, and goes on.
func TestArgumentsOfMegabytes(t *testing.T) {
	s := newStage(t)
	e := listen(t, sensor.Options{})
	if out, err := s.run("long", nil, "/bin/actor", "args", "1500000"); err != nil || !strings.Contains(out, "15") {
		t.Fatal(err, out)
	}
	x := e.await("a program with long arguments", func(x *sekisho.Event) bool {
		return of("long", sekisho.EventExec)(x) && len(x.Process.Args) > 1 && x.Process.Args[1] == "show"
	})
	n := 0
	for _, a := range x.Process.Args {
		n += len(a)
	}
	if n < 4000 || n > 10000 {
		t.Errorf("%d bytes of arguments were kept", n)
	}
}

// TestManyExecs holds that of 20,000 programs none is lost, and that the
// tree of processes is empty of them afterwards.
func TestManyExecs(t *testing.T) {
	need(t, true)
	e := listen(t, sensor.Options{})
	st, err := e.Stats()
	must(t, err)
	before := st.Processes
	const count = 20000
	must(t, exec.Command("/bin/sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do /bin/busybox true sekisho-many; i=$((i+1)); done", count)).Run())
	exec.Command("/bin/busybox", "true", "sekisho-last").Run()
	e.await("the last", ran("/bin/busybox", "true", "sekisho-last"))
	execs := e.all(ran("/bin/busybox", "true", "sekisho-many"))
	if len(execs) != count {
		t.Errorf("%d programs were told, want %d", len(execs), count)
	}
	ids, ended := map[uint64]bool{}, 0
	for _, x := range execs {
		ids[x.Process.ID] = true
		if x.Process.Parent == nil || !strings.HasPrefix(x.Process.Parent.Path, "/usr/bin/dash") {
			t.Fatalf("the parent of %d: %+v", x.Process.PID, x.Process.Parent)
		}
	}
	if len(ids) != count {
		t.Errorf("%d ids for %d programs", len(ids), count)
	}
	for _, x := range e.all(func(x *sekisho.Event) bool { return x.Kind == sekisho.EventExit && ids[x.Process.ID] }) {
		if x.Process.Ended.Before(x.Process.Started) {
			t.Fatalf("ended before it started: %+v", x.Process)
		}
		ended++
	}
	if ended != count {
		t.Errorf("%d of %d programs were seen to end", ended, count)
	}
	if st, err = e.Stats(); err != nil || st.Processes > before+500 {
		t.Errorf("%d processes are kept, %d before: %v", st.Processes, before, err)
	}
	balanced(t, e)
}

// TestContainerdTold names a container whose cgroup has a name of the user's.
func TestContainerdTold(t *testing.T) {
	need(t, true, "containerd", "ctr", "runc")
	dir, err := os.MkdirTemp("", "sekisho-containerd-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := dir + "/c.sock"
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n address = %q\n[ttrpc]\n address = %q\n", dir+"/root", dir+"/state", socket, socket+".ttrpc")
	must(t, os.WriteFile(dir+"/config.toml", []byte(config), 0o600))
	start(t, func() bool { return exec.Command("ctr", "-a", socket, "version").Run() == nil }, "containerd", "--config", dir+"/config.toml")
	ctr := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ctr", append([]string{"-a", socket, "-n", "team"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ctr %v: %v: %s", args, err, out)
		}
	}
	ctr("images", "import", actors(t))
	e := listen(t, sensor.Options{})
	ctr("run", "--rm", "docker.io/library/actors:1.0", "orders", "/bin/actor", "show", "one")
	x := e.await("its first program", ran("/bin/actor", "show", "one"))
	if c := x.Container; c == nil || c.ID != "orders" || c.Name != "orders" || c.Runtime != "containerd" || x.Process.Origin != sekisho.OriginImage || c.Upper == "" {
		t.Errorf("its first program's container: %+v", c)
	}
	ctr("run", "-d", "docker.io/library/actors:1.0", "stays", "/bin/busybox", "sh", "-c", "while :; do /bin/actor show again; /bin/busybox usleep 50000; done")
	t.Cleanup(func() {
		exec.Command("ctr", "-a", socket, "-n", "team", "task", "kill", "-s", "SIGKILL", "stays").Run()
		exec.Command("ctr", "-a", socket, "-n", "team", "task", "rm", "-f", "stays").Run()
	})
	x = e.await("the image of a container of containerd", func(x *sekisho.Event) bool {
		return ran("/bin/actor", "show", "again")(x) && x.Container != nil && x.Container.Image != ""
	})
	if c := x.Container; c.Image != "docker.io/library/actors:1.0" || !strings.HasPrefix(string(c.ImageDigest), "sha256:") {
		t.Errorf("its image: %+v", c)
	}
}

// TestPolicyOfOneContainer kills drift in the container that has the policy,
// and in no other.
func TestPolicyOfOneContainer(t *testing.T) {
	s := newStage(t)
	e := listen(t, sensor.Options{})
	must(t, e.SetPolicy(3, sensor.Policy{Mode: sensor.KillUpper}))
	for _, name := range []string{"guarded", "free"} {
		if out, err := s.run(name, []string{"-d"}, "/bin/busybox", "sleep", "600"); err != nil {
			t.Fatal(err, out)
		}
	}
	x := e.await("the guarded container", of("guarded", sekisho.EventExec))
	must(t, e.Assign(x.Container.ID, 3, nil))
	script := "/bin/busybox cp /bin/actor /x; /x touch /witness"
	if err := engine(s.env, "exec", "guarded", "/bin/busybox", "sh", "-c", script); err == nil {
		t.Error("drift ran in the guarded container")
	}
	if err := engine(s.env, "exec", "free", "/bin/busybox", "sh", "-c", script); err != nil {
		t.Errorf("a container without the policy: %v", err)
	}
	e.await("the kill", of("guarded", sekisho.EventKill))
	x = e.await("drift is told where it is not forbidden", func(x *sekisho.Event) bool {
		return of("free", sekisho.EventExec)(x) && x.Process.Path == "/x"
	})
	if x.Origin != sekisho.OriginUpper || len(e.all(of("free", sekisho.EventKill))) > 0 {
		t.Errorf("drift in the free container: %+v", x)
	}
}

// TestHostileContainer tries to become another container or none: cgroups with
// names of containers, other namespaces, a flood of processes.
func TestHostileContainer(t *testing.T) {
	s := newStage(t)
	e := listen(t, sensor.Options{})
	powers := []string{"--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"}
	other := strings.Repeat("0123456789abcdef", 4)
	unified := e.tracker.Unified()
	if unified == "" {
		t.Fatal("no cgroup v2 is mounted")
	}
	script := `/bin/busybox mkdir -p /cg && /bin/busybox mount -t cgroup2 none /cg && cd /cg &&
own=/cg$(/bin/busybox sed -n 's/^0:://p' /proc/self/cgroup); [ -d $own ] || own=/cg
/bin/busybox mkdir $own/OTHER && echo 0 > $own/OTHER/cgroup.procs && /bin/actor show moved`
	out, err := s.run("hostile", append(powers, "--cgroupns=host"), "/bin/busybox", "sh", "-c", strings.ReplaceAll(script, "OTHER", other))
	if err != nil {
		t.Fatal(err, out)
	}
	if x := e.await("a program in a cgroup of a stolen name", ran("/bin/actor", "show", "moved")); x.Container == nil || x.Container.Name != "hostile" || x.Container.ID == other {
		t.Errorf("it was taken for %+v", x.Container)
	}
	if out, err := s.run("inner", powers, "/bin/busybox", "unshare", "-m", "-p", "-f", "-u", "-i", "-n", "/bin/actor", "show", "inner"); err != nil {
		t.Fatal(err, out)
	}
	x := e.await("a program in namespaces of its own", ran("/bin/actor", "show", "inner"))
	if x.Container == nil || x.Container.Name != "inner" || x.Process.InnerPID != 1 || x.Process.Origin != sekisho.OriginImage {
		t.Errorf("namespaces in namespaces: %+v of %+v", x.Process, x.Container)
	}
	if out, err := s.run("bomb", []string{"--pids-limit", "300"}, "/bin/busybox", "timeout", "-s", "KILL", "3", "/bin/busybox", "sh", "-c", "b() { b | b & }; b; /bin/busybox sleep 2"); err == nil && out == "never" {
		t.Fatal(out)
	}
	st, err := e.Stats()
	must(t, err)
	if st.Processes > 10000 {
		t.Errorf("%d processes are kept", st.Processes)
	}
	for _, x := range e.all(of("bomb", sekisho.EventFork)) {
		depth := 0
		for p := x.Process; p != nil; p = p.Parent {
			depth++
		}
		if depth > 70 {
			t.Fatalf("a chain of %d parents", depth)
		}
	}
	if n := len(e.all(of("bomb", sekisho.EventFork))); n < 100 {
		t.Errorf("the bomb made %d processes", n)
	}
	balanced(t, e)
}

// TestEnforceTopAndProbe holds that the table names the container that works,
// and that probe says of everything whether it works here.
func TestEnforceTopAndProbe(t *testing.T) {
	s := newStage(t)
	type result struct {
		status   int
		out, err string
	}
	done := make(chan result, 1)
	go func() {
		status, out, fail := run(t, nil, "enforce", "top", "--for", "6s", "--interval", "500ms")
		done <- result{status, out, fail}
	}()
	if out, err := s.run("busy", []string{"-d"}, "/bin/busybox", "sh", "-c", "while :; do /bin/actor show; /bin/busybox cp /bin/actor /x; /x show; /bin/busybox usleep 50000; done"); err != nil {
		t.Fatal(err, out)
	}
	heard := <-done
	if heard.status != 0 {
		t.Fatal(heard.status, heard.err)
	}
	worked := false
	for line := range strings.Lines(heard.out) {
		if f := strings.Fields(line); len(f) > 5 && f[0] == "busy" && f[1] != "0" && f[2] != "0" && f[5] != "0" {
			worked = true
		}
	}
	if !worked || !strings.Contains(heard.out, "0 events lost") {
		t.Errorf("top: %s", heard.out)
	}
	status, out, fail := run(t, nil, "enforce", "probe", "--json")
	var doc struct {
		Schema   string
		Features []sensor.Feature
	}
	if status != 0 || json.Unmarshal([]byte(out), &doc) != nil || doc.Schema != "sekisho.probe/v1" || len(doc.Features) < 40 {
		t.Fatalf("probe: status %d: %s %s", status, out, fail)
	}
	for _, f := range doc.Features {
		if f.State == sensor.NotSupported && f.Why == "" || f.State == sensor.OK && f.Why != "" {
			t.Errorf("%s is %q, because %q", f.Name, f.State, f.Why)
		}
	}
	if doc.Features[0].State != sensor.OK {
		t.Errorf("%+v", doc.Features[0])
	}
}
