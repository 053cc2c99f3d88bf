package nodejs

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekisho/scan/advisory"
)

// release is a version of Node.js: major, minor, patch.
type release [3]int

func (r release) compare(o release) int { return slices.Compare(r[:], o[:]) }

func (r release) String() string { return fmt.Sprintf("%d.%d.%d", r[0], r[1], r[2]) }

// end is after every release.
var end = release{1 << 30}

// span holds the releases from one to another, which it does not hold.
type span struct{ from, to release }

// comparator is one of "10.x", "^10.23.1", ">= 10.9.0", "<= 10", "8.5.0".
var comparator = regexp.MustCompile(`^(\^|~|>=|<=|<|>|=)?\s*v?(\d{1,6})(?:\.(\d{1,6}|x|\*))?(?:\.(\d{1,6}|x|\*))?(?:\s+|$)`)

// ranges returns what is vulnerable and not patched. Lines that follow one
// another become one range, so that a line without a fix of its own has that
// of the next. Nothing comes of what cannot be read.
func ranges(vulnerable, patched string) (out []advisory.Range) {
	bad, ok := parse(vulnerable, false)
	good, okPatched := parse(patched, true)
	if !ok || !okPatched && strings.TrimSpace(patched) != "" {
		return nil
	}
	for _, g := range good {
		bad = subtract(bad, g)
	}
	slices.SortFunc(bad, func(a, b span) int { return cmp.Or(a.from.compare(b.from), a.to.compare(b.to)) })
	for i := 0; i < len(bad); i++ {
		s := bad[i]
		for i+1 < len(bad) && bad[i+1].from.compare(s.to) <= 0 {
			i++
			if bad[i].to.compare(s.to) > 0 {
				s.to = bad[i].to
			}
		}
		r := advisory.Range{}
		if s.from != (release{}) {
			r.Introduced = s.from.String()
		}
		switch {
		case slices.ContainsFunc(good, func(g span) bool { return g.from == s.to }):
			r.Fixed = s.to.String()
		case s.to != end:
			r.Last = before(s.to).String()
		}
		out = append(out, r)
	}
	return out
}

// before returns the last release before another; lines do not get longer
// than these numbers.
func before(r release) release {
	switch {
	case r[2] > 0:
		return release{r[0], r[1], r[2] - 1}
	case r[1] > 0:
		return release{r[0], r[1] - 1, 9999}
	}
	return release{r[0] - 1, 9999, 9999}
}

func subtract(list []span, s span) (out []span) {
	for _, v := range list {
		if s.to.compare(v.from) <= 0 || s.from.compare(v.to) >= 0 {
			out = append(out, v)
			continue
		}
		if v.from.compare(s.from) < 0 {
			out = append(out, span{v.from, s.from})
		}
		if s.to.compare(v.to) < 0 {
			out = append(out, span{s.to, v.to})
		}
	}
	return out
}

// parse reads alternatives of comparators (node-semver, "Ranges"). Of patched
// versions, a single one means it and what follows in its line.
func parse(text string, onwards bool) (out []span, ok bool) {
	if len(text) > 2000 {
		return nil, false
	}
	for alternative := range strings.SplitSeq(text, "||") {
		rest := strings.TrimSpace(alternative)
		all := span{to: end}
		if rest == "" {
			return nil, false
		}
		for rest != "" {
			m := comparator.FindStringSubmatch(rest)
			if m == nil {
				return nil, false
			}
			rest = rest[len(m[0]):]
			s := one(m[1], m[2:], onwards)
			if s.from.compare(all.from) > 0 {
				all.from = s.from
			}
			if s.to.compare(all.to) < 0 {
				all.to = s.to
			}
		}
		if all.from.compare(all.to) < 0 {
			out = append(out, all)
		}
	}
	return out, len(out) > 0
}

// one reads a comparator.
func one(operator string, parts []string, onwards bool) span {
	var low release
	given := 0 // how many numbers are given
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil {
			break
		}
		low[i], given = n, i+1
	}
	next := func(at int) release { // the first after all that agree up to a number
		r := release{}
		copy(r[:at+1], low[:at+1])
		r[at]++
		return r
	}
	line := 0 // what must not change in a line: the first number that is not zero
	for line < given-1 && low[line] == 0 {
		line++
	}
	switch operator {
	case "^":
		return span{low, next(line)}
	case "~":
		return span{low, next(min(1, given-1))}
	case ">=":
		return span{low, end}
	case ">":
		return span{next(given - 1), end}
	case "<":
		return span{release{}, low}
	case "<=":
		return span{release{}, next(given - 1)}
	}
	if onwards && given == 3 {
		return span{low, next(line)}
	}
	return span{low, next(given - 1)}
}
