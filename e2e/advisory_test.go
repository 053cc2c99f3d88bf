package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/feedserver"
	"sekisho/internal/fixture"
)

// outcome is one feed of update's document.
type outcome struct {
	Feed, Outcome, Error             string
	Records, Details, Signals, Bytes int64
}

// updated runs an update and returns its outcomes by feed.
func updated(t *testing.T, status int, env map[string]string, args ...string) map[string]outcome {
	t.Helper()
	got, out, fail := run(t, env, append([]string{"advisory", "update", "--format", "json"}, args...)...)
	if got != status {
		t.Fatalf("status %d, want %d: %s", got, status, fail)
	}
	var doc struct{ Feeds []outcome }
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m := map[string]outcome{}
	for _, f := range doc.Feeds {
		m[f.Feed] = f
	}
	return m
}

const (
	goZip    = "/storage.googleapis.com/osv-vulnerabilities/Go/all.zip"
	kevJSON  = "/www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
	epssCSV  = "/epss.empiricalsecurity.com/epss_scores-current.csv.gz"
	bothDays = "1795651200" // two days after the tests' clock
)

// hosts serves real documents in the layout of the real hosts.
func hosts(t *testing.T) *feedserver.Server {
	t.Helper()
	s, dir := feedserver.New(t), fixture.Dir(t, "../advisories")
	for _, e := range []string{"Go", "PyPI", "npm", "crates.io"} {
		s.Mount(t, "storage.googleapis.com/osv-vulnerabilities/"+e, filepath.Join(dir, "osv", e))
	}
	s.Mount(t, "www.cisa.gov/sites/default/files/feeds", filepath.Join(dir, "kev"))
	scores, err := os.ReadFile(filepath.Join(dir, "epss", "epss_scores-2026-08-16.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	s.Put(epssCSV, scores)
	return s
}

// TestAdvisoriesOverHTTP builds a database of real documents from hosts that
// break off, redirect and fail; the second time nothing travels.
func TestAdvisoriesOverHTTP(t *testing.T) {
	s := hosts(t)
	env := map[string]string{"SEKISHO_DB_DIR": filepath.Join(t.TempDir(), "db")}
	s.Fail(goZip, feedserver.Fault{Cut: 1 << 20}) // resumed after a second
	s.Fail(kevJSON, feedserver.Fault{Location: kevJSON})
	got := updated(t, 0, env, "osv", "kev", "epss", "--from", s.URL)
	if got["osv-go"].Records < 4000 || got["osv-pypi"].Records < 2000 || got["kev"].Signals != 1404 || got["epss"].Signals != 360142 {
		t.Errorf("%+v", got)
	}
	if r := s.Requests(goZip); len(r) != 2 || r[1].Header.Get("Range") != "bytes=1048576-" {
		t.Errorf("the broken transfer was not resumed: %v", r)
	}
	for name, f := range updated(t, 0, env, "osv", "kev", "epss", "--from", s.URL) {
		if f.Outcome != "missing" && f.Outcome != "unchanged" || f.Bytes != 0 {
			t.Errorf("%s read again: %+v", name, f)
		}
	}
	s.Fail(kevJSON, feedserver.Fault{Status: http.StatusForbidden})
	env["SOURCE_DATE_EPOCH"] = bothDays
	got = updated(t, 1, env, "kev", "epss", "--from", s.URL)
	if got["kev"].Outcome != "failed" || !strings.Contains(got["kev"].Error, "403") || got["epss"].Outcome != "unchanged" {
		t.Errorf("%+v", got)
	}
	_, out, _ := run(t, env, "advisory", "status", "--format", "json")
	if !strings.Contains(out, `"age_hours": 48`) || !strings.Contains(out, "status 403") {
		t.Errorf("status hides that a feed failed: %s", out)
	}
	if status, out, fail := run(t, env, "advisory", "show", "CVE-2021-44228"); status != 0 || !strings.Contains(out, "EPSS: 1.000") || !strings.Contains(out, "due 2021-12-24") {
		t.Errorf("status %d: %s%s", status, out, fail)
	}
}

// TestAdvisoriesProxy: the environment's proxy is asked, and its refusal told.
func TestAdvisoriesProxy(t *testing.T) {
	proxy := feedserver.New(t)
	env := map[string]string{"SEKISHO_DB_DIR": filepath.Join(t.TempDir(), "db"), "http_proxy": proxy.URL}
	got := updated(t, 1, env, "kev", "--from", "http://mirror.example")
	if r := proxy.Requests(""); len(r) != 2 || r[0].Host != "mirror.example" || !strings.HasPrefix(r[0].Path, "/kev/") {
		t.Errorf("the proxy got %v", r)
	}
	if !strings.Contains(got["kev"].Error, "404") {
		t.Errorf("%+v", got)
	}
}

// openRegistry starts a registry without credentials and returns its host.
func openRegistry(t *testing.T) string {
	t.Helper()
	need(t, false, "docker-registry", "skopeo")
	dir, p := t.TempDir(), port(t)
	config := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: '127.0.0.1:%d'}\n", filepath.Join(dir, "data"), p)
	if err := os.WriteFile(filepath.Join(dir, "config.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	host := fmt.Sprintf("127.0.0.1:%d", p)
	start(t, func() bool {
		resp, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, "docker-registry", "serve", filepath.Join(dir, "config.yml"))
	return host
}

// judged scans one inventory with both databases, the one that was built and
// the one that came from the registry, and wants the same of both; and again of
// the report that this made, which is an inventory too.
func judged(t *testing.T, here, there map[string]string) {
	t.Helper()
	bill := filepath.Join(write(t, map[string]string{"app.cdx.json": `{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
		{"type": "library", "name": "golang.org/x/net", "version": "v0.4.0", "purl": "pkg:golang/golang.org/x/net@v0.4.0"},
		{"type": "library", "name": "django", "version": "3.2", "purl": "pkg:pypi/django@3.2"}]}`}), "app.cdx.json")
	told := func(env map[string]string, target string) (list []string, out string) {
		status, out, fail := run(t, env, "scan", target, "--format", "json", "--kind", "vulnerability")
		if status != 0 {
			t.Fatalf("scan: status %d: %s", status, fail)
		}
		var doc struct {
			Findings []struct {
				ID      string
				Package struct{ Name string }
			}
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			t.Fatal(err)
		}
		for _, f := range doc.Findings {
			list = append(list, f.Package.Name+" "+f.ID)
		}
		return list, out
	}
	built, out := told(here, "sbom:"+bill)
	pulled, _ := told(there, "sbom:"+bill)
	report := filepath.Join(write(t, map[string]string{"report.json": out}), "report.json")
	again, _ := told(there, "sbom:"+report)
	if len(built) < 20 || !slices.Equal(built, pulled) || !slices.Equal(built, again) {
		t.Errorf("built:  %v\npulled: %v\nagain:  %v", built, pulled, again)
	}
}

// TestAdvisoriesInRegistry carries a database through a real registry: only to
// who trusts the key, and only what has changed.
func TestAdvisoriesInRegistry(t *testing.T) {
	ref := openRegistry(t) + "/security/advisories:latest"
	s := hosts(t)
	here, there := map[string]string{"SEKISHO_DB_DIR": filepath.Join(t.TempDir(), "here")}, map[string]string{"SEKISHO_DB_DIR": filepath.Join(t.TempDir(), "there")}
	updated(t, 0, here, "osv", "kev", "--from", s.URL)
	if status, _, fail := run(t, here, "advisory", "push", ref); status != 1 || !strings.Contains(fail, "--insecure") {
		t.Errorf("plain HTTP without --insecure: status %d: %s", status, fail)
	}
	status, digest, fail := run(t, here, "advisory", "push", "--insecure", ref)
	if status != 0 || !strings.HasPrefix(digest, "sha256:") {
		t.Fatalf("status %d: %s", status, fail)
	}
	out, err := exec.Command("skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false", "docker://"+ref).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"artifactType":"application/vnd.sekisho.advisory.v1"`) {
		t.Errorf("skopeo: %v: %s", err, out)
	}
	if status, _, fail := run(t, there, "advisory", "pull", "--insecure", ref); status != 1 || !strings.Contains(fail, "not trusted") {
		t.Errorf("an unknown key: status %d: %s", status, fail)
	}
	_, public, _ := run(t, here, "advisory", "key")
	key := filepath.Join(write(t, map[string]string{"key.pem": public}), "key.pem")
	if status, out, fail := run(t, there, "advisory", "pull", "--insecure", "--trust", key, ref); status != 0 || !strings.Contains(out, " 0 were here") {
		t.Fatalf("status %d: %s%s", status, out, fail)
	}
	if status, out, _ := run(t, there, "advisory", "show", "GO-2022-0969"); status != 0 || !strings.Contains(out, "CVE-2022-27664") {
		t.Errorf("status %d: %s", status, out)
	}
	judged(t, here, there)
	here["SOURCE_DATE_EPOCH"] = bothDays
	updated(t, 0, here, "osv", "kev", "epss", "--from", s.URL)
	if status, _, fail := run(t, here, "advisory", "push", "--insecure", "registry:"+ref); status != 0 {
		t.Fatalf("status %d: %s", status, fail)
	}
	status, text, fail := run(t, there, "advisory", "pull", "--insecure", "--trust", key, ref)
	if status != 0 || !strings.Contains(text, "\n1 file of") {
		t.Errorf("more than the new feed came: status %d: %s%s", status, text, fail)
	}
	if status, _, fail := run(t, there, "advisory", "pull", "--insecure", "--trust", key, strings.Replace(ref, "latest", "none", 1)); status != 1 || !strings.Contains(fail, "none") {
		t.Errorf("a tag that is not there: status %d: %s", status, fail)
	}
}
