package jvn

import (
	"bytes"
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

// Entries in the forms that JVN iPedia publishes; the words are our own.
const head = `<?xml version="1.0" encoding="UTF-8" ?>
<VULDEF-Document version="3.2" xmlns="http://jvn.jp/vuldef/" xmlns:vuldef="http://jvn.jp/vuldef/" xmlns:status="http://jvndb.jvn.jp/myjvn/Status" xmlns:sec="http://jvn.jp/rss/mod_sec/3.0/" xml:lang="ja">`

const foot = `<sec:handling/><status:Status version="3.3" method="getVulnDetailInfo" lang="ja" retCd="0" totalRes="2" totalResRet="2" firstRes="" feed="hnd"/></VULDEF-Document>`

const openssl = `<Vulinfo><VulinfoID>JVNDB-2024-002510</VulinfoID><VulinfoData>
<Title>OpenSSL における NULL ポインタ参照に関する脆弱性</Title>
<VulinfoDescription><Overview>OpenSSL の PKCS12 形式ファイルの処理には、NULL ポインタ参照に関する脆弱性が存在します。 </Overview></VulinfoDescription>
<Affected><AffectedItem><Name>OpenSSL Project</Name><ProductName>OpenSSL</ProductName><Cpe version="2.2">cpe:/a:openssl:openssl</Cpe><VersionNumber>3.2.1 未満</VersionNumber></AffectedItem></Affected>
<Impact><Cvss version="2.0"><Severity type="Base">Medium</Severity><Base>4.3</Base><Vector>AV:N/AC:M/Au:N/C:N/I:N/A:P</Vector></Cvss>
<Cvss version="3.0"><Severity type="Base">Medium</Severity><Base>5.5</Base><Vector>CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H</Vector></Cvss>
<ImpactItem><Description>細工されたファイルを処理すると、サービス運用妨害 (DoS) 状態にされる可能性があります。 </Description></ImpactItem></Impact>
<Solution><SolutionItem><Description>開発者が提供する情報をもとに、最新版へアップデートしてください。</Description></SolutionItem></Solution>
<Related><RelatedItem type="vendor"><Name>OpenSSL</Name><VulinfoID>secadv 20240125</VulinfoID><URL>https://www.openssl.org/news/secadv/20240125.txt</URL></RelatedItem>
<RelatedItem type="advisory"><Name>Common Vulnerabilities and Exposures (CVE)</Name><VulinfoID>CVE-2024-0727</VulinfoID><URL>https://www.cve.org/CVERecord?id=CVE-2024-0727</URL></RelatedItem>
<RelatedItem type="advisory"><Name>National Vulnerability Database (NVD)</Name><VulinfoID>CVE-2024-0727</VulinfoID><URL>https://nvd.nist.gov/vuln/detail/CVE-2024-0727</URL></RelatedItem>
<RelatedItem type="cwe"><Name>JVNDB</Name><VulinfoID>CWE-476</VulinfoID><Title>NULL ポインタデリファレンス</Title><URL>https://cwe.mitre.org/data/definitions/476.html</URL></RelatedItem>
<RelatedItem type="cwe"><Name>JVNDB</Name><VulinfoID>CWE-noinfo</VulinfoID><Title>情報不足</Title></RelatedItem></Related>
<DateFirstPublished>2024-02-13T10:20:30+09:00</DateFirstPublished><DateLastUpdated>2024-02-14T10:20:30+09:00</DateLastUpdated><DatePublic>2024-01-25T00:00:00+09:00</DatePublic>
</VulinfoData></Vulinfo>`

const two = `<Vulinfo><VulinfoID>JVNDB-2024-000017</VulinfoID><VulinfoData><Title>某社製ルータにおける複数の脆弱性 &amp;amp; 不備</Title>
<VulinfoDescription><Overview>次の脆弱性が存在します。&lt;ul&gt;&lt;li&gt;格納型クロスサイトスクリプティング（CWE-79）&lt;/li&gt;&lt;li&gt;バッファオーバーフロー（CWE-121）&lt;/li&gt;&lt;/ul&gt;&lt;script&gt;</Overview></VulinfoDescription>
<Impact><Cvss version="3.0"><Severity type="Base">High</Severity><Base>8.8</Base><Vector>CVSS:3.0/AV:A/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H</Vector></Cvss></Impact>
<Related><RelatedItem type="advisory"><Name>JVN</Name><VulinfoID>JVN#12345678</VulinfoID></RelatedItem>
<RelatedItem type="advisory"><Name>Common Vulnerabilities and Exposures (CVE)</Name><VulinfoID>CVE-2024-20001</VulinfoID></RelatedItem>
<RelatedItem type="advisory"><Name>Common Vulnerabilities and Exposures (CVE)</Name><VulinfoID>CVE-2024-20002</VulinfoID></RelatedItem></Related></VulinfoData></Vulinfo>
<Vulinfo><VulinfoID>JVNDB-2024-000018</VulinfoID><VulinfoData><Title>番号のない脆弱性</Title></VulinfoData></Vulinfo>`

const rss = `<?xml version="1.0" encoding="UTF-8"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" xmlns:sec="http://jvn.jp/rss/mod_sec/" xml:lang="ja">
<channel rdf:about="https://jvndb.jvn.jp/ja/rss/years/jvndb_2024.rdf"><title>JVNDB RSS Feed - 2024 Years Entry</title><items><rdf:Seq><rdf:li rdf:resource="https://jvndb.jvn.jp/ja/contents/2024/JVNDB-2024-002510.html"/></rdf:Seq></items></channel>
<item rdf:about="https://jvndb.jvn.jp/ja/contents/2024/JVNDB-2024-002510.html"><title>OpenSSL における NULL ポインタ参照に関する脆弱性</title><link>https://jvndb.jvn.jp/ja/contents/2024/JVNDB-2024-002510.html</link>
<description>OpenSSL には脆弱性が存在します。&#13;
&#13;
</description><sec:identifier>JVNDB-2024-002510</sec:identifier>
<sec:references source="CVE" id="CVE-2024-0727">https://www.cve.org/CVERecord?id=CVE-2024-0727</sec:references>
<sec:references title="NULL ポインタデリファレンス(CWE-476)" id="CWE-476">https://cwe.mitre.org/data/definitions/476.html</sec:references>
<sec:cvss version="3.0" score="5.5" type="Base" severity="Medium" vector="CVSS:3.0/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H"/>
<dc:date>2024-02-14T10:20+09:00</dc:date><dcterms:issued>2024-02-13T10:20+09:00</dcterms:issued><dcterms:modified>2024-02-14T10:20+09:00</dcterms:modified></item></rdf:RDF>`

func serve(years map[string]string) *feedtest.Client {
	c, base := feedtest.New(), Feed{}.Info().URL
	list := []string{`{"url":"https://jvndb.jvn.jp/ja/rss/jvndb_new.rdf","filename":"jvndb_new.rdf","sha256":"00","size":1}`}
	for year, doc := range years {
		name := "jvndb_detail_" + year + ".rdf"
		c.Bytes[base+"/detail/"+name] = []byte(doc)
		list = append(list, fmt.Sprintf(`{"url":"%s/detail/%s","filename":"%s","sha256":"%x","size":%d,"lastModified":"2024/02/14 09:00:11"}`, base, name, name, sha256.Sum256([]byte(doc)), len(doc)))
	}
	c.Bytes[base+"/checksum.txt"] = []byte("[" + strings.Join(list, ",") + "]")
	return c
}

func TestUpdate(t *testing.T) {
	c := serve(map[string]string{"2024": head + openssl + two + foot})
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	d, text := sink.Detail1("CVE-2024-0727")
	want := advisory.Detail{
		ID: "CVE-2024-0727", TitleJA: "OpenSSL における NULL ポインタ参照に関する脆弱性", Ratings: []sekisho.Rating{{Source: "jvn", Severity: sekisho.Medium, Word: "Medium"}},
		CVSS: []sekisho.CVSS{{Source: "jvn", Version: "3.1", Vector: "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H", Score: 5.5}, {Source: "jvn", Version: "2.0", Vector: "AV:N/AC:M/Au:N/C:N/I:N/A:P", Score: 4.3}},
		CWE:  []string{"CWE-476"}, Aliases: []string{"JVNDB-2024-002510"}, Published: time.Date(2024, 1, 24, 15, 0, 0, 0, time.UTC), Modified: time.Date(2024, 2, 14, 1, 20, 30, 0, time.UTC),
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(text.TextJA, "OpenSSL の PKCS12") || !strings.Contains(text.TextJA, "\n\n開発者が") || text.References[0].URL != "https://jvndb.jvn.jp/ja/contents/2024/JVNDB-2024-002510.html" {
		t.Errorf("%+v", text)
	}
	for _, cve := range []string{"CVE-2024-20001", "CVE-2024-20002"} {
		d, text := sink.Detail1(cve)
		if d.TitleJA != "某社製ルータにおける複数の脆弱性 & 不備" || len(d.CVSS) != 0 {
			t.Errorf("%s: %+v", cve, d)
		}
		if want := "次の脆弱性が存在します。\n・格納型クロスサイトスクリプティング（CWE-79）\n・バッファオーバーフロー（CWE-121）"; text.TextJA != want {
			t.Errorf("%q", text.TextJA)
		}
	}
	if len(sink.Details) != 3 || state.Skipped["no CVE"] != 1 || !slices.Equal(sink.Replaced, []string{""}) {
		t.Errorf("%d details, skipped %v", len(sink.Details), state.Skipped)
	}
	// Only years that changed are read, and take the place of what was known.
	c = serve(map[string]string{"2024": head + openssl + two + foot, "2025": head + openssl + foot})
	sink, state = feedtest.Update(t, Feed{}, c, state)
	if got := c.Requests(); len(got) != 2 || len(sink.Details) != 1 || len(sink.Replaced) != 0 || !slices.Equal(sink.Forgot, []string{"CVE-2024-0727"}) {
		t.Errorf("asked %v, forgot %v", got, sink.Forgot)
	}
	if sink, _ = feedtest.Update(t, Feed{}, c, state); sink.NDetails != 0 {
		t.Error("told again")
	}
}

func TestOverview(t *testing.T) {
	var got []entry
	if err := entries(strings.NewReader(rss), func(e entry) error { got = append(got, e); return nil }); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	e := got[0]
	if !slices.Equal(e.cves, []string{"CVE-2024-0727"}) || e.detail.TitleJA == "" || e.detail.CVSS[0].Version != "3.0" || e.text.TextJA != "OpenSSL には脆弱性が存在します。" || e.detail.Modified.Format(time.RFC3339) != "2024-02-14T01:20:00Z" {
		t.Errorf("%+v", e)
	}
}

func TestRefused(t *testing.T) {
	base := Feed{}.Info().URL
	for name, spoil := range map[string]func(c *feedtest.Client){
		"another sum": func(c *feedtest.Client) { c.Bytes[base+"/detail/jvndb_detail_2024.rdf"] = []byte(head + foot) },
		"cut":         func(c *feedtest.Client) { c.Bytes[base+"/detail/jvndb_detail_2024.rdf"] = []byte(head + openssl[:500]) },
		"no list":     func(c *feedtest.Client) { c.Bytes[base+"/checksum.txt"] = []byte("<html>") },
		"empty list":  func(c *feedtest.Client) { c.Bytes[base+"/checksum.txt"] = []byte("[]") },
	} {
		c := serve(map[string]string{"2024": head + openssl + foot})
		spoil(c)
		if _, err := (Feed{}).Update(t.Context(), advisory.Update{Client: c, URL: base, Sink: &feedtest.Sink{}, Now: feedtest.Now()}); err == nil || c.Open() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A year of the size of 2022: 70 MB.
func BenchmarkYear(b *testing.B) {
	doc := head + strings.Repeat(openssl, 20000) + foot
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		n := 0
		if err := entries(strings.NewReader(doc), func(entry) error { n++; return nil }); err != nil || n != 20000 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(20000*b.N)/b.Elapsed().Seconds(), "entries/s")
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte(head + openssl + two + foot))
	f.Add([]byte(rss))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = entries(bytes.NewReader(data), func(e entry) error {
			if strings.ContainsAny(e.detail.TitleJA, "\r\n") || len(e.cves) > maxCVEs {
				t.Fatalf("%+v", e)
			}
			return nil
		})
	})
}

func TestStored(t *testing.T) {
	db, stats := feedtest.Stored(t, Feed{}, serve(map[string]string{"2024": head + openssl + two + foot}))
	if d, ok, err := db.Detail("jvn", "", "CVE-2024-0727"); !ok || err != nil || d.TitleJA == "" || stats.Details != 3 {
		t.Errorf("%+v %v %v %+v", d, ok, err, stats)
	}
}
