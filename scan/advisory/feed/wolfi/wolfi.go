// Package wolfi feeds the security databases of Wolfi and Chainguard: one
// document each in Alpine's form. Their licence lets a user fetch them for
// scanning, and forbids passing them on: the feeds are off until they are
// switched on, and what they tell is never exported.
package wolfi

import (
	"context"
	"errors"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/alpine/secdb"
	"sekisho/scan/advisory/feed/internal/source"
)

type feed struct{ info advisory.Info }

// New returns the feed of Wolfi.
func New() advisory.Feed {
	return feed{advisory.Info{
		Name: "wolfi", Title: "Wolfi", URL: "https://packages.wolfi.dev/os", Licence: "CC-BY-NC-ND-4.0, for use in scanning only", Restricted: true, Ecosystems: []string{"Wolfi"},
	}}
}

// NewChainguard returns the feed of Chainguard's packages.
func NewChainguard() advisory.Feed {
	return feed{advisory.Info{
		Name: "chainguard", Title: "Chainguard", URL: "https://packages.cgr.dev/chainguard", Licence: "CC-BY-NC-ND-4.0, for use in scanning only", Restricted: true, Ecosystems: []string{"Chainguard"},
	}}
}

// Info describes the feed.
func (f feed) Info() advisory.Info { return f.info }

// Update reads the document when it changed. Packages are named by origin;
// version "0" means that the package was never affected.
func (f feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	address := u.URL + "/security.json"
	doc, err := u.Client.Get(ctx, address, u.State.Validators[address])
	if err != nil {
		return u.State, err
	}
	if doc.Same {
		return u.State, doc.Close()
	}
	var db secdb.Database
	if err := errors.Join(db.Read(doc), doc.Close()); err != nil {
		return u.State, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", address, err)
	}
	ecosystem := f.info.Ecosystems[0]
	u.Sink.Replace(ecosystem)
	if err := db.Tell(ecosystem, u.Sink); err != nil {
		return u.State, err
	}
	return advisory.State{Validators: map[string]advisory.Validator{address: doc.Validator}, Newest: source.Modified(doc.Validator, u.Now), Skipped: db.Skipped}, nil
}
