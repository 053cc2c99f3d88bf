package osv

import (
	"context"
	"time"

	"sekisho/scan/advisory"
)

// all reads the whole directory, unless it is the same that was read.
func (d *directory) all(ctx context.Context, c changes) error {
	address := d.base + "/all.zip"
	known := d.State.Validators[address]
	if d.State.Cursors[d.releases()] != d.wanted() {
		known = advisory.Validator{} // read for other releases
	}
	doc, err := d.Client.Get(ctx, address, known)
	if err != nil {
		return err
	}
	defer doc.Close()
	if doc.Same {
		d.read(c)
		d.state.Cursors[d.whole()] = d.Now.Format(time.RFC3339)
		return nil
	}
	d.replace()
	for key := range d.state.Skipped {
		if len(key) > len(d.name) && key[:len(d.name)+1] == d.name+":" {
			delete(d.state.Skipped, key)
		}
	}
	sum, err := d.decoder(d.keep).Zip(ctx, doc.ReaderAt, doc.Size, d.Sink)
	if err != nil {
		return err
	}
	d.skipped(sum.Skipped)
	d.seen(sum.Newest)
	// The list may be newer than the zip file: go on from what was in the zip.
	if c.newest.IsZero() || sum.Newest.Before(c.newest) {
		c.newest = sum.Newest
	}
	d.read(c)
	d.state.Validators[address] = doc.Validator
	d.state.Cursors[d.whole()] = d.Now.Format(time.RFC3339)
	d.state.Cursors[d.releases()] = d.wanted()
	return nil
}

// replace says what comes anew: the wanted releases only, where releases are
// named, so that others stay as they were.
func (d *directory) replace() {
	if d.wanted() == "*" {
		d.Sink.Replace(d.name)
		return
	}
	for _, w := range d.Want {
		if advisory.Group(w) == d.name {
			d.Sink.Replace(w)
		}
	}
}
