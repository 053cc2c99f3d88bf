package vex

import (
	"os"
	"path/filepath"
	"testing"

	"sekisho"
)

// BenchmarkApply applies a document of Red Hat about some 6,000 products to a
// report of 200 packages that all have the flaw.
func BenchmarkApply(b *testing.B) {
	name := filepath.Join(feeds(b, "vendor-samples/redhat-vex"), "cve-2022-38752.json")
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	d, err := Read(name, data)
	if err != nil {
		b.Fatal(err)
	}
	products := 0
	for _, s := range d.Statements {
		products += len(s.Products)
	}
	var s Set
	s.Add(d)
	r := &sekisho.Report{}
	for range 200 {
		r.Findings = append(r.Findings, sekisho.Finding{Kind: sekisho.Vulnerability, ID: "CVE-2022-38752", Vulnerable: &sekisho.Vulnerable{},
			Package: &sekisho.PackageRef{Name: "a", PURL: "pkg:rpm/redhat/candlepin@4.2.0-1.el8sat?arch=src"}})
	}
	b.ReportMetric(float64(products), "products")
	for b.Loop() {
		for i := range r.Findings {
			r.Findings[i].Suppressed = nil
			r.Findings[i].Vulnerable = &sekisho.Vulnerable{}
		}
		s.Apply(r)
	}
}

func BenchmarkRead(b *testing.B) {
	name := filepath.Join(feeds(b, "vendor-samples/redhat-vex"), "cve-2022-38752.json")
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Read(name, data); err != nil {
			b.Fatal(err)
		}
	}
}
