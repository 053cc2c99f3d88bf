package photon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

func serve(t testing.TB) *feedtest.Client {
	c, base := feedtest.New(), Feed{}.Info().URL
	c.Bytes[base+"/photon_versions.json"] = []byte(`{"branches": ["1.0", "4.0", "../evil"]}`)
	c.Files[base+"/cve_data_photon1.0.json"] = feedtest.Dir(t, "vendor-samples/photon/cve_data_photon1.0.json")
	c.Files[base+"/cve_data_photon4.0.json"] = feedtest.Dir(t, "vendor-samples/photon/cve_data_photon4.0.json")
	return c
}

func TestUpdate(t *testing.T) {
	c := serve(t)
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	fixed := []advisory.Range{{Fixed: "7.88.1-4.ph4"}}
	want := []advisory.Record{
		{ID: "CVE-2023-38546", Ecosystem: "Photon OS:4.0", Package: "curl", Source: true, Status: sekisho.StatusFixed, Ranges: fixed, Severity: "low"},
		{ID: "CVE-2023-38546", Ecosystem: "Photon OS:4.0", Package: "curl-libs", Status: sekisho.StatusFixed, Ranges: fixed, Severity: "low"},
	}
	if diff := cmp.Diff(want, sink.Of("CVE-2023-38546")); diff != "" {
		t.Error(diff)
	}
	for _, r := range sink.Of("httpd") {
		if r.Status != sekisho.StatusNotAffected || r.Ranges[0] != (advisory.Range{}) {
			t.Errorf("%+v", r)
		}
	}
	if len(sink.Of("httpd")) == 0 || len(state.Skipped) != 0 {
		t.Errorf("httpd %v, skipped %v", sink.Of("httpd"), state.Skipped)
	}
	if again, _ := feedtest.Update(t, Feed{}, c, state); again.NRecords+len(again.Replaced) != 0 {
		t.Error("told again")
	}
	if only, _ := feedtest.Update(t, Feed{}, c, state, "Photon OS:1.0"); only.NRecords == 0 || only.Records[0].Ecosystem != "Photon OS:1.0" {
		t.Errorf("%+v", only.Records)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(feedtest.Read(f, "vendor-samples/photon/cve_data_photon4.0.json"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := feedtest.New()
		c.Bytes["u/photon_versions.json"], c.Bytes["u/cve_data_photon1.0.json"] = []byte(`{"branches":["1.0"]}`), data
		sink := &feedtest.Sink{}
		_, _ = Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: "u", Sink: sink, Now: feedtest.Now()})
		for _, r := range sink.Records {
			if r.Package == "" || r.ID == "" {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func TestStored(t *testing.T) {
	if _, stats := feedtest.Stored(t, Feed{}, serve(t)); stats.Records == 0 {
		t.Errorf("%+v", stats)
	}
}
