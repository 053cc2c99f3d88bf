package assurance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sekisho"
	"sekisho/policy/scope"
	"sekisho/policy/source"
)

func oneOf(field, have string, want ...string) error {
	if slices.Contains(want, have) {
		return nil
	}
	return source.Wrong(field, have, want...)
}

func between(field string, n, low, high int) error {
	if n < low || n > high {
		return fmt.Errorf("%s: %d is not between %d and %d", field, n, low, high)
	}
	return nil
}

func severityWord(field string, s sekisho.Severity) error {
	return oneOf(field, string(s), string(sekisho.Critical), string(sekisho.High), string(sekisho.Medium), string(sekisho.Low), string(sekisho.None))
}

func globs(field string, list []string) error {
	if err := scope.CheckGlobs(list, false); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

func match(pattern, text string) bool { return scope.Glob(pattern, text) }

func wild(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// pairs are the entries of a map, in order.
func pairs(m map[string]string) (out [][2]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, [2]string{k, m[k]})
	}
	return out
}
