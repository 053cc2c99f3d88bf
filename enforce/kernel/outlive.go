package kernel

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sekisho/enforce"
	"sekisho/enforce/container"
	"sekisho/enforce/sensor"
	"sekisho/enforce/settings"
	"sekisho/internal/atomicfile"
)

// Outlived says what went on while no enforcer ran, nil when nothing did.
// It is known when the sensor took over.
func (k *Kernel) Outlived() (*enforce.Outlived, bool) {
	o, known := k.sensor.Outlived()
	if o == nil {
		return nil, known
	}
	out := &enforce.Outlived{Since: o.Since.UTC(), Held: o.Held, Open: o.Gone, Waited: o.Read, Unreadable: o.Other}
	for _, origin := range origins(o.Kills) {
		if o.Open {
			out.Open = append(out.Open, "stop: "+origin)
		} else {
			out.Held = append(out.Held, "stop: "+origin)
		}
	}
	if settings.On(k.Settings.Deny.Polite) {
		out.Open = append(out.Open, "denial")
	}
	return out, true
}

// Marks outlive a crash of this process.
func (k *Kernel) Marks() *enforce.Marks { return (*enforce.Marks)(k.sensor.Marks()) }

func origins(m sensor.Mode) (list []string) {
	for _, b := range bits {
		if m&b.mode != 0 {
			list = append(list, b.origin)
		}
	}
	for _, s := range stops {
		if m&s.mode != 0 {
			list = append(list, s.kind)
		}
	}
	if len(list) == 1 && list[0] == settings.Libraries {
		return nil // it says how, not what
	}
	return list
}

// Held says what the kernel does while no enforcer lives.
type Held struct {
	Other    bool                // it is of another version: it cannot be read
	Attached []string            // programs
	Unknown  []string            // origins that containers which begin now may not run
	Kills    map[string][]string // the same by id of a container that is there
	Strict   bool                // files that the image has too are killed unless they were compared before
	Names    map[string]string   // of containers, by id
}

// Look reads what is pinned; nil when nothing is.
func Look(s *settings.Settings) (*Held, error) {
	if s.Pin == "" {
		return nil, nil
	}
	t := container.New(container.Options{})
	h, err := sensor.Look(string(s.Pin), t)
	if h == nil || err != nil {
		return nil, err
	}
	out := &Held{Other: h.Other, Attached: h.Attached, Unknown: origins(h.Unknown), Strict: h.Strict, Kills: map[string][]string{}, Names: map[string]string{}}
	slices.Sort(out.Attached)
	for id, m := range h.Modes {
		out.Kills[id] = origins(m)
	}
	for _, c := range t.List() {
		out.Names[c.ID] = c.Name
	}
	return out, nil
}

// The containers that are known, for events of those that are gone when they
// are read.
const memoryFile = "containers.json"

const maxMemory = 64 << 20 // bytes

func (k *Kernel) remember() {
	name := filepath.Join(k.Settings.State, memoryFile)
	st, err := os.Stat(name)
	if err != nil || st.Size() > maxMemory || k.Sensor.Containers == nil {
		return
	}
	if data, err := os.ReadFile(name); err == nil {
		_, _ = k.Sensor.Containers.Remember(data) // without it, events of gone containers are nobody's
	}
}

// keepMemory writes the containers soon after they changed.
func (k *Kernel) keepMemory(ctx context.Context) {
	if k.Settings.Pin == "" || k.Sensor.Containers == nil {
		return
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	last := ^uint64(0)
	write := func() {
		if k.Sensor.Containers.Changes() == last {
			return
		}
		if data, n, err := k.Sensor.Containers.Memory(); err == nil && atomicfile.Write(filepath.Join(k.Settings.State, memoryFile), 0o600, data) == nil {
			last = n
		}
	}
	for {
		select {
		case <-ctx.Done():
			write()
			return
		case <-tick.C:
			write()
		}
	}
}
