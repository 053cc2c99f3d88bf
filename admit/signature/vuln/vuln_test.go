package vuln

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/policy/fact"
)

// predicateWith is cosign's vulnerability predicate round a result.
func predicateWith(uri, result string) string {
	return fmt.Sprintf(`{"invocation":{"parameters":null,"uri":"","event_id":"","builder.id":""},"scanner":{"uri":%q,"version":"1.2.3","db":{"uri":"","version":"","lastUpdate":"2026-11-23T06:00:00Z"},"result":%s},
		"metadata":{"scanStartedOn":"2026-11-24T07:59:00Z","scanFinishedOn":"2026-11-24T09:00:00.5+01:00"}}`, uri, result)
}

const trivyResult = `{"SchemaVersion":2,"CreatedAt":"2026-11-24T08:00:00Z","ArtifactName":"registry.example.org/app:1","ArtifactType":"container_image","Metadata":{"OS":{"Family":"alpine","Name":"3.20.3"}},
"Results":[{"Target":"app (alpine 3.20.3)","Class":"os-pkgs","Type":"alpine","Vulnerabilities":[
 {"VulnerabilityID":"CVE-2026-0001","VendorIDs":["ALPINE-1"],"PkgName":"libcrypto3","PkgIdentifier":{"PURL":"pkg:apk/alpine/libcrypto3@3.3.0-r0?arch=x86_64"},"InstalledVersion":"3.3.0-r0","FixedVersion":"3.3.1-r0, 3.4.0-r0","Status":"fixed",
  "Severity":"CRITICAL","Title":"openssl: something","CVSS":{"redhat":{"V3Score":8.8},"nvd":{"V2Score":7.5,"V3Score":9.8,"V40Score":9.3}},"PublishedDate":"2026-10-01T00:00:00Z"},
 {"VulnerabilityID":"CVE-2026-0002","PkgName":"busybox","InstalledVersion":"1.36","Status":"will_not_fix","Severity":"UNKNOWN"},
 {"VulnerabilityID":"CVE-2026-0001","PkgName":"libssl3","InstalledVersion":"3.3.0-r0","FixedVersion":"","Severity":"CRITICAL"}]},
 {"Target":"Java","Class":"lang-pkgs","Type":"jar"}]}`

const grypeResult = `{"matches":[
 {"vulnerability":{"id":"GHSA-aaaa-bbbb-cccc","severity":"High","fix":{"versions":["2.0.1"],"state":"fixed"},"cvss":[{"source":"nvd","version":"3.1","vector":"","metrics":{"baseScore":8.1}}]},
  "relatedVulnerabilities":[{"id":"CVE-2026-0003","epss":[{"cve":"CVE-2026-0003","epss":0.42,"percentile":0.97,"date":"2026-11-23"}],"knownExploited":[{"cve":"CVE-2026-0003","dateAdded":"2026-11-01","knownRansomwareCampaignUse":"Known"}]}],
  "artifact":{"name":"left-pad","version":"1.0.0","type":"npm","purl":"pkg:npm/left-pad@1.0.0","locations":[{"path":"/app/node_modules/left-pad/package.json"}]}},
 {"vulnerability":{"id":"CVE-2026-0004","severity":"Negligible","fix":{"versions":[],"state":"wont-fix"}},"relatedVulnerabilities":[],"artifact":{"name":"bash","version":"5.2","type":"deb","purl":"","locations":[]}}],
 "descriptor":{"name":"grype","version":"0.90.0","db":{"status":{"built":"2026-11-22T00:00:00Z"},"providers":{"kev":{"captured":"x"},"epss":{"captured":"x"},"nvd":{"captured":"x"}}}}}`

const cyclonedxResult = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"bom-ref":"r1","group":"org.example","name":"lib","version":"1","purl":"pkg:maven/org.example/lib@1","components":[{"bom-ref":"r2","name":"inner","version":"2"}]}],
 "vulnerabilities":[{"id":"CVE-2026-0005","ratings":[{"score":8.2,"severity":"low","method":"CVSSv31"},{"source":{"name":"FIRST"},"score":0.03,"method":"other"},{"source":{"name":"CISA KEV Catalog"},"score":1,"method":"other"},{"severity":"high","method":"other"}],"affects":[{"ref":"r1"},{"ref":"r2"}]},
  {"id":"CVE-2026-0006","ratings":[{"severity":"critical"}],"analysis":{"state":"not_affected","detail":"never called"},"affects":[{"ref":"r1"}]},{"id":"CVE-2026-0007","affects":[]}]}`

const sarifResult = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"grype","rules":[{"id":"CVE-2026-0008-openssl","properties":{"security-severity":"9.1"}}]}},"results":[
 {"ruleId":"CVE-2026-0008-openssl","message":{"text":"a"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"lib/apk/db/installed"},"region":{"startLine":1}}}]},
 {"ruleId":"CVE-2026-0009","level":"note","message":{"text":"b"}},{"ruleId":"CVE-2026-0010","level":"none","message":{"text":"c"}}]}]}`

const listResult = `[{"id":"CVE-2026-0011","severity":[{"method":"nvd","score":"7.5"},{"method":"vendor","score":"CRITICAL"}]},{"id":"CVE-2026-0012","severity":[{"method":"nvd","score":3.1}]},{"id":"CVE-2026-0013","severity":[{"method":"cvss","score":"CVSS:3.1/AV:N"}]}]`

// say writes a finding on a line.
func say(f sekisho.Finding) string {
	pkg, more := "-", ""
	if f.Package != nil {
		pkg = f.Package.Name + "@" + f.Package.Version
	}
	if f.KEV != nil {
		more += " KEV"
	}
	if f.EPSS != nil {
		more += fmt.Sprint(" ", f.EPSS.Score)
	}
	if f.Suppressed != nil {
		more += " suppressed"
	}
	return fmt.Sprintf("%s %s %s %s %v %d%s", f.ID, f.Severity, pkg, f.Status, f.FixedIn, len(f.CVSS), more)
}

// TestRead reads the results of scanners in their forms.
func TestRead(t *testing.T) {
	for _, c := range []struct {
		uri, name, result string
		assessed          []string
		want              []string
	}{
		{"pkg:github/aquasecurity/trivy@0.58.0", "trivy", trivyResult, []string{fact.Vulnerabilities}, []string{
			"CVE-2026-0001 critical libcrypto3@3.3.0-r0 fixed [3.3.1-r0 3.4.0-r0] 4",
			"CVE-2026-0002 unknown busybox@1.36 will_not_fix [] 0",
			"CVE-2026-0001 critical libssl3@3.3.0-r0 affected [] 0"}},
		{"https://github.com/anchore/grype", "grype", grypeResult, []string{fact.Vulnerabilities, fact.KEV, fact.EPSS}, []string{
			"GHSA-aaaa-bbbb-cccc high left-pad@1.0.0 fixed [2.0.1] 1 KEV 0.42",
			"CVE-2026-0004 low bash@5.2 will_not_fix [] 0"}},
		{"https://example.org/scan?x=/y", "scan", cyclonedxResult, []string{fact.Vulnerabilities}, []string{
			"CVE-2026-0005 high org.example/lib@1 affected [] 1 KEV 0.03",
			"CVE-2026-0005 high inner@2 affected [] 1 KEV 0.03",
			"CVE-2026-0006 critical org.example/lib@1 affected [] 0 suppressed",
			"CVE-2026-0007 unknown - affected [] 0"}},
		{"grype", "grype", sarifResult, []string{fact.Vulnerabilities}, []string{
			"CVE-2026-0008 critical openssl@ affected [] 1", "CVE-2026-0009 low - affected [] 0"}},
		{"scanner:own", "own", listResult, []string{fact.Vulnerabilities}, []string{
			"CVE-2026-0011 critical - affected [] 1", "CVE-2026-0012 low - affected [] 1", "CVE-2026-0013 unknown - affected [] 0"}},
	} {
		f, err := Read([]byte(predicateWith(c.uri, c.result)))
		if err != nil {
			t.Errorf("%s: %v", c.uri, err)
			continue
		}
		i := f.Image("sha256:aa", "ci@example.com")
		var got []string
		for _, x := range i.Findings {
			got = append(got, say(x))
			if x.Kind != sekisho.Vulnerability || x.Fingerprint == "" || x.Aliases == nil {
				t.Errorf("%s: %+v", c.uri, x)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.uri, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
		if want := (fact.Scanner{Name: c.name, Version: "1.2.3", Time: time.Date(2026, 11, 24, 8, 0, 0, 5e8, time.UTC), Signer: "ci@example.com"}); *i.Scanner != want || !i.Scanned.Equal(want.Time) || !slices.Equal(i.Assessed, c.assessed) {
			t.Errorf("%s: %+v %v, want %+v %v", c.uri, i.Scanner, i.Assessed, want, c.assessed)
		}
		if len(i.Feeds) != 1 || i.Feeds[0].Kind != sekisho.FeedAdvisories || i.Feeds[0].Checked.IsZero() || i.Packages != nil || i.User != nil || i.SBOM != nil {
			t.Errorf("%s: it claims to know %+v", c.uri, i)
		}
	}
}

// TestRefused: what proves nothing is no scan.
func TestRefused(t *testing.T) {
	for name, c := range map[string][2]string{
		"no result":               {predicateWith("trivy", "null"), "proves nothing"},
		"something else":          {predicateWith("trivy", `{"ok":true}`), "want results of"},
		"a text":                  {predicateWith("trivy", `"clean"`), "proves nothing"},
		"nobody looked":           {predicateWith("x", `{"bomFormat":"CycloneDX","components":[]}`), "nobody looked"},
		"a run that failed":       {predicateWith("x", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t"}},"invocations":[{"executionSuccessful":false}],"results":[]}]}`), "failed"},
		"a run without results":   {predicateWith("x", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t"}}}]}`), "failed or did not look"},
		"nobody":                  {predicateWith("", "[]"), "scanner.uri"},
		"no time":                 {`{"scanner":{"uri":"x","result":[]},"metadata":{"scanFinishedOn":""}}`, "scanFinishedOn"},
		"no vulnerability's name": {predicateWith("x", `[{"severity":[]}]`), "without an identifier"},
		"no JSON":                 {"{", "unexpected end"},
	} {
		if f, err := Read([]byte(c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %+v %v, want %q", name, f, err, c[1])
		}
	}
	if f, err := Read([]byte(predicateWith("x", "[]"))); err != nil || f.Image("sha256:aa", "").Findings == nil {
		t.Errorf("a clean list: %v", err)
	}
}

// FuzzRead: no predicate makes the reader panic, and what it returns can be kept.
func FuzzRead(f *testing.F) {
	for _, r := range []string{trivyResult, grypeResult, cyclonedxResult, sarifResult, listResult, "null"} {
		f.Add([]byte(predicateWith("pkg:github/x/y@1", r)))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := Read(doc)
		if err != nil {
			return
		}
		i := got.Image("sha256:aa", "s")
		if _, err := json.Marshal(i); err != nil || i.Scanner.Name == "" || i.Scanned.IsZero() {
			t.Errorf("%+v %v", i, err)
		}
	})
}
