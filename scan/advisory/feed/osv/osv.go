// Package osv feeds what OSV.dev publishes in its bucket: the advisories of
// all language ecosystems, malicious packages, and of the distributions that
// publish in this form only. Zip files and lists of changed ids come in from a
// host that is not trusted; records come out in this program's spelling. It
// refuses zip files whose directory or entries are beyond its bounds.
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

// directories of the bucket that are read; each is the group of its
// ecosystems. Debian, Alpine and Red Hat have feeds of their own, Wolfi and
// Chainguard may not be passed on.
var directories = []string{
	"npm", "PyPI", "Go", "Maven", "NuGet", "RubyGems", "crates.io", "Packagist", "Hex", "Pub", "SwiftURL", "CRAN", "Hackage", "Julia",
	"ConanCenter", "GitHub Actions", "Bitnami", "VSCode",
	"AlmaLinux", "Rocky Linux", "Ubuntu", "SUSE", "openSUSE", "openEuler", "Mageia", "Alpaquita", "BellSoft Hardened Containers",
}

// How much is fetched record by record before the whole is the better deal,
// and how old the whole may be: a record that was deleted shows only there.
const (
	maxIncrement = 500
	fullEvery    = 7 * 24 * time.Hour
)

type feed struct{}

// New returns the feed.
func New() advisory.Feed { return feed{} }

// Info describes the feed.
func (feed) Info() advisory.Info {
	return advisory.Info{
		Name: "osv", Title: "OSV.dev", URL: "https://storage.googleapis.com/osv-vulnerabilities", Licence: "CC-BY-4.0 and others, by database",
		Ecosystems: slices.Clone(directories), Default: true,
	}
}

// Update reads each wanted directory: whole at first and once a week, else only
// what its list of modified ids names.
func (feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
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
	missing, tried := error(nil), 0
	for _, name := range directories {
		if !advisory.Wanted(u.Want, name) {
			continue
		}
		d := directory{Update: u, name: name, base: u.URL + "/" + url.PathEscape(name), state: &next}
		err := d.update(ctx)
		if sekisho.KindOf(err) == sekisho.NotFound {
			missing = err // a mirror need not have them all
			continue
		}
		if err != nil {
			return u.State, err
		}
		tried++
	}
	if tried == 0 && missing != nil {
		return u.State, missing
	}
	return next, nil
}

// directory is one update of one directory.
type directory struct {
	advisory.Update
	name  string
	base  string
	state *advisory.State
}

// Names under which the state remembers, by directory: the newest change that
// was read, when the whole was read last, of which releases.
func (d *directory) cursor() string   { return d.name }
func (d *directory) whole() string    { return d.name + " whole" }
func (d *directory) releases() string { return d.name + " releases" }
func (d *directory) counted() string  { return d.name + " count" }

// wanted returns the releases that are asked for, joined; "*" is all of them.
func (d *directory) wanted() string {
	var list []string
	for _, w := range d.Want {
		if w == d.name {
			return "*"
		}
		if advisory.Group(w) == d.name {
			list = append(list, w)
		}
	}
	if len(list) == 0 {
		return "*"
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "|")
}

// keep tells which ecosystems are read: those that are wanted, and those known
// from before, as a changed record is told anew for all of them.
func (d *directory) keep(ecosystem string) bool {
	group := advisory.Group(ecosystem)
	if group == d.name {
		return d.wanted() == "*" || slices.Contains(d.Want, ecosystem)
	}
	return false
}

func (d *directory) keepChanged(ecosystem string) bool {
	group := advisory.Group(ecosystem)
	if group == d.name {
		return d.keep(ecosystem)
	}
	releases, ok := d.state.Cursors[group+" releases"]
	return ok && (releases == "*" || slices.Contains(strings.Split(releases, "|"), ecosystem))
}

func (d *directory) update(ctx context.Context) error {
	list := d.base + "/modified_id.csv"
	known := d.State.Validators[list]
	since := timeOf(d.State.Cursors[d.cursor()])
	stale := since.IsZero() || d.Now.Sub(timeOf(d.State.Cursors[d.whole()])) >= fullEvery || d.State.Cursors[d.releases()] != d.wanted()
	if stale {
		known = advisory.Validator{}
	}
	changes, err := d.changes(ctx, list, known, since)
	if sekisho.KindOf(err) == sekisho.NotFound {
		return d.all(ctx, changes) // a mirror of zip files only
	}
	if err != nil || changes.same {
		return err
	}
	d.state.Validators[list] = changes.validator
	if stale || len(changes.ids) > maxIncrement || changes.shrunk(d.State.Cursors[d.counted()]) {
		return d.all(ctx, changes)
	}
	if err := d.some(ctx, changes.ids); err != nil {
		return err
	}
	d.read(changes)
	return nil
}

// read remembers how far the list was read.
func (d *directory) read(c changes) {
	if c.newest.After(d.Now) {
		c.newest = d.Now // a date in the future must not hide what comes until then
	}
	if !c.newest.IsZero() {
		d.state.Cursors[d.cursor()] = c.newest.Format(time.RFC3339Nano)
		d.seen(c.newest)
	}
	d.state.Cursors[d.counted()] = c.total()
}

func (d *directory) seen(t time.Time) {
	if t.After(d.state.Newest) && t.Before(d.Now.Add(24*time.Hour)) {
		d.state.Newest = t
	}
}

// skipped counts what was left out, by directory and reason.
func (d *directory) skipped(reasons map[string]int) {
	for reason, n := range reasons {
		d.state.Skipped[d.name+": "+reason] += n
	}
}

func (d *directory) decoder(keep func(string) bool) schema.Decoder {
	return schema.Decoder{Keep: keep, Order: schema.OrderOf}
}

func timeOf(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
