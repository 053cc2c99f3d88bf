package version

import "sekisho"

// maxLen bounds a version, in bytes. Real ones stay below 200.
const maxLen = 1024

// Compare returns -1, 0 or 1: a is older than, as old as, or newer than b. The
// error, of kind Invalid, says which of the two the scheme cannot order.
func Compare(s Scheme, a, b string) (int, error) {
	if len(a) > maxLen || len(b) > maxLen {
		return 0, blame(s, a, b)
	}
	c, ok := compare(s, a, b)
	if !ok {
		return 0, blame(s, a, b)
	}
	return c, nil
}

// Valid reports whether the scheme can order v.
func Valid(s Scheme, v string) bool {
	if len(v) > maxLen {
		return false
	}
	_, ok := compare(s, v, v)
	return ok
}

// compare returns ok false when one of the two cannot be ordered.
func compare(s Scheme, a, b string) (c int, ok bool) {
	switch s {
	case Dpkg:
		return compareDpkg(a, b)
	case RPM:
		return compareRPM(a, b)
	case APK:
		return compareAPK(a, b)
	case Pacman:
		return comparePacman(a, b)
	case SemVer:
		return compareSemVer(a, b)
	case Go:
		return compareGo(a, b)
	case PEP440:
		return comparePEP440(a, b)
	case Maven:
		return compareMaven(a, b)
	case RubyGems:
		return compareRubyGems(a, b)
	case NuGet:
		return compareNuGet(a, b)
	case Composer:
		return compareComposer(a, b)
	case Pub:
		return comparePub(a, b)
	case CRAN:
		return compareCRAN(a, b)
	case Hackage:
		return compareHackage(a, b)
	}
	return 0, false
}

func blame(s Scheme, a, b string) error {
	if Valid(s, a) {
		a = b
	}
	if len(a) > 80 {
		a = a[:80]
	}
	return sekisho.Errorf(sekisho.Invalid, "compare versions: %q has no place in the order of %q", a, string(s))
}
