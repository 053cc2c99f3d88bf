// Package version orders versions as each ecosystem orders them. Two versions
// of one scheme go in, which is newer comes out; a version that the scheme
// cannot order is an error, never a guess.
package version

import "strings"

// Scheme is a way to order versions.
type Scheme string

// The schemes.
const (
	Dpkg     Scheme = "dpkg"     // deb-version(7)
	RPM      Scheme = "rpm"      // rpm-version(7): epoch, tilde, caret
	APK      Scheme = "apk"      // apk-package(5)
	Pacman   Scheme = "pacman"   // vercmp(8)
	SemVer   Scheme = "semver"   // Semantic Versioning 2.0.0, lenient: npm, crates.io, Hex, SwiftURL, Bitnami …
	Go       Scheme = "go"       // Go modules, with or without the v; go1.25rc1 for stdlib
	PEP440   Scheme = "pep440"   // PEP 440, with its legacy order
	Maven    Scheme = "maven"    // Maven's ComparableVersion
	RubyGems Scheme = "rubygems" // Gem::Version
	NuGet    Scheme = "nuget"    // NuGet: SemVer 2 with a fourth number
	Composer Scheme = "composer" // PHP's version_compare as Composer normalises
	Pub      Scheme = "pub"      // Dart: semver with build numbers in the order
	CRAN     Scheme = "cran"     // R's package_version
	Hackage  Scheme = "hackage"  // the Haskell Package Versioning Policy
)

// schemes by ecosystem group, as advisory spells them.
var schemes = map[string]Scheme{
	"Debian": Dpkg, "Ubuntu": Dpkg, "Echo": Dpkg,
	"Alpine": APK, "Wolfi": APK, "Chainguard": APK, "MinimOS": APK, "Alpaquita": APK,
	"Red Hat": RPM, "CentOS": RPM, "AlmaLinux": RPM, "Rocky Linux": RPM, "Oracle": RPM, "Amazon": RPM, "SUSE": RPM, "openSUSE": RPM,
	"Fedora": RPM, "Photon OS": RPM, "Azure Linux": RPM, "Mageia": RPM, "openEuler": RPM, "Bottlerocket": RPM,
	"Arch": Pacman,
	"npm":  SemVer, "crates.io": SemVer, "Hex": SemVer, "SwiftURL": SemVer, "Bitnami": SemVer, "GitHub Actions": SemVer, "Julia": SemVer, "ConanCenter": SemVer, "VSCode": SemVer,
	"Go": Go, "PyPI": PEP440, "Maven": Maven, "RubyGems": RubyGems, "NuGet": NuGet, "Packagist": Composer, "Pub": Pub, "CRAN": CRAN, "Hackage": Hackage,
	"Kubernetes": SemVer, "Node.js": SemVer,
}

// Of returns the scheme of an ecosystem, with or without its release
// ("Debian:12"). ok is false for one that is not known.
func Of(ecosystem string) (s Scheme, ok bool) {
	group, _, _ := strings.Cut(ecosystem, ":")
	s, ok = schemes[group]
	return s, ok
}
