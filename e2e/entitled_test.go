package e2e_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sekisho/internal/fixture"
)

// TestExtendedStream judges a real rpm database with real statements of Red
// Hat's, as an image of an extended stream and as one that says nothing of
// where its packages come from.
func TestExtendedStream(t *testing.T) {
	data := fixture.Dir(t, "..")
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(z)
	for _, name := range []string{"cve-2023-38545.json", "cve-2024-0727-openssl.json"} {
		text := readFile(t, filepath.Join(data, "advisories/vendor-samples/redhat-vex", name))
		if err := archive.WriteHeader(&tar.Header{Name: "2023/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if archive.Close() != nil || z.Close() != nil {
		t.Fatal("the archive cannot be written")
	}
	mirror := write(t, map[string]string{
		"redhat/csaf_vex_2026-01-01.tar.zst": packed.String(), "redhat/archive_latest.txt": "csaf_vex_2026-01-01.tar.zst\n", "redhat/changes.csv": "", "redhat/deletions.csv": "",
		"security.access.redhat.com/data/metrics/repository-to-cpe.json": `{"data": {"rhel-9-for-x86_64-baseos-eus-rpms": {"cpes": ["cpe:/o:redhat:rhel_eus:9.0::baseos", "cpe:/a:redhat:rhel_eus:9.0::appstream"]}}}`,
	})
	env := map[string]string{"SEKISHO_DB_DIR": filepath.Join(t.TempDir(), "db")}
	updated(t, 0, env, "redhat", "--from", mirror)
	image := map[string]string{"etc/os-release": "ID=rhel\nVERSION_ID=\"9.0\"\n", "var/lib/rpm/rpmdb.sqlite": readFile(t, filepath.Join(data, "fixtures/rpm/nevra-ubi9/rpmdb.sqlite"))}
	mainline := judgedAs(t, env, write(t, image))
	image["root/buildinfo/content_manifests/ubi.json"] = `{"content_sets": ["rhel-9-for-x86_64-baseos-eus-rpms"]}`
	extended := judgedAs(t, env, write(t, image))
	for _, c := range []struct {
		got  []string
		want string
	}{
		{mainline, "curl-minimal CVE-2023-38545 7.76.1-23.el9_2.4 "},
		{extended, "curl-minimal CVE-2023-38545 7.76.1-14.el9_0.9 "},
		{mainline, "openssl CVE-2024-0727 1:3.0.7-27.el9 "},
		{extended, "openssl CVE-2024-0727 1:3.0.7-27.el9 fixed in the mainline; nothing is said of the extended stream"},
	} {
		if !slices.Contains(c.got, c.want) {
			t.Errorf("%q is not among %q", c.want, c.got)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// judgedAs scans a root file system and tells findings by package, flaw, fix
// and note.
func judgedAs(t *testing.T, env map[string]string, root string) (list []string) {
	t.Helper()
	status, out, fail := run(t, env, "scan", "dir:"+root, "--format", "json", "--kind", "vulnerability", "--no-cache")
	if status != 0 {
		t.Fatalf("status %d: %s", status, fail)
	}
	var doc struct {
		Findings []struct {
			ID      string
			Package struct{ Name string }
			Fixed   []string `json:"fixed_in"`
			Match   struct{ Note string }
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	for _, f := range doc.Findings {
		for _, v := range f.Fixed {
			list = append(list, f.Package.Name+" "+f.ID+" "+v+" "+f.Match.Note)
		}
	}
	return list
}
