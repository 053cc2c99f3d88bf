package nvd

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

const base = "https://nvd.nist.gov/feeds/json/cve/2.0/nvdcve-2.0-"

func packed(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

func put(c *feedtest.Client, name string, data []byte) {
	c.Bytes[base+name+".json.gz"] = packed(data)
	c.Bytes[base+name+".meta"] = fmt.Appendf(nil, "lastModifiedDate:2026-11-24T03:00:01-05:00\r\nsize:%d\r\nzipSize:1\r\ngzSize:1\r\nsha256:%X\r\n", len(data), sha256.Sum256(data))
}

func serve(t testing.TB) *feedtest.Client {
	c := feedtest.New()
	for y := firstYear; y < 2026; y++ {
		put(c, fmt.Sprint(y), []byte(`{"format":"NVD_CVE","version":"2.0","vulnerabilities":[]}`))
	}
	put(c, "2023", feedtest.Read(t, "vendor-samples/nvd2/full-page.json"))
	put(c, "2022", feedtest.Read(t, "vendor-samples/nvd2/single-entry.json"))
	put(c, "2021", []byte(rejected))
	return c
}

const rejected = `{"vulnerabilities":[{"cve":{"id":"CVE-2021-10001","vulnStatus":"Rejected","published":"2021-01-01T00:00:00.000","lastModified":"2023-11-07T03:00:00.000","descriptions":[{"lang":"en","value":"Rejected reason: not used"}]}},{"cve":{"id":"CAN-2021-1"}}]}`

func TestUpdate(t *testing.T) {
	c := serve(t)
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	if !slices.Equal(sink.Replaced, []string{""}) || len(sink.Details) != 40 || len(sink.Forgot) != 0 || sink.NRecords != 0 || state.Skipped["id"] != 1 {
		t.Fatalf("%d details, replaced %v, skipped %v", len(sink.Details), sink.Replaced, state.Skipped)
	}
	if d, _ := sink.Detail1("CVE-2021-10001"); d.Withdrawn.Format(time.DateOnly) != "2023-11-07" || d.Title != "" {
		t.Errorf("rejected: %+v", d)
	}
	d, text := sink.Detail1("CVE-2022-1576")
	want := advisory.Detail{
		ID: "CVE-2022-1576", Title: d.Title, Published: time.Date(2022, 7, 11, 13, 15, 8, 503e6, time.UTC), Modified: time.Date(2024, 11, 21, 6, 41, 0, 133e6, time.UTC),
		Ratings: []sekisho.Rating{{Source: "nvd", Severity: sekisho.Medium, Word: "MEDIUM"}}, CVSS: d.CVSS, CWE: []string{"CWE-352"}, CPEs: d.CPEs,
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(d.Title, "The WP Maintenance Mode & Coming Soon WordPress plugin before 2.4.5 is lacking CSRF") || !strings.HasSuffix(d.Title, "…") || len([]rune(d.Title)) > 140 {
		t.Errorf("title %q", d.Title)
	}
	if len(d.CVSS) < 2 || d.CVSS[0].Source != "nvd" || d.CVSS[0].Version != "3.1" || d.CVSS[len(d.CVSS)-1].Version != "2.0" || len(text.References) == 0 {
		t.Errorf("scores %+v, references %v", d.CVSS, text.References)
	}
	c.Requests()
	// Within a week only what was modified is asked for, and what is told takes
	// the place of what was known.
	put(c, "modified", feedtest.Read(t, "vendor-samples/nvd2/single-entry.json"))
	sink, state = feedtest.Update(t, Feed{}, c, state)
	if got := c.Requests(); len(got) != 2 || !slices.Equal(sink.Forgot, []string{"CVE-2022-1576"}) || len(sink.Details) != 1 || len(sink.Replaced) != 0 {
		t.Errorf("asked %v, forgot %v", got, sink.Forgot)
	}
	if sink, _ = feedtest.Update(t, Feed{}, c, state); len(c.Requests()) != 1 || len(sink.Details) != 0 {
		t.Errorf("%d details again", len(sink.Details))
	}
	// After a longer time, the years whose sums changed.
	state.Cursors["at"] = "2026-11-01T00:00:00Z"
	put(c, "2023", feedtest.Read(t, "vendor-samples/nvd2/single-entry.json"))
	sink, _ = feedtest.Update(t, Feed{}, c, state)
	if len(sink.Details) != 1 || len(sink.Replaced) != 0 || !slices.Equal(sink.Forgot, []string{"CVE-2022-1576"}) {
		t.Errorf("%d details, replaced %v, forgot %v", len(sink.Details), sink.Replaced, sink.Forgot)
	}
}

// Products that are only what others run on are not affected ones.
func TestRunningOn(t *testing.T) {
	c := serve(t)
	sink, _ := feedtest.Update(t, Feed{}, c, advisory.State{})
	page := string(feedtest.Read(t, "vendor-samples/nvd2/full-page.json"))
	if !strings.Contains(page, `"vulnerable":false`) && !strings.Contains(page, `"vulnerable": false`) {
		t.Fatal("the sample has no platforms")
	}
	n := 0
	for _, d := range sink.Details {
		n += len(d.CPEs)
		for _, cpe := range d.CPEs {
			if strings.HasPrefix(cpe, "cpe:2.3:h:") {
				t.Errorf("%s: hardware %s", d.ID, cpe)
			}
		}
		if strings.ContainsAny(d.Title, "\r\n") {
			t.Errorf("title of several lines: %q", d.Title)
		}
	}
	if n == 0 {
		t.Error("no products")
	}
}

func TestTitle(t *testing.T) {
	for text, want := range map[string]string{
		"In the Linux kernel, the following vulnerability has been resolved:\n\nnetfilter: nf_tables: reject QUEUE/DROP verdict parameters\n\nThis reverts commit e0abdadcc6e1.": "Linux kernel: netfilter: nf_tables: reject QUEUE/DROP verdict parameters",
		"** DISPUTED ** curl 7.0 fails. It is said.": "curl 7.0 fails",
		"": "",
	} {
		if got := title(text); got != want {
			t.Errorf("%q", got)
		}
	}
}

func TestRefused(t *testing.T) {
	c := serve(t)
	c.Bytes[base+"2023.json.gz"] = packed([]byte(`{"vulnerabilities":[]}`))
	_, err := Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: Feed{}.Info().URL, Sink: &feedtest.Sink{}, Now: feedtest.Now()})
	if sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("another sum: %v", err)
	}
	c = serve(t)
	c.Bytes[base+"2023.json.gz"] = c.Bytes[base+"2023.json.gz"][:5000]
	_, err = Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: Feed{}.Info().URL, Sink: &feedtest.Sink{}, Now: feedtest.Now()})
	if sekisho.KindOf(err) != sekisho.Invalid || c.Open() != 0 {
		t.Errorf("cut: %v", err)
	}
}

// A mirror may hold some years only.
func TestSomeYears(t *testing.T) {
	c := feedtest.New()
	c.Bytes[base+"2023.json.gz"] = serve(t).Bytes[base+"2023.json.gz"]
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	if len(sink.Details) != 38 || state.Skipped["missing document"] != 24 {
		t.Errorf("%d details, skipped %v", len(sink.Details), state.Skipped)
	}
	_, err := Feed{}.Update(t.Context(), advisory.Update{Client: feedtest.New(), URL: Feed{}.Info().URL, Sink: &feedtest.Sink{}, Now: feedtest.Now()})
	if sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("no file at all: %v", err)
	}
}

func TestWithoutSums(t *testing.T) {
	c := serve(t)
	for name := range c.Bytes {
		if strings.HasSuffix(name, ".meta") {
			delete(c.Bytes, name)
		}
	}
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	if len(sink.Details) != 40 {
		t.Errorf("%d details", len(sink.Details))
	}
	state.Cursors["at"] = "2026-11-01T00:00:00Z"
	if sink, _ = feedtest.Update(t, Feed{}, c, state); len(sink.Details) != 0 {
		t.Errorf("%d details again", len(sink.Details))
	}
}

func BenchmarkYear(b *testing.B) {
	page := feedtest.Read(b, "vendor-samples/nvd2/full-page.json")
	i := bytes.IndexByte(page, '[')
	inner := bytes.TrimRight(page[i+1:bytes.LastIndexByte(page, ']')], " \n")
	var doc bytes.Buffer
	doc.WriteString(`{"vulnerabilities":[`)
	const n = 500
	for k := range n {
		if k > 0 {
			doc.WriteByte(',')
		}
		doc.Write(inner)
	}
	doc.WriteString("]}")
	c := feedtest.New()
	put(c, "modified", doc.Bytes())
	b.SetBytes(int64(doc.Len()))
	state := advisory.State{Cursors: map[string]string{"at": "2026-11-25T00:00:00Z"}}
	for b.Loop() {
		sink := &feedtest.Sink{Count: true}
		if _, err := (Feed{}).Update(b.Context(), advisory.Update{Client: c, URL: Feed{}.Info().URL, State: state, Sink: sink, Now: feedtest.Now()}); err != nil {
			b.Fatal(err)
		}
		if sink.NDetails != n*38 {
			b.Fatal(sink.NDetails)
		}
	}
	b.ReportMetric(float64(n*38*b.N)/b.Elapsed().Seconds(), "CVEs/s")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"cve":{"id":"CVE-2021-10001","vulnStatus":"Analyzed","descriptions":[{"lang":"en","value":"A. B."}],"metrics":{"cvssMetricV2":[{"cvssData":{"vectorString":"AV:N"}}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := decode(data)
		if err == nil && (strings.ContainsAny(out.detail.Title, "\r\n") || len(out.detail.CPEs) > maxCPEs) {
			t.Fatalf("%+v", out)
		}
	})
}

func TestStored(t *testing.T) {
	if _, stats := feedtest.Stored(t, Feed{}, serve(t)); stats.Details != 40 {
		t.Errorf("%+v", stats)
	}
}
