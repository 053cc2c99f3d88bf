// Package redhat reads Red Hat's statements about its products, CSAF documents
// of the profile VEX, one for each CVE: an archive of all at first, what
// changed afterwards. It keeps packages (rpm) and leaves out containers, with
// a count of what it left out; fixes of mainline and of extended support stay
// apart by the CPEs of their products. It refuses documents beyond its bounds.
package redhat

import (
	"archive/tar"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// Bounds: of one document, of the archive unpacked, of the lists, and how many
// changed documents are got one by one before the archive is read again (an
// edit of all documents on one day is known to happen).
const (
	maxDocument = 64 << 20
	maxArchive  = 256 << 30
	maxList     = 256 << 20
	maxChanges  = 5000
)

// Feed is Red Hat's VEX feed.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "redhat", Title: "Red Hat CSAF VEX", URL: "https://security.access.redhat.com/data/csaf/v2/vex",
		Licence: "CC-BY-4.0", Ecosystems: []string{group}, Default: true,
	}
}

var (
	archiveName = regexp.MustCompile(`^csaf_vex_(\d{4}-\d{2}-\d{2})\.tar\.zst$`)
	changeName  = regexp.MustCompile(`^(\d{4})/(cve-\d{4}-\d{4,19})\.json$`)
)

// update is one run.
type update struct {
	advisory.Update
	state advisory.State
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	r := &update{Update: u, state: source.State(u.State)}
	r.state.Skipped = map[string]int{}
	since, err := time.Parse(time.RFC3339, u.State.Cursors["changes"])
	if source.Wants(&r.state, u.Want) || err != nil {
		since = time.Time{}
		clear(r.state.Validators)
	}
	changes, same, err := r.list(ctx, "changes.csv")
	if err != nil {
		return u.State, err
	}
	if same {
		r.state.Skipped = u.State.Skipped
		return r.state, r.repositories(ctx, false)
	}
	all := since.IsZero() || len(after(changes, since)) > maxChanges
	if all {
		day, err := r.archive(ctx)
		if err != nil {
			return u.State, err
		}
		since = day
	}
	deletions, _, err := r.list(ctx, "deletions.csv")
	if err != nil && sekisho.KindOf(err) != sekisho.NotFound {
		return u.State, err
	}
	for _, c := range after(deletions, since) {
		r.Sink.Forget(c.id)
	}
	if err := r.changed(ctx, after(changes, since)); err != nil {
		return u.State, err
	}
	if err := r.repositories(ctx, all); err != nil {
		return u.State, err
	}
	for _, c := range changes {
		since = source.Later(since, c.at, u.Now)
	}
	r.state.Cursors["changes"] = since.Format(time.RFC3339)
	return r.state, nil
}

// archive reads the newest archive of all documents and returns its day.
func (r *update) archive(ctx context.Context) (time.Time, error) {
	data, err := source.All(ctx, r.Client, r.URL+"/archive_latest.txt", 1<<10)
	if err != nil {
		return time.Time{}, err
	}
	name := strings.TrimSpace(string(data))
	m := archiveName.FindStringSubmatch(name)
	if m == nil {
		return time.Time{}, sekisho.Errorf(sekisho.Invalid, "read archive_latest.txt: %q is no archive's name", source.Line(name, 60))
	}
	day, err := time.Parse(time.DateOnly, m[1])
	if err != nil {
		return time.Time{}, sekisho.Errorf(sekisho.Invalid, "read archive_latest.txt: %w", err)
	}
	doc, err := source.Open(ctx, r.Client, advisory.State{Validators: map[string]advisory.Validator{}}, r.URL+"/"+name, maxArchive)
	if err != nil {
		return time.Time{}, err
	}
	defer doc.Close()
	r.Sink.Replace(group)
	err = source.Ordered(ctx, func(yield func([]byte) error) error { return documents(doc, yield) }, source.Kept(func(data []byte) (cve, error) {
		return decode(data, r.Want)
	}), func(x source.Result[cve]) error {
		if x.Err != nil {
			return source.Few(r.state.Skipped, x.Err)
		}
		return r.tell(x.Value)
	})
	if err != nil {
		return time.Time{}, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", name, err)
	}
	return day, nil
}

// documents yields the JSON files of an archive.
func documents(in io.Reader, yield func([]byte) error) error {
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return sekisho.Errorf(sekisho.Invalid, "read archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg || path.Ext(h.Name) != ".json" {
			continue
		}
		if h.Size > maxDocument {
			return sekisho.Errorf(sekisho.Invalid, "%s is larger than %d bytes", source.Line(h.Name, 60), int64(maxDocument))
		}
		data := make([]byte, h.Size)
		if _, err := io.ReadFull(t, data); err != nil {
			return sekisho.Errorf(sekisho.Invalid, "read %s: %w", source.Line(h.Name, 60), err)
		}
		if err := yield(data); err != nil {
			return err
		}
	}
}

// tell gives a CVE to the sink. A CVE without a package that is wanted has no
// detail either.
func (r *update) tell(c cve) error {
	for why, n := range c.skipped {
		r.state.Skipped[why] += n
	}
	if c.deleted {
		r.Sink.Forget(c.id)
	}
	if c.id == "" || len(c.records) == 0 {
		return nil
	}
	for _, rec := range c.records {
		if err := r.Sink.Record(rec); err != nil {
			return err
		}
	}
	r.state.Newest = source.Later(r.state.Newest, c.detail.Modified, r.Now)
	return r.Sink.Detail(c.detail, c.text)
}

// change is a line of changes.csv or deletions.csv.
type change struct {
	path string // 2024/cve-2024-1.json
	id   string
	at   time.Time
}

// list reads one of the lists, "path","time". Lines about anything else than
// a document of a CVE are passed over.
func (r *update) list(ctx context.Context, name string) ([]change, bool, error) {
	doc, err := source.Open(ctx, r.Client, r.state, r.URL+"/"+name, maxList)
	if err != nil {
		return nil, false, err
	}
	defer doc.Close()
	out, err := changes(doc)
	if err != nil {
		return nil, false, sekisho.Errorf(sekisho.Invalid, "read %s: %w", name, err)
	}
	return out, doc.Same, nil
}

func changes(in io.Reader) ([]change, error) {
	c := csv.NewReader(in)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	var out []change
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(row) < 2 {
			continue
		}
		m, at := changeName.FindStringSubmatch(row[0]), source.Date(row[1])
		if m == nil || at.IsZero() {
			continue
		}
		out = append(out, change{strings.Clone(row[0]), strings.ToUpper(m[2]), at})
	}
}

// after returns the changes after a time, each document once.
func after(list []change, since time.Time) []change {
	seen := map[string]change{}
	for _, c := range list {
		if c.at.After(since) {
			seen[c.path] = c
		}
	}
	out := slices.Collect(maps.Values(seen))
	slices.SortFunc(out, func(a, b change) int { return strings.Compare(a.path, b.path) })
	return out
}

// changed gets documents that changed. One that is gone says nothing any more;
// of one that is broken, what it said before stands.
func (r *update) changed(ctx context.Context, list []change) error {
	produce := func(yield func(change) error) error {
		for _, c := range list {
			if err := yield(c); err != nil {
				return err
			}
		}
		return nil
	}
	return source.Ordered(ctx, produce, func(c change) (source.Result[cve], error) {
		data, err := source.All(ctx, r.Client, r.URL+"/"+c.path, maxDocument)
		switch {
		case sekisho.KindOf(err) == sekisho.NotFound:
			return source.Result[cve]{Value: cve{id: c.id, deleted: true}}, nil
		case err != nil:
			return source.Result[cve]{}, err
		}
		out, err := decode(data, r.Want)
		if err == nil && out.id != c.id {
			err = sekisho.Errorf(sekisho.Invalid, "%s is about %q", c.path, out.id)
		}
		return source.Result[cve]{Value: out, Err: err}, nil
	}, func(x source.Result[cve]) error {
		if x.Err != nil {
			return source.Few(r.state.Skipped, x.Err)
		}
		if !x.Value.deleted { // tell forgets those
			r.Sink.Forget(x.Value.id)
		}
		return r.tell(x.Value)
	})
}
