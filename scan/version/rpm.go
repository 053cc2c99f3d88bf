package version

import "strings"

// evr is [epoch:]version[-release] of rpm-version(7). released tells an empty
// release from none.
type evr struct {
	epoch, version, release string
	released                bool
}

// parseEVR takes an epoch only when it is digits: a colon elsewhere is part of
// the version.
func parseEVR(s string) (v evr) {
	if i := digits(s, 0); i < len(s) && s[i] == ':' {
		v.epoch, s = s[:i], s[i+1:]
	}
	v.version = s
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		v.version, v.release, v.released = s[:i], s[i+1:], true
	}
	return v
}

// compareRPM sorts a version without a release before the same with any.
func compareRPM(a, b string) (int, bool) {
	if !printable(a) || !printable(b) {
		return 0, false
	}
	x, y := parseEVR(a), parseEVR(b)
	if c := compareNumbers(x.epoch, y.epoch); c != 0 {
		return c, true
	}
	if c := compareRPMPart(x.version, y.version); c != 0 {
		return c, true
	}
	if x.released != y.released {
		if x.released {
			return 1, true
		}
		return -1, true
	}
	return compareRPMPart(x.release, y.release), true
}

// compareRPMPart is the algorithm of rpm-version(7). Non-ASCII bytes separate,
// as punctuation does.
func compareRPMPart(a, b string) int {
	i := sharedPrefix(a, b)
	for i > 0 && isAlnum(a[i-1]) { // a number or word counts as a whole
		i--
	}
	j := i
	for i < len(a) || j < len(b) {
		i, j = rpmSegment(a, i), rpmSegment(b, j)
		x, y := byteAt(a, i), byteAt(b, j)
		if x == '~' || y == '~' {
			if x != y {
				return before(x == '~')
			}
			i, j = i+1, j+1
			continue
		}
		if x == '^' || y == '^' {
			if x != y {
				return compareCaret(x, y)
			}
			i, j = i+1, j+1
			continue
		}
		if x == 0 || y == 0 {
			break
		}
		run := letters
		if isDigit(x) {
			run = digits
		}
		m, n := run(a, i), run(b, j)
		if n == j {
			return before(!isDigit(x)) // numbers are newer than letters
		}
		if c := compareRun(a[i:m], b[j:n], isDigit(x)); c != 0 {
			return c
		}
		i, j = m, n
	}
	return order(len(a)-min(i, len(a)), len(b)-min(j, len(b)))
}

// compareCaret sorts a caret after the end, before anything else.
func compareCaret(x, y byte) int {
	if x == 0 {
		return -1
	}
	if y == 0 {
		return 1
	}
	return before(x == '^')
}

func compareRun(a, b string, numeric bool) int {
	if numeric {
		return compareNumbers(a, b)
	}
	return compareBytes(a, b)
}

// rpmSegment skips separators.
func rpmSegment(s string, i int) int {
	for i < len(s) && !isAlnum(s[i]) && s[i] != '~' && s[i] != '^' {
		i++
	}
	return i
}

func byteAt(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

func before(yes bool) int {
	if yes {
		return -1
	}
	return 1
}
