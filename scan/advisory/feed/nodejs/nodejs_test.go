package nodejs

import (
	"archive/tar"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
	"sekisho/scan/version"
)

func document(t testing.TB) []byte {
	t.Helper()
	files := tar.NewReader(bytes.NewReader(feedtest.Read(t, "nodejs-security-wg/security-wg-vuln.tar.xz")))
	for {
		h, err := files.Next()
		if err != nil {
			t.Fatal("no core/index.json: ", err)
		}
		if strings.HasSuffix(h.Name, "core/index.json") {
			data, err := io.ReadAll(files)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}

func TestUpdate(t *testing.T) {
	c := feedtest.New()
	c.Bytes[New().Info().URL+"/index.json"] = document(t)
	sink, state := feedtest.Update(t, New(), c, advisory.State{})
	// 171 entries; 9 only on Windows; four entries name 19 CVEs.
	if len(sink.Records) != 171-9-4+19 || state.Skipped["only on Windows"] != 9 || state.Skipped["malformed"] != 0 {
		t.Errorf("%d records, skipped %v", len(sink.Records), state.Skipped)
	}
	for _, r := range sink.Records {
		if r.Status != sekisho.StatusFixed && r.ID != "CVE-2017-14849" { // 8.5.0 alone
			t.Errorf("not fixed: %+v", r)
		}
		for _, a := range r.Ranges {
			if a.Fixed != "" && a.Introduced != "" {
				if n, err := version.Compare(version.SemVer, a.Introduced, a.Fixed); err != nil || n >= 0 {
					t.Errorf("%s: %v", r.ID, a)
				}
			}
		}
	}
	for id, want := range map[string][]advisory.Range{
		// 10.x || 12.x || 14.x || 15.x: 14 and 15 follow one another, but 14 has its own fix.
		"CVE-2020-8265": {{Introduced: "10.0.0", Fixed: "10.23.1"}, {Introduced: "12.0.0", Fixed: "12.20.1"}, {Introduced: "14.0.0", Fixed: "14.15.4"}, {Introduced: "15.0.0", Fixed: "15.5.1"}},
		// 6.x || 4.x || 5.x: 5 has no fix but 6's.
		"CVE-2016-5325": {{Introduced: "4.0.0", Fixed: "4.6.0"}, {Introduced: "5.0.0", Fixed: "6.7.0"}},
		"CVE-2018-7166": {{Introduced: "10.0.0", Fixed: "10.9.0"}},
		"CVE-2016-5180": {{Introduced: "0.10.0", Fixed: "0.10.48"}, {Introduced: "0.12.0", Fixed: "0.12.17"}, {Introduced: "4.0.0", Fixed: "4.6.1"}},
		// A patched version without ^ is the first of those that are.
		"CVE-2020-8277": {{Introduced: "12.0.0", Fixed: "12.19.1"}, {Introduced: "14.0.0", Fixed: "14.15.1"}, {Introduced: "15.0.0", Fixed: "15.2.1"}},
	} {
		got := sink.Of(id)
		if len(got) != 1 || !slices.Equal(got[0].Ranges, want) || got[0].Package != "node" {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if d, text := sink.Detail1("CVE-2020-8265"); len(d.Ratings) != 1 || d.Ratings[0].Severity != sekisho.High || len(text.References) != 1 || text.Text == "" {
		t.Errorf("got %+v, %+v", d, text)
	}
	if sink, _ = feedtest.Update(t, New(), c, state); len(sink.Replaced)+len(sink.Records) != 0 {
		t.Error("nothing changed")
	}
	c.Bytes[New().Info().URL+"/index.json"] = []byte(`[]`)
	f := New()
	if _, err := f.Update(t.Context(), advisory.Update{Client: c, URL: f.Info().URL, Sink: sink, Now: feedtest.Now()}); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("another document: %v", err)
	}
}

func TestRanges(t *testing.T) {
	for _, c := range []struct {
		vulnerable, patched string
		want                []advisory.Range
	}{
		{"8.5.0", "", []advisory.Range{{Introduced: "8.5.0", Last: "8.5.0"}}},
		{"5.x || 8.x", "^8.1.0", []advisory.Range{{Introduced: "5.0.0", Last: "5.9999.9999"}, {Introduced: "8.0.0", Fixed: "8.1.0"}}},
		{"<= 10", ">=11.0.0", []advisory.Range{{Fixed: "11.0.0"}}},
		{">=6.0.0 <6.2.0 || 5.x", "^6.2.0", []advisory.Range{{Introduced: "5.0.0", Fixed: "6.2.0"}}},
		{">=20", "", []advisory.Range{{Introduced: "20.0.0"}}},
		{"~4.1", "4.1.3", []advisory.Range{{Introduced: "4.1.0", Fixed: "4.1.3"}}},
		{"4.x", "^4.0.0", nil},
		{"any", "", nil}, {"", "", nil}, {"4.x ||", "", nil}, {"4.x", "soon", nil},
	} {
		if got := ranges(c.vulnerable, c.patched); !slices.Equal(got, c.want) {
			t.Errorf("%q without %q: %v, want %v", c.vulnerable, c.patched, got, c.want)
		}
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"1":{"cve":["CVE-2017-1000381"],"vulnerable":"8.x || >=4.0 <4.2","patched":"^8.1.4 || 4.4.2","severity":"high"},"2":{"cve":[],"vulnerable":"<=10"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := feedtest.New()
		c.Bytes["x/index.json"] = data
		sink := &feedtest.Sink{}
		if _, err := New().Update(t.Context(), advisory.Update{Client: c, URL: "x", Sink: sink, Now: feedtest.Now()}); err != nil {
			return
		}
		for _, r := range sink.Records {
			if r.ID == "" || len(r.Ranges) == 0 {
				t.Fatalf("got %+v", r)
			}
		}
	})
}

func TestStore(t *testing.T) {
	c := feedtest.New()
	c.Bytes[New().Info().URL+"/index.json"] = document(t)
	feedtest.Store(t, New(), c)
}
