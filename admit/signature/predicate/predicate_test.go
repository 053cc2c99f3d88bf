package predicate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekisho"
	"sekisho/policy/fact"
)

// TestProvenance reads provenance in the forms of builders in use.
func TestProvenance(t *testing.T) {
	for _, c := range []struct {
		name, kind, doc string
		want            fact.Provenance
	}{
		{"GitHub's attest-build-provenance", SLSAv1, `{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1",
			"externalParameters":{"workflow":{"ref":"refs/heads/main","repository":"https://github.com/us/app","path":".github/workflows/release.yml"}},
			"resolvedDependencies":[{"uri":"git+https://github.com/us/app@refs/heads/main","digest":{"gitCommit":"e2f5e1a0a0c4cbe77d0e33e38a1cf0c1d3d7a6c1"}}]},
			"runDetails":{"builder":{"id":"https://github.com/us/app/.github/workflows/release.yml@refs/heads/main"}}}`,
			fact.Provenance{Builder: "https://github.com/us/app/.github/workflows/release.yml@refs/heads/main", Source: "https://github.com/us/app", Commit: "e2f5e1a0a0c4cbe77d0e33e38a1cf0c1d3d7a6c1"}},
		{"slsa-github-generator", SLSAv02, `{"builder":{"id":"https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v2.0.0"},
			"invocation":{"configSource":{"uri":"git+https://github.com/us/app@refs/tags/v1.0","digest":{"sha1":"abc"},"entryPoint":".github/workflows/release.yml"}},
			"materials":[{"uri":"git+https://github.com/us/app@refs/tags/v1.0","digest":{"sha1":"abc"}}]}`,
			fact.Provenance{Builder: "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v2.0.0", Source: "https://github.com/us/app", Commit: "abc"}},
		{"BuildKit, with a base image before the source", SLSAv02, `{"builder":{"id":"https://github.com/us/app/actions/runs/1"},"invocation":{"configSource":{}},
			"materials":[{"uri":"https://github.com/us/app.git#refs/heads/main","digest":{"sha1":"def"}},{"uri":"pkg:docker/alpine@3.20?platform=linux%2Famd64","digest":{"sha256":"aa"}}]}`,
			fact.Provenance{Builder: "https://github.com/us/app/actions/runs/1", Source: "https://github.com/us/app", Commit: "def"}},
		{"Tekton Chains", SLSAv1, `{"buildDefinition":{"externalParameters":{"source":{"uri":"git+ssh://git@example.com/us/app@main","digest":{"sha1":"x"}}},
			"resolvedDependencies":[{"uri":"git+ssh://git@example.com/us/app","digest":{"sha1":"1234"}}]},"runDetails":{"builder":{"id":"https://tekton.dev/chains/v2"}}}`,
			fact.Provenance{Builder: "https://tekton.dev/chains/v2", Source: "ssh://git@example.com/us/app", Commit: "1234"}},
	} {
		got, err := Provenance(c.kind, []byte(c.doc))
		if err != nil || got != c.want {
			t.Errorf("%s:\n got %+v %v\nwant %+v", c.name, got, err, c.want)
		}
	}
	if _, err := Provenance(SLSAv1, []byte(`{}`)); err == nil {
		t.Error("provenance without a builder was taken")
	}
}

// TestScan: facts of a scan come back as they were, small and large, and what
// others vouch for does not.
func TestScan(t *testing.T) {
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for _, n := range []int{0, 3, 3000} {
		in := fact.Image{Digest: "sha256:aa", Assessed: []string{fact.Packages, fact.Vulnerabilities}, Packages: []sekisho.Package{}, Findings: []sekisho.Finding{}, Scanned: &at,
			Labels: map[string]string{"a": "b"}, Feeds: []sekisho.Feed{{Name: "nvd", Newest: at}}}
		for i := range n {
			f := sekisho.Finding{Kind: sekisho.Vulnerability, ID: fmt.Sprintf("CVE-2026-%d", i), Severity: sekisho.Critical, Package: &sekisho.PackageRef{Name: "openssl", Version: "3.0.1"},
				Vulnerable: &sekisho.Vulnerable{CVSS: []sekisho.CVSS{{Source: "nvd", Score: 9.8}}, Published: at}}
			if i == 0 {
				f.KEV = &sekisho.KEV{Added: "2026-11-01"}
			}
			in.Findings = append(in.Findings, f)
		}
		told := in
		told.Signatures, told.Approvals = []fact.Signature{{Key: "sha256:me"}}, []fact.Approval{{Approver: "me"}}
		doc, err := Scan(sekisho.Tool{Name: "sekisho"}, told)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Facts(doc, "sha256:bb", "sha256:aa")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(in, got); d != "" {
			t.Errorf("%d findings: facts changed:\n%s", n, d)
		}
		if _, err := Facts(doc, "sha256:bb"); err == nil {
			t.Error("the facts of another image were taken")
		}
		var s scan
		if err := json.Unmarshal(doc, &s); err != nil || s.Counts["critical"] != n || n > 0 && s.Counts["kev"] != 1 {
			t.Errorf("counts %v %v", s.Counts, err)
		}
		t.Logf("%d findings: %d bytes", n, len(doc))
	}
}

// TestScanBomb: what unfolds without end is cut.
func TestScanBomb(t *testing.T) {
	big := fact.Image{Digest: "sha256:aa", User: new(string)}
	*big.User = strings.Repeat("x", maxFacts)
	if _, err := Scan(sekisho.Tool{}, big); err == nil {
		t.Error("facts over the bound were attested")
	}
}

// FuzzPredicate: no predicate makes its reader panic, and facts are never of
// another digest.
func FuzzPredicate(f *testing.F) {
	f.Add([]byte(`{"builder":{"id":"b"},"invocation":{"configSource":{"uri":"git+https://example.com/a@refs/heads/main","digest":{"sha1":"x"}}}}`))
	f.Add([]byte(`{"buildDefinition":{"externalParameters":{"source":"x"}},"runDetails":{"builder":{"id":"b"}}}`))
	f.Add([]byte(`{"facts":{"digest":"sha256:aa","assessed":[]}}`))
	f.Add([]byte(`{"facts_gzip":"H4sIAAAAAAAA/6qu5QIAAAD//w=="}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, p := range []string{SLSAv02, SLSAv1} {
			if got, err := Provenance(p, doc); err == nil && got.Builder == "" {
				t.Error("provenance without a builder")
			}
		}
		if i, err := Facts(doc, "sha256:aa"); err == nil && (i.Digest != "sha256:aa" || i.Signatures != nil || i.Approvals != nil) {
			t.Errorf("facts %+v", i)
		}
		Detect("sbom", doc)
		Kind(string(doc))
		Repository(string(doc))
	})
}
