package advisory_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/internal/fixture"
	"sekisho/scan/advisory"
)

// realEPSS reads the shared data's scores.
func realEPSS(t testing.TB) map[string]sekisho.EPSS {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(fixture.Dir(t, "../advisories/epss"), "*.csv.gz"))
	if len(files) == 0 {
		t.Fatal("no EPSS scores")
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]sekisho.EPSS{}
	for lines := bufio.NewScanner(z); lines.Scan(); {
		c := strings.Split(lines.Text(), ",")
		if !strings.HasPrefix(c[0], "CVE-") {
			continue
		}
		score, err := strconv.ParseFloat(c[1], 64)
		pct, err2 := strconv.ParseFloat(c[2], 64)
		if err != nil || err2 != nil {
			t.Fatalf("line %q", lines.Text())
		}
		out[c[0]] = sekisho.EPSS{Score: score, Percentile: pct, Date: "2026-08-16"}
	}
	return out
}

func realKEV(t testing.TB) map[string]sekisho.KEV {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixture.Dir(t, "../advisories/kev"), "known_exploited_vulnerabilities.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Vulnerabilities []struct{ CveID, DateAdded, DueDate, RequiredAction, KnownRansomwareCampaignUse string }
	}
	if err := json.Unmarshal(data, &doc); err != nil || len(doc.Vulnerabilities) == 0 {
		t.Fatalf("%d entries, %v", len(doc.Vulnerabilities), err)
	}
	out := map[string]sekisho.KEV{}
	for _, v := range doc.Vulnerabilities {
		out[v.CveID] = sekisho.KEV{Added: v.DateAdded, Due: v.DueDate, Action: v.RequiredAction, Ransomware: v.KnownRansomwareCampaignUse == "Known"}
	}
	return out
}

func signals(t testing.TB, b advisory.Sink, epss map[string]sekisho.EPSS, kev map[string]sekisho.KEV) {
	t.Helper()
	for cve, e := range epss {
		if err := b.Signal(advisory.Signal{CVE: cve, EPSS: &e}); err != nil {
			t.Fatal(err)
		}
	}
	for cve, k := range kev {
		if err := b.Signal(advisory.Signal{CVE: cve, KEV: &k}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSignals(t *testing.T) {
	epss, kev, dir := realEPSS(t), realKEV(t), t.TempDir()
	s := openStore(t, dir)
	b := begin(t, s, advisory.Info{Name: "epss"})
	b.Replace("")
	signals(t, b, epss, nil)
	stats := commit(t, b, advisory.State{})
	if stats.Signals != len(epss) || stats.Refused != 0 || stats.Bytes >= 6e6 {
		t.Errorf("%d scores: %+v", len(epss), stats)
	}
	b = begin(t, s, advisory.Info{Name: "kev"})
	b.Replace("")
	signals(t, b, nil, kev)
	commit(t, b, advisory.State{})
	db := openDB(t, dir)
	for cve, want := range epss {
		got, err := db.EPSS(cve)
		if err != nil || got == nil || *got != want {
			t.Fatalf("%s: %+v, want %+v; %v", cve, got, want, err)
		}
		entry, err := db.KEV(cve)
		if k, ok := kev[cve]; err != nil || ok != (entry != nil) || ok && *entry != k {
			t.Fatalf("%s: %+v, want %+v; %v", cve, entry, k, err)
		}
	}
	for _, cve := range []string{"", "CVE-1", "CVE-1999-1", "CVE-0000-0000", "CVE-9999-9999", "CVE-2025-99999999999", "GHSA-x", "CVE-1900-0000", "CVE-2155-4294967295"} {
		if e, err := db.EPSS(cve); e != nil || err != nil {
			t.Errorf("%q has %v, %v", cve, e, err)
		}
	}
}

// TestSignalsIncrement: what is not replaced stays, with its own date.
func TestSignalsIncrement(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	one, two, three := sekisho.EPSS{Score: 0.1, Percentile: 1, Date: "2026-01-01"}, sekisho.EPSS{Score: 0.2, Date: "2026-01-02"}, sekisho.EPSS{Score: 0.3, Date: "2026-01-03"}
	b := begin(t, s, advisory.Info{Name: "epss"})
	signals(t, b, map[string]sekisho.EPSS{"CVE-2024-0001": one, "CVE-2024-10000": one, "CVE-2023-99999": one}, map[string]sekisho.KEV{"CVE-2024-0001": {Added: "x"}})
	commit(t, b, advisory.State{})
	b = begin(t, s, advisory.Info{Name: "epss"})
	b.Forget("CVE-2023-99999")
	signals(t, b, map[string]sekisho.EPSS{"CVE-2024-0001": two}, nil)
	signals(t, b, map[string]sekisho.EPSS{"CVE-2024-0001": three, "CVE-2025-0001": {Score: 2}, "CVE-24-1": two}, nil)
	if st := commit(t, b, advisory.State{}); st.Refused != 2 || st.Reason == "" || st.Duplicates != 1 {
		t.Errorf("%+v", st)
	}
	db := openDB(t, dir)
	got := map[string]*sekisho.EPSS{}
	for _, cve := range []string{"CVE-2024-0001", "CVE-2024-10000", "CVE-2023-99999", "CVE-2025-0001"} {
		e, err := db.EPSS(cve)
		if err != nil {
			t.Fatal(err)
		}
		got[cve] = e
	}
	want := map[string]*sekisho.EPSS{"CVE-2024-0001": &three, "CVE-2024-10000": &one, "CVE-2023-99999": nil, "CVE-2025-0001": nil}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if k, err := db.KEV("CVE-2024-0001"); err != nil || k == nil {
		t.Errorf("the catalogue's entry is gone: %v %v", k, err)
	}
}
