//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/container"
	"sekisho/enforce/sensor"
	"sekisho/internal/mkimage"
)

// ear is a sensor whose events a test looks through.
type ear struct {
	t *testing.T
	*sensor.Sensor
	tracker *container.Tracker
	mu      sync.Mutex
	events  []*sekisho.Event
	more    chan struct{}
}

// listen opens a sensor that runs until the test ends.
func listen(t *testing.T, o sensor.Options) *ear {
	t.Helper()
	need(t, true)
	e := &ear{t: t, tracker: container.New(container.Options{}), more: make(chan struct{}, 1)}
	o.Containers = e.tracker
	s, err := sensor.Open(o)
	must(t, err)
	e.Sensor = s
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, e.hear) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return e
}

func (e *ear) hear(x *sekisho.Event) {
	e.mu.Lock()
	e.events = append(e.events, x)
	e.mu.Unlock()
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// all returns the events that a test asks for, so far.
func (e *ear) all(want func(*sekisho.Event) bool) (list []*sekisho.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.events {
		if want(x) {
			list = append(list, x)
		}
	}
	return list
}

// await waits for an event.
func (e *ear) await(what string, want func(*sekisho.Event) bool) *sekisho.Event {
	e.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if list := e.all(want); len(list) > 0 {
			return list[0]
		}
		select {
		case <-e.more:
		case <-deadline:
			e.t.Fatalf("no event: %s; heard %d", what, len(e.events))
		}
	}
}

func ran(words ...string) func(*sekisho.Event) bool {
	return func(e *sekisho.Event) bool {
		return e.Kind == sekisho.EventExec && slices.Equal(e.Process.Args, words)
	}
}

// TestEnforceDocker hears the first program of a container of 50 ms with the
// container's name, image and labels, and the files that a drifted program
// would have made are not there.
func TestEnforceDocker(t *testing.T) {
	env := docker(t, "overlay2")
	must(t, engine(env, "load", "-i", shellArchive(t)))
	must(t, engine(env, "run", "-d", "--name", "before", "--network=none", "--user=0", "app:1.0"))
	t.Cleanup(func() { must(t, engine(env, "rm", "-f", "before")) })
	e := listen(t, sensor.Options{})
	must(t, engine(env, "run", "--rm", "--name", "short", "--network=none", "--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web", "app:1.0", "/bin/busybox", "echo", "first"))
	x := e.await("the first program", ran("/bin/busybox", "echo", "first"))
	c := x.Container
	if c == nil || c.Name != "short" || c.Image != "app:1.0" || c.Runtime != "docker" || !strings.HasPrefix(string(c.ImageID), "sha256:") || c.Workload.String() != "shop/web" || c.Upper == "" {
		t.Errorf("the first program's container: %+v", c)
	}
	p := x.Process
	if p.Origin != sekisho.OriginImage || p.Path != "/bin/busybox" || p.Directory != "/" || p.UID != 1 || p.InnerPID != 1 || p.Container != c.ID {
		t.Errorf("the first program: %+v", p)
	}
	if first := e.all(func(x *sekisho.Event) bool {
		return x.Container != nil && x.Container.Name == "short" && x.Kind == sekisho.EventExec
	})[0]; first != x {
		t.Errorf("an earlier program was said to be the container's: %v", first.Process)
	}
	must(t, engine(env, "exec", "before", "/bin/busybox", "echo", "second"))
	if x := e.await("a program in a container that ran before", ran("/bin/busybox", "echo", "second")); x.Container == nil || x.Container.Name != "before" {
		t.Errorf("a program in a container that ran before: %+v", x.Container)
	}
	for _, x := range e.all(func(x *sekisho.Event) bool {
		return x.Kind == sekisho.EventExec && strings.Contains(strings.Join(x.Process.Args, " "), "runc")
	}) {
		if x.Container != nil {
			t.Errorf("the runtime was taken for the container's: %v", x.Process.Args)
		}
	}
}

// actors is an image with a shell, a program that does what the tests look
// for, and one that is linked dynamically with its loader and library.
func actors(t *testing.T) string {
	t.Helper()
	need(t, true, "/bin/busybox", "go", "cp")
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/bin", 0o755))
	must(t, os.MkdirAll(dir+"/lib64", 0o755))
	build := exec.Command("go", "build", "-o", dir+"/bin/actor", "./testdata/actor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("build the actor: %v: %s", err, out)
	}
	libraries, err := exec.Command("ldd", "/usr/bin/touch").Output()
	must(t, err)
	copies := [][2]string{{"/bin/busybox", "/bin/busybox"}, {"/usr/bin/touch", "/bin/touch"}}
	for _, w := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(w, "/") {
			copies = append(copies, [2]string{w, w})
		}
	}
	for _, c := range copies {
		to := filepath.Join(dir, c[1])
		must(t, os.MkdirAll(filepath.Dir(to), 0o755))
		if out, err := exec.Command("cp", "-L", c[0], to).CombinedOutput(); err != nil {
			t.Fatalf("copy %s: %v: %s", c[0], err, out)
		}
	}
	archive := filepath.Join(t.TempDir(), "actors.tar")
	f, err := os.Create(archive)
	must(t, err)
	must(t, mkimage.Docker(f, mkimage.Image{Name: "actors:1.0", Run: map[string]any{"Cmd": []string{"/bin/busybox", "sleep", "600"}}, Layers: []mkimage.Layer{{Dir: dir, By: "COPY actors"}}}))
	must(t, f.Close())
	return archive
}

// stage is an engine with the actors' image.
type stage struct {
	t   *testing.T
	env map[string]string
}

func newStage(t *testing.T) stage {
	s := stage{t, docker(t, "overlay2")}
	must(t, engine(s.env, "load", "-i", actors(t)))
	return s
}

// run runs a command in a new container, which stays until the test ends.
func (s stage) run(name string, options []string, words ...string) (string, error) {
	args := append([]string{"run", "--name", name, "--network=none"}, options...)
	cmd := exec.Command("docker", append(append(args, "actors:1.0"), words...)...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.env["DOCKER_HOST"])
	out, err := cmd.CombinedOutput()
	s.t.Cleanup(func() { must(s.t, engine(s.env, "rm", "-f", name)) })
	return string(out), err
}

// of looks for events of a kind in a container.
func of(name string, kind sekisho.EventKind) func(*sekisho.Event) bool {
	return func(e *sekisho.Event) bool { return e.Kind == kind && e.Container != nil && e.Container.Name == name }
}

// drifts are ways to run what is not in the image.
var drifts = []struct{ name, script, origin string }{
	{"written", "cp /bin/actor /x; /x touch /witness", sekisho.OriginUpper},
	{"renamed", "cp /bin/actor /a; mv /a /bin/sh; /bin/sh touch /witness", sekisho.OriginUpper},
	{"linked", "cp /bin/actor /a; ln /a /b; /b touch /witness", sekisho.OriginUpper},
	{"changed", "cat /bin/actor > /bin/touch; /bin/touch touch /witness", sekisho.OriginUpper},
	{"a file system in memory", "cp /bin/actor /mem/x; /mem/x touch /witness", sekisho.OriginMemory},
	{"memfd", "/bin/actor memfd /witness", sekisho.OriginMemory},
	{"unlinked", "/bin/actor unlinked /witness", sekisho.OriginDeleted},
	{"a shell's own child", "cp /bin/actor /x; ( ( /x touch /witness ) )", sekisho.OriginUpper},
	{"the loader's argument", "cp /bin/touch /x; /lib64/ld-linux-x86-64.so.2 /x /witness", sekisho.OriginUpper},
	{"a preloaded library", "cp /lib/x86_64-linux-gnu/libc.so.6 /x.so; LD_PRELOAD=/x.so /bin/touch /witness", sekisho.OriginUpper},
	{"mapped", "cp /bin/actor /x; /bin/actor map /x /witness", sekisho.OriginUpper},
	{"mapped, then made executable", "cp /bin/actor /x; /bin/actor protect /x /witness", sekisho.OriginUpper},
	{"a volume", "cp /bin/actor /volume/x; /volume/x touch /witness", sekisho.OriginVolume},
}

// TestDriftKilled holds that no instruction of a program which is not in the
// image runs, and that what is in the image does.
func TestDriftKilled(t *testing.T) {
	s := newStage(t)
	e := listen(t, sensor.Options{Default: sensor.Policy{Mode: sensor.KillUpper | sensor.KillMemory | sensor.KillVolume | sensor.KillMapped}})
	short := strings.NewReplacer("cp ", "/bin/busybox cp ", "mv ", "/bin/busybox mv ", "ln ", "/bin/busybox ln ", "cat ", "/bin/busybox cat ")
	options := []string{"--tmpfs", "/mem:exec", "-v", "/volume"}
	shell := func(name, script string) (string, error) {
		return s.run(name, options, "/bin/busybox", "sh", "-c", short.Replace(script))
	}
	if out, err := shell("good", "/bin/touch /a && /bin/actor touch /witness && /lib64/ld-linux-x86-64.so.2 /bin/touch /b && echo well"); err != nil || !strings.Contains(out, "well") {
		t.Fatalf("the image's own programs: %v: %s", err, out)
	}
	for i, d := range drifts {
		name := fmt.Sprintf("drift%d", i)
		out, err := shell(name, d.script)
		if err == nil {
			t.Errorf("%s: the shell ended well: %s", d.name, out)
		}
		x := e.await(d.name+" is killed", of(name, sekisho.EventKill))
		if x.Origin != d.origin {
			t.Errorf("%s: origin %q, want %q", d.name, x.Origin, d.origin)
		}
		if _, err := os.Stat(filepath.Join(x.Container.Upper, "witness")); !os.IsNotExist(err) {
			t.Errorf("%s: the killed program left a file: %v", d.name, err)
		}
	}
	if list := e.all(func(x *sekisho.Event) bool {
		return x.Kind == sekisho.EventKill && (x.Container == nil || x.Container.Name == "good")
	}); len(list) > 0 {
		t.Errorf("what is not drift was killed: %v", list[0].Process)
	}
}
