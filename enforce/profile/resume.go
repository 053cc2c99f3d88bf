package profile

import (
	"cmp"
	"slices"
	"time"
)

// Resume goes on learning where a written profile ended. Its containers are
// counted, not named, in it: those that still run count as started again.
func Resume(p *Profile) *Learner {
	l := NewLearner(p.Name, p.Workload)
	l.profile = *p
	l.profile.Images = slices.Clone(p.Images)
	l.profile.Processes, l.profile.Writes, l.profile.Connections = nil, nil, nil
	l.before = p.Coverage.Hours
	l.news = p.Coverage.Until.Add(-time.Duration(p.Coverage.Quiet * float64(time.Hour)))
	for _, x := range p.Processes {
		x.Digests, x.Parents = slices.Clone(x.Digests), slices.Clone(x.Parents)
		l.processes[x.Path] = &x
	}
	for _, x := range p.Writes {
		l.writes[x.Path] = set(x.By)
	}
	for _, x := range p.Connections {
		l.peers[x.To] = set(x.By)
	}
	l.listens, l.caps, l.syscalls = set(p.Listens), set(p.Capabilities), set(p.Syscalls)
	return l
}

func set[T cmp.Ordered](list []T) map[T]bool {
	m := make(map[T]bool, len(list))
	for _, x := range list {
		m[x] = true
	}
	return m
}
