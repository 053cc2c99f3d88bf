package sensor

import (
	"embed"
	"errors"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"sekisho"
)

//go:generate sh bpf/build.sh

//go:embed bpf/*.o
var objects embed.FS

var objectNames = []string{"proc"}

// part is one program and what it is good for. The first one is that without
// which nothing works.
type part struct {
	feature, object, program string
	cgroup                   ebpf.AttachType // 0: a tracing program
	kinds                    []sekisho.EventKind
}

var parts = []part{
	{feature: "exec", object: "proc", program: "on_exec"},
	{feature: "fork", object: "proc", program: "on_fork"},
	{feature: "exit", object: "proc", program: "on_exit"},
	{feature: "cgroup made", object: "proc", program: "on_cgroup_mkdir"},
	{feature: "cgroup removed", object: "proc", program: "on_cgroup_rmdir"},
}

// asked says whether any policy of the options wants one of the kinds.
func (s *Sensor) asked(kinds []sekisho.EventKind) bool {
	if len(kinds) == 0 {
		return true
	}
	bits := s.o.Default.wants() | s.o.Host.wants()
	for _, k := range kinds {
		if bits>>k&1 != 0 {
			return true
		}
	}
	return false
}

func (s *Sensor) attachAll(specs map[string]*ebpf.CollectionSpec) {
	for _, p := range parts {
		f := Feature{Name: p.feature, State: OK}
		if !s.asked(p.kinds) {
			f.State = NotAsked
		} else if err := s.attach(specs[p.object], p); err != nil {
			f.State, f.Why = NotSupported, why(err)
		}
		s.features = append(s.features, f)
	}
}

func (s *Sensor) attach(spec *ebpf.CollectionSpec, p part) error {
	prog, err := s.load(spec, p.program)
	if err != nil {
		return err
	}
	var l link.Link
	if p.cgroup == 0 {
		l, err = link.AttachTracing(link.TracingOptions{Program: prog})
	} else {
		dir := s.o.Containers.Unified()
		if dir == "" {
			return errors.New("no cgroup v2 is mounted")
		}
		l, err = link.AttachCgroup(link.CgroupOptions{Path: dir, Attach: p.cgroup, Program: prog})
	}
	if err != nil {
		return err
	}
	s.links = append(s.links, l)
	return nil
}

// why is the first line of an error, without the verifier's log.
func why(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if len(line) > 300 {
		line = line[:300]
	}
	return line
}
