package sbom

import (
	"cmp"
	"net/url"
	"strings"

	"sekisho"
)

// namespaces of package URLs that are not the ID of os-release(5).
var namespaces = map[string]string{"redhat": "rhel", "oracle": "ol", "amazon": "amzn", "opensuse": "opensuse-leap", "almalinux": "almalinux", "rockylinux": "rocky", "suse": "sles"}

// system takes the distribution from the package URLs of its packages, where
// the document does not name it: "?distro=debian-12", "?distro=12.5" or the
// namespace alone.
func system(packages []sekisho.Package) *sekisho.OS {
	for _, p := range packages {
		kind, rest, ok := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
		if !ok || kind != "deb" && kind != "apk" && kind != "rpm" {
			continue
		}
		head, query, _ := strings.Cut(rest, "?")
		namespace, _, ok := strings.Cut(head, "/")
		values, err := url.ParseQuery(query)
		if !ok || err != nil {
			continue
		}
		id := cmp.Or(namespaces[namespace], namespace)
		distro := values.Get("distro")
		if distro == "" {
			continue
		}
		version := distro
		if i := strings.LastIndexByte(distro, '-'); i >= 0 {
			id, version = distro[:i], distro[i+1:]
		}
		return &sekisho.OS{ID: cmp.Or(namespaces[id], id), Version: version, Name: strings.TrimSpace(id + " " + version)}
	}
	return nil
}
