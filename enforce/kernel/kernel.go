// Package kernel joins what the enforcer has in the kernel: the sensor, which
// sees everything and kills without asking, and the guard, which denies
// politely. Policies go in by container; events come out, denials among them.
// What this kernel cannot do is said, and the rest works without it.
package kernel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sekisho"
	"sekisho/enforce"
	"sekisho/enforce/container"
	"sekisho/enforce/drift"
	"sekisho/enforce/fanotify"
	"sekisho/enforce/profile"
	"sekisho/enforce/sensor"
	"sekisho/enforce/settings"
)

// Options are what is asked of the kernel.
type Options struct {
	Sensor   sensor.Options
	Settings *settings.Settings
	Judge    *drift.Judge
	Now      func() time.Time
}

// Kernel is the sensor and the guard.
type Kernel struct {
	Options
	sensor   *sensor.Sensor
	guard    *fanotify.Guard // nil where it is off or not supported
	features map[string]string
	mu       sync.Mutex
	watched  map[string]*sekisho.Container
	made     map[sensor.Mode]bool // policies that profiles asked for
	mounts   chan mount
	each     func(*sekisho.Event)
}

type mount struct {
	c   *sekisho.Container
	pid int
}

// bits of the kernel's policies by origin.
var bits = []struct {
	origin string
	mode   sensor.Mode
}{{settings.Upper, sensor.KillUpper}, {settings.Volume, sensor.KillVolume}, {settings.Memory, sensor.KillMemory}, {settings.Libraries, sensor.KillMapped}}

// Open attaches.
func Open(o Options) (*Kernel, error) {
	k := &Kernel{Options: o, features: map[string]string{}, watched: map[string]*sekisho.Container{}, made: map[sensor.Mode]bool{}, mounts: make(chan mount, 1024)}
	if o.Settings.Mode == profile.Enforce { // nobody else will know a container that begins while we are away
		o.Sensor.Loss.Unknown = policyID(modeOf(o.Settings.Drift) | sensor.SpareLower)
	}
	s, err := sensor.Open(o.Sensor)
	if err != nil {
		return nil, err
	}
	k.sensor = s
	k.remember()
	if err := k.policies(); err != nil {
		s.Close()
		return nil, err
	}
	k.features["polite denial"] = sensor.NotAsked
	if settings.On(o.Settings.Deny.Polite) {
		g, err := fanotify.Open(fanotify.Options{Deadline: time.Duration(o.Settings.Deny.Deadline), Closed: o.Settings.Deny.OnTimeout == "deny", Judge: o.Judge, Exempt: k.exempt, Denied: k.denied, Find: k.find, Proc: "/proc"})
		if err != nil {
			k.features["polite denial"] = sensor.NotSupported + ": " + err.Error()
		} else {
			k.guard = g
			k.features["polite denial"] = sensor.OK
		}
	}
	k.prefer()
	return k, nil
}

// policies makes those that need no profile: they are there from the start,
// containers only point at one. All that a profile can ask for is tried once,
// to know what this kernel does.
func (k *Kernel) policies() error {
	p := k.Options.Sensor.Default
	for mode := range sensor.DenyConnect {
		p.Mode = mode
		if err := k.sensor.SetPolicy(policyID(mode), p); err != nil {
			return err
		}
	}
	trial := sensor.Modes
	if !settings.On(k.Settings.Syscalls) {
		trial &^= sensor.KillMapped | sensor.KillWrite
	}
	for _, f := range k.sensor.Try(trial) {
		k.features[f.Name] = strings.TrimSuffix(f.State+": "+f.Why, ": ")
	}
	return nil
}

// Features says what works here.
func (k *Kernel) Features() map[string]string { return k.features }

// Close detaches. Run must have returned.
func (k *Kernel) Close() error { return k.sensor.Close() }

// exempt tells the killer of a file that the guard found to be the image's.
func (k *Kernel) exempt(inode, device uint64, changed time.Time) error {
	return k.sensor.Exempt(inode, kernelDevice(device), uint64(changed.UnixNano()))
}

// kernelDevice writes a device of stat(2) as the kernel keeps it: 12 bits of
// the major number above 20 of the minor one.
func kernelDevice(dev uint64) uint32 {
	major := uint32(dev>>8&0xfff | dev>>32&^0xfff)
	minor := uint32(dev&0xff | dev>>12&^0xff)
	return major<<20 | minor&(1<<20-1)
}

// Run hands every event on until the context ends.
func (k *Kernel) Run(ctx context.Context, each func(*sekisho.Event)) error {
	k.each = each
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked, silent := context.WithCancel(context.WithoutCancel(ctx)) // the guard answers until the killer knows that it does not
	defer silent()
	var group sync.WaitGroup
	errs := make(chan error, 2)
	if k.guard != nil {
		group.Go(func() {
			defer cancel()
			errs <- k.guard.Run(asked)
		})
		group.Go(func() { k.markMounts(asked) })
	}
	group.Go(func() { k.keepMemory(asked) })
	k.running()
	if err := k.sensor.Sweep(); err != nil {
		return err
	}
	err := k.sensor.Run(ctx, k.hear)
	silent()
	group.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

// hear hands an event on, and lets the first processes of a container show its
// mounts.
func (k *Kernel) hear(e *sekisho.Event) {
	k.each(e)
	if e.Container == nil || e.Process == nil || k.guard == nil || e.Kind != sekisho.EventExec {
		return
	}
	k.mu.Lock()
	c := k.watched[e.Container.ID]
	k.mu.Unlock()
	if c != nil {
		select {
		case k.mounts <- mount{c, e.Process.PID}:
		default:
		}
	}
}

func (k *Kernel) markMounts(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-k.mounts:
			_ = k.guard.Mounts(m.c, m.pid) // a mount that cannot be marked is the killer's
		}
	}
}

// niceness of the enforcer's threads: a container that takes all processors
// must not keep the reader from emptying the kernel's ring.
const niceness = -10

// prefer puts this process before ordinary work. Threads that are made later
// follow the one that made them.
func (k *Kernel) prefer() {
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, t := range tasks {
		tid, err := strconv.Atoi(filepath.Base(t))
		if err != nil {
			continue
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, tid, niceness); err != nil && !errors.Is(err, syscall.ESRCH) {
			k.features["priority"] = sensor.NotSupported + ": " + err.Error()
			return
		}
	}
	k.features["priority"] = sensor.OK
}

// running tells of containers that run already, as if they began now.
func (k *Kernel) running() {
	if k.Sensor.Containers == nil {
		return
	}
	for _, c := range k.Sensor.Containers.List() {
		k.each(&sekisho.Event{Time: k.Now().UTC(), Kind: sekisho.EventCgroup, Container: c})
	}
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			continue
		}
		if c := k.find(pid); c != nil && k.guard != nil {
			_ = k.guard.Mounts(c, pid)
		}
	}
}

// find returns the watched container of a process.
func (k *Kernel) find(pid int) *sekisho.Container {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for line := range strings.Lines(string(data)) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), ":/")
		for ; path != "" && path != "."; path = filepath.Dir(path) { // a container may have cgroups below its own
			if id, _ := container.Name(path); id != "" && k.watched[id] != nil {
				return k.watched[id]
			}
		}
	}
	return nil
}

func modeOf(origins []string) (m sensor.Mode) {
	for _, b := range bits {
		if slices.Contains(origins, b.origin) {
			m |= b.mode
		}
	}
	return m
}

// Forbid puts a container under a policy of the kernel.
func (k *Kernel) Forbid(c *sekisho.Container, o enforce.Orders) error {
	mode := modeOf(o.Origins)
	k.mu.Lock()
	if mode == 0 {
		delete(k.watched, c.ID)
	} else {
		k.watched[c.ID] = c
	}
	k.mu.Unlock()
	var err error
	if k.guard != nil && mode != 0 {
		if err = k.guard.Watch(c, o.Origins); err == nil && k.Judge.Layers(c) != nil {
			mode |= sensor.SpareLower // the guard compares content with the image's; the killer cannot
		}
	} else if k.guard != nil {
		err = k.guard.Watch(c, nil)
	}
	return errors.Join(err, k.assign(c, mode, o))
}

// assign adds what the container's profile forbids. Where that cannot be, the
// rest holds.
func (k *Kernel) assign(c *sekisho.Container, mode sensor.Mode, o enforce.Orders) error {
	var r *sensor.Rules
	var err error
	if o.Profile != nil && len(o.Stop) > 0 {
		var more sensor.Mode
		more, err = k.forbidden(o.Profile, o.Stop)
		known, wrong := rules(o.Profile, c)
		if wrong != nil {
			err, more = errors.Join(err, wrong), 0
		}
		if more != 0 {
			mode, r = mode|more, known
		}
	}
	if failed := k.put(c.ID, mode, r); failed != nil {
		err = errors.Join(err, failed)
		if r != nil {
			err = errors.Join(err, k.put(c.ID, mode&(sensor.DenyConnect-1), nil))
		}
	}
	return err
}

func (k *Kernel) put(id string, mode sensor.Mode, r *sensor.Rules) error {
	if err := k.prepare(mode); err != nil {
		return err
	}
	return k.sensor.Assign(id, policyID(mode), r)
}

// denied makes an event of a denial.
func (k *Kernel) denied(d fanotify.Denial) {
	proc := filepath.Join("/proc", strconv.Itoa(d.PID))
	p := &sekisho.Process{PID: d.PID, LoginUID: 1<<32 - 1, Container: d.Container.ID}
	if comm, err := os.ReadFile(filepath.Join(proc, "comm")); err == nil {
		p.Name = strings.TrimSpace(string(comm))
	}
	p.Path, _ = os.Readlink(filepath.Join(proc, "exe"))
	if args, err := os.ReadFile(filepath.Join(proc, "cmdline")); err == nil {
		p.Args = strings.Split(strings.TrimRight(string(args[:min(len(args), 4096)]), "\x00"), "\x00")
	}
	k.each(&sekisho.Event{Time: d.Time, Kind: sekisho.EventDenied, Reason: sensor.ReasonDrift, Syscall: "execve", Process: p, Container: d.Container, Path: d.Path, Origin: d.Origin, Result: -1})
}

// Counts are what the kernel counted, by class.
func (k *Kernel) Counts() (map[string]enforce.Count, error) {
	st, err := k.sensor.Stats()
	if err != nil {
		return nil, err
	}
	out := map[string]enforce.Count{}
	for kind, c := range st.Kinds {
		out[kind.String()] = enforce.Count(c)
	}
	if st.Missed > 0 {
		out["refused to nest"] = enforce.Count{Seen: st.Missed, Lost: st.Missed}
	}
	if k.guard != nil {
		s := k.guard.Stats()
		out["execution asked"] = enforce.Count{Seen: s.Asked, Submitted: s.Asked - s.Lost, Lost: s.Lost}
	}
	return out, nil
}

// Alive says whether executions are answered in time.
func (k *Kernel) Alive() bool { return k.guard == nil || k.guard.Alive() }
