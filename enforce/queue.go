package enforce

import (
	"sync"
	"time"
)

// queue is bounded. Its last eighth is for what is urgent; what does not fit
// is dropped and counted.
type queue[T any] struct {
	mu      sync.Mutex
	items   []T // a ring
	first   int
	count   int
	dropped uint64
	told    uint64
	closed  bool
	ready   chan struct{} // holds a token while there may be something
}

func newQueue[T any](size int) *queue[T] {
	return &queue[T]{items: make([]T, size), ready: make(chan struct{}, 1)}
}

// put never waits; false says that it was dropped.
func (q *queue[T]) put(v T, urgent bool) bool {
	q.mu.Lock()
	room := len(q.items)
	if !urgent {
		room -= room / 8
	}
	if q.closed || q.count >= room {
		q.dropped++
		q.mu.Unlock()
		return false
	}
	q.items[(q.first+q.count)%len(q.items)] = v
	q.count++
	wake := q.count == 1
	q.mu.Unlock()
	if wake {
		q.signal()
	}
	return true
}

func (q *queue[T]) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for items and appends up to n of them; it returns early with none
// when tick fires, and false when the queue is closed and empty.
func (q *queue[T]) take(out *[]T, n int, tick <-chan time.Time) bool {
	for {
		q.mu.Lock()
		var zero T
		for q.count > 0 && len(*out) < n {
			*out = append(*out, q.items[q.first])
			q.items[q.first] = zero
			q.first = (q.first + 1) % len(q.items)
			q.count--
		}
		more, closed := q.count > 0, q.closed
		q.mu.Unlock()
		if more || closed {
			q.signal()
		}
		if len(*out) > 0 {
			return true
		}
		if closed {
			return false
		}
		select {
		case <-q.ready:
		case <-tick:
			return true
		}
	}
}

// close lets takers end when all is taken.
func (q *queue[T]) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

// lost returns how many were dropped since it was asked last.
func (q *queue[T]) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.dropped - q.told
	q.told = q.dropped
	return n
}

func (q *queue[T]) stats() (length int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count, q.dropped
}
