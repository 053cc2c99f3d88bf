package advisory

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"time"

	"sekisho"
	"sekisho/scan/advisory/scores"
	"sekisho/scan/advisory/table"
)

// partWriter writes one segment: it merges the rows that came, in order, with
// those of the segment before.
type partWriter struct {
	b      *Builder
	kind   byte
	place  place
	path   string
	table  *table.Writer
	epss   *scores.Writer
	newest time.Time

	old     *row // the first that is not written yet
	next    func() (row, error, bool)
	stop    func()
	key     string // that new belongs to
	fresh   []row
	pending [][]byte // values of the key being written
}

func newPartWriter(b *Builder, kind byte, p place) (*partWriter, error) {
	f, err := os.CreateTemp(b.store.path(work), "part-*.tmp")
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	w := &partWriter{b: b, kind: kind, place: p, path: filepath.Clean(f.Name())}
	switch kind {
	case rowEPSS:
		w.epss, err = scores.Create(w.path)
	case rowText: // read one by one, when somebody asks
		w.table, err = table.Create(w.path, 4*table.DefaultBlock, b.store.packer)
	default:
		w.table, err = table.Create(w.path, 0, b.store.packer)
	}
	return w, err
}

// scan calls see with all rows of a segment in order; records one by one.
func (b *Builder) scan(seg SegmentInfo, see func(row) error) error {
	f, err := openSegment(b.store.dir, seg, b.store.cache)
	if err != nil {
		return err
	}
	defer f.close()
	kind := rowOf(seg.Kind)
	if kind == rowEPSS {
		return f.epss.Scan(func(k scores.Key, e sekisho.EPSS) error {
			v := binary.BigEndian.AppendUint64(nil, math.Float64bits(e.Score))
			v = binary.BigEndian.AppendUint64(v, math.Float64bits(e.Percentile))
			return see(row{kind: kind, key: hex.EncodeToString(k[:]), value: append(v, e.Date...)})
		})
	}
	return f.table.Scan(func(key string, values [][]byte) error {
		for _, v := range values {
			id, ok := recordID(v)
			if !ok {
				return sekisho.Errorf(sekisho.Corrupt, "read %s: a value under %q is damaged", seg.File(), key)
			}
			if err := see(row{kind, seg.Part, key, string(id), 0, v}); err != nil {
				return err
			}
		}
		return nil
	})
}

// keep merges with an old segment.
func (w *partWriter) keep(seg SegmentInfo) error {
	stopped := errors.New("stopped")
	var rows iter.Seq2[row, error] = func(yield func(row, error) bool) {
		err := w.b.scan(seg, func(r row) error {
			if !yield(r, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(row{}, err)
		}
	}
	w.next, w.stop = iter.Pull2(rows)
	return w.advance()
}

// advance takes the next old row.
func (w *partWriter) advance() error {
	w.old = nil
	if w.next == nil {
		return nil
	}
	r, err, ok := w.next()
	if err != nil || !ok {
		return err
	}
	w.old = &r
	return nil
}

// add takes a new row.
func (w *partWriter) add(r row) error {
	if r.key != w.key {
		if err := w.settle(); err != nil {
			return err
		}
		w.key = r.key
	}
	if w.b.stale(&r) {
		return nil
	}
	if w.b.gone(&r) {
		w.b.stats.Withdrawn++
		return nil
	}
	// Rows of one id come in their order in time. Only the last turn counts.
	for n := len(w.fresh); n > 0 && w.fresh[n-1].id == r.id && w.fresh[n-1].seq < r.seq; n-- {
		w.fresh = w.fresh[:n-1]
		w.b.countDuplicate(r.kind)
	}
	r.value = append([]byte(nil), r.value...)
	w.fresh = append(w.fresh, r)
	return nil
}

func (b *Builder) countDuplicate(kind byte) {
	if kind != rowText {
		b.stats.Duplicates++
	}
}

// settle writes the old rows before the current key, and the key itself.
func (w *partWriter) settle() error {
	if err := w.carry(func(key string) bool { return key < w.key }); err != nil {
		return err
	}
	if len(w.fresh) == 0 {
		return nil // what is old of the key comes with the next
	}
	if err := w.take(w.key, w.fresh); err != nil {
		return err
	}
	for _, r := range w.fresh {
		w.pending = append(w.pending, r.value)
	}
	w.fresh = w.fresh[:0]
	return w.write(w.key)
}

// carry writes old rows while their key is wanted.
func (w *partWriter) carry(want func(key string) bool) error {
	for w.old != nil && want(w.old.key) {
		key := w.old.key
		if err := w.take(key, nil); err != nil {
			return err
		}
		if err := w.write(key); err != nil {
			return err
		}
	}
	return nil
}

// take collects the old values of a key that stay beside the new ones.
func (w *partWriter) take(key string, fresh []row) error {
	for w.old != nil && w.old.key == key {
		if w.stays(w.old, fresh) {
			w.pending = append(w.pending, w.old.value)
		}
		if err := w.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (w *partWriter) stays(old *row, fresh []row) bool {
	if _, ok := w.b.forgotten[old.subject()]; ok {
		return false
	}
	if w.b.gone(old) {
		w.b.stats.Withdrawn++
		return false
	}
	if w.kind != rowRecord {
		return len(fresh) == 0
	}
	for i := range fresh {
		if fresh[i].id == old.id {
			return false
		}
	}
	return true
}

func (w *partWriter) write(key string) error {
	values := table.Set(w.pending)
	w.pending = w.pending[:0]
	if len(values) == 0 {
		return nil
	}
	if w.epss == nil {
		return w.table.Append(key, values)
	}
	v := values[len(values)-1]
	b, err := hex.DecodeString(key)
	if err != nil || len(v) < 16 {
		return sekisho.Errorf(sekisho.Internal, "an EPSS row %q of %d bytes", key, len(v))
	}
	return w.epss.Add(scores.Key(b), sekisho.EPSS{
		Score:      math.Float64frombits(binary.BigEndian.Uint64(v)),
		Percentile: math.Float64frombits(binary.BigEndian.Uint64(v[8:])),
		Date:       string(v[16:]),
	})
}

// finish writes what remains and describes the segment.
func (w *partWriter) finish() (SegmentInfo, error) {
	if err := w.settle(); err != nil {
		return SegmentInfo{}, err
	}
	if err := w.carry(func(string) bool { return true }); err != nil {
		return SegmentInfo{}, err
	}
	seg := SegmentInfo{Kind: w.place.kind, Feed: w.b.feed.Name, Part: w.place.part}
	if w.kind == rowDetail {
		seg.Newest = w.newest
		if n := w.b.newest[w.place.part]; n.After(seg.Newest) {
			seg.Newest = n
		}
	}
	m := meta{Format: 1, Kind: seg.Kind, Feed: seg.Feed, Part: seg.Part}
	var info table.Info
	var err error
	if w.epss != nil {
		info, err = w.epss.Finish(m.json())
	} else {
		info, err = w.table.Finish(m.json())
	}
	if w.stop != nil {
		w.stop()
	}
	if err != nil {
		return seg, fmt.Errorf("write segment: %w", err)
	}
	seg.SHA256, seg.Size, seg.Keys, seg.Values = info.SHA256, info.Size, info.Keys, info.Values
	return seg, nil
}

func (w *partWriter) abort() {
	if w.stop != nil {
		w.stop()
	}
	if w.epss != nil {
		w.epss.Abort()
	}
	if w.table != nil {
		w.table.Abort()
	}
}
