package version

import "strings"

// triple is a version of the family of Semantic Versioning: numbers between
// dots, a pre-release, build metadata.
type triple struct {
	numbers string // "1.2.3"
	pre     string // without the hyphen
	build   string // without the plus
	hasPre  bool
}

// words of pre-releases that are written without a hyphen, as in 1.0.0rc1.
var loosePre = [...]string{"alpha", "beta", "rc", "pre", "dev", "snapshot", "preview"}

// cutTriple takes numbers, pre-release and build metadata apart. The numbers
// may be one, two, three or more.
func cutTriple(s string) (v triple, ok bool) {
	s = strings.TrimLeft(s, "=vV ")
	i := 0
	for {
		n := digits(s, i)
		if n == i {
			return v, false
		}
		i = n
		if i+1 >= len(s) || s[i] != '.' || !isDigit(s[i+1]) {
			break
		}
		i++
	}
	v.numbers = s[:i]
	if s, v.build, ok = strings.Cut(s[i:], "+"); ok && !identifiers(v.build) {
		return v, false
	}
	if s == "" {
		return v, true
	}
	v.pre, v.hasPre = s, true
	if s[0] == '-' || s[0] == '.' {
		v.pre = s[1:]
	}
	return v, identifiers(v.pre) && (s[0] == '-' || isLoosePre(v.pre))
}

func isLoosePre(s string) bool {
	for _, word := range loosePre {
		if len(s) >= len(word) && compareFold(s[:len(word)], word) == 0 {
			return true
		}
	}
	return false
}

// identifiers reports whether s is identifiers between dots, Semantic
// Versioning 2.0.0, 9 and 10. Empty ones and underscores occur, and are let
// through.
func identifiers(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '.' && c != '_' && c != '+' {
			return false
		}
	}
	return s != ""
}

func compareSemVer(a, b string) (int, bool) {
	x, ok := cutTriple(a)
	if !ok {
		return 0, false
	}
	y, ok := cutTriple(b)
	if !ok {
		return 0, false
	}
	return compareTriple(&x, &y), true
}

// compareTriple is Semantic Versioning 2.0.0, 11. A number that is left out is
// zero.
func compareTriple(x, y *triple) int {
	if c := compareDotted(x.numbers, y.numbers); c != 0 {
		return c
	}
	if !x.hasPre || !y.hasPre {
		if x.hasPre == y.hasPre {
			return 0
		}
		return before(x.hasPre)
	}
	return compareIdentifiers(x.pre, y.pre)
}

// compareDotted orders numbers between dots.
func compareDotted(a, b string) int {
	for a != "" || b != "" {
		i, j := digits(a, 0), digits(b, 0)
		if c := compareNumbers(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[min(i+1, len(a)):], b[min(j+1, len(b)):]
	}
	return 0
}

// compareIdentifiers orders numbers before words, and the shorter of two that
// are equal so far first.
func compareIdentifiers(a, b string) int {
	for {
		x, restA, moreA := strings.Cut(a, ".")
		y, restB, moreB := strings.Cut(b, ".")
		if c := compareIdentifier(x, y); c != 0 {
			return c
		}
		if !moreA || !moreB {
			if moreA == moreB {
				return 0
			}
			return before(!moreA)
		}
		a, b = restA, restB
	}
}

func compareIdentifier(x, y string) int {
	m, n := isNumber(x), isNumber(y)
	switch {
	case m && n:
		return compareNumbers(x, y)
	case m != n:
		return before(m)
	}
	return compareBytes(x, y)
}

func isNumber(s string) bool { return s != "" && digits(s, 0) == len(s) }
