package epss

import (
	"bytes"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

func serve(t testing.TB) *feedtest.Client {
	c := feedtest.New()
	c.Files[Feed{}.Info().URL+"/"+file] = feedtest.Dir(t, "epss/epss_scores-2026-08-16.csv.gz")
	return c
}

func TestUpdate(t *testing.T) {
	c := serve(t)
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	if len(sink.Signals) != 360142 || state.Cursors["model"] != "unknown" || state.Newest.Format("2006-01-02") != "2026-08-16" {
		t.Errorf("%d signals, %+v", len(sink.Signals), state)
	}
	if got := *sink.Signals[0].EPSS; sink.Signals[0].CVE != "CVE-1999-0001" || got != (sekisho.EPSS{Score: 0.03351, Percentile: 0.8765, Date: "2026-08-16"}) {
		t.Errorf("%+v", got)
	}
	if again, _ := feedtest.Update(t, Feed{}, c, state); again.NSignals+len(again.Replaced) != 0 {
		t.Error("told again")
	}
}

func TestRefused(t *testing.T) {
	whole := feedtest.Read(t, "epss/epss_scores-2026-08-16.csv.gz")
	for name, data := range map[string][]byte{
		"cut": whole[:len(whole)/2], "empty": nil, "page": []byte("<html>\n<body>\n"),
		"no number": []byte("#\ncve,epss,percentile\nCVE-2020-0001,x,0.1\n"), "beyond one": []byte("#\ncve,epss,percentile\nCVE-2020-0001,1.5,0.1\n"),
		"NaN": []byte("#\ncve,epss,percentile\nCVE-2020-0001,NaN,0.1\n"), "no CVE": []byte("#\ncve,epss,percentile\nX,0.5,0.1\n"),
	} {
		c := feedtest.New()
		c.Bytes["u/"+file] = data
		_, err := Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: "u", Sink: &feedtest.Sink{Count: true}, Now: feedtest.Now()})
		if sekisho.KindOf(err) != sekisho.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	c := serve(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		sink := &feedtest.Sink{Count: true}
		if _, err := (Feed{}).Update(b.Context(), advisory.Update{Client: c, URL: Feed{}.Info().URL, Sink: sink, Now: feedtest.Now()}); err != nil {
			b.Fatal(err)
		}
		n += sink.NSignals
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("#model_version:v2025.03.14,score_date:2026-08-16T00:00:00+0000\ncve,epss,percentile\nCVE-1999-0001,0.03351,0.87650\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sink := &feedtest.Sink{}
		_, _ = read(bytes.NewReader(data), sink)
		for _, s := range sink.Signals {
			if s.EPSS.Score < 0 || s.EPSS.Score > 1 || s.CVE == "" {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func TestStored(t *testing.T) {
	db, stats := feedtest.Stored(t, Feed{}, serve(t))
	if s, err := db.EPSS("CVE-1999-0001"); stats.Signals != 360142 || err != nil || s == nil || s.Date != "2026-08-16" {
		t.Errorf("%+v %v %+v", s, err, stats)
	}
}
