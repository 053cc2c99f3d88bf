package osrelease_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/internal/fixture"
	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/osrelease"
)

// distroInfo returns the rows of a table of the package distro-info-data, by
// column.
func distroInfo(t *testing.T, distribution string) []map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(fixture.Dir(t, "../advisories/lifecycle"), "distro-info-"+distribution+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, value := range record {
			row[records[0][i]] = value
		}
		rows = append(rows, row)
	}
	return rows
}

// TestDistroInfo holds Debian's and Ubuntu's dates to those of the Debian
// package distro-info-data.
func TestDistroInfo(t *testing.T) {
	for distribution, columns := range map[string]struct{ free, paid []string }{
		"debian": {[]string{"eol", "eol-lts"}, []string{"eol-elts"}},
		"ubuntu": {[]string{"eol", "eol-server"}, []string{"eol-esm", "eol-legacy"}},
	} {
		known := 0
		for _, row := range distroInfo(t, distribution) {
			version, free := strings.TrimSuffix(row["version"], " LTS"), ""
			for _, column := range columns.free {
				free = max(free, row[column])
			}
			if version == "" || free == "" {
				continue
			}
			known++
			system := sekisho.OS{ID: distribution, Version: version}
			if got := osrelease.SupportedUntil(system); got != free {
				t.Errorf("%s %s is supported until %q, want %q", distribution, version, got, free)
			}
			var paid []string
			for _, column := range columns.paid {
				if row[column] != "" {
					paid = append(paid, row[column])
				}
			}
			var got []string
			for _, p := range osrelease.Extended(system) {
				got = append(got, p.Until)
			}
			if strings.Join(got, " ") != strings.Join(paid, " ") {
				t.Errorf("%s %s has paid support until %v, want %v", distribution, version, got, paid)
			}
		}
		if known < 15 {
			t.Errorf("%s: %d releases", distribution, known)
		}
	}
}

// TestSupport looks versions up in the forms that images have.
func TestSupport(t *testing.T) {
	for _, c := range []struct{ id, version, free, paid string }{
		{"debian", "12", "2028-06-30", "Extended LTS 2033-06-30"},
		{"debian", "12.11", "2028-06-30", "Extended LTS 2033-06-30"},
		{"debian", "6.0.10", "2016-02-29", ""},
		{"debian", "", "", ""},
		{"ubuntu", "24.04", "2029-05-31", "Ubuntu Pro 2034-04-25, Ubuntu Pro Legacy 2036-04-29"},
		{"ubuntu", "24.10", "2025-07-10", ""},
		{"alpine", "3.20.3", "2026-04-01", ""},
		{"alpine", "3.2.3", "2017-05-01", ""},
		{"alpine", "3.23_alpha20250612", "", ""},
		{"rhel", "9.4", "2032-05-31", "Extended Life Cycle Support 2035-05-31"},
		{"rocky", "9.4", "2032-05-31", ""},
		{"sles", "15.6", "2025-12-31", "LTSS 2028-12-31"},
		{"sles", "15", "2019-12-31", "LTSS 2022-12-31"},
		{"sles", "15.9", "", ""},
		{"amzn", "2023", "2029-06-30", ""},
		{"amzn", "2018.03", "2023-12-31", ""},
		{"arch", "", "", ""},
	} {
		system := sekisho.OS{ID: c.id, Version: c.version}
		if got := osrelease.SupportedUntil(system); got != c.free {
			t.Errorf("%s %s is supported until %q, want %q", c.id, c.version, got, c.free)
		}
		var paid []string
		for _, p := range osrelease.Extended(system) {
			paid = append(paid, p.Name+" "+p.Until)
			if end, err := time.Parse(time.DateOnly, p.Until); err != nil || end.Format(time.DateOnly) <= c.free {
				t.Errorf("%s %s: paid support until %q, free until %q", c.id, c.version, p.Until, c.free)
			}
		}
		if got := strings.Join(paid, ", "); got != c.paid {
			t.Errorf("%s %s has %q, want %q", c.id, c.version, got, c.paid)
		}
	}
}

// TestImages compares with what images of distributions say of themselves
// (SUPPORT_END of os-release(5)).
func TestImages(t *testing.T) {
	dir := filepath.Join(fixture.Dir(t, "os-small"), "trivy", "os", "release")
	for name, want := range map[string]string{"rocky": "2032-05-31", "fedora": "2026-05-13"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "SUPPORT_END="+want) && !strings.Contains(string(text), `SUPPORT_END="`+want) {
			t.Fatalf("%s does not say %s", name, want)
		}
		var version string
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_ID="); ok {
				version = strings.Trim(v, `"`)
			}
		}
		if got := osrelease.SupportedUntil(sekisho.OS{ID: name, Version: version}); got != want {
			t.Errorf("%s %s is supported until %q, want %q", name, version, got, want)
		}
	}
}

// TestSupportEnd takes an image's own date for a distribution without another.
func TestSupportEnd(t *testing.T) {
	for text, want := range map[string]string{
		"ID=homemade\nVERSION_ID=1\nSUPPORT_END=2031-12-31\n":    "2031-12-31",
		"ID=homemade\nVERSION_ID=1\nSUPPORT_END=\"some day\"\n":  "",
		"ID=debian\nVERSION_ID=\"12\"\nSUPPORT_END=2999-01-01\n": "",
	} {
		var out analyze.Result
		if err := osrelease.New().Analyze(&analyze.File{Path: "etc/os-release", Data: []byte(text)}, &out); err != nil {
			t.Fatal(err)
		}
		if out.OS == nil || out.OS.SupportedUntil != want {
			t.Errorf("%q: %+v, want supported until %q", text, out.OS, want)
		}
	}
}
