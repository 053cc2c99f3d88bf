package osv

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
	"sekisho/scan/version"
)

// mirror serves the shared data in the bucket's layout, all of which is real.
func mirror(t testing.TB) *feedtest.Client {
	t.Helper()
	c := feedtest.New()
	c.Serve(t, bucket, feedtest.Dir(t, "osv"))
	return c
}

func TestWholeThenNothing(t *testing.T) {
	c := mirror(t)
	f := New("PyPI")
	sink, state := feedtest.Update(t, f, c, advisory.State{})
	if !slices.Equal(sink.Replaced, []string{"PyPI"}) || sink.NDetails != 2651 {
		t.Errorf("replaced %v, %d details", sink.Replaced, sink.NDetails)
	}
	if state.Skipped["withdrawn"] != 10 || state.Newest.Format(time.DateOnly) != "2024-10-10" || state.Cursors[cursor] != "2024-10-10T17:22:00.587279Z" {
		t.Errorf("state %+v", state)
	}
	c.Requests()
	sink, _ = feedtest.Update(t, f, c, state)
	if sink.NRecords+len(sink.Replaced)+len(sink.Forgot) != 0 {
		t.Errorf("nothing changed, but %d records, replaced %v, forgot %v", sink.NRecords, sink.Replaced, sink.Forgot)
	}
	if got := c.Requests(); !slices.Equal(got, []string{bucket + "/PyPI/modified_id.csv"}) {
		t.Errorf("asked %v", got)
	}
	if sink, _ = feedtest.Update(t, f, c, advisory.State{}, "npm"); len(sink.Replaced)+len(c.Requests()) != 0 {
		t.Error("PyPI is not wanted")
	}
}

func TestFeeds(t *testing.T) {
	c := mirror(t)
	names, found := map[string]bool{}, 0
	for _, f := range Feeds() {
		info := f.Info()
		if names[info.Name] || strings.Trim(info.Name, "abcdefghijklmnopqrstuvwxyz-") != "" || info.Restricted || info.Licence == "" || len(info.Ecosystems) != 1 {
			t.Errorf("got %+v", info)
		}
		names[info.Name] = true
		if _, ok := version.Of(info.Ecosystems[0]); !ok && info.Default {
			t.Errorf("%s: versions have no order", info.Ecosystems[0])
		}
		if e := info.Ecosystems[0]; e == "AlmaLinux" || e == "Bitnami" {
			continue // large ones, read elsewhere
		}
		_, err := f.Update(t.Context(), advisory.Update{Client: c, URL: info.URL, Sink: &feedtest.Sink{Count: true}, Now: feedtest.Now()})
		switch {
		case err == nil:
			found++
		case sekisho.KindOf(err) != sekisho.NotFound:
			t.Errorf("%s: %v", info.Name, err)
		}
	}
	if found != 5 { // Go, PyPI, crates.io, Maven and npm are there
		t.Errorf("%d feeds could be read", found)
	}
	if New("OSS-Fuzz") != nil {
		t.Error("OSS-Fuzz has no packages")
	}
}

// small is a bucket of few records that tests change.
type small struct {
	*feedtest.Client
	base string
}

func newSmall(dir string) *small {
	return &small{feedtest.New(), bucket + "/" + dir}
}

func record(id, modified, version string) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,"affected":[{"package":{"ecosystem":"npm","name":"x"},"versions":[%q]},{"package":{"ecosystem":"PyPI","name":"X_y"},"versions":[%q]}]}`, id, modified, version, version)
}

// set serves records, as "id time" lines newest first, whole and one by one.
func (s *small) set(t *testing.T, lines ...string) {
	t.Helper()
	var buf, list bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, line := range lines {
		id, stamp, _ := strings.Cut(line, " ")
		text := record(id, stamp, "1."+stamp[8:10])
		fmt.Fprintf(&list, "%s,%s\n", stamp, id)
		f, err := w.Create(id + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
		s.Bytes[s.base+"/"+id+".json"] = []byte(text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.Bytes[s.base+"/all.zip"], s.Bytes[s.base+"/modified_id.csv"] = buf.Bytes(), list.Bytes()
}

func TestChangesOnly(t *testing.T) {
	s := newSmall("npm")
	s.set(t, "GHSA-b 2026-11-20T00:00:00Z", "GHSA-a 2026-11-10T00:00:00Z")
	_, state := feedtest.Update(t, New("npm"), s.Client, advisory.State{}, "npm")
	s.Requests()
	s.set(t, "GHSA-c 2026-11-24T00:00:00Z", "GHSA-a 2026-11-22T00:00:00Z", "GHSA-b 2026-11-20T00:00:00Z")
	// GHSA-c is listed already, but not there yet.
	delete(s.Bytes, s.base+"/GHSA-c.json")
	sink, state := feedtest.Update(t, New("npm"), s.Client, state, "npm")
	if len(sink.Replaced) != 0 {
		t.Errorf("replaced %v", sink.Replaced)
	}
	if want := []string{"GHSA-c", "GHSA-a", "GHSA-b"}; !slices.Equal(sink.Forgot, want) {
		t.Errorf("forgot %v, want %v", sink.Forgot, want)
	}
	if got := sink.Of("GHSA-a"); len(got) != 1 || got[0].Versions[0] != "1.22" || got[0].Ecosystem != "npm" {
		t.Errorf("got %+v", got)
	}
	if len(s.Requests()) != 4 {
		t.Error("want the list and three records")
	}
	s.set(t, "GHSA-d 2026-11-25T00:00:00Z", "GHSA-c 2026-11-24T00:00:00Z", "GHSA-a 2026-11-22T00:00:00Z", "GHSA-b 2026-11-20T00:00:00Z")
	s.Bytes[s.base+"/GHSA-d.json"] = []byte(`{"id":"GHSA-other"}`)
	sink, _ = feedtest.Update(t, New("npm"), s.Client, state, "npm")
	if got := sink.Of("GHSA-c"); len(got) != 1 || len(sink.Forgot) != 2 {
		t.Errorf("the record that had come late: %+v, forgot %v", got, sink.Forgot)
	}
}

func TestWithdrawnAndDeleted(t *testing.T) {
	s := newSmall("npm")
	s.set(t, "GHSA-b 2026-11-20T00:00:00Z", "GHSA-a 2026-11-10T00:00:00Z")
	_, state := feedtest.Update(t, New("npm"), s.Client, advisory.State{}, "npm")
	s.set(t, "GHSA-a 2026-11-21T00:00:00Z", "GHSA-b 2026-11-20T00:00:00Z")
	s.Bytes[s.base+"/GHSA-a.json"] = []byte(`{"id":"GHSA-a","withdrawn":"2026-11-21T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"x"},"versions":["1"]}]}`)
	sink, state := feedtest.Update(t, New("npm"), s.Client, state, "npm")
	if !slices.Contains(sink.Forgot, "GHSA-a") || len(sink.Of("GHSA-a")) != 0 || state.Skipped["withdrawn"] != 1 {
		t.Errorf("withdrawn: forgot %v, records %v, skipped %v", sink.Forgot, sink.Records, state.Skipped)
	}
	s.set(t, "GHSA-b 2026-11-20T00:00:00Z")
	sink, _ = feedtest.Update(t, New("npm"), s.Client, state, "npm")
	if !slices.Equal(sink.Replaced, []string{"npm"}) || len(sink.Records) != 1 {
		t.Errorf("deleted: the list is shorter, but replaced %v", sink.Replaced)
	}
}

func TestManyChangesAndOldState(t *testing.T) {
	s := newSmall("npm")
	s.set(t, "GHSA-a 2026-11-10T00:00:00Z")
	_, state := feedtest.Update(t, New("npm"), s.Client, advisory.State{}, "npm")
	var lines []string
	for i := range maxIncrement + 10 {
		lines = append(lines, fmt.Sprintf("GHSA-%d 2026-11-24T00:00:00Z", i))
	}
	s.set(t, append(lines, "GHSA-a 2026-11-10T00:00:00Z")...)
	s.Requests()
	sink, state := feedtest.Update(t, New("npm"), s.Client, state, "npm")
	if got := s.Requests(); len(got) != 2 || len(sink.Replaced) != 1 || len(sink.Records) != maxIncrement+11 {
		t.Errorf("many changes: asked %d times, replaced %v, %d records", len(got), sink.Replaced, len(sink.Records))
	}
	// The whole is read again after a week, if it changed.
	f := New("npm")
	later := &feedtest.Sink{}
	state, err := f.Update(t.Context(), advisory.Update{Client: s.Client, URL: f.Info().URL, Want: []string{"npm"}, State: state, Sink: later, Now: feedtest.Now().Add(8 * 24 * time.Hour)})
	if err != nil || len(later.Replaced) != 0 || len(later.Records) != 0 {
		t.Errorf("the same zip file a week later: %v, replaced %v", err, later.Replaced)
	}
	if got := s.Requests(); len(got) != 2 || state.Cursors[whole] != "2026-12-03T12:00:00Z" {
		t.Errorf("asked %v, state %v", got, state.Cursors)
	}
}

func TestReleases(t *testing.T) {
	c := mirror(t)
	f := New("AlmaLinux")
	sink := &feedtest.Sink{}
	u := advisory.Update{Client: c, URL: f.Info().URL, Want: []string{"AlmaLinux:9"}, Sink: sink, Now: feedtest.Now()}
	state, err := f.Update(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sink.Replaced, []string{"AlmaLinux:9"}) || slices.ContainsFunc(sink.Records, func(r advisory.Record) bool { return r.Ecosystem != "AlmaLinux:9" }) {
		t.Errorf("replaced %v", sink.Replaced)
	}
	n := len(sink.Records)
	u.Sink, u.State, u.Want = &feedtest.Sink{Count: true}, state, []string{"AlmaLinux:9", "AlmaLinux:10"}
	if _, err = f.Update(t.Context(), u); err != nil || u.Sink.(*feedtest.Sink).NRecords <= n {
		t.Errorf("another release needs the whole: %v, %d records", err, u.Sink.(*feedtest.Sink).NRecords)
	}
}

func TestOutage(t *testing.T) {
	s := newSmall("npm")
	s.set(t, "GHSA-a 2026-11-10T00:00:00Z")
	_, state := feedtest.Update(t, New("npm"), s.Client, advisory.State{}, "npm")
	s.set(t, "GHSA-b 2026-11-12T00:00:00Z", "GHSA-a 2026-11-10T00:00:00Z")
	s.Fail[s.base+"/GHSA-b.json"] = sekisho.Errorf(sekisho.Unavailable, "no answer")
	f := New("npm")
	after, err := f.Update(t.Context(), advisory.Update{Client: s.Client, URL: f.Info().URL, Want: []string{"npm"}, State: state, Sink: &feedtest.Sink{}, Now: feedtest.Now()})
	if sekisho.KindOf(err) != sekisho.Unavailable || after.Cursors[cursor] != state.Cursors[cursor] || s.Open() != 0 {
		t.Errorf("err %v, cursor %q", err, after.Cursors[cursor])
	}
}

// A date in the future must not hide what comes until then.
func TestFutureDate(t *testing.T) {
	s := newSmall("npm")
	s.set(t, "GHSA-a 2099-11-10T00:00:00Z")
	_, state := feedtest.Update(t, New("npm"), s.Client, advisory.State{}, "npm")
	if state.Cursors[cursor] != feedtest.Now().Format(time.RFC3339Nano) || state.Newest.After(feedtest.Now()) {
		t.Errorf("state %+v", state)
	}
}

func FuzzChanges(f *testing.F) {
	f.Add([]byte("2026-11-24T00:00:00Z,GHSA-a\n2026-11-22T00:00:00Z,../../x\n,\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := feedtest.New()
		c.Bytes["x"] = data
		state := advisory.State{Skipped: map[string]int{}}
		r := run{Update: advisory.Update{Client: c}, name: "npm", next: &state}
		got, err := r.changes(t.Context(), "x", advisory.Validator{}, time.Time{})
		if err == nil && (len(got.ids) > maxIncrement+1 || len(got.ids) > got.rows) {
			t.Fatalf("%d ids of %d rows", len(got.ids), got.rows)
		}
		for _, id := range got.ids {
			if strings.ContainsAny(id, "/\\?#% ") {
				t.Fatalf("id %q", id)
			}
		}
	})
}

func TestStore(t *testing.T) {
	for _, name := range []string{"AlmaLinux", "Go", "PyPI"} {
		stats := feedtest.Store(t, New(name), mirror(t))
		t.Logf("%s: %d records, %d details in %d bytes", name, stats.Records, stats.Details, stats.Bytes)
	}
}
