package version

import "strings"

// compareNuGet is NuGet's order: up to four numbers, pre-releases without
// regard to case, metadata left out.
func compareNuGet(a, b string) (int, bool) {
	x, ok := cutNuGet(a)
	if !ok {
		return 0, false
	}
	y, ok := cutNuGet(b)
	if !ok {
		return 0, false
	}
	if c := compareDotted(x.numbers, y.numbers); c != 0 {
		return c, true
	}
	if !x.hasPre || !y.hasPre {
		if x.hasPre == y.hasPre {
			return 0, true
		}
		return before(x.hasPre), true
	}
	return compareLabels(x.pre, y.pre), true
}

// cutNuGet is strict where Semantic Versioning is: only a hyphen starts a
// pre-release.
func cutNuGet(s string) (v triple, ok bool) {
	v, ok = cutTriple(strings.TrimSpace(s))
	return v, ok && strings.Count(v.numbers, ".") < 4
}

func compareLabels(a, b string) int {
	for {
		x, restA, moreA := strings.Cut(a, ".")
		y, restB, moreB := strings.Cut(b, ".")
		m, n := isNumber(x), isNumber(y)
		c := 0
		switch {
		case m && n:
			c = compareNumbers(x, y)
		case m != n:
			c = before(m)
		default:
			c = compareFold(x, y)
		}
		if c != 0 || !moreA && !moreB {
			return c
		}
		if moreA != moreB {
			return before(moreB)
		}
		a, b = restA, restB
	}
}
