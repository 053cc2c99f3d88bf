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
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/fetch"
)

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
	Store  *advisory.Store
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
	Missing   = "missing" // the mirror does not have it, it was not asked for by name and never here
)

// Result is one feed's.
type Result struct {
	Feed     string
	Outcome  string
	Stats    advisory.Stats
	Bytes    int64 // of documents that were read
	Duration time.Duration
	Err      error
}

// Run updates feeds and returns a result for each, in their order. Its error is
// about what was asked for, or about the context; a feed that fails is a result.
func Run(ctx context.Context, o Options) ([]Result, error) {
	jobs, err := o.plan()
	if err != nil {
		return nil, err
	}
	asked := readAsked(o.Dir)
	results := make([]Result, len(jobs))
	var group errgroup.Group
	group.SetLimit(cmp.Or(o.Jobs, 3))
	for i, j := range jobs {
		group.Go(func() error {
			r, err := o.one(ctx, j, asked)
			results[i] = r
			if o.Done != nil {
				o.Done(r)
			}
			return err
		})
	}
	if err := cmp.Or(group.Wait(), ctx.Err()); err != nil {
		return results, err
	}
	if !slices.ContainsFunc(results, func(r Result) bool { return r.Outcome != Missing }) && len(results) > 0 {
		return results, sekisho.Errorf(sekisho.NotFound, "the mirror %s has no feed: %w", o.mirror(), results[0].Err).
			WithHint("below it are FEED/… or HOST/…, as debian/data/json or security-tracker.debian.org/tracker/data/json")
	}
	return results, nil
}

// job is one feed to update.
type job struct {
	feed advisory.Feed
	info advisory.Info // its URL is the one to ask, without a password
	url  string        // the same as the user wrote it
	must bool          // the user named it
	want []string
}

// one updates one feed. Its error is about keeping how that went.
func (o *Options) one(ctx context.Context, j job, asked *asked) (Result, error) {
	start := o.Now()
	var size atomic.Int64
	changed, stats, err := o.update(ctx, j, asked, &size)
	r := Result{Feed: j.info.Name, Outcome: Unchanged, Stats: stats, Bytes: size.Load(), Duration: o.Now().Sub(start), Err: err}
	if changed {
		r.Outcome = Updated
	}
	if err == nil {
		return r, asked.note(j)
	}
	if sekisho.KindOf(err) == sekisho.NotFound && o.mirror() != "" && !j.must && isZero(o.Store.State(j.info.Name)) {
		r.Outcome = Missing
		return r, nil
	}
	r.Outcome = Failed
	if ctx.Err() != nil { // it was not the feed that failed
		return r, nil
	}
	return r, o.Store.Failed(j.info.Name, err, start)
}

// isZero reports whether a feed never succeeded.
func isZero(s advisory.State) bool { return len(s.Validators)+len(s.Cursors) == 0 && s.Newest.IsZero() }

// mirror is the URL or directory of the mirror, without a password; empty
// without one.
func (o *Options) mirror() string {
	_, from := fetch.Login(o.Client, cmp.Or(o.From, o.Config.From))
	return from
}

// update lets the feed tell and keeps it.
func (o *Options) update(ctx context.Context, j job, asked *asked, size *atomic.Int64) (changed bool, stats advisory.Stats, err error) {
	defer func() {
		if x := recover(); x != nil { // feeds read what strangers wrote; one must not end the others
			changed, err = false, fmt.Errorf("read feed %s: %v", j.info.Name, x)
		}
	}()
	b, err := o.Store.Begin(j.info)
	if err != nil {
		return false, stats, err
	}
	defer b.Abort()
	told := &sink{Sink: b}
	u := advisory.Update{Client: o.client(j, size), URL: j.info.URL, Sink: told, Now: o.Now(), State: o.Store.State(j.info.Name)}
	next, err := o.ask(ctx, j, u, asked)
	if err != nil {
		return false, stats, err
	}
	stats, err = b.Commit(next, o.Now())
	return told.any.Load(), stats, err
}

// ask asks for what the feed remembers and, apart from it, for what is wanted
// for the first time.
func (o *Options) ask(ctx context.Context, j job, u advisory.Update, asked *asked) (advisory.State, error) {
	known, fresh, all := asked.split(j)
	if o.Again || all || isZero(u.State) {
		u.Want, u.State = j.want, advisory.State{}
		return j.feed.Update(ctx, u)
	}
	next := u.State
	if len(known) > 0 || len(fresh) == 0 {
		var err error
		u.Want = known
		if next, err = j.feed.Update(ctx, u); err != nil {
			return next, err
		}
	}
	if len(fresh) == 0 {
		return next, nil
	}
	u.Want, u.State = fresh, advisory.State{}
	more, err := j.feed.Update(ctx, u)
	return join(next, more), err
}

// join joins what a feed remembers of two answers.
func join(a, b advisory.State) advisory.State {
	a.Validators, a.Cursors, a.Skipped = joined(a.Validators, b.Validators), joined(a.Cursors, b.Cursors), joined(a.Skipped, b.Skipped)
	if b.Newest.After(a.Newest) {
		a.Newest = b.Newest
	}
	return a
}

func joined[V any](a, b map[string]V) map[string]V {
	if a == nil {
		return b
	}
	a = maps.Clone(a)
	maps.Copy(a, b)
	return a
}

// client is the feed's: it asks the mirror, if there is one, and counts.
func (o *Options) client(j job, size *atomic.Int64) advisory.Client {
	c, _ := fetch.Login(o.Client, j.url)
	if from := cmp.Or(o.From, o.Config.From); from != "" {
		c = fetch.Mirror(c, from, j.info.Name, j.info.URL)
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
		if len(o.Names) > 0 && !named && !slices.Contains(o.Names, family(info.Name)) {
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
		url := strings.TrimSuffix(cmp.Or(o.Config.feed(info.Name).URL, info.URL), "/")
		_, info.URL = fetch.Login(o.Client, url)
		jobs = append(jobs, job{f, info, url, named, want})
	}
	return jobs, nil
}

// family is the name of all feeds of one source: osv of osv-npm. It stands for
// those of them that are needed, in what users write.
func family(name string) string {
	before, _, _ := strings.Cut(name, "-")
	return before
}

// feed returns what the configuration says about a feed, else about its family.
func (c *Config) feed(name string) Feed {
	if f, ok := c.Feeds[name]; ok {
		return f
	}
	return c.Feeds[family(name)]
}

// known checks the names that the user wrote.
func (o *Options) known() error {
	var names []string
	for _, f := range o.Feeds {
		name := f.Info().Name
		names = append(names, name)
		if all := family(name); !slices.Contains(names, all) {
			names = append(names, all)
		}
	}
	asked := slices.Concat(o.Names, o.Enable)
	for n := range o.Config.Feeds {
		asked = append(asked, n)
	}
	slices.Sort(asked)
	slices.Sort(names)
	for _, n := range asked {
		if !slices.Contains(names, n) {
			return sekisho.Errorf(sekisho.Usage, "no feed %q: want one of %s", n, strings.Join(names, ", "))
		}
	}
	return nil
}

// enabled reports whether a feed may be read, and why not.
func (o *Options) enabled(info advisory.Info) (bool, error) {
	on := o.Config.feed(info.Name).Enabled
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
	if list := o.Config.feed(info.Name).Want; len(list) > 0 && len(info.Ecosystems) > 0 {
		for _, w := range list {
			if advisory.Wanted(info.Ecosystems, w) {
				want = append(want, w)
			}
		}
		return want, len(want) > 0
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
