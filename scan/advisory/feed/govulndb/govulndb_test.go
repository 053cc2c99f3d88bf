package govulndb

import (
	"archive/zip"
	"bytes"
	"os"
	"slices"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

// mirror serves the shared records in the layout of vuln.go.dev.
func mirror(t testing.TB) *feedtest.Client {
	t.Helper()
	data, err := os.ReadFile(feedtest.Dir(t, "osv/Go/all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range all.File {
		f.Name = "ID/" + f.Name
		if err := w.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	if index, err := w.Create("index/db.json"); err != nil {
		t.Fatal(err)
	} else if _, err := index.Write([]byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c := feedtest.New()
	c.Bytes[New().Info().URL+"/vulndb.zip"] = buf.Bytes()
	c.Files[New().Info().URL+"/index/db.json"] = feedtest.Dir(t, "go-vulndb/index/db.json")
	return c
}

func TestUpdate(t *testing.T) {
	c := mirror(t)
	sink, state := feedtest.Update(t, New(), c, advisory.State{})
	if !slices.Equal(sink.Replaced, []string{"Go"}) || sink.NDetails != 4291-17 || state.Skipped["withdrawn"] != 17 {
		t.Errorf("replaced %v, %d details, skipped %v", sink.Replaced, sink.NDetails, state.Skipped)
	}
	if state.Cursors["Go"] != "2026-08-21T20:38:00Z" || state.Newest.IsZero() {
		t.Errorf("state %+v", state)
	}
	standard := 0
	for _, r := range sink.Of("stdlib") {
		if len(r.Symbols) > 0 {
			standard++
		}
	}
	if standard < 100 {
		t.Errorf("%d records of the standard library have symbols", standard)
	}
	c.Requests()
	sink, _ = feedtest.Update(t, New(), c, state)
	if got := c.Requests(); len(got) != 1 || len(sink.Records)+len(sink.Replaced) != 0 {
		t.Errorf("nothing changed, but asked %v", got)
	}
	c.Bytes[New().Info().URL+"/index/db.json"] = []byte("{}")
	f := New()
	if _, err := f.Update(t.Context(), advisory.Update{Client: c, URL: f.Info().URL, State: state, Sink: sink, Now: feedtest.Now()}); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("a broken index: %v", err)
	}
	if sink, _ = feedtest.Update(t, f, c, advisory.State{}, "npm"); len(sink.Replaced) != 0 {
		t.Error("Go is not wanted")
	}
}

// A flaw that govulncheck knows: the function that holds it, and since when.
func TestSymbols(t *testing.T) {
	sink, _ := feedtest.Update(t, New(), mirror(t), advisory.State{})
	for _, r := range sink.Of("GO-2022-0969") { // HTTP/2 in net/http, and golang.org/x/net
		if r.Package != "golang.org/x/net" {
			continue
		}
		if !slices.Contains(r.Aliases, "CVE-2022-27664") || len(r.Ranges) != 1 || r.Ranges[0].Fixed == "" || len(r.Symbols) != 1 || r.Symbols[0].Package != "golang.org/x/net/http2" || !slices.Contains(r.Symbols[0].Names, "Server.ServeConn") {
			t.Errorf("got %+v", r)
		}
		return
	}
	t.Error("GO-2022-0969 says nothing of golang.org/x/net")
}
