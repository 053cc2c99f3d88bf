package version

import "strings"

// gemRoom is how many segments need no allocation.
const gemRoom = 24

// compareRubyGems is Gem::Version: segments of digits or letters, a word before
// a number, and a number that is left out is zero.
func compareRubyGems(a, b string) (int, bool) {
	a, okA := trimGem(a)
	b, okB := trimGem(b)
	if !okA || !okB {
		return 0, false
	}
	if plainDotted(a) && plainDotted(b) {
		return compareDotted(a, b), true
	}
	var roomA, roomB [gemRoom]string
	x, y := gemSegments(roomA[:0], a), gemSegments(roomB[:0], b)
	for i := range max(len(x), len(y)) {
		if c := compareGem(gemAt(x, i), gemAt(y, i)); c != 0 {
			return c, true
		}
	}
	return 0, true
}

func gemAt(segments []string, i int) string {
	if i < len(segments) {
		return segments[i]
	}
	return "0"
}

func compareGem(x, y string) int {
	m, n := isDigit(x[0]), isDigit(y[0])
	switch {
	case m && n:
		return compareNumbers(x, y)
	case m != n:
		return before(n)
	}
	return compareBytes(x, y)
}

// gemSegments cuts between digits and letters, takes a hyphen for ".pre.", and
// drops the zeros at the end and before the first word.
func gemSegments(segments []string, s string) []string {
	wordless := true
	for i := 0; i < len(s); {
		n := digits(s, i)
		switch {
		case n > i:
			segments, i = append(segments, s[i:n]), n
			continue
		case isLetter(s[i]):
			n = letters(s, i)
		case s[i] == '-':
			if wordless {
				segments, wordless = dropZeros(segments), false
			}
			segments, i = append(segments, "pre"), i+1
			continue
		default:
			i++
			continue
		}
		if wordless {
			segments, wordless = dropZeros(segments), false
		}
		segments, i = append(segments, s[i:n]), n
	}
	return dropZeros(segments)
}

func dropZeros(segments []string) []string {
	for len(segments) > 0 && isZero(segments[len(segments)-1]) {
		segments = segments[:len(segments)-1]
	}
	return segments
}

// trimGem refuses what Gem::Version.correct? refuses; nothing at all is "0".
func trimGem(s string) (trimmed string, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "0", false
	}
	head, tail, hyphen := strings.Cut(s, "-")
	if !isDigit(s[0]) || !gemParts(head, false) {
		return s, false
	}
	return s, !hyphen || gemParts(tail, true)
}

// gemParts reports whether s is letters and digits between dots.
func gemParts(s string, hyphens bool) bool {
	wasDot := true
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if wasDot {
				return false
			}
			wasDot = true
		case isAlnum(c) || hyphens && c == '-':
			wasDot = false
		default:
			return false
		}
	}
	return !wasDot
}
