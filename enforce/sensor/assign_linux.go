package sensor

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// assignment is what a container is under.
type assignment struct{ Policy, Rules uint32 }

// Assign puts a container under a policy, and under rules or nil. Cgroups that
// it makes later follow. Rules are whole in the kernel before they count.
func (s *Sensor) Assign(containerID string, policy uint32, r *Rules) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.hold(r)
	if err != nil {
		return fmt.Errorf("put container %s under its profile: %w", containerID, err)
	}
	a := assignment{policy, id}
	s.assigned[containerID] = a
	if s.inUse()&^s.mode != 0 {
		s.attachAll()
	}
	if err := s.maps["ids"].Put(fnv1a(containerID), a); err != nil {
		return fmt.Errorf("keep the policy of container %s: %w", containerID, err)
	}
	for _, key := range s.o.Containers.Keys(containerID) {
		if err := s.assign(key, a); err != nil {
			return fmt.Errorf("put container %s under policy %d: %w", containerID, policy, err)
		}
	}
	s.drop()
	return nil
}

// assign is called with s.mu held.
func (s *Sensor) assign(key uint64, a assignment) error {
	var v cgroupValue
	if err := s.maps["cgroups"].Lookup(key, &v); errors.Is(err, ebpf.ErrKeyNotExist) {
		v.Container = key
	}
	if v.Rules != a.Rules {
		s.remember(v.Container, a.Rules)
	}
	v.Policy, v.Rules = a.Policy, a.Rules
	return s.maps["cgroups"].Put(key, v)
}

// reassign puts a cgroup that was made while its container got its policy
// under that policy too.
func (s *Sensor) reassign(key uint64, containerID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.assigned[containerID]; ok {
		_ = s.assign(key, a) // a cgroup that went has no policy to miss
	}
}

// forget drops the policy of a container that is gone.
func (s *Sensor) forget(containerID string) {
	if len(s.o.Containers.Keys(containerID)) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.assigned, containerID)
	s.drop()
	if s.inUse() != s.mode {
		s.attachAll()
	}
}
