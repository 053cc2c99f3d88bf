//go:build linux && attacks

package attacks_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekisho/enforce"
)

// stage is what all tests share: an engine of its own with the images, and the
// built binary.
type stage struct {
	dir     string
	socket  string
	program string
	holder  string // the first process of the container whose network the attacks share
	stop    []func()
}

var shared *stage

func TestMain(m *testing.M) {
	code := 1
	var err error
	shared, err = start()
	switch {
	case errors.Is(err, errNeeds) && os.Getenv("CI") == "":
		fmt.Fprintln(os.Stderr, "skipped:", err)
		code = 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "make the stage:", err)
	default:
		code = m.Run()
	}
	for i := len(shared.stop) - 1; i >= 0; i-- {
		shared.stop[i]()
	}
	os.Exit(code)
}

var errNeeds = errors.New("these tests need")

// packages are what the services and attackers of the tests need in a Debian.
const packages = "nginx-light postgresql redis-server cron logrotate python3 perl nodejs netcat-traditional socat curl sudo openssh-client procps iproute2 libcap2-bin e2fsprogs"

// rootScript makes the file system of all containers; it runs once, and its
// result is kept in the user's cache.
const rootScript = `set -e
root=$1
debootstrap --variant=minbase bookworm "$root" http://deb.debian.org/debian
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get install -qy --no-install-recommends ` + packages + `
mkdir "$root/debs"
chroot "$root" sh -c 'cd /debs && apt-get download -q hello'
cd "$root"
rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/info usr/lib/*/libLLVM* usr/lib/postgresql/*/lib/bitcode
rm -rf var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb
mkdir -p root/.ssh root/.aws run/secrets/kubernetes.io/serviceaccount
chmod 700 root/.ssh
echo key > root/.ssh/id_rsa
echo secret > root/.aws/credentials
echo token > run/secrets/kubernetes.io/serviceaccount/token
echo ls > root/.bash_history
echo line > var/log/app.log
tar -cf "$2" .
`

// base returns the archive of the file system of all containers.
func base() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(rootScript))
	name := filepath.Join(cache, "sekisho-e2e", "attacks-"+hex.EncodeToString(sum[:8])+".tar")
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "sekisho-attacks-root-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	part := name + ".part"
	if out, err := exec.Command("sh", "-c", rootScript, "sh", dir+"/root", part).CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a Debian: %w: %s", err, out[max(0, len(out)-2000):])
	}
	return name, os.Rename(part, name)
}

const dockerfile = `FROM base:1
COPY actor actor32 /usr/local/bin/
RUN cd /usr/local/bin && for n in nmap kubectl xmrig insmod pkexec useradd crontab gdb memfd; do [ -e /usr/bin/$n ] || ln -s actor $n; done
CMD ["sleep", "3600"]
`

// images are tags of one image, so that settings can treat them differently.
var images = []string{"attacks-audit:1", "attacks-enforce:1", "attacks-life:1", "attacks-build:1", "attacks-other:1", "attacks-falco:1"}

func start() (*stage, error) {
	s := &stage{}
	if os.Geteuid() != 0 {
		return s, fmt.Errorf("%w root", errNeeds)
	}
	for _, name := range []string{"dockerd", "docker", "containerd", "runc", "debootstrap", "nsenter", "ip", "go"} {
		if _, err := exec.LookPath(name); err != nil {
			return s, fmt.Errorf("%w %s", errNeeds, name)
		}
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "sekisho-attacks-"); err != nil {
		return s, err
	}
	s.stop = append(s.stop, func() { os.RemoveAll(s.dir) })
	s.program, s.socket = s.dir+"/sekisho", s.dir+"/d.sock"
	for _, b := range [][]string{{s.program, "../../cmd/sekisho", "amd64"}, {s.dir + "/actor", "./testdata/actor", "amd64"}, {s.dir + "/actor32", "./testdata/actor", "386"}} {
		cmd := exec.Command("go", "build", "-o", b[0], b[1])
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+b[2])
		if out, err := cmd.CombinedOutput(); err != nil {
			return s, fmt.Errorf("build %s: %w: %s", b[1], err, out)
		}
	}
	root, err := base()
	if err != nil {
		return s, err
	}
	if err := s.startEngine(); err != nil {
		return s, err
	}
	if out, err := s.docker("import", root, "base:1"); err != nil {
		return s, fmt.Errorf("%w: %s", err, out)
	}
	if err := os.WriteFile(s.dir+"/Dockerfile", []byte(dockerfile), 0o644); err != nil {
		return s, err
	}
	if err := os.WriteFile(s.dir+"/.dockerignore", []byte("*\n!actor*\n!Dockerfile\n"), 0o644); err != nil {
		return s, err
	}
	if out, err := s.docker("build", "--network", "none", "-t", "attacks:1", s.dir); err != nil {
		return s, fmt.Errorf("%w: %s", err, out)
	}
	for _, name := range images {
		if out, err := s.docker("tag", "attacks:1", name); err != nil {
			return s, fmt.Errorf("%w: %s", err, out)
		}
	}
	return s, s.hold()
}

func (s *stage) startEngine() error {
	log, err := os.Create(s.dir + "/dockerd.log")
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("dockerd", "--host", "unix://"+s.socket, "--data-root", s.dir+"/data", "--exec-root", s.dir+"/exec", "--pidfile", s.dir+"/pid", "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=overlay2")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	s.stop = append(s.stop, func() {
		if out, err := s.docker("ps", "-aq"); err == nil && out != "" {
			s.docker(append([]string{"rm", "-f"}, strings.Fields(out)...)...)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		_ = syscall.Unmount(s.dir+"/exec/netns/default", syscall.MNT_DETACH) // an engine leaves it when it ends
	})
	deadline := time.Now().Add(time.Minute)
	for {
		if _, err := s.docker("info"); err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("dockerd ended: see %s", log.Name())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.New("dockerd does not answer")
		}
	}
}

// docker runs a command of the engine's client.
func (s *stage) docker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+s.socket, "DOCKER_BUILDKIT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("docker %s: %w", strings.Join(args, " "), err)
	}
	return string(out), err
}

const (
	attacker = "198.51.100.7" // an address that nobody has
	metadata = "169.254.169.254"
)

// hold starts the container whose network all share: the addresses of the
// world are its own, and what listens there is the attacker.
func (s *stage) hold() error {
	if out, err := s.docker("run", "-d", "--name", "holder", "--network", "none", "attacks-other:1"); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	pid, err := s.docker("inspect", "-f", "{{.State.Pid}}", "holder")
	if err != nil {
		return err
	}
	s.holder = strings.TrimSpace(pid)
	for _, at := range []string{attacker, metadata} {
		if out, err := exec.Command("nsenter", "-t", s.holder, "-n", "ip", "address", "add", at+"/32", "dev", "lo").CombinedOutput(); err != nil {
			return fmt.Errorf("give the world an address: %w: %s", err, out)
		}
	}
	if out, err := s.docker("exec", "-d", "holder", "actor", "serve", attacker+":4444", "touch /effect; echo EFFECT >&9; exit\n", attacker, attacker+":3333", attacker+":443", metadata+":80"); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	deadline := time.Now().Add(20 * time.Second)
	for exec.Command("nsenter", "-t", s.holder, "-n", s.dir+"/actor", "connect", "tcp", metadata+":80").Run() != nil {
		if time.Now().After(deadline) {
			return errors.New("the other side does not listen")
		}
	}
	return nil
}

// run runs a command in a new container, which stays until the test ends.
func (s *stage) run(t *testing.T, name string, options []string, words ...string) (string, error) {
	t.Helper()
	args := append([]string{"run", "--name", name, "--network", "container:holder"}, options...)
	t.Cleanup(func() { s.docker("rm", "-f", name) })
	return s.docker(append(args, words...)...)
}

// upper is the own layer of a container.
func (s *stage) upper(t *testing.T, name string) string {
	t.Helper()
	out, err := s.docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name)
	if err != nil {
		t.Fatal(err, out)
	}
	return strings.TrimSpace(out)
}

// guard is an enforcer that runs until the test ends.
type guard struct {
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	fail  *lockedBuffer
	mu    sync.Mutex
	list  []enforce.Alert
	ended chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// guarded starts the built binary as an enforcer of the host.
func guarded(t *testing.T, yaml string) *guard {
	t.Helper()
	g := &guard{t: t, dir: t.TempDir()}
	t.Cleanup(g.stop)
	g.begin(yaml)
	return g
}

// begin starts it, or starts it again on the same state.
func (g *guard) begin(yaml string) {
	g.t.Helper()
	must(g.t, os.WriteFile(g.dir+"/enforce.yaml", []byte("state: state\nprofiles: profiles\npin: false\ncanary: {every: 0s}\nmalware: {scan: false}\n"+yaml), 0o600))
	g.ended, g.fail = make(chan error, 1), &lockedBuffer{}
	g.cmd = exec.Command(shared.program, "enforce", "run", "--json", "--config", g.dir+"/enforce.yaml")
	g.cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+shared.socket, "SEKISHO_NO_WATCHDOG=1", "GOTRACEBACK=all") // a machine that builds at the same time is slow, not dead
	g.cmd.Stderr = g.fail
	out, err := g.cmd.StdoutPipe()
	must(g.t, err)
	must(g.t, g.cmd.Start())
	read := make(chan struct{})
	go func() { defer close(read); g.read(out) }()
	go func() { <-read; g.ended <- g.cmd.Wait() }()
	g.eventually("the enforcer runs", func() bool {
		st, err := enforce.ReadStatus(g.dir + "/state")
		return err == nil && !st.Clean && strings.Contains(g.fail.String(), "the enforcer runs")
	})
}

func (g *guard) stop() {
	if g.cmd == nil {
		return
	}
	g.cmd.Process.Signal(os.Interrupt)
	if err := <-g.ended; err != nil {
		g.t.Errorf("the enforcer ended with %v", err)
	}
	g.cmd = nil
	if g.t.Failed() {
		g.t.Logf("the enforcer:\n%s", g.fail.String())
	}
}

func (g *guard) read(r io.Reader) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var a enforce.Alert
		if json.Unmarshal(in.Bytes(), &a) != nil {
			continue
		}
		g.mu.Lock()
		g.list = append(g.list, a)
		g.mu.Unlock()
	}
}

// alerts are those of a container so far.
func (g *guard) alerts(name string) (list []enforce.Alert) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.list {
		if a.Container != nil && a.Container.Name == name {
			list = append(list, a)
		}
	}
	return list
}

// told says whether a rule, or an alert of a kind, was told of a container.
func (g *guard) told(name, what string) bool {
	for _, a := range g.alerts(name) {
		if a.Rule == what || a.Kind == what {
			return true
		}
	}
	return false
}

// eventually waits until something holds.
func (g *guard) eventually(what string, holds func() bool) {
	g.t.Helper()
	if !within(20*time.Second, holds) {
		g.t.Fatalf("never: %s\n%s", what, g.fail.String())
	}
}

func within(d time.Duration, holds func() bool) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(d)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
