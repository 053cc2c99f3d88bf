package version

import "strings"

// debian is [epoch:]upstream[-revision] of deb-version(7).
type debian struct{ epoch, upstream, revision string }

// parseDpkg refuses what dpkg refuses. What dpkg only warns about, a version
// that does not start with a digit for one, it orders.
func parseDpkg(s string) (v debian, ok bool) {
	if !printable(s) {
		return v, false
	}
	v.upstream = s
	if i := strings.IndexByte(s, ':'); i >= 0 {
		v.epoch, v.upstream = s[:i], s[i+1:]
		if i == 0 || digits(s, 0) != i || compareNumbers(v.epoch, "2147483647") > 0 {
			return v, false
		}
	}
	if i := strings.LastIndexByte(v.upstream, '-'); i >= 0 {
		v.upstream, v.revision = v.upstream[:i], v.upstream[i+1:]
		if v.revision == "" {
			return v, false
		}
	}
	return v, v.upstream != ""
}

func compareDpkg(a, b string) (int, bool) {
	x, ok := parseDpkg(a)
	if !ok {
		return 0, false
	}
	y, ok := parseDpkg(b)
	if !ok {
		return 0, false
	}
	if c := compareNumbers(x.epoch, y.epoch); c != 0 {
		return c, true
	}
	if c := compareDpkgPart(x.upstream, y.upstream); c != 0 {
		return c, true
	}
	return compareDpkgPart(x.revision, y.revision), true
}

// compareDpkgPart takes non-digits and digits in turn, deb-version(7), "Sorting
// algorithm".
func compareDpkgPart(a, b string) int {
	i := sharedPrefix(a, b)
	for i > 0 && isDigit(a[i-1]) { // a number counts as a whole
		i--
	}
	j := i
	for i < len(a) || j < len(b) {
		for i < len(a) && !isDigit(a[i]) || j < len(b) && !isDigit(b[j]) {
			if x, y := dpkgWeight(a, i), dpkgWeight(b, j); x != y {
				return order(x, y)
			}
			i, j = i+1, j+1
		}
		m, n := digits(a, i), digits(b, j)
		if c := compareNumbers(a[i:m], b[j:n]); c != 0 {
			return c
		}
		i, j = m, n
	}
	return 0
}

// dpkgWeight sorts tildes before the end, the end with digits before letters,
// and letters before all others.
func dpkgWeight(s string, i int) int {
	switch {
	case i >= len(s) || isDigit(s[i]):
		return 0
	case isLetter(s[i]):
		return int(s[i])
	case s[i] == '~':
		return -1
	}
	return int(s[i]) + 256
}
