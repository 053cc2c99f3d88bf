// Package feedtest serves tests of feeds: a client that gives files and bytes
// in place of the hosts, and keeps what was asked; a sink that keeps what it
// was told. It reads the shared test data and refuses what it was not given.
package feedtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"sekisho"
	"sekisho/internal/fixture"
	"sekisho/scan/advisory"
)

// Dir returns a directory or file of the shared advisories, by its path below
// them: "osv/Go/all.zip".
func Dir(t testing.TB, name string) string {
	t.Helper()
	return fixture.Dir(t, filepath.Join("..", "advisories", filepath.FromSlash(name)))
}

// Read returns the content of a file of the shared advisories, unpacked when
// its name ends in .xz.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(Dir(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(name) != ".xz" {
		return data
	}
	r, err := xz.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return data
}

// Client is an advisory.Client of files and bytes by URL. It is safe for
// concurrent use; change the maps only between updates.
type Client struct {
	Files map[string]string // the document's file
	Bytes map[string][]byte // the document itself
	Fail  map[string]error  // answered instead of a document

	Modified string // Last-Modified of every document

	mu   sync.Mutex
	got  []string
	open int
}

// New returns an empty client.
func New() *Client {
	return &Client{Files: map[string]string{}, Bytes: map[string][]byte{}, Fail: map[string]error{}}
}

// Serve gives every file below dir under base.
func (c *Client) Serve(t testing.TB, base, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		c.Files[base+"/"+filepath.ToSlash(rel)] = name
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Requests returns the URLs that were asked since the last call, in order.
func (c *Client) Requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// Open returns how many documents were opened and not closed.
func (c *Client) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// Get implements advisory.Client. The entity tag is a digest of the content.
func (c *Client) Get(ctx context.Context, url string, v advisory.Validator) (*advisory.Document, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.got = append(c.got, url)
	c.mu.Unlock()
	if err := c.Fail[url]; err != nil {
		return nil, err
	}
	data, ok := c.Bytes[url]
	if !ok {
		name, ok := c.Files[url]
		if !ok {
			return nil, sekisho.Errorf(sekisho.NotFound, "get %s: not there", url)
		}
		var err error
		if data, err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	if v.ETag == tag {
		return &advisory.Document{Same: true, Validator: v, ReadCloser: io.NopCloser(bytes.NewReader(nil)), ReaderAt: bytes.NewReader(nil)}, nil
	}
	c.mu.Lock()
	c.open++
	c.mu.Unlock()
	body := bytes.NewReader(data)
	return &advisory.Document{ReadCloser: &closer{Reader: body, client: c}, ReaderAt: bytes.NewReader(data), Size: int64(len(data)), Validator: advisory.Validator{ETag: tag, Modified: c.Modified}}, nil
}

type closer struct {
	io.Reader
	client *Client
	once   sync.Once
}

// Close counts the document as closed, once.
func (c *closer) Close() error {
	c.once.Do(func() {
		c.client.mu.Lock()
		c.client.open--
		c.client.mu.Unlock()
	})
	return nil
}

// Sink keeps what a feed tells, in order. With Count it keeps only the numbers.
type Sink struct {
	Count bool

	Records  []advisory.Record
	Details  []advisory.Detail
	Texts    []advisory.Text
	Signals  []advisory.Signal
	Replaced []string
	Forgot   []string

	NRecords, NDetails, NSignals int
}

// Replace implements advisory.Sink.
func (s *Sink) Replace(ecosystem string) { s.Replaced = append(s.Replaced, ecosystem) }

// Forget implements advisory.Sink.
func (s *Sink) Forget(id string) { s.Forgot = append(s.Forgot, id) }

// Record implements advisory.Sink.
func (s *Sink) Record(r advisory.Record) error {
	s.NRecords++
	if !s.Count {
		s.Records = append(s.Records, r)
	}
	return nil
}

// Detail implements advisory.Sink.
func (s *Sink) Detail(d advisory.Detail, t advisory.Text) error {
	s.NDetails++
	if !s.Count {
		s.Details, s.Texts = append(s.Details, d), append(s.Texts, t)
	}
	return nil
}

// Signal implements advisory.Sink.
func (s *Sink) Signal(g advisory.Signal) error {
	s.NSignals++
	if !s.Count {
		s.Signals = append(s.Signals, g)
	}
	return nil
}

// Of returns the records with an id, or about a package.
func (s *Sink) Of(idOrPackage string) (out []advisory.Record) {
	for _, r := range s.Records {
		if r.ID == idOrPackage || r.Package == idOrPackage {
			out = append(out, r)
		}
	}
	return out
}

// Detail1 returns the last detail with an id and its text.
func (s *Sink) Detail1(id string) (advisory.Detail, advisory.Text) {
	for i := len(s.Details) - 1; i >= 0; i-- {
		if s.Details[i].ID == id {
			return s.Details[i], s.Texts[i]
		}
	}
	return advisory.Detail{}, advisory.Text{}
}

// Update runs a feed against the client, with its own URL and a fixed clock,
// and fails the test on an error or a document left open.
func Update(t testing.TB, f advisory.Feed, c *Client, state advisory.State, want ...string) (*Sink, advisory.State) {
	t.Helper()
	sink := &Sink{}
	state, err := f.Update(t.Context(), advisory.Update{Client: c, URL: f.Info().URL, Want: want, State: state, Sink: sink, Now: Now()})
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Open(); n != 0 {
		t.Errorf("%d documents were left open", n)
	}
	return sink, state
}

// Now is the time of the tests.
func Now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// Store puts what a feed tells into a new database, and fails the test when
// the database refused something or was told something twice.
func Store(t testing.TB, f advisory.Feed, c *Client, want ...string) advisory.Stats {
	t.Helper()
	store, err := advisory.OpenStore(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	b, err := store.Begin(f.Info())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Abort()
	state, err := f.Update(t.Context(), advisory.Update{Client: c, URL: f.Info().URL, Want: want, Sink: b, Now: Now()})
	if err != nil {
		t.Fatal(err)
	}
	stats, err := b.Commit(state, Now())
	if err != nil {
		t.Fatal(err)
	}
	if stats.Refused > 0 || stats.Duplicates > 0 {
		t.Errorf("%s: %d records were refused (%s), %d came twice", f.Info().Name, stats.Refused, stats.Reason, stats.Duplicates)
	}
	return stats
}
