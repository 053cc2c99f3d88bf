package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/internal/atomicfile"
)

// grace is how long a file that no manifest names any more is kept for readers
// that have read the manifest before.
const grace = 10 * time.Minute

func (s *Store) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// Commit makes what was told, together with what is kept, the feed's part of
// the database. When it fails, all stays as it was.
func (b *Builder) Commit(state State, now time.Time) (Stats, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.sorter.Close()
	if b.done {
		return b.stats, sekisho.Errorf(sekisho.Internal, "the update of feed %s has ended", b.feed.Name)
	}
	b.done = true
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	if err := b.commit(state, now.UTC()); err != nil {
		return b.stats, fmt.Errorf("update feed %s: %w", b.feed.Name, err)
	}
	return b.stats, nil
}

func (b *Builder) commit(state State, now time.Time) error {
	m, err := b.store.manifest()
	if err != nil {
		return err
	}
	a := &assembly{b: b, old: map[place]SegmentInfo{}}
	before := m.Segments
	m.Segments = nil
	for _, seg := range before {
		if seg.Feed == b.feed.Name {
			a.old[place{seg.Kind, seg.Part}] = seg
		} else {
			m.Segments = append(m.Segments, seg)
		}
	}
	defer a.abort()
	if err := a.run(); err != nil {
		return err
	}
	if err := b.notEmptied(before, a.segments); err != nil {
		return err
	}
	m.Segments = append(m.Segments, a.segments...)
	b.count(a.segments)
	b.entry(m, state, now)
	m.Built = now
	if err := m.write(b.store.dir, b.store.key); err != nil {
		return err
	}
	if err := writeStatus(b.store.dir, b.feed.Name, status{State: state}); err != nil {
		return err
	}
	return b.store.sweep(m, before, now)
}

// notEmptied refuses an update that would leave nothing of an ecosystem that
// was to be replaced: a feed that answers with nothing is broken more often
// than a distribution is free of flaws.
func (b *Builder) notEmptied(before, after []SegmentInfo) error {
	for ecosystem := range b.replaced {
		count := func(segments []SegmentInfo) (n int) {
			for _, s := range segments {
				if s.Feed == b.feed.Name && s.Kind != KindTexts && (s.Part == ecosystem || s.Kind == KindRecords && Group(s.Part) == ecosystem) {
					n += s.Values
				}
			}
			return n
		}
		if n := count(before); n > 0 && count(after) == 0 {
			return sekisho.Errorf(sekisho.Invalid, "nothing came about %q, of which %d records are known", ecosystem, n)
		}
	}
	return nil
}

func (b *Builder) count(segments []SegmentInfo) {
	for _, s := range segments {
		b.stats.Bytes += s.Size
		switch s.Kind {
		case KindRecords:
			b.stats.Records += s.Values
		case KindDetails:
			b.stats.Details += s.Values
		case KindEPSS, KindKEV:
			b.stats.Signals += s.Values
		}
	}
}

// entry writes the feed's line of the manifest.
func (b *Builder) entry(m *manifest, state State, now time.Time) {
	f := m.feed(b.feed.Name)
	if f == nil {
		m.Feeds = append(m.Feeds, feedEntry{})
		f = &m.Feeds[len(m.Feeds)-1]
	}
	newest := state.Newest.UTC().Truncate(time.Second)
	for _, s := range m.Segments {
		if state.Newest.IsZero() && s.Feed == b.feed.Name && s.Newest.After(newest) {
			newest = s.Newest
		}
	}
	*f = feedEntry{
		Name: b.feed.Name, Title: b.feed.Title, URL: b.feed.URL, Licence: b.feed.Licence, Restricted: b.feed.Restricted,
		Checked: now, Newest: newest,
	}
}

// sweep removes files that no manifest has named for a while. Those that this
// commit retired begin their time now.
func (s *Store) sweep(m *manifest, before []SegmentInfo, now time.Time) error {
	named := map[string]bool{}
	for _, seg := range m.Segments {
		named[s.path(seg.File())] = true
	}
	for _, seg := range before {
		if path := s.path(seg.File()); !named[path] {
			_ = os.Chtimes(path, now, now)
		}
	}
	for _, kind := range []string{KindRecords, KindDetails, KindTexts, KindEPSS, KindKEV} {
		err := filepath.WalkDir(s.path(kind), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || named[path] {
				return err
			}
			if info, err := d.Info(); err == nil && now.Sub(info.ModTime()) > grace {
				_ = os.Remove(path)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove old segments: %w", err)
		}
	}
	return nil
}

// place names a segment of a feed.
type place struct{ kind, part string }

// assembly writes the new segments of one commit.
type assembly struct {
	b        *Builder
	old      map[place]SegmentInfo
	segments []SegmentInfo
	part     *partWriter
}

func (a *assembly) run() error {
	err := a.b.sorter.Each(func(key, value []byte) error { return a.add(parseRow(key, value)) })
	if err != nil {
		return err
	}
	if err := a.finish(); err != nil {
		return err
	}
	left := slices.SortedFunc(maps.Keys(a.old), func(x, y place) int { return strings.Compare(x.kind+"\x00"+x.part, y.kind+"\x00"+y.part) })
	for _, p := range left {
		if err := a.leave(p); err != nil {
			return err
		}
	}
	return a.covered()
}

// kindOf names the segment's kind of a row.
func kindOf(row byte) string {
	switch row {
	case rowDetail:
		return KindDetails
	case rowEPSS:
		return KindEPSS
	case rowKEV:
		return KindKEV
	case rowRecord:
		return KindRecords
	}
	return KindTexts
}

// rowOf is the inverse; 0 for what is no kind.
func rowOf(kind string) byte {
	switch kind {
	case KindDetails:
		return rowDetail
	case KindEPSS:
		return rowEPSS
	case KindKEV:
		return rowKEV
	case KindRecords:
		return rowRecord
	case KindTexts:
		return rowText
	}
	return 0
}

func (a *assembly) add(r row) error {
	if a.part == nil || a.part.kind != r.kind || a.part.place.part != r.part {
		if err := a.finish(); err != nil {
			return err
		}
		if err := a.begin(r.kind, r.part); err != nil {
			return err
		}
	}
	return a.part.add(r)
}

// begin opens the writer of a part and what is kept of the old one.
func (a *assembly) begin(kind byte, part string) error {
	p := place{kindOf(kind), part}
	w, err := newPartWriter(a.b, kind, p)
	if err != nil {
		return err
	}
	a.part = w
	seg, ok := a.old[p]
	delete(a.old, p)
	if !ok || a.b.replacedAt(kind, part) > 0 {
		return nil
	}
	w.newest = seg.Newest
	return w.keep(seg)
}

func (a *assembly) finish() error {
	if a.part == nil {
		return nil
	}
	p := a.part
	seg, err := p.finish()
	if err != nil {
		return err
	}
	a.part = nil
	if seg.Values > 0 {
		return a.place(seg, p.path)
	}
	return os.Remove(p.path)
}

// place gives a written file its name.
func (a *assembly) place(seg SegmentInfo, from string) error {
	to := a.b.store.path(seg.File())
	err := os.MkdirAll(filepath.Dir(to), 0o755)
	if err == nil {
		err = os.Rename(from, to)
	}
	if err != nil {
		_ = os.Remove(from)
		return err
	}
	a.segments = append(a.segments, seg)
	a.b.stats.Written++
	return atomicfile.SyncDir(filepath.Dir(to))
}

// leave decides about an old segment for which nothing came.
func (a *assembly) leave(p place) error {
	kind, seg := rowOf(p.kind), a.old[p]
	if a.b.replacedAt(kind, p.part) > 0 {
		return nil
	}
	touched, err := a.touched(kind, seg)
	if err != nil {
		return err
	}
	if !touched {
		a.segments = append(a.segments, seg)
		a.b.stats.Kept++
		return nil
	}
	if err := a.begin(kind, p.part); err != nil {
		return err
	}
	return a.finish()
}

// touched reports whether something in a segment was forgotten or withdrawn.
func (a *assembly) touched(kind byte, seg SegmentInfo) (bool, error) {
	if len(a.b.forgotten) == 0 && (kind != rowRecord || len(a.b.withdrawn) == 0) {
		return false, nil
	}
	found := errors.New("found")
	if kind == rowDetail || kind == rowText || kind == rowKEV {
		f, err := openSegment(a.b.store.dir, seg, a.b.store.cache)
		if err != nil {
			return false, err
		}
		defer f.close()
		err = f.table.FindAll(slices.Collect(maps.Keys(a.b.forgotten)), func(int, [][]byte) error { return found })
		return errors.Is(err, found), ignore(err, found)
	}
	err := a.b.scan(seg, func(r row) error {
		if _, ok := a.b.forgotten[r.subject()]; ok || a.b.gone(&r) {
			return found
		}
		return nil
	})
	return errors.Is(err, found), ignore(err, found)
}

// ignore drops the error that only stopped a search.
func ignore(err, stop error) error {
	if errors.Is(err, stop) {
		return nil
	}
	return err
}

// covered makes empty segments of what was replaced and has no record: the feed
// knows the ecosystem and nothing against it.
func (a *assembly) covered() error {
	for _, ecosystem := range slices.Sorted(maps.Keys(a.b.replaced)) {
		if ecosystem == "" || slices.ContainsFunc(a.segments, func(s SegmentInfo) bool {
			return s.Kind == KindRecords && (s.Part == ecosystem || Group(s.Part) == ecosystem)
		}) {
			continue
		}
		w, err := newPartWriter(a.b, rowRecord, place{KindRecords, ecosystem})
		if err != nil {
			return err
		}
		a.part = w
		seg, err := w.finish()
		if err != nil {
			return err
		}
		a.part = nil
		if err := a.place(seg, w.path); err != nil {
			return err
		}
	}
	return nil
}

func (a *assembly) abort() {
	if a.part != nil {
		a.part.abort()
	}
}

// gone reports whether a record's advisory was withdrawn.
func (b *Builder) gone(r *row) bool {
	return r.kind == rowRecord && b.withdrawn[withdrawal{Group(r.part), r.id}]
}

func (m meta) json() []byte {
	b, _ := json.Marshal(m) // strings and numbers only
	return b
}
