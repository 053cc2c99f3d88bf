package cvss_test

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ulikunitz/xz"

	"sekisho/internal/fixture"
	"sekisho/scan/cvss"
)

// rated is a rating of a CVE record, JSON 5: the score its author computed.
type rated struct {
	Version string  `json:"version"`
	Vector  string  `json:"vectorString"`
	Score   float64 `json:"baseScore"`
}

type record struct {
	Containers struct {
		CNA container   `json:"cna"`
		ADP []container `json:"adp"`
	} `json:"containers"`
}

type container struct {
	Metrics []struct {
		V20 *rated `json:"cvssV2_0"`
		V30 *rated `json:"cvssV3_0"`
		V31 *rated `json:"cvssV3_1"`
		V4  *rated `json:"cvssV4_0"`
	} `json:"metrics"`
}

// TestVulnrichment compares with the scores of CISA's enriched CVE records.
// Some authors miscount: 15 in a
// thousand may differ, 8 by more than a tenth.
func TestVulnrichment(t *testing.T) {
	f, err := os.Open(filepath.Join(fixture.Dir(t, "../advisories/vulnrichment"), "vulnrichment.jsonl.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := xz.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	count, differ, far := map[string]int{}, map[string]int{}, map[string]int{}
	check := func(r *rated) {
		if r == nil || r.Vector == "" {
			return
		}
		count[r.Version]++
		if version, score, err := cvss.Base(r.Vector); err != nil || version != r.Version || score != r.Score {
			differ[r.Version]++
			if err != nil || math.Abs(score-r.Score) > 0.15 {
				far[r.Version]++
				t.Logf("Base(%q) = %q, %v, %v; the record says %v", r.Vector, version, score, err, r.Score)
			}
		}
	}
	for records := json.NewDecoder(x); records.More(); {
		var r record
		if err := records.Decode(&r); err != nil {
			t.Fatal(err)
		}
		for _, c := range append(r.Containers.ADP, r.Containers.CNA) {
			for _, m := range c.Metrics {
				check(m.V20)
				check(m.V30)
				check(m.V31)
				check(m.V4)
			}
		}
	}
	t.Log("scores", count, "differ", differ, "by more than 0.1", far)
	for version, least := range map[string]int{"2.0": 2400, "3.0": 4500, "3.1": 30000, "4.0": 2300} {
		if count[version] < least || differ[version]*1000 > count[version]*15 || far[version]*1000 > count[version]*8 {
			t.Errorf("version %s: %d of %d scores differ, %d by more than 0.1", version, differ[version], count[version], far[version])
		}
	}
}
