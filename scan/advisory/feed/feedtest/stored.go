package feedtest

import (
	"testing"

	"sekisho/scan/advisory"
)

// Stored runs a feed into a new database and opens it. Nothing that the feed
// tells may be refused or come twice.
func Stored(t testing.TB, f advisory.Feed, c *Client, want ...string) (*advisory.DB, advisory.Stats) {
	t.Helper()
	dir := t.TempDir()
	s, err := advisory.OpenStore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := s.Begin(f.Info())
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
	if stats.Refused != 0 || stats.Duplicates != 0 {
		t.Errorf("%d refused (%s), %d told twice", stats.Refused, stats.Reason, stats.Duplicates)
	}
	db, err := advisory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, stats
}
