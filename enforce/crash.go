package enforce

import (
	"sync/atomic"

	"sekisho"
)

// Marks count events in memory that outlives a crash: those that were taken to
// be kept, and those that are on disk. The difference is what a crash lost.
type Marks [2]uint64

const (
	taken = iota
	kept
)

// marker is a sensor with such memory.
type marker interface{ Marks() *Marks }

// marks returns the sensor's, or some that outlive nothing.
func (o *Options) marks() *Marks {
	if s, ok := o.Sensor.(marker); ok {
		if m := s.Marks(); m != nil {
			return m
		}
	}
	return &Marks{}
}

// took counts an event that waits for the disk.
func (e *Enforcer) took() { atomic.AddUint64(&e.memory[taken], 1) }

// wrote counts events that do not wait any more.
func (e *Enforcer) wrote(n int) { atomic.AddUint64(&e.memory[kept], uint64(n)) }

// tellCrash tells how many events the run before had taken and never wrote.
func (e *Enforcer) tellCrash() {
	n := atomic.LoadUint64(&e.memory[taken]) - atomic.LoadUint64(&e.memory[kept])
	atomic.StoreUint64(&e.memory[taken], 0)
	atomic.StoreUint64(&e.memory[kept], 0)
	if n == 0 || n > evidenceQueue*2 { // more do not fit: it is no count
		return
	}
	e.Handle(&sekisho.Event{Kind: sekisho.EventLost, Number: int64(n), Path: "crash"})
}
