package match_test

import (
	"strings"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/match"
)

func rpm(name, version string) sekisho.Package {
	return sekisho.Package{Name: name, Version: version, Type: "rpm", Arch: "x86_64", Found: sekisho.Installed, Source: sekisho.Source{Name: name, Version: version}}
}

// entitled matches packages of a release of Red Hat's that come from
// repositories, and tells findings with their notes.
func entitled(t *testing.T, records []advisory.Record, repositories []string, packages ...sekisho.Package) string {
	t.Helper()
	r := &sekisho.Report{Target: sekisho.Target{OS: &sekisho.OS{ID: "rhel", Version: "8.6"}}, Packages: packages}
	if err := match.Match(known{records: map[string][]advisory.Record{"redhat": records}}, r, match.Options{Repositories: repositories}); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, x := range r.Findings {
		list = append(list, strings.Join(append([]string{x.ID, x.Status}, x.FixedIn...), " ")+strings.TrimSuffix(": "+x.Match.Note, ": "))
	}
	return strings.Join(list, "; ")
}

const (
	appstream = "cpe:/a:redhat:enterprise_linux:8::appstream"
	eus       = "cpe:/a:redhat:rhel_eus:8.6::appstream"
	openshift = "cpe:/a:redhat:openshift:4.12::el8"
)

// TestExtendedStream holds that an image of an extended stream is judged by
// what the stream says, and by the mainline only where it says nothing.
func TestExtendedStream(t *testing.T) {
	of := func(r advisory.Record, cpe string) advisory.Record { r.Repositories = []string{cpe}; return r }
	records := []advisory.Record{
		of(fixed("CVE-1", "Red Hat:8", "curl", "7.61.1-30.el8"), appstream),
		of(fixed("CVE-1", "Red Hat:8", "curl", "7.61.1-22.el8_6.5"), eus),
		of(fixed("CVE-2", "Red Hat:8", "curl", "7.61.1-31.el8"), appstream),
	}
	old, patched := rpm("curl", "7.61.1-22.el8_6.3"), rpm("curl", "7.61.1-22.el8_6.5")
	for name, c := range map[string]struct {
		repositories []string
		pkg          sekisho.Package
		want         string
	}{
		"stream, old":     {[]string{eus}, old, "CVE-1 fixed 7.61.1-22.el8_6.5; CVE-2 fixed 7.61.1-31.el8: fixed in the mainline; nothing is said of the extended stream"},
		"stream, patched": {[]string{eus}, patched, "CVE-2 fixed 7.61.1-31.el8: fixed in the mainline; nothing is said of the extended stream"},
		"mainline":        {nil, patched, "CVE-1 fixed 7.61.1-30.el8; CVE-2 fixed 7.61.1-31.el8"},
		"both":            {[]string{eus, appstream}, patched, "CVE-1 fixed 7.61.1-30.el8; CVE-2 fixed 7.61.1-31.el8"},
	} {
		if got := entitled(t, records, c.repositories, c.pkg); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestLayeredProduct holds that a product's packages are judged where the image
// gets the product: by the release that it gets, and by what is said of the
// product as a whole.
func TestLayeredProduct(t *testing.T) {
	whole := advisory.Record{ID: "CVE-1", Ecosystem: "Red Hat", Package: "openshift-clients", Status: sekisho.StatusWontFix, Ranges: []advisory.Range{{}}, Repositories: []string{"cpe:/a:redhat:openshift:4"}}
	release := fixed("CVE-2", "Red Hat:8", "openshift-clients", "4.12.0-2.el8")
	release.Repositories = []string{openshift}
	other := fixed("CVE-3", "Red Hat:8", "openshift-clients", "9")
	other.Repositories = []string{"cpe:/a:redhat:openshift:4.1::el8"} // no part of 4.12
	records := []advisory.Record{whole, release, other}
	p := rpm("openshift-clients", "4.12.0-1.el8")
	if got := entitled(t, records, []string{appstream, openshift}, p); got != "CVE-1 will_not_fix; CVE-2 fixed 4.12.0-2.el8" {
		t.Errorf("got %q", got)
	}
	if got := entitled(t, records, []string{appstream}, p); got != "" {
		t.Errorf("without the product: %q", got)
	}
}

// TestExtras holds that fixes of an extra of Amazon's count where it is on.
func TestExtras(t *testing.T) {
	r := fixed("ALAS2DOCKER-1", "Amazon:2", "containerd", "1.6.8")
	r.Repositories = []string{"amzn2extra-docker"}
	db := known{records: map[string][]advisory.Record{"amazon": {r}}}
	for want, repositories := range map[int][]string{0: {"amzn2extra-docker-ce"}, 1: {"amzn2extra-docker"}} {
		rep := &sekisho.Report{Target: sekisho.Target{OS: &sekisho.OS{ID: "amzn", Version: "2"}}, Packages: []sekisho.Package{rpm("containerd", "1.6.6")}}
		if err := match.Match(db, rep, match.Options{Repositories: repositories}); err != nil || len(rep.Findings) != want {
			t.Errorf("%v: %d findings, want %d, %v", repositories, len(rep.Findings), want, err)
		}
	}
}

// TestPrograms holds that programs are looked up with those who make them,
// beside others, and that what both know is one finding.
func TestPrograms(t *testing.T) {
	node, kubelet := fixed("CVE-2024-1", "Node.js", "node", "18.20.5"), fixed("CVE-2024-2", "Kubernetes", "k8s.io/kubelet", "1.28.3")
	bitnami := fixed("BIT-node-2024-1", "Bitnami", "node", "18.20.5")
	bitnami.Aliases = []string{"CVE-2024-1"}
	db := known{records: map[string][]advisory.Record{"nodejs": {node}, "kubernetes": {kubelet}, "osv-bitnami": {bitnami}}}
	r := report(t, db, nil,
		sekisho.Package{Name: "node", Version: "18.20.4", Type: "generic", Found: sekisho.Installed},
		sekisho.Package{Name: "k8s.io/kubernetes", Version: "v1.28.2", Type: "golang", Found: sekisho.Embedded, Locations: []string{"usr/bin/kubelet"}},
		sekisho.Package{Name: "k8s.io/kubernetes", Version: "v1.28.2", Type: "golang", Found: sekisho.Embedded, Locations: []string{"usr/bin/kubectl"}},
		sekisho.Package{Name: "k8s.io/kubelet", Version: "v0.28.2", Type: "golang", Found: sekisho.Embedded, Locations: []string{"usr/bin/other"}})
	if got := told(r); got != "node CVE-2024-1 fixed 18.20.5\nk8s.io/kubernetes CVE-2024-2 fixed 1.28.3" {
		t.Errorf("got\n%s", got)
	}
}
