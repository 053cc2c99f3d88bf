package detect

import (
	"hash/maphash"
	"math/bits"
	"net/netip"
	"time"

	"sekisho"
)

const (
	scanWindow  = time.Minute
	scanEntries = 1024 // kept at a time; the newer of two that meet stays
)

// scans counts, within a minute, how many ports of a host a container connects
// to, and how many hosts a program connects to at one port. It allocates
// nothing; counts are a little low, never high.
type scans struct {
	seed  maphash.Seed
	table [scanEntries]scan
	dials [scanEntries]dial
}

// dial is when a process last connected to another host.
type dial struct {
	process uint64
	at      time.Time
}

// scan is one count: of different things, each of which sets a bit.
type scan struct {
	key   uint64
	start time.Time
	seen  [8]uint64
}

// target is what a count is of.
type target struct {
	container, program string
	host               netip.Addr
	port               uint16
}

// observe counts a connection and returns the counts that it belongs to.
func (s *scans) observe(e *sekisho.Event) (ports, hosts int64) {
	if e.Container == nil || e.Net == nil || e.Net.Inbound || !e.Net.Remote.IsValid() || e.Kind != sekisho.EventConnect && e.Kind != sekisho.EventSend {
		return 0, 0
	}
	host, port := e.Net.Remote.Addr(), e.Net.Remote.Port()
	if p := e.Process; p != nil && !host.IsLoopback() {
		*s.dial(p.ID) = dial{p.ID, e.Time}
	}
	id := e.Container.ID
	ports = s.count(e.Time, target{container: id, host: host}, target{port: port})
	t := target{container: id, port: port}
	if e.Process != nil {
		t.program = e.Process.Path
	}
	return ports, s.count(e.Time, t, target{host: host})
}

// dial is where a process's last connection stands; the low bits of an
// identity are a CPU's number.
func (s *scans) dial(process uint64) *dial { return &s.dials[process>>10%scanEntries] }

// dialed says whether the parent of a process connected to another host within
// the last minute.
func (s *scans) dialed(e *sekisho.Event) bool {
	if e.Kind != sekisho.EventExec || e.Process == nil || e.Process.Parent == nil {
		return false
	}
	id := e.Process.Parent.ID
	d := s.dial(id)
	return d.process == id && id != 0 && e.Time.Sub(d.at) < scanWindow
}

func (s *scans) count(now time.Time, of, thing target) (n int64) {
	key := maphash.Comparable(s.seed, of)
	x := &s.table[key%scanEntries]
	if x.key != key || now.Sub(x.start) > scanWindow || now.Before(x.start) {
		*x = scan{key: key, start: now}
	}
	bit := maphash.Comparable(s.seed, thing) % (64 * uint64(len(x.seen)))
	x.seen[bit/64] |= 1 << (bit % 64)
	for _, w := range x.seen {
		n += int64(bits.OnesCount64(w))
	}
	return n
}
