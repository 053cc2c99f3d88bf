package advisory

import (
	"context"
	"io"
	"time"
)

// Feed is one source of advisories: where it is and how it reads. Its room is
// below scan/advisory/feed.
type Feed interface {
	Info() Info
	// Update asks the source for what is new since u.State and tells it to
	// u.Sink. It returns the state to keep. An error leaves everything as it was.
	Update(ctx context.Context, u Update) (State, error)
}

// Info describes a feed.
type Info struct {
	Name       string   // short, stable: "debian", "osv", "redhat"
	Title      string   // as people call it
	URL        string   // where it is unless the user says otherwise
	Licence    string   // SPDX where there is one, else a short name
	Restricted bool     // the licence forbids redistribution: off unless switched on, never exported
	Ecosystems []string // what it can tell about, without releases; empty for feeds about CVEs
	Default    bool     // updated even when no scan has met its ecosystems
}

// Update is what a feed works with.
type Update struct {
	Client Client
	URL    string   // base, without a trailing slash; Info.URL or the user's
	Want   []string // ecosystems to fetch, some with releases ("Debian:12", "npm"); empty means all that the feed has
	State  State    // what it returned the last time; zero at first or when everything is to be read again
	Sink   Sink
	Now    time.Time
}

// State is what a feed remembers between updates.
type State struct {
	Validators map[string]Validator `json:"validators,omitempty"` // by URL
	Cursors    map[string]string    `json:"cursors,omitempty"`    // by ecosystem or document: a date, an id, a sum
	Newest     time.Time            `json:"newest,omitzero"`      // of the newest record
	Skipped    map[string]int       `json:"skipped,omitempty"`    // records left out on purpose or broken, by reason; for status
}

// Validator tells whether a document changed (RFC 9110, section 8.8).
type Validator struct {
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"` // Last-Modified as it came
}

// Client gets documents over HTTP or from a directory of the same layout.
type Client interface {
	// Get opens a document. With a validator that still holds, Document.Same is
	// true and there is no body. A missing document is sekisho.NotFound.
	// Downloads are whole before Get returns: broken ones are resumed by range,
	// and kept in a temporary file, not in memory.
	Get(ctx context.Context, url string, v Validator) (*Document, error)
}

// Document is what Client.Get opened. Close it.
type Document struct {
	io.ReadCloser
	io.ReaderAt // the same bytes
	Size        int64
	Same        bool
	Validator   Validator
}
