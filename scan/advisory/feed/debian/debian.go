// Package debian feeds what Debian's security team says of each source package
// in each release: fixed, open, not affected, postponed, ignored, end of life.
// The tracker's one JSON document comes in as a stream, with the lists of its
// advisories where they can be had; records by source package come out. It
// refuses documents that are cut off or hold entries beyond its bounds.
package debian

import (
	"context"
	"io"
	"maps"
	"slices"
	"strconv"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// Where the tracker's repository keeps the lists of advisories. A mirror may
// have them beside the tracker's document, under data.
const (
	tracker = "https://security-tracker.debian.org/tracker"
	salsa   = "https://salsa.debian.org/security-tracker-team/security-tracker/-/raw/master"
)

type feed struct{}

// New returns the feed.
func New() advisory.Feed { return feed{} }

// Info describes the feed.
func (feed) Info() advisory.Info {
	return advisory.Info{Name: "debian", Title: "Debian security tracker", URL: tracker, Licence: "MIT", Ecosystems: []string{"Debian"}, Default: true}
}

// Release returns the ecosystem of a codename: "Debian:12" of bookworm. One
// that is newer than this program keeps its name.
func Release(codename string) string {
	if n, ok := numbers[codename]; ok {
		return "Debian:" + n
	}
	return "Debian:" + codename
}

// Update reads the whole document when it changed. A release disappears from
// it at its end of life: each release that is there replaces what was known of
// it, and one that is gone is left as it was last said, for ever.
func (f feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	address := u.URL + "/data/json"
	doc, err := u.Client.Get(ctx, address, u.State.Validators[address])
	if err != nil {
		return u.State, err
	}
	defer doc.Close()
	if doc.Same {
		return u.State, nil
	}
	r := reader{want: u.Want, sink: u.Sink, notices: f.notices(ctx, u), skipped: map[string]int{}, told: map[string]bool{}}
	if err := r.tell(ctx, doc); err != nil {
		return u.State, err
	}
	next := advisory.State{Validators: map[string]advisory.Validator{address: doc.Validator}, Cursors: maps.Clone(u.State.Cursors), Newest: source.Later(r.notices.newest(), source.Modified(doc.Validator, u.Now), u.Now), Skipped: r.skipped}
	if next.Cursors == nil {
		next.Cursors = map[string]string{}
	}
	for ecosystem := range r.releases {
		next.Cursors[ecosystem] = u.Now.UTC().Format("2006-01-02")
	}
	return next, nil
}

// notices reads the lists of advisories. They only add what the document does
// not say; without them everything else is as good.
func (feed) notices(ctx context.Context, u advisory.Update) notices {
	n := notices{}
	for _, name := range []string{"DSA", "DLA"} {
		doc, err := u.Client.Get(ctx, salsa+"/data/"+name+"/list", advisory.Validator{})
		if sekisho.KindOf(err) == sekisho.NotFound {
			doc, err = u.Client.Get(ctx, u.URL+"/data/"+name+"/list", advisory.Validator{})
		}
		if err != nil {
			continue
		}
		_ = n.read(io.LimitReader(doc, maxList)) // what was read is true
		_ = doc.Close()
	}
	return n
}

// reader tells one document.
type reader struct {
	want     []string
	sink     advisory.Sink
	notices  notices
	releases map[string]int // rows by ecosystem
	skipped  map[string]int
	told     map[string]bool // ids whose details were told
}

// tell reads the document twice: it must be whole, and every release that is
// in it must be known, before anything is replaced.
func (r *reader) tell(ctx context.Context, doc *advisory.Document) error {
	r.releases = map[string]int{}
	err := walk(ctx, io.NewSectionReader(doc.ReaderAt, 0, doc.Size), func(_, _ string, e *entry) error {
		for codename := range e.Releases {
			if eco := Release(codename); advisory.Wanted(r.want, eco) && validName(codename) {
				r.releases[eco]++
			}
		}
		if len(r.releases) > maxReleases {
			return sekisho.Errorf(sekisho.Invalid, "read tracker: more than %d releases", maxReleases)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, eco := range slices.Sorted(maps.Keys(r.releases)) {
		r.sink.Replace(eco)
	}
	return walk(ctx, io.NewSectionReader(doc.ReaderAt, 0, doc.Size), r.entry)
}

// entry tells what is said of one flaw in one source package.
func (r *reader) entry(name, id string, e *entry) error {
	rows := 0
	for _, codename := range slices.Sorted(maps.Keys(e.Releases)) {
		eco := Release(codename)
		if r.releases[eco] == 0 {
			continue
		}
		rec, ok := e.Releases[codename].record()
		if !ok {
			r.skipped["unknown status"]++
			continue
		}
		rec.ID, rec.Ecosystem, rec.Package, rec.Source = id, eco, name, true
		rec.Advisories, rec.Fixed = r.notices.of(codename, name, id)
		if err := r.sink.Record(rec); err != nil {
			return err
		}
		rows++
	}
	if rows == 0 || r.told[id] {
		return nil
	}
	r.told[id] = true
	text := advisory.Text{ID: id, Group: "Debian", Text: e.Description, References: []sekisho.Reference{{Name: "Debian", URL: tracker + "/" + id}}}
	if e.Bug > 0 {
		text.References = append(text.References, sekisho.Reference{Name: "bug", URL: "https://bugs.debian.org/" + strconv.FormatInt(e.Bug, 10)})
	}
	return r.sink.Detail(advisory.Detail{ID: id, Group: "Debian", Title: source.Sentence(e.Description, 160)}, text)
}
