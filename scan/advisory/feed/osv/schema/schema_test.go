package schema

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

// load reads a zip file of the shared data.
func load(t testing.TB, name string) (*feedtest.Sink, Summary) {
	t.Helper()
	sink := &feedtest.Sink{}
	return sink, loadInto(t, name, sink)
}

func loadInto(t testing.TB, name string, sink advisory.Sink) Summary {
	t.Helper()
	f, err := os.Open(feedtest.Dir(t, "osv/"+name+"/all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := Decoder{Order: OrderOf}.Zip(t.Context(), f, info.Size(), sink)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestCounts holds what is read to the counts that were made when the data was
// collected: nothing is lost on the way.
func TestCounts(t *testing.T) {
	for _, c := range []struct {
		name              string
		records, affected int
		skipped           map[string]int
	}{
		{"Go", 4291, 0, map[string]int{Withdrawn: 17}},
		{"Bitnami", 7444, 7444, nil},
		{"PyPI", 2661, 0, nil},
		{"crates.io", 714, 0, nil},
		{"Maven", 369, 0, nil},
		{"npm", 469, 0, nil},
		{"malicious-derived", 2368, 2368, map[string]int{}},
		{"samples", 57, 0, nil},
	} {
		sink, sum := load(t, c.name)
		if sum.Records != c.records {
			t.Errorf("%s: %d records, want %d; skipped %v", c.name, sum.Records, c.records, sum.Skipped)
		}
		if c.affected > 0 && sum.Affected != c.affected {
			t.Errorf("%s: %d affected, want %d", c.name, sum.Affected, c.affected)
		}
		for reason, n := range c.skipped {
			if sum.Skipped[reason] != n {
				t.Errorf("%s: %d skipped as %s, want %d", c.name, sum.Skipped[reason], reason, n)
			}
		}
		t.Logf("%s: %d records, %d affected, %d told, %d details, skipped %v", c.name, sum.Records, sum.Affected, sum.Told, sink.NDetails, sum.Skipped)
		check(t, sink)
	}
}

// check holds every record to what all feeds promise.
func check(t *testing.T, sink *feedtest.Sink) {
	t.Helper()
	for _, r := range sink.Records {
		if r.ID == "" || r.Ecosystem == "" || r.Package == "" || r.Status == "" || len(r.Ranges)+len(r.Versions) == 0 {
			t.Errorf("incomplete: %+v", r)
		}
		if slices.Contains(r.Aliases, r.ID) {
			t.Errorf("%s is an alias of itself", r.ID)
		}
		for _, a := range r.Ranges {
			if a == (advisory.Range{}) && r.Status == sekisho.StatusFixed && len(r.Ranges) == 1 {
				t.Errorf("%s: fixed without a fix", r.ID)
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Run("Log4Shell has alternatives for one package", func(t *testing.T) {
		sink, _ := load(t, "Maven")
		var fixes []string
		for _, r := range sink.Of("GHSA-jfh8-c2jp-5v3q") {
			if r.Package != "org.apache.logging.log4j:log4j-core" {
				continue
			}
			for _, a := range r.Ranges {
				fixes = append(fixes, a.Introduced+" "+a.Fixed)
			}
			if !slices.Contains(r.Aliases, "CVE-2021-44228") || r.Severity != string(sekisho.Critical) {
				t.Errorf("aliases %v, severity %q", r.Aliases, r.Severity)
			}
		}
		if len(fixes) < 3 {
			t.Errorf("ranges %v, want three", fixes)
		}
		d, text := sink.Detail1("GHSA-jfh8-c2jp-5v3q")
		if len(d.CVSS) == 0 || d.CVSS[0].Source != "ghsa" || len(d.CWE) == 0 || d.Group != "Maven" || text.Group != "Maven" || text.Text == "" {
			t.Errorf("detail %+v", d)
		}
	})
	t.Run("last known range closes what has no fix", func(t *testing.T) {
		n := 0
		sink, _ := load(t, "Maven")
		for _, r := range sink.Records {
			if r.Note != "" && strings.Contains(r.Note, "no fix is named") {
				n++
				if !slices.ContainsFunc(r.Ranges, func(a advisory.Range) bool { return a.Last != "" || a.Fixed != "" }) {
					t.Errorf("%s %s: open ranges %v", r.ID, r.Package, r.Ranges)
				}
			}
		}
		if n == 0 {
			t.Error("no record had a last known range")
		}
	})
	t.Run("Go symbols", func(t *testing.T) {
		sink, _ := load(t, "Go")
		ids, custom := map[string]bool{}, 0
		for _, r := range sink.Records {
			for _, s := range r.Symbols {
				if len(s.Names) > 0 {
					ids[r.ID] = true
				}
			}
			if strings.HasPrefix(r.Note, "in the project's own versions: ") {
				custom++
			}
		}
		if len(ids) < 860 || len(ids) > 879 || custom < 554 {
			t.Errorf("%d records with symbols (879 with withdrawn ones), %d with own ranges", len(ids), custom)
		}
	})
	t.Run("malicious versions and packages", func(t *testing.T) {
		sink, _ := load(t, "malicious-derived")
		versions := 0
		for _, r := range sink.Records {
			if !r.Malicious || r.Status != sekisho.StatusAffected {
				t.Fatalf("not malicious: %+v", r)
			}
			versions += len(r.Versions)
		}
		if versions != 5782 {
			t.Errorf("%d versions, want 5782", versions)
		}
	})
}

// What is related is no alias: the CVE of a C library is not that of the crate
// around it, unless the record says so.
func TestRelated(t *testing.T) {
	sink, _ := load(t, "crates.io")
	if got := sink.Of("RUSTSEC-2025-0008"); len(got) != 1 || len(got[0].Aliases) != 0 || got[0].Ranges[0] != (advisory.Range{Fixed: "0.8.0"}) {
		t.Errorf("got %+v", got)
	}
	unmaintained := 0
	for _, r := range sink.Records {
		if r.Rating == "unmaintained" {
			unmaintained++
			if r.Severity != string(sekisho.None) {
				t.Errorf("%s is no flaw: %+v", r.ID, r)
			}
		}
	}
	if unmaintained == 0 {
		t.Error("no crate is unmaintained")
	}
}

func TestNames(t *testing.T) {
	sink, r := decode(t, `{"id":"MAL-2025-1","aliases":["GHSA-1"],"affected":[
		{"package":{"ecosystem":"PyPI","name":"Foo_Bar.baz"}},{"package":{"ecosystem":"NuGet","name":"Newtonsoft.Json"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]},
		{"package":{"ecosystem":"Packagist:https://packages.drupal.org/8","name":"Drupal/Core"},"versions":["1.0","1.1"]},{"package":{"ecosystem":"npm","name":"@Scope/X"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}`)
	want := []string{"PyPI foo-bar-baz", "NuGet newtonsoft.json", "Packagist drupal/core"}
	var got []string
	for _, rec := range sink.Records {
		got = append(got, rec.Ecosystem+" "+rec.Package)
		if !rec.Malicious || rec.Status != sekisho.StatusAffected {
			t.Errorf("got %+v", rec)
		}
	}
	if !slices.Equal(got, want) || r.Skipped[GitOnly] != 1 {
		t.Fatalf("got %q, skipped %v", got, r.Skipped)
	}
	// An attack with neither ranges nor versions is all of the package.
	if all := sink.Records[0]; !slices.Equal(all.Ranges, []advisory.Range{{}}) || len(sink.Records[2].Versions) != 2 {
		t.Errorf("got %+v", all)
	}
}

// Versions that a range holds are not told twice; others are.
func TestVersions(t *testing.T) {
	sink, _ := decode(t, `{"id":"PYSEC-1","affected":[{"package":{"ecosystem":"PyPI","name":"x"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1.0"},{"fixed":"2.0"}]}],"versions":["1.0","1.5.post1","2.0rc1","2.0","0.9"]}]}`)
	if got := sink.Records[0].Versions; !slices.Equal(got, []string{"2.0", "0.9"}) {
		t.Errorf("got %q", got)
	}
	pypi, _ := load(t, "PyPI")
	kept, records := 0, 0
	for _, r := range pypi.Records {
		kept += len(r.Versions)
		if len(r.Versions) > 0 && len(r.Ranges) > 0 {
			records++
		}
	}
	t.Logf("%d versions are kept; %d of %d records have some beside ranges", kept, records, len(pypi.Records))
}

func TestErrata(t *testing.T) {
	sink, _ := load(t, "samples")
	ruby := map[string][]string{}
	for _, r := range sink.Of("RLSA-2024:3671") {
		if r.Ecosystem != "Rocky Linux:9" || r.Module != "ruby:3.3" || !r.Source || r.Rating != "Moderate" || r.Severity != string(sekisho.Medium) || len(r.Aliases) != 1 || !slices.Equal(r.Advisories, []string{"RLSA-2024:3671"}) || r.Fixed.IsZero() {
			t.Fatalf("got %+v", r)
		}
		ruby[r.Package] = append(ruby[r.Package], r.Aliases[0])
	}
	want := []string{"CVE-2024-27280", "CVE-2024-27281", "CVE-2024-27282"}
	if len(ruby) != 3 || !slices.Equal(ruby["rubygem-pg"], want) {
		t.Errorf("each flaw is a record of its own: got %v", ruby)
	}

	if d, text := sink.Detail1("RLSA-2021:3891"); d.Aliases != nil || d.CVSS != nil || d.Title == "" || len(d.Ratings) != 1 || text.Text == "" {
		t.Errorf("what is said of an erratum is not said of each of its flaws: %+v", d)
	}
	alma, sum := load(t, "AlmaLinux")
	check(t, alma)
	if sum.Records != 5637 || sum.Affected != 69160 || sum.Skipped[NoFlaw] != 9347 {
		t.Errorf("%d records, %d affected, skipped %v", sum.Records, sum.Affected, sum.Skipped)
	}
	modular, named := 0, 0
	for _, r := range alma.Records {
		if r.Source {
			t.Fatalf("AlmaLinux names binary packages: %+v", r)
		}
		if strings.Contains(r.Ranges[0].Fixed, ".module") {
			modular++
			if r.Module != "" {
				named++
			}
		} else if r.Module != "" {
			t.Fatalf("%s %s is no build of a module, but of %s", r.ID, r.Package, r.Module)
		}
		if len(r.Aliases) == 0 && !strings.HasPrefix(r.ID, "ALSA") {
			t.Fatalf("%s fixes no flaw", r.ID)
		}
	}
	for _, r := range alma.Records { // one build in the contexts of 8.3, 8.4 and 8.5
		if r.ID == "ALSA-2019:0975" && r.Package == "oci-systemd-hook" && r.Ranges[0].Fixed != "1:0.1.15-2.git2d0b8a3.module_el8.3.0+2044+12421f43" {
			t.Errorf("the lowest build of a source counts: got %+v", r)
		}
	}
	if named*100 < modular*97 {
		t.Errorf("%d of %d builds of modules have a stream", named, modular)
	}
}

func TestUbuntu(t *testing.T) {
	sink, sum := load(t, "samples")
	if len(sink.Of("USN-5614-1")) != 0 || sum.Skipped[Duplicate] == 0 {
		t.Error("the notice tells what the records of its CVEs tell")
	}
	byRelease := map[string]advisory.Record{}
	for _, r := range sink.Of("UBUNTU-CVE-2021-3782") {
		byRelease[r.Ecosystem] = r
		if !slices.Equal(r.Aliases, []string{"CVE-2021-3782"}) || r.Rating != "medium" || !r.Source || len(r.Versions) != 0 {
			t.Errorf("got %+v", r)
		}
		if !slices.Contains(r.Advisories, "USN-5614-1") {
			t.Errorf("advisories %v", r.Advisories)
		}
	}
	pro := byRelease["Ubuntu:16.04"]
	if !slices.Equal(pro.Repositories, []string{"pro"}) || pro.Ranges[0].Fixed != "1.12.0-1~ubuntu16.04.3+esm1" {
		t.Errorf("ESM: %+v", pro)
	}
	plain := byRelease["Ubuntu:20.04"]
	if plain.Repositories != nil || plain.Note != "" || !slices.Contains(plain.Binaries, "libwayland-client0") || plain.Status != sekisho.StatusFixed {
		t.Errorf("plain: %+v", plain)
	}
	for _, r := range sink.Of("gitlab") {
		if r.Status != sekisho.StatusAffected || r.Ranges[0] != (advisory.Range{}) {
			t.Errorf("unfixed: %+v", r)
		}
	}
	if sum.Skipped[Withdrawn] == 0 || len(sink.Of("UBUNTU-CVE-2013-2208")) != 0 {
		t.Error("a withdrawn record matches nothing")
	}
}

func TestLocate(t *testing.T) {
	for in, want := range map[string]string{
		"npm": "npm", "Packagist:https://packages.drupal.org/8": "Packagist", "Maven:https://repo.example": "Maven",
		"AlmaLinux:9": "AlmaLinux:9", "Rocky Linux:8": "Rocky Linux:8", "Alpine:v3.20": "Alpine:3.20", "Debian:12": "Debian:12",
		"Ubuntu:22.04:LTS": "Ubuntu:22.04", "Ubuntu:25.10": "Ubuntu:25.10", "Ubuntu:Pro:16.04:LTS": "Ubuntu:16.04 [pro]",
		"Ubuntu:Pro:FIPS-updates:20.04:LTS": "Ubuntu:20.04 [fips-updates]", "Ubuntu:Pro:FIPS:18.04:LTS": "Ubuntu:18.04 [fips]",
		"Ubuntu:Pro:22.04:LTS:Realtime:Kernel": "Ubuntu:22.04 [realtime]", "Ubuntu:22.04:LTS:for:NVIDIA:BlueField": "Ubuntu:22.04 [bluefield]",
		"openSUSE:Leap 15.6": "openSUSE:15.6", "openSUSE:Tumbleweed": "openSUSE:tumbleweed", "openSUSE:Leap Micro 5.4": "openSUSE:Micro 5.4",
		"SUSE:Linux Enterprise Module for Basesystem 15 SP5":         "SUSE:15.5 [Linux Enterprise Module for Basesystem 15 SP5]",
		"SUSE:Linux Enterprise Server 15 SP4-LTSS":                   "SUSE:15.4 [Linux Enterprise Server 15 SP4-LTSS]",
		"SUSE:Linux Enterprise Server LTSS Extended Security 12 SP5": "SUSE:12.5 [Linux Enterprise Server LTSS Extended Security 12 SP5]",
		"SUSE:Linux Enterprise Module for Containers 12":             "SUSE:12.5 [Linux Enterprise Module for Containers 12]",
		"SUSE:Linux Enterprise Micro 5.5":                            "SUSE:Micro 5.5 [Linux Enterprise Micro 5.5]",
		"SUSE:Linux Enterprise Server 16.0":                          "SUSE:16 [Linux Enterprise Server 16.0]",
		"SUSE:Manager Server 4.3":                                    "",
		"openEuler:22.03-LTS-SP4":                                    "openEuler:22.03-LTS-SP4", "Mageia:9": "Mageia:9", "Alpaquita:stream": "Alpaquita:stream",
	} {
		p := locate(in)
		got := p.name
		if p.repositories != nil {
			got += " [" + strings.Join(p.repositories, ",") + "]"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestTitle(t *testing.T) {
	for _, c := range [][3]string{
		{"Summary\nof it", "Details.", "Summary of it"},
		{"", "### Impact\n\nA flaw in x 1.2.3 lets others in. Upgrade.", "A flaw in x 1.2.3 lets others in"},
		{"", "[Unknown description]", ""},
		{"", "", ""},
	} {
		if got := title(c[0], c[1]); got != c[2] {
			t.Errorf("%q: %q, want %q", c[:2], got, c[2])
		}
	}
}

func TestCVE(t *testing.T) {
	for in, want := range map[string]string{
		"CVE-2024-1234": "CVE-2024-1234", "UBUNTU-CVE-2020-12345": "CVE-2020-12345", "BELL-CVE-2024-0001": "CVE-2024-0001",
		"GHSA-xxxx": "", "CVE-2024-12x4": "", "XCVE-2024-1234": "", "CVE-2024": "",
	} {
		if got := CVE(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// row is an affected entry of a made-up record.
func row(ecosystem, name, fixed, specific string) string {
	return fmt.Sprintf(`{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":%q}]}],"ecosystem_specific":%s}`, ecosystem, name, fixed, specific)
}

func decode(t *testing.T, record string) (*feedtest.Sink, Result) {
	t.Helper()
	r, err := Decoder{Order: OrderOf}.Decode([]byte(record))
	if err != nil {
		t.Fatal(err)
	}
	sink := &feedtest.Sink{}
	if _, err := r.Tell(sink); err != nil {
		t.Fatal(err)
	}
	return sink, r
}

func TestSUSEProductsOfOneRelease(t *testing.T) {
	sink, r := decode(t, `{"id":"SUSE-SU-2024:1-1","published":"2024-01-02T00:00:00Z","upstream":["CVE-2024-0001","CVE-2024-0002"],"affected":[`+
		row("SUSE:Linux Enterprise Server 15 SP4-LTSS", "curl", "8.0-1", `{"binaries":[{"curl":"8.0-1","libcurl4":"8.0-1"}]}`)+","+
		row("SUSE:Linux Enterprise High Performance Computing 15 SP4-LTSS", "curl", "8.0-1", `{"binaries":[{"curl":"8.0-1","libcurl-devel":"8.0-1"}]}`)+","+
		row("SUSE:Linux Enterprise Module for Basesystem 15 SP5", "curl", "8.0-2", `{}`)+","+
		row("SUSE:Linux Enterprise Server 15 SP5-LTSS", "curl", "8.0-2", `{}`)+","+
		row("SUSE:Manager Proxy 4.3", "curl", "8.0-1", `{}`)+`]}`)
	if len(sink.Records) != 4 || r.Skipped[OtherPlace] != 1 {
		t.Fatalf("got %d records, skipped %v", len(sink.Records), r.Skipped)
	}
	got := sink.Records[1]
	if got.Ecosystem != "SUSE:15.4" || got.Repositories != nil || got.Note == "" || !slices.Equal(got.Binaries, []string{"curl", "libcurl4", "libcurl-devel"}) || got.Aliases[0] != "CVE-2024-0002" || !got.Fixed.Equal(time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v", got)
	}
	if got = sink.Records[2]; got.Ecosystem != "SUSE:15.5" || got.Note != "" {
		t.Errorf("the module has the fix, too: %+v", got)
	}
}

// Names of kernel packages hold their build: the installed one is not listed.
func TestUbuntuKernel(t *testing.T) {
	sink, _ := decode(t, `{"id":"UBUNTU-CVE-2024-0001","upstream":["CVE-2024-0001"],"affected":[`+
		row("Ubuntu:24.04:LTS", "linux", "6.8.0-40.40", `{"binaries":[{"binary_name":"linux-image-6.8.0-40-generic"},{"binary_name":"linux-libc-dev"}]}`)+","+
		row("Ubuntu:20.04:LTS", "curl", "7.68.0-1ubuntu2.25+esm1", `{"binaries":[{"binary_name":"curl"}],"availability":"Available with Ubuntu Pro: https://ubuntu.com/pro"}`)+`]}`)
	if got := sink.Of("linux"); len(got) != 1 || got[0].Binaries != nil || got[0].Repositories != nil {
		t.Errorf("got %+v", got)
	}
	if got := sink.Of("curl"); len(got) != 1 || !slices.Equal(got[0].Repositories, []string{"pro"}) || got[0].Status != sekisho.StatusFixed {
		t.Errorf("got %+v", got)
	}
}

// A module's versions are of the major version that its path says.
func TestForeignMajor(t *testing.T) {
	sink, _ := decode(t, `{"id":"GHSA-1","affected":[`+
		row("Go", "example.com/a", "5.3.2", `{}`)+","+row("Go", "example.com/b", "1.3.2", `{}`)+","+row("Go", "example.com/c/v5", "5.3.2", `{}`)+","+
		row("Go", "gopkg.in/d.v2", "2.1.0", `{}`)+","+row("Go", "example.com/e", "5.3.2+incompatible", `{}`)+","+row("Go", "stdlib", "5.0.0", `{}`)+","+
		row("Go", "example.com/f/v3", "5.3.2", `{}`)+`]}`)
	var noted []string
	for _, r := range sink.Records {
		if r.Note != "" {
			noted = append(noted, r.Package)
		}
	}
	if !slices.Equal(noted, []string{"example.com/a", "example.com/f/v3"}) {
		t.Errorf("got %q", noted)
	}
	vulndb, _ := load(t, "Go")
	for _, r := range vulndb.Records {
		if strings.Contains(r.Note, "major version") {
			t.Errorf("the Go database does not mix them: %s %s %v", r.ID, r.Package, r.Ranges)
		}
	}
}

// An update of two module streams is told of both: the label decides.
func TestTwoStreams(t *testing.T) {
	sink, _ := decode(t, `{"id":"ALSA-2024:1","summary":"Moderate: idm:DL1 and idm:client security update","related":["CVE-2024-0001"],"affected":[`+
		row("AlmaLinux:8", "ipa-client", "4.9-1.module_el8.9.0+1+2", `{}`)+","+row("AlmaLinux:8", "other", "1-1.el8", `{}`)+`]}`)
	var got []string
	for _, r := range sink.Records {
		got = append(got, r.Package+" "+r.Module)
	}
	if !slices.Equal(got, []string{"ipa-client idm:DL1", "ipa-client idm:client", "other "}) {
		t.Errorf("got %q", got)
	}
}

// What the sink refuses ends the reading, and so does the context.
func TestStops(t *testing.T) {
	data, err := os.ReadFile(feedtest.Dir(t, "osv/crates.io/all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	if _, err := (Decoder{}).Zip(t.Context(), bytes.NewReader(data), int64(len(data)), refusing{&feedtest.Sink{}, full}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Decoder{}).Zip(ctx, bytes.NewReader(data), int64(len(data)), &feedtest.Sink{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type refusing struct {
	advisory.Sink
	err error
}

func (r refusing) Detail(advisory.Detail, advisory.Text) error { return r.err }

func TestRanges(t *testing.T) {
	numeric := func(a, b string) (int, error) { // one digit each
		return int(a[0]) - int(b[0]), nil
	}
	for _, c := range []struct {
		name   string
		events []event
		want   []advisory.Range
	}{
		{"out of order", []event{{Fixed: "9"}, {Introduced: "5"}, {Fixed: "3"}, {Introduced: "0"}}, []advisory.Range{{Fixed: "3"}, {Introduced: "5", Fixed: "9"}}},
		{"two events, the fix first", []event{{Fixed: "3"}, {Introduced: "0"}}, []advisory.Range{{Fixed: "3"}}},
		{"open at the end", []event{{Introduced: "0"}, {Fixed: "3"}, {Introduced: "5"}}, []advisory.Range{{Fixed: "3"}, {Introduced: "5"}}},
		{"last affected is inclusive", []event{{Introduced: "2"}, {Last: "4"}}, []advisory.Range{{Introduced: "2", Last: "4"}}},
		{"one version", []event{{Introduced: "2"}, {Last: "2"}}, []advisory.Range{{Introduced: "2", Last: "2"}}},
		{"introduced twice", []event{{Introduced: "2"}, {Introduced: "3"}, {Fixed: "4"}}, []advisory.Range{{Introduced: "2", Fixed: "4"}}},
		{"fixed where introduced", []event{{Introduced: "2"}, {Fixed: "2"}}, nil},
		{"never introduced", []event{{Fixed: "2"}}, nil},
		{"nothing", nil, nil},
	} {
		if got := intervals(c.events, numeric); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestHostileZip(t *testing.T) {
	make := func(fill func(*zip.Writer)) *bytes.Reader {
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		fill(w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return bytes.NewReader(buf.Bytes())
	}
	add := func(w *zip.Writer, name, text string) {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	good := `{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"x"},"versions":["1"]}]}`
	r := make(func(w *zip.Writer) {
		add(w, "X-1.json", good)
		add(w, "X-1.json", good)
		add(w, "X-2.json", good) // says X-1
		add(w, "X-3.json", `{"id":"X-3","affected":[{"package":{"ecosystem":"npm","name":"x"}}]}`)
		add(w, "X-4.json", `not JSON`)
		add(w, "X-5.json", strings.Repeat(" ", MaxRecord+1))
		add(w, "README", "x")
	})
	sink := &feedtest.Sink{}
	sum, err := Decoder{}.Zip(t.Context(), r, r.Size(), sink)
	if err != nil {
		t.Fatal(err)
	}
	if len(sink.Records) != 1 || sum.Skipped[Malformed] != 3 || sum.Skipped[NoVersions] != 1 {
		t.Errorf("%d records, skipped %v", len(sink.Records), sum.Skipped)
	}
	broken := make(func(w *zip.Writer) {
		for i := range 30 {
			add(w, strings.Repeat("X", i+1)+".json", "{")
		}
	})
	if _, err := (Decoder{}).Zip(t.Context(), broken, broken.Size(), sink); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("a zip file of broken records: %v", err)
	}
	if _, err := (Decoder{}).Zip(t.Context(), strings.NewReader("PK"), 2, sink); sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("no zip file: %v", err)
	}
	huge := append([]byte("PK\x05\x06"), bytes.Repeat([]byte{0x7f}, 18)...)
	if _, err := (Decoder{}).Zip(t.Context(), bytes.NewReader(huge), int64(len(huge)), sink); sekisho.KindOf(err) != sekisho.Invalid {
		t.Errorf("a directory of gigabytes: %v", err)
	}
}

// More entries than 65,535 need the directory of Zip64; npm has 200,000.
func TestManyEntries(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	const n = 66_000
	for i := range n {
		f, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("M-%d.json", i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(f, `{"id":"M-%d","affected":[{"package":{"ecosystem":"npm","name":"x"},"versions":["1"]}]}`, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum, err := Decoder{}.Zip(t.Context(), bytes.NewReader(buf.Bytes()), int64(buf.Len()), &feedtest.Sink{Count: true})
	if err != nil || sum.Records != n {
		t.Errorf("%d records: %v", sum.Records, err)
	}
}

// FuzzZip reads anything as a zip file.
func FuzzZip(f *testing.F) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	e, err := w.Create("X-1.json")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := e.Write([]byte(`{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"x"},"versions":["1"]}]}`)); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		sink := &feedtest.Sink{}
		sum, err := Decoder{}.Zip(t.Context(), bytes.NewReader(data), int64(len(data)), sink)
		if err == nil && sum.Told != len(sink.Records) {
			t.Fatalf("told %d of %d", sum.Told, len(sink.Records))
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"GHSA-1","modified":"2024-01-01T00:00:00Z","aliases":["CVE-2024-0001"],"affected":[{"package":{"ecosystem":"npm","name":"x"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1"}]}],"versions":["0.1"],"database_specific":{"last_known_affected_version_range":"<= 1"}}]}`))
	f.Add([]byte(`{"id":"ALSA-1","summary":"Important: a:1 and b:2 security update","related":["CVE-2024-0001"],"affected":[{"package":{"ecosystem":"AlmaLinux:8","name":"x"},"ranges":[{"events":[{"introduced":"0"},{"fixed":"1.module_el8"}]}]}]}`))
	f.Add([]byte(`{"id":"UBUNTU-CVE-2020-0001","affected":[{"package":{"ecosystem":"Ubuntu:Pro:22.04:LTS","name":"x"},"ranges":[{"events":[{"introduced":"0"},{"last_affected":"2"},{"introduced":"1"}]}],"ecosystem_specific":{"binaries":[{"binary_name":"y"},{"z":"1"}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decoder{Order: OrderOf}.Decode(data)
		if err != nil {
			return
		}
		sink := &feedtest.Sink{}
		if _, err := r.Tell(sink); err != nil {
			t.Fatal(err)
		}
		for _, rec := range sink.Records {
			if rec.ID != r.ID || rec.Ecosystem == "" || rec.Package == "" || len(rec.Ranges)+len(rec.Versions) == 0 {
				t.Fatalf("incomplete record %+v", rec)
			}
		}
	})
}

// BenchmarkZip reports records and bytes a second, and what the decoder holds.
func BenchmarkZip(b *testing.B) {
	for _, name := range []string{"AlmaLinux", "Go", "Bitnami", "malicious-derived"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var sum Summary
			for b.Loop() {
				sum = loadInto(b, name, &feedtest.Sink{Count: true})
			}
			b.SetBytes(sum.Bytes)
			b.ReportMetric(float64(sum.Records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(sum.Told)*float64(b.N)/b.Elapsed().Seconds(), "told/s")
		})
	}
}
