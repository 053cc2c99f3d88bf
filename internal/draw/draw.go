// Package draw makes texts that a regular expression matches, for tests. A
// parsed expression and a source of chance enter, a text leaves. Assertions
// are not honoured: try the text.
package draw

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
)

// most is how often a part is repeated beyond what it must.
const most = 20

// Text draws a text of printable ASCII.
func Text(r *rand.Rand, re *syntax.Regexp) string {
	var b strings.Builder
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteString(class(r, re.Rune))
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		b.WriteByte("abcdefgh12345"[r.IntN(13)])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		low, high := times(re)
		for range low + r.IntN(min(high, low+most)-low+1) {
			b.WriteString(Text(r, re.Sub[0]))
		}
	case syntax.OpAlternate:
		return Text(r, re.Sub[r.IntN(len(re.Sub))])
	default:
		for _, s := range re.Sub {
			b.WriteString(Text(r, s))
		}
	}
	return b.String()
}

func class(r *rand.Rand, ranges []rune) string {
	var chars []rune
	for i := 0; i < len(ranges); i += 2 {
		for c := max(ranges[i], '!'); c <= min(ranges[i+1], '~'); c++ {
			chars = append(chars, c)
		}
	}
	if len(chars) == 0 {
		return " "
	}
	return string(chars[r.IntN(len(chars))])
}

// times is how often the part of a repetition is drawn, at least and at most.
func times(re *syntax.Regexp) (low, high int) {
	switch re.Op {
	case syntax.OpStar:
		return 0, 3
	case syntax.OpPlus:
		return 10, 12
	case syntax.OpQuest:
		return 0, 1
	}
	if re.Max < 0 {
		return re.Min, re.Min + 3
	}
	return re.Min, re.Max
}
