package version

import "strings"

// goVersion is a version of a Go module or of Go itself. A release candidate
// of Go has its word and number apart: go1.25rc1 is 1.25.0-rc.1.
type goVersion struct {
	triple
	word, number string
}

// goWords are the pre-releases of Go itself.
var goWords = [...]string{"beta", "rc"}

func compareGo(a, b string) (int, bool) {
	x, ok := parseGo(a)
	if !ok {
		return 0, false
	}
	y, ok := parseGo(b)
	if !ok {
		return 0, false
	}
	if x.word == "" && y.word == "" {
		return compareTriple(&x.triple, &y.triple), true
	}
	return compareGoPre(&x, &y), true
}

// compareGoPre compares when a pre-release of Go itself is on one side.
func compareGoPre(x, y *goVersion) int {
	if c := compareDotted(x.numbers, y.numbers); c != 0 {
		return c
	}
	xPre, yPre := x.word != "" || x.hasPre, y.word != "" || y.hasPre
	if !xPre || !yPre {
		return before(xPre)
	}
	xWord, xRest := x.firstIdentifier()
	yWord, yRest := y.firstIdentifier()
	if c := compareIdentifier(xWord, yWord); c != 0 || xRest == "" || yRest == "" {
		if c == 0 {
			c = order(len(xRest), len(yRest))
		}
		return c
	}
	return compareIdentifiers(xRest, yRest)
}

func (v *goVersion) firstIdentifier() (first, rest string) {
	if v.word != "" {
		return v.word, v.number
	}
	first, rest, _ = strings.Cut(v.pre, ".")
	return first, rest
}

// parseGo reads v1.2.3, 1.2.3-pre, pseudo-versions, +incompatible, and what a
// binary says of its toolchain: go1.24.4, go1.25rc1, go1.22.1-suffix,
// "go1.22.1 X:rangefunc".
func parseGo(s string) (v goVersion, ok bool) {
	rest, toolchain := strings.CutPrefix(s, "go")
	if toolchain {
		if i := strings.IndexAny(rest, " -+"); i >= 0 {
			rest = rest[:i]
		}
	} else {
		rest = strings.TrimPrefix(rest, "v")
	}
	i := goNumbers(rest)
	if i == 0 {
		return v, false
	}
	v.numbers, rest = rest[:i], rest[i:]
	if rest == "" {
		return v, true
	}
	if rest[0] == '-' || rest[0] == '+' {
		return v, v.semantic(rest)
	}
	for _, word := range goWords {
		if number, ok := strings.CutPrefix(rest, word); ok && isNumber(number) {
			v.word, v.number = word, number
			return v, true
		}
	}
	number, ok := strings.CutPrefix(rest, "b") // go1.18.3b7 is go1.18.3 with BoringCrypto
	return v, ok && toolchain && isNumber(number)
}

// semantic reads what follows the numbers of a module's version.
func (v *goVersion) semantic(rest string) bool {
	rest, build, plus := strings.Cut(rest, "+")
	if plus && !identifiers(build) {
		return false
	}
	if rest == "" {
		return true
	}
	v.pre, v.hasPre = rest[1:], true
	return identifiers(v.pre)
}

// goNumbers returns the length of up to three numbers between dots.
func goNumbers(s string) int {
	i := 0
	for range 3 {
		n := digits(s, i)
		if n == i {
			return 0
		}
		i = n
		if i == len(s) || s[i] != '.' {
			return i
		}
		i++
	}
	return 0
}
