package advisory

import (
	"errors"
	"path/filepath"

	"sekisho"
)

// Verify reads the whole database and checks every sum. The errors are of
// kind sekisho.Corrupt, one for each file that is damaged.
func (db *DB) Verify() error {
	var all []error
	for _, seg := range db.now.Load().manifest.Segments {
		if err := db.verify(&seg); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

func (db *DB) verify(seg *SegmentInfo) error {
	f, err := openSegment(db.dir, *seg, db.cache)
	if err != nil {
		return err
	}
	defer f.close()
	var sum string
	if f.epss != nil {
		sum, err = sumFile(filepath.Join(db.dir, filepath.FromSlash(seg.File())), seg.Size)
	} else {
		sum, err = f.table.Verify()
	}
	if err != nil {
		return hinted(err)
	}
	if sum != seg.SHA256 {
		return sekisho.Errorf(sekisho.Corrupt, "segment %s does not match its sum", seg.File()).WithHint(updateHint)
	}
	return nil
}
