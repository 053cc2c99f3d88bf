package advisory

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"sekisho"
	"sekisho/scan/advisory/scores"
	"sekisho/scan/advisory/table"
)

// Builder takes what one feed tells and makes new segments of it. It is a Sink,
// safe for concurrent use. End it with Commit or Abort.
//
// A record's id may come with many packages, and for one package more than
// once: alternatives, one module stream each and so on. These must come one
// after another, with no record of another id between. When the id comes again
// for the package later, the feed holds it twice: the last wins, and
// Stats.Duplicates counts.
type Builder struct {
	store *Store
	feed  Info

	mu        sync.Mutex
	sorter    *table.Sorter
	buf       []byte
	key       []byte
	seq       uint64
	last      string            // id of the last record
	replaced  map[string]uint64 // by ecosystem, the sequence number when it was
	forgotten map[string]uint64 // by id
	withdrawn map[withdrawal]bool
	newest    map[string]time.Time // of details, by group
	stats     Stats
	done      bool
}

type withdrawal struct{ group, id string }

// Stats counts what a commit did.
type Stats struct {
	Records    int    // of the feed now, old and new
	Details    int    // the same
	Signals    int    // the same
	Duplicates int    // records and details dropped because the same id came again
	Withdrawn  int    // records dropped because their advisory was withdrawn
	Refused    int    // what came without a name, too long or not in its form
	Reason     string // why the first was refused
	Written    int    // segments
	Kept       int    // segments that did not change
	Bytes      int64  // of all segments of the feed
}

// Kinds of rows in the sorter, in the order in which they are written.
const (
	rowDetail = 'd'
	rowEPSS   = 'e'
	rowKEV    = 'k'
	rowRecord = 'r'
	rowText   = 't'
)

// Begin starts an update of a feed.
func (s *Store) Begin(feed Info) (*Builder, error) {
	if !validFeed(feed.Name) {
		return nil, sekisho.Errorf(sekisho.Usage, "feed name %q", feed.Name)
	}
	return &Builder{
		store: s, feed: feed, sorter: table.NewSorter(s.path(work), 0), replaced: map[string]uint64{}, forgotten: map[string]uint64{},
		withdrawn: map[withdrawal]bool{}, newest: map[string]time.Time{},
	}, nil
}

// Replace implements Sink.
func (b *Builder) Replace(ecosystem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	b.replaced[ecosystem], b.last = b.seq, ""
}

// Forget implements Sink.
func (b *Builder) Forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	b.forgotten[id], b.last = b.seq, ""
}

// Record implements Sink. A record that cannot be kept is counted, not an error.
func (b *Builder) Record(r Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.named(r.Ecosystem, r.Package, r.ID) {
		return nil
	}
	if r.ID != b.last {
		b.seq++
		b.last = r.ID
	}
	b.buf = appendRecord(b.head(), &r)
	return b.add(rowRecord, r.Ecosystem, r.Package, r.ID)
}

// Detail implements Sink.
func (b *Builder) Detail(d Detail, t Text) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.named("-", d.ID, "-") || d.Group != "" && !b.named(d.Group, "-", "-") {
		return nil
	}
	b.seq++
	w := withdrawal{d.Group, d.ID}
	delete(b.withdrawn, w)
	if !d.Withdrawn.IsZero() {
		b.withdrawn[w] = true
	}
	for _, at := range []time.Time{d.Published, d.Modified} {
		if at.After(b.newest[d.Group]) {
			b.newest[d.Group] = at.UTC().Truncate(time.Second)
		}
	}
	b.buf = appendDetail(b.head(), &d)
	if err := b.add(rowDetail, d.Group, d.ID, ""); err != nil {
		return err
	}
	if t.Text == "" && t.TextJA == "" && len(t.References) == 0 {
		return nil
	}
	t.ID = d.ID
	b.buf = appendText(b.head(), &t)
	return b.add(rowText, d.Group, d.ID, "")
}

// Signal implements Sink.
func (b *Builder) Signal(s Signal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := scores.Parse(s.CVE)
	if !ok {
		b.refuse("signal of %q, which is no CVE", s.CVE)
		return nil
	}
	b.seq++
	if e := s.EPSS; e != nil {
		if !(e.Score >= 0 && e.Score <= 1 && e.Percentile >= 0 && e.Percentile <= 1) || len(e.Date) > 32 {
			b.refuse("EPSS of %s is out of range", s.CVE)
			return nil
		}
		b.buf = binary.BigEndian.AppendUint64(b.head(), math.Float64bits(e.Score))
		b.buf = append(binary.BigEndian.AppendUint64(b.buf, math.Float64bits(e.Percentile)), e.Date...)
		if err := b.add(rowEPSS, "", hex.EncodeToString(k[:]), ""); err != nil {
			return err
		}
	}
	if s.KEV != nil {
		b.buf = appendKEV(b.head(), s.CVE, s.KEV)
		return b.add(rowKEV, "", s.CVE, "")
	}
	return nil
}

// named refuses names that cannot be keys.
func (b *Builder) named(part, name, id string) bool {
	for _, s := range []string{part, name, id} {
		if s == "" || len(s) > table.MaxKey/4 || strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
			b.refuse("record %.80q about %.80q of %.80q: a name is empty, too long or not text", id, name, part)
			return false
		}
	}
	return true
}

func (b *Builder) refuse(format string, args ...any) {
	if b.stats.Refused++; b.stats.Refused == 1 {
		b.stats.Reason = fmt.Sprintf(format, args...)
	}
}

// head begins a value with its place in the order of what came.
func (b *Builder) head() []byte { return binary.BigEndian.AppendUint64(b.buf[:0], b.seq) }

// add gives what is in buf to the sorter under kind, part, key and id.
func (b *Builder) add(kind byte, part, key, id string) error {
	if b.done {
		return sekisho.Errorf(sekisho.Internal, "the update of feed %s has ended", b.feed.Name)
	}
	if len(b.buf) > maxEncoded {
		b.refuse("%.80q of %.80q takes %d bytes", key, part, len(b.buf))
		return nil
	}
	k := append(b.key[:0], kind)
	k = append(append(k, part...), 0)
	k = append(append(k, key...), 0)
	b.key = append(k, id...)
	if err := b.sorter.Add(b.key, b.buf); err != nil {
		return fmt.Errorf("update feed %s: %w", b.feed.Name, err)
	}
	return nil
}

// Abort drops what was told. After Commit it does nothing.
func (b *Builder) Abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
	b.sorter.Close()
}

// replacedAt returns when what is known of a part was last dropped, 0 for never.
func (b *Builder) replacedAt(kind byte, part string) uint64 {
	if kind != rowRecord {
		return b.replaced[part]
	}
	return max(b.replaced[part], b.replaced[Group(part)])
}

// stale reports whether a row was dropped again by Replace or Forget.
func (b *Builder) stale(r *row) bool {
	return r.seq < b.replacedAt(r.kind, r.part) || r.seq < b.forgotten[r.subject()]
}

// row is one pair of the sorter.
type row struct {
	kind          byte
	part, key, id string
	seq           uint64
	value         []byte
}

func parseRow(key, value []byte) row {
	part, rest, _ := strings.Cut(string(key[1:]), "\x00")
	name, id, _ := strings.Cut(rest, "\x00")
	return row{key[0], part, name, id, binary.BigEndian.Uint64(value), value[8:]}
}

// subject returns the id by which Forget means the row.
func (r *row) subject() string {
	switch r.kind {
	case rowRecord:
		return r.id
	case rowEPSS:
		b, _ := hex.DecodeString(r.key)
		return scores.Key(b).String()
	}
	return r.key
}
