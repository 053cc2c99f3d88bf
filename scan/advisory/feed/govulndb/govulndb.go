// Package govulndb feeds the Go vulnerability database from its own host: flaws
// of modules with the functions that hold them. One zip file of OSV records
// comes in, read as OSV.dev's are.
//
// OSV.dev's directory for Go holds the same records with their symbols, and
// GitHub's and the malicious ones beside them, so that is the feed which is on
// by default; this one is for those who mirror vuln.go.dev (GOVULNDB) and
// nothing else. With both on, each says the same of a module twice.
package govulndb

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/osv/schema"
)

const maxIndex = 1 << 20

type feed struct{}

// New returns the feed.
func New() advisory.Feed { return feed{} }

// Info describes the feed.
func (feed) Info() advisory.Info {
	return advisory.Info{Name: "govulndb", Title: "Go vulnerability database", URL: "https://vuln.go.dev", Licence: "CC-BY-4.0", Ecosystems: []string{"Go"}}
}

// Update reads the whole when the index says that it changed: it is small
// (4 MB), and what was deleted is gone that way.
func (feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	if !advisory.Wanted(u.Want, "Go") {
		return u.State, nil
	}
	next := advisory.State{Validators: maps.Clone(u.State.Validators), Cursors: map[string]string{}, Newest: u.State.Newest}
	if next.Validators == nil {
		next.Validators = map[string]advisory.Validator{}
	}
	modified, err := changed(ctx, u, next.Validators)
	if err != nil || modified == "" {
		return u.State, err
	}
	next.Cursors["Go"] = modified
	if modified == u.State.Cursors["Go"] {
		return next, nil
	}
	address := u.URL + "/vulndb.zip"
	doc, err := u.Client.Get(ctx, address, advisory.Validator{})
	if err != nil {
		return u.State, err
	}
	u.Sink.Replace("Go")
	d := schema.Decoder{
		Order: schema.OrderOf,
		Keep:  func(ecosystem string) bool { return ecosystem == "Go" },
		Entry: func(name string) bool { return path.Base(path.Dir(name)) != "index" },
	}
	sum, err := d.Zip(ctx, doc.ReaderAt, doc.Size, u.Sink)
	if err = errors.Join(err, doc.Close()); err != nil {
		return u.State, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", address, err)
	}
	next.Skipped, next.Newest = sum.Skipped, sum.Newest
	return next, nil
}

// changed returns when the database changed last; empty when the index is the
// one that was read.
func changed(ctx context.Context, u advisory.Update, validators map[string]advisory.Validator) (string, error) {
	address := u.URL + "/index/db.json"
	doc, err := u.Client.Get(ctx, address, u.State.Validators[address])
	if err != nil {
		return "", err
	}
	if doc.Same {
		return "", doc.Close()
	}
	data, err := io.ReadAll(io.LimitReader(doc, maxIndex))
	if err = errors.Join(err, doc.Close()); err != nil {
		return "", sekisho.Errorf(sekisho.Unavailable, "read %s: %w", address, err)
	}
	var index struct {
		Modified string `json:"modified"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return "", sekisho.Errorf(sekisho.Invalid, "read %s: %w", address, err)
	}
	if _, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(index.Modified)); err != nil {
		return "", sekisho.Errorf(sekisho.Invalid, "read %s: %w", address, err)
	}
	validators[address] = doc.Validator
	return index.Modified, nil
}
