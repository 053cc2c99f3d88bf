package sbom_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/report/format"
	"sekisho/scan/sbom"
)

// TestRoundTrip holds that what we write we read again, every package of it.
func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"json", "cyclonedx", "spdx"} {
		data, err := os.ReadFile("../../report/format/testdata/" + name + ".en.golden")
		if err != nil {
			t.Fatal(err)
		}
		r, err := sbom.Read(bytes.NewReader(data), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(r.Packages) != 2 || r.Packages[0].PURL != "pkg:deb/debian/openssl@1:3.0?arch=amd64&distro=debian-12" || r.Packages[0].Licence != "Apache-2.0 AND LicenseRef-Own" || r.Packages[0].Arch != "amd64" {
			t.Errorf("%s: %+v", name, r.Packages)
		}
		if name == "spdx" {
			continue // has no room for the rest
		}
		if p := r.Packages[0]; p.Source.Name != "openssl-src" || p.Locations[0] != "var/lib/dpkg/status" || r.Packages[1].Dev != true {
			t.Errorf("%s: %+v", name, p)
		}
		var out bytes.Buffer
		format.Normalise(r)
		if err := format.Write(&out, "cyclonedx", r, format.Options{}); err != nil {
			t.Fatal(err)
		}
		again, err := sbom.Read(&out, "again")
		if err != nil || len(again.Packages) != 2 || again.Packages[1].PURL != r.Packages[1].PURL {
			t.Errorf("%s: written and read again: %v", name, err)
		}
	}
}

func TestOthers(t *testing.T) {
	for name, in := range map[string]string{
		"xml":       `<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component type="library"><name>x</name><version>1</version><purl>pkg:npm/x@1</purl></component></components></bom>`,
		"tag-value": "SPDXVersion: SPDX-2.3\nPackageName: x\nPackageVersion: 1\nExternalRef: PACKAGE-MANAGER purl pkg:npm/x@1\n",
		"nested":    `{"bomFormat":"CycloneDX","components":[{"type":"application","name":"a","components":[{"type":"library","name":"x","version":"1","purl":"pkg:npm/x@1"}]}]}`,
	} {
		r, err := sbom.Read(strings.NewReader(in), name)
		if err != nil || len(r.Packages) != 1 || r.Packages[0].PURL != "pkg:npm/x@1" || r.Packages[0].Type != "npm" {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
}

func TestErrors(t *testing.T) {
	for in, want := range map[string]string{
		"{\n\"bomFormat\":\"CycloneDX\",\n\"components\": 5}": "f: line 3",
		"{\"a\":1}": "neither CycloneDX",
		"{":         "f: line 1",
		"":          "f: ",
	} {
		if _, err := sbom.Read(strings.NewReader(in), "f"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[{"name":"x"}]}`))
	f.Add([]byte("SPDXVersion: SPDX-2.3\nPackageName: x\n"))
	f.Add([]byte(`<bom><components/></bom>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := sbom.Read(bytes.NewReader(data), "f"); err == nil && r == nil {
			t.Error("neither report nor error")
		}
	})
}

// TestStoredReport holds that a report is an inventory that can be judged again
// as well as the image: what decides about a package is still there.
func TestStoredReport(t *testing.T) {
	r := sekisho.Report{Schema: sekisho.ReportSchema, Target: sekisho.Target{Kind: "image", Reference: "x", Platform: "linux/amd64", OS: &sekisho.OS{ID: "rhel", Version: "8.6"}, Repositories: []string{"rhel-8-for-x86_64-appstream-eus-rpms"}},
		Packages: []sekisho.Package{{Name: "nodejs", Version: "1:18.1.0-1.module+el8.6.0+1+a", Type: "rpm", PURL: "pkg:rpm/redhat/nodejs@18.1.0", Arch: "x86_64", Module: "nodejs:18:1:a",
			Source: sekisho.Source{Name: "nodejs", Version: "1:18.1.0-1"}, Owner: "rpm:nodejs", NoCode: true, Found: sekisho.Installed, Locations: []string{"var/lib/rpm/Packages"}}}}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sbom.Read(bytes.NewReader(data), "report.json")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Packages, r.Packages) || !slices.Equal(got.Target.Repositories, r.Target.Repositories) || got.Target.Platform != r.Target.Platform {
		t.Errorf("got %+v of %+v", got.Packages, got.Target)
	}
}
