package scope

import (
	"strings"

	"sekisho"
)

// Glob reports whether text matches a pattern in which * is any run of
// characters, also none, and ? is one byte. It takes linear time for one * and
// never more than the product of both lengths.
func Glob(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// checkGlob refuses what Glob has no meaning for.
func checkGlob(pattern string) error {
	if len(pattern) > maxReference {
		return sekisho.Errorf(sekisho.Invalid, "a pattern of %d bytes", len(pattern))
	}
	if i := strings.IndexAny(pattern, "[]{}\\"); i >= 0 {
		return sekisho.Errorf(sekisho.Invalid, "%q has no meaning in a pattern; only * and ? do", pattern[i])
	}
	return nil
}

// Any reports whether one of the patterns matches.
func Any(patterns []string, text string) bool {
	for _, p := range patterns {
		if Glob(p, text) {
			return true
		}
	}
	return false
}

// CheckGlobs refuses patterns that Glob has no meaning for, and empty ones
// unless they are allowed.
func CheckGlobs(patterns []string, empty bool) error {
	for _, p := range patterns {
		if p == "" && !empty {
			return sekisho.Errorf(sekisho.Invalid, "an empty pattern matches nothing")
		}
		if err := checkGlob(p); err != nil {
			return err
		}
	}
	return nil
}
