package enforce

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/enforce/profile"
	"sekisho/enforce/settings"
)

// maxContainers bounds the table; those that ended first go first.
const maxContainers = 16384

// entry is what the enforcer knows about a container.
type entry struct {
	mu        sync.Mutex
	c         *sekisho.Container
	service   string
	treat     settings.Treatment
	mode      string
	matcher   *profile.Matcher
	profile   string // its name
	firstSeen time.Time
	lastSeen  time.Time
	ended     time.Time
	told      bool     // the kernel knows how it is treated
	stops     []string // what the kernel stops: drift, and kinds of the profile
	trouble   string   // why it could not be told
	canary    bool     // it is ours, and proves that it is stopped
}

func (e *entry) container() *sekisho.Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.c
}

func (e *entry) treatment() settings.Treatment {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.treat
}

func (e *entry) end(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = at
}

func (e *entry) isCanary() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.canary
}

// judgement returns what judging an event needs.
func (e *entry) judgement() (mode string, m *profile.Matcher, drift []string, service, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mode, e.matcher, e.treat.Drift, e.service, e.profile
}

// stopped returns the kinds that the kernel stops by itself.
func (e *entry) stopped() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stops
}

// table is the containers by id.
type table struct {
	mu   sync.RWMutex
	byID map[string]*entry
}

func newTable() *table { return &table{byID: map[string]*entry{}} }

func (t *table) get(id string) *entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

// see returns the entry of a container, and whether the container is new or
// another value than before.
func (t *table) see(c *sekisho.Container, at time.Time) (*entry, bool) {
	e := t.get(c.ID)
	if e == nil {
		t.mu.Lock()
		if e = t.byID[c.ID]; e == nil {
			t.evict()
			e = &entry{firstSeen: at}
			t.byID[c.ID] = e
		}
		t.mu.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	news := e.c != c
	e.c, e.lastSeen = c, at
	return e, news
}

// evict makes room: t.mu is held.
func (t *table) evict() {
	if len(t.byID) < maxContainers {
		return
	}
	oldest, id := time.Time{}, ""
	for k, e := range t.byID {
		e.mu.Lock()
		at := e.lastSeen
		if !e.ended.IsZero() {
			at = at.Add(-365 * 24 * time.Hour)
		}
		e.mu.Unlock()
		if id == "" || at.Before(oldest) {
			oldest, id = at, k
		}
	}
	delete(t.byID, id)
}

// forget drops containers that ended some time ago.
func (t *table) forget(before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, e := range t.byID {
		e.mu.Lock()
		gone := !e.ended.IsZero() && e.ended.Before(before)
		e.mu.Unlock()
		if gone {
			delete(t.byID, k)
		}
	}
}

func (t *table) all() []*entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]*entry, 0, len(t.byID))
	for _, e := range t.byID {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.container().ID, b.container().ID) })
	return list
}

// treat decides the mode of a container and tells the kernel. It runs in the
// reader's goroutine, so that the kernel knows before the container runs.
func (e *Enforcer) treat(x *entry) {
	c := x.container()
	t := e.Settings.For(c)
	service := settings.Service(c)
	p, m := e.profiles.find(service, c)
	mode := t.Mode
	if mode == "" && p != nil {
		mode = p.Mode
	}
	if mode == "" {
		mode = e.Settings.Mode
	}
	if t.Ignore {
		mode = ""
	}
	o := orders(mode, t, p, m)
	canary := e.canary(c)
	if canary {
		t, mode, m = settings.Treatment{Mode: profile.Enforce, Drift: []string{settings.Upper, settings.Volume, settings.Memory, settings.Libraries}}, profile.Enforce, nil
		o = Orders{Origins: t.Drift, Profile: canaryProfile(), Stop: settings.Stoppable()}
		if !settings.On(e.Settings.Syscalls) {
			o.Origins, o.Stop = o.Origins[:3], o.Stop[:3]
		}
	}
	x.mu.Lock()
	told := x.told && len(x.stops) == 0 // a container that may do everything is told once: then the kernel knows that it is known
	x.canary = canary
	x.treat, x.service, x.mode, x.matcher, x.profile = t, service, mode, m, ""
	if p != nil {
		x.profile = p.Name
	}
	x.mu.Unlock()
	if o.none() && told {
		return
	}
	err := e.Sensor.Forbid(c, o)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told, x.stops, x.trouble = err == nil, nil, ""
	if err != nil {
		x.trouble = err.Error()
		e.Logger.Error("not all is stopped", "container", c.ID, "error", err)
		return
	}
	if len(o.Origins) > 0 {
		x.stops = append(x.stops, KindDrift)
	}
	x.stops = append(x.stops, o.Stop...)
}

// orders are what the kernel is to stop: nothing but in mode enforce, and of a
// profile's kinds those that it covers.
func orders(mode string, t settings.Treatment, p *profile.Profile, m *profile.Matcher) Orders {
	if mode != profile.Enforce {
		return Orders{}
	}
	o := Orders{Origins: t.Drift}
	if p == nil || m == nil {
		return o
	}
	for _, kind := range t.Stop {
		if p.Covers(kind) {
			o.Profile, o.Stop = p, append(o.Stop, kind)
		}
	}
	return o
}

// expect tells the kernel what the profiles of the directory may stop, so that
// it is ready when a container comes under one.
func (e *Enforcer) expect() {
	all := e.Settings.Mode == profile.Enforce || slices.ContainsFunc(e.Settings.Workloads, func(w settings.Workload) bool { return w.Mode == profile.Enforce })
	e.Sensor.Expect(e.profiles.stops(all))
}

// canaryProfile is what the container that proves enforcement may do.
func canaryProfile() *profile.Profile {
	return &profile.Profile{Name: "canary", Processes: []profile.Process{{Path: "/sekisho"}}, Writes: []profile.Write{{Path: "/tmp/**"}},
		Coverage: profile.Coverage{Kinds: []string{profile.KindProcess, profile.KindWrite, profile.KindConnection, profile.KindListen, profile.KindCapability}}}
}

// CanaryFile is where root leaves the name of the container that is to prove
// enforcement.
func CanaryFile(state string) string { return filepath.Join(state, "canary") }

// canary says whether a container is the one that proves enforcement. Its name
// cannot be guessed: nobody hides behind it.
func (e *Enforcer) canary(c *sekisho.Container) bool {
	if !strings.HasPrefix(c.Name, "sekisho-canary-") {
		return false
	}
	name, err := os.ReadFile(CanaryFile(e.Settings.State))
	return err == nil && string(name) == c.Name
}
