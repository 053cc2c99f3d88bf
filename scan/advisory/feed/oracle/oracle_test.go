package oracle

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
	"sekisho/scan/advisory/feed/internal/oval"
)

const url = "https://linux.oracle.com/security/oval/" + file

func sample(t testing.TB, name string) []byte {
	return feedtest.Read(t, "vendor-samples/oracle/"+name)
}

func update(t *testing.T, data []byte, want ...string) *feedtest.Sink {
	t.Helper()
	c := feedtest.New()
	c.Bytes[url] = data
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{}, want...)
	if len(state.Skipped) != 0 {
		t.Errorf("skipped %v", state.Skipped)
	}
	again, _ := feedtest.Update(t, Feed{}, c, state, want...)
	if len(again.Replaced) != 0 || again.NRecords != 0 {
		t.Errorf("an unchanged document was read again: %v", again.Replaced)
	}
	return sink
}

func TestErratum(t *testing.T) {
	sink := update(t, sample(t, "mock_data"))
	var got []advisory.Record
	for _, r := range sink.Of("bind-libs") {
		got = append(got, r)
	}
	want := []advisory.Record{{
		ID: "ELSA-2007-0057", Ecosystem: "Oracle:5", Package: "bind-libs", Aliases: []string{"CVE-2007-0493"}, Advisories: []string{"ELSA-2007-0057"}, Status: sekisho.StatusFixed,
		Ranges: []advisory.Range{{Fixed: "30:9.3.3-8.el5"}}, Rating: "MODERATE", Severity: "medium",
	}}
	want = append(want, want[0])
	want[1].Aliases = []string{"CVE-2007-0494"}
	for i := range want {
		want[i].Fixed = got[i].Fixed
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	d, text := sink.Detail1("ELSA-2007-0057")
	if d.Title != "Moderate: bind security update" || d.Published.Format("2006-01-02") != "2007-06-26" || len(d.Aliases) != 2 || text.References[0].URL != "http://linux.oracle.com/errata/ELSA-2007-0057.html" {
		t.Errorf("%+v\n%+v", d, text)
	}
}

// Kernels of UEK: a fix in one line says nothing about another.
func TestLines(t *testing.T) {
	sink := update(t, sample(t, "mock_data"))
	got := sink.Of("kernel-uek")
	if len(got) == 0 {
		t.Fatal("no kernel-uek")
	}
	for _, r := range got {
		if r.Ecosystem == "Oracle:6" && r.Ranges[0] != (advisory.Range{Introduced: "2.6.39", Fixed: "2.6.39-400.302.2.el6uek"}) {
			t.Errorf("%+v", r.Ranges)
		}
	}
}

func TestKspliceByArchitecture(t *testing.T) {
	sink := update(t, sample(t, "mock_ksplice_data"), "Oracle:8")
	for _, x := range []struct {
		pkg  string
		arch []string
	}{{"openssl", []string{"aarch64", "x86_64"}}, {"openssl-static", []string{"aarch64"}}} {
		got := sink.Of(x.pkg)
		if len(got) != 2 || !slices.Equal(got[0].Arch, x.arch) || got[0].Ranges[0].Fixed != "2:1.1.1g-15.ksplice1.el8_3" || got[0].Module != "" {
			t.Errorf("%s: %+v", x.pkg, got)
		}
	}
	if sink := update(t, sample(t, "mock_ksplice_data"), "Oracle:9"); sink.NRecords+sink.NDetails != 0 {
		t.Errorf("not wanted: %+v", sink.Records)
	}
}

// An erratum holds a build and Oracle's rebuild of it: the first is enough.
func TestRebuilt(t *testing.T) {
	got := update(t, sample(t, "mock_per_arch_data"), "Oracle:8").Of("osbuild-ostree")
	if len(got) != 1 || got[0].Ranges[0].Fixed != "110-1.el8" {
		t.Errorf("%+v", got)
	}
	said := []oval.Statement{{Package: "a", Range: advisory.Range{Fixed: "10:1-1_fips"}}, {Package: "a", Range: advisory.Range{Fixed: "1-1"}}, {Package: "a", Range: advisory.Range{Fixed: "1-2"}, Arch: []string{"x86_64"}}}
	if got := lowest(said); len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestModule(t *testing.T) {
	data := bytes.Replace(sample(t, "mock_per_arch_data"), []byte(`<criterion test_ref="oval:com.oracle.elsa:tst:20224803001" comment="Oracle Linux 7 is installed"/>`),
		[]byte(`<criterion test_ref="oval:com.oracle.elsa:tst:20224803001" comment="Oracle Linux 7 is installed"/><criterion test_ref="oval:com.oracle.elsa:tst:1" comment="Module nodejs:18 is enabled"/>`), 1)
	sink := update(t, data)
	if sink.NRecords == 0 {
		t.Fatal("nothing")
	}
	for _, r := range sink.Records {
		if (r.Module == "nodejs:18") != (r.Ecosystem == "Oracle:7") {
			t.Errorf("%+v", r)
		}
	}
}

func TestBroken(t *testing.T) {
	data := sample(t, "mock_data")
	for _, data := range [][]byte{data[:len(data)/2], []byte("BZh9 nothing"), nil, []byte("<html>"), bytes.Replace(data, []byte("<title>"), []byte("<title>&bomb;"), 1)} {
		c := feedtest.New()
		c.Bytes[url] = data
		_, err := Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: Feed{}.Info().URL, Sink: &feedtest.Sink{}, Now: feedtest.Now()})
		if sekisho.KindOf(err) != sekisho.Invalid || c.Open() != 0 {
			t.Errorf("%.20q: %v", data, err)
		}
	}
}

// A document of the size of the real one, made of a sample's definition.
func BenchmarkAll(b *testing.B) {
	data := sample(b, "mock_ksplice_data")
	cut := func(from, to string) []byte {
		i := bytes.Index(data, []byte(from))
		return data[i : i+bytes.Index(data[i:], []byte(to))+len(to)]
	}
	var doc bytes.Buffer
	doc.WriteString("<oval_definitions><definitions>")
	const n = 10000
	body := cut("<definition ", "</definition>")
	for i := range n {
		doc.Write(bytes.ReplaceAll(body, []byte("20219151"), fmt.Appendf(nil, "%08d", i)))
	}
	doc.WriteString("</definitions>")
	for _, part := range []string{"tests", "objects", "states"} {
		section := cut("<"+part+">", "</"+part+">")
		doc.WriteString("<" + part + ">")
		inner := section[len(part)+2 : len(section)-len(part)-3]
		for i := range n {
			doc.Write(bytes.ReplaceAll(inner, []byte("20219151"), fmt.Appendf(nil, "%08d", i)))
		}
		doc.WriteString("</" + part + ">")
	}
	doc.WriteString("</oval_definitions>")
	c := feedtest.New()
	c.Bytes[url] = doc.Bytes()
	b.SetBytes(int64(doc.Len()))
	b.ReportAllocs()
	for b.Loop() {
		sink := &peak{Sink: feedtest.Sink{Count: true}}
		if _, err := (Feed{}).Update(b.Context(), advisory.Update{Client: c, URL: Feed{}.Info().URL, Sink: sink, Now: feedtest.Now()}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(sink.NRecords), "records")
		b.ReportMetric(float64(sink.heap>>20), "peak-MiB")
	}
}

// peak looks at what is reachable now and then.
type peak struct {
	feedtest.Sink
	heap uint64
}

func (p *peak) Detail(d advisory.Detail, t advisory.Text) error {
	if p.NDetails%5000 == 0 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		p.heap = max(p.heap, m.HeapAlloc)
	}
	return p.Sink.Detail(d, t)
}

// All that is told is kept: an erratum with several flaws for each of them.
func TestStored(t *testing.T) {
	c := feedtest.New()
	c.Bytes[url] = sample(t, "mock_per_arch_data")
	_, stats := feedtest.Stored(t, Feed{}, c)
	if sink := update(t, sample(t, "mock_per_arch_data")); stats.Records != sink.NRecords || stats.Details != 3 {
		t.Errorf("%d records of %d, %+v", stats.Records, sink.NRecords, stats)
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add(sample(f, "mock_ksplice_data"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := feedtest.New()
		c.Bytes["u/com.oracle.elsa-all.xml.bz2"] = data
		sink := &feedtest.Sink{}
		_, _ = Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: "u", Sink: sink, Now: feedtest.Now()})
		for _, r := range sink.Records {
			if r.Package == "" || r.ID == "" || r.Status == "" || len(r.Ranges) == 0 {
				t.Fatalf("%+v", r)
			}
		}
		if c.Open() != 0 {
			t.Fatal("left open")
		}
	})
}
