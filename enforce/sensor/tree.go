package sensor

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sekisho"
)

// Bounds of the tree of processes.
const (
	maxProcesses = 65536 // that live
	maxEnded     = 4096  // that ended and may be named by an event yet
	maxDepth     = 64    // of a chain of parents; a longer one is cut to half
	maxArgs      = 4096
)

// tree knows the processes of the host by pid and start time, so that a pid
// that is used again is another process. Only one goroutine uses it,
// but for len. A
// process that was handed out does not change.
type tree struct {
	now   func() time.Time
	live  map[uint32]*node
	ended []uint32 // pids in the order of their end
	gone  map[uint32]*node
	size  atomic.Int64 // of live, for those who only count
}

type node struct {
	p     *sekisho.Process
	start uint64 // since boot, in nanoseconds; 0: any (read from /proc, which rounds)
	depth int
}

func newTree(now func() time.Time) *tree {
	return &tree{now: now, live: map[uint32]*node{}, gone: map[uint32]*node{}}
}

func (t *tree) len() int { return int(t.size.Load()) }

// is says whether a node is the process that started then: what /proc told is
// exact to a hundredth of a second.
func (n *node) is(start uint64) bool {
	const tick = 10_000_000
	return n != nil && (n.start == start || n.start%tick == 0 && start-start%tick == n.start)
}

// find returns a process that lives or ended just now.
func (t *tree) find(pid uint32, start uint64) *node {
	if n := t.live[pid]; n.is(start) {
		return n
	}
	if n := t.gone[pid]; n.is(start) {
		return n
	}
	return nil
}

// as is the process with the user and group that its thread has now: it may
// have changed them since it started, as services do that begin as root.
func (n *node) as(uid, gid uint32) *sekisho.Process {
	if n.p.UID != uid || n.p.GID != gid {
		p := *n.p // others hold the original
		p.UID, p.GID, p.User = uid, gid, ""
		n.p = &p
	}
	return n.p
}

// born is a process with its place in the tree.
type born struct {
	n node
	p sekisho.Process
}

// put keeps a process.
func (t *tree) put(pid uint32, start uint64, p *sekisho.Process, parent *node) *node {
	b := &born{p: *p}
	return t.add(pid, start, b, parent)
}

// add keeps a process; the oldest knowledge is not dropped for it, a flood of
// processes is not kept instead.
func (t *tree) add(pid uint32, start uint64, b *born, parent *node) *node {
	n, p := &b.n, &b.p
	n.p, n.start = p, start
	if parent != nil {
		p.Parent, p.ParentID, n.depth = parent.p, parent.p.ID, parent.depth+1
		if n.depth >= maxDepth {
			n.depth = shorten(p)
		}
	}
	if _, ok := t.live[pid]; ok || len(t.live) < maxProcesses {
		t.live[pid] = n
		t.size.Store(int64(len(t.live)))
	}
	return n
}

// shorten cuts a chain of parents to half by copying what stays, as others
// hold the originals, and returns its length.
func shorten(p *sekisho.Process) int {
	at := p
	for i := range maxDepth / 2 {
		if at.Parent == nil {
			return i
		}
		c := *at.Parent
		at.Parent, at = &c, &c
	}
	at.Parent = nil
	return maxDepth / 2
}

// end moves a process to those that ended.
func (t *tree) end(pid uint32, start uint64) {
	n := t.live[pid]
	if !n.is(start) {
		return
	}
	delete(t.live, pid)
	t.size.Store(int64(len(t.live)))
	if _, ok := t.gone[pid]; !ok {
		t.ended = append(t.ended, pid)
	}
	t.gone[pid] = n
	if len(t.ended) > maxEnded {
		delete(t.gone, t.ended[0])
		t.ended = t.ended[1:]
	}
}

// seed reads the processes that run already from proc.
func (t *tree) seed(proc string, boot time.Time) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return
	}
	parents := map[uint32]uint32{}
	for _, e := range entries {
		pid, err := strconv.ParseUint(e.Name(), 10, 32)
		if err != nil {
			continue
		}
		if p, start, ok := readProcess(filepath.Join(proc, e.Name()), boot); ok {
			t.live[uint32(pid)] = &node{p: p, start: start}
			parents[uint32(pid)] = uint32(p.ParentPID)
		}
	}
	t.size.Store(int64(len(t.live)))
	for pid, parent := range parents {
		if n := t.live[parent]; n != nil && parent != pid {
			t.live[pid].p.Parent, t.live[pid].p.ParentID = n.p, n.p.ID
		}
	}
}

// readProcess reads what /proc/PID says; a process that ends meanwhile is
// left out.
func readProcess(dir string, boot time.Time) (*sekisho.Process, uint64, bool) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if err != nil || open < 1 || end < open {
		return nil, 0, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 {
		return nil, 0, false
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(stat[:open])))
	ppid, _ := strconv.Atoi(fields[1])
	tty, _ := strconv.ParseUint(fields[4], 10, 32)
	ticks, _ := strconv.ParseUint(fields[19], 10, 64)
	start := ticks * 10_000_000
	p := &sekisho.Process{ID: start, PID: pid, ParentPID: ppid, Name: string(stat[open+1 : end]), TTY: uint32(tty), Started: boot.Add(time.Duration(start)).UTC(), LoginUID: 1<<32 - 1}
	p.Path, _ = os.Readlink(filepath.Join(dir, "exe"))
	p.Directory, _ = os.Readlink(filepath.Join(dir, "cwd"))
	if line, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil && len(line) < 1<<17 {
		p.Args = words(line)
	}
	readStatus(dir, p)
	return p, start, true
}

func readStatus(dir string, p *sekisho.Process) {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "Uid:":
			v, _ := strconv.ParseUint(f[min(2, len(f)-1)], 10, 32)
			p.UID = uint32(v)
		case "Gid:":
			v, _ := strconv.ParseUint(f[1], 10, 32)
			p.GID = uint32(v)
		case "CapEff:":
			p.Effective, _ = strconv.ParseUint(f[1], 16, 64)
		case "CapPrm:":
			p.Permitted, _ = strconv.ParseUint(f[1], 16, 64)
		case "NSpid:":
			p.InnerPID, _ = strconv.Atoi(f[len(f)-1])
		}
	}
	if v, err := os.ReadFile(filepath.Join(dir, "loginuid")); err == nil {
		n, _ := strconv.ParseUint(strings.TrimSpace(string(v)), 10, 32)
		p.LoginUID = uint32(n)
	}
}

// words splits what execve left in memory: strings that end in a zero byte.
func words(b []byte) []string {
	b = bytes.TrimSuffix(b, []byte{0})
	if len(b) == 0 {
		return nil
	}
	s := string(b) // one copy, which all words share
	list := make([]string, 0, min(strings.Count(s, "\x00")+1, maxArgs))
	for len(list) < maxArgs {
		w, rest, more := strings.Cut(s, "\x00")
		list = append(list, w)
		if !more {
			break
		}
		s = rest
	}
	return list
}
