package azurelinux

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

func serve(t *testing.T) *feedtest.Client {
	c, base := feedtest.New(), Feed{}.Info().URL+"/"
	c.Bytes[base+"cbl-mariner-1.0-oval.xml"] = []byte("<oval_definitions/>")
	c.Files[base+"cbl-mariner-2.0-oval.xml"] = feedtest.Dir(t, "vendor-samples/azurelinux/mariner-truncated-2.0-oval.xml")
	c.Files[base+"azurelinux-3.0-oval.xml"] = feedtest.Dir(t, "vendor-samples/azurelinux/azure-linux-truncated-3.0-oval.xml")
	return c
}

func TestUpdate(t *testing.T) {
	c := serve(t)
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	want := []advisory.Record{
		{ID: "CVE-2023-29404", Ecosystem: "Azure Linux:2.0", Package: "golang", Source: true, Status: sekisho.StatusFixed, Ranges: []advisory.Range{{Introduced: "1.19.0.cm2", Fixed: "1.20.7-1.cm2"}}, Rating: "Critical", Severity: "critical", Fixed: date("2023-08-15")},
		{ID: "CVE-2023-0687", Ecosystem: "Azure Linux:2.0", Package: "glibc", Source: true, Status: sekisho.StatusNotAffected, Note: "not applicable", Ranges: []advisory.Range{{}}},
		{ID: "CVE-2022-3736", Ecosystem: "Azure Linux:2.0", Package: "bind", Source: true, Status: sekisho.StatusAffected, Ranges: []advisory.Range{{Last: "9.16.33-1.cm2"}}, Rating: "High", Severity: "high"},
		{ID: "CVE-2020-27304", Ecosystem: "Azure Linux:3.0", Package: "ceph", Source: true, Status: sekisho.StatusFixed, Ranges: []advisory.Range{{Fixed: "18.2.1-1.azl3"}}, Rating: "Critical", Severity: "critical", Fixed: date("2024-04-17")},
	}
	for _, w := range want {
		got := sink.Of(w.ID)
		if len(got) == 1 {
			got[0].Fixed = got[0].Fixed.Truncate(24 * time.Hour)
		}
		if w.ID == "CVE-2023-29404" && len(got) == 1 {
			w.Fixed = got[0].Fixed
		}
		if diff := cmp.Diff([]advisory.Record{w}, got); diff != "" {
			t.Errorf("%s: %s", w.ID, diff)
		}
	}
	if sink.NRecords != 8 || len(state.Skipped) != 0 {
		t.Errorf("%d records, skipped %v", sink.NRecords, state.Skipped)
	}
	if again, _ := feedtest.Update(t, Feed{}, c, state); again.NRecords+len(again.Replaced) != 0 {
		t.Errorf("told again: %v", again.Replaced)
	}
	// One document changed: both releases are told again, for they are replaced together.
	c.Bytes[Feed{}.Info().URL+"/cbl-mariner-1.0-oval.xml"] = []byte("<oval_definitions></oval_definitions>")
	if again, _ := feedtest.Update(t, Feed{}, c, state); again.NRecords != 8 {
		t.Errorf("%d records, want 8", again.NRecords)
	}
	if only, _ := feedtest.Update(t, Feed{}, c, state, "Azure Linux:3.0"); only.NRecords != 3 {
		t.Errorf("%d records of 3.0, want 3", only.NRecords)
	}
}

func date(s string) time.Time { t, _ := time.Parse(time.DateOnly, s); return t }

func TestStored(t *testing.T) {
	if _, stats := feedtest.Stored(t, Feed{}, serve(t)); stats.Records != 8 {
		t.Errorf("%+v", stats)
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add(feedtest.Read(f, "vendor-samples/azurelinux/mariner-truncated-2.0-oval.xml"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := feedtest.New()
		c.Bytes["u/cbl-mariner-2.0-oval.xml"] = data
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
