package version

import "strings"

// CutNEVRA takes name-[epoch:]version-release[.arch] apart, as rpm, Red Hat's
// security data and updateinfo write it. What it lacks stays empty; an epoch in
// front of the name is not known. The version is in the form that RPM compares.
func CutNEVRA(s string) (name, evr, arch string) {
	release := strings.LastIndexByte(s, '-')
	if release < 0 {
		return "", s, ""
	}
	name, evr = "", s
	if i := strings.LastIndexByte(s[:release], '-'); i >= 0 {
		name, evr = s[:i], s[i+1:]
		release -= i + 1
	}
	if i := strings.LastIndexByte(evr, '.'); i > release && isArch(evr[i+1:]) {
		evr, arch = evr[:i], evr[i+1:]
	}
	return name, evr, arch
}

// isArch knows the architectures that packages have. The last part of a
// release may look like anything else.
func isArch(s string) bool {
	switch s {
	case "noarch", "src", "nosrc", "x86_64", "x86_64_v2", "x86_64_v3", "i386", "i486", "i586", "i686", "athlon", "amd64", "ia32e",
		"aarch64", "armv5tel", "armv6hl", "armv7hl", "armv7hnl", "ppc", "ppc64", "ppc64le", "s390", "s390x", "riscv", "riscv64", "loongarch64", "mips64el", "ia64":
		return true
	}
	return false
}
