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

func killed(path string) func(*sekisho.Event) bool {
	return func(e *sekisho.Event) bool { return e.Kind == sekisho.EventKill && e.Path == path }
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
	if first := e.all(func(x *sekisho.Event) bool { return x.Container != nil && x.Container.Name == "short" && x.Kind == sekisho.EventExec })[0]; first != x {
		t.Errorf("an earlier program was said to be the container's: %v", first.Process)
	}
	must(t, engine(env, "exec", "before", "/bin/busybox", "echo", "second"))
	if x := e.await("a program in a container that ran before", ran("/bin/busybox", "echo", "second")); x.Container == nil || x.Container.Name != "before" {
		t.Errorf("a program in a container that ran before: %+v", x.Container)
	}
	for _, x := range e.all(func(x *sekisho.Event) bool { return x.Kind == sekisho.EventExec && strings.Contains(strings.Join(x.Process.Args, " "), "runc") }) {
		if x.Container != nil {
			t.Errorf("the runtime was taken for the container's: %v", x.Process.Args)
		}
	}
}

// drifts are ways to run what is not in the image, and whether one is killed.
var drifts = []struct{ name, script string }{
	{"written", "cp /bin/busybox /tmp-x; /tmp-x touch /witness"},
	{"renamed", "cp /bin/busybox /a; mv /a /sbin-x; /sbin-x touch /witness"},
	{"hard link", "cp /bin/busybox /a; ln /a /b; /b touch /witness"},
	{"in memory", "cp /bin/busybox /dev/shm/x; /dev/shm/x touch /witness"},
	{"over the image's", "cp /bin/busybox /new; cat /new > /bin/second; /bin/second touch /witness"},
}

// TestDriftKilled holds that no instruction of a program which is not in the
// image runs, and that what is in the image does.
func TestDriftKilled(t *testing.T) {
	env := docker(t, "overlay2")
	must(t, engine(env, "load", "-i", shellArchive(t)))
	e := listen(t, sensor.Options{Default: sensor.Policy{Mode: sensor.KillUpper | sensor.KillMemory}})
	shell := func(name, script string) (string, error) {
		cmd := exec.Command("docker", "run", "--name", name, "--network=none", "--user=0", "app:1.0", "/bin/busybox", "sh", "-c", strings.NewReplacer("cp ", "/bin/busybox cp ", "mv ", "/bin/busybox mv ", "ln ", "/bin/busybox ln ", "cat ", "/bin/busybox cat ").Replace(script))
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+env["DOCKER_HOST"])
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := shell("good", "/bin/busybox touch /witness && echo well"); err != nil || !strings.Contains(out, "well") {
		t.Fatalf("the image's own program: %v: %s", err, out)
	}
	for i, d := range drifts {
		name := fmt.Sprintf("drift%d", i)
		out, err := shell(name, d.script)
		if err == nil {
			t.Errorf("%s: the shell ended well: %s", d.name, out)
		}
		x := e.await(d.name+" is killed", func(x *sekisho.Event) bool {
			return x.Kind == sekisho.EventKill && x.Container != nil && x.Container.Name == name
		})
		if x.Origin == sekisho.OriginImage {
			t.Errorf("%s: origin %q", d.name, x.Origin)
		}
		if _, err := os.Stat(filepath.Join(x.Container.Upper, "witness")); !os.IsNotExist(err) {
			t.Errorf("%s: the killed program left a file: %v", d.name, err)
		}
		must(t, engine(env, "rm", "-f", name))
	}
	if list := e.all(func(x *sekisho.Event) bool { return x.Kind == sekisho.EventKill && x.Container == nil }); len(list) > 0 {
		t.Errorf("a process of the host was killed: %v", list[0].Process)
	}
	must(t, engine(env, "rm", "-f", "good"))
}
