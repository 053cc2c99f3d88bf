package amazon

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

// The form of the real repositories (updateinfo.xml of createrepo); what they
// say is that of errata ALAS2-2018-939 and ALAS2023-2023-126 of the shared
// samples, which are web pages.
const update2 = `<?xml version="1.0" ?>
<updates><update author="linux-security@amazon.com" from="linux-security@amazon.com" status="final" type="security" version="1.4">
<id>ALAS2-2018-939</id><title>Amazon Linux 2 - ALAS2-2018-939: critical priority package update for kernel</title>
<issued date="2018-01-08 17:09:00" /><updated date="2018-04-26 19:30:00" /><severity>critical</severity>
<description>Package updates are available for Amazon Linux 2 that fix the following vulnerabilities:
CVE-2017-5754: meltdown</description>
<references><reference href="http://cve.mitre.org/cgi-bin/cvename.cgi?name=CVE-2017-5754" id="CVE-2017-5754" title="" type="cve" />
<reference href="https://access.redhat.com/security/cve/CVE-2017-5715" id="CVE-2017-5715" title="" type="cve" />
<reference href="https://alas.aws.amazon.com/AL2/ALAS-2018-939.html" id="ALAS2-2018-939" title="" type="self" /></references>
<pkglist><collection short="amazon-linux-2"><name>Amazon Linux 2</name>
<package arch="%[1]s" epoch="0" name="kernel" release="102.109.amzn2" version="4.9.76"><filename>k.rpm</filename></package>
<package arch="src" epoch="0" name="kernel" release="102.109.amzn2" version="4.9.76"><filename>k.rpm</filename></package>
</collection></pkglist></update>
<update type="bugfix"><id>ALAS2-2018-1</id><title>nothing</title><pkglist><collection><package arch="noarch" name="tzdata" version="1" release="1"/></collection></pkglist></update></updates>`

const extra = `<updates><update type="security"><id>ALAS2DOCKER-2023-024</id><title>ALAS2DOCKER-2023-024: important priority package update for containerd</title>
<issued date="2023-02-17T00:00:00Z" /><updated date="2023-02-17T00:00:00Z" /><severity>important</severity>
<references><reference id="CVE-2022-23471" type="cve" href="x" /></references>
<pkglist><collection><package arch="x86_64" epoch="0" name="containerd" release="1.amzn2.0.1" version="1.6.8" /></collection></pkglist></update></updates>`

const update2023 = `<updates><update type="security"><id>ALAS2023-2023-126</id><title>ALAS2023-2023-126</title><severity>Medium</severity>
<issued date="2023-03-20 17:00" /><references><reference id="CVE-2022-38784" type="cve" href="x" /></references>
<pkglist><collection><package arch="x86_64" epoch="1" name="poppler" release="12.amzn2023.0.3" version="22.08.0" /></collection></pkglist></update></updates>`

func put(c *feedtest.Client, list, mirror, info string) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(info))
	_ = w.Close()
	c.Bytes[home+"/"+list] = []byte("\n" + home + "/" + mirror + "/\n")
	c.Bytes[home+"/"+mirror+"/repodata/repomd.xml"] = fmt.Appendf(nil, `<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary"><checksum type="sha256">1</checksum><location href="repodata/p.xml"/></data>
<data type="updateinfo"><checksum type="sha256">%x</checksum><location href="repodata/updateinfo.xml.gz"/></data></repomd>`, sha256.Sum256(z.Bytes()))
	c.Bytes[home+"/"+mirror+"/repodata/updateinfo.xml.gz"] = z.Bytes()
}

func serve() *feedtest.Client {
	c := feedtest.New()
	c.Bytes[home+"/2/extras-catalog.json"] = []byte(`{"topics":[{"n":"docker"},{"n":"gone"},{"n":"../evil"}]}`)
	for _, arch := range architectures {
		put(c, "2/core/latest/"+arch+"/mirror.list", "2/core/2.0/"+arch+"/0123", fmt.Sprintf(update2, arch))
		put(c, "al2023/core/mirrors/latest/"+arch+"/mirror.list", "al2023/core/guids/0123/"+arch, update2023)
	}
	put(c, "2/extras/docker/latest/x86_64/mirror.list", "2/extras/docker/1/x86_64", extra)
	return c
}

func TestUpdate(t *testing.T) {
	c := serve()
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	issued := time.Date(2018, 1, 8, 17, 9, 0, 0, time.UTC)
	kernel := advisory.Record{
		ID: "ALAS2-2018-939", Ecosystem: "Amazon:2", Package: "kernel", Aliases: []string{"CVE-2017-5754"}, Advisories: []string{"ALAS2-2018-939"}, Status: sekisho.StatusFixed,
		Ranges: []advisory.Range{{Fixed: "4.9.76-102.109.amzn2"}}, Rating: "critical", Severity: "critical", Arch: []string{"aarch64", "x86_64"}, Fixed: issued,
	}
	second := kernel
	second.Aliases = []string{"CVE-2017-5715"}
	if diff := cmp.Diff([]advisory.Record{kernel, second}, sink.Of("kernel")); diff != "" {
		t.Error(diff)
	}
	if got := sink.Of("containerd"); len(got) != 1 || !slices.Equal(got[0].Repositories, []string{"amzn2extra-docker"}) || got[0].Ecosystem != "Amazon:2" {
		t.Errorf("extras: %+v", got)
	}
	if got := sink.Of("poppler"); len(got) != 1 || got[0].Ranges[0].Fixed != "1:22.08.0-12.amzn2023.0.3" || got[0].Ecosystem != "Amazon:2023" || got[0].Severity != "medium" {
		t.Errorf("2023: %+v", got)
	}
	if got := sink.Of("tzdata"); len(got) != 0 || state.Skipped["no flaw"] != 2 {
		t.Errorf("no flaw: %+v, %v", got, state.Skipped)
	}
	d, text := sink.Detail1("ALAS2DOCKER-2023-024")
	if d.Title != "containerd security update" || !slices.Equal(d.Aliases, []string{"CVE-2022-23471"}) || text.ID != d.ID {
		t.Errorf("%+v", d)
	}
	if again, _ := feedtest.Update(t, Feed{}, c, state); again.NRecords+len(again.Replaced) != 0 {
		t.Error("told again")
	}
	if only, _ := feedtest.Update(t, Feed{}, c, state, "Amazon:2023"); only.NRecords != 1 {
		t.Errorf("%d records of 2023", only.NRecords)
	}
}

// Release 1 is on a host of its own, which may be gone one day: then what is
// known of it stands, and the others are read.
func TestFirstRelease(t *testing.T) {
	c := serve()
	list := homeOfFirst + "/2018.03/updates/x86_64/mirror.list"
	put(c, "first", "first/x86_64", strings.ReplaceAll(fmt.Sprintf(update2, "x86_64"), "ALAS2", "ALAS"))
	c.Bytes[list] = c.Bytes[home+"/first"]
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	slices.Sort(sink.Replaced)
	if got := sink.Of("ALAS-2018-939"); len(got) != 2 || got[0].Ecosystem != "Amazon:1" || !slices.Equal(sink.Replaced, []string{"Amazon:1", "Amazon:2", "Amazon:2023"}) {
		t.Errorf("%+v, replaced %v", got, sink.Replaced)
	}
	c.Fail[list] = sekisho.Errorf(sekisho.Unavailable, "no such host")
	put(c, "2/extras/docker/latest/x86_64/mirror.list", "2/extras/docker/2/x86_64", strings.ReplaceAll(extra, "1.6.8", "1.6.9"))
	sink, state = feedtest.Update(t, Feed{}, c, state)
	slices.Sort(sink.Replaced)
	if !slices.Equal(sink.Replaced, []string{"Amazon:2", "Amazon:2023"}) || state.Skipped["repository that does not answer"] == 0 {
		t.Errorf("replaced %v, skipped %v", sink.Replaced, state.Skipped)
	}
}

// A mirror of the user's stands for the host, in the lists of mirrors too.
func TestMirror(t *testing.T) {
	c, at := feedtest.New(), "https://mirror.example/amazon"
	for url, data := range serve().Bytes {
		c.Bytes[strings.Replace(url, home, at, 1)] = data
	}
	sink := &feedtest.Sink{}
	if _, err := (Feed{}).Update(t.Context(), advisory.Update{Client: c, URL: at, Sink: sink, Now: feedtest.Now()}); err != nil || sink.NRecords != 4 {
		t.Errorf("%d records, %v", sink.NRecords, err)
	}
}

func TestRefused(t *testing.T) {
	for name, spoil := range map[string]func(c *feedtest.Client){
		"another sum": func(c *feedtest.Client) {
			c.Bytes[home+"/2/extras/docker/1/x86_64/repodata/updateinfo.xml.gz"] = []byte(extra)
		},
		"elsewhere": func(c *feedtest.Client) {
			name := home + "/2/core/2.0/x86_64/0123/repodata/repomd.xml"
			c.Bytes[name] = bytes.Replace(c.Bytes[name], []byte("repodata/updateinfo"), []byte("../../updateinfo"), 1)
		},
		"no mirror": func(c *feedtest.Client) {
			c.Bytes[home+"/2/core/latest/x86_64/mirror.list"] = []byte("file:///etc/passwd\n")
		},
		"no core":    func(c *feedtest.Client) { delete(c.Bytes, home+"/2/core/latest/x86_64/mirror.list") },
		"no catalog": func(c *feedtest.Client) { c.Bytes[home+"/2/extras-catalog.json"] = []byte("<html>") },
	} {
		c := serve()
		spoil(c)
		if _, err := (Feed{}).Update(t.Context(), advisory.Update{Client: c, URL: home, Sink: &feedtest.Sink{}, Now: feedtest.Now()}); err == nil || c.Open() != 0 {
			t.Errorf("%s: %v, %d open", name, err, c.Open())
		}
	}
}

func FuzzErrata(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(update2, "x86_64")))
	f.Add([]byte(extra))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := folder{at: map[key]int{}}
		_ = errata(bytes.NewReader(data), func(e *erratum) { x.add(repository{release: "2"}, e) })
		for _, r := range x.rows {
			if r.Package == "" || r.ID == "" || r.Ranges[0].Fixed == "" {
				t.Fatalf("%+v", r)
			}
		}
		_, _ = repomd(data)
	})
}

// All that is told is kept.
func TestStored(t *testing.T) {
	db, stats := feedtest.Stored(t, Feed{}, serve())
	if stats.Records != 4 || stats.Details != 3 || len(db.Covers("Amazon:2")) != 1 {
		t.Errorf("%+v", stats)
	}
}
