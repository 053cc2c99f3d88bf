package osv

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/osv/schema"
)

// maxList bounds the rows of a list of modified ids.
const maxList = 20_000_000

// changes is what a list of modified ids tells.
type changes struct {
	same      bool
	validator advisory.Validator
	newest    time.Time
	ids       []string // changed since, newest first; one more than maxIncrement when there are more
	rows      int
}

// total spells the number of rows.
func (c changes) total() string { return strconv.Itoa(c.rows) }

// shrunk reports whether records must have been deleted: even if all that
// changed were new, there are fewer than before.
func (c changes) shrunk(before string) bool {
	n, err := strconv.Atoi(before)
	return err == nil && n > c.rows
}

// changes reads "timestamp,id" rows, newest first. Rows of the very time up to
// which was read are taken again: others may have come at the same time.
func (r *run) changes(ctx context.Context, list string, known advisory.Validator, since time.Time) (c changes, err error) {
	doc, err := r.Client.Get(ctx, list, known)
	if err != nil {
		return c, err
	}
	defer doc.Close()
	if doc.Same {
		return changes{same: true}, nil
	}
	c.validator = doc.Validator
	lines := bufio.NewScanner(doc)
	lines.Buffer(make([]byte, 4096), 4096)
	for lines.Scan() {
		stamp, id, ok := strings.Cut(strings.TrimSpace(lines.Text()), ",")
		if !ok {
			continue
		}
		if c.rows++; c.rows > maxList {
			return c, sekisho.Errorf(sekisho.Invalid, "read %s: more than %d rows", list, maxList)
		}
		t, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil || !validID(id) {
			r.skipped(map[string]int{schema.Malformed: 1})
			continue
		}
		if t.After(c.newest) {
			c.newest = t
		}
		if !t.Before(since) && len(c.ids) <= maxIncrement {
			c.ids = append(c.ids, id)
		}
	}
	if err := lines.Err(); err != nil {
		return c, sekisho.Errorf(sekisho.Invalid, "read %s: %w", list, err)
	}
	return c, nil
}

// validID reports whether an id can be a file's name.
func validID(id string) bool {
	if id == "" || len(id) > 200 || id[0] == '.' {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._:+", c) >= 0) {
			return false
		}
	}
	return true
}

// some reads changed records one by one, several at a time, and tells them in
// the list's order.
func (r *run) some(ctx context.Context, ids []string) error {
	results := make([]schema.Result, len(ids))
	decoder := r.decoder()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, id := range ids {
		g.Go(func() (err error) {
			results[i], err = r.one(ctx, decoder, id)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range results {
		r.Sink.Forget(ids[i])
		r.skipped(results[i].Skipped)
		if _, err := results[i].Tell(r.Sink); err != nil {
			return err
		}
		results[i] = schema.Result{}
	}
	return nil
}

// one reads one record. A record that is gone, broken or another's says nothing.
func (r *run) one(ctx context.Context, decoder schema.Decoder, id string) (schema.Result, error) {
	address := r.base + "/" + url.PathEscape(id) + ".json"
	doc, err := r.Client.Get(ctx, address, advisory.Validator{})
	if sekisho.KindOf(err) == sekisho.NotFound {
		return schema.Result{}, nil
	}
	if err != nil {
		return schema.Result{}, err
	}
	data, err := io.ReadAll(io.LimitReader(doc, schema.MaxRecord+1))
	if err = errors.Join(err, doc.Close()); err != nil {
		return schema.Result{}, sekisho.Errorf(sekisho.Unavailable, "read %s: %w", address, err)
	}
	result, err := decoder.Decode(data)
	if err != nil || result.ID != id {
		return schema.Result{Skipped: map[string]int{schema.Malformed: 1}}, nil
	}
	return result, nil
}
