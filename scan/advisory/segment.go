package advisory

import (
	"path/filepath"

	"sekisho"
	"sekisho/scan/advisory/scores"
	"sekisho/scan/advisory/table"
)

// segmentFile is an open segment: a table, or EPSS rows.
type segmentFile struct {
	table *table.Table
	epss  *scores.File
}

func (f *segmentFile) close() error {
	if f.epss != nil {
		return f.epss.Close()
	}
	return f.table.Close()
}

// openSegment opens a file and checks what can be without reading all of it.
func openSegment(dir string, s SegmentInfo, c *table.Cache) (*segmentFile, error) {
	path := filepath.Join(dir, filepath.FromSlash(s.File()))
	f := &segmentFile{}
	var err error
	keys := 0
	if s.Kind == KindEPSS {
		if f.epss, err = scores.Open(path); err == nil {
			keys = f.epss.Rows()
		}
	} else if f.table, err = table.Open(path, c); err == nil {
		keys = f.table.Keys()
	}
	if err != nil {
		return nil, hinted(err)
	}
	if keys != s.Keys {
		_ = f.close()
		return nil, sekisho.Errorf(sekisho.Corrupt, "open %s: %d keys, the manifest says %d", path, keys, s.Keys).WithHint(updateHint)
	}
	return f, nil
}

// segment returns an open segment. When its file is gone, an update was
// quicker: the manifest is read again and the feed's newer file opened. It is
// nil when the feed has none any more.
func (db *DB) segment(s *SegmentInfo) (*segmentFile, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for range 5 {
		if f := db.open[s.File()]; f != nil {
			return f, nil
		}
		f, err := openSegment(db.dir, *s, db.cache)
		if err == nil {
			db.open[s.File()] = f
			return f, nil
		}
		if sekisho.KindOf(err) != sekisho.NotFound {
			return nil, err
		}
		if s, err = db.newer(s); s == nil || err != nil {
			return nil, err
		}
	}
	return nil, sekisho.Errorf(sekisho.Unavailable, "the advisory database changes faster than it can be read")
}

// newer returns the segment that took the place of one whose file is gone, nil
// when none did.
func (db *DB) newer(s *SegmentInfo) (*SegmentInfo, error) {
	if err := db.reload(); err != nil {
		return nil, err
	}
	for _, n := range db.now.Load().by[place{s.Kind, s.Part}] {
		if n.Feed != s.Feed {
			continue
		}
		if n.File() == s.File() {
			return nil, sekisho.Errorf(sekisho.Corrupt, "segment %s of the advisory database is missing", s.File()).WithHint(updateHint)
		}
		return n, nil
	}
	return nil, nil
}
