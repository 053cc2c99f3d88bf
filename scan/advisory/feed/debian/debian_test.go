package debian

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

func serve(document []byte) *feedtest.Client {
	c := feedtest.New()
	c.Bytes[tracker+"/data/json"] = document
	return c
}

func lists(t testing.TB, c *feedtest.Client) *feedtest.Client {
	t.Helper()
	for _, name := range []string{"DSA", "DLA"} {
		c.Files[salsa+"/data/"+name+"/list"] = feedtest.Dir(t, "debian-security-tracker/data/"+name+"/list")
	}
	return c
}

// TestCounts holds what is read to the counts that were made when the
// documents were.
func TestCounts(t *testing.T) {
	for _, c := range []struct {
		name             string
		sources, pairs   int
		rows             int
		releases         []string
		notAffected, eol int
	}{
		{"debian-security-tracker/derived/tracker-from-dsa-dla.json.xz", 2060, 24049, 33999, []string{"Debian:10", "Debian:11", "Debian:3.0", "Debian:3.1", "Debian:4.0", "Debian:5.0", "Debian:6.0", "Debian:7", "Debian:8", "Debian:9"}, 0, 0},
		{"debian-security-tracker/derived/tracker-from-changelogs.json.xz", 175, 0, 7046, []string{"Debian:11", "Debian:12", "Debian:13"}, 0, 0},
		{"vendor-samples/debian/debian.json", 0, 0, 25, []string{"Debian:10", "Debian:11", "Debian:12", "Debian:13", "Debian:8", "Debian:9", "Debian:sid"}, 4, 2},
	} {
		sink, state := feedtest.Update(t, New(), serve(feedtest.Read(t, c.name)), advisory.State{})
		sources, pairs, status := map[string]bool{}, map[string]bool{}, map[string]int{}
		for _, r := range sink.Records {
			sources[r.Package], pairs[r.Package+" "+r.ID] = true, true
			status[r.Status]++
			if !r.Source || len(r.Ranges) != 1 {
				t.Fatalf("got %+v", r)
			}
		}
		if len(sink.Records) != c.rows || c.sources > 0 && len(sources) != c.sources || c.pairs > 0 && len(pairs) != c.pairs {
			t.Errorf("%s: %d rows, %d sources, %d pairs; skipped %v", c.name, len(sink.Records), len(sources), len(pairs), state.Skipped)
		}
		if !slices.Equal(sink.Replaced, c.releases) {
			t.Errorf("%s: replaced %v, want %v", c.name, sink.Replaced, c.releases)
		}
		if c.notAffected > 0 && (status[sekisho.StatusNotAffected] != c.notAffected || status[sekisho.StatusEndOfLife] != c.eol) {
			t.Errorf("%s: %v", c.name, status)
		}
		t.Logf("%s: %v", c.name, status)
	}
}

func TestStatuses(t *testing.T) {
	sink, state := feedtest.Update(t, New(), serve([]byte(`{"glibc": {
	"CVE-2024-0001": {"description": "A flaw in libc 2.36. It is bad.", "debianbug": 1234, "scope": "remote", "releases": {
		"bookworm": {"status": "resolved", "repositories": {"bookworm": "2.36-9"}, "fixed_version": "2.36-9+deb12u1", "urgency": "medium**"},
		"trixie": {"status": "resolved", "fixed_version": "0", "urgency": "unimportant"},
		"sid": {"status": "open", "urgency": "not yet assigned"},
		"bullseye": {"status": "open", "urgency": "low", "nodsa": "Minor issue", "nodsa_reason": "ignored"},
		"buster": {"status": "open", "urgency": "end-of-life"},
		"stretch": {"status": "open", "urgency": "not yet assigned", "nodsa": "Minor issue", "nodsa_reason": ""},
		"jessie": {"status": "open", "urgency": "not yet assigned", "nodsa": "Later", "nodsa_reason": "postponed"},
		"forky": {"status": "undetermined", "urgency": "not yet assigned"},
		"zurg": {"status": "resolved", "urgency": "low"}}}}}`)), advisory.State{})
	want := map[string]advisory.Record{
		"Debian:12":  {Status: sekisho.StatusFixed, Ranges: []advisory.Range{{Fixed: "2.36-9+deb12u1"}}, Rating: "medium", Severity: "medium"},
		"Debian:13":  {Status: sekisho.StatusNotAffected, Rating: "unimportant", Severity: "none"},
		"Debian:sid": {Status: sekisho.StatusAffected},
		"Debian:11":  {Status: sekisho.StatusWontFix, Rating: "low", Severity: "low", Note: "Minor issue"},
		"Debian:10":  {Status: sekisho.StatusEndOfLife},
		"Debian:9":   {Status: sekisho.StatusDeferred, Note: "Minor issue"},
		"Debian:8":   {Status: sekisho.StatusDeferred, Note: "Later"},
		"Debian:14":  {Status: sekisho.StatusInvestigated},
	}
	if len(sink.Records) != len(want) {
		t.Errorf("%d records, want %d", len(sink.Records), len(want))
	}
	for _, r := range sink.Records {
		w := want[r.Ecosystem]
		if w.Ranges == nil {
			w.Ranges = []advisory.Range{{}}
		}
		if r.Status != w.Status || r.Rating != w.Rating || r.Severity != w.Severity || r.Note != w.Note || !slices.Equal(r.Ranges, w.Ranges) || r.Package != "glibc" {
			t.Errorf("%s: %+v", r.Ecosystem, r)
		}
	}
	if state.Skipped["unknown status"] != 1 {
		t.Errorf("skipped %v", state.Skipped)
	}
	if d, text := sink.Detail1("CVE-2024-0001"); text.Text != "A flaw in libc 2.36. It is bad." || d.Title != "A flaw in libc 2.36" || len(text.References) != 2 {
		t.Errorf("text %+v", text)
	}
}

// A release that left the document at its end of life is not replaced, so
// that what was last said of it stays.
func TestVanishedReleaseStays(t *testing.T) {
	c := serve([]byte(`{"a": {"CVE-2024-0001": {"releases": {"buster": {"status": "open"}, "bookworm": {"status": "open"}}}}}`))
	_, state := feedtest.Update(t, New(), c, advisory.State{})
	c.Bytes[tracker+"/data/json"] = []byte(`{"a": {"CVE-2024-0001": {"releases": {"bookworm": {"status": "open"}}}}}`)
	sink, state := feedtest.Update(t, New(), c, state)
	if !slices.Equal(sink.Replaced, []string{"Debian:12"}) || state.Cursors["Debian:10"] == "" {
		t.Errorf("replaced %v, cursors %v", sink.Replaced, state.Cursors)
	}
	sink, _ = feedtest.Update(t, New(), c, state)
	if len(sink.Replaced)+len(sink.Records) != 0 {
		t.Error("nothing changed")
	}
}

func TestAdvisories(t *testing.T) {
	document := feedtest.Read(t, "debian-security-tracker/derived/tracker-from-dsa-dla.json.xz")
	sink, state := feedtest.Update(t, New(), lists(t, serve(document)), advisory.State{}, "Debian:11", "npm")
	if state.Newest.Format("2006-01-02") != "2023-04-01" { // DLA-3380-1
		t.Errorf("newest %v", state.Newest)
	}
	if !slices.Equal(sink.Replaced, []string{"Debian:11"}) || len(sink.Records) != 1992 {
		t.Errorf("replaced %v, %d records", sink.Replaced, len(sink.Records))
	}
	beside := serve(document)
	beside.Files[tracker+"/data/DSA/list"] = feedtest.Dir(t, "debian-security-tracker/data/DSA/list")
	if other, _ := feedtest.Update(t, New(), beside, advisory.State{}, "Debian:11"); len(other.Of("CVE-2023-1393")[0].Advisories) != 1 {
		t.Error("a mirror has the lists beside the document")
	}
	named := 0
	for _, r := range sink.Records {
		if len(r.Advisories) > 0 && !r.Fixed.IsZero() {
			named++
		}
	}
	// The document was made of the lists: every row has its advisory.
	if named != len(sink.Records) {
		t.Errorf("%d of %d records name their advisory", named, len(sink.Records))
	}
	for _, r := range sink.Of("CVE-2023-1393") {
		if r.Package == "xorg-server" && (!slices.Equal(r.Advisories, []string{"DSA-5380-1"}) || r.Fixed.Format("2006-01-02") != "2023-03-29") {
			t.Errorf("got %+v", r)
		}
	}
}

func TestBrokenDocuments(t *testing.T) {
	for name, document := range map[string]string{
		"cut off":          `{"a": {"CVE-2024-0001": {"releases": {"bookworm": {"status": "open"}}}`,
		"a list":           `[]`,
		"two values":       `{"a": {}} {}`,
		"empty":            ``,
		"a huge entry":     `{"a": {"CVE-2024-0001": {"description": "` + strings.Repeat("x", 2*maxEntry) + `"}}}`,
		"a huge key":       `{"` + strings.Repeat("x", 2*maxEntry) + `": {}}`,
		"source is a text": `{"a": "b"}`,
	} {
		sink := &feedtest.Sink{}
		f := New()
		_, err := f.Update(t.Context(), advisory.Update{Client: serve([]byte(document)), URL: f.Info().URL, Sink: sink, Now: feedtest.Now()})
		if sekisho.KindOf(err) != sekisho.Invalid || len(sink.Replaced)+len(sink.Records) != 0 {
			t.Errorf("%s: %v, replaced %v", name, err, sink.Replaced)
		}
	}
}

// TestMemory reads a document of the real one's size and sees that the memory
// in use does not follow it.
func TestMemory(t *testing.T) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range 4000 {
		fmt.Fprintf(&b, `%s"source%d": {`, map[bool]string{true: ","}[i > 0], i)
		for j := range 12 {
			fmt.Fprintf(&b, `%s"CVE-2024-%04d": {"description": "%s", "releases": {"bookworm": {"status": "open", "urgency": "low"}}}`, map[bool]string{true: ","}[j > 0], 1000+j, strings.Repeat("d", 1000))
		}
		b.WriteByte('}')
	}
	b.WriteByte('}')
	doc := b.Bytes()
	name := t.TempDir() + "/json"
	if err := os.WriteFile(name, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	size := len(doc)
	b = bytes.Buffer{}
	doc = nil
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	peak, n := uint64(0), 0
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	err = walk(t.Context(), file, func(string, string, *entry) error {
		if n++; n%8000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		return nil
	})
	if err != nil || n != 48_000 {
		t.Fatalf("%d entries: %v", n, err)
	}
	if peak > before+4<<20 {
		t.Errorf("a document of %d bytes took %d bytes", size, peak-before)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"glibc": {"CVE-2024-0001": {"description": "d", "debianbug": 1, "releases": {"bookworm": {"status": "resolved", "fixed_version": "1:2~3", "urgency": "low**", "nodsa": "x", "nodsa_reason": ""}}}}}`))
	f.Add([]byte(`{"a":{"b":{"releases":{"sid":{"status":"open"}},"debianbug":"x"}},"c":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sink := &feedtest.Sink{}
		fd := New()
		_, err := fd.Update(t.Context(), advisory.Update{Client: serve(data), URL: fd.Info().URL, Sink: sink, Now: feedtest.Now()})
		if err != nil && len(sink.Records) > 0 {
			t.Fatal("told records of a document that it refused")
		}
		for _, r := range sink.Records {
			if !slices.Contains(sink.Replaced, r.Ecosystem) || r.Status == "" || r.ID == "" || r.Package == "" {
				t.Fatalf("got %+v, replaced %v", r, sink.Replaced)
			}
		}
	})
}

func FuzzList(f *testing.F) {
	f.Add([]byte("[29 Mar 2023] DSA-5380-1 xorg-server - security update\n\t{CVE-2023-1393}\n\t[bullseye] - xorg-server 2:1.20.11-1+deb11u6\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := notices{}
		_ = n.read(bytes.NewReader(data))
		for key, got := range n {
			if key[0] == "" || len(got.ids) == 0 || len(got.ids) > 20 {
				t.Fatalf("%v: %v", key, got)
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	document := feedtest.Read(b, "debian-security-tracker/derived/tracker-from-dsa-dla.json.xz")
	c := lists(b, serve(document))
	f := New()
	b.ReportAllocs()
	b.SetBytes(int64(len(document)))
	rows := 0
	for b.Loop() {
		sink := &feedtest.Sink{Count: true}
		if _, err := f.Update(b.Context(), advisory.Update{Client: c, URL: f.Info().URL, Sink: sink, Now: feedtest.Now()}); err != nil {
			b.Fatal(err)
		}
		rows = sink.NRecords
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func TestStore(t *testing.T) {
	stats := feedtest.Store(t, New(), lists(t, serve(feedtest.Read(t, "debian-security-tracker/derived/tracker-from-dsa-dla.json.xz"))))
	if stats.Records != 33999 {
		t.Errorf("%+v", stats)
	}
	t.Logf("%d records in %d bytes", stats.Records, stats.Bytes)
}
