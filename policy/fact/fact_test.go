package fact_test

import (
	"slices"
	"testing"
	"time"

	"sekisho"
	"sekisho/policy/fact"
)

// TestFromReport holds what a report is taken to know: no more than it looked
// for.
func TestFromReport(t *testing.T) {
	signatures, advisories := sekisho.Feed{Name: "yara:own"}, sekisho.Feed{Name: "debian", Kind: sekisho.FeedAdvisories}
	kev := sekisho.Feed{Name: "kev", Kind: sekisho.FeedAdvisories}
	exploited := []sekisho.Finding{{Kind: sekisho.Vulnerability, Vulnerable: &sekisho.Vulnerable{EPSS: &sekisho.EPSS{}}}}
	for _, c := range []struct {
		name   string
		report sekisho.Report
		want   []string
	}{
		{"a scan without a database", sekisho.Report{Target: sekisho.Target{Kind: "image"}, Feeds: []sekisho.Feed{signatures}}, []string{"packages", "secrets", "misconfiguration", "malware"}},
		{"with one", sekisho.Report{Target: sekisho.Target{Kind: "image"}, Feeds: []sekisho.Feed{advisories}}, []string{"packages", "vulnerabilities", "secrets", "misconfiguration"}},
		{"with the catalogue", sekisho.Report{Target: sekisho.Target{Kind: "image"}, Feeds: []sekisho.Feed{advisories, kev}, Findings: exploited}, []string{"packages", "vulnerabilities", "kev", "epss", "secrets", "misconfiguration"}},
		{"a bill of materials", sekisho.Report{Target: sekisho.Target{Kind: "sbom"}}, []string{"packages"}},
		{"a repository", sekisho.Report{Target: sekisho.Target{Kind: "repository"}}, []string{"secrets", "misconfiguration"}},
		{"a part of a scan", sekisho.Report{Target: sekisho.Target{Kind: "image"}, Feeds: []sekisho.Feed{signatures}, Filters: []string{"--severity high"}}, nil},
	} {
		i := fact.FromReport(&c.report)
		if !slices.Equal(i.Assessed, c.want) {
			t.Errorf("%s: %v, want %v", c.name, i.Assessed, c.want)
		}
		if i.Signatures != nil || i.Provenance != nil || i.Approvals != nil || i.TagImmutable != nil || i.Scanned != nil || i.User != nil {
			t.Errorf("%s: it knows what nobody looked for: %+v", c.name, i)
		}
	}
}

func TestConfiguration(t *testing.T) {
	r := &sekisho.Report{Generated: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Target: sekisho.Target{Kind: "image", Reference: "registry:r.example/a:1", ID: "sha256:x", Created: "2026-01-01T00:00:00Z",
		Config: &sekisho.RunConfig{User: "", Labels: map[string]string{"org.opencontainers.image.base.name": "docker.io/library/debian:12"}}}}
	i := fact.FromReport(r)
	if i.ScannedAs != "r.example/a:1" || i.ID != "sha256:x" || i.Digest != "" || i.User == nil || *i.User != "" || i.Base == nil || i.Created == nil || i.Scanned == nil {
		t.Errorf("got %+v", i)
	}
	r.Target.Reference = "archive:/tmp/r.example/a.tar"
	if i := fact.FromReport(r); i.ScannedAs != "" {
		t.Errorf("an archive's path was taken for a name: %s", i.ScannedAs)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte("now: 2026-11-24T00:00:00Z\nfindings: []\n"))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = fact.JSON(data) })
}
