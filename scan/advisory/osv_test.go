package advisory_test

import (
	"archive/zip"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/internal/fixture"
	"sekisho/scan/advisory"
)

// osvRecord is as much of the OSV schema as these tests need.
type osvRecord struct {
	ID         string      `json:"id"`
	Summary    string      `json:"summary"`
	Details    string      `json:"details"`
	Aliases    []string    `json:"aliases"`
	Related    []string    `json:"related"`
	Modified   osvTime     `json:"modified"`
	Published  osvTime     `json:"published"`
	Withdrawn  osvTime     `json:"withdrawn"`
	References []osvLink   `json:"references"`
	Severity   []osvScore  `json:"severity"`
	Affected   []osvAffect `json:"affected"`
}

// osvTime is zero where the feed has a year of one digit, as PYSEC-2024-55 does.
type osvTime struct{ time.Time }

func (t *osvTime) UnmarshalJSON(b []byte) error {
	if t.Time.UnmarshalJSON(b) != nil {
		t.Time = time.Time{}
	}
	return nil
}

type osvLink struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

type osvScore struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type osvAffect struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Ranges []struct {
		Type   string              `json:"type"`
		Events []map[string]string `json:"events"`
	} `json:"ranges"`
	Versions []string `json:"versions"`
}

// osvZip reads all records of an ecosystem in the shared data.
func osvZip(t testing.TB, ecosystem string) []osvRecord {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join(fixture.Dir(t, "../advisories/osv/"+ecosystem), "all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out []osvRecord
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		var rec osvRecord
		if err == nil {
			err = json.Unmarshal(data, &rec)
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		out = append(out, rec)
	}
	return out
}

func (o *osvRecord) records() []advisory.Record {
	var out []advisory.Record
	for _, a := range o.Affected {
		if a.Package.Name == "" {
			continue
		}
		r := advisory.Record{
			ID: o.ID, Ecosystem: a.Package.Ecosystem, Package: advisory.Normalise(a.Package.Ecosystem, a.Package.Name),
			Aliases: append(o.Aliases, o.Related...), Status: sekisho.StatusFixed, Versions: a.Versions,
		}
		if _, module, ok := strings.Cut(o.Summary, "module:"); ok {
			r.Module = module
		}
		for _, ran := range a.Ranges {
			for _, e := range ran.Events {
				if v, ok := e["introduced"]; ok {
					r.Ranges = append(r.Ranges, advisory.Range{Introduced: strings.TrimPrefix(v, "0")})
				} else if n := len(r.Ranges); n > 0 {
					r.Ranges[n-1].Fixed, r.Ranges[n-1].Last = e["fixed"], e["last_affected"]
				}
			}
		}
		out = append(out, r)
	}
	return out
}

func (o *osvRecord) detail() (advisory.Detail, advisory.Text) {
	group := ""
	if len(o.Affected) > 0 {
		group = advisory.Group(o.Affected[0].Package.Ecosystem)
	}
	d := advisory.Detail{
		ID: o.ID, Group: group, Title: o.Summary, Aliases: o.Aliases, Published: o.Published.Time, Modified: o.Modified.Time, Withdrawn: o.Withdrawn.Time,
	}
	for _, s := range o.Severity {
		d.CVSS = append(d.CVSS, sekisho.CVSS{Source: "osv", Version: strings.TrimPrefix(s.Type, "CVSS_V"), Vector: s.Score})
	}
	t := advisory.Text{ID: o.ID, Group: group, Text: o.Details}
	for _, l := range o.References {
		t.References = append(t.References, sekisho.Reference{Name: l.Type, URL: l.URL})
	}
	return d, t
}

// tell gives records to a sink as a feed does.
func tell(t testing.TB, sink advisory.Sink, all []osvRecord) {
	t.Helper()
	for i := range all {
		for _, r := range all[i].records() {
			if err := sink.Record(r); err != nil {
				t.Fatal(err)
			}
		}
		d, text := all[i].detail()
		if err := sink.Detail(d, text); err != nil {
			t.Fatal(err)
		}
	}
}
