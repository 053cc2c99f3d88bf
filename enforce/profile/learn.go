package profile

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"sekisho"
)

// Bounds of what is learned: distinct things of a kind, and files of one
// directory before they become all of it.
const (
	maxItems  = 4096
	maxSingle = 6
)

// startPhase is how long after its start a container is said to start up.
const startPhase = time.Minute

// Learner watches the containers of one workload.
type Learner struct {
	profile   Profile
	processes map[string]*Process
	writes    map[string]map[string]bool // path to programs
	peers     map[string]map[string]bool
	listens   map[string]bool
	caps      map[string]bool
	syscalls  map[string]bool
	running   map[string]time.Time // containers, by when they were first seen
	last      map[string]time.Time // and when they were last seen
	news      time.Time
	before    float64 // hours of earlier runs
	full      bool
}

// NewLearner returns a learner for a workload.
func NewLearner(name, workload string) *Learner {
	return &Learner{profile: Profile{Name: name, Workload: workload, Mode: Learn}, processes: map[string]*Process{}, writes: map[string]map[string]bool{},
		peers: map[string]map[string]bool{}, listens: map[string]bool{}, caps: map[string]bool{}, syscalls: map[string]bool{},
		running: map[string]time.Time{}, last: map[string]time.Time{}}
}

// Observe takes an event of one of the workload's containers.
func (l *Learner) Observe(e *sekisho.Event) {
	if e.Kind == sekisho.EventLost {
		l.profile.Coverage.Lost += uint64(max(e.Number, 0))
		return
	}
	if e.Container == nil {
		return
	}
	l.seen(e)
	if e.Syscall != "" {
		l.add(l.syscalls, e.Syscall, e.Time)
	}
	program := ""
	if e.Process != nil {
		program = e.Process.Path
	}
	switch e.Kind {
	case sekisho.EventExec:
		l.exec(e)
	case sekisho.EventCreate, sekisho.EventMkdir, sekisho.EventUnlink, sekisho.EventRmdir, sekisho.EventSymlink, sekisho.EventChmod, sekisho.EventChown, sekisho.EventRename, sekisho.EventLink, sekisho.EventOpen:
		if e.Result >= 0 {
			l.changed(e, program)
		}
	case sekisho.EventConnect, sekisho.EventSend:
		to := Peer(e)
		if to != "" && e.Kind == sekisho.EventSend && served(e) {
			l.add(l.listens, local(e), e.Time) // what a server answers names no peer
		} else if to != "" {
			l.use(l.peers, to, program, e.Time)
		}
	case sekisho.EventIOUring:
		if opens(e.Number) {
			l.unseen(KindWrite)
		}
	case sekisho.EventListen:
		if e.Net != nil && !inner(e.Net.Local) {
			l.add(l.listens, fmt.Sprintf("%d/%s", e.Net.Local.Port(), e.Net.Protocol), e.Time)
		}
	case sekisho.EventCapability:
		l.add(l.caps, Capability(int(e.Number)), e.Time)
	}
}

// changed takes a file that was written, made or removed.
func (l *Learner) changed(e *sekisho.Event, program string) {
	switch e.Kind {
	case sekisho.EventOpen:
		if !writes(e.Flags) {
			return
		}
	case sekisho.EventRename, sekisho.EventLink:
		l.use(l.writes, e.Other, program, e.Time)
	}
	l.use(l.writes, e.Path, program, e.Time)
}

// writes reports whether flags of open(2) ask for writing.
func writes(flags uint64) bool {
	const accessMode, create, truncate = 3, 0o100, 0o1000
	return flags&accessMode != 0 || flags&(create|truncate) != 0
}

func (l *Learner) seen(e *sekisho.Event) {
	c := &l.profile.Coverage
	c.Events++
	if c.Since.IsZero() || e.Time.Before(c.Since) {
		c.Since = e.Time
	}
	if e.Time.After(c.Until) {
		c.Until = e.Time
	}
	if _, ok := l.running[e.Container.ID]; !ok && len(l.running) < maxItems {
		c.Starts++
		l.running[e.Container.ID] = cmp.Or(e.Container.Started, e.Time)
	}
	if e.Time.After(l.last[e.Container.ID]) {
		l.last[e.Container.ID] = e.Time
	}
	if d := cmp.Or(e.Container.ImageDigest, e.Container.ImageID); d != "" && !slices.Contains(l.profile.Images, d) && len(l.profile.Images) < maxItems {
		l.profile.Images = append(l.profile.Images, d)
	}
}

func (l *Learner) exec(e *sekisho.Event) {
	if e.Process == nil || e.Process.Origin != sekisho.OriginImage && e.Process.Origin != sekisho.OriginUnknown {
		return // what is not of the image is drift: it is never learned
	}
	p := l.processes[e.Process.Path]
	if p == nil {
		if len(l.processes) >= maxItems {
			l.full = true
			return
		}
		p = &Process{Path: e.Process.Path, Start: true}
		l.processes[p.Path] = p
		l.news = e.Time
	}
	if d := e.Process.Digest; d != "" && !slices.Contains(p.Digests, d) {
		p.Digests = append(p.Digests, d)
		l.news = e.Time
	}
	if parent := e.Process.Parent; parent != nil && parent.Container == e.Process.Container && !slices.Contains(p.Parents, parent.Path) {
		p.Parents = append(p.Parents, parent.Path)
		l.news = e.Time
	}
	if e.Time.Sub(l.running[e.Container.ID]) > startPhase {
		p.Start = false
	}
}

func (l *Learner) add(set map[string]bool, what string, at time.Time) {
	if set[what] || what == "" {
		return
	}
	if len(set) >= maxItems {
		l.full = true
		return
	}
	set[what] = true
	l.news = at
}

func (l *Learner) use(set map[string]map[string]bool, what, by string, at time.Time) {
	if what == "" || everywhere(what) {
		return
	}
	programs := set[what]
	if programs == nil {
		if len(set) >= maxItems {
			l.full = true
			return
		}
		programs = map[string]bool{}
		set[what] = programs
		l.news = at
	}
	if len(programs) < 64 {
		programs[by] = true
	}
}

// Profile returns what was learned so far. full tells that there was more than
// is kept: such a workload cannot be described by a list.
func (l *Learner) Profile() (p *Profile, full bool) {
	out := l.profile
	c := &out.Coverage
	c.Hours = l.before
	for id, since := range l.running {
		c.Hours += max(l.last[id].Sub(since).Hours(), 0)
	}
	c.Quiet = max(c.Until.Sub(l.news).Hours(), 0)
	for _, x := range l.processes {
		out.Processes = append(out.Processes, *x)
	}
	out.Writes = fold(l.writes)
	for to, by := range l.peers {
		out.Connections = append(out.Connections, Connection{To: to, By: slices.Sorted(maps.Keys(by))})
	}
	out.Listens, out.Capabilities, out.Syscalls = keys(l.listens), keys(l.caps), keys(l.syscalls)
	out.sort()
	return &out, l.full
}

func keys(m map[string]bool) []string {
	return append([]string{}, slices.Sorted(maps.Keys(m))...)
}

// fold makes one place of many files of one directory, and of names that are
// numbers or drawn at random.
func fold(writes map[string]map[string]bool) []Write {
	children := map[string]int{}
	for p := range writes {
		children[path.Dir(p)]++
	}
	places := map[string]map[string]bool{}
	for p, by := range writes {
		place := p
		switch dir := path.Dir(p); {
		case scratch(p) != "":
			place = scratch(p)
		case children[dir] > maxSingle && dir != "/":
			place = dir + "/**"
		case random(path.Base(p)) && dir != "/":
			place = dir + "/*"
		}
		if places[place] == nil {
			places[place] = map[string]bool{}
		}
		maps.Copy(places[place], by)
	}
	var list []Write
	for place, by := range places {
		if !covered(places, place) {
			list = append(list, Write{Path: place, By: slices.DeleteFunc(slices.Sorted(maps.Keys(by)), func(s string) bool { return s == "" })})
		}
	}
	return list
}

// covered reports whether another place covers this one.
func covered(places map[string]map[string]bool, place string) bool {
	for dir := path.Dir(strings.TrimSuffix(place, "/**")); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if other := dir + "/**"; other != place && places[other] != nil {
			return true
		}
	}
	return false
}
