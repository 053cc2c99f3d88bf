package redhat

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

const base = "https://security.access.redhat.com/data/csaf/v2/vex"

func read(t testing.TB, name string) []byte {
	t.Helper()
	return feedtest.Read(t, "vendor-samples/redhat-vex/"+name)
}

func decoded(t testing.TB, name string, want ...string) cve {
	t.Helper()
	c, err := decode(read(t, name), want)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func of(c cve, ecosystem, pkg string) (out []advisory.Record) {
	for _, r := range c.records {
		if r.Ecosystem == ecosystem && r.Package == pkg {
			out = append(out, r)
		}
	}
	return out
}

func TestFixedAndNot(t *testing.T) {
	c := decoded(t, "cve-2024-0727-openssl.json")
	want := []advisory.Record{{
		ID: "CVE-2024-0727", Ecosystem: "Red Hat:9", Package: "openssl-libs", Advisories: []string{"RHSA-2024:2447"}, Status: sekisho.StatusFixed,
		Ranges: []advisory.Range{{Fixed: "1:3.0.7-27.el9"}}, Rating: "Low", Severity: "low",
		Arch: []string{"aarch64", "i686", "ppc64le", "s390x", "x86_64"}, Fixed: time.Date(2024, 4, 30, 10, 36, 25, 0, time.UTC),
		Repositories: []string{"cpe:/a:redhat:enterprise_linux:9::appstream", "cpe:/o:redhat:enterprise_linux:9::baseos"},
	}}
	got := of(c, "Red Hat:9", "openssl-libs")
	if len(got) != 1 {
		t.Fatalf("openssl-libs of 9: %+v", got)
	}
	want[0].Repositories = got[0].Repositories
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(got[0].Repositories, "cpe:/a:redhat:enterprise_linux:9::appstream") {
		t.Errorf("repositories %v", got[0].Repositories)
	}
	for _, x := range []struct{ ecosystem, pkg, status, note string }{
		{"Red Hat:7", "openssl-libs", sekisho.StatusEndOfLife, "Out of support scope"},
		{"Red Hat:6", "openssl", sekisho.StatusEndOfLife, "Out of support scope"},
		{"Red Hat:8", "compat-openssl10", sekisho.StatusDeferred, "Fix deferred"},
		{"Red Hat:8", "shim-x64", sekisho.StatusNotAffected, "vulnerable_code_not_present"},
	} {
		got := of(c, x.ecosystem, x.pkg)
		if len(got) != 1 || got[0].Status != x.status || got[0].Note != x.note || got[0].Source {
			t.Errorf("%s of %s: %+v, want %s, %s", x.pkg, x.ecosystem, got, x.status, x.note)
			continue
		}
		if len(got[0].Ranges) != 1 || got[0].Ranges[0] != (advisory.Range{}) {
			t.Errorf("%s of %s: ranges %+v, want every version", x.pkg, x.ecosystem, got[0].Ranges)
		}
	}
	d := c.detail
	if d.Title != "openssl: denial of service via null dereference" || d.CWE[0] != "CWE-476" || d.Ratings[0].Word != "Low" || d.CVSS[0].Vector != "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H" || d.CVSS[0].Score != 5.5 || d.Published.Format(time.DateOnly) != "2024-01-22" {
		t.Errorf("detail %+v", d)
	}
	if !strings.Contains(c.text.Text, "ContentInfo") || !strings.Contains(c.text.Text, "PKCS12_parse") || len(c.text.References) != 6 {
		t.Errorf("text %+v", c.text)
	}
}

// Everything that a document says is there: no architecture, product, or
// package is lost by folding, and none is made up.
func TestFoldingLosesNothing(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(feedtest.Dir(t, "vendor-samples/redhat-vex"), "cve-*.json"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		c := decoded(t, filepath.Base(file))
		said, err := sayings(read(t, filepath.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, r := range c.records {
			for _, cpe := range r.Repositories {
				for _, arch := range append(slices.Clone(r.Arch), "")[:max(1, len(r.Arch))] {
					got[fmt.Sprint(r.Package, r.Source, r.Module, r.Status == sekisho.StatusFixed, cpe, arch, r.Ranges[len(r.Ranges)-1].Fixed)] = true
				}
			}
		}
		for s := range got {
			if !said[s] {
				t.Errorf("%s: made up: %s", filepath.Base(file), s)
			}
		}
		for s := range said {
			if !got[s] && !strings.Contains(s, "true") { // sources may be left to their binaries
				t.Errorf("%s: lost: %s", filepath.Base(file), s)
			}
		}
	}
}

// sayings lists each statement of a document that is kept, one by one.
func sayings(data []byte) (map[string]bool, error) {
	out := map[string]bool{}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, err
	}
	t := grow(&d)
	for _, v := range d.Vulnerabilities {
		for i, ids := range [][]string{v.Status.Fixed, v.Status.Affected, v.Status.Investigation, v.Status.NotAffected} {
			for _, id := range ids {
				c, skip := t.resolve(id)
				if skip != "" || i == 3 && c.version != "" {
					continue
				}
				fixed := c.version
				if i != 0 {
					fixed = ""
				}
				out[fmt.Sprint(c.name, c.source, c.module, i == 0, c.cpe, c.arch, fixed)] = true
			}
		}
	}
	return out, nil
}

// Mainline, EUS, AUS, TUS and E4S fix in different builds: each stays with its
// own CPE, and modules with their stream.
func TestStreamsStayApart(t *testing.T) {
	c := decoded(t, "cve-2025-40907-perl.json")
	fixed := map[string]string{}
	for _, r := range of(c, "Red Hat:8", "perl-FCGI") {
		if r.Module != "perl-FCGI:0.78" {
			t.Errorf("module %q of %v", r.Module, r.Repositories)
		}
		for _, cpe := range r.Repositories {
			fixed[cpe] += r.Ranges[len(r.Ranges)-1].Fixed + " "
		}
	}
	for cpe, version := range map[string]string{
		"cpe:/a:redhat:enterprise_linux:8::appstream": "1:0.78-12.module+el8.10.0+23147 ",
		"cpe:/a:redhat:rhel_aus:8.2::appstream":       "1:0.78-11.module+el8.2.0+23234 ",
		"cpe:/a:redhat:rhel_tus:8.6::appstream":       "1:0.78-11.module+el8.6.0+23193 ",
	} {
		if !strings.HasPrefix(fixed[cpe], version) {
			t.Errorf("%s: fixed in %q, want %s…", cpe, fixed[cpe], version)
		}
	}
	if got := of(c, "Red Hat:7", "perl-FCGI"); len(got) != 1 || got[0].Ranges[0].Fixed != "1:0.74-8.el7_9.1" || got[0].Module != "" || got[0].Repositories[0] != "cpe:/o:redhat:rhel_els:7" {
		t.Errorf("of 7: %+v", got)
	}
	if c.skipped[skipDebug] == 0 || len(of(c, "Red Hat:8", "perl-FCGI-debuginfo")) != 0 {
		t.Errorf("debug packages: %v", c.skipped)
	}
}

func TestTraps(t *testing.T) {
	if c := decoded(t, "cve-2024-24786-bad-rpmmod.json"); c.skipped[skipModule] != 1 || len(c.records) != 2 {
		t.Errorf("a module without a stream: %v, %+v", c.skipped, c.records)
	}
	c := decoded(t, "cve-2024-24786-illegal-module.json")
	if len(c.records) != 1 || c.records[0].Package != "go-toolset" || c.records[0].Module != "go-toolset:rhel8" || !c.records[0].Source || c.records[0].Ranges[0] != (advisory.Range{}) {
		t.Errorf("a stream in the version's place: %+v", c.records)
	}
	// Without purl a component is a source package's name.
	c = decoded(t, "cve-2021-0084.json")
	if got := of(c, "Red Hat:9", "kernel"); len(got) != 1 || !got[0].Source || got[0].Status != sekisho.StatusNotAffected {
		t.Errorf("kernel: %+v", got)
	}
	// Containers are products too; layered products keep their CPE.
	c = decoded(t, "cve-2022-38752.json")
	if c.skipped[skipContainer] == 0 || c.skipped[skipBuild] == 0 {
		t.Errorf("skipped %v", c.skipped)
	}
	if got := of(c, "Red Hat", "puppetserver"); len(got) != 1 || got[0].Repositories[0] != "cpe:/a:redhat:satellite:6" || got[0].Status != sekisho.StatusAffected {
		t.Errorf("puppetserver: %+v", got)
	}
	if got := of(c, "Red Hat:8", "candlepin"); len(got) == 0 || !strings.Contains(got[0].Repositories[0], "satellite") {
		t.Errorf("candlepin of Satellite for 8: %+v", got)
	}
	// Only what is wanted, and of layered products what may be installed there.
	for _, r := range decoded(t, "cve-2022-38752.json", "Red Hat:8").records {
		if r.Ecosystem != "Red Hat:8" && r.Ecosystem != "Red Hat" {
			t.Errorf("not wanted: %s", r.Ecosystem)
		}
	}
	if c := decoded(t, "cve-1999-0001-deleted.json"); !c.deleted || c.id != "CVE-2023-0118" {
		t.Errorf("deleted: %+v", c)
	}
	if c := decoded(t, "rhsa-2022-0011.json"); c.id != "" || len(c.records) != 0 {
		t.Errorf("an advisory is no statement about a CVE: %+v", c)
	}
}

// Of a source package without binaries in the document, the source is kept.
func TestSourceAlone(t *testing.T) {
	c := decoded(t, "cve-2026-2297.json")
	for _, r := range c.records {
		if !r.Source {
			continue
		}
		for _, other := range c.records {
			if !other.Source && other.Package == r.Package && other.Module == r.Module && slices.Equal(other.Repositories, r.Repositories) && other.Status == r.Status {
				t.Errorf("%s is told as source and as binary: %+v", r.Package, r)
			}
		}
	}
	if got := of(c, "Red Hat", "python3.13"); len(got) != 1 || !got[0].Source {
		t.Errorf("python3.13: %+v", got)
	}
}

func TestMinor(t *testing.T) {
	for _, x := range []struct {
		evr  string
		n    int
		next string
	}{
		{"7.76.1-23.el9_2.4", 2, "7.76.1-23.el9_3"},
		{"1:1.1.1k-6.el8_5", 5, "1:1.1.1k-6.el8_6"},
		{"1:0.78-11.module+el8.6.0+23193", 6, "1:0.78-11.module+el8.7"},
		{"1:3.0.7-27.el9", 0, ""},
		{"0.12-1.rhaos4.12.el8", 0, ""},
	} {
		if n, next, ok := minor(x.evr); n != x.n || next != x.next || ok != (next != "") {
			t.Errorf("%s: %d, %s", x.evr, n, next)
		}
	}
}

func TestMajor(t *testing.T) {
	for _, x := range [][3]string{
		{"cpe:/o:redhat:enterprise_linux:10.1", "", "10"},
		{"cpe:/a:redhat:rhel_eus:9.4::appstream", "", "9"},
		{"cpe:/o:redhat:rhel_els:7", "", "7"},
		{"cpe:/a:redhat:openshift:4.12::el8", "1-1.el9", "8"},
		{"cpe:/a:redhat:openshift:4", "1.2-3.rhaos4.12.el9", "9"},
		{"cpe:/a:redhat:openshift:4", "", ""},
		{"cpe:/a:redhat:rhel_satellite_client:6::el7", "", "7"},
		{"cpe:/a:redhat:enterprise_linux_ai:3", "", ""},
		{"cpe:/a:redhat:ceph_storage:9::el10", "", "10"},
		{"cpe:/a", "", ""},
	} {
		if got := major(x[0], x[1]); got != x[2] {
			t.Errorf("major(%s, %s) = %q, want %q", x[0], x[1], got, x[2])
		}
	}
}

func serve(t testing.TB) *feedtest.Client {
	c := feedtest.New()
	c.Bytes[base+"/archive_latest.txt"] = []byte("csaf_vex_2023-10-31.tar.zst\n")
	c.Bytes[base+"/csaf_vex_2023-10-31.tar.zst"] = read(t, "csaf_vex_2023-10-31.tar.zst")
	c.Bytes[base+"/changes.csv"] = []byte("\"2023/cve-2023-0030.json\",\"2023-10-30T00:00:00+00:00\"\n\"2023/cve-2023-0049.json\",\"2023-10-01T00:00:00+00:00\"\n")
	c.Bytes[base+"/deletions.csv"] = nil
	return c
}

func TestUpdate(t *testing.T) {
	c := serve(t)
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	if !slices.Equal(sink.Replaced, []string{"Red Hat"}) || len(sink.Details) != 5 || len(sink.Records) == 0 {
		t.Fatalf("replaced %v, %d details, %d records", sink.Replaced, len(sink.Details), len(sink.Records))
	}
	c.Requests()
	// Nothing new: one request for each list.
	sink, state = feedtest.Update(t, Feed{}, c, state)
	if got := c.Requests(); len(got) != 2 || len(sink.Records)+len(sink.Replaced)+len(sink.Forgot) != 0 {
		t.Errorf("asked %v, told %+v", got, sink)
	}
	// One changed, one gone since, one deleted, and one that is no document.
	c.Bytes[base+"/changes.csv"] = []byte(`"2024/cve-2024-0727.json","2024-11-02T10:00:00+00:00"
"2023/cve-2023-0045.json","2024-11-01T10:00:00+00:00"
"../../cve-2024-0001.json","2024-11-01T10:00:00+00:00"
"2023/cve-2023-0030.json","2023-10-30T00:00:00+00:00"
`)
	c.Bytes[base+"/2024/cve-2024-0727.json"] = read(t, "cve-2024-0727-openssl.json")
	c.Bytes[base+"/deletions.csv"] = []byte("\"2023/cve-2023-0044.json\",\"2024-11-02T00:00:00+00:00\"\n")
	sink, state = feedtest.Update(t, Feed{}, c, state)
	slices.Sort(sink.Forgot)
	if len(sink.Replaced) != 0 || !slices.Equal(sink.Forgot, []string{"CVE-2023-0044", "CVE-2023-0045", "CVE-2024-0727"}) || len(sink.Details) != 1 {
		t.Errorf("replaced %v, forgot %v, %d details", sink.Replaced, sink.Forgot, len(sink.Details))
	}
	if got := state.Cursors["changes"]; got != "2024-11-02T10:00:00Z" {
		t.Errorf("cursor %q", got)
	}
	// Another release is wanted: everything again.
	sink, _ = feedtest.Update(t, Feed{}, c, state, "Red Hat:9")
	if len(sink.Replaced) != 1 {
		t.Errorf("replaced %v", sink.Replaced)
	}
	for _, r := range sink.Records {
		if r.Ecosystem == "Red Hat:8" {
			t.Errorf("not wanted: %+v", r)
		}
	}
}

// An edit of all documents on one day is read from the archive.
func TestMassEdit(t *testing.T) {
	c := serve(t)
	_, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	var b strings.Builder
	for i := range maxChanges + 1 {
		fmt.Fprintf(&b, "\"2023/cve-2023-%d.json\",\"2024-01-01T00:00:00+00:00\"\n", 10000+i)
	}
	c.Bytes[base+"/changes.csv"] = []byte(b.String())
	c.Bytes[base+"/archive_latest.txt"] = []byte("csaf_vex_2024-01-02.tar.zst")
	c.Bytes[base+"/csaf_vex_2024-01-02.tar.zst"] = read(t, "csaf_vex_2023-10-31.tar.zst")
	c.Requests()
	sink, _ := feedtest.Update(t, Feed{}, c, state)
	if got := c.Requests(); len(got) != 5 || len(sink.Replaced) != 1 {
		t.Errorf("%d requests, replaced %v", len(got), sink.Replaced)
	}
}

// A broken document is counted, and what was known of its CVE stands.
func TestBroken(t *testing.T) {
	c := serve(t)
	_, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	c.Bytes[base+"/changes.csv"] = []byte("\"2023/cve-2023-0045.json\",\"2024-11-01T10:00:00+00:00\"\n\"2023/cve-2023-0044.json\",\"2024-11-01T10:00:00+00:00\"\n")
	c.Bytes[base+"/2023/cve-2023-0045.json"] = []byte(`{"document":{"tracking":{"id":"CVE-2023-0045"}},"vulnerabilities":"none"}`)
	c.Bytes[base+"/2023/cve-2023-0044.json"] = read(t, "cve-2024-0727-openssl.json")
	sink, state := feedtest.Update(t, Feed{}, c, state)
	if state.Skipped["broken"] != 2 || len(sink.Forgot)+len(sink.Records) != 0 {
		t.Errorf("skipped %v, forgot %v", state.Skipped, sink.Forgot)
	}
}

// Images name repositories, statements name CPEs: the list that joins them is
// kept with the feed.
func TestRepositories(t *testing.T) {
	c := serve(t)
	url := "https://security.access.redhat.com/data/metrics/repository-to-cpe.json"
	c.Bytes[url] = []byte(`{"data":{"rhel-9-for-x86_64-appstream-eus-rpms":{"cpes":["cpe:/a:redhat:rhel_eus:9.2::appstream","cpe:/a:redhat:rhel_eus:9.4::appstream"],"repo_relative_urls":["content/eus/rhel9"]},
"rhel-9-for-x86_64-appstream-debug-rpms":{"cpes":["cpe:/a:redhat:enterprise_linux:9::appstream"]}}}`)
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	want := advisory.Detail{ID: "repository:rhel-9-for-x86_64-appstream-eus-rpms", Group: "Red Hat", CPEs: []string{"cpe:/a:redhat:rhel_eus:9.2::appstream", "cpe:/a:redhat:rhel_eus:9.4::appstream"}}
	got, _ := sink.Detail1(Repository("rhel-9-for-x86_64-appstream-eus-rpms"))
	if diff := cmp.Diff(want, got); diff != "" || len(sink.Details) != 6 {
		t.Error(diff, len(sink.Details))
	}
	if sink, _ = feedtest.Update(t, Feed{}, c, state); len(sink.Details) != 0 {
		t.Error("told again")
	}
	c.Bytes[url] = []byte(`<html>`)
	if _, err := (Feed{}).Update(t.Context(), advisory.Update{Client: c, URL: base, State: state, Sink: &feedtest.Sink{}, Now: feedtest.Now()}); sekisho.KindOf(err) != sekisho.Invalid {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	for name, spoil := range map[string]func(c *feedtest.Client){
		"archive cut": func(c *feedtest.Client) {
			c.Bytes[base+"/csaf_vex_2023-10-31.tar.zst"] = read(t, "csaf_vex_2023-10-31.tar.zst")[:3000]
		},
		"another place": func(c *feedtest.Client) { c.Bytes[base+"/archive_latest.txt"] = []byte("../../evil.tar.zst") },
		"no archive":    func(c *feedtest.Client) { delete(c.Bytes, base+"/archive_latest.txt") },
		"bad csv":       func(c *feedtest.Client) { c.Bytes[base+"/changes.csv"] = []byte("\"a\"b\n") },
	} {
		c := serve(t)
		spoil(c)
		old := advisory.State{Cursors: map[string]string{"x": "y"}}
		state, err := Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: base, State: old, Sink: &feedtest.Sink{}, Now: feedtest.Now()})
		if err == nil || len(state.Cursors) != 1 {
			t.Errorf("%s: %v, state %+v", name, err, state)
		}
		if c.Open() != 0 {
			t.Errorf("%s: left open", name)
		}
	}
}

// The archive of all documents, made of the samples over and over: memory must
// not grow with it.
func BenchmarkArchive(b *testing.B) {
	files, _ := filepath.Glob(filepath.Join(feedtest.Dir(b, "vendor-samples/redhat-vex"), "cve-*.json"))
	var docs [][]byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		docs = append(docs, data)
	}
	var archive bytes.Buffer
	z, _ := zstd.NewWriter(&archive)
	w := tar.NewWriter(z)
	const n = 5000
	size := int64(0)
	for i := range n {
		data := docs[i%len(docs)]
		size += int64(len(data))
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("2024/cve-2024-%d.json", i), Mode: 0o644, Size: int64(len(data))}); err != nil {
			b.Fatal(err)
		}
		_, _ = w.Write(data)
	}
	_, _ = w.Close(), z.Close()
	b.SetBytes(size)
	for b.Loop() {
		c := feedtest.New()
		c.Bytes[base+"/archive_latest.txt"] = []byte("csaf_vex_2026-11-01.tar.zst")
		c.Bytes[base+"/csaf_vex_2026-11-01.tar.zst"] = archive.Bytes()
		c.Bytes[base+"/changes.csv"], c.Bytes[base+"/deletions.csv"] = nil, nil
		sink := &peak{Sink: feedtest.Sink{Count: true}}
		if _, err := (Feed{}).Update(b.Context(), advisory.Update{Client: c, URL: base, Sink: sink, Now: feedtest.Now()}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(sink.NRecords), "records")
		b.ReportMetric(float64(sink.heap>>20), "peak-MiB")
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "documents/s")
}

// peak looks at the heap now and then.
type peak struct {
	feedtest.Sink
	heap uint64
}

func (p *peak) Detail(d advisory.Detail, t advisory.Text) error {
	if p.NDetails%200 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.heap = max(p.heap, m.HeapInuse)
	}
	return p.Sink.Detail(d, t)
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"cve-2024-24786-simple.json", "cve-2024-24786-illegal-module.json", "cve-2024-22047.json", "cve-2021-0084.json", "cve-2026-27142-go.json"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decode(data, nil)
		if err != nil {
			return
		}
		for _, r := range c.records {
			if r.Package == "" || r.Status == "" || len(r.Ranges) == 0 || r.Status == sekisho.StatusFixed && r.Ranges[len(r.Ranges)-1].Fixed == "" || len(r.Repositories) == 0 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func FuzzLists(f *testing.F) {
	f.Add([]byte("\"2023/cve-2023-0030.json\",\"2023-10-30T00:00:00+00:00\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := changes(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, c := range list {
			if strings.Contains(c.path, "..") || c.at.IsZero() {
				t.Fatalf("%+v", c)
			}
		}
		_ = documents(bytes.NewReader(data), func([]byte) error { return io.EOF })
	})
}

func TestStored(t *testing.T) {
	c := serve(t)
	c.Bytes[base+"/changes.csv"] = []byte("\"2024/cve-2024-0727.json\",\"2024-11-02T10:00:00+00:00\"\n\"2025/cve-2025-40907.json\",\"2025-11-02T10:00:00+00:00\"\n")
	c.Bytes[base+"/2024/cve-2024-0727.json"] = read(t, "cve-2024-0727-openssl.json")
	c.Bytes[base+"/2025/cve-2025-40907.json"] = read(t, "cve-2025-40907-perl.json")
	_, stats := feedtest.Stored(t, Feed{}, c)
	sink, _ := feedtest.Update(t, Feed{}, c, advisory.State{})
	if stats.Records != sink.NRecords || stats.Details != 7 {
		t.Errorf("%d records of %d, %+v", stats.Records, sink.NRecords, stats)
	}
}
