package alpine

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/alpine/secdb"
	"sekisho/scan/advisory/feed/feedtest"
)

func mirror(t testing.TB) *feedtest.Client {
	t.Helper()
	c := feedtest.New()
	c.Serve(t, New().Info().URL, feedtest.Dir(t, "alpine-secdb"))
	return c
}

// TestCounts holds what is read to the counts that were made when the data was
// collected: 12,028 fixes in nine branches.
func TestCounts(t *testing.T) {
	c := mirror(t)
	entries := 0
	for _, name := range slices.Sorted(maps.Values(c.Files)) {
		var db secdb.Database
		if err := db.Read(bytes.NewReader(feedtest.Read(t, "alpine-secdb/"+name[strings.LastIndex(name, "/v")+1:]))); err != nil {
			t.Fatal(err)
		}
		entries += db.Entries
	}
	if entries != 12028 {
		t.Errorf("%d entries, want 12028", entries)
	}
	sink, state := feedtest.Update(t, New(), c, advisory.State{})
	want := []string{"Alpine:3.3", "Alpine:3.4", "Alpine:3.5", "Alpine:3.6", "Alpine:3.7", "Alpine:3.8", "Alpine:3.9", "Alpine:3.10", "Alpine:3.11"}
	if !slices.Equal(sink.Replaced, want) {
		t.Errorf("replaced %v", sink.Replaced)
	}
	seen, skipped := map[string]bool{}, 0
	for _, r := range sink.Records {
		key := r.Ecosystem + r.Package + " " + r.ID
		if seen[key] || !r.Source || r.Status != sekisho.StatusFixed && r.Status != sekisho.StatusNotAffected || strings.Contains(r.ID, "?") {
			t.Fatalf("got %+v", r)
		}
		seen[key] = true
	}
	for _, n := range state.Skipped {
		skipped += n
	}
	if skipped != 0 {
		t.Errorf("skipped %v", state.Skipped)
	}
	t.Logf("%d entries, %d records, skipped %v", entries, len(sink.Records), state.Skipped)
}

func TestEntries(t *testing.T) {
	c := feedtest.New()
	c.Bytes[New().Info().URL+"/edge/main.json"] = []byte(`{"packages":[
		{"pkg":{"name":"jenkins","secfixes":{"2.332.1-r0":["CVE-2022-20612"],"2.319.2-r0":["CVE-2022-20612"]}}},
		{"pkg":{"name":"xen","secfixes":{"4.9.0-r0":["CVE-2017-8904 XSA-214","CVE-2017-10920 XSA-224","CVE-2017-10921 XSA-224","CVE-????-?????  XSA-295","XSA-207"],"0":["CVE-2017-1111 CVE-2017-2222 XSA-1"]}}},
		{"pkg":{"name":"mariadb","secfixes":{"10.3.13-r0":["CVE_2019-2426","CVE-2017-17434-2","CVE-2019-1111"],"0":["CVE-2019-1111"]}}},
		{"pkg":{"name":"tcpdump","secfixes":{"4.9.3-r0":["CVE-2018-10103 (SMB - partially fixed, but SMB printing disabled)","CVE 2018-16859","CVE-2019-19451.patch"]}}},
		{"pkg":{"name":"odd","secfixes":""}},
		{"pkg":{"name":"docker","secfixes":{"18.09.8":["CVE-2019-13509"],"18.10-r0":"","18.11-r0":"CVE-2020-0001"," 1-r0 ":["",":"]}}}]}`)
	sink, state := feedtest.Update(t, New(), c, advisory.State{}, "Alpine:edge")
	got := map[string]string{}
	for _, r := range sink.Records {
		got[r.Package+" "+r.ID] = r.Status + " " + r.Ranges[0].Fixed + " " + strings.Join(r.Aliases, ",")
		if r.Ecosystem != "Alpine:edge" {
			t.Errorf("got %+v", r)
		}
	}
	want := map[string]string{
		"jenkins CVE-2022-20612": "fixed 2.319.2-r0 ", // the lowest
		"xen CVE-2017-8904":      "fixed 4.9.0-r0 XSA-214", "xen CVE-2017-10920": "fixed 4.9.0-r0 ", "xen CVE-2017-10921": "fixed 4.9.0-r0 ",
		"xen XSA-295": "fixed 4.9.0-r0 ", "xen XSA-207": "fixed 4.9.0-r0 ",
		"xen CVE-2017-1111": "not_affected  ", "xen CVE-2017-2222": "not_affected  ",
		"tcpdump CVE-2018-10103": "fixed 4.9.3-r0 ", "tcpdump CVE-2018-16859": "fixed 4.9.3-r0 ", "tcpdump CVE-2019-19451": "fixed 4.9.3-r0 ",
		"mariadb CVE-2019-2426": "fixed 10.3.13-r0 ", "mariadb CVE-2017-17434": "fixed 10.3.13-r0 ", "mariadb CVE-2019-1111": "fixed 10.3.13-r0 ",
		"docker CVE-2019-13509": "fixed 18.09.8 ", "docker CVE-2020-0001": "fixed 18.11-r0 ",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if state.Skipped["Alpine:edge: malformed"] != 3 {
		t.Errorf("skipped %v", state.Skipped)
	}
}

func TestBranches(t *testing.T) {
	c := mirror(t)
	c.Modified = "Mon, 08 Jun 2020 10:00:00 GMT"
	base := New().Info().URL
	sink, state := feedtest.Update(t, New(), c, advisory.State{}, "Alpine:3.11", "Alpine:3.99", "Debian:12")
	if !slices.Equal(sink.Replaced, []string{"Alpine:3.11"}) {
		t.Errorf("replaced %v", sink.Replaced)
	}
	if got, want := c.Requests(), []string{base + "/v3.11/main.json", base + "/v3.11/community.json", base + "/v3.99/main.json"}; !slices.Equal(got, want) {
		t.Errorf("asked %v", got)
	}
	if state.Newest.Format("2006-01-02") != "2020-06-08" {
		t.Errorf("newest %v: records have no dates, but the document has", state.Newest)
	}
	n := len(sink.Records)
	if sink, _ = feedtest.Update(t, New(), c, state, "Alpine:3.11"); len(sink.Replaced) != 0 {
		t.Error("nothing changed")
	}
	// One document changed: the other is told again with it.
	c.Bytes[base+"/v3.11/community.json"] = []byte(`{"packages":[{"pkg":{"name":"x","secfixes":{"1-r0":["CVE-2024-0001"]}}}]}`)
	sink, state = feedtest.Update(t, New(), c, state, "Alpine:3.11")
	if len(sink.Of("openssl")) == 0 || len(sink.Of("x")) != 1 || len(sink.Records) >= n {
		t.Errorf("%d records, %d before", len(sink.Records), n)
	}
	// Half of the branch is not there: what was known stays.
	delete(c.Bytes, base+"/v3.11/community.json")
	delete(c.Files, base+"/v3.11/community.json")
	f := New()
	sink = &feedtest.Sink{}
	if _, err := f.Update(t.Context(), advisory.Update{Client: c, URL: base, Want: []string{"Alpine:3.11"}, State: state, Sink: sink, Now: feedtest.Now()}); sekisho.KindOf(err) != sekisho.NotFound || len(sink.Replaced) != 0 || c.Open() != 0 {
		t.Errorf("half a branch: %v, replaced %v", err, sink.Replaced)
	}
	c.Fail[base+"/v3.11/main.json"] = sekisho.Errorf(sekisho.Unavailable, "no answer")
	if _, err := f.Update(t.Context(), advisory.Update{Client: c, URL: base, State: state, Sink: sink, Now: feedtest.Now()}); sekisho.KindOf(err) != sekisho.Unavailable || c.Open() != 0 {
		t.Errorf("an outage: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"packages":[{"pkg":{"name":"xen","secfixes":{"4.9.0-r0":["CVE-2017-8904 XSA-214"],"0":["CVE_2017-1111"]}}}]}`))
	f.Add([]byte(`{"packages":[{"pkg":{"name":"x","secfixes":""}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var db secdb.Database
		if db.Read(bytes.NewReader(data)) != nil {
			return
		}
		sink := &feedtest.Sink{}
		if err := db.Tell("Alpine:edge", sink); err != nil {
			t.Fatal(err)
		}
		for _, r := range sink.Records {
			if r.ID == "" || r.Package == "" || r.Status == "" || r.Status == sekisho.StatusFixed && r.Ranges[0].Fixed == "" {
				t.Fatalf("got %+v", r)
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	c := mirror(b)
	f := New()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Update(b.Context(), advisory.Update{Client: c, URL: f.Info().URL, Sink: &feedtest.Sink{Count: true}, Now: feedtest.Now()}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(12028*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func TestStore(t *testing.T) {
	stats := feedtest.Store(t, New(), mirror(t))
	if stats.Records < 11_000 {
		t.Errorf("%+v", stats)
	}
	t.Logf("%d records in %d bytes", stats.Records, stats.Bytes)
}
