package redhat

import "strings"

// major returns the major release of Red Hat Enterprise Linux that a product's
// packages are for: of the product itself, of its edition ("::el8"), or of the
// fixed version's release. A layered product without either has none.
func major(cpe, version string) string {
	part := strings.Split(cpe, ":") // cpe:/o:redhat:enterprise_linux:9::baseos (CPE 2.2)
	if len(part) > 4 && part[2] == "redhat" && enterprise(part[3]) {
		if n := digits(part[4]); n != "" {
			return n
		}
	}
	if i := strings.LastIndex(cpe, ":el"); i >= 0 {
		if n := digits(cpe[i+3:]); n != "" {
			return n
		}
	}
	for _, mark := range []string{".el", "+el"} {
		if i := strings.LastIndex(version, mark); i >= 0 {
			if n := digits(version[i+3:]); n != "" {
				return n
			}
		}
	}
	return ""
}

// enterprise reports whether a product is Red Hat Enterprise Linux itself, in
// one of its streams, so that its version begins with the major release.
func enterprise(product string) bool {
	switch product {
	case "enterprise_linux", "enterprise_linux_eus", "rhel_eus", "rhel_eus_long_life", "rhel_aus", "rhel_e4s", "rhel_tus", "rhel_els", "rhel_mission_critical":
		return true
	}
	return strings.HasPrefix(product, "rhel_extras")
}

func digits(s string) string {
	n := 0
	for n < len(s) && n < 2 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n]
}
