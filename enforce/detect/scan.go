package detect

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"time"

	"sekisho"
)

const (
	scanWindow  = time.Minute
	scanEntries = 1024 // kept at a time; the newer of two that meet stays
)

// scans counts, within a minute, how many ports of a host a container connects
// to, and how many hosts a program connects to at one port. It allocates
// nothing; counts are a little low, never high. Its hashes have a key, so that
// nobody can choose hosts or ports that count as one.
type scans struct {
	seed  maphash.Seed
	keys  [2]uint64
	table [scanEntries]scan
	dials [scanEntries]dial
}

// dial is when a process last connected to another host.
type dial struct {
	process uint64
	at      time.Time
}

func newScans() *scans {
	s := &scans{seed: maphash.MakeSeed()}
	for i := range s.keys {
		s.keys[i] = maphash.Comparable(s.seed, i) | 1
	}
	return s
}

// mix folds two numbers into one by a multiplication of 128 bits.
func (s *scans) mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^s.keys[0], b^s.keys[1])
	return hi ^ lo
}

// scan is one count: of different things, each of which sets a bit.
type scan struct {
	key   uint64
	start time.Time
	seen  [8]uint64
}

// observe counts a connection and returns the counts that it belongs to.
func (s *scans) observe(e *sekisho.Event) (ports, hosts int64) {
	if e.Kind != sekisho.EventConnect && e.Kind != sekisho.EventSend || e.Container == nil || e.Net == nil || e.Net.Inbound || !e.Net.Remote.IsValid() {
		return 0, 0
	}
	if p := e.Process; p != nil && !e.Net.Remote.Addr().IsLoopback() {
		*s.dial(p.ID) = dial{p.ID, e.Time}
	}
	address, port := e.Net.Remote.Addr().As16(), s.mix(uint64(e.Net.Remote.Port()), 1)
	host := s.mix(binary.LittleEndian.Uint64(address[:8]), s.mix(binary.LittleEndian.Uint64(address[8:]), 2))
	of := maphash.String(s.seed, e.Container.ID)
	ports = s.count(e.Time, s.mix(of, host), port)
	if e.Process != nil {
		of ^= maphash.String(s.seed, e.Process.Path)
	}
	return ports, s.count(e.Time, s.mix(of, port), host)
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

// count notes a thing below a key, and returns how many there are.
func (s *scans) count(now time.Time, key, thing uint64) (n int64) {
	x := &s.table[key%scanEntries]
	if x.key != key || now.Sub(x.start) > scanWindow || now.Before(x.start) {
		*x = scan{key: key, start: now}
	}
	bit := thing % (64 * uint64(len(x.seen)))
	x.seen[bit/64] |= 1 << (bit % 64)
	for _, w := range x.seen {
		n += int64(bits.OnesCount64(w))
	}
	return n
}
