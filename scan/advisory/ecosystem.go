package advisory

import (
	"strings"
)

// Group returns the ecosystem without its release: "Debian" of "Debian:12".
func Group(ecosystem string) string {
	group, _, _ := strings.Cut(ecosystem, ":")
	return group
}

// Wanted reports whether an ecosystem is among those wanted: it is named, its
// group is, or it is the group of one that is named. An empty list wants all.
func Wanted(want []string, ecosystem string) bool {
	if len(want) == 0 {
		return true
	}
	for _, w := range want {
		if w == ecosystem || w == Group(ecosystem) || Group(w) == ecosystem {
			return true
		}
	}
	return false
}

// Normalise returns the name under which an ecosystem's records are kept: PyPI
// by PEP 503, NuGet, Packagist and others without regard to case, all else as
// it is.
func Normalise(ecosystem, name string) string {
	switch Group(ecosystem) {
	case "PyPI":
		return pep503(name)
	case "NuGet", "Packagist", "Hex", "Pub", "GitHub Actions", "SwiftURL":
		return strings.ToLower(name)
	}
	return name
}

// pep503 folds case and runs of "-", "_" and "." (PEP 503, "Normalized Names").
func pep503(name string) string {
	b := make([]byte, 0, len(name))
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '-' || c == '_' || c == '.':
			if len(b) > 0 && b[len(b)-1] == '-' {
				continue
			}
			c = '-'
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}

// How ecosystems are spelled. Languages have no release; what OSV.dev writes
// after their name ("Packagist:https://packages.drupal.org/8") is dropped. A
// distribution's records are kept under group ":" release, where release is
// what a matcher has from os-release(5):
//
//	Debian:12          VERSION_ID; "Debian:sid" and "Debian:14" for what has none yet
//	Ubuntu:22.04       VERSION_ID, never ":LTS". Statements about Ubuntu Pro are
//	                   records of the release with Repositories ["pro"]: they are
//	                   meant for everyone, but the fix needs a subscription (Note).
//	                   Those with "fips", "fips-updates", "fips-preview",
//	                   "realtime" or "bluefield" compare only to versions of that kind
//	                   ("fips" in the version).
//	Alpine:3.20        the first two numbers of VERSION_ID, no "v"; "Alpine:edge"
//	AlmaLinux:9        the first number of VERSION_ID; so "Rocky Linux:9"
//	SUSE:15.5          VERSION_ID of SLES and SLED. Products, modules and LTSS are
//	                   in Repositories. SLES 12 modules without a service pack are
//	                   under "SUSE:12"; SLE Micro is "SUSE:Micro 5.5"
//	openSUSE:15.6      Leap; "openSUSE:tumbleweed"; "openSUSE:Micro 5.5"
//	openEuler:22.03-LTS-SP4
//	Mageia:9  Alpaquita:23  Alpaquita:stream
//	Wolfi  Chainguard  without a release

// Release returns what follows the group: "12" of "Debian:12"; empty for an
// ecosystem without releases.
func Release(ecosystem string) string {
	_, release, _ := strings.Cut(ecosystem, ":")
	return release
}
