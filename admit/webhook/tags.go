package webhook

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"sekisho"
	"sekisho/policy/scope"
)

// Resolver asks a registry what a reference points to now.
type Resolver interface {
	Resolve(ctx context.Context, reference string) (Resolved, error)
}

// Resolved is what a reference points to.
type Resolved struct {
	Digest    sekisho.Digest // of the manifest or index that it names
	Manifests []Manifest     // of an index, its images; nil for a manifest
}

// Manifest is one image of an index.
type Manifest struct {
	Platform sekisho.Platform // zero when none is said
	Digest   sekisho.Digest
}

// forget is after how long a name that did not resolve is asked for again, and
// idle after how many lifetimes a name that nobody asked for is forgotten.
const forget, idle = 5 * time.Second, 60

// tags remembers what references point to. The registry is asked while a
// request waits only for a name that nobody has asked for; afterwards names
// are asked for again in the background, while somebody uses them.
type tags struct {
	resolver Resolver
	now      func() time.Time
	ttl      time.Duration
	limit    int
	moved    func(reference string, from, to sekisho.Digest)

	slots   chan struct{} // bounds the questions at once
	end     chan struct{} // closed when nobody needs answers any more
	mu      sync.Mutex
	names   map[string]*name
	waiting sync.WaitGroup
}

type name struct {
	done     chan struct{} // closed when the first answer is there
	resolved Resolved
	err      error
	at, used time.Time
	busy     bool
	strays   bool // it was seen to point elsewhere
}

// resolve returns what a reference points to. A digest needs no registry
// unless the images of an index are asked for.
func (t *tags) resolve(ctx context.Context, ref scope.Reference) (Resolved, error) {
	if t.resolver == nil {
		if ref.Digest != "" {
			return Resolved{Digest: ref.Digest}, nil
		}
		return Resolved{}, sekisho.Errorf(sekisho.NotFound, "tags are not looked up here")
	}
	key := ref.String()
	now := t.now()
	t.mu.Lock()
	n := t.names[key]
	if n != nil && (n.err == nil && ref.Digest == "" && now.Sub(n.at) > 2*t.ttl || n.err != nil && now.Sub(n.at) > forget) && !n.busy && isDone(n) {
		n = nil // nobody kept it fresh
	}
	if n == nil {
		n = &name{done: make(chan struct{}), at: now, busy: true}
		t.keep(key, n)
		t.waiting.Go(func() { t.ask(context.WithoutCancel(ctx), key, n) })
	}
	n.used = now
	t.mu.Unlock()
	select {
	case <-n.done:
	case <-ctx.Done():
		return Resolved{}, sekisho.Errorf(sekisho.Unavailable, "look up %s: %w", key, ctx.Err())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return n.resolved, n.err
}

// strayed reports whether a tag was seen to move.
func (t *tags) strayed(ref scope.Reference) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.names[ref.String()]
	return n != nil && n.strays
}

func isDone(n *name) bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// keep keeps a name. When there are too many, the half that was used longest
// ago goes.
func (t *tags) keep(key string, n *name) {
	if t.names == nil {
		t.names = map[string]*name{}
	}
	if len(t.names) >= t.limit {
		var times []time.Time
		for _, o := range t.names {
			times = append(times, o.used)
		}
		slices.SortFunc(times, time.Time.Compare)
		middle := times[len(times)/2]
		for k, o := range t.names {
			if !o.used.After(middle) {
				delete(t.names, k)
			}
		}
	}
	t.names[key] = n
}

// askTimeout bounds one question to a registry.
const askTimeout = 30 * time.Second

// ask asks the registry and keeps the answer. What was known stays known while
// the registry is away.
func (t *tags) ask(ctx context.Context, key string, n *name) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answered := make(chan struct{})
	defer close(answered)
	t.waiting.Go(func() {
		select {
		case <-t.end:
			cancel()
		case <-answered:
		}
	})
	var r Resolved
	var err error
	select {
	case t.slots <- struct{}{}:
		r, err = t.resolver.Resolve(ctx, key)
		<-t.slots
	case <-ctx.Done():
		err = sekisho.Errorf(sekisho.Unavailable, "look up %s: %w", key, ctx.Err())
	}
	if err == nil && r.Digest.Validate() != nil {
		err = sekisho.Errorf(sekisho.Corrupt, "look up %s: the registry says %q", key, r.Digest)
	}
	t.mu.Lock()
	from := n.resolved.Digest
	first := !isDone(n)
	if err == nil || first {
		n.resolved, n.err, n.at = r, err, t.now()
	}
	n.busy = false
	n.strays = n.strays || err == nil && from != "" && from != r.Digest
	if first {
		close(n.done)
	}
	t.mu.Unlock()
	if err == nil && from != "" && from != r.Digest {
		t.moved(key, from, r.Digest)
	}
}

// refresh asks again for names in use whose answer is old, and forgets those
// that nobody uses. It returns when all are answered.
func (t *tags) refresh(ctx context.Context) {
	now := t.now()
	type job struct {
		key string
		n   *name
	}
	var jobs []job
	t.mu.Lock()
	for key, n := range t.names {
		switch {
		case n.busy:
		case now.Sub(n.used) > idle*t.ttl:
			delete(t.names, key)
		case n.err == nil && now.Sub(n.at) > t.ttl/2 && now.Sub(n.used) < 2*t.ttl && !pinned(key):
			n.busy = true
			jobs = append(jobs, job{key, n})
		}
	}
	t.mu.Unlock()
	queue := make(chan job)
	var wait sync.WaitGroup
	for range min(8, len(jobs)) {
		wait.Go(func() {
			for j := range queue {
				t.ask(ctx, j.key, j.n)
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	wait.Wait()
}

// pinned reports whether a reference, as Reference.String writes it, names a
// digest, which never changes.
func pinned(key string) bool { return slices.Contains([]byte(key), '@') }

// transient reports whether asking again may help: it is a failure, not a fact.
func transient(err error) bool {
	return err != nil && (sekisho.KindOf(err) == sekisho.Unavailable || sekisho.KindOf(err) == sekisho.Internal || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled))
}
