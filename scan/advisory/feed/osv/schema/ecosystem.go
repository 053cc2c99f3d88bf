package schema

import (
	"regexp"
	"slices"
	"strings"

	"sekisho/scan/advisory"
)

// place is an ecosystem of a record in this program's spelling.
type place struct {
	name         string   // "Ubuntu:22.04"; empty when it is none that we know
	repositories []string // what the spelling leaves out
}

// distributions are groups whose suffix is a release; all others are languages.
var distributions = []string{
	"AlmaLinux", "Alpaquita", "Alpine", "Azure Linux", "BellSoft Hardened Containers", "Chainguard", "Debian", "Echo", "Mageia", "MinimOS",
	"Photon OS", "Red Hat", "Rocky Linux", "SUSE", "Ubuntu", "Wolfi", "openEuler", "openSUSE",
}

// errata are groups whose records are updates of packages, each of which may
// fix many flaws.
var errata = []string{"AlmaLinux", "Rocky Linux", "SUSE", "openSUSE", "openEuler", "Mageia"}

// bySource are groups whose package names are those of source packages.
var bySource = []string{"Ubuntu", "Debian", "Alpine", "Alpaquita", "BellSoft Hardened Containers", "Chainguard", "Wolfi", "MinimOS", "Echo", "Rocky Linux", "SUSE", "openSUSE", "openEuler", "Mageia"}

func locate(ecosystem string) place {
	group, suffix, _ := strings.Cut(ecosystem, ":")
	if !slices.Contains(distributions, group) {
		return place{name: group}
	}
	switch group {
	case "Ubuntu":
		return ubuntu(suffix)
	case "SUSE":
		return suse(suffix)
	case "openSUSE":
		if suffix = strings.TrimPrefix(suffix, "Leap "); suffix == "Tumbleweed" {
			suffix = "tumbleweed"
		}
	case "Alpine":
		suffix = strings.TrimPrefix(suffix, "v")
	}
	if suffix == "" {
		return place{name: group}
	}
	return place{name: group + ":" + suffix}
}

// ubuntu reads "22.04:LTS", "Pro:16.04:LTS", "Pro:FIPS-updates:20.04:LTS",
// "Pro:22.04:LTS:Realtime:Kernel", "22.04:LTS:for:NVIDIA:BlueField".
func ubuntu(suffix string) (p place) {
	flavour := ""
	for part := range strings.SplitSeq(suffix, ":") {
		switch lower := strings.ToLower(part); {
		case len(part) == 5 && part[2] == '.':
			p.name = "Ubuntu:" + part
		case lower == "pro":
			if flavour == "" {
				flavour = "pro"
			}
		case strings.HasPrefix(lower, "fips"), lower == "realtime":
			flavour = lower
		case strings.Contains(lower, "bluefield"):
			flavour = "bluefield"
		}
	}
	if flavour != "" {
		p.repositories = []string{flavour}
	}
	return p
}

// A product of SUSE ends in its release: "Linux Enterprise Server 15 SP4-LTSS",
// "Linux Enterprise Module for Containers 12", "Linux Enterprise Micro 5.5".
var (
	suseRelease = regexp.MustCompile(`\b(\d{1,2})(?:\.(\d))?(?: SP(\d))?(?:-[A-Za-z0-9]+)*$`)
	suseMicro   = regexp.MustCompile(`\bMicro (?:for Rancher )?(\d+\.\d+)$`)
)

func suse(suffix string) place {
	if suffix == "" {
		return place{name: "SUSE"}
	}
	if m := suseMicro.FindStringSubmatch(suffix); m != nil {
		return place{"SUSE:Micro " + m[1], []string{suffix}}
	}
	m := suseRelease.FindStringSubmatch(suffix)
	if m == nil || !strings.HasPrefix(suffix, "Linux Enterprise") && !strings.HasPrefix(suffix, "Package Hub") {
		return place{} // Manager, OpenStack Cloud, Storage …: no system is one of them
	}
	release := m[1]
	if sp := m[2] + m[3]; sp != "" && sp != "0" {
		release += "." + sp
	} else if release == "12" && strings.Contains(suffix, "Module") {
		release = "12.5" // modules of 12 are for all service packs, of which this one is alive
	}
	return place{"SUSE:" + release, []string{suffix}}
}

// group returns the group of a place.
func (p place) group() string { return advisory.Group(p.name) }
