package arch

import (
	"slices"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

func serve(document []byte) *feedtest.Client {
	c := feedtest.New()
	c.Bytes[New().Info().URL+"/all.json"] = document
	return c
}

func TestUpdate(t *testing.T) {
	c := serve(feedtest.Read(t, "vendor-samples/arch/all.json"))
	sink, state := feedtest.Update(t, New(), c, advisory.State{})
	if !slices.Equal(sink.Replaced, []string{"Arch"}) || sink.NDetails != 4 { // one group names no flaw
		t.Errorf("replaced %v, %d details", sink.Replaced, sink.NDetails)
	}
	// Two flaws of one group are two records.
	var flaws []string
	for _, r := range sink.Of("openssl") {
		flaws = append(flaws, r.Aliases...)
		if r.ID != "AVG-5678" || r.Status != sekisho.StatusFixed || r.Ranges[0].Fixed != "3.2.0-1" || r.Severity != string(sekisho.Critical) || !slices.Contains(r.Advisories, "ASA-202401-02") {
			t.Errorf("got %+v", r)
		}
	}
	if !slices.Equal(flaws, []string{"CVE-2024-5678", "CVE-2024-5679"}) {
		t.Errorf("got %v", flaws)
	}
	if got := sink.Of("lib32-glibc"); len(got) != 1 || got[0].Aliases[0] != "CVE-2023-4911" {
		t.Errorf("got %+v", got)
	}
	if got := sink.Of("pam"); len(got) != 1 || got[0].Status != sekisho.StatusAffected || got[0].Ranges[0] != (advisory.Range{}) {
		t.Errorf("got %+v", got)
	}
	if sink, _ = feedtest.Update(t, New(), c, state); len(sink.Replaced)+len(sink.Records) != 0 {
		t.Error("nothing changed")
	}
	feedtest.Store(t, New(), c)
}

func TestStatuses(t *testing.T) {
	sink, state := feedtest.Update(t, New(), serve([]byte(`[
		{"name":"AVG-1","packages":["a"],"fixed":"2-1","severity":"Low","status":"Testing","issues":["CVE-2024-0001"]},
		{"name":"AVG-2","packages":["b"],"fixed":null,"severity":"Unknown","status":"Not affected","issues":["CVE-2024-0001"]},
		{"name":"AVG-3","packages":["c"],"severity":"odd","status":"Unknown","issues":["CVE-2024-0001"]},
		{"name":"AVG-4","packages":["d"],"status":"Fixed","issues":["CVE-2024-0001"]},
		{"name":"AVG-5","packages":[],"status":"Fixed","issues":["CVE-2024-0001"]}]`)), advisory.State{})
	want := map[string]string{"a": sekisho.StatusAffected, "b": sekisho.StatusNotAffected, "c": sekisho.StatusInvestigated}
	for _, r := range sink.Records {
		if want[r.Package] != r.Status || r.Package != "a" && r.Rating != "" {
			t.Errorf("got %+v", r)
		}
	}
	if len(sink.Records) != 3 || state.Skipped["malformed"] != 2 {
		t.Errorf("%d records, skipped %v", len(sink.Records), state.Skipped)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`[{"name":"AVG-1","packages":["a"],"fixed":"2-1","severity":"Low","status":"Testing","issues":["CVE-2024-0001"]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sink := &feedtest.Sink{}
		if _, err := New().Update(t.Context(), advisory.Update{Client: serve(data), URL: New().Info().URL, Sink: sink, Now: feedtest.Now()}); err != nil && len(sink.Records) > 0 {
			t.Fatal("told records of a document that it refused")
		}
		for _, r := range sink.Records {
			if r.Package == "" || r.Status == "" || len(r.Aliases) != 1 {
				t.Fatalf("got %+v", r)
			}
		}
	})
}
