package version

import "strings"

// python is a version of PEP 440, its parts still text.
type python struct {
	epoch, release, local            string
	pre, post, dev                   string // their numbers
	preRank                          int
	hasPre, hasPost, hasDev, isLocal bool
}

// Ranks of the part that decides between two equal releases.
const (
	pyDev = iota // a development release of the release itself
	pyAlpha
	pyBeta
	pyCandidate
	pyRelease
)

// pyPre are the spellings of pre-releases; the longer of two that start alike
// comes first.
var pyPre = [...]struct {
	word string
	rank int
}{
	{"alpha", pyAlpha}, {"a", pyAlpha}, {"beta", pyBeta}, {"b", pyBeta},
	{"rc", pyCandidate}, {"c", pyCandidate}, {"preview", pyCandidate}, {"pre", pyCandidate},
}

var pyPost = [...]string{"post", "rev", "r"}

// comparePEP440 sorts what is no version of PEP 440 before all that are, in
// the order that setuptools gave them.
func comparePEP440(a, b string) (int, bool) {
	var x, y python
	xOK, yOK := x.parse(a), y.parse(b)
	switch {
	case xOK && yOK:
		return x.compare(&y), true
	case !xOK && strings.TrimSpace(a) == "" || !yOK && strings.TrimSpace(b) == "":
		return 0, false
	case xOK != yOK:
		return before(!xOK), true
	}
	return compareLegacy(a, b), true
}

func (x *python) compare(y *python) int {
	if c := compareNumbers(x.epoch, y.epoch); c != 0 {
		return c
	}
	if c := compareDotted(x.release, y.release); c != 0 {
		return c
	}
	if c := order(x.preRank, y.preRank); c != 0 {
		return c
	}
	if c := compareNumbers(x.pre, y.pre); c != 0 {
		return c
	}
	if x.hasPost != y.hasPost {
		return before(y.hasPost)
	}
	if c := compareNumbers(x.post, y.post); c != 0 {
		return c
	}
	if x.hasDev != y.hasDev {
		return before(x.hasDev)
	}
	if c := compareNumbers(x.dev, y.dev); c != 0 {
		return c
	}
	if x.isLocal != y.isLocal {
		return before(y.isLocal)
	}
	return compareLocal(x.local, y.local)
}

// compareLocal orders words before numbers, PEP 440, "Local version
// identifiers".
func compareLocal(a, b string) int {
	for a != "" && b != "" {
		x, restA := cutLocal(a)
		y, restB := cutLocal(b)
		m, n := isNumber(x), isNumber(y)
		c := 0
		switch {
		case m && n:
			c = compareNumbers(x, y)
		case m != n:
			c = before(n)
		default:
			c = compareFold(x, y)
		}
		if c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return order(len(a), len(b))
}

func cutLocal(s string) (part, rest string) {
	for i := range len(s) {
		if !isAlnum(s[i]) {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// parse is the grammar of PEP 440, appendix B.
func (x *python) parse(s string) bool {
	s = strings.Trim(s, " \t\n\r\f\v")
	if s != "" && s[0]|0x20 == 'v' {
		s = s[1:]
	}
	i := digits(s, 0)
	if i > 0 && i < len(s) && s[i] == '!' {
		x.epoch, s = s[:i], s[i+1:]
		i = digits(s, 0)
	}
	if i == 0 {
		return false
	}
	for i+1 < len(s) && s[i] == '.' && isDigit(s[i+1]) {
		i = digits(s, i+1)
	}
	x.release, s = s[:i], s[i:]
	if s == "" {
		x.preRank = pyRelease
		return true
	}
	s = x.parseDev(x.parsePost(x.parsePre(s)))
	if !x.hasPre {
		x.preRank = pyRelease
		if x.hasDev && !x.hasPost {
			x.preRank = pyDev
		}
	}
	if s != "" && s[0] == '+' {
		x.local, x.isLocal = s[1:], true
		return isLocal(x.local)
	}
	return s == ""
}

func (x *python) parsePre(s string) string {
	for _, p := range pyPre {
		if number, rest, ok := pyPart(s, p.word); ok {
			x.pre, x.preRank, x.hasPre = number, p.rank, true
			return rest
		}
	}
	return s
}

func (x *python) parsePost(s string) string {
	if len(s) > 1 && s[0] == '-' && isDigit(s[1]) {
		n := digits(s, 1)
		x.post, x.hasPost = s[1:n], true
		return s[n:]
	}
	for _, word := range pyPost {
		if number, rest, ok := pyPart(s, word); ok {
			x.post, x.hasPost = number, true
			return rest
		}
	}
	return s
}

func (x *python) parseDev(s string) string {
	if number, rest, ok := pyPart(s, "dev"); ok {
		x.dev, x.hasDev = number, true
		return rest
	}
	return s
}

// pyPart reads a word with an optional separator on each side and an optional
// number behind.
func pyPart(s, word string) (number, rest string, ok bool) {
	s = skipSeparator(s)
	if len(s) < len(word) || compareFold(s[:len(word)], word) != 0 {
		return "", "", false
	}
	s = skipSeparator(s[len(word):])
	n := digits(s, 0)
	return s[:n], s[n:], true
}

func skipSeparator(s string) string {
	if s != "" && (s[0] == '.' || s[0] == '-' || s[0] == '_') {
		return s[1:]
	}
	return s
}

// isLocal reports whether s is letters and digits, with one separator between
// two.
func isLocal(s string) bool {
	wasSeparator := true
	for i := range len(s) {
		separator := !isAlnum(s[i])
		if separator && (wasSeparator || len(skipSeparator(s[i:])) == len(s)-i) {
			return false
		}
		wasSeparator = separator
	}
	return !wasSeparator
}

// compareLegacy is the order of setuptools before version 66. It allocates.
func compareLegacy(a, b string) int {
	x, y := legacyKey(strings.ToLower(a)), legacyKey(strings.ToLower(b))
	for i := range min(len(x), len(y)) {
		if c := strings.Compare(x[i], y[i]); c != 0 {
			return c
		}
	}
	return order(len(x), len(y))
}

// legacyKey are the parts of a version in a form that compares as text.
func legacyKey(s string) []string {
	var key []string
	drop := func(part string) {
		for len(key) > 0 && key[len(key)-1] == part {
			key = key[:len(key)-1]
		}
	}
	add := func(part string) {
		if part[0] == '*' {
			if part < "*final" {
				drop("*final-")
			}
			drop("00000000")
		}
		key = append(key, part)
	}
	for s != "" {
		n := legacyPart(s)
		if s[:n] != "." {
			add(legacyWord(s[:n]))
		}
		s = s[n:]
	}
	add("*final")
	return key
}

// legacyPart returns the length of the first part: digits, small letters, a dot,
// a hyphen, or all up to the next of these.
func legacyPart(s string) int {
	class := func(c byte) int {
		switch {
		case isDigit(c):
			return 1
		case isLower(c):
			return 2
		case c == '.' || c == '-':
			return 3
		}
		return 4
	}
	first, n := class(s[0]), 1
	for first != 3 && n < len(s) && class(s[n]) == first {
		n++
	}
	return n
}

func legacyWord(part string) string {
	switch part {
	case "pre", "preview", "rc":
		return "*c"
	case "dev":
		return "*@"
	case "-":
		return "*final-"
	}
	if !isDigit(part[0]) {
		return "*" + part
	}
	if len(part) < 8 {
		return "00000000"[len(part):] + part
	}
	return part
}
