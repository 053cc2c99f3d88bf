// Package osv feeds what OSV.dev publishes in its bucket: the advisories of
// language ecosystems, malicious packages among them, and of the distributions
// that publish in this form. Each directory of the bucket is a feed of its own,
// so that one that fails does not hold up the rest. Zip files and lists of
// changed ids come in from a host that is not trusted; records come out in this
// program's spelling. It refuses zip files whose directory or entries are
// beyond its bounds.
package osv

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/osv/schema"
)

const bucket = "https://storage.googleapis.com/osv-vulnerabilities"

// How much is fetched record by record before the whole is the better deal,
// and how old the whole may be: a record that was deleted shows only there.
const (
	maxIncrement = 500
	fullEvery    = 7 * 24 * time.Hour
)

type feed struct{ directory }

// Feeds returns the feeds, one for each directory of the bucket: "osv-npm",
// "osv-rocky-linux".
func Feeds() []advisory.Feed {
	var feeds []advisory.Feed
	for _, d := range directories() {
		feeds = append(feeds, feed{d})
	}
	return feeds
}

// New returns the feed of one directory; its name is that of the ecosystem. It
// is nil for one that is not read.
func New(ecosystem string) advisory.Feed {
	for _, d := range directories() {
		if d.name == ecosystem {
			return feed{d}
		}
	}
	return nil
}

// Info describes the feed.
func (f feed) Info() advisory.Info {
	name := "osv-" + strings.NewReplacer(" ", "-", ".", "-").Replace(strings.ToLower(f.name))
	return advisory.Info{Name: name, Title: "OSV.dev, " + f.name, URL: bucket, Licence: f.licence, Ecosystems: []string{f.name}, Default: f.always}
}

// Update reads the directory whole at first and once a week, else only what
// its list of modified ids names.
func (f feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	if !advisory.Wanted(u.Want, f.name) {
		return u.State, nil
	}
	next := advisory.State{
		Validators: maps.Clone(u.State.Validators), Cursors: maps.Clone(u.State.Cursors), Newest: u.State.Newest, Skipped: maps.Clone(u.State.Skipped),
	}
	if next.Validators == nil {
		next.Validators = map[string]advisory.Validator{}
	}
	if next.Cursors == nil {
		next.Cursors = map[string]string{}
	}
	if next.Skipped == nil {
		next.Skipped = map[string]int{}
	}
	r := run{Update: u, name: f.name, base: u.URL + "/" + url.PathEscape(f.name), next: &next}
	if err := r.run(ctx); err != nil {
		return u.State, err
	}
	return next, nil
}

// run is one update.
type run struct {
	advisory.Update
	name string // of the directory
	base string // its address
	next *advisory.State
}

// Names under which the state remembers: the newest change that was read, when
// the whole was read last, of which releases, how many records there were.
const (
	cursor   = "modified"
	whole    = "whole"
	releases = "releases"
	counted  = "count"
)

// wanted returns the releases that are asked for, joined; "*" is all of them.
func (r *run) wanted() string {
	var list []string
	for _, w := range r.Want {
		if w == r.name {
			return "*"
		}
		if advisory.Group(w) == r.name {
			list = append(list, w)
		}
	}
	if len(list) == 0 {
		return "*"
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "|")
}

// keep tells which ecosystems are read. A record about others, too, is in
// their directories as well.
func (r *run) keep(ecosystem string) bool {
	return advisory.Group(ecosystem) == r.name && (r.wanted() == "*" || slices.Contains(r.Want, ecosystem))
}

func (r *run) run(ctx context.Context) error {
	list := r.base + "/modified_id.csv"
	known := r.State.Validators[list]
	since := timeOf(r.State.Cursors[cursor])
	stale := since.IsZero() || r.Now.Sub(timeOf(r.State.Cursors[whole])) >= fullEvery || r.State.Cursors[releases] != r.wanted()
	if stale {
		known = advisory.Validator{}
	}
	c, err := r.changes(ctx, list, known, since)
	if sekisho.KindOf(err) == sekisho.NotFound {
		return r.all(ctx, c) // a mirror of zip files only
	}
	if err != nil || c.same {
		return err
	}
	r.next.Validators[list] = c.validator
	if stale || len(c.ids) > maxIncrement || c.shrunk(r.State.Cursors[counted]) {
		return r.all(ctx, c)
	}
	if err := r.some(ctx, c.ids); err != nil {
		return err
	}
	r.read(c)
	return nil
}

// read remembers how far the list was read.
func (r *run) read(c changes) {
	if c.newest.After(r.Now) {
		c.newest = r.Now // a date in the future must not hide what comes until then
	}
	if !c.newest.IsZero() {
		r.next.Cursors[cursor] = c.newest.Format(time.RFC3339Nano)
		if c.newest.After(r.next.Newest) {
			r.next.Newest = c.newest
		}
	}
	r.next.Cursors[counted] = c.total()
}

// skipped counts what was left out by reason.
func (r *run) skipped(reasons map[string]int) {
	for reason, n := range reasons {
		r.next.Skipped[reason] += n
	}
}

func (r *run) decoder() schema.Decoder { return schema.Decoder{Keep: r.keep, Order: schema.OrderOf} }

func timeOf(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
