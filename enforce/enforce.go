// Package enforce is the enforcer of a host: it joins what sees (a sensor),
// what knows (profiles, detection rules, malware), what keeps (the log of
// evidence) and what acts (responses). Events of the kernel go in; out come
// alerts, profiles, sealed cases and responses. It never widens a profile by
// itself, never destroys before the evidence is sealed, and never holds up the
// one who reads from the kernel: queues are bounded and count what they drop.
package enforce

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sekisho"
	"sekisho/audit"
	"sekisho/enforce/profile"
	"sekisho/enforce/respond"
	"sekisho/enforce/settings"
)

// Sensor is what the enforcer asks of the kernel.
type Sensor interface {
	// Run calls each for every event until the context ends. Events are not
	// changed after.
	Run(ctx context.Context, each func(*sekisho.Event)) error
	// Forbid says what a container may not do; the zero value lifts all. It
	// returns before anything of a container that is being made runs. On an
	// error, what is not of the profile holds.
	Forbid(c *sekisho.Container, o Orders) error
	// Expect says which kinds of what a profile does not have may be stopped
	// soon: what takes time is made ready.
	Expect(kinds []string)
	// Counts are events by class that the kernel saw, filtered and lost.
	Counts() (map[string]Count, error)
}

// Orders are what the kernel stops in a container by itself.
type Orders struct {
	Origins []string         // of content that may not run
	Profile *profile.Profile // nil for none
	Stop    []string         // kinds of what the profile does not have
}

// none reports whether nothing is stopped.
func (o *Orders) none() bool { return len(o.Origins) == 0 && len(o.Stop) == 0 }

// Count is what became of events of one class: Seen is the sum of the others.
type Count struct {
	Seen      uint64 `json:"seen"`
	Filtered  uint64 `json:"filtered"`
	Submitted uint64 `json:"submitted"`
	Lost      uint64 `json:"lost"`
}

// Match is a detection rule that fits an event.
type Match struct {
	Rule     string
	Severity string // low, medium, high, critical
	Output   string
	Tags     []string
	Count    int            // events that it stands for; 0 for one
	Note     string         // key of a text: repeated, demoted
	Event    *sekisho.Event // nil for the one that was observed
	Folded   bool           // told already: to be answered, not to be told
}

// Rules are detection rules. Observe judges an event; Flush tells what was
// folded until now.
type Rules interface {
	Observe(now time.Time, e *sekisho.Event) []Match
	Flush(now time.Time) []Match
}

// Log keeps events.
type Log interface {
	Append(...*sekisho.Event) error
	Flush() error
}

// Responder seals evidence and acts.
type Responder interface {
	Seal(context.Context, *respond.Order) (name string, err error)
	Act(context.Context, *respond.Order) error
}

// Drift tells a file that was only touched from one that differs from the
// image, and knows the script that an interpreter was given.
type Drift interface {
	Touched(*sekisho.Event) bool
	Script(*sekisho.Event) (path string, drifted bool)
}

// Malware looks for malware in a file of a container.
type Malware interface {
	File(c *sekisho.Container, pid int, path string) ([]Found, error)
}

// Found is something that a file has.
type Found struct {
	Name     string
	Severity string // low, medium, high, critical
}

// Auditor takes entries of the audit log.
type Auditor interface {
	Append(...audit.Entry) error
}

// Options are the parts of an enforcer. Sensor, Log and Settings are needed,
// the rest may be nil.
type Options struct {
	Settings  *settings.Settings
	Sensor    Sensor
	Log       Log
	Rules     Rules
	Responder Responder
	Drift     Drift
	Malware   Malware
	Audit     Auditor
	Host      string
	Alert     func(*Alert) // called for every alert, by one goroutine
	Logger    *slog.Logger
	Now       func() time.Time
	Tick      <-chan time.Time // of housekeeping; nil for a ticker of a second
	Features  map[string]string
	Observed  []string // kinds of what profiles hold that the sensor tells all of
}

// Sizes of the queues, in events, orders and files.
const (
	evidenceQueue = 1 << 16
	judgeQueue    = 1 << 15
	orderQueue    = 1 << 8
	fileQueue     = 1 << 12
)

// responders work side by side; orders about one container keep their order.
const responders = 4

// Enforcer is one run of the enforcer.
type Enforcer struct {
	Options
	table    *table
	profiles *profiles
	evidence *queue[*sekisho.Event]
	judging  *queue[*sekisho.Event]
	lanes    [responders]*lane
	files    *queue[file]
	alerts   *fold
	cap      *limit
	state    *state
	seq      atomic.Uint64
	events   atomic.Uint64
	failed   atomic.Uint64 // events that the log could not keep
	kept     atomic.Uint64 // the last number that the log was given
	mu       sync.Mutex    // of what the judge and housekeeping share
	seen     *seenFiles
	lastSave time.Time
	memory   *Marks
	gapTold  bool
	pending  *sekisho.Event // drift that the kernel may be about to tell it killed
}

// New makes an enforcer ready: profiles are read, the state of the run before
// is taken over.
func New(o Options) (*Enforcer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p, err := openProfiles(o.Settings.Profiles, o.Observed)
	if err != nil {
		return nil, err
	}
	st, err := openState(o.Settings.State, o.Now())
	if err != nil {
		return nil, err
	}
	e := &Enforcer{Options: o, profiles: p, table: newTable(), state: st, seen: newSeenFiles(),
		evidence: newQueue[*sekisho.Event](evidenceQueue), judging: newQueue[*sekisho.Event](judgeQueue), files: newQueue[file](fileQueue)}
	for i := range e.lanes {
		e.lanes[i] = &lane{orders: newQueue[*respond.Order](orderQueue), sealed: map[string]time.Time{}}
	}
	e.memory = e.marks()
	e.alerts = newFold(time.Duration(o.Settings.Fold))
	e.expect()
	e.cap = newLimit(o.Settings.Cap.Instances, time.Duration(o.Settings.Cap.Window), st.doc.Acted)
	return e, nil
}

// Run works until the context ends, then finishes what it has and saves.
func (e *Enforcer) Run(ctx context.Context) error {
	if err := e.housekeeping(); err != nil { // the state is known from the start
		return err
	}
	// The readers of queues end when their queue is closed and empty, so that
	// nothing that was taken is lost at the end.
	work, finish := context.WithCancel(context.WithoutCancel(ctx))
	defer finish()
	var group errgroup.Group
	group.Go(func() error { return e.keep() })
	group.Go(func() error { e.judgeAll(); e.files.close(); return nil })
	group.Go(func() error {
		e.scanAll()
		for _, l := range e.lanes {
			l.orders.close()
		}
		return nil
	})
	for _, l := range e.lanes {
		group.Go(func() error { e.respondAll(work, l); return nil })
	}
	ended := make(chan struct{})
	group.Go(func() error { return e.keepHouse(ended) })
	e.tellCrash()
	err := e.Sensor.Run(ctx, e.Handle)
	close(ended)
	e.evidence.close()
	e.judging.close() // then the files, then the orders
	err = errors.Join(err, group.Wait())
	e.tellGap(true)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	e.flushAlerts(true)
	e.state.doc.Clean = true
	return errors.Join(err, e.save())
}

// Handle takes one event of the kernel. It never waits.
func (e *Enforcer) Handle(ev *sekisho.Event) {
	e.events.Add(1)
	e.number(ev)
	entry := e.attribute(ev)
	if entry != nil && entry.treatment().Ignore {
		return
	}
	urgent := critical(ev.Kind)
	e.took()
	if !e.evidence.put(ev, urgent) {
		e.wrote(1) // it is counted as lost by the queue
	}
	e.judging.put(ev, urgent)
}

func (e *Enforcer) number(ev *sekisho.Event) {
	ev.Seq = e.seq.Add(1)
	if ev.Time.IsZero() {
		ev.Time = e.Now().UTC()
	}
}

// attribute finds the container of an event, and puts the container under its
// policy when it is new or better known.
func (e *Enforcer) attribute(ev *sekisho.Event) *entry {
	if ev.Container == nil && ev.Process != nil && ev.Process.Container != "" {
		if known := e.table.get(ev.Process.Container); known != nil {
			ev.Container = known.container()
		}
	}
	if ev.Container == nil {
		return nil
	}
	entry, news := e.table.see(ev.Container, ev.Time)
	made := false
	if ev.Kind == sekisho.EventCgroup {
		if made = ev.Flags == 0; !made && strings.Contains(path.Base(ev.Path), ev.Container.ID) {
			entry.end(ev.Time)
		} else if made {
			entry.end(time.Time{}) // it may have ended, and begun again
		}
	}
	if news || made { // a container has several cgroups; each has to be told
		e.treat(entry)
	}
	return entry
}

// critical are the kinds that get through when a queue is nearly full.
func critical(k sekisho.EventKind) bool {
	switch k {
	case sekisho.EventExec, sekisho.EventExit, sekisho.EventKill, sekisho.EventDenied, sekisho.EventLost, sekisho.EventCgroup, sekisho.EventMap:
		return true
	}
	return false
}

// flushEach is how long an event may wait for the disk, unless a case asks for
// it: a frame of few events is large for what it holds, and dear to write.
const flushEach = 250 * time.Millisecond

// keep writes events to the log. A slow disk fills the queue, not the kernel's
// ring.
func (e *Enforcer) keep() error {
	tick := time.NewTicker(flushEach)
	defer tick.Stop()
	batch := make([]*sekisho.Event, 0, 256)
	waiting := 0 // taken, and not yet on disk
	for {
		ok := e.evidence.take(&batch, cap(batch), tick.C)
		waiting += len(batch)
		if n := e.evidence.lost(); n > 0 {
			batch = append(batch, &sekisho.Event{Seq: e.seq.Add(1), Time: e.Now().UTC(), Kind: sekisho.EventLost, Number: int64(n), Path: "evidence"})
		}
		due := len(batch) == 0
		if len(batch) > 0 {
			if err := e.Log.Append(batch...); err != nil {
				e.failed.Add(uint64(len(batch)))
				e.Logger.Error("evidence not kept", "error", err)
			}
			for _, ev := range batch {
				e.kept.Store(max(e.kept.Load(), ev.Seq))
			}
			select {
			case <-tick.C:
				due = true
			default:
			}
		}
		if due {
			if err := e.Log.Flush(); err != nil {
				e.Logger.Error("evidence not flushed", "error", err)
			}
			e.wrote(waiting)
			waiting = 0
		}
		clear(batch)
		batch = batch[:0]
		if !ok {
			err := e.Log.Flush()
			e.wrote(waiting)
			return err
		}
	}
}
