// Package profile holds what a workload may do. Events of a workload that
// behaves go in while it learns, a profile comes out that people can read,
// review, compare and promote; then events are held against it. It never
// widens a profile by itself: what is new is proposed, and somebody takes it
// over or does not.
package profile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"sekisho"
)

// Modes of a workload.
const (
	Learn   = "learn"
	Audit   = "audit"
	Enforce = "enforce"
)

// maxSize bounds a profile's file in bytes.
const maxSize = 16 << 20

// Profile is what a workload may do, keyed by the workload or by its image.
type Profile struct {
	Name         string           `yaml:"profile"`
	Workload     string           `yaml:"workload,omitempty"` // namespace/name/container
	Images       []sekisho.Digest `yaml:"images,omitempty"`   // that it was learned from, or holds for
	Mode         string           `yaml:"mode"`
	Coverage     Coverage         `yaml:"coverage"`
	Processes    []Process        `yaml:"processes"`
	Writes       []Write          `yaml:"writes"`
	Connections  []Connection     `yaml:"connections"`
	Listens      []string         `yaml:"listens"`      // 8080/tcp
	Capabilities []string         `yaml:"capabilities"` // NET_BIND_SERVICE
	Syscalls     []string         `yaml:"syscalls"`     // empty when they were not observed
}

// Coverage is how much was seen while it was learned.
type Coverage struct {
	Since  time.Time `yaml:"since"`
	Until  time.Time `yaml:"until"`
	Hours  float64   `yaml:"hours"` // of containers that ran, added up
	Starts int       `yaml:"starts"`
	Quiet  float64   `yaml:"quiet_hours"` // since something new was seen
	Events uint64    `yaml:"events"`
	Lost   uint64    `yaml:"lost,omitempty"`
	Kinds  []string  `yaml:"kinds,omitempty"` // that were observed all the time: process, write, connection, listen, capability
}

// Kinds of what a profile holds that the kernel can stop.
const (
	KindProcess    = "process"
	KindWrite      = "write"
	KindConnection = "connection"
	KindListen     = "listen"
	KindCapability = "capability"
)

// Covers reports whether what a profile does not have of a kind is unknown,
// not only unseen. A profile that was learned says which kinds were observed;
// one that somebody wrote covers the kinds that it has something of.
func (p *Profile) Covers(kind string) bool {
	if len(p.Coverage.Kinds) > 0 {
		return slices.Contains(p.Coverage.Kinds, kind)
	}
	switch kind {
	case KindProcess:
		return len(p.Processes) > 0
	case KindWrite:
		return len(p.Writes) > 0
	case KindConnection:
		return len(p.Connections) > 0
	case KindListen:
		return len(p.Listens) > 0
	}
	return kind == KindCapability
}

// Process is a program that may run.
type Process struct {
	Path    string           `yaml:"path"`
	Digests []sekisho.Digest `yaml:"digests,omitempty"` // of its content; none means as the image has it
	Parents []string         `yaml:"parents,omitempty"`
	Start   bool             `yaml:"start_only,omitempty"` // only while the container starts
}

// Write is a place that may be written. A path that ends in /** is all below
// it, * in a path is any name.
type Write struct {
	Path string   `yaml:"path"`
	By   []string `yaml:"by,omitempty"`
}

// Connection is a peer that may be connected to.
type Connection struct {
	To string   `yaml:"to"` // db.example.org:5432/tcp, 10.0.0.0/8:443/tcp
	By []string `yaml:"by,omitempty"`
}

// Parse reads a profile; an unknown field is an error with its line and column.
func Parse(r io.Reader, name string) (*Profile, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	if len(data) > maxSize {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: more than %d bytes", name, maxSize)
	}
	p := &Profile{}
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(p); err != nil && !errors.Is(err, io.EOF) {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	return p, p.check(name)
}

func (p *Profile) check(name string) error {
	switch {
	case p.Name == "":
		return sekisho.Errorf(sekisho.Invalid, "%s: profile: want a name", name)
	case p.Workload == "" && len(p.Images) == 0:
		return sekisho.Errorf(sekisho.Invalid, "%s: want a workload or images that it is for", name)
	case p.Mode != Learn && p.Mode != Audit && p.Mode != Enforce:
		return sekisho.Errorf(sekisho.Invalid, "%s: mode: %q is none of %s, %s, %s", name, p.Mode, Learn, Audit, Enforce)
	}
	for _, d := range p.Images {
		if err := d.Validate(); err != nil {
			return sekisho.Errorf(sekisho.Invalid, "%s: images: %w", name, err)
		}
	}
	for _, x := range p.Processes {
		if !strings.HasPrefix(x.Path, "/") {
			return sekisho.Errorf(sekisho.Invalid, "%s: processes: %q: want an absolute path", name, x.Path)
		}
	}
	for _, x := range p.Writes {
		if !strings.HasPrefix(x.Path, "/") {
			return sekisho.Errorf(sekisho.Invalid, "%s: writes: %q: want an absolute path", name, x.Path)
		}
	}
	return nil
}

// Write writes the profile as it is read, in an order that depends on its
// content only.
func (p *Profile) Write(w io.Writer) error {
	p.sort()
	data, err := yaml.MarshalWithOptions(p, yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	_, err = w.Write(data)
	return err
}

func (p *Profile) sort() {
	slices.SortFunc(p.Processes, func(a, b Process) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), boolean(a.Start)-boolean(b.Start))
	})
	slices.SortFunc(p.Writes, func(a, b Write) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(p.Connections, func(a, b Connection) int { return strings.Compare(a.To, b.To) })
	for _, list := range [][]string{p.Listens, p.Capabilities, p.Syscalls} {
		slices.Sort(list)
	}
	slices.Sort(p.Images)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Change is one difference between two profiles.
type Change struct {
	Kind  string // process, write, connection, listen, capability, syscall
	What  string
	Added bool // in the newer one only
}

// Diff lists what the newer profile has more or less.
func Diff(older, newer *Profile) (list []Change) {
	before, after := older.items(), newer.items()
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if !before[k] {
			list = append(list, Change{k.kind(), k.what(), true})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if !after[k] {
			list = append(list, Change{k.kind(), k.what(), false})
		}
	}
	return list
}

// item is "kind what".
type item string

func (i item) kind() string { k, _, _ := strings.Cut(string(i), " "); return k }
func (i item) what() string { _, w, _ := strings.Cut(string(i), " "); return w }

func (p *Profile) items() map[item]bool {
	m := map[item]bool{}
	for _, x := range p.Processes {
		m[item("process "+x.Path)] = true
		for _, d := range x.Digests {
			m[item("process "+x.Path+" "+string(d))] = true
		}
	}
	for _, x := range p.Writes {
		m[item("write "+x.Path)] = true
	}
	for _, x := range p.Connections {
		m[item("connection "+x.To)] = true
	}
	for kind, list := range map[string][]string{"listen": p.Listens, "capability": p.Capabilities, "syscall": p.Syscalls} {
		for _, x := range list {
			m[item(kind+" "+x)] = true
		}
	}
	return m
}

// Promote takes what a newer profile has more, of the kinds that are named, into
// a copy of the older one. Nothing is taken away.
func Promote(older, newer *Profile, kinds ...string) *Profile {
	out := *older
	out.Processes, out.Writes, out.Connections = slices.Clone(older.Processes), slices.Clone(older.Writes), slices.Clone(older.Connections)
	out.Images, out.Listens, out.Capabilities, out.Syscalls = slices.Clone(older.Images), slices.Clone(older.Listens), slices.Clone(older.Capabilities), slices.Clone(older.Syscalls)
	has := older.items()
	take := func(kind, what string) bool { return slices.Contains(kinds, kind) && !has[item(kind+" "+what)] }
	for _, x := range newer.Processes {
		if slices.Contains(kinds, "process") {
			out.Processes = addProcess(out.Processes, x)
		}
	}
	for _, x := range newer.Writes {
		if take("write", x.Path) {
			out.Writes = append(out.Writes, x)
		}
	}
	for _, x := range newer.Connections {
		if take("connection", x.To) {
			out.Connections = append(out.Connections, x)
		}
	}
	for _, l := range []struct {
		kind string
		from []string
		to   *[]string
	}{{"listen", newer.Listens, &out.Listens}, {"capability", newer.Capabilities, &out.Capabilities}, {"syscall", newer.Syscalls, &out.Syscalls}} {
		for _, x := range l.from {
			if take(l.kind, x) {
				*l.to = append(*l.to, x)
			}
		}
	}
	out.sort()
	return &out
}

func addProcess(list []Process, x Process) []Process {
	i := slices.IndexFunc(list, func(o Process) bool { return o.Path == x.Path })
	if i < 0 {
		return append(list, x)
	}
	o := &list[i]
	o.Digests, o.Parents = union(o.Digests, x.Digests), union(o.Parents, x.Parents)
	o.Start = o.Start && x.Start
	return list
}

func union[T cmp.Ordered](a, b []T) []T {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}
