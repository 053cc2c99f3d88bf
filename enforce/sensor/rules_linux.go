package sensor

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
)

// hold writes rules, unless they are there, and returns their number. s.mu is
// held.
func (s *Sensor) hold(r *Rules) (uint32, error) {
	if r == nil {
		return 0, nil
	}
	w, err := r.compile()
	if err != nil {
		return 0, err
	}
	id := w.number()
	if s.rules[id] != nil {
		return id, nil
	}
	if err := s.write(id, w); err != nil {
		s.erase(id, w)
		return 0, fmt.Errorf("write what a profile has: %w", err)
	}
	s.rules[id] = w
	return id, nil
}

func (s *Sensor) write(id uint32, w *written) error {
	for _, k := range w.nets {
		k.Rules = id
		if err := s.maps["nets"].Put(k, uint32(1)); err != nil {
			return err
		}
	}
	for k, v := range w.hosts {
		k.Rules = id
		if err := s.maps["hosts"].Put(k, v); err != nil {
			return err
		}
	}
	for k, v := range w.paths {
		k.Rules = id
		if err := s.maps["paths"].Put(k, v); err != nil {
			return err
		}
	}
	return s.maps["rulesets"].Put(id, uint8(1)) // now they are whole
}

// erase takes rules away that nobody is under; what is not there is no matter.
func (s *Sensor) erase(id uint32, w *written) {
	_ = s.maps["rulesets"].Delete(id)
	for _, k := range w.nets {
		k.Rules = id
		_ = s.maps["nets"].Delete(k)
	}
	for k := range w.hosts {
		k.Rules = id
		_ = s.maps["hosts"].Delete(k)
	}
	for k := range w.paths {
		k.Rules = id
		_ = s.maps["paths"].Delete(k)
	}
	delete(s.rules, id)
}

// maxIdle bounds the rules that are kept for containers which may start again.
const maxIdle = 64

// drop erases the oldest rules that no container is under. s.mu is held.
func (s *Sensor) drop() {
	used := map[uint32]bool{}
	for _, a := range s.assigned {
		used[a.Rules] = true
	}
	s.idle = slices.DeleteFunc(s.idle, func(id uint32) bool { return used[id] || s.rules[id] == nil })
	for _, id := range slices.Sorted(maps.Keys(s.rules)) {
		if !used[id] && !slices.Contains(s.idle, id) {
			s.idle = append(s.idle, id)
		}
	}
	for len(s.idle) > maxIdle {
		s.erase(s.idle[0], s.rules[s.idle[0]])
		s.idle = s.idle[1:]
	}
}

// Sweep erases rules of an earlier run that no container is under any more.
func (s *Sensor) Sweep() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(
		sweep[uint32, uint8](s.maps["rulesets"], func(id uint32) bool { return s.rules[id] == nil }),
		sweep[netKey, uint32](s.maps["nets"], func(k netKey) bool { return s.rules[k.Rules] == nil }),
		sweep[hostKey, hostValue](s.maps["hosts"], func(k hostKey) bool { return s.rules[k.Rules] == nil }),
		sweep[pathKey, pathValue](s.maps["paths"], func(k pathKey) bool { return s.rules[k.Rules] == nil }))
}

func sweep[K, V any](m *ebpf.Map, stale func(K) bool) error {
	var k K
	var v V
	var gone []K
	each := m.Iterate()
	for each.Next(&k, &v) {
		if stale(k) {
			gone = append(gone, k)
		}
	}
	for _, k := range gone {
		_ = m.Delete(k)
	}
	if err := each.Err(); err != nil {
		return fmt.Errorf("look for old rules: %w", err)
	}
	return nil
}

// remember lets a container reach what name servers told it before it came
// under its rules. What comes after, the kernel's program sees first.
func (s *Sensor) remember(container uint64, id uint32) {
	w := s.rules[id]
	if w == nil || len(w.names) == 0 {
		return
	}
	s.names.Each(container, func(name string, a netip.Addr) {
		for _, p := range w.names[name] {
			k := resolvedKey{Container: container, Rules: id, Port: p.Port, Proto: p.Proto}
			var four bool
			if k.Addr, four = plain(a); four {
				k.Proto |= protoIPv4
			} else if p.Proto == 1 {
				k.Proto = 58
			}
			_ = s.maps["resolved"].Put(k, uint64(0)) // the oldest makes room
		}
	})
}
