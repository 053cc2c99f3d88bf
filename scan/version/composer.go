package version

import "strings"

// phpWords in their order, as PHP's version_compare looks them up: by the first
// that starts a word. A number has the place of "#".
var phpWords = [...]struct {
	word string
	rank int
}{
	{"dev", 0}, {"alpha", 1}, {"a", 1}, {"beta", 2}, {"b", 2}, {"RC", 3}, {"rc", 3}, {"#", phpNumber}, {"pl", 5}, {"p", 5},
}

const (
	phpUnknown = -1
	phpNumber  = 4
)

// compareComposer is PHP's version_compare, less a leading v.
func compareComposer(a, b string) (int, bool) {
	if !printable(a) || !printable(b) {
		return 0, false
	}
	a, b = trimComposer(a), trimComposer(b)
	for {
		x, restA := phpPart(a)
		y, restB := phpPart(b)
		switch {
		case x == "":
			return -comparePHPEnd(y, restB), true
		case y == "":
			return comparePHPEnd(x, restA), true
		}
		if c := comparePHP(x, y); c != 0 {
			return c, true
		}
		a, b = restA, restB
	}
}

func trimComposer(s string) string {
	if len(s) > 1 && s[0]|0x20 == 'v' && isDigit(s[1]) {
		s = s[1:]
	}
	return s
}

// phpPart returns the first run of digits or others between separators.
func phpPart(s string) (part, rest string) {
	for s != "" && !isAlnum(s[0]) && s[0] != '#' {
		s = s[1:]
	}
	n := digits(s, 0)
	if n == 0 {
		for n < len(s) && (isLetter(s[n]) || s[n] == '#') {
			n++
		}
	}
	return s[:n], s[n:]
}

func comparePHP(x, y string) int {
	if isDigit(x[0]) && isDigit(y[0]) {
		return compareNumbers(x, y)
	}
	return order(phpRank(x), phpRank(y))
}

// comparePHPEnd places the parts x and rest behind the end of an equal version:
// a number makes it newer, a word is weighed against a number.
func comparePHPEnd(x, rest string) int {
	for x != "" {
		if isDigit(x[0]) {
			return 1
		}
		if c := order(phpRank(x), phpNumber); c != 0 {
			return c
		}
		x, rest = phpPart(rest)
	}
	return 0
}

func phpRank(s string) int {
	if isDigit(s[0]) {
		return phpNumber
	}
	for _, w := range phpWords {
		if strings.HasPrefix(s, w.word) {
			return w.rank
		}
	}
	return phpUnknown
}
