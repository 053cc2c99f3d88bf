package vex

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/internal/fixture"
	"sekisho/policy/exception"
)

// feeds returns a directory of the shared advisories.
func feeds(t testing.TB, name string) string {
	t.Helper()
	return fixture.Dir(t, filepath.Join("..", "advisories", name))
}

// TestRealDocuments reads documents of Red Hat, Canonical, Aqua, Docker Hub's
// node and Docker's dockle.
func TestRealDocuments(t *testing.T) {
	formats := map[string]int{}
	for _, dir := range []string{"vex", "vendor-samples/redhat-vex", "vendor-samples/ubuntu-openvex"} {
		err := filepath.WalkDir(feeds(t, dir), func(name string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(name) != ".json" {
				return err
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			d, err := Read(name, data)
			if errors.Is(err, ErrOther) {
				if base := filepath.Base(name); base != "index.json" && base != "vex-repository.json" && !strings.Contains(base, "delete") {
					t.Errorf("%s is not known to be VEX", name)
				}
				return nil
			}
			if err != nil {
				t.Error(err)
				return nil
			}
			formats[d.Format]++
			if d.Author == "" && d.Format != "cyclonedx" {
				t.Errorf("%s has no author", name)
			}
			for _, s := range d.Statements {
				if len(s.IDs) == 0 || !slices.Contains(statuses(), s.Status) || s.Time.IsZero() && d.Format != "cyclonedx" {
					t.Errorf("%s: statement %+v", name, s)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if formats["openvex"] < 10 || formats["csaf"] < 15 || formats["cyclonedx"] < 1 {
		t.Errorf("documents read: %v", formats)
	}
}

// report makes a report of an image with packages, each with findings.
func report(reference string, packages map[string][]string) *sekisho.Report {
	r := &sekisho.Report{Target: sekisho.Target{Kind: "image", Reference: reference, Digest: digest, Platform: "linux/amd64",
		OS: &sekisho.OS{ID: "ubuntu", Version: "22.04", Codename: "jammy"}}}
	for purl, ids := range packages {
		u, _ := parsePURL(purl)
		r.Packages = append(r.Packages, sekisho.Package{Name: u.name, Version: u.version, Type: u.kind, PURL: purl, Arch: u.qualifiers["arch"],
			Source: sekisho.Source{Name: strings.TrimPrefix(u.name, "lib"), Version: u.version}, Locations: []string{"app"}})
		for _, id := range ids {
			r.Findings = append(r.Findings, sekisho.Finding{Kind: sekisho.Vulnerability, ID: id, Aliases: []string{"ALIAS-" + id}, Vulnerable: &sekisho.Vulnerable{},
				Package: &sekisho.PackageRef{Name: u.name, Version: u.version, PURL: purl}})
		}
	}
	return r
}

const digest = "sha256:0123456789012345678901234567890123456789012345678901234567890123"

func one(reference, purl, id string) *sekisho.Report {
	return report(reference, map[string][]string{purl: {id}})
}

func apply(t *testing.T, r *sekisho.Report, documents ...string) sekisho.Finding {
	t.Helper()
	var s Set
	for _, text := range documents {
		d, err := Read("doc.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s.Add(d)
	}
	s.Apply(r)
	return r.Findings[0]
}

func openvex(statements string) string {
	return `{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "Example", "timestamp": "2024-01-02T00:00:00Z", "version": 1, "statements": [` + statements + `]}`
}

func statement(product string) string {
	return `{"vulnerability": {"name": "CVE-2024-0001"}, "products": [` + product + `], "status": "not_affected", "justification": "vulnerable_code_not_present"}`
}

// TestProducts holds which products mean a package of an image.
func TestProducts(t *testing.T) {
	const curl, image = "pkg:deb/ubuntu/libcurl@7.81.0-1?arch=amd64&distro=ubuntu-22.04", "registry:ghcr.io/acme/app:1.2"
	for _, c := range []struct {
		product string
		want    bool
	}{
		{`{"@id": "pkg:deb/ubuntu/libcurl@7.81.0-1?arch=amd64&distro=ubuntu-22.04"}`, true},
		{`{"@id": "pkg:deb/ubuntu/libcurl"}`, true},
		{`"pkg:deb/ubuntu/libcurl@7.81.0-1"`, true},
		{`{"@id": "x", "identifiers": {"purl": "pkg:deb/ubuntu/libcurl@7.81.0-1"}}`, true},
		{`{"@id": "pkg:deb/ubuntu/libcurl@7.81.0-1?distro=jammy"}`, true},
		{`{"@id": "pkg:deb/ubuntu/curl@7.81.0-1?arch=source&distro=jammy"}`, true},
		{`{"@id": "pkg:deb/ubuntu/curl@7.81.0-1?arch=amd64&distro=jammy"}`, false},
		{`{"@id": "pkg:deb/ubuntu/libcurl@7.81.0-2"}`, false},
		{`{"@id": "pkg:deb/ubuntu/libcurl?distro=noble"}`, false},
		{`{"@id": "pkg:deb/ubuntu/libcurl?arch=arm64"}`, false},
		{`{"@id": "pkg:deb/debian/libcurl"}`, false},
		{`{"@id": "pkg:deb/ubuntu/libcurl#sub"}`, false},
		{`{"@id": "Unknown Product"}`, false},
		{`{"@id": "cpe:2.3:o:canonical:ubuntu_linux:22.04:*:*:*:*:*:*:*"}`, false},
		{`{"@id": "pkg:oci/app"}`, true},
		{`{"@id": "pkg:oci/other"}`, false},
		{`{"@id": "pkg:oci/app@` + strings.Replace(digest, ":", "%3A", 1) + `?repository_url=ghcr.io/acme/app&tag=1.2&arch=amd64"}`, true},
		{`{"@id": "pkg:oci/app?repository_url=ghcr.io/else/app"}`, false},
		{`{"@id": "pkg:oci/app?tag=1.3"}`, false},
		{`{"@id": "pkg:oci/app?tag=1.2"}`, true},
		{`{"@id": "pkg:oci/app?arch=arm64"}`, false},
		{`{"@id": "pkg:docker/acme/app@1.2"}`, true},
		{`{"@id": "ghcr.io/acme/app:1.2"}`, true},
		{`{"@id": "ghcr.io/acme/app"}`, true},
		{`{"@id": "ghcr.io/acme/app:2"}`, false},
		{`{"@id": "acme/app"}`, false},
		{`{"@id": "` + digest + `"}`, true},
		{`{"@id": "x", "hashes": {"sha-256": "` + digest[7:] + `"}}`, true},
		{`{"@id": "ghcr.io/acme/app@` + digest + `"}`, true},
		{`{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:deb/ubuntu/libcurl"}]}`, true},
		{`{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:deb/ubuntu/libssl"}]}`, false},
		{`{"@id": "pkg:oci/other", "subcomponents": [{"@id": "pkg:deb/ubuntu/libcurl"}]}`, false},
		{`{"@id": "pkg:golang/example.com/app@v1", "subcomponents": [{"@id": "pkg:deb/ubuntu/libcurl"}]}`, false},
	} {
		x := apply(t, one(image, curl, "CVE-2024-0001"), openvex(statement(c.product)))
		if got := x.Suppressed != nil; got != c.want {
			t.Errorf("%s: suppressed %v, want %v", c.product, got, c.want)
		}
	}
	for _, kind := range []string{"archive:app.tar", "dir:/app"} { // have no name
		if x := apply(t, one(kind, curl, "CVE-2024-0001"), openvex(statement(`"pkg:oci/app"`)+","+statement(`"library/app.tar"`))); x.Suppressed != nil {
			t.Errorf("%s is taken for an image by name", kind)
		}
	}
}

// TestModules holds that a statement about a program speaks of the modules
// that were built into the same file.
func TestModules(t *testing.T) {
	const text = `{"@id": "pkg:golang/example.com/app@v1.0.0", "subcomponents": [{"@id": "pkg:golang/example.com/dep"}]}`
	r := report("dir:/x", map[string][]string{"pkg:golang/example.com/dep@v0.1.0": {"CVE-2024-0001"}, "pkg:golang/example.com/app@v1.0.0": nil})
	if apply(t, r, openvex(statement(text))).Suppressed == nil {
		t.Error("a module of the program is not meant")
	}
	r = report("dir:/x", map[string][]string{"pkg:golang/example.com/dep@v0.1.0": {"CVE-2024-0001"}, "pkg:golang/example.com/app@v1.0.0": nil})
	for i := range r.Packages {
		r.Packages[i].Locations = []string{r.Packages[i].Name}
	}
	if apply(t, r, openvex(statement(text))).Suppressed != nil {
		t.Error("a module of another program is meant")
	}
}

func TestLatestWins(t *testing.T) {
	const purl = "pkg:npm/a@1.0.0"
	say := func(status, when, product, more string) string {
		return `{"vulnerability": {"name": "ALIAS-CVE-2024-0001"}, "products": [{"@id": "` + product + `"}], "status": "` + status + `", "timestamp": "` + when + `"` + more + `}`
	}
	old, late := "2023-01-01T00:00:00Z", "2024-06-01T00:00:00Z"
	cleared := `, "impact_statement": "not   called"`
	for _, c := range []struct {
		name, text, status string
		suppressed         bool
	}{
		{"later not affected", say("affected", old, purl, "") + "," + say("not_affected", late, "pkg:npm/a", cleared), "", true},
		{"later affected", say("not_affected", old, purl, cleared) + "," + say("affected", late, "pkg:npm/a", ""), sekisho.StatusAffected, false},
		{"order does not matter", say("affected", late, "pkg:npm/a", "") + "," + say("not_affected", old, purl, cleared), sekisho.StatusAffected, false},
		{"equally old, with a version", say("fixed", old, purl, "") + "," + say("affected", old, "pkg:npm/a", ""), "", true},
		{"equally old, read last", say("fixed", old, purl, "") + "," + say("under_investigation", old, purl, ""), sekisho.StatusInvestigated, false},
	} {
		x := apply(t, one("dir:/x", purl, "CVE-2024-0001"), openvex(c.text))
		if (x.Suppressed != nil) != c.suppressed || x.Status != c.status {
			t.Errorf("%s: suppressed %v, status %q", c.name, x.Suppressed, x.Status)
		}
	}
	x := apply(t, one("dir:/x", purl, "CVE-2024-0001"), openvex(say("not_affected", old, purl, cleared)))
	if s := x.Suppressed; s == nil || s.Reason != "not called" || s.Owner != "Example" || s.By != "vex doc.json" {
		t.Errorf("suppressed as %+v", s)
	}
	x = apply(t, one("dir:/x", purl, "CVE-2024-0001"), openvex(say("affected", old, purl, `, "action_statement": "update\nnow"`)))
	if x.Match.Note != "VEX of Example: affected: update now" {
		t.Errorf("note is %q", x.Match.Note)
	}
}

// TestRealStatements applies real documents to what they are about.
func TestRealStatements(t *testing.T) {
	for _, c := range []struct {
		file, reference, purl, id string
		suppressed                bool
	}{
		{"vex/vex/openvex-oci.json", "docker:debian:12", "pkg:deb/debian/bash@5.3?arch=amd64", "CVE-2022-3715", true},
		{"vex/vex/openvex-oci.json", "docker:ubuntu:22.04", "pkg:deb/debian/bash@5.3?arch=amd64", "CVE-2022-3715", false},
		{"vex/vex/openvex-multiple.json", "dir:/x", "pkg:maven/org.springframework.boot/spring-boot@2.6.0", "CVE-2021-44228", true},
		{"vex/vex/cyclonedx.json", "dir:/x", "pkg:maven/org.springframework.boot/spring-boot@2.6.0", "CVE-2021-44228", true},
		{"vex/vex/cyclonedx.json", "dir:/x", "pkg:deb/ubuntu/libstdc%2B%2B6@12.3.0-1ubuntu1~22.04?arch=amd64&distro=ubuntu-22.04", "CVE-2022-27943", true},
		{"vex/vex/cyclonedx.json", "dir:/x", "pkg:deb/ubuntu/libstdc%2B%2B6@12.4.0?arch=amd64&distro=ubuntu-22.04", "CVE-2022-27943", false},
		{"vex/vex/csaf.json", "dir:/x", "pkg:golang/github.com/aquasecurity/go-transitive@v4.0.0", "CVE-2024-0001", true},
		{"vex/vex/csaf-relationships.json", "dir:/x", "pkg:golang/github.com/aquasecurity/go-transitive@v4.0.0", "CVE-2024-0001", false},
		{"vex/.vex/oci.openvex.json", "registry:aquasec/trivy:0.53.0", "pkg:apk/alpine/busybox@1.36.1-r28?arch=x86_64", "CVE-2023-42363", true},
		{"vex/.vex/oci.openvex.json", "registry:else/trivy:0.53.0", "pkg:apk/alpine/busybox@1.36.1-r28?arch=x86_64", "CVE-2023-42363", false},
		{"vendor-samples/ubuntu-openvex/CVE-2023-38545.json", "dir:/x", "pkg:deb/ubuntu/curl@7.81.0-1ubuntu1.24?arch=amd64&distro=ubuntu-22.04", "CVE-2023-38545", true},
		{"vendor-samples/redhat-vex/cve-2024-24786-simple.json", "dir:/x", "pkg:rpm/redhat/cri-tools@1.29.0-3.1.el9?arch=aarch64", "CVE-2024-24786", true},
		{"vendor-samples/redhat-vex/cve-2024-24786-simple.json", "dir:/x", "pkg:rpm/redhat/cri-tools@1.29.0-3.0.el9?arch=aarch64", "CVE-2024-24786", false},
	} {
		s, err := Load(filepath.Join(feeds(t, ""), c.file))
		if err != nil || len(s.Problems) > 0 {
			t.Fatalf("%s: %v %v", c.file, err, s.Problems)
		}
		r := one(c.reference, c.purl, c.id)
		s.Apply(r)
		if got := r.Findings[0].Suppressed != nil; got != c.suppressed {
			t.Errorf("%s: %s of %s in %s: suppressed %v, want %v", c.file, c.id, c.purl, c.reference, got, c.suppressed)
		}
	}
}

// TestAttestation reads what cosign attest keeps beside an image: OpenVEX in an
// in-toto statement in a DSSE envelope.
func TestAttestation(t *testing.T) {
	doc := openvex(statement(`"pkg:npm/a"`))
	inner := `{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://openvex.dev/ns/v0.2.0", "subject": [], "predicate": ` + doc + `}`
	envelope, err := json.Marshal(map[string]any{"payloadType": "application/vnd.in-toto+json", "payload": []byte(inner), "signatures": []any{}})
	if err != nil {
		t.Fatal(err)
	}
	bundle := `{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": ` + string(envelope) + `}`
	for _, text := range []string{doc, inner, string(envelope), bundle} {
		if apply(t, one("dir:/x", "pkg:npm/a@1.0.0", "CVE-2024-0001"), text).Suppressed == nil {
			t.Errorf("nothing is read from %.80s", text)
		}
	}
	other := `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1", "predicate": {"buildType": "x"}}`
	if _, err := Read("x", []byte(other)); !errors.Is(err, ErrOther) {
		t.Errorf("provenance: %v", err)
	}
	if _, err := Read("x", []byte(`{"payloadType": "application/vnd.in-toto+json", "payload": "e30x"}`)); err == nil || !strings.Contains(err.Error(), "payload: ") {
		t.Errorf("broken payload: %v", err)
	}
}

// TestSystem applies a CSAF statement about a package as a part of a
// distribution's release.
func TestSystem(t *testing.T) {
	const text = `{"document": {"category": "csaf_vex", "csaf_version": "2.0", "publisher": {"name": "Red Hat"}, "tracking": {"id": "x", "current_release_date": "2024-01-01T00:00:00+00:00"}},
"product_tree": {"branches": [{"branches": [{"product": {"product_id": "el9", "product_identification_helper": {"cpe": "cpe:/o:redhat:enterprise_linux:9"}}},
{"product": {"product_id": "curl", "product_identification_helper": {"purl": "pkg:rpm/redhat/curl"}}}]}],
"relationships": [{"category": "default_component_of", "product_reference": "curl", "relates_to_product_reference": "el9", "full_product_name": {"product_id": "el9:curl"}}]},
"vulnerabilities": [{"cve": "CVE-2024-0001", "product_status": {"known_not_affected": ["el9:curl"]}, "flags": [{"label": "component_not_present", "product_ids": ["el9:curl"]}]}]}`
	for version, want := range map[string]bool{"9.4": true, "9": true, "8.9": false, "90": false} {
		r := one("dir:/x", "pkg:rpm/redhat/curl@7.76.1-29.el9?arch=x86_64", "CVE-2024-0001")
		r.Target.OS = &sekisho.OS{ID: "rhel", Version: version}
		x := apply(t, r, text)
		if got := x.Suppressed != nil; got != want {
			t.Errorf("release %s: suppressed %v, want %v", version, got, want)
		}
		if want && x.Suppressed.Reason != "component_not_present" {
			t.Errorf("reason is %q", x.Suppressed.Reason)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"{", "doc.json: line 1: unexpected end of JSON input"},
		{"{\n\"@context\": \"https://openvex.dev/ns\",\n\"author\": 5}", "line 3"},
		{openvex(`{"vulnerability": {"name": "CVE-1"}, "status": "fine"}`), `statements[0].status: "fine" is none of`},
		{openvex(`{"vulnerability": {}, "status": "fixed"}`), "statements[0].vulnerability: no name"},
		{openvex(`{"vulnerability": "CVE-1", "status": "not_affected", "justification": "trust me"}`), `statements[0].justification`},
		{openvex(`{"vulnerability": "CVE-1", "status": "fixed", "timestamp": "today"}`), `statements[0].timestamp: "today"`},
		{strings.Replace(openvex(""), "Example", "", 1), "author: missing"},
		{`{"bomFormat": "CycloneDX", "vulnerabilities": [{"id": "CVE-1", "analysis": {"state": "ok"}}]}`, "vulnerabilities[0].analysis.state"},
		{`{"document": {"csaf_version": "1.0", "category": "csaf_vex"}}`, "document.csaf_version"},
		{`{"document": {"csaf_version": "2.0", "category": "csaf_vex"}, "vulnerabilities": [{"cve": "CVE-1", "product_status": {"fixed": ["x"]}}]}`, `product "x" is not in the product tree`},
		{`{"name": "x"}`, "neither OpenVEX"},
	} {
		_, err := Read("doc.json", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}

// TestLoad reads directories: a bad document is named and the others count, a
// repository gives what is asked for, and nothing outside of it.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.json":                      openvex(statement(`"pkg:npm/a"`)),
		"bad.json":                       openvex(`{"vulnerability": "CVE-1", "status": "fine"}`),
		"package.json":                   `{"name": "x"}`,
		"repo/vex-repository.json":       `{"name": "x", "versions": [{"spec_version": "0.1"}]}`,
		"repo/0.1/index.json":            `{"packages": [{"id": "pkg:npm/b", "location": "pkg/b.json"}, {"id": "pkg:npm/c", "location": "pkg/broken.json"}, {"id": "pkg:npm/unused", "location": "missing.json"}]}`,
		"repo/0.1/pkg/b.json":            openvex(statement(`"pkg:npm/b"`)),
		"repo/0.1/pkg/broken.json":       "{",
		"escape/vex-repository.json":     `{}`,
		"escape/0.1/index.json":          `{"packages": [{"id": "pkg:npm/a", "location": "../../good.json"}]}`,
		"elsewhere/index.json":           `{"pages": []}`,
		"elsewhere/more.json":            openvex(statement(`"pkg:npm/d"`)),
		"repo/0.1/not-in-the-index.json": openvex(statement(`"pkg:npm/e"`)),
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := report("dir:/x", map[string][]string{"pkg:npm/a@1": {"CVE-2024-0001"}, "pkg:npm/b@1": {"CVE-2024-0001"}, "pkg:npm/c@1": {"CVE-2024-0001"}, "pkg:npm/d@1": {"CVE-2024-0001"}, "pkg:npm/e@1": {"CVE-2024-0001"}})
	if n := s.Apply(r); n.Suppressed != 3 {
		t.Errorf("%d suppressed, want 3", n.Suppressed)
	}
	for _, x := range r.Findings {
		if want := strings.Contains("abd", x.Package.Name); (x.Suppressed != nil) != want {
			t.Errorf("%s: suppressed %v", x.Package.Name, x.Suppressed)
		}
	}
	var problems []string
	for _, p := range s.Problems {
		rel, err := filepath.Rel(dir, p.Path)
		if err != nil {
			t.Fatal(err)
		}
		problems = append(problems, filepath.ToSlash(rel)+" "+p.Message)
	}
	slices.Sort(problems)
	for i, want := range []string{`bad.json VEX: statements[0].status: "fine"`, `escape VEX: 0.1/index.json: packages[0].location: "../../good.json" is not inside`, "repo/0.1/pkg/broken.json VEX: line 1"} {
		if i >= len(problems) || !strings.HasPrefix(problems[i], want) {
			t.Errorf("problems are %q", problems)
			break
		}
	}
	if _, err := Load(filepath.Join(dir, "none")); sekisho.KindOf(err) != sekisho.NotFound {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestRealRepositories asks repositories in the layout of VEX Hub for a package.
func TestRealRepositories(t *testing.T) {
	for dir, want := range map[string]bool{"single-repo": true, "multi-repos": true, "parent-location-repo": true, "repo": false} {
		s, err := Load(filepath.Join(feeds(t, "vex/vex"), dir))
		if err != nil {
			t.Fatal(err)
		}
		r := one("dir:/x", "pkg:deb/debian/bash@5.3?arch=amd64&distro=debian-12", "CVE-2022-3715")
		s.Apply(r)
		if got := r.Findings[0].Suppressed != nil || r.Findings[0].Status != ""; got != want || len(s.Problems) > 0 {
			t.Errorf("%s: heard %v, want %v; problems %v", dir, got, want, s.Problems)
		}
	}
}

const judgementYAML = `exceptions:
- id: CVE-2024-0001
  reason: the parser is not used
  owner: team
  until: 2030-01-01
  vex: {status: not_affected, justification: vulnerable_code_not_in_execute_path, impact: only the writer is called}
- id: CVE-2024-0002
  reason: inside the network only
  owner: team
  until: 2030-01-01
- id: CVE-2024-0003
  reason: past
  owner: team
  until: 2020-01-01
`

func judging(t *testing.T, format string) (Options, *sekisho.Report) {
	t.Helper()
	f, err := exception.Parse(strings.NewReader(judgementYAML), "x")
	if err != nil {
		t.Fatal(err)
	}
	r := report("registry:ghcr.io/acme/app:1.2", map[string][]string{"pkg:npm/a@1.0.0": {"CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003", "CVE-2024-0004"}, "pkg:npm/b@1.0.0": {"CVE-2024-0001"}})
	for i := range r.Findings {
		if r.Findings[i].ID == "CVE-2024-0004" {
			r.Findings[i].Suppressed = &sekisho.Suppressed{Reason: "vulnerable_code_not_present", Owner: "sekisho", By: "symbols"}
		}
	}
	return Options{Format: format, Exceptions: f, Author: "Acme <security@acme.example>", Namespace: "https://acme.example", Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Tool: sekisho.Tool{Name: "sekisho", Version: "1"}}, r
}

// TestWrite writes a judgement in each format, and reads it back to the same
// effect.
func TestWrite(t *testing.T) {
	for _, format := range Formats() {
		o, r := judging(t, format)
		var b bytes.Buffer
		if err := Write(&b, r, o); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", format+".json")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s is not what %s has:\n%s", format, golden, b.String())
		}
		d, err := Read(format, b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		_, fresh := judging(t, format)
		for i := range fresh.Findings {
			fresh.Findings[i].Suppressed = nil
		}
		var s Set
		s.Add(d)
		s.Apply(fresh)
		for _, x := range fresh.Findings {
			if want := x.ID == "CVE-2024-0001" || x.ID == "CVE-2024-0004"; (x.Suppressed != nil) != want || x.ID == "CVE-2024-0002" && x.Status != sekisho.StatusAffected {
				t.Errorf("%s: %s of %s comes back as suppressed %v, status %q", format, x.ID, x.Package.PURL, x.Suppressed, x.Status)
			}
		}
	}
}

func TestWriteUndecided(t *testing.T) {
	o, r := judging(t, "openvex")
	o.Undecided = true
	var b bytes.Buffer
	if err := Write(&b, r, o); err != nil {
		t.Fatal(err)
	}
	var d struct {
		Statements []struct{ Status string }
	}
	if err := json.Unmarshal(b.Bytes(), &d); err != nil || len(d.Statements) != 4 || !strings.Contains(b.String(), `"under_investigation"`) {
		t.Errorf("%v: %s", err, b.String())
	}
	for _, bad := range []func(*Options){func(o *Options) { o.Author = "" }, func(o *Options) { o.Format = "x" }, func(o *Options) { o.Product = "app" },
		func(o *Options) { o.Format, o.Namespace = "csaf", "" }} {
		o, r := judging(t, "openvex")
		bad(&o)
		if err := Write(&b, r, o); sekisho.KindOf(err) != sekisho.Usage {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(openvex(statement(`{"@id": "pkg:oci/app@sha256%3Aab?tag=1", "subcomponents": ["pkg:npm/a"]}`))))
	f.Add([]byte(`{"dsseEnvelope": {"dsseEnvelope": {}, "payloadType": "application/vnd.in-toto+json", "payload": "e30="}}`))
	f.Add([]byte(`{"payloadType": "application/vnd.in-toto+json", "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnt9fQ=="}`))
	for _, name := range Formats() {
		data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Read("x", data)
		if err != nil {
			return
		}
		var s Set
		s.Add(d)
		r := one("registry:ghcr.io/acme/app:1.2", "pkg:npm/a@1.0.0", "CVE-2024-0001")
		s.Apply(r)
		if x := r.Findings[0].Suppressed; x != nil && (x.Reason == "" || len(x.Reason) > 2100) {
			t.Errorf("suppressed for %q", x.Reason)
		}
	})
}

func FuzzPURL(f *testing.F) {
	for _, s := range []string{"pkg:npm/@scope/a@1.0.0", "pkg:deb/ubuntu/libstdc%2B%2B6@12.3.0?arch=amd64&distro=ubuntu-22.04#a/b", "pkg:golang/a/b@v1", "pkg:oci/a@sha256%3Aab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := parsePURL(s)
		if !ok {
			return
		}
		if q, ok := parsePURL(p.String()); ok && q.name == p.name && q.version != p.version {
			t.Errorf("%q: version %q, then %q", s, p.version, q.version)
		}
	})
}
