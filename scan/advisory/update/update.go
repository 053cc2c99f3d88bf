// Package update brings the advisory database up to date: it decides which
// feeds are needed, lets them ask their sources side by side, and keeps what
// each of them told. A feed that fails leaves what it told the last time, and
// its error is kept with its date. It refuses feeds whose licence forbids
// redistribution unless they are switched on.
package update

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/fetch"
)

// Store keeps what feeds tell.
type Store interface {
	// State is what the feed remembered at its last good update.
	State(feed string) advisory.State
	// Begin opens a change; several feeds' changes may be open at a time.
	Begin(ctx context.Context, feed advisory.Info) (Change, error)
}

// Change is what one update of a feed tells. It counts only when committed.
type Change interface {
	advisory.Sink
	// Commit keeps it together with the state and returns the number of records
	// that the feed has now.
	Commit(ctx context.Context, s advisory.State) (records int, err error)
	// Abort drops it. After Commit it does nothing.
	Abort()
}

// Options of an update.
type Options struct {
	Feeds  []advisory.Feed
	Names  []string // only these feeds; empty for the needed ones
	All    bool     // every feed that is not off, with all it has
	Enable []string // restricted feeds to switch on, beside the configuration's
	From   string   // mirror, in place of the configuration's
	Again  bool     // forget what was kept about what changed: read everything
	Dir    string   // of the database
	Config Config
	Store  Store
	Client advisory.Client
	Jobs   int // feeds at a time; 0 for 3
	Now    func() time.Time
	Done   func(Result) // a feed has ended; called from several goroutines
}

// Outcomes of one feed's update.
const (
	Updated   = "updated"
	Unchanged = "unchanged"
	Failed    = "failed"
)

// Result is one feed's.
type Result struct {
	Feed     string        `json:"feed"`
	Outcome  string        `json:"outcome"`
	Records  int           `json:"records"`
	Bytes    int64         `json:"bytes"` // of documents that were read
	Duration time.Duration `json:"duration_ns"`
	Err      error         `json:"-"`
}

// Run updates feeds and returns a result for each, in their order. Its error is
// about what was asked for, or about the context; a feed that fails is a result.
func Run(ctx context.Context, o Options) ([]Result, error) {
	jobs, err := o.plan()
	if err != nil {
		return nil, err
	}
	checks, err := readChecks(o.Dir)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(jobs))
	var group errgroup.Group
	group.SetLimit(cmp.Or(o.Jobs, 3))
	for i, j := range jobs {
		group.Go(func() error {
			r, err := o.one(ctx, j, checks)
			results[i] = r
			if o.Done != nil {
				o.Done(r)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return results, err
	}
	return results, ctx.Err()
}

// job is one feed to update.
type job struct {
	feed advisory.Feed
	info advisory.Info
	url  string
	want []string
}

// one updates one feed. Its error is about keeping how that went.
func (o *Options) one(ctx context.Context, j job, checks *checks) (Result, error) {
	start := o.Now()
	var size atomic.Int64
	r := Result{Feed: j.info.Name}
	changed, records, err := o.update(ctx, j, checks, &size)
	r.Records, r.Bytes, r.Duration = records, size.Load(), o.Now().Sub(start)
	switch {
	case err != nil:
		r.Outcome, r.Err = Failed, err
	case changed:
		r.Outcome = Updated
	default:
		r.Outcome = Unchanged
	}
	if ctx.Err() != nil { // it was not the feed that failed
		return r, nil
	}
	return r, checks.note(j, r, start)
}

// update lets the feed tell and keeps it.
func (o *Options) update(ctx context.Context, j job, checks *checks, size *atomic.Int64) (changed bool, records int, err error) {
	defer func() {
		if x := recover(); x != nil { // feeds read what strangers wrote; one must not end the others
			changed, err = false, fmt.Errorf("feed %s: %v\n%s", j.info.Name, x, debug.Stack())
		}
	}()
	state := o.Store.State(j.info.Name)
	if o.Again || !checks.covers(j) {
		state = advisory.State{}
	}
	change, err := o.Store.Begin(ctx, j.info)
	if err != nil {
		return false, 0, err
	}
	defer change.Abort()
	told := &sink{Sink: change}
	next, err := j.feed.Update(ctx, advisory.Update{Client: o.client(j, size), URL: j.url, Want: j.want, State: state, Sink: told, Now: o.Now()})
	if err != nil {
		return false, 0, err
	}
	records, err = change.Commit(ctx, next)
	return told.any.Load(), records, err
}

// client is the feed's: it asks the mirror, if there is one, and counts.
func (o *Options) client(j job, size *atomic.Int64) advisory.Client {
	c := o.Client
	if from := cmp.Or(o.From, o.Config.From); from != "" {
		c = fetch.Mirror(c, from, j.info.Name, j.url)
	}
	return counter{c, size}
}

type counter struct {
	advisory.Client
	size *atomic.Int64
}

// Get counts the bytes of documents.
func (c counter) Get(ctx context.Context, url string, v advisory.Validator) (*advisory.Document, error) {
	d, err := c.Client.Get(ctx, url, v)
	if err == nil && !d.Same {
		c.size.Add(d.Size)
	}
	return d, err
}

// sink notes whether anything was told.
type sink struct {
	advisory.Sink
	any atomic.Bool
}

// Replace passes on.
func (s *sink) Replace(ecosystem string) { s.any.Store(true); s.Sink.Replace(ecosystem) }

// Forget passes on.
func (s *sink) Forget(id string) { s.any.Store(true); s.Sink.Forget(id) }

// Record passes on.
func (s *sink) Record(r advisory.Record) error { s.any.Store(true); return s.Sink.Record(r) }

// Detail passes on.
func (s *sink) Detail(d advisory.Detail, t advisory.Text) error {
	s.any.Store(true)
	return s.Sink.Detail(d, t)
}

// Signal passes on.
func (s *sink) Signal(x advisory.Signal) error { s.any.Store(true); return s.Sink.Signal(x) }

// plan decides which feeds to update, and for which ecosystems.
func (o *Options) plan() ([]job, error) {
	if err := o.known(); err != nil {
		return nil, err
	}
	met, err := MetBefore(o.Dir)
	if err != nil {
		met = nil // Met writes it anew
	}
	var jobs []job
	for _, f := range o.Feeds {
		info := f.Info()
		named := slices.Contains(o.Names, info.Name)
		if len(o.Names) > 0 && !named {
			continue
		}
		if on, why := o.enabled(info); !on {
			if named {
				return nil, why
			}
			continue
		}
		want, needed := o.want(info, met)
		if !needed && !named && !o.All {
			continue
		}
		url := info.URL
		if u := o.Config.Feeds[info.Name].URL; u != "" {
			url = u
		}
		jobs = append(jobs, job{f, info, strings.TrimSuffix(url, "/"), want})
	}
	return jobs, nil
}

// known checks the names that the user wrote.
func (o *Options) known() error {
	var names []string
	for _, f := range o.Feeds {
		names = append(names, f.Info().Name)
	}
	asked := slices.Concat(o.Names, o.Enable)
	for n := range o.Config.Feeds {
		asked = append(asked, n)
	}
	slices.Sort(asked)
	for _, n := range asked {
		if !slices.Contains(names, n) {
			return sekisho.Errorf(sekisho.Usage, "no feed %q: want one of %s", n, strings.Join(names, ", "))
		}
	}
	return nil
}

// enabled reports whether a feed may be read, and why not.
func (o *Options) enabled(info advisory.Info) (bool, error) {
	on := o.Config.Feeds[info.Name].Enabled
	switch {
	case slices.Contains(o.Enable, info.Name):
		return true, nil
	case on != nil && !*on:
		return false, sekisho.Errorf(sekisho.Usage, "feed %s is switched off", info.Name).WithHint("feeds.%s.enabled in advisory.yaml", info.Name)
	case info.Restricted && on == nil:
		return false, sekisho.Errorf(sekisho.Usage, "feed %s is off: its licence (%s) restricts what may be done with it", info.Name, info.Licence).
			WithHint("read the licence, then --enable %s, or feeds: {%s: {enabled: true}} in advisory.yaml", info.Name, info.Name)
	}
	return true, nil
}

// want returns the ecosystems to fetch from a feed, none for all, and whether
// the feed is needed. What is read by default is read whole: a release that no
// scan has met yet is there when one does.
func (o *Options) want(info advisory.Info, met []string) (want []string, needed bool) {
	if list := o.Config.Feeds[info.Name].Want; len(list) > 0 {
		return list, true
	}
	if info.Default || o.All {
		return nil, true
	}
	for _, e := range met {
		if len(info.Ecosystems) > 0 && advisory.Wanted(info.Ecosystems, e) {
			want = append(want, e)
		}
	}
	return want, len(want) > 0
}
