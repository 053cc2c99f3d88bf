package advisory

import (
	"context"
	"slices"
)

// Mentions returns all records with an id or an alias, whatever package they are
// about. It reads every record of the database, which takes seconds.
func (db *DB) Mentions(ctx context.Context, id string) ([]Found, error) {
	var out []Found
	for _, s := range db.now.Load().manifest.Segments {
		if s.Kind != KindRecords {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := db.segment(&s)
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue // it went with an update
		}
		err = f.table.Scan(func(key string, values [][]byte) error {
			for _, v := range values {
				found := Found{Feed: s.Feed, Record: Record{Ecosystem: s.Part, Package: key}}
				if err := decodeRecord(v, &found.Record); err != nil {
					return err
				}
				if found.ID == id || slices.Contains(found.Aliases, id) {
					out = append(out, found)
				}
			}
			return nil
		})
		if err != nil {
			return nil, hinted(err)
		}
	}
	return out, nil
}

// Described is what a feed says about a flaw itself.
type Described struct {
	Feed string
	Detail
	Text Text
}

// Describe returns what all feeds say about flaws, by feed and id.
func (db *DB) Describe(ids ...string) ([]Described, error) {
	var out []Described
	for _, s := range db.now.Load().manifest.Segments {
		if s.Kind != KindDetails {
			continue
		}
		for _, id := range ids {
			d, ok, err := db.Detail(s.Feed, s.Part, id)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			t, _, err := db.Text(s.Feed, s.Part, id)
			if err != nil {
				return nil, err
			}
			out = append(out, Described{s.Feed, d, t})
		}
	}
	return out, nil
}
