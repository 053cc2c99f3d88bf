package advisory_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/scan/advisory"
)

// realRecords returns the shared data's records of all ecosystems.
func realRecords(t testing.TB) []advisory.Record {
	var out []advisory.Record
	for _, e := range []string{"AlmaLinux", "Bitnami", "Go", "Maven", "PyPI", "crates.io", "npm"} {
		for _, o := range osvZip(t, e) {
			out = append(out, o.records()...)
		}
	}
	return out
}

// BenchmarkBuild makes a database of eight times the shared data's records.
func BenchmarkBuild(b *testing.B) {
	all := realRecords(b)
	asJSON := 0
	for i := range all {
		j, _ := json.Marshal(all[i])
		asJSON += len(j)
	}
	for b.Loop() {
		n, size := build(b, b.TempDir(), all, 8)
		b.ReportMetric(float64(n), "records")
		b.ReportMetric(float64(size)/float64(n), "bytes/record")
		b.ReportMetric(float64(8*asJSON)/float64(n), "JSON-bytes/record")
	}
}

// BenchmarkReal makes a database of the shared data as it is, with details and
// texts.
func BenchmarkReal(b *testing.B) {
	var all []osvRecord
	for _, e := range []string{"AlmaLinux", "Bitnami", "Go", "Maven", "PyPI", "crates.io", "npm"} {
		all = append(all, osvZip(b, e)...)
	}
	for b.Loop() {
		dir := b.TempDir()
		s, err := advisory.OpenStore(dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		bu := begin(b, s, osvInfo())
		tell(b, bu, all)
		commit(b, bu, advisory.State{})
		s.Close()
		for _, seg := range openDB(b, dir).Segments() {
			b.ReportMetric(0, "ns/op")
			if seg.Part == "AlmaLinux:9" || seg.Part == "AlmaLinux" {
				b.ReportMetric(float64(seg.Size)/1024, seg.Part+"-"+seg.Kind+"-KiB")
			}
		}
	}
}

func build(t testing.TB, dir string, all []advisory.Record, times int) (records int, size int64) {
	s, err := advisory.OpenStore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := begin(t, s, osvInfo())
	for n := range times {
		for _, r := range all {
			r.Package = fmt.Sprintf("%s#%d", r.Package, n)
			put(t, b, r)
		}
	}
	stats := commit(t, b, advisory.State{})
	return stats.Records, stats.Bytes
}

// BenchmarkScan opens the database as a new process does and finds 2,000
// packages of one ecosystem, half of them absent.
func BenchmarkScan(b *testing.B) {
	all, dir := realRecords(b), b.TempDir()
	build(b, dir, all, 8)
	var names []string
	seen := map[string]bool{}
	for _, r := range all {
		if r.Ecosystem == "AlmaLinux:9" && !seen[r.Package] && len(names) < 2000 {
			seen[r.Package] = true
			names = append(names, fmt.Sprintf("%s#%d", r.Package, len(names)%8), r.Package+"-none")
		}
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			db, err := advisory.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			db.Close()
		}
	})
	b.Run("2000", func(b *testing.B) {
		found := 0
		for b.Loop() {
			db, err := advisory.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			found = 0
			if err := db.FindAll("AlmaLinux:9", names, func(int, advisory.Found) { found++ }); err != nil {
				b.Fatal(err)
			}
			db.Close()
		}
		b.ReportMetric(float64(found), "records")
		b.ReportMetric(float64(len(names)), "names")
	})
	b.Run("miss", func(b *testing.B) { findOne(b, dir, "AlmaLinux:9", "no-such-package") })
	b.Run("hit", func(b *testing.B) { findOne(b, dir, "AlmaLinux:9", names[0]) })
}

func findOne(b *testing.B, dir, ecosystem, name string) {
	db := openDB(b, dir)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.Find(ecosystem, name); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenMany opens a database of as many segments as all feeds make.
func BenchmarkOpenMany(b *testing.B) {
	dir := b.TempDir()
	s := openStore(b, dir)
	for f := range 20 {
		info := osvInfo()
		info.Name = fmt.Sprintf("feed%d", f)
		bu := begin(b, s, info)
		for e := range 15 {
			put(b, bu, rec("A", fmt.Sprintf("Distribution:%d.%d", f, e), "one", "1"))
		}
		commit(b, bu, advisory.State{})
	}
	info, err := os.Stat(filepath.Join(dir, "manifest"))
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	n := 0
	for b.Loop() {
		db, err := advisory.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		db.Close()
		n++
	}
	b.ReportMetric(float64(info.Size())/1024, "KiB")
	b.ReportMetric(float64(time.Since(start).Microseconds())/float64(n), "µs/open")
}

// BenchmarkTwoMillion builds from two million made records with details and
// texts and reports how much memory the process has taken at most.
func BenchmarkTwoMillion(b *testing.B) {
	for b.Loop() {
		s, err := advisory.OpenStore(b.TempDir(), nil)
		if err != nil {
			b.Fatal(err)
		}
		bu := begin(b, s, osvInfo())
		bu.Replace("Debian")
		for i := range 2_000_000 {
			r := rec(fmt.Sprintf("CVE-%d-%d", 2000+i%27, i), fmt.Sprintf("Debian:%d", 8+i%7), fmt.Sprintf("package-%d", i*7919%40_000), fmt.Sprintf("%d.%d-1", i%13, i%101))
			put(b, bu, r)
			if i%4 != 0 {
				continue
			}
			d, t := advisory.Detail{ID: r.ID, Group: "Debian", Title: "a flaw in " + r.Package}, advisory.Text{Text: fmt.Sprintf("%x", r.ID)}
			if err := bu.Detail(d, t); err != nil {
				b.Fatal(err)
			}
		}
		stats := commit(b, bu, advisory.State{})
		s.Close()
		b.ReportMetric(float64(stats.Records), "records")
		b.ReportMetric(float64(stats.Bytes)/(1<<20), "MiB")
	}
	status, err := os.ReadFile("/proc/self/status")
	if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok && err == nil {
		var kib float64
		fmt.Sscan(rest, &kib)
		b.ReportMetric(kib/1024, "peak-MiB")
	}
}
