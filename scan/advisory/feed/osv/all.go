package osv

import (
	"context"
	"time"

	"sekisho/scan/advisory"
)

// all reads the whole directory, unless it is the same that was read.
func (r *run) all(ctx context.Context, c changes) error {
	address := r.base + "/all.zip"
	known := r.State.Validators[address]
	if r.State.Cursors[releases] != r.wanted() {
		known = advisory.Validator{} // it was read for other releases
	}
	doc, err := r.Client.Get(ctx, address, known)
	if err != nil {
		return err
	}
	defer doc.Close()
	r.next.Cursors[whole] = r.Now.Format(time.RFC3339)
	if doc.Same {
		r.read(c)
		return nil
	}
	r.replace()
	sum, err := r.decoder().Zip(ctx, doc.ReaderAt, doc.Size, r.Sink)
	if err != nil {
		return err
	}
	// The list may be newer than the zip file: go on from what was in the zip.
	if c.newest.IsZero() || sum.Newest.Before(c.newest) {
		c.newest = sum.Newest
	}
	r.read(c)
	r.next.Validators[address] = doc.Validator
	r.next.Cursors[releases] = r.wanted()
	r.next.Skipped = sum.Skipped
	return nil
}

// replace says what comes anew: the wanted releases only, where releases are
// named, so that others stay as they were.
func (r *run) replace() {
	if r.wanted() == "*" {
		r.Sink.Replace(r.name)
		return
	}
	for _, w := range r.Want {
		if advisory.Group(w) == r.name {
			r.Sink.Replace(w)
		}
	}
}
