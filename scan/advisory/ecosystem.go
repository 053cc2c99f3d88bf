package advisory

import (
	"strings"
)

// Group returns the ecosystem without its release (spelled as in
// table_ecosystems.go): "Debian" of "Debian:12".
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
