package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/match"
	"sekisho/scan/sbom"
)

// ecosystems of the bill of materials, with the type of their package URLs and
// how many packages of each it has.
var ecosystems = []struct {
	name, kind string
	packages   int
}{{"npm", "npm", 600}, {"PyPI", "pypi", 300}, {"Go", "golang", 400}, {"Maven", "maven", 200}}

const debians = 500 // packages of Debian in it

// shared is where advisories are.
const shared = "../shared/data/advisories"

// advisories measures the database: building it of the feeds that are here, and
// what a cold process pays for holding 2,000 packages against it.
func advisories(dir string, _ []string, runs int) error {
	work := filepath.Join(dir, "advisories")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	mirror, err := mirrored(work)
	if err != nil {
		return err
	}
	db := filepath.Join(work, "db")
	if err := built(db, mirror); err != nil {
		return err
	}
	// In a process of its own: what a child is told to have used at most is
	// never less than what its parent has (getrusage(2)).
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-prepare", work)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	bill := filepath.Join(work, "2000.cdx.json")
	fmt.Println("\n| inventory of | tool | wall s | CPU s | peak MB | written MB | CPU / without | wall |\n|---|---|--:|--:|--:|--:|--:|--:|")
	judge := "./sekisho scan -q --kind vulnerability --format json sbom:LAYOUT"
	list := []tool{
		{"sekisho, no database", strings.Fields("env SEKISHO_DB_DIR=" + filepath.Join(work, "none") + " " + judge), false},
		{"sekisho", strings.Fields("env SEKISHO_DB_DIR=" + db + " " + judge), false},
	}
	if _, err := exec.LookPath("osv-scanner"); err == nil { // with the same documents; CACHE would be replaced; 1: it found something
		list = append(list, tool{"osv-scanner", []string{"sh", "-c", "export OSV_SCANNER_LOCAL_DB_CA''CHE_DIRECTORY='" + work + "'; osv-scanner --experimental-offline --format json --sbom LAYOUT; [ $? -le 1 ]"}, false})
	}
	if err := measure(list, bill, "2,000 packages", runs); err != nil {
		return err
	}
	return lookups(db, mirror)
}

// prepare adds to the database what the feeds here lack, and makes the bill of
// materials.
func prepare(work string) error {
	if err := cves(filepath.Join(work, "db")); err != nil {
		return err
	}
	return inventory(filepath.Join(work, "2000.cdx.json"), filepath.Join(work, "mirror"))
}

// mirrored lays the feeds out as --from finds them.
func mirrored(work string) (string, error) {
	mirror := filepath.Join(work, "mirror")
	if err := os.RemoveAll(mirror); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(shared)
	if err != nil {
		return "", err
	}
	for _, d := range []string{"debian/data", "epss"} {
		if err := os.MkdirAll(filepath.Join(mirror, d), 0o755); err != nil {
			return "", err
		}
	}
	for from, to := range map[string]string{"osv": "osv", "kev": "kev", "epss/epss_scores-2026-08-16.csv.gz": "epss/epss_scores-current.csv.gz"} {
		if err := os.Symlink(filepath.Join(abs, from), filepath.Join(mirror, to)); err != nil {
			return "", err
		}
	}
	tracker, err := exec.Command("xz", "-dc", filepath.Join(abs, "debian-security-tracker/derived/tracker-from-changelogs.json.xz")).Output()
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(filepath.Join(work, "osv-scanner")); err != nil {
		return "", err
	}
	if err := os.Symlink(filepath.Join(abs, "osv"), filepath.Join(work, "osv-scanner")); err != nil {
		return "", err
	}
	return mirror, os.WriteFile(filepath.Join(mirror, "debian/data/json"), tracker, 0o644)
}

// built builds the database in a process of its own and tells what that costs.
func built(db, mirror string) error {
	if err := os.RemoveAll(db); err != nil {
		return err
	}
	f, err := once(tool{args: []string{"./sekisho", "advisory", "update", "-q", "--db", db, "--from", mirror, "osv", "debian", "osv-almalinux", "kev", "epss"}}, "", "")
	if err != nil {
		return err
	}
	d, err := advisory.Open(db)
	if err != nil {
		return err
	}
	defer d.Close()
	records, size := 0, int64(0)
	for _, x := range d.Feeds() {
		records, size = records+x.Records+x.Details+x.Signals, size+x.Bytes
	}
	fmt.Printf("\n| built of the feeds here | wall s | CPU s | peak MB | records/s | MB |\n|---|--:|--:|--:|--:|--:|\n")
	fmt.Printf("| %d records, flaws and scores | %.1f | %.1f | %.0f | %.0f | %.1f |\n", records, f.wall, f.cpu, f.peak, float64(records)/f.wall, float64(size)/1e6)
	fmt.Printf("\n| release | records | MB |\n|---|--:|--:|\n")
	for _, s := range d.Segments() {
		if s.Kind == advisory.KindRecords && (strings.HasPrefix(s.Part, "Debian:") || strings.HasPrefix(s.Part, "AlmaLinux:")) {
			fmt.Printf("| %s | %d | %.2f |\n", s.Part, s.Values, float64(s.Size)/1e6)
		}
	}
	return nil
}

// cves adds what the feeds here lack: a word about each of the 360,000 CVEs that
// EPSS knows, as the National Vulnerability Database has it, made up.
func cves(db string) error {
	f, err := os.Open(filepath.Join(shared, "epss/epss_scores-2026-08-16.csv.gz"))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	s, err := advisory.OpenStore(db, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := s.Begin(advisory.Info{Name: "nvd", Title: "made up for the benchmark", URL: "http://localhost", Licence: "none"})
	if err != nil {
		return err
	}
	start, n := time.Now(), 0
	for lines := bufio.NewScanner(z); lines.Scan(); {
		id, _, _ := strings.Cut(lines.Text(), ",")
		if !strings.HasPrefix(id, "CVE-") {
			continue
		}
		n++
		if err := b.Detail(madeUp(id)); err != nil {
			return err
		}
	}
	if _, err := b.Commit(advisory.State{}, time.Now()); err != nil {
		return err
	}
	took := time.Since(start).Seconds()
	fmt.Printf("\n%d flaws with texts, as many as NVD has: %.1f s, %.0f a second.\n", n, took, float64(n)/took)
	return nil
}

// madeUp is a flaw whose words and vector differ from others' about as much as
// real ones do.
func madeUp(id string) (advisory.Detail, advisory.Text) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	x := h.Sum64()
	pick := func(list ...string) string {
		x = x*6364136223846793005 + 1442695040888963407
		return list[(x>>33)%uint64(len(list))]
	}
	vector := "CVSS:3.1/AV:" + pick("N", "L", "A") + "/AC:" + pick("L", "H") + "/PR:" + pick("N", "L", "H") + "/UI:" + pick("N", "R") + "/S:U/C:" + pick("H", "L", "N") + "/I:" + pick("H", "L", "N") + "/A:" + pick("H", "L")
	title := pick("Buffer overflow", "Use after free", "SQL injection", "Cross-site scripting", "Path traversal") + " in " + fmt.Sprintf("component %x", x>>44)
	d := advisory.Detail{ID: id, Title: title, CWE: []string{pick("CWE-79", "CWE-89", "CWE-416", "CWE-787")}, Published: time.Unix(1500000000+int64(x>>36), 0), Modified: time.Unix(1700000000+int64(x>>38), 0)}
	d.CVSS = []sekisho.CVSS{{Source: "nvd", Vector: vector}}
	return d, advisory.Text{ID: id, Text: strings.Repeat(title+" allows an attacker to do what they should not. ", 4)}
}

// inventory writes a bill of materials: one of five packages is in the feed, in
// a version that a record names, four are not.
func inventory(path, mirror string) error {
	type component struct {
		Type    string `json:"type"`
		Ref     string `json:"bom-ref"`
		Name    string `json:"name"`
		Version string `json:"version"`
		PURL    string `json:"purl,omitempty"`
	}
	var list []component
	add := func(kind, name, version, path, query string) {
		list = append(list, component{"library", fmt.Sprint(len(list)), name, version, "pkg:" + kind + "/" + path + "@" + strings.ReplaceAll(version, "+", "%2B") + query})
	}
	for _, e := range ecosystems {
		names, versions, err := affected(filepath.Join(mirror, "osv", e.name, "all.zip"), e.name)
		if err != nil {
			return err
		}
		for i := range e.packages {
			if at := i / 5 * max(1, 5*len(names)/e.packages); i%5 == 0 && at < len(names) {
				whole := strings.NewReplacer("@", "%40", ":", "/").Replace(names[at])
				add(e.kind, names[at], versions[at], whole, "")
			} else {
				add(e.kind, fmt.Sprintf("example%d", i), "1.2.3", fmt.Sprintf("example.org/example%d", i), "")
			}
		}
	}
	var tracker map[string]map[string]struct {
		Releases map[string]struct {
			Fixed string `json:"fixed_version"`
		}
	}
	data, err := os.ReadFile(filepath.Join(mirror, "debian/data/json"))
	if err == nil {
		err = json.Unmarshal(data, &tracker)
	}
	if err != nil {
		return err
	}
	n := 0
	for _, source := range slices.Sorted(maps.Keys(tracker)) {
		newest := slices.Max(slices.Collect(maps.Keys(tracker[source])))
		if v := tracker[source][newest].Releases["bookworm"].Fixed; v != "" && n < debians/5 && len(tracker[source]) <= 10 { // not the kernel, with thousands
			add("deb", source, v+"~", "debian/"+source, "?arch=amd64&distro=debian-12")
			n++
		}
	}
	for ; n < debians; n++ {
		add("deb", fmt.Sprintf("example%d", n), "1-1", fmt.Sprintf("debian/example%d", n), "?arch=amd64&distro=debian-12")
	}
	list = append(list, component{Type: "operating-system", Ref: "os", Name: "debian", Version: "12"})
	out, err := json.Marshal(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": list})
	if err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o644)
}

// affected lists packages of a feed with a version that a record names.
func affected(path, ecosystem string) (names, versions []string, err error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, nil, err
	}
	defer z.Close()
	seen := map[string]bool{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, nil, err
		}
		var doc struct {
			Affected []struct {
				Package  struct{ Ecosystem, Name string }
				Versions []string
				Ranges   []struct{ Events []map[string]string }
			}
		}
		if err := json.NewDecoder(r).Decode(&doc); err != nil && err != io.EOF {
			return nil, nil, err
		}
		for _, a := range doc.Affected {
			list := slices.Clone(a.Versions)
			for _, x := range a.Ranges {
				for _, e := range x.Events {
					list = append(list, e["introduced"], e["last_affected"])
				}
			}
			list = slices.DeleteFunc(list, func(v string) bool { return v == "" || v == "0" || len(v) > 30 })
			if a.Package.Ecosystem == ecosystem && len(list) > 0 && !seen[a.Package.Name] {
				seen[a.Package.Name] = true
				names, versions = append(names, a.Package.Name), append(versions, list[len(list)/2])
			}
		}
	}
	return names, versions, nil
}

// lookups measures the database within one process.
func lookups(db, mirror string) error {
	names, _, err := affected(filepath.Join(mirror, "osv", "Go", "all.zip"), "Go")
	if err != nil {
		return err
	}
	d, err := advisory.Open(db)
	if err != nil {
		return err
	}
	defer d.Close()
	fmt.Printf("\n| in one process | |\n|---|--:|\n")
	for _, q := range []struct {
		what string
		n    int
		do   func(int) error
	}{
		{"open, and look one name up", 200, func(int) error { return opened(db) }},
		{"names that are there, one by one", 20_000, func(i int) error { _, err := d.Find("Go", names[i%len(names)]); return err }},
		{fmt.Sprintf("%d names at once", len(names)), 50, func(int) error { return d.FindAll("Go", names, func(int, advisory.Found) {}) }},
		{"names that are not", 200_000, func(int) error { _, err := d.Find("Go", "example.org/none"); return err }},
		{"EPSS scores", 200_000, func(i int) error { _, err := d.EPSS(fmt.Sprintf("CVE-2021-%04d", i%40_000)); return err }},
	} {
		each, err := timed(q.n, q.do)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.4f ms, %.0f a second |\n", q.what, each*1e3, 1/each)
	}
	if err := matched(db, filepath.Join(filepath.Dir(db), "2000.cdx.json")); err != nil {
		return err
	}
	fmt.Println("\nPublished by others, not measured here: Grype's database v6 is 65 MB to download and 900 MB on disk, v5 210 MB and 1.6 GB (anchore.com on v6); Trivy's was 22 to 25 MB in 2022 and 1.2 GB on disk before compaction (trivy-db 191, 160).")
	return nil
}

// known is a database as match asks it.
type known struct{ *advisory.DB }

func (k known) Find(ecosystem string, names []string, each func(int, string, *advisory.Record)) error {
	return k.FindAll(ecosystem, names, func(i int, f advisory.Found) { each(i, f.Feed, &f.Record) })
}

func (k known) Feeds(ecosystem string) (names []string) {
	for _, s := range k.Covers(ecosystem) {
		names = append(names, s.Feed)
	}
	return names
}

func (k known) Signal(cve string) (s advisory.Signal, err error) {
	if s.EPSS, err = k.EPSS(cve); err == nil {
		s.KEV, err = k.KEV(cve)
	}
	return s, err
}

// matched measures opening and matching alone, in processor time.
func matched(db, bill string) error {
	data, err := os.ReadFile(bill)
	if err != nil {
		return err
	}
	const n = 30
	before, findings := processor(), 0
	for range n {
		r, err := sbom.Read(bytes.NewReader(data), bill)
		if err != nil {
			return err
		}
		findings = len(r.Findings)
	}
	without := processor() - before
	before = processor()
	for range n {
		r, err := sbom.Read(bytes.NewReader(data), bill)
		if err != nil {
			return err
		}
		d, err := advisory.Open(db)
		if err != nil {
			return err
		}
		if err := match.Match(known{d}, r, match.Options{Enrich: []string{"nvd"}}); err != nil {
			return err
		}
		findings = len(r.Findings)
		if err := d.Close(); err != nil {
			return err
		}
	}
	fmt.Printf("| open, and match 2,000 packages: %d findings | %.0f ms of processor time |\n", findings, (processor()-before-without)/n*1e3)
	return nil
}

// processor returns the processor time that the process has used, in seconds.
func processor() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func opened(db string) error {
	d, err := advisory.Open(db)
	if err != nil {
		return err
	}
	if _, err := d.Find("Go", "example.org/none"); err != nil {
		return err
	}
	return d.Close()
}

// timed returns the seconds that one of n calls takes.
func timed(n int, do func(int) error) (float64, error) {
	start := time.Now()
	for i := range n {
		if err := do(i); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds() / float64(n), nil
}
