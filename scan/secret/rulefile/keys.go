package rulefile

import (
	"regexp/syntax"
	"strings"
)

// longer returns keys of three bytes or more for an expression. Keywords that
// are shorter, or none, are replaced by literals that every match must hold.
func longer(expr string, keywords []string) []string {
	enough := len(keywords) > 0
	for _, k := range keywords {
		enough = enough && len(k) >= 3
	}
	if enough {
		return keywords
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return keywords // the engine tells what is wrong
	}
	if list := required(re); len(list) > 0 {
		return list
	}
	return keywords
}

// maxKeys bounds how many literals stand for one expression.
const maxKeys = 600

// required returns literals of three bytes or more of which every match holds
// at least one; none where there are no such.
func required(re *syntax.Regexp) []string {
	best := []string(nil)
	better := func(list []string) {
		if len(list) > 0 && (best == nil || shortest(list) > shortest(best)) {
			best = list
		}
	}
	switch re.Op {
	case syntax.OpConcat:
		for from := range re.Sub {
			better(runs(re.Sub[from:]))
		}
		for _, s := range re.Sub {
			better(required(s))
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpAlternate:
		var all []string
		for _, s := range re.Sub {
			list := required(s)
			if len(list) == 0 {
				return nil
			}
			all = append(all, list...)
		}
		if len(all) <= maxKeys {
			return all
		}
	default:
		better(runs([]*syntax.Regexp{re}))
	}
	return best
}

// runs spells out what the first few parts of a concatenation can be.
func runs(parts []*syntax.Regexp) []string {
	words := []string{""}
	for _, p := range repeated(parts) {
		next := spell(p)
		if next == nil || len(words)*len(next) > maxKeys {
			break
		}
		var grown []string
		for _, w := range words {
			for _, n := range next {
				grown = append(grown, w+n)
			}
		}
		words = grown
		if shortest(words) >= 6 {
			break
		}
	}
	if shortest(words) < 3 {
		return nil
	}
	return words
}

// repeated writes out the first few times of what is repeated.
func repeated(parts []*syntax.Regexp) (list []*syntax.Regexp) {
	for _, p := range parts {
		n := 1
		switch {
		case p.Op == syntax.OpRepeat && p.Min > 0:
			n, p = min(p.Min, 4), p.Sub[0]
		case p.Op == syntax.OpPlus:
			p = p.Sub[0]
		}
		for range n {
			list = append(list, p)
		}
		if n > 1 || p.Op == syntax.OpPlus {
			break // what follows is farther away
		}
	}
	return list
}

// spell lists the few texts that a part stands for, in lower case.
func spell(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}
	case syntax.OpCapture:
		return spell(re.Sub[0])
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpBeginLine, syntax.OpBeginText:
		return []string{""}
	case syntax.OpCharClass:
		var list []string
		seen := map[string]bool{}
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i+1]-re.Rune[i] > 64 {
				return nil
			}
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if l := strings.ToLower(string(r)); !seen[l] {
					seen[l] = true
					list = append(list, l)
				}
			}
		}
		return list
	case syntax.OpConcat:
		list := []string{""}
		for _, s := range re.Sub {
			next := spell(s)
			if next == nil || len(list)*len(next) > maxKeys {
				return nil
			}
			var grown []string
			for _, w := range list {
				for _, n := range next {
					grown = append(grown, w+n)
				}
			}
			list = grown
		}
		return list
	case syntax.OpAlternate:
		var list []string
		for _, s := range re.Sub {
			next := spell(s)
			if next == nil {
				return nil
			}
			list = append(list, next...)
		}
		return list
	}
	return nil
}

func shortest(list []string) int {
	n := 1 << 30
	for _, w := range list {
		n = min(n, len(w))
	}
	return n
}
