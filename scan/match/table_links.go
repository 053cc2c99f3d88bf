package match

import (
	"net/url"
	"strings"

	"sekisho"
)

// links are where ids can be read about, by how they begin.
var links = []struct{ prefix, name, url string }{
	{"CVE-", "NVD", "https://nvd.nist.gov/vuln/detail/"},
	{"GHSA-", "GitHub", "https://github.com/advisories/"},
	{"GO-", "Go", "https://pkg.go.dev/vuln/"},
	{"RUSTSEC-", "RustSec", "https://rustsec.org/advisories/"},
	{"PYSEC-", "OSV", "https://osv.dev/vulnerability/"},
	{"MAL-", "OSV", "https://osv.dev/vulnerability/"},
	{"BIT-", "OSV", "https://osv.dev/vulnerability/"},
	{"DSA-", "Debian", "https://security-tracker.debian.org/tracker/"},
	{"DLA-", "Debian", "https://security-tracker.debian.org/tracker/"},
	{"USN-", "Ubuntu", "https://ubuntu.com/security/notices/"},
	{"RHSA-", "Red Hat", "https://access.redhat.com/errata/"},
	{"RHBA-", "Red Hat", "https://access.redhat.com/errata/"},
	{"RHEA-", "Red Hat", "https://access.redhat.com/errata/"},
	{"RLSA-", "Rocky Linux", "https://errata.rockylinux.org/"},
	{"ALSA-", "OSV", "https://osv.dev/vulnerability/"},
	{"ALBA-", "OSV", "https://osv.dev/vulnerability/"},
	{"ELSA-", "Oracle", "https://linux.oracle.com/errata/"},
	{"SUSE-SU-", "OSV", "https://osv.dev/vulnerability/"},
	{"openSUSE-SU-", "OSV", "https://osv.dev/vulnerability/"},
	{"JVNDB-", "JVN iPedia", "https://jvndb.jvn.jp/ja/contents/"},
}

// trackers are a distribution's own page about a CVE.
var trackers = map[string]struct{ name, url string }{
	"Debian":  {"Debian", "https://security-tracker.debian.org/tracker/"},
	"Ubuntu":  {"Ubuntu", "https://ubuntu.com/security/"},
	"Alpine":  {"Alpine", "https://security.alpinelinux.org/vuln/"},
	"Red Hat": {"Red Hat", "https://access.redhat.com/security/cve/"},
	"SUSE":    {"SUSE", "https://www.suse.com/security/cve/"},
	"Amazon":  {"Amazon", "https://explore.alas.aws.amazon.com/"},
}

// references lists where the finding can be read about: the distribution's page
// first.
func references(x *sekisho.Finding, ids []string) []sekisho.Reference {
	var list []sekisho.Reference
	group, _, _ := strings.Cut(x.Match.Ecosystem, ":")
	if t, ok := trackers[group]; ok && strings.HasPrefix(x.ID, "CVE-") {
		list = append(list, sekisho.Reference{Name: t.name, URL: t.url + url.PathEscape(x.ID)})
	}
	for _, id := range append(ids, x.Advisories...) {
		for _, l := range links {
			if strings.HasPrefix(id, l.prefix) {
				list = append(list, sekisho.Reference{Name: l.name, URL: l.url + url.PathEscape(id)})
			}
		}
	}
	return list
}
