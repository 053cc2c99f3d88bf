package fanotify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sekisho"
	"sekisho/enforce/drift"
	"sekisho/enforce/settings"
)

// Bounds of questions that wait for a verdict, denials that wait to be told,
// and denials that are remembered.
const (
	maxPending  = 1024
	maxTold     = 1024
	maxVerdicts = 1 << 14
)

// Guard answers the kernel.
type Guard struct {
	o       Options
	fd      int
	stop    int
	beat    atomic.Int64 // when the deadline was last looked after, Unix nanoseconds
	pending [maxPending]question
	work    chan int
	told    chan Denial
	mu      sync.RWMutex
	watched map[string]*watch
	denied  map[key]Denial // verdicts that stand until the file changes
	stats   struct{ asked, allowed, denied, late, lost atomic.Uint64 }
}

// question is one that waits. Its state says who may answer: whoever moves it
// from waiting to answered.
type question struct {
	state atomic.Uint32 // free, waiting, answered
	fd    atomic.Int32
	pid   int
	since atomic.Int64
}

const (
	free = iota
	filling
	waiting
	answering // by the deadline
	answered
)

type watch struct {
	container *sekisho.Container
	origins   map[string]bool
	layers    *drift.Layers
	fsid      unix.Fsid
	mounts    bool // volumes and file systems in memory are marked too
}

// key is a state of a file for a container.
type key struct {
	device, inode uint64
	changed       int64
	container     string
}

// Open begins to answer. It fails where the kernel has no permission events or
// the caller may not have them.
func Open(o Options) (*Guard, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|unix.FAN_UNLIMITED_QUEUE|unix.FAN_UNLIMITED_MARKS, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Unavailable, "ask the kernel for permission events: %w", err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make an event descriptor: %w", err)
	}
	g := &Guard{o: o, fd: fd, stop: stop, work: make(chan int, maxPending), told: make(chan Denial, maxTold), watched: map[string]*watch{}, denied: map[key]Denial{}}
	g.beat.Store(time.Now().UnixNano())
	return g, nil
}

// Run answers until the context ends. Then the kernel forgets all marks, and
// allows.
func (g *Guard) Run(ctx context.Context) error {
	end := context.AfterFunc(ctx, func() {
		one := [8]byte{1}
		unix.Write(g.stop, one[:])
	})
	defer end()
	var group sync.WaitGroup
	ended := make(chan struct{})
	for range 2 {
		group.Go(func() {
			for i := range g.work {
				g.decide(i)
			}
		})
	}
	group.Go(func() { g.watchTime(ended) })
	tell := make(chan struct{})
	go func() {
		for d := range g.told {
			g.o.Denied(d)
		}
		close(tell)
	}()
	err := g.read()
	close(ended)
	close(g.work)
	group.Wait()
	close(g.told)
	<-tell
	unix.Close(g.fd) // what is not answered is allowed by the kernel now
	unix.Close(g.stop)
	return err
}

// read takes questions on a thread of its own. It allocates nothing and waits
// for nobody.
func (g *Guard) read() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var buf [4096]byte
	for {
		fds := [2]unix.PollFd{{Fd: int32(g.fd), Events: unix.POLLIN}, {Fd: int32(g.stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds[:], -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for permission events: %w", err)
		}
		if fds[1].Revents != 0 {
			return nil
		}
		n, err := unix.Read(g.fd, buf[:])
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read permission events: %w", err)
		}
		for b := buf[:n]; len(b) >= unix.FAN_EVENT_METADATA_LEN; {
			size := binary.NativeEndian.Uint32(b)
			if size < unix.FAN_EVENT_METADATA_LEN || int(size) > len(b) {
				break
			}
			mask, fd, pid := binary.NativeEndian.Uint64(b[8:]), int32(binary.NativeEndian.Uint32(b[16:])), int32(binary.NativeEndian.Uint32(b[20:]))
			if fd >= 0 && mask&unix.FAN_OPEN_EXEC_PERM != 0 {
				g.ask(int(fd), int(pid))
			} else if fd >= 0 {
				unix.Close(int(fd))
			}
			b = b[size:]
		}
	}
}

// ask puts a question where a worker finds it.
func (g *Guard) ask(fd, pid int) {
	g.stats.asked.Add(1)
	for i := range g.pending {
		q := &g.pending[i]
		if !q.state.CompareAndSwap(free, filling) {
			continue
		}
		q.pid = pid
		q.since.Store(time.Now().UnixNano())
		q.fd.Store(int32(fd))
		q.state.Store(waiting)
		select {
		case g.work <- i:
		default: // it stays until its deadline
		}
		return
	}
	g.stats.late.Add(1)
	g.answer(fd, !g.o.Closed)
	unix.Close(fd)
}

func (g *Guard) answer(fd int, allow bool) {
	var b [8]byte
	binary.NativeEndian.PutUint32(b[:], uint32(fd))
	response := uint32(unix.FAN_DENY)
	if allow {
		response = unix.FAN_ALLOW
		g.stats.allowed.Add(1)
	} else {
		g.stats.denied.Add(1)
	}
	binary.NativeEndian.PutUint32(b[4:], response)
	unix.Write(g.fd, b[:])
}

// watchTime gives the configured answer to questions that are too old.
func (g *Guard) watchTime(ended <-chan struct{}) {
	tick := time.NewTicker(max(g.o.Deadline/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case now := <-tick.C:
			g.beat.Store(now.UnixNano())
			for i := range g.pending {
				q := &g.pending[i]
				if q.state.Load() != waiting || now.UnixNano()-q.since.Load() < int64(g.o.Deadline) || !q.state.CompareAndSwap(waiting, answering) {
					continue
				}
				g.stats.late.Add(1)
				g.answer(int(q.fd.Load()), !g.o.Closed)
				q.state.Store(answered)
			}
		}
	}
}

// Alive says whether deadlines were looked after lately.
func (g *Guard) Alive() bool {
	return time.Since(time.Unix(0, g.beat.Load())) < max(10*g.o.Deadline, time.Second)
}

// decide answers one question.
func (g *Guard) decide(i int) {
	q := &g.pending[i]
	fd := int(q.fd.Load())
	defer func() {
		for q.state.Load() == answering { // the deadline writes its answer just now
			runtime.Gosched()
		}
		unix.Close(fd)
		q.state.Store(free)
	}()
	if q.state.Load() != waiting {
		return
	}
	allow, cache, d := g.verdict(fd, q.pid)
	if cache { // before the answer: the next execution is not asked about
		flags := uint(unix.FAN_MARK_ADD | unix.FAN_MARK_IGNORED_MASK | unix.FAN_MARK_EVICTABLE)
		if unix.FanotifyMark(g.fd, flags, unix.FAN_OPEN_EXEC_PERM, fd, "") != nil {
			_ = unix.FanotifyMark(g.fd, flags&^unix.FAN_MARK_EVICTABLE, unix.FAN_OPEN_EXEC_PERM, fd, "")
		}
	}
	if !q.state.CompareAndSwap(waiting, answered) {
		if d != nil {
			d.Late = true
			g.tell(*d)
		}
		return
	}
	g.answer(fd, allow)
	if d != nil {
		g.tell(*d)
	}
}

func (g *Guard) tell(d Denial) {
	select {
	case g.told <- d:
	default:
		g.stats.lost.Add(1)
	}
}

// verdict says whether a file may run, whether that holds until it changes,
// and what is told about a denial.
func (g *Guard) verdict(fd, pid int) (allow, cache bool, d *Denial) {
	c := g.o.Find(pid)
	if c == nil {
		return true, false, nil // the host's own
	}
	g.mu.RLock()
	w := g.watched[c.ID]
	g.mu.RUnlock()
	if w == nil {
		return true, false, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return !g.o.Closed, false, nil
	}
	k := key{st.Dev, st.Ino, st.Ctim.Nano(), c.ID}
	g.mu.RLock()
	known, ok := g.denied[k]
	g.mu.RUnlock()
	if ok && g.origin(w, known.Origin) {
		known.Time, known.PID = time.Now().UTC(), pid
		return false, false, &known
	}
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return !g.o.Closed, false, nil
	}
	origin, cache := g.classify(w, fd, &st, path)
	if origin == "" || !g.origin(w, origin) {
		return true, cache && origin == "", nil
	}
	denial := Denial{Time: time.Now().UTC(), Container: c, PID: pid, Path: strings.TrimPrefix(path, w.container.Root), Origin: origin}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.denied) >= maxVerdicts {
		clear(g.denied)
	}
	g.denied[k] = denial
	return false, false, &denial
}

func (g *Guard) origin(w *watch, origin string) bool { return w.origins[classOf(origin)] }

func classOf(origin string) string {
	if origin == sekisho.OriginDeleted {
		return settings.Memory
	}
	return origin
}

// classify says where content comes from; "" for the image's.
func (g *Guard) classify(w *watch, fd int, st *unix.Stat_t, path string) (origin string, cache bool) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return sekisho.OriginVolume, false
	}
	switch {
	case fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC:
		return sekisho.OriginMemory, false
	case st.Nlink == 0:
		return sekisho.OriginDeleted, false
	case fs.Fsid != w.fsid:
		return sekisho.OriginVolume, false
	case w.layers == nil:
		return "", false // no layers to compare with: the kernel's killer decides
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return sekisho.OriginUpper, false
	}
	f := os.NewFile(uintptr(dup), path)
	defer f.Close()
	switch g.o.Judge.File(w.layers, f, strings.TrimPrefix(path, w.container.Root)) {
	case drift.Image:
		return "", true
	case drift.Touched:
		if g.o.Exempt != nil {
			_ = g.o.Exempt(st.Ino, st.Dev, time.Unix(0, st.Ctim.Nano()))
		}
		return "", true
	}
	return sekisho.OriginUpper, false
}

// Watch begins to ask about a container's executions; without origins it ends.
func (g *Guard) Watch(c *sekisho.Container, origins []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.watched[c.ID]
	if len(origins) == 0 {
		delete(g.watched, c.ID) // what is still asked is allowed
		return nil
	}
	w := &watch{container: c, origins: map[string]bool{}}
	for _, o := range origins {
		w.origins[o] = true
	}
	if old != nil {
		w.layers, w.fsid, w.mounts = old.layers, old.fsid, old.mounts
		g.watched[c.ID] = w
		if old.layers != nil {
			return nil
		}
	}
	w.layers = g.o.Judge.Layers(c)
	root := c.Root
	if w.layers != nil {
		root = w.layers.Root
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil {
		return fmt.Errorf("watch the executions of %s: %w", c.Name, err)
	}
	w.fsid = fs.Fsid
	if fs.Type != unix.OVERLAYFS_SUPER_MAGIC {
		return sekisho.Errorf(sekisho.Unavailable, "watch the executions of %s: its root %s is no overlay", c.Name, root)
	}
	if err := unix.FanotifyMark(g.fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, root); err != nil {
		return fmt.Errorf("watch the executions of %s: %w", c.Name, err)
	}
	g.watched[c.ID] = w
	return nil
}

// Forget drops a container that ended.
func (g *Guard) Forget(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.watched, id)
}

// Stats returns the counts.
func (g *Guard) Stats() Stats {
	return Stats{g.stats.asked.Load(), g.stats.allowed.Load(), g.stats.denied.Load(), g.stats.late.Load(), g.stats.lost.Load()}
}
