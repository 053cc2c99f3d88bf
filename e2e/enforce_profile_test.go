//go:build linux

package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/enforce"
	"sekisho/enforce/profile"
	"sekisho/enforce/sensor"
)

// guardedImage is an image of its own name, so that nothing else on this host comes
// under its profile.
const guardedImage = "guarded:1.0"

// wires is a container with addresses, servers and a name server; others join
// its network.
func wires(t *testing.T, s stage) {
	t.Helper()
	must(t, engine(s.env, "run", "-d", "--name", "wires", "--network=none", "--cap-add=NET_ADMIN", "--dns=10.9.0.53", "--sysctl", "net.ipv6.conf.all.disable_ipv6=0", "--sysctl", "net.ipv4.ping_group_range=0 1000", "--sysctl", "net.ipv4.tcp_fastopen=3", "actors:1.0", "/bin/actor", "peers"))
	t.Cleanup(func() { must(t, engine(s.env, "rm", "-f", "wires")) })
	eventually(t, "the servers are ready", func() bool {
		cmd := exec.Command("docker", "logs", "wires")
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.env["DOCKER_HOST"])
		out, _ := cmd.CombinedOutput()
		return strings.Contains(string(out), "ready")
	})
}

// guard runs a script in a container of the guardedImage image.
func (s stage) guard(name, script string, options ...string) (string, error) {
	s.t.Helper()
	args := append([]string{"run", "--name", name, "--network=container:wires", "-v", "/data"}, options...)
	cmd := exec.Command("docker", append(args, guardedImage, "/bin/busybox", "sh", "-c", script)...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.env["DOCKER_HOST"])
	out, err := cmd.CombinedOutput()
	s.t.Cleanup(func() { must(s.t, engine(s.env, "rm", "-f", name)) })
	return strings.TrimSpace(string(out)), err
}

// ordinary is what the workload does all day, and what its profile is learned
// from.
const ordinary = `cd /; /bin/busybox mkdir -p /state /tmp; for i in 1 2 3 4 5 6 7 8; do /bin/actor write /data/$i; done; /bin/actor write /state/one; /bin/actor write2 /tmp/some.Xa81Kq
/bin/actor dial tcp 10.9.0.1:7000; /bin/actor dial tcp [fd09::1]:7000; /bin/actor send udp 10.9.0.1:7001
/bin/actor call a7.example:7000; /bin/actor hear :8080; /bin/actor hear 127.0.0.1:0; /bin/actor dial tcp 127.0.0.1:7000
/bin/busybox echo x > /dev/null; /bin/touch /state/two; /bin/busybox sleep 1`

// refusals are what the profile does not have, and what the try is told.
var refusals = []struct{ name, script, says, rule, what, done string }{
	{"another address", "/bin/actor dial tcp 10.9.0.2:7000", "EPERM", "connection", "10.9.0.2:7000/tcp", "denied"},
	{"another port", "/bin/actor dial tcp 10.9.0.1:7002", "EPERM", "connection", "10.9.0.1:7002/tcp", "denied"},
	{"IPv6", "/bin/actor dial tcp [fd09::2]:7000", "EPERM", "connection", "[fd09::2]:7000/tcp", "denied"},
	{"a datagram", "/bin/actor send udp 10.9.0.2:7001", "EPERM", "connection", "10.9.0.2:7001/udp", "denied"},
	{"an IPv6 datagram", "/bin/actor send udp [fd09::2]:7001", "EPERM", "connection", "[fd09::2]:7001/udp", "denied"},
	{"a connected datagram", "/bin/actor dial udp 10.9.0.2:7001", "EPERM", "connection", "10.9.0.2:7001/udp", "denied"},
	{"IPv4 in IPv6", "/bin/actor inside stream 10.9.0.2:7000", "EPERM", "connection", "10.9.0.2:7000/tcp", "denied"},
	{"IPv4 in an IPv6 datagram", "/bin/actor inside datagram 10.9.0.2:7001", "EPERM", "connection", "10.9.0.2:7001/udp", "denied"},
	{"IPv4 in a connected IPv6 datagram", "/bin/actor inside connected 10.9.0.2:7001", "EPERM", "connection", "10.9.0.2:7001/udp", "denied"},
	{"with the first packet", "/bin/actor fast 10.9.0.2:7000", "EPERM", "connection", "10.9.0.2:7000/tcp", "denied"},
	{"through io_uring", "/bin/actor ringdial 10.9.0.2:7000", "EPERM", "connection", "10.9.0.2:7000/tcp", "denied"},
	{"a name that the profile has not", "/bin/actor call a8.example:7000", "0", "connection", "a8.example:7000/tcp", "denied"},
	{"a raw socket", "/bin/actor socket raw", "EPERM", "socket", "icmp", "denied"},
	{"an IPv6 raw socket", "/bin/actor socket raw6", "EPERM", "socket", "udp", "denied"},
	{"a ping", "/bin/actor socket ping", "EPERM", "socket", "icmp", "denied"},
	{"another port to listen on", "/bin/actor hear :8081", "EPERM", "listen", "8081/tcp", "denied"},
	{"a name server of its own", "/bin/actor send udp 10.9.0.1:7001 127.0.0.1:53", "EPERM", "listen", "53/udp", "denied"},
	{"a file elsewhere", "/bin/actor write /witness", "Killed", "write", "/witness", "killed"},
	{"a file elsewhere, by openat2", "/bin/actor write2 /witness", "Killed", "write", "/witness", "killed"},
	{"a file of the image", "/bin/actor write /bin/touch trunc", "Killed", "write", "/bin/touch", "killed"},
	{"a link that leads elsewhere", "/bin/busybox mkdir /tmp; /bin/busybox ln -s / /tmp/link; /bin/actor write /tmp/link/witness", "Killed", "write", "/witness", "killed"},
	{"a path that climbs", "/bin/actor write /data/../witness", "Killed", "write", "/witness", "killed"},
	{"another root", "/bin/busybox chroot / /bin/actor write /witness", "Killed", "write", "/witness", "killed"},
	{"a file elsewhere, by io_uring", "/bin/actor ringwrite /witness", "Killed", "write", "io_uring", "killed"},
	{"packets", "/bin/actor socket packet", "Killed", "socket", "packet", "killed"},
	{"a program that never ran", "/lib64/ld-linux-x86-64.so.2 /bin/touch /data/x", "Killed", "process", "/lib64/ld-linux-x86-64.so.2", "killed"},
}

// TestProfileEnforced learns a workload, promotes the profile, and holds that
// the kernel then stops what it does not have, tells it with container and
// destination, and lets ordinary life go on.
func TestProfileEnforced(t *testing.T) {
	s := newStage(t)
	must(t, engine(s.env, "tag", "actors:1.0", guardedImage))
	wires(t, s)
	config := "mode: audit\nfiles: true\nrules: {builtin: false}\nworkloads: [{image: \"" + guardedImage + "\"MODE}]\n"
	e := startEnforcer(t, s.env, strings.Replace(config, "MODE", ", mode: learn", 1))
	for i := range 2 {
		out, err := s.guard(fmt.Sprint("learnt", i), ordinary)
		if err != nil || strings.Count(out, "ok") != 16 || !strings.HasSuffix(out, "ok") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	eventually(t, "it was seen", func() bool { return strings.Contains(e.ask("query", "--container", "learnt1"), "sleep 1") })
	e.stop()
	name := enforce.FileName("image:" + guardedImage)
	e.ask("profile", "promote", name, "--mode", "enforce")
	must(t, os.WriteFile(e.config, []byte("state: state\nprofiles: profiles\npin: false\n"+strings.Replace(config, "MODE", ", mode: enforce", 1)), 0o600))
	e.start(s.env)
	out, err := s.guard("ordinary", ordinary)
	if err != nil || strings.Contains(out, "EPERM") || strings.Contains(out, "Killed") {
		t.Errorf("ordinary life: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("profile:\n%s\n%s", e.ask("profile", "show", name), e.ask("status"))
		}
	})
	for i, r := range refusals {
		name := fmt.Sprint("refused", i)
		out, _ := s.guard(name, r.script+"; /bin/busybox sleep 0")
		if !strings.Contains(out, r.says) || strings.Contains(out, "ok") {
			t.Errorf("%s: %q", r.name, out)
		}
		want := fmt.Sprint(r.rule, " ", r.what, " ", r.done)
		eventually(t, r.name+" is told as "+want, func() bool {
			return slices.ContainsFunc(e.alerts(name), func(a enforce.Alert) bool {
				return a.Kind == enforce.KindProfile && fmt.Sprint(a.Rule, " ", a.What, " ", a.Done) == want
			})
		})
		if data, err := os.ReadFile(filepath.Join(s.upper(name), "witness")); err == nil && len(data) > 0 {
			t.Errorf("%s: %q was written", r.name, data)
		}
	}
	for _, a := range e.alerts("ordinary") {
		t.Errorf("ordinary life raised %s %s %s %s", a.Kind, a.Rule, a.What, a.Done)
	}
	e.resolves(s, name)
	must(t, engine(s.env, "run", "-d", "--name", "steady", "--network=container:wires", guardedImage, "/bin/busybox", "sleep", "600"))
	t.Cleanup(func() { must(t, engine(s.env, "rm", "-f", "steady")) })
	eventually(t, "the status tells what is stopped", func() bool {
		for line := range strings.Lines(e.ask("status")) {
			if f := strings.Fields(line); len(f) > 4 && f[0] == "steady" {
				return f[1] == "enforce" && f[2] == "enforcing" && f[3] == "drift,process,connection,listen,write"
			}
		}
		return false
	})
}

// TestProfileOutlives holds that what a profile stops is stopped while no
// enforcer runs, also in a container that starts again meanwhile, and that the
// next one tells it.
func TestProfileOutlives(t *testing.T) {
	s := newStage(t)
	must(t, engine(s.env, "tag", "actors:1.0", guardedImage))
	wires(t, s)
	dir := filepath.Join("/sys/fs/bpf", fmt.Sprintf("sekisho-profile-%d", os.Getpid()))
	t.Cleanup(func() {
		if _, err := sensor.Unpin(dir); err != nil {
			t.Error(err)
		}
	})
	e := startEnforcer(t, s.env, "mode: audit\nrules: {builtin: false}\nworkloads: [{image: \""+guardedImage+"\", mode: enforce}]\n")
	e.stop()
	config, err := os.ReadFile(e.config)
	must(t, err)
	must(t, os.WriteFile(e.config, bytes.Replace(config, []byte("pin: false"), []byte("pin: "+dir), 1), 0o600))
	p := &profile.Profile{Name: "outlives", Workload: "image:" + guardedImage, Mode: profile.Enforce, Processes: []profile.Process{{Path: "/bin/busybox"}, {Path: "/bin/actor"}},
		Connections: []profile.Connection{{To: "10.9.0.1:7000/tcp"}, {To: "a7.example:7000/tcp"}}, Writes: []profile.Write{{Path: "/data/**"}}}
	must(t, enforce.WriteProfile(filepath.Join(e.dir, "profiles", "outlives.yaml"), p))
	e.start(s.env)
	for _, name := range []string{"stays", "again"} {
		must(t, engine(s.env, "run", "-d", "--name", name, "--network=container:wires", guardedImage, "/bin/busybox", "sleep", "600"))
		t.Cleanup(func() { must(t, engine(s.env, "rm", "-f", name)) })
		eventually(t, name+" is under its profile", func() bool { return s.does(name, "dial tcp 10.9.0.2:7000") == "EPERM" })
	}
	e.stop()
	must(t, engine(s.env, "restart", "-t", "0", "again"))
	for _, name := range []string{"stays", "again"} {
		for words, want := range map[string]string{"dial tcp 10.9.0.1:7000": "ok", "call a7.example:7000": "1", "dial tcp 10.9.0.2:7000": "EPERM", "call a8.example:7000": "0", "write /witness": "", "touch /lib64/x": ""} {
			if got := s.does(name, words); got != want {
				t.Errorf("%s, %s: %q, want %q", name, words, got, want)
			}
		}
		if data, err := os.ReadFile(filepath.Join(s.upper(name), "witness")); err == nil && len(data) > 0 {
			t.Errorf("%s: %q was written", name, data)
		}
	}
	e.start(s.env)
	for _, name := range []string{"stays", "again"} {
		eventually(t, "what "+name+" tried is told", func() bool {
			return slices.ContainsFunc(e.alerts(name), func(a enforce.Alert) bool { return a.What == "/witness" && a.Done == "killed" })
		})
		if got := s.does(name, "dial tcp 10.9.0.2:7000") + s.does(name, "call a7.example:7000"); got != "EPERM1" {
			t.Errorf("%s, when the enforcer is back: %q", name, got)
		}
	}
}

// does lets a running container try something.
func (s stage) does(name, words string) string {
	s.t.Helper()
	cmd := exec.Command("docker", append([]string{"exec", name, "/bin/actor"}, strings.Fields(words)...)...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.env["DOCKER_HOST"])
	out, _ := cmd.Output()
	return strings.TrimSpace(string(out))
}

// resolves holds that a name's address may be connected to as soon as the
// answer is there, every time, for each of 250 names that somebody added to
// the profile while it was in force.
func (e *enforcer) resolves(s stage, name string) {
	e.t.Helper()
	path := filepath.Join(e.dir, "profiles", name+".yaml")
	p, err := enforce.ReadProfile(path)
	must(e.t, err)
	for i := range 250 {
		p.Connections = append(p.Connections, profile.Connection{To: fmt.Sprintf("a%d.example:7000/tcp", i)})
	}
	must(e.t, enforce.WriteProfile(path, p))
	eventually(e.t, "the profile is taken over", func() bool {
		container := fmt.Sprint("names", time.Now().UnixNano())
		out, err := s.guard(container, "/bin/actor call a9.example:7000")
		must(e.t, err)
		return out == "1"
	})
	out, err := s.guard("names", "/bin/actor call a%d.example:7000 3000")
	if err != nil || out != "3000" {
		e.t.Errorf("connected after %s of 3000 answers: %v", out, err)
	}
}
