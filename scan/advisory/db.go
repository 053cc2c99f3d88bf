package advisory

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sekisho"
	"sekisho/scan/advisory/scores"
	"sekisho/scan/advisory/table"
)

// DB reads a database. It is safe for concurrent use, Close excepted, and while
// another process updates the directory: what is open stays as it is, what is
// opened later may be newer.
type DB struct {
	dir     string
	trusted []ed25519.PublicKey
	cache   *table.Cache
	now     atomic.Pointer[view]

	mu   sync.Mutex
	open map[string]*segmentFile // by file name
}

// view is one manifest.
type view struct {
	manifest *manifest
	by       map[place][]*SegmentInfo // in order of feeds
}

// Found is a record and the feed whose word it is.
type Found struct {
	Feed string
	Record
}

// FeedInfo describes what a database holds of a feed.
type FeedInfo struct {
	Name, Title, URL, Licence string
	Restricted                bool      // never to be exported
	Records, Details, Signals int       // packages' records, flaws, EPSS and KEV entries
	Segments                  int       // files
	Bytes                     int64     // of the files
	Newest                    time.Time // of its records, zero when unknown
	Checked                   time.Time // when its source was last asked with success
	Error                     string    // of the last update when it failed
	Failed                    time.Time // when it did
}

// Open opens a database for reading. It maps files when they are first needed.
// The manifest must be signed by one of the trusted keys; with none given, by
// the directory's own. Errors: sekisho.NotFound when there is no database,
// Corrupt when it is damaged, Forbidden when nobody trusted signed it.
func Open(dir string, trusted ...ed25519.PublicKey) (*DB, error) {
	if len(trusted) == 0 {
		own, err := readBounded(filepath.Join(dir, publicKey), 1<<10)
		if err == nil && len(own) == ed25519.PublicKeySize {
			trusted = []ed25519.PublicKey{own}
		}
	}
	db := &DB{dir: dir, trusted: trusted, cache: table.NewCache(), open: map[string]*segmentFile{}}
	if err := db.reload(); err != nil {
		return nil, err
	}
	return db, nil
}

func (db *DB) reload() error {
	m, err := readManifest(db.dir, db.trusted)
	if err != nil {
		return err
	}
	m.sort()
	v := &view{m, map[place][]*SegmentInfo{}}
	for i := range m.Segments {
		s := &m.Segments[i]
		p := place{s.Kind, s.Part}
		v.by[p] = append(v.by[p], s)
	}
	db.now.Store(v)
	return nil
}

// Close unmaps all files.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	var err error
	for _, f := range db.open {
		err = cmp.Or(err, f.close())
	}
	db.open = nil
	db.cache.Close()
	return err
}

// Covers returns the segments that hold records of an ecosystem or release, by
// feed. None means that nothing is known about it: not that it has no flaws.
func (db *DB) Covers(ecosystem string) []SegmentInfo {
	var out []SegmentInfo
	for _, s := range db.now.Load().by[place{KindRecords, ecosystem}] {
		out = append(out, *s)
	}
	return out
}

// Ecosystems returns all ecosystems and releases that are covered, sorted.
func (db *DB) Ecosystems() []string {
	all := map[string]bool{}
	for _, s := range db.now.Load().manifest.Segments {
		if s.Kind == KindRecords {
			all[s.Part] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Find returns what all feeds say about a package, whose name is normalised.
func (db *DB) Find(ecosystem, name string) ([]Found, error) {
	var out []Found
	err := db.FindAll(ecosystem, []string{name}, func(_ int, f Found) { out = append(out, f) })
	return out, err
}

// FindAll finds many packages of an ecosystem at once and reads each part of a
// file once. It calls see with each record and the index of its name, feed by
// feed, not in order of names.
func (db *DB) FindAll(ecosystem string, names []string, see func(i int, f Found)) error {
	return db.all(place{KindRecords, ecosystem}, "", names, func(feed string, i int, values [][]byte) error {
		for _, v := range values {
			found := Found{Feed: feed, Record: Record{Ecosystem: ecosystem, Package: names[i]}}
			if err := decodeRecord(v, &found.Record); err != nil {
				return err
			}
			see(i, found)
		}
		return nil
	})
}

// all finds the values of many keys, of the named feed or of all.
func (db *DB) all(p place, feed string, keys []string, see func(feed string, i int, values [][]byte) error) error {
	for _, s := range db.now.Load().by[p] {
		if feed != "" && s.Feed != feed {
			continue
		}
		f, err := db.segment(s)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if err := f.table.FindAll(keys, func(i int, values [][]byte) error { return see(s.Feed, i, values) }); err != nil {
			return hinted(err)
		}
	}
	return nil
}

// hinted tells what to do about damage.
func hinted(err error) error {
	var e *sekisho.Error
	if errors.As(err, &e) && e.Kind == sekisho.Corrupt && e.Hint == "" {
		return sekisho.Errorf(sekisho.Corrupt, "%w", err).WithHint(updateHint)
	}
	return err
}

// Detail returns what a feed says about a flaw. The group is empty for feeds
// about CVEs, such as nvd.
func (db *DB) Detail(feed, group, id string) (Detail, bool, error) {
	d := Detail{Group: group}
	ok, err := db.one(place{KindDetails, group}, feed, id, func(b []byte) error { return decodeDetail(b, &d) })
	return d, ok, err
}

// Details returns what a feed says about many flaws at once and reads each part
// of a file once. It calls see with each detail and the index of its id, not in
// order.
func (db *DB) Details(feed, group string, ids []string, see func(i int, d Detail)) error {
	return db.all(place{KindDetails, group}, feed, ids, func(_ string, i int, values [][]byte) error {
		d := Detail{Group: group}
		err := decodeDetail(values[len(values)-1], &d)
		if err == nil {
			see(i, d)
		}
		return err
	})
}

// Text returns a feed's long text about a flaw.
func (db *DB) Text(feed, group, id string) (Text, bool, error) {
	t := Text{Group: group}
	ok, err := db.one(place{KindTexts, group}, feed, id, func(b []byte) error { return decodeText(b, &t) })
	return t, ok, err
}

// KEV returns the entry of the catalogue of exploited vulnerabilities, nil when
// the CVE is not in it.
func (db *DB) KEV(cve string) (*sekisho.KEV, error) {
	var k sekisho.KEV
	ok, err := db.one(place{KindKEV, ""}, "", cve, func(b []byte) error { return decodeKEV(b, &k) })
	if !ok || err != nil {
		return nil, err
	}
	return &k, nil
}

// one finds the only value of a key, of the named feed or of any.
func (db *DB) one(p place, feed, key string, decode func([]byte) error) (bool, error) {
	for _, s := range db.now.Load().by[p] {
		if feed != "" && s.Feed != feed {
			continue
		}
		f, err := db.segment(s)
		if err != nil {
			return false, err
		}
		if f == nil {
			continue
		}
		values, err := f.table.Find(key)
		if err == nil && len(values) > 0 {
			err = decode(values[len(values)-1])
		}
		if err != nil || len(values) > 0 {
			return err == nil, hinted(err)
		}
	}
	return false, nil
}

// EPSS returns the score of a CVE, nil when it has none.
func (db *DB) EPSS(cve string) (*sekisho.EPSS, error) {
	k, ok := scores.Parse(cve)
	if !ok {
		return nil, nil
	}
	for _, s := range db.now.Load().by[place{KindEPSS, ""}] {
		f, err := db.segment(s)
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		if e, err := f.epss.Find(k); e != nil || err != nil {
			return e, hinted(err)
		}
	}
	return nil, nil
}

// Feeds describes all feeds, by name, those included that never succeeded.
func (db *DB) Feeds() []FeedInfo {
	m := db.now.Load().manifest
	var out []FeedInfo
	for _, f := range m.Feeds {
		out = append(out, FeedInfo{Name: f.Name, Title: f.Title, URL: f.URL, Licence: f.Licence, Restricted: f.Restricted, Newest: f.Newest, Checked: f.Checked})
	}
	failed, _ := filepath.Glob(filepath.Join(db.dir, statusDir, "*.json"))
	for _, path := range failed {
		name := filepath.Base(path[:len(path)-len(".json")])
		if m.feed(name) == nil {
			out = append(out, FeedInfo{Name: name})
		}
	}
	slices.SortFunc(out, func(x, y FeedInfo) int { return cmp.Compare(x.Name, y.Name) })
	for i := range out {
		out[i].fill(m)
		if st, err := readStatus(db.dir, out[i].Name); err == nil {
			out[i].Error, out[i].Failed = st.Error, st.Failed
		}
	}
	return out
}

func (f *FeedInfo) fill(m *manifest) {
	for _, s := range m.Segments {
		if s.Feed != f.Name {
			continue
		}
		f.Segments++
		f.Bytes += s.Size
		switch s.Kind {
		case KindRecords:
			f.Records += s.Values
		case KindDetails:
			f.Details += s.Values
		case KindEPSS, KindKEV:
			f.Signals += s.Values
		}
	}
}

// Built returns when the database last changed.
func (db *DB) Built() time.Time { return db.now.Load().manifest.Built }

// Segments returns all files of the database.
func (db *DB) Segments() []SegmentInfo { return slices.Clone(db.now.Load().manifest.Segments) }
