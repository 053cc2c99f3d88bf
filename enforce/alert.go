package enforce

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
)

// Kinds of alerts.
const (
	KindDrift    = "drift"    // content that the image does not have was run, or tried to
	KindProfile  = "profile"  // the workload's profile does not know it
	KindRule     = "rule"     // a detection rule fits
	KindMalware  = "malware"  // the scanner's engine knows the file
	KindLost     = "lost"     // events were lost
	KindFlood    = "flood"    // a container told more than is looked at
	KindCap      = "cap"      // a response was left out: the service lost enough already
	KindResponse = "response" // a response failed
	KindGap      = "gap"      // nobody looked for a while
	KindFull     = "full"     // a profile is too large to be a list
)

// Alert is something that somebody should know.
type Alert struct {
	ID        string             `json:"id"`
	Time      time.Time          `json:"time"` // of the first
	Last      time.Time          `json:"last"`
	Count     int                `json:"count"`
	Kind      string             `json:"kind"`
	Severity  string             `json:"severity"`
	Rule      string             `json:"rule"`             // of the detection rule; process, write … of a profile
	What      string             `json:"what"`             // a path, a peer
	Why       string             `json:"why,omitempty"`    // unknown, other content …
	Output    string             `json:"output,omitempty"` // the rule's own words
	Note      string             `json:"note,omitempty"`   // key of a text about the count
	Tags      []string           `json:"tags"`
	Mode      string             `json:"mode"`            // of the container
	Response  string             `json:"response"`        // what the policy says
	Done      string             `json:"done"`            // killed, denied, would kill, …
	Case      string             `json:"case,omitempty"`  // the sealed case
	Event     *sekisho.Event     `json:"event,omitempty"` // the first
	Container *sekisho.Container `json:"container,omitempty"`
	folded    bool
	late      bool // what the kernel is to stop and let pass
}

// cause is what folds alerts into one.
func (a *Alert) cause() string {
	id, program := "", ""
	if a.Container != nil {
		id = a.Container.ID
	}
	if a.Event != nil && a.Event.Process != nil {
		program = a.Event.Process.Path
	}
	return strings.Join([]string{a.Kind, a.Rule, a.What, id, program, a.Done}, "\x00")
}

// maxCauses bounds the causes that are told apart within one window; beyond
// them all of one kind are one.
const maxCauses = 4096

// fold makes one alert of many that have one cause.
type fold struct {
	mu     sync.Mutex
	window time.Duration
	open   map[string]*Alert
	number uint64
}

func newFold(window time.Duration) *fold { return &fold{window: window, open: map[string]*Alert{}} }

// add returns whether an alert is the first of its cause.
func (f *fold) add(a *Alert) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := a.cause()
	if f.open[key] == nil && len(f.open) >= maxCauses {
		key = a.Kind
	}
	if old := f.open[key]; old != nil {
		old.Count++
		old.Last = a.Time
		return false
	}
	a.ID, a.Count, a.Last = f.next(a), 1, a.Time
	kept := *a
	f.open[key] = &kept
	return true
}

func (f *fold) name(a *Alert) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next(a)
}

func (f *fold) next(a *Alert) string {
	f.number++
	return fmt.Sprintf("%s-%d", a.Time.UTC().Format("20060102T150405"), f.number)
}

// due returns alerts whose window is over and that came more than once.
func (f *fold) due(now time.Time, all bool) (list []*Alert) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, a := range f.open {
		if all || now.Sub(a.Time) >= f.window {
			delete(f.open, key)
			if a.Count > 1 {
				list = append(list, a)
			}
		}
	}
	slices.SortFunc(list, func(a, b *Alert) int { return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID)) })
	return list
}

// alert takes an alert, folds it and hands it on.
func (e *Enforcer) alert(a *Alert) {
	if a.Time.IsZero() {
		a.Time = e.Now().UTC()
		if a.Event != nil {
			a.Time = a.Event.Time
		}
	}
	if a.Tags == nil {
		a.Tags = []string{}
	}
	if a.Note != "" {
		a.ID, a.Last = e.alerts.name(a), a.Time
		e.emit(a)
		return
	}
	if e.alerts.add(a) {
		e.emit(a)
	}
}

func (e *Enforcer) emit(a *Alert) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state.count(a)
	if err := e.state.alerts.write(a); err != nil {
		e.Logger.Error("alert not kept", "error", err)
	}
	if e.Options.Alert != nil {
		e.Options.Alert(a)
	}
}

func (e *Enforcer) flushAlerts(all bool) {
	for _, a := range e.alerts.due(e.Now(), all) {
		e.emit(a)
	}
}

// maxAlerts bounds the file of alerts in bytes; one older file stays beside it.
const maxAlerts = 32 << 20

// alertFile is a file of lines.
type alertFile struct {
	name string
	file *os.File
	size int64
}

func openAlerts(dir string) (*alertFile, error) {
	a := &alertFile{name: filepath.Join(dir, "alerts.jsonl")}
	return a, a.open()
}

func (a *alertFile) open() error {
	f, err := os.OpenFile(a.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open alerts: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open alerts: %w", err)
	}
	a.file, a.size = f, info.Size()
	return nil
}

func (a *alertFile) write(x *Alert) error {
	doc, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("keep alert: %w", err)
	}
	if a.size+int64(len(doc)) > maxAlerts {
		a.file.Close()
		if err := os.Rename(a.name, a.name+".1"); err != nil {
			return fmt.Errorf("keep alert: %w", err)
		}
		if err := a.open(); err != nil {
			return err
		}
	}
	n, err := a.file.Write(append(doc, '\n'))
	a.size += int64(n)
	return err
}
