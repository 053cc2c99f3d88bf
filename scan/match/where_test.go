package match

import (
	"testing"

	"sekisho"
)

// TestRelease holds that a system is looked for where feeds keep its advisories
// (table_ecosystems.go of scan/advisory).
func TestRelease(t *testing.T) {
	for _, c := range []struct{ id, version, name, want string }{
		{"debian", "12", "Debian GNU/Linux 12 (bookworm)", "Debian:12"},
		{"ubuntu", "22.04", "Ubuntu 22.04.5 LTS", "Ubuntu:22.04"},
		{"alpine", "3.20.3", "Alpine Linux v3.20", "Alpine:3.20"},
		{"almalinux", "9.4", "AlmaLinux 9.4 (Seafoam Ocelot)", "AlmaLinux:9"},
		{"rocky", "9.4", "Rocky Linux 9.4 (Blue Onyx)", "Rocky Linux:9"},
		{"sles", "15.5", "SUSE Linux Enterprise Server 15 SP5", "SUSE:15.5"},
		{"sle-micro", "5.3", "SUSE Linux Enterprise Micro 5.3", "SUSE:Micro 5.3"},
		{"sl-micro", "6.0", "SUSE Linux Micro 6.0", "SUSE:Micro 6.0"},
		{"opensuse-leap", "15.6", "openSUSE Leap 15.6", "openSUSE:15.6"},
		{"opensuse-tumbleweed", "20240801", "openSUSE Tumbleweed", "openSUSE:tumbleweed"},
		{"openeuler", "22.03", "openEuler 22.03 (LTS-SP4)", "openEuler:22.03-LTS-SP4"},
		{"openeuler", "24.03", "openEuler 24.03 (LTS)", "openEuler:24.03-LTS"},
		{"openeuler", "23.09", "openEuler 23.09", "openEuler:23.09"},
		{"mageia", "9", "Mageia 9", "Mageia:9"},
		{"arch", "20240101", "Arch Linux", "Arch"},
	} {
		if got, approximate := Distribution(&sekisho.OS{ID: c.id, Version: c.version, Name: c.name}); got != c.want || approximate {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
