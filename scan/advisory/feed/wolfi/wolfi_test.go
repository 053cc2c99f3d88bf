package wolfi

import (
	"slices"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

// The document is made up: the real ones may not be copied.
const document = `{"apkurl":"{{urlprefix}}/{{reponame}}/{{arch}}/{{pkg.name}}-{{pkg.ver}}.apk","archs":["x86_64"],"reponame":"os","urlprefix":"https://example.org","packages":[
	{"pkg":{"name":"example","secfixes":{"0":["CVE-2024-0001"],"1.2.3-r1":["CVE-2024-0002","GHSA-aaaa-bbbb-cccc"]}}}]}`

func TestFeeds(t *testing.T) {
	for _, f := range []advisory.Feed{New(), NewChainguard()} {
		info := f.Info()
		if !info.Restricted || info.Default {
			t.Errorf("%s: the licence forbids passing it on; it must be switched on", info.Name)
		}
		c := feedtest.New()
		c.Bytes[info.URL+"/security.json"] = []byte(document)
		sink, state := feedtest.Update(t, f, c, advisory.State{})
		if !slices.Equal(sink.Replaced, info.Ecosystems) || len(sink.Records) != 3 {
			t.Fatalf("%s: replaced %v, %d records", info.Name, sink.Replaced, len(sink.Records))
		}
		if r := sink.Of("CVE-2024-0001")[0]; r.Status != sekisho.StatusNotAffected || r.Ecosystem != info.Ecosystems[0] {
			t.Errorf("got %+v", r)
		}
		if r := sink.Of("GHSA-aaaa-bbbb-cccc")[0]; r.Status != sekisho.StatusFixed || r.Ranges[0].Fixed != "1.2.3-r1" || !r.Source {
			t.Errorf("got %+v", r)
		}
		if sink, _ = feedtest.Update(t, f, c, state); len(sink.Records)+len(sink.Replaced) != 0 {
			t.Error("nothing changed")
		}
		c.Bytes[info.URL+"/security.json"] = []byte(`{"packages": 1}`)
		sink = &feedtest.Sink{}
		if _, err := f.Update(t.Context(), advisory.Update{Client: c, URL: info.URL, Sink: sink, Now: feedtest.Now()}); sekisho.KindOf(err) != sekisho.Invalid || len(sink.Replaced) != 0 {
			t.Errorf("a broken document: %v", err)
		}
	}
}
