package vulnrichment

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

// The whole repository of October 2024, 44,130 records.
func TestWhole(t *testing.T) {
	c := feedtest.New()
	c.Bytes[Feed{}.Info().URL+"/"+file] = feedtest.Read(t, "vulnrichment/vulnrichment.jsonl.xz")
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{})
	v31, v40, ssvc := 0, 0, 0
	for _, d := range sink.Details {
		seen := map[string]bool{}
		for _, s := range d.CVSS {
			seen[s.Version] = true
		}
		if seen["3.1"] {
			v31++
		}
		if seen["4.0"] {
			v40++
		}
		for _, r := range d.Ratings {
			if r.Source == "ssvc" {
				ssvc++
			}
		}
	}
	if len(sink.Details) != 44026 || ssvc != 44026 || v31 < 6000 {
		t.Errorf("%d details, %d with CVSS 3.1, %d with 4.0, %d with SSVC", len(sink.Details), v31, v40, ssvc)
	}
	t.Logf("%d details, %d with CVSS 3.1, %d with 4.0, %d with SSVC", len(sink.Details), v31, v40, ssvc)
	d, _ := sink.Detail1("CVE-1999-0006")
	want := advisory.Detail{
		ID: "CVE-1999-0006", Modified: d.Modified, CWE: []string{"CWE-121"}, CPEs: []string{"cpe:2.3:a:qualcomm:qpopper:2.4:*:*:*:*:*:*:*"},
		CVSS:    []sekisho.CVSS{{Source: "cisa", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8}},
		Ratings: []sekisho.Rating{{Source: "cisa", Severity: sekisho.Critical, Word: "CRITICAL"}, {Source: "ssvc", Severity: sekisho.Unknown, Word: "Exploitation: none, Automatable: yes, Technical Impact: total"}},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if again, _ := feedtest.Update(t, Feed{}, c, state); again.NDetails+len(again.Replaced) != 0 {
		t.Error("told again")
	}
}

const one = `{"cveMetadata":{"cveId":"CVE-2024-0001","state":"PUBLISHED"},"containers":{"adp":[{"providerMetadata":{"shortName":"CISA-ADP"},"metrics":[{"other":{"type":"kev","content":{"dateAdded":"2024-01-01"}}}]}]}}`

func archive(name, content string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
	_, _ = io.WriteString(w, content)
	_, _ = w.Close(), z.Close()
	return b.Bytes()
}

func TestArchive(t *testing.T) {
	c := feedtest.New()
	c.Bytes[Feed{}.Info().URL+"/"+file] = archive("vulnrichment-develop/2024/0xxx/CVE-2024-0001.json", one)
	if sink, _ := feedtest.Update(t, Feed{}, c, advisory.State{}); len(sink.Details) != 1 || sink.Details[0].ID != "CVE-2024-0001" {
		t.Errorf("%+v", sink.Details)
	}
	// One broken record does not hide the others; many are no archive of records.
	c.Bytes[Feed{}.Info().URL+"/"+file] = []byte("{\n" + one + "\n")
	if sink, state := feedtest.Update(t, Feed{}, c, advisory.State{}); len(sink.Details) != 1 || state.Skipped["broken"] != 1 {
		t.Errorf("%+v, skipped %v", sink.Details, state.Skipped)
	}
	c.Bytes[Feed{}.Info().URL+"/"+file] = bytes.Repeat([]byte("{\n"), 200)
	_, err := Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: Feed{}.Info().URL, Sink: &feedtest.Sink{}, Now: feedtest.Now()})
	if sekisho.KindOf(err) != sekisho.Invalid {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(one))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = records(bytes.NewReader(data), func(data []byte) error { _, err := decode(data); return err })
		_, _ = decode(data)
	})
}
