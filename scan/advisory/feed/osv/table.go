package osv

// directory of the bucket that is read; its name is the group of its
// ecosystems. Debian, Alpine and Red Hat have feeds of their own; what Wolfi,
// Chainguard and Echo publish may not be passed on.
type directory struct {
	name    string
	licence string
	always  bool // read even when no scan has met it
}

func directories() []directory {
	return []directory{
		{"npm", "CC-BY-4.0, Apache-2.0", true},
		{"PyPI", "CC-BY-4.0, Apache-2.0", true},
		{"Go", "CC-BY-4.0", true},
		{"Maven", "CC-BY-4.0", true},
		{"NuGet", "CC-BY-4.0, Apache-2.0", true},
		{"RubyGems", "CC-BY-4.0, Apache-2.0", true},
		{"crates.io", "CC-BY-4.0, CC0-1.0", true},
		{"Packagist", "CC-BY-4.0", true},
		{"Bitnami", "Apache-2.0", true},
		{"Hex", "CC-BY-4.0", false},
		{"Pub", "CC-BY-4.0", false},
		{"SwiftURL", "CC-BY-4.0", false},
		{"GitHub Actions", "CC-BY-4.0", false},
		{"CRAN", "Apache-2.0", false},
		{"Hackage", "CC0-1.0", false},
		{"Julia", "by database", false},
		{"ConanCenter", "by database", false},
		{"VSCode", "Apache-2.0", false},
		{"AlmaLinux", "MIT", false},
		{"Rocky Linux", "BSD-3-Clause", false},
		{"Ubuntu", "CC-BY-SA-4.0", false},
		{"SUSE", "CC-BY-4.0", false},
		{"openSUSE", "CC-BY-4.0", false},
		{"openEuler", "by database", false},
		{"Mageia", "CC-BY-SA-4.0", false},
		{"Alpaquita", "by database", false},
		{"BellSoft Hardened Containers", "by database", false},
	}
}
