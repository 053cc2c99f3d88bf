package kev

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

func TestUpdate(t *testing.T) {
	c := feedtest.New()
	c.Serve(t, Feed{}.Info().URL, feedtest.Dir(t, "kev"))
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	if len(sink.Signals) != 1404 || state.Newest.Format("2006-01-02") != "2025-08-25" {
		t.Errorf("%d signals, newest %v", len(sink.Signals), state.Newest)
	}
	ransomware := 0
	for _, s := range sink.Signals {
		if s.KEV.Added == "" || s.KEV.Due == "" || s.EPSS != nil {
			t.Errorf("%s: %+v", s.CVE, s.KEV)
		}
		if s.KEV.Ransomware {
			ransomware++
		}
		if s.CVE != "CVE-2021-44228" {
			continue
		}
		want := &sekisho.KEV{Added: "2021-12-10", Due: "2021-12-24", Ransomware: true, Action: s.KEV.Action}
		if diff := cmp.Diff(want, s.KEV); diff != "" || s.KEV.Action == "" {
			t.Error(diff)
		}
	}
	if want := bytes.Count(feedtest.Read(t, "kev/"+file), []byte(`"knownRansomwareCampaignUse": "Known"`)); ransomware != want || want == 0 {
		t.Errorf("%d with ransomware, want %d", ransomware, want)
	}
	if again, _ := feedtest.Update(t, Feed{}, c, state); again.NSignals+len(again.Replaced) != 0 {
		t.Error("told again")
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add([]byte(`{"vulnerabilities":[{"cveID":"CVE-2021-44228","dateAdded":"2021-12-10","dueDate":"2021-12-24"}]}`))
	f.Add([]byte(`{"a":[{"vulnerabilities":1}],"vulnerabilities":[],"x":"\"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := feedtest.New()
		c.Bytes["u/"+file] = data
		_, _ = Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: "u", Sink: &feedtest.Sink{}, Now: feedtest.Now()})
	})
}

func TestStored(t *testing.T) {
	c := feedtest.New()
	c.Serve(t, Feed{}.Info().URL, feedtest.Dir(t, "kev"))
	db, stats := feedtest.Stored(t, Feed{}, c)
	if s, err := db.KEV("CVE-2021-44228"); stats.Signals != 1404 || err != nil || s == nil || s.Due != "2021-12-24" {
		t.Errorf("%+v %v %+v", s, err, stats)
	}
}
