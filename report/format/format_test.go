package format_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"

	"sekisho"
	"sekisho/i18n"
	"sekisho/report/format"
)

var update = flag.Bool("update", false, "write golden files anew")

const diff = sekisho.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")

// sample is a report with one of everything, some of it hostile.
func sample() *sekisho.Report {
	at := sekisho.Location{Path: "usr/bin/su", Layer: diff, Instruction: "/bin/sh -c apt-get install -y su"}
	r := &sekisho.Report{Generated: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC), Tool: sekisho.Tool{Name: "sekisho", Version: "1.0"},
		Target: sekisho.Target{Kind: "image", Reference: "registry:example.org/app:1.0", Digest: diff, ID: diff, Platform: "linux/amd64", Platforms: []string{"linux/amd64", "linux/arm64"},
			OS: &sekisho.OS{ID: "debian", Version: "12", Name: "Debian GNU/Linux 12", SupportedUntil: "2028-06-30"}, Layers: []sekisho.Layer{{DiffID: diff, Size: 3 << 20, Instruction: at.Instruction}},
			Config: &sekisho.RunConfig{Entrypoint: []string{}, Cmd: []string{"/app"}}},
		Packages: []sekisho.Package{
			{Name: "openssl", Version: "1:3.0", Type: "deb", PURL: "pkg:deb/debian/openssl@1:3.0?arch=amd64&distro=debian-12", Arch: "amd64", Source: sekisho.Source{Name: "openssl-src", Version: "3.0"}, Licence: "Apache-2.0 AND LicenseRef-Own", Vendor: "Debian <d@example.org>", Found: sekisho.Installed, Layer: diff, Locations: []string{"var/lib/dpkg/status"}},
			{Name: "@a/b", Version: "1.0.0", Type: "npm", PURL: "pkg:npm/%40a/b@1.0.0", Licence: "MIT", Found: sekisho.Declared, Dev: true, Layer: diff, Locations: []string{"app/package-lock.json"}},
		},
		Findings: []sekisho.Finding{
			{Kind: sekisho.Misconfiguration, ID: "SKS-IMG-003", Severity: sekisho.Medium, Aliases: []string{"CIS-Docker-4.8"}, Evidence: "4755 uid=0", Location: at, Fingerprint: "aa"},
			{Kind: sekisho.Misconfiguration, ID: "SKS-IMG-001", Severity: sekisho.High, Evidence: `USER ""`, Fingerprint: "bb", Expired: &sekisho.Suppressed{Reason: "old", Owner: "team", Until: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
			{Kind: sekisho.Misconfiguration, ID: "SKS-IMG-012", Severity: sekisho.Medium, Location: sekisho.Location{Path: "<script>alert(1)</script>|`x`\x1b[31m\u202e", Layer: diff}, Fingerprint: "cc"},
			{Kind: sekisho.Misconfiguration, ID: "SKS-IMG-002", Severity: sekisho.Low, Fingerprint: "dd", Suppressed: &sekisho.Suppressed{Reason: "probes <b>", Owner: "team", Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}},
			{Kind: sekisho.Secret, ID: "github-pat", Severity: sekisho.Critical, Confidence: "high", Class: "access_token", Vendor: "GitHub", Evidence: "ghp_********", Location: sekisho.Location{Path: "old/key.txt", Line: 2, Layer: diff, Hidden: true},
				Places: []sekisho.Location{{Path: "a.tgz!/key.txt", Line: 1, Layer: diff}}, Fingerprint: "ee"},
			{Kind: sekisho.Malware, ID: "SKS_Reverse_Shell", Severity: sekisho.High, Confidence: "medium", Class: "rule", Title: "described by the rule", Evidence: "$bash@0x10", Location: sekisho.Location{Path: "x.sh", Layer: diff}, Fingerprint: "ff"},
			{Kind: sekisho.Vulnerability, ID: "CVE-2026-0001", Severity: sekisho.High, Status: sekisho.StatusFixed, Title: "a <b>hole</b>", FixedIn: []string{"1:3.1"}, Package: &sekisho.PackageRef{Name: "libssl3", Version: "1:3.0", PURL: "pkg:deb/debian/openssl@1:3.0?arch=amd64&distro=debian-12"}, Location: sekisho.Location{Path: "var/lib/dpkg/status", Layer: diff}, Fingerprint: "hh",
				Vulnerable: &sekisho.Vulnerable{TitleJA: "穴", CVSS: []sekisho.CVSS{{Source: "nvd", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", Score: 7.5}}, Ratings: []sekisho.Rating{{Source: "nvd", Severity: sekisho.High}},
					EPSS: &sekisho.EPSS{Score: 0.42, Percentile: 0.97, Date: "2026-11-20"}, KEV: &sekisho.KEV{Added: "2026-11-01", Due: "2026-11-22", Action: "patch"}, CWE: []string{"CWE-79"}, Upgrade: "1:3.2", Advisories: []string{"DSA-1-1"},
					Match: sekisho.Match{Feed: "debian", Record: "CVE-2026-0001", Ecosystem: "Debian:12", Package: "openssl-src", Installed: "3.0", Range: "< 1:3.1", Scheme: "dpkg", Via: "source"}, Sources: []sekisho.Reference{{Name: "Debian", URL: "https://security-tracker.debian.org/tracker/CVE-2026-0001"}}}},
			{Kind: sekisho.Vulnerability, ID: "CVE-2026-0002", Severity: sekisho.Low, Status: sekisho.StatusWontFix, Package: &sekisho.PackageRef{Name: "@a/b", Version: "1.0.0", PURL: "pkg:npm/%40a/b@1.0.0"}, Fingerprint: "ii", Vulnerable: &sekisho.Vulnerable{}},
			{Kind: sekisho.Malware, ID: "Unix.Trojan.<b>-1", Severity: sekisho.Critical, Confidence: "high", Class: "signature", Location: sekisho.Location{Path: "y", Layer: diff}, Fingerprint: "gg"},
		},
		Feeds:    []sekisho.Feed{{Name: "yara:sekisho", Records: 15, Newest: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}},
		Coverage: []sekisho.Cover{{Ecosystem: "Debian:12", State: sekisho.Covered, Packages: 1, Feeds: []string{"debian"}}, {Ecosystem: "npm", State: sekisho.NotCovered, Packages: 1}},
		Problems: []sekisho.Problem{{Path: "app/x.jar", Layer: diff, Message: "it is larger than it says"}},
		Decision: &sekisho.Decision{Result: sekisho.Deny, Policy: "production, --fail-on high",
			Policies: []sekisho.PolicyResult{{Name: "production", Version: "sha256:0123456789abcdef", Mode: sekisho.Deny, Result: sekisho.Deny}},
			Reasons: []sekisho.Reason{
				{Policy: "production", Control: "misconfiguration", Result: sekisho.ControlFail, Effect: sekisho.Violation, Evidence: `SKS-IMG-001, USER ""`, Owner: "web team", Finding: "bb",
					Key: "policy.misconfiguration.fail", FixKey: "policy.fix.finding", Params: map[string]string{"id": "SKS-IMG-001", "title": "", "fix": "", "wants": "ids=[SKS-IMG-001]"}},
				{Policy: "production", Control: "signature", Result: sekisho.ControlNotAssessed, Effect: sekisho.Violation, Owner: "<b>\x1b[31m", Key: "policy.missing", FixKey: "policy.missing.fix", Params: map[string]string{"fact": "@fact.signatures"}},
				{Policy: "production", Control: "digest-pinned", Result: sekisho.ControlFail, Effect: sekisho.Note, Evidence: "reference=example.org/app:1.0", Key: "policy.digest-pinned.fail", FixKey: "policy.digest-pinned.fix", Params: map[string]string{"reference": "example.org/app:1.0,<script>\r\n::error::x"}},
				{Control: "severity", Message: "SKS-IMG-001 high"}},
			Controls: []sekisho.ControlResult{
				{Policy: "production", Control: "misconfiguration", Result: sekisho.ControlFail, Effect: sekisho.Violation, Wants: "ids=[SKS-IMG-001]", Looked: 4, Reasons: 1, Satisfies: []string{"pci-dss:2.2.6"}},
				{Policy: "production", Control: "signature", Result: sekisho.ControlNotAssessed, Effect: sekisho.Violation, Satisfies: []string{}},
				{Policy: "production", Control: "digest-pinned", Result: sekisho.ControlFail, Effect: sekisho.Note, Satisfies: []string{}},
				{Policy: "production", Control: "privileged", Result: sekisho.ControlNotApplicable, Effect: sekisho.Violation, Satisfies: []string{}},
				{Policy: "production", Control: "sbom", Result: sekisho.ControlPass, Effect: sekisho.Violation, Satisfies: []string{}}},
			Exceptions: []sekisho.ExceptionUse{{What: "id=SKS-IMG-002", Reason: "probes", Owner: "team", Approver: "boss", Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), State: sekisho.ExceptionInForce, Count: 1},
				{What: "id=SKS-IMG-001", Reason: "old", Owner: "team", State: sekisho.ExceptionFixed, Count: 1}}},
	}
	return r
}

func written(t *testing.T, name string, lang i18n.Lang, o format.Options) string {
	t.Helper()
	r := sample()
	o.Printer = i18n.New(lang)
	format.Describe(r, o.Printer)
	format.Normalise(r)
	var b bytes.Buffer
	if err := format.Write(&b, name, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden holds every form, in both languages where it has words.
func TestGolden(t *testing.T) {
	for _, name := range format.Names() {
		for _, lang := range i18n.Languages() {
			got := written(t, name, lang, format.Options{Width: 90})
			file := filepath.Join("testdata", name+"."+string(lang)+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs from its golden file; look at git diff after -update", file)
			}
			if again := written(t, name, lang, format.Options{Width: 90}); again != got {
				t.Errorf("%s: the same report gives other bytes", name)
			}
		}
	}
}

// TestHarmless holds that what an image says cannot act on a terminal, a page
// or a comment.
func TestHarmless(t *testing.T) {
	for _, name := range format.Names() {
		out := written(t, name, i18n.English, format.Options{All: true})
		if strings.ContainsAny(out, "\x1b\u202e") && name != "json" && name != "cyclonedx" && name != "spdx" {
			t.Errorf("%s passes escape sequences on", name)
		}
		if (name == "html" || name == "markdown") && strings.Contains(out, "<script>") {
			t.Errorf("%s passes markup on", name)
		}
	}
}

// TestLibrariesAgree decodes our bills of materials with the formats' own
// libraries.
func TestLibrariesAgree(t *testing.T) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(strings.NewReader(written(t, "cyclonedx", i18n.English, format.Options{})), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if bom.SpecVersion != cdx.SpecVersion1_6 || len(*bom.Components) != 3 || (*bom.Components)[1].PackageURL != "pkg:deb/debian/openssl@1:3.0?arch=amd64&distro=debian-12" {
		t.Errorf("CycloneDX: %+v", bom)
	}
	doc, err := spdxjson.Read(strings.NewReader(written(t, "spdx", i18n.English, format.Options{})))
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Packages) != 3 || doc.Packages[1].PackageExternalReferences[0].Locator != "pkg:deb/debian/openssl@1:3.0?arch=amd64&distro=debian-12" || len(doc.OtherLicenses) != 1 {
		t.Errorf("SPDX: %d packages, %d other licences", len(doc.Packages), len(doc.OtherLicenses))
	}
	if err := xml.Unmarshal([]byte(written(t, "junit", i18n.English, format.Options{})), new(struct{ XMLName xml.Name })); err != nil {
		t.Errorf("JUnit: %v", err)
	}
}

// TestSchema holds the published schema to the vocabulary: the same fields,
// the same ones required.
func TestSchema(t *testing.T) {
	data, err := os.ReadFile("../../docs/schema/sekisho.scan.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	compare(t, root, root, reflect.TypeFor[sekisho.Report](), "report")
}

func compare(t *testing.T, root, schema map[string]any, kind reflect.Type, at string) {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch {
	case kind == reflect.TypeFor[time.Time]():
		return
	case kind.Kind() == reflect.Slice:
		compare(t, root, schema["items"].(map[string]any), kind.Elem(), at+"[]")
		return
	case kind.Kind() != reflect.Struct:
		return
	}
	properties := maps.Clone(schema["properties"].(map[string]any))
	required := map[string]bool{}
	for _, r := range schema["required"].([]any) {
		required[r.(string)] = true
	}
	for _, field := range reflect.VisibleFields(kind) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous {
			continue // its fields follow
		}
		if name == "same" || name == "-" {
			continue // never leaves a scan
		}
		p, ok := properties[name].(map[string]any)
		if !ok {
			t.Errorf("%s: the schema has no %s", at, name)
			continue
		}
		if optional := strings.Contains(options, "omit") || len(field.Index) > 1; optional == required[name] { // an embedded struct may be absent
			t.Errorf("%s.%s: omitted when empty: %v, required: %v", at, name, optional, required[name])
		}
		compare(t, root, p, field.Type, at+"."+name)
		delete(properties, name)
	}
	for name := range properties {
		t.Errorf("%s: the schema has %s, the document does not", at, name)
	}
}
