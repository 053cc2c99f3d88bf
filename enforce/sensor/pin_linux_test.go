package sensor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	sys "syscall"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/container"
)

// pinned is one run of a sensor whose programs stay behind.
type pinned struct {
	*Sensor
	t       *testing.T
	mu      sync.Mutex
	execs   map[string]int // by the last argument
	lost    map[string]int64
	news    chan struct{}
	cancel  context.CancelFunc
	ended   chan error
	counted Stats // at the end
}

// pins is a directory of pins of this test's own.
func pins(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("root is missing")
		}
		t.Skip("root is missing")
	}
	dir := fmt.Sprintf("/sys/fs/bpf/sekisho-test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))
	t.Cleanup(func() {
		if _, err := Unpin(dir); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	})
	return dir
}

func run(t *testing.T, o Options) *pinned {
	t.Helper()
	p := &pinned{t: t, execs: map[string]int{}, lost: map[string]int64{}, ended: make(chan error, 1), news: make(chan struct{}, 1)}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	p.Sensor = s
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		p.ended <- s.Run(ctx, func(e *sekisho.Event) {
			p.mu.Lock()
			defer p.mu.Unlock()
			switch {
			case e.Kind == sekisho.EventExec && len(e.Process.Args) > 0:
				p.execs[e.Process.Args[len(e.Process.Args)-1]]++
			case e.Kind == sekisho.EventLost:
				p.lost[e.Path] += e.Number
			}
			select {
			case p.news <- struct{}{}:
			default:
			}
		})
	}()
	return p
}

func (p *pinned) end() {
	p.t.Helper()
	p.cancel()
	if err := <-p.ended; err != nil {
		p.t.Error(err)
	}
	var err error
	if p.counted, err = p.Stats(); err != nil {
		p.t.Error(err)
	}
	p.Close()
}

func (p *pinned) told(mark string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.execs[mark]
}

func (p *pinned) await(mark string) {
	p.t.Helper()
	deadline := time.After(20 * time.Second)
	for p.told(mark) == 0 {
		select {
		case <-p.news:
		case <-deadline:
			p.t.Fatalf("%s was never told", mark)
		}
	}
}

func mark(t *testing.T, text string) {
	t.Helper()
	if err := exec.Command("/bin/true", text).Run(); err != nil {
		t.Fatal(err)
	}
}

func unpinned(s *Sensor, feature string) bool {
	return slices.ContainsFunc(s.Features(), func(f Feature) bool { return f.Name == feature && f.Unpinned != "" })
}

// TestOutlives holds that what happens while no sensor runs is told by the
// next one, once, and that every number still adds up.
func TestOutlives(t *testing.T) {
	dir := pins(t)
	o := Options{Pins: dir, Default: Policy{Kinds: []sekisho.EventKind{sekisho.EventConnect, sekisho.EventUnlink}}}
	first := run(t, o)
	mark(t, "before")
	first.await("before")
	if o, known := first.Outlived(); !known || o != nil {
		t.Errorf("at first: %+v", o)
	}
	first.end()
	for i := range 300 {
		mark(t, fmt.Sprint("while", i))
	}
	second := run(t, o)
	mark(t, "after")
	second.await("after")
	for i := range 300 {
		if n := second.told(fmt.Sprint("while", i)); n != 1 {
			t.Fatalf("while%d was told %d times", i, n)
		}
	}
	if n := second.told("before"); n != 0 {
		t.Errorf("what was told before was told again")
	}
	out, _ := second.Outlived()
	if out == nil || out.Read == 0 || out.Other || !slices.Contains(out.Held, "exec") || !slices.Contains(out.Held, "connect") {
		t.Fatalf("outlived: %+v", out)
	}
	if unpinned(first.Sensor, "call unlinkat") { // before 5.15
		if !slices.Equal(out.Gone, []string{"unlink"}) {
			t.Errorf("outlived: %+v", out)
		}
	} else if !slices.Contains(out.Held, "unlink") || len(out.Gone) > 0 {
		t.Errorf("outlived: %+v", out)
	}
	st, err := second.Stats()
	if err != nil {
		t.Fatal(err)
	}
	for kind, c := range st.Kinds {
		if d := int64(c.Seen - c.Filtered - c.Submitted - c.Lost); d < 0 || d > 4 { // some may be on their way
			t.Errorf("%s: %+v", kind, c)
		}
	}
	if _, err := Open(o); sekisho.KindOf(err) != sekisho.Denied {
		t.Errorf("a second one at the same time: %v", err)
	}
	second.end()
}

// TestOutlivedLoss holds that what did not fit into the rings while no sensor
// ran is told as lost, exactly.
func TestOutlivedLoss(t *testing.T) {
	dir := pins(t)
	o := Options{Pins: dir, Host: Policy{Kinds: []sekisho.EventKind{sekisho.EventMkdir}}}
	first := run(t, o)
	mark(t, "before")
	first.await("before")
	first.end()
	if unpinned(first.Sensor, "call mkdir") {
		return // before 5.15; TestOutlives holds that this is said
	}
	flood := exec.Command("/bin/sh", "-c", "i=0; while [ $i -lt 60 ]; do mkdir -p "+strings.Repeat(filepath.Join(t.TempDir(), "a", "b")+" ", 400)+"; i=$((i+1)); done")
	if out, err := flood.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	second := run(t, o)
	mark(t, "after")
	second.await("after")
	second.end()
	st := second.counted
	if c := st.Kinds[sekisho.EventMkdir]; c.Lost == 0 || int64(c.Lost) != second.lost["mkdir"] || c.Seen != c.Filtered+c.Submitted+c.Lost {
		t.Errorf("counted %+v, told %d", c, second.lost["mkdir"])
	}
}

// markAll makes marks until it is stopped, and returns how many.
func markAll(t *testing.T, prefix string) (stop func() int) {
	t.Helper()
	ended, count := make(chan struct{}), make(chan int)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-ended:
				count <- i
				return
			default:
				if err := exec.Command("/bin/true", fmt.Sprint(prefix, i)).Run(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	return func() int { close(ended); return <-count }
}

// TestUpgrade holds that other programs take over without a moment in which
// nobody tells, and without telling anything twice, and that exactly one set
// of links is left.
func TestUpgrade(t *testing.T) {
	dir := pins(t)
	o := Options{Pins: dir, Default: Policy{Kinds: []sekisho.EventKind{sekisho.EventConnect}}, made: "one"}
	first := run(t, o)
	mark(t, "before")
	first.await("before")
	stop := markAll(t, "m")
	first.end()
	o.made = "two"
	second := run(t, o)
	mark(t, "after")
	second.await("after")
	if n := links(t, dir); n != len(second.links) {
		t.Errorf("%d links are pinned, %d are attached", n, len(second.links))
	}
	n := stop()
	mark(t, "last")
	second.await("last")
	for i := range n {
		m := fmt.Sprint("m", i)
		if sum := first.told(m) + second.told(m); sum != 1 {
			t.Errorf("%s of %d was told %d times", m, n, sum)
		}
	}
	if g := second.pins.Generations(); len(g) != 1 || g[0].Objects != "two" || g[0].Number != 2 {
		t.Errorf("generations %v", g)
	}
	if out, _ := second.Outlived(); out == nil || !slices.Contains(out.Held, "exec") || len(out.Gone) > 0 || out.Kills == 0 {
		t.Errorf("outlived: %+v", out)
	}
	if st, err := second.Stats(); err != nil || st.Kinds[sekisho.EventExec].Lost != 0 {
		t.Errorf("%+v %v", st.Kinds[sekisho.EventExec], err)
	}
	second.end()
}

// TestUpgradeLayout holds that programs whose records nobody can read any more
// do not hinder the start, and are gone after it.
func TestUpgradeLayout(t *testing.T) {
	dir := pins(t)
	o := Options{Pins: dir, layout: "old"}
	first := run(t, o)
	mark(t, "before")
	first.await("before")
	first.end()
	if err := os.MkdirAll(filepath.Join(dir, "half", "links", "no number"), 0o700); err != nil {
		t.Fatal(err)
	}
	second := run(t, Options{Pins: dir})
	mark(t, "after")
	second.await("after")
	if n := links(t, dir); n != len(second.links) {
		t.Errorf("%d links are pinned, %d are attached", n, len(second.links))
	}
	if out, _ := second.Outlived(); out == nil || !out.Other || len(out.Held) != 0 {
		t.Errorf("outlived: %+v", out)
	}
	second.end()
}

func links(t *testing.T, dir string) (n int) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "links", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestFailedStart holds that a sensor which never ran leaves what was there,
// and nothing of its own.
func TestFailedStart(t *testing.T) {
	dir := pins(t)
	s, err := Open(Options{Pins: dir})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("pins of a sensor that never ran: %v", err)
	}
}

// TestUnknown holds what the kernel does while no sensor lives with a container
// that begins then, with one that it knows, and with one that starts again.
func TestUnknown(t *testing.T) {
	dir := pins(t)
	tracker := container.New(container.Options{})
	root := tracker.Unified()
	if root == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("cgroup v2 is missing")
		}
		t.Skip("cgroup v2 is missing")
	}
	program := filepath.Join("/dev/shm", fmt.Sprintf("sekisho-test-%d", os.Getpid()))
	data, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(program) })
	ids := map[string]string{}
	box := func(name string) {
		if ids[name] == "" {
			ids[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(name, os.Getpid()))))
		}
		if err := os.Mkdir(filepath.Join(root, ids[name]), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(filepath.Join(root, ids[name])) })
	}
	killed := func(name string) bool {
		t.Helper()
		f, err := os.Open(filepath.Join(root, ids[name]))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := exec.Command(program, name)
		cmd.SysProcAttr = &sys.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd()), Unshareflags: sys.CLONE_NEWNS}
		err = cmd.Run()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.Sys().(sys.WaitStatus).Signal() == sys.SIGKILL
	}
	const lax, hard = 1, 2
	o := Options{Pins: dir, Containers: tracker, Loss: Loss{After: 10 * time.Second, Unknown: hard}}
	first := run(t, o)
	for id, p := range map[uint32]Policy{lax: {}, hard: {Mode: KillMemory}} {
		if err := first.SetPolicy(id, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range tracker.List() { // nobody else's
		if err := first.Assign(c.ID, lax, nil); err != nil {
			t.Fatal(err)
		}
	}
	box("known")
	box("strict")
	if killed("known") || killed("strict") {
		t.Error("killed without a policy")
	}
	first.await("strict")
	for name, policy := range map[string]uint32{"known": lax, "strict": hard} {
		if err := first.Assign(ids[name], policy, nil); err != nil {
			t.Fatal(err)
		}
	}
	first.end()
	if err := os.Remove(filepath.Join(root, ids["strict"])); err != nil {
		t.Fatal(err)
	}
	box("strict")
	box("new")
	for name, want := range map[string]bool{"known": false, "strict": true, "new": true} {
		if got := killed(name); got != want {
			t.Errorf("while no sensor lives, %s was killed: %v", name, got)
		}
	}
	held, err := Look(dir, container.New(container.Options{}))
	if err != nil || held.Unknown != KillMemory || held.Modes[ids["strict"]] != KillMemory || held.Modes[ids["known"]] != 0 || held.Modes[ids["new"]] != KillMemory {
		t.Errorf("%+v, %v", held, err)
	}
	second := run(t, Options{Pins: dir, Loss: Loss{After: 10 * time.Second, Unknown: hard}})
	mark(t, "after")
	second.await("after")
	if killed("new") {
		t.Error("killed by the policy for the time without a sensor")
	}
	second.end()
}

// TestOrphans holds that what was pinned for a state that is gone goes with the
// next start, and what is of another state stays.
func TestOrphans(t *testing.T) {
	shared := filepath.Join(pins(t), "sekisho")
	gone, stays := filepath.Join(t.TempDir(), "gone"), t.TempDir()
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]string{"orphan": gone, "other": stays} {
		s := run(t, Options{Pins: filepath.Join(shared, name), State: state})
		mark(t, name)
		s.await(name)
		s.end()
		t.Cleanup(func() { Unpin(filepath.Join(shared, name)) })
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	s := run(t, Options{Pins: filepath.Join(shared, "next"), State: stays})
	mark(t, "next")
	s.await("next")
	s.end()
	t.Cleanup(func() { Unpin(filepath.Join(shared, "next")) })
	if n := links(t, filepath.Join(shared, "orphan")); n != 0 {
		t.Errorf("%d links of a state that is gone", n)
	}
	if n := links(t, filepath.Join(shared, "other")); n == 0 {
		t.Error("another state lost its links")
	}
}

// TestNoPins holds that a directory where nothing can be pinned is said, and
// hinders nothing.
func TestNoPins(t *testing.T) {
	pins(t)
	s := run(t, Options{Pins: t.TempDir()})
	mark(t, "well")
	s.await("well")
	for _, f := range s.Features() {
		if f.Name == "pinned" && (f.State != NotSupported || !strings.Contains(f.Why, "bpffs")) {
			t.Errorf("%+v", f)
		}
	}
	s.end()
}
