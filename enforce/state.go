package enforce

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/enforce/profile"
	"sekisho/internal/atomicfile"
)

// Effective states of a container: measured, never derived from its mode.
const (
	Enforcing    = "enforcing"
	Degraded     = "degraded"
	Open         = "open"
	NotSupported = "not supported here"
)

// Gap is a time in which nobody looked.
type Gap struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Clean bool      `json:"clean"` // the enforcer was stopped, it did not crash
	// What the kernel went on with, when it was pinned.
	*Outlived
}

// Outlived says what the kernel did while no enforcer ran, by class: kinds of
// events, and what was not allowed to run.
type Outlived struct {
	Since      time.Time `json:"since"`                // when the one before last lived
	Held       []string  `json:"held"`                 // had no gap
	Open       []string  `json:"open"`                 // had one
	Waited     uint64    `json:"waited"`               // bytes of events that waited to be read
	Unreadable bool      `json:"unreadable,omitempty"` // another version kept them
}

// outliver is a sensor that may have gone on while nobody ran. It knows
// whether it did once it took over.
type outliver interface {
	Outlived() (o *Outlived, known bool)
}

// tellGap tells the time in which nobody ran, once it is known what went on.
// With last, what is not known by now is not waited for.
func (e *Enforcer) tellGap(last bool) {
	gap := e.state.gap()
	if gap == nil || e.gapTold {
		return
	}
	a := &Alert{Kind: KindGap, Severity: "high", Rule: "enforcer was away", What: gap.From.Format(time.RFC3339) + "/" + gap.To.Format(time.RFC3339)}
	if s, ok := e.Sensor.(outliver); ok {
		o, known := s.Outlived()
		if !known && !last {
			return
		}
		if o != nil {
			e.mu.Lock()
			gap.Outlived = o
			e.state.doc.Gaps[len(e.state.doc.Gaps)-1] = *gap
			e.mu.Unlock()
			a.Why = "held: " + strings.Join(o.Held, ", ") + "; open: " + strings.Join(o.Open, ", ")
			if len(o.Held) > 0 {
				a.Severity = "medium"
			}
		}
	}
	e.gapTold = true
	e.alert(a)
}

// Proof is what a canary showed.
type Proof struct {
	Time    time.Time `json:"time"`
	Attempt string    `json:"attempt"` // drifted executable, forbidden connection …
	Kind    string    `json:"kind"`    // of what is stopped: drift, or of a profile
	State   string    `json:"state"`
	Detail  string    `json:"detail,omitempty"`
}

// ContainerStatus is how a container is treated.
type ContainerStatus struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Service string   `json:"service"`
	Image   string   `json:"image"`
	Mode    string   `json:"mode"`
	Profile string   `json:"profile,omitempty"`
	State   string   `json:"state"`
	Stops   []string `json:"stops"` // what the kernel stops: drift, and kinds of the profile
	Why     string   `json:"why,omitempty"`
	Alerts  int      `json:"alerts"`
	// While no enforcer runs: what the kernel still kills, and since when the
	// rest is open.
	Kills     []string  `json:"kills,omitempty"`
	OpenSince string    `json:"open_since,omitempty"`
	LastSeen  time.Time `json:"last_seen"`
	Ended     time.Time `json:"ended,omitzero"`
}

// Status is what the enforcer tells about itself, and what outlives it.
type Status struct {
	Schema     string                 `json:"schema"`
	Host       string                 `json:"host"`
	PID        int                    `json:"pid"`
	Started    time.Time              `json:"started"`
	Alive      time.Time              `json:"alive"` // when this was written
	Clean      bool                   `json:"clean"` // it ended as it should
	Events     uint64                 `json:"events"`
	Alerts     map[string]uint64      `json:"alerts"`    // by kind
	Responses  map[string]uint64      `json:"responses"` // by what was done
	Lost       map[string]uint64      `json:"lost"`      // by class
	Kernel     map[string]Count       `json:"kernel"`    // by class
	Queues     map[string]int         `json:"queues"`
	Features   map[string]string      `json:"features"`
	Containers []ContainerStatus      `json:"containers"`
	Gaps       []Gap                  `json:"gaps"`
	Proofs     []Proof                `json:"proofs"`
	Acted      map[string][]time.Time `json:"acted"` // responses by service and container, for the cap
	Broken     map[string]string      `json:"broken_profiles"`
	Pinned     *Pinned                `json:"pinned,omitempty"` // what the kernel does while no enforcer runs
}

// Pinned is what was read of the kernel while no enforcer runs.
type Pinned struct {
	Dir        string   `json:"dir"`
	Programs   []string `json:"programs"`             // that are attached
	Unknown    []string `json:"unknown"`              // what containers that begin now may not run
	Strict     bool     `json:"strict"`               // files that the image has too are killed unless they were compared before
	Unreadable bool     `json:"unreadable,omitempty"` // of another version
}

// state is the status with what keeps it.
type state struct {
	doc    Status
	dir    string
	alerts *alertFile
	byID   map[string]int // alerts by container
	last   *Gap
}

func openState(dir string, now time.Time) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if err := atomicfile.Sweep(dir, now); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	alerts, err := openAlerts(dir)
	if err != nil {
		return nil, err
	}
	s := &state{dir: dir, alerts: alerts, byID: map[string]int{}}
	old, err := ReadStatus(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && sekisho.KindOf(err) != sekisho.Corrupt {
		return nil, err
	}
	s.doc = Status{Schema: "sekisho.enforce.status/v1", PID: os.Getpid(), Started: now.UTC(), Alerts: map[string]uint64{}, Responses: map[string]uint64{}, Lost: map[string]uint64{},
		Kernel: map[string]Count{}, Queues: map[string]int{}, Features: map[string]string{}, Gaps: []Gap{}, Proofs: []Proof{}, Acted: map[string][]time.Time{}, Broken: map[string]string{}, Containers: []ContainerStatus{}}
	if old != nil && !old.Alive.IsZero() {
		s.last = &Gap{From: old.Alive, To: now.UTC(), Clean: old.Clean}
		s.doc.Gaps = append(old.Gaps, *s.last)
		s.doc.Gaps = s.doc.Gaps[max(0, len(s.doc.Gaps)-100):]
		s.doc.Acted, s.doc.Proofs = old.Acted, old.Proofs
		if s.doc.Acted == nil {
			s.doc.Acted = map[string][]time.Time{}
		}
	}
	return s, nil
}

// gap is the time since the run before, nil when there was none.
func (s *state) gap() *Gap { return s.last }

// ReadStatus reads what an enforcer last told about itself.
func ReadStatus(dir string) (*Status, error) {
	data, err := os.ReadFile(filepath.Join(dir, "status.json"))
	if err != nil {
		return nil, fmt.Errorf("read status: %w", err)
	}
	s := &Status{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, sekisho.Errorf(sekisho.Corrupt, "read status: %w", err)
	}
	return s, nil
}

// count is called with e.mu held.
func (s *state) count(a *Alert) {
	s.doc.Alerts[a.Kind]++
	if a.Container != nil && len(s.byID) < maxContainers {
		s.byID[a.Container.ID]++
	}
}

func (e *Enforcer) addLost(class string, n uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.state.doc.Lost) < 256 || e.state.doc.Lost[class] > 0 {
		e.state.doc.Lost[class] += n
	}
}

// ProofsFile is where canaries leave what they showed.
func ProofsFile(state string) string { return filepath.Join(state, "canary.json") }

// WriteProofs leaves what a canary showed for the enforcer.
func WriteProofs(state string, list []Proof) error {
	doc, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return fmt.Errorf("write proofs: %w", err)
	}
	return atomicfile.Write(ProofsFile(state), 0o600, doc)
}

// prove takes over what a canary showed since.
func (e *Enforcer) prove() {
	data, err := os.ReadFile(ProofsFile(e.state.dir))
	var list []Proof
	if err != nil || json.Unmarshal(data, &list) != nil || len(list) > 64 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state.doc.Proofs = list
}

// keepHouse does once a second what is due.
func (e *Enforcer) keepHouse(ended <-chan struct{}) error {
	tick := e.Tick
	if tick == nil {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ended:
			return nil
		case <-tick:
			if err := e.housekeeping(); err != nil {
				e.Logger.Error("housekeeping", "error", err)
			}
		}
	}
}

// saveEach is how often what was learned is written.
const saveEach = 30 * time.Second

// housekeeping tells what is due, takes over changed profiles, and writes
// the state; every half minute, what was learned.
func (e *Enforcer) housekeeping() error {
	now := e.Now()
	e.flushAlerts(false)
	e.tellGap(false)
	e.prove()
	news, err := e.profiles.reload()
	if news {
		e.expect()
		for _, x := range e.table.all() {
			e.treat(x)
		}
	}
	e.table.forget(now.Add(-time.Hour))
	if now.Sub(e.lastSave) < saveEach {
		return errors.Join(err, e.writeStatus())
	}
	return errors.Join(err, e.save())
}

func (e *Enforcer) save() error {
	e.lastSave = e.Now()
	full, err := e.profiles.save()
	for _, name := range full {
		e.alert(&Alert{Kind: KindFull, Severity: "medium", Rule: "profile is full", What: name})
	}
	return errors.Join(err, e.writeStatus())
}

// Status tells how things are now.
func (e *Enforcer) Status() *Status {
	now := e.Now().UTC()
	containers := []ContainerStatus{}
	for _, x := range e.table.all() {
		containers = append(containers, e.containerStatus(x))
	}
	queues := map[string]int{}
	lost := map[string]uint64{}
	for name, q := range map[string]interface{ stats() (int, uint64) }{"evidence": e.evidence, "judging": e.judging, "files": e.files} {
		queues[name], lost["queue "+name] = q.stats()
	}
	for _, l := range e.lanes {
		n, dropped := l.orders.stats()
		queues["responses"] += n
		lost["queue responses"] += dropped
	}
	lost["evidence log"] = e.failed.Load()
	kernel, err := e.Sensor.Counts()
	if err != nil {
		e.Logger.Error("kernel's counters", "error", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.state.doc
	d.Host, d.Alive, d.Events, d.Queues, d.Containers, d.Acted, d.Features = e.Host, now, e.events.Load(), queues, containers, e.cap.history(), e.Features
	if kernel != nil {
		d.Kernel = kernel
	}
	d.Alerts, d.Responses, d.Lost = clone(d.Alerts), clone(d.Responses), clone(d.Lost)
	for class, n := range lost {
		if n > 0 {
			d.Lost[class] = n
		}
	}
	d.Proofs, d.Gaps = slices.Clone(d.Proofs), slices.Clone(d.Gaps)
	d.Broken = e.profiles.problems()
	return &d
}

func clone(m map[string]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// containerStatus derives the effective state from what the kernel was told
// and what the last canary showed.
func (e *Enforcer) containerStatus(x *entry) ContainerStatus {
	x.mu.Lock()
	s := ContainerStatus{ID: x.c.ID, Name: x.c.Name, Service: x.service, Image: x.c.Image, Mode: x.mode, Profile: x.profile, LastSeen: x.lastSeen, Ended: x.ended, Stops: slices.Clone(x.stops)}
	trouble, wants := x.trouble, len(x.treat.Drift) > 0
	x.mu.Unlock()
	if s.Stops == nil {
		s.Stops = []string{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Alerts = e.state.byID[s.ID]
	switch {
	case trouble != "":
		s.State, s.Why = Degraded, trouble
	case s.Mode != profile.Enforce || !wants && len(s.Stops) == 0:
		s.State = Open
	case len(s.Stops) > 0:
		s.State = Enforcing
		for _, p := range e.state.doc.Proofs {
			if p.State != Enforcing && (p.Kind == "" || slices.Contains(s.Stops, p.Kind)) {
				s.State, s.Why = Degraded, "canary: "+p.Attempt+": "+p.State
			}
		}
	default:
		s.State = Degraded
	}
	return s
}

func (e *Enforcer) writeStatus() error {
	s := e.Status()
	doc, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	err = atomicfile.Write(filepath.Join(e.state.dir, "status.json"), 0o600, doc)
	if e.Settings.Metrics != "" {
		err = errors.Join(err, atomicfile.Write(e.Settings.Metrics, 0o644, metrics(s)))
	}
	return err
}

func (p *profiles) problems() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]string, len(p.broken))
	for k, v := range p.broken {
		out[k] = v
	}
	return out
}
