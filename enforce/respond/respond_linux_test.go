package respond

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/settings"
)

func TestStat(t *testing.T) {
	s, ok := parseStat("42 (a) b (c) S 7 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1")
	if !ok || s.name != "a) b (c" || s.parent != 7 || s.started != 98765 || s.state != "S" {
		t.Errorf("%+v %v", s, ok)
	}
}

func FuzzStat(f *testing.F) {
	f.Add("42 (a) b (c) S 7 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1")
	f.Fuzz(func(t *testing.T, text string) { parseStat(text) })
}

func TestEnvironmentIsMasked(t *testing.T) {
	r := &Responder{Mask: func(s string) string { return strings.ReplaceAll(s, "AKIAIOSFODNN7EXAMPLE", "***") }}
	got := strings.Join(r.environment(r.words([]byte("PATH=/bin\x00DB_PASSWORD=hunter2\x00X=AKIAIOSFODNN7EXAMPLE\x00API_TOKEN=t0ken\x00"))), " ")
	for _, secret := range []string{"hunter2", "t0ken", "AKIAIOSFODNN7EXAMPLE"} {
		if strings.Contains(got, secret) {
			t.Errorf("shown: %s", got)
		}
	}
	if !strings.Contains(got, "PATH=/bin") || !strings.Contains(got, "DB_PASSWORD=(7 bytes, sha256 ") {
		t.Errorf("%s", got)
	}
}

// root fails in CI and skips elsewhere when the test may not do what it must.
func root(t *testing.T, names ...string) {
	t.Helper()
	missing := ""
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			missing += " " + n
		}
	}
	if os.Getuid() != 0 {
		missing += " root"
	}
	if missing != "" && os.Getenv("CI") == "true" {
		t.Fatalf("missing:%s", missing)
	} else if missing != "" {
		t.Skipf("missing:%s", missing)
	}
}

// TestKillIsExact kills the process that is meant, and not another one with
// its number.
func TestKillIsExact(t *testing.T) {
	root(t)
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "cgroup"))
	if err != nil {
		t.Fatal(err)
	}
	r := &Responder{Proc: "/proc", Now: time.Now}
	whole := &sekisho.Container{ID: strings.TrimSpace(string(bytes.SplitN(data, []byte("\n"), 2)[0])), Name: "x"}
	alive := func() bool {
		s, ok := r.stat(cmd.Process.Pid)
		return ok && s.state != "Z"
	}
	for name, o := range map[string]*Order{
		"another container": {PID: cmd.Process.Pid, Container: &sekisho.Container{ID: strings.Repeat("f", 64)}, Started: time.Now()},
		"another start":     {PID: cmd.Process.Pid, Container: whole, Started: time.Now().Add(-time.Hour)},
	} {
		o.Do = settings.Kill
		if err := r.Act(t.Context(), o); err != nil || !alive() {
			t.Fatalf("%s: %v, alive %v", name, err, alive())
		}
	}
	if err := r.Act(t.Context(), &Order{Do: settings.Kill, PID: cmd.Process.Pid, Container: whole, Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it ended with %v", err)
	}
}

// TestQuarantine cuts a real network namespace off, and brings it back with its
// addresses and routes.
func TestQuarantine(t *testing.T) {
	root(t, "ip", "unshare", "nsenter")
	cmd := exec.Command("unshare", "-n", "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	pid := strconv.Itoa(cmd.Process.Pid)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if its, err := os.Readlink("/proc/" + pid + "/ns/net"); err == nil && its != own {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no namespace")
		}
	}
	host := "skq" + pid
	for _, line := range []string{
		"ip link add " + host + " type veth peer name eth0 netns " + pid,
		"ip addr add 198.51.100.1/30 dev " + host, "ip link set " + host + " up",
		"nsenter -t " + pid + " -n ip addr add 198.51.100.2/30 dev eth0", "nsenter -t " + pid + " -n ip link set eth0 up",
		"nsenter -t " + pid + " -n ip route add default via 198.51.100.1",
	} {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	defer exec.Command("ip", "link", "del", host).Run()
	l, err := net.Listen("tcp", "198.51.100.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	reach := func() bool {
		return exec.Command("nsenter", "-t", pid, "-n", "timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/198.51.100.1/"+port).Run() == nil
	}
	if !reach() {
		t.Fatal("nothing to cut")
	}
	data, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	proc := t.TempDir() // only this process: others share its cgroup
	for _, p := range []string{pid, strconv.Itoa(os.Getpid())} {
		if err := os.Symlink("/proc/"+p, filepath.Join(proc, p)); err != nil {
			t.Fatal(err)
		}
	}
	r := &Responder{Proc: proc, Now: time.Now}
	c := &sekisho.Container{ID: strings.TrimSpace(string(bytes.SplitN(data, []byte("\n"), 2)[0])), Name: "x"}
	if cmd.Process.Pid > os.Getpid() { // pids are in order: the first is looked at
		os.Remove(filepath.Join(proc, strconv.Itoa(os.Getpid())))
		if err := os.MkdirAll(filepath.Join(proc, strconv.Itoa(os.Getpid()), "ns"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(own, filepath.Join(proc, strconv.Itoa(os.Getpid()), "ns", "net")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Act(t.Context(), &Order{Do: settings.Quarantine, Container: c}); err != nil {
		t.Fatal(err)
	}
	if reach() {
		t.Error("it still reaches the host")
	}
	if err := exec.Command("nsenter", "-t", pid, "-n", "ip", "link", "set", "eth0", "up").Run(); err != nil || reach() {
		t.Errorf("the container undid it itself: %v", err)
	}
	if err := r.Restore(c); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !reach(); {
		if time.Now().After(deadline) {
			t.Fatal("it is not brought back")
		}
	}
	host = "skq" + pid
	if out, err := exec.Command("nsenter", "-t", pid, "-n", "ip", "route").Output(); err != nil || !strings.Contains(string(out), "default via 198.51.100.1") {
		t.Errorf("the route is gone: %s", out)
	}
}
