// Package coverage says what runs that no gate judged: running containers and
// the entries of the audit log come in, a state for each container comes out.
// It decides nothing and never takes a missing judgement for a good one.
package coverage

import (
	"slices"
	"time"

	"sekisho"
	"sekisho/audit"
)

// Container is one that runs.
type Container struct {
	Engine    string           `json:"engine"`              // docker or containerd
	Namespace string           `json:"namespace,omitempty"` // of containerd
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	Image     string           `json:"image"` // as the engine names it
	Digests   []sekisho.Digest `json:"digests"`
	Started   time.Time        `json:"started"`
	Problem   string           `json:"problem,omitempty"` // why its image is not known
	Sandbox   bool             `json:"sandbox,omitempty"` // it holds a pod's namespaces, of the image that the runtime's own settings name
}

// States of a container.
const (
	Judged   = "judged"   // this very container was let pass
	Image    = "image"    // its image was let pass; its own start was not seen
	Denied   = "denied"   // it runs although it, or its image, was denied
	Sandbox  = "sandbox"  // nothing judged its image, which the runtime's own settings name
	Unjudged = "unjudged" // nothing judged its image
	Unknown  = "unknown"  // nobody knows its image
)

// Line is a container with its state.
type Line struct {
	Container
	State    string    `json:"state"`
	Gate     string    `json:"gate,omitempty"` // that judged last
	Time     time.Time `json:"time,omitzero"`  // when
	Policies []string  `json:"policies"`
}

// Alert reports whether somebody should look.
func (l *Line) Alert() bool { return l.State != Judged && l.State != Image && l.State != Sandbox }

// last is the last judgement of something.
type last struct {
	result, gate string
	time         time.Time
	policies     []string
}

// Log is what an audit log says about containers and images.
type Log struct {
	containers map[string]last
	images     map[string]last // by the name of the image among its names
	same       func(sekisho.Digest) string
}

// NewLog makes an empty one. same names an image by any of its digests: equal
// names are one image. A digest that it does not know stands for itself.
func NewLog(same func(sekisho.Digest) string) *Log {
	return &Log{containers: map[string]last{}, images: map[string]last{}, same: same}
}

// starts are the actions that let a container start, in the words of the gates.
func starts() []string {
	return []string{"admit", "create", "start", "run", "restore", "build"}
}

// Add takes in an entry; entries come oldest first.
func (l *Log) Add(e *audit.Entry) {
	if !slices.Contains(starts(), e.Action) {
		return
	}
	j := last{e.Result, e.Gate, e.Time, e.Policies}
	if id := e.Details["container"]; id != "" {
		l.containers[id] = j
	}
	if d := sekisho.Digest(e.Details["digest"]); d != "" {
		l.images[l.name(d)] = j
	}
}

func (l *Log) name(d sekisho.Digest) string {
	if n := l.same(d); n != "" {
		return n
	}
	return string(d)
}

// slack is how long before its start a container may have been denied for it to
// be the same attempt: clocks of engine and gate may differ.
const slack = 2 * time.Second

// State judges one container.
func (l *Log) State(c Container) Line {
	out := Line{Container: c, State: Unknown, Policies: []string{}}
	if j, ok := l.containers[c.ID]; ok {
		out.take(j)
		out.State = Judged
		if j.result == sekisho.Deny && !c.Started.Before(j.time.Add(-slack)) {
			out.State = Denied
		}
		return out
	}
	if len(c.Digests) == 0 {
		return out
	}
	if out.State = Unjudged; c.Sandbox {
		out.State = Sandbox
	}
	for _, d := range c.Digests {
		j, ok := l.images[l.name(d)]
		if !ok {
			continue
		}
		out.take(j)
		if out.State = Image; j.result == sekisho.Deny {
			out.State = Denied
		}
		return out
	}
	return out
}

func (l *Line) take(j last) {
	l.Gate, l.Time, l.Policies = j.gate, j.time, append([]string{}, j.policies...)
}
