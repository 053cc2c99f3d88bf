package sensor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sekisho"
)

// How the reader waits, in milliseconds: while events come it looks every
// pollActive without being woken, every pollBusy while many come; after
// idleRounds empty looks it sleeps and lets the kernel wake it once. The
// smaller ring takes 100 ms of 50,000 programs a second.
const (
	pollBusy   = 2
	pollActive = 10
	pollAsleep = 500
	idleRounds = 10
	busy       = 256  // events of one look that are many
	batch      = 4096 // events between two looks at the losses and the clock
)

const maxCPUs = 8192 // that Linux knows

const (
	tellEvery  = 500 * time.Millisecond
	clockEvery = 10 * time.Second
)

// watch tells losses soon after they happened, and keeps the clock.
func (s *Sensor) watch(f func(*sekisho.Event)) {
	now := time.Now()
	s.beat()
	if s.gap || s.untold && now.Sub(s.told) > tellEvery {
		s.gap, s.untold, s.told = false, false, now
		s.tellLost(f)
	}
	if now.Sub(s.bootAt) > clockEvery {
		s.clock()
	}
}

// Run hands every event to f, in order, until the context ends. An event is
// f's to keep. Run must be called once.
func (s *Sensor) Run(ctx context.Context, f func(*sekisho.Event)) error {
	if err := s.settle(f); err != nil {
		return err
	}
	defer s.rest()
	stop := context.AfterFunc(ctx, func() {
		one := [8]byte{1}
		unix.Write(s.stop, one[:])
	})
	defer stop()
	asking, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { s.o.Containers.Run(asking) })
	defer group.Wait()
	defer cancel()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	idle := 0
	for ctx.Err() == nil {
		n := s.drain(f)
		if idle++; n > 0 {
			idle, s.untold = 0, true
		}
		s.watch(f)
		switch {
		case n >= batch:
		case idle > idleRounds:
			if err := s.sleep(); err != nil {
				return err
			}
		case n > busy:
			pause(ctx, timer, pollBusy)
		default:
			pause(ctx, timer, pollActive)
		}
	}
	for s.drain(f) >= batch {
	}
	s.tellLost(f)
	return nil
}

// pause lets others run for a moment. It is no system call of this thread:
// those keep Go's own watcher of system calls busy.
func pause(ctx context.Context, t *time.Timer, ms int) {
	t.Reset(time.Duration(ms) * time.Millisecond)
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// sleep waits until the kernel wakes it, once, or for pollAsleep.
func (s *Sensor) sleep() error {
	s.shared().Sleeping = 1
	defer func() { s.shared().Sleeping = 0 }()
	if s.critical.Ready() || s.bulk.Ready() {
		return nil
	}
	var events [4]unix.EpollEvent
	if _, err := unix.EpollWait(s.epoll, events[:], pollAsleep); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	return nil
}

// drain reads both rings by time, a batch at most, and returns how many
// events there were.
func (s *Sensor) drain(f func(*sekisho.Event)) int {
	n := 0
	for n < batch {
		// In this order: what was bulk before something critical is there too.
		s.critical.Look()
		s.bulk.Look()
		a, b := s.critical.Peek(), s.bulk.Peek()
		if a == nil && b == nil {
			break
		}
		for limit := n + 64; n < limit && (a != nil || b != nil); n++ {
			if b == nil || a != nil && recordHead(a).Time <= recordHead(b).Time {
				s.follow(a)
				s.decode(a, f)
				s.critical.Next(a)
				a = s.critical.Peek()
			} else {
				s.decode(b, f)
				s.bulk.Next(b)
				b = s.bulk.Peek()
			}
		}
		s.critical.Release()
		s.bulk.Release()
	}
	return n
}

func recordHead(b []byte) *head { return (*head)(unsafe.Pointer(&b[0])) }

// follow looks whether a CPU's numbers have a hole: then something was lost,
// and the counters say how much of what.
func (s *Sensor) follow(b []byte) {
	h := recordHead(b)
	for int(h.CPU) >= len(s.expected) && h.CPU < maxCPUs {
		s.expected = append(s.expected, 0)
	}
	if int(h.CPU) >= len(s.expected) {
		return
	}
	last := &s.expected[h.CPU]
	if *last != 0 && h.Seq > *last+1 {
		s.gap = true
	}
	*last = h.Seq
}

// tellLost makes events of what the kernel could not hand over.
func (s *Sensor) tellLost(f func(*sekisho.Event)) {
	kinds, err := s.counts()
	if err != nil {
		return
	}
	any := false
	for k, c := range kinds {
		if c.Lost == s.lost[k] {
			continue
		}
		s.emit(&sekisho.Event{Time: s.o.Now().UTC(), Kind: sekisho.EventLost, Number: int64(c.Lost - s.lost[k]), Path: k.String()}, f)
		s.lost[k] = c.Lost
		any = true
	}
	if any {
		s.tellBudgets(f)
	}
}

// tellBudgets says which containers told more than their budget.
func (s *Sensor) tellBudgets(f func(*sekisho.Event)) {
	var key uint64
	var v budgetValue
	kept := map[uint64]uint32{}
	for all := s.maps["budgets"].Iterate(); all.Next(&key, &v); {
		if v.Over == 0 {
			continue
		}
		kept[key] = v.Over
		if n := v.Over - s.over[key]; n > 0 {
			s.emit(&sekisho.Event{Time: s.o.Now().UTC(), Kind: sekisho.EventLost, Number: int64(n), Path: BeyondBudget, Container: s.o.Containers.Container(key)}, f)
		}
	}
	s.over = kept
}

func (s *Sensor) emit(e *sekisho.Event, f func(*sekisho.Event)) {
	s.seq++
	e.Seq = s.seq
	f(e)
}
