package admit

import (
	"context"
	"sync"

	"sekisho/policy/assurance"
	"sekisho/policy/exception"
)

// GCPercent is the garbage collector's aim (runtime/debug, SetGCPercent) of a
// process that keeps many images ready: it marks all of them in each cycle, and
// with the usual 100 does so often enough to be felt by one answer in a hundred.
const GCPercent = 400

// ready keeps images that were judged lately ready to be judged again. When it
// is full the older half goes.
type ready struct {
	mu         sync.RWMutex
	limit      int
	exceptions *exception.File // that all entries were made with
	now, past  map[string]*assurance.Index
}

func (r *ready) get(version string, exceptions *exception.File) *assurance.Index {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.exceptions != exceptions {
		return nil
	}
	if x := r.now[version]; x != nil {
		return x
	}
	return r.past[version]
}

func (r *ready) put(version string, exceptions *exception.File, x *assurance.Index) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exceptions != exceptions || r.now == nil {
		r.exceptions, r.now, r.past = exceptions, map[string]*assurance.Index{}, nil
	}
	if len(r.now) >= max(r.limit/2, 1) {
		r.past, r.now = r.now, map[string]*assurance.Index{}
	}
	r.now[version] = x
}

// flight lets all who ask for one image wait for one scan. The scan goes on
// when those who wait give up: its result serves the next who asks.
type flight struct {
	mu      sync.Mutex
	running map[string]*scan
}

type scan struct {
	done chan struct{}
	err  error
}

func (f *flight) do(ctx context.Context, key string, run func(context.Context) error) error {
	f.mu.Lock()
	s := f.running[key]
	if s == nil {
		s = &scan{done: make(chan struct{})}
		f.running[key] = s
		go func() {
			s.err = run(context.WithoutCancel(ctx))
			f.mu.Lock()
			delete(f.running, key)
			f.mu.Unlock()
			close(s.done)
		}()
	}
	f.mu.Unlock()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
