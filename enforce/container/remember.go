package container

import (
	"encoding/json"
	"fmt"
	"slices"

	"sekisho"
)

// memory is a container with the keys of its cgroups.
type memory struct {
	Keys      []uint64           `json:"keys"`
	Container *sekisho.Container `json:"container"`
}

// Memory writes what is known, for a tracker that comes after this one, and
// the number of changes until now.
func (t *Tracker) Memory() (data []byte, changes uint64, err error) {
	t.mu.Lock()
	list := make([]memory, 0, len(t.byID))
	for _, k := range t.byID {
		m := memory{Container: k.container}
		for key := range k.keys {
			m.Keys = append(m.Keys, key)
		}
		slices.Sort(m.Keys)
		list = append(list, m)
	}
	changes = t.changes
	t.mu.Unlock()
	if data, err = json.Marshal(list); err != nil {
		return nil, changes, fmt.Errorf("write the containers: %w", err)
	}
	return data, changes, nil
}

// Changes counts what became known or went.
func (t *Tracker) Changes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes
}

// Remember takes over what a tracker before this one knew, of cgroups that are
// gone by now: events of them may still come. It returns how many there were.
func (t *Tracker) Remember(data []byte) (n int, err error) {
	var list []memory
	if err := json.Unmarshal(data, &list); err != nil {
		return 0, sekisho.Errorf(sekisho.Corrupt, "read the containers of before: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range list[:min(len(list), maxContainers)] {
		if m.Container == nil || m.Container.ID == "" {
			continue
		}
		k := t.byID[m.Container.ID]
		if k == nil { // it is gone: its events are its own, and it is not listed
			k = &known{container: m.Container, keys: map[uint64]bool{}, whole: true, questions: maxTries}
		}
		for _, key := range m.Keys[:min(len(m.Keys), 4096)] {
			if t.byKey[key] == nil {
				t.byKey[key] = k
				n++
			}
		}
	}
	return n, nil
}
