package program

import (
	"net/netip"
	"strings"

	"sekisho/enforce/detect/field"
)

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// containsFold reports whether a text has another in it, which is in lower
// case, whatever the case of its ASCII letters.
func containsFold(s, low string) bool {
	if low == "" {
		return true
	}
	up := low[0]
	if up >= 'a' && up <= 'z' {
		up -= 'a' - 'A'
	}
	for i := 0; i+len(low) <= len(s); i++ {
		if s[i] != low[0] && s[i] != up {
			continue
		}
		j := 1
		for j < len(low) && lower(s[i+j]) == low[j] {
			j++
		}
		if j == len(low) {
			return true
		}
	}
	return false
}

// glob matches as fnmatch(3) without flags: * crosses slashes.
func glob(pattern, s string, fold bool) bool {
	p, i, star, back := 0, 0, -1, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, back = p, i
			p++
			continue
		}
		if p < len(pattern) {
			if n, ok := one(pattern[p:], s[i], fold); ok {
				p, i = p+n, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		back++
		p, i = star+1, back
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// one matches a byte with the first element of a pattern, n bytes long.
func one(pattern string, c byte, fold bool) (n int, ok bool) {
	same := func(a, b byte) bool { return a == b || fold && lower(a) == lower(b) }
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) > 1 {
			return 2, same(pattern[1], c)
		}
	case '[':
		if end := setEnd(pattern); end > 0 {
			return end + 1, inSet(pattern[1:end], c, fold)
		}
	}
	return 1, same(pattern[0], c)
}

// setEnd finds the bracket that ends a set; one that stands first is a member.
func setEnd(pattern string) int {
	i := 1
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		i++
	}
	for i++; i < len(pattern); i++ {
		if pattern[i] == ']' {
			return i
		}
	}
	return 0
}

func inSet(set string, c byte, fold bool) bool {
	not := set[0] == '!' || set[0] == '^'
	if not {
		set = set[1:]
	}
	hit := false
	for i := 0; i < len(set); i++ {
		low, high := set[i], set[i]
		if i+2 < len(set) && set[i+1] == '-' {
			high = set[i+2]
			i += 2
		}
		hit = hit || low <= c && c <= high || fold && lower(low) <= lower(c) && lower(c) <= lower(high)
	}
	return hit != not
}

// pathMatch reports whether a pattern is the path or a directory above it,
// each component being a pattern of its own.
func pathMatch(pattern, path string) bool {
	for {
		pattern, path = strings.TrimLeft(pattern, "/"), strings.TrimLeft(path, "/")
		if pattern == "" {
			return true
		}
		if path == "" {
			return false
		}
		p, restPattern := component(pattern)
		s, rest := component(path)
		if !glob(p, s, false) {
			return false
		}
		pattern, path = restPattern, rest
	}
}

// fixed are the parts of a pattern before its first and, for glob, after its
// last special byte: nearly all texts are told apart by them. A path's part is
// empty where nothing can be said of it.
func fixed(op op, pattern string) (parts [2]string) {
	const special = "*?[]\\"
	first := strings.IndexAny(pattern, special)
	if op == opGlob {
		if first < 0 {
			return [2]string{pattern, ""}
		}
		return [2]string{pattern[:first], pattern[strings.LastIndexAny(pattern, special)+1:]}
	}
	if first >= 0 {
		pattern = pattern[:first]
	} else {
		pattern = strings.TrimRight(pattern, "/")
	}
	if !strings.HasPrefix(pattern, "/") || strings.Contains(pattern, "//") {
		return parts
	}
	return [2]string{pattern, ""}
}

// begins says whether a path may begin so. One with slashes too many may.
func begins(path, head string) bool {
	if head == "" || path == "" || path[0] != '/' {
		return true
	}
	for i := range len(head) {
		if i == len(path) {
			return false
		}
		if path[i] != head[i] {
			return path[i] == '/'
		}
	}
	return true
}

func component(s string) (first, rest string) {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// test compares one value with the right side of a check.
func (l *leaf) test(v *field.Value) bool {
	if l.every {
		for i := range l.values {
			if !l.one(v, i) {
				return false
			}
		}
		return true
	}
	for i := range l.values {
		if l.one(v, i) {
			return true
		}
	}
	return false
}

// one compares a value with the i-th value of the right side.
func (l *leaf) one(v *field.Value, i int) bool {
	w := &l.values[i]
	switch l.op {
	case opContains:
		return strings.Contains(v.S, w.S)
	case opFold:
		return containsFold(v.S, w.S)
	case opPrefix:
		return strings.HasPrefix(v.S, w.S)
	case opSuffix:
		return strings.HasSuffix(v.S, w.S)
	case opGlob:
		return strings.HasPrefix(v.S, l.fixed[i][0]) && strings.HasSuffix(v.S, l.fixed[i][1]) && glob(w.S, v.S, false)
	case opGlobFold:
		return glob(w.S, v.S, true)
	case opPath:
		return begins(v.S, l.fixed[i][0]) && pathMatch(w.S, v.S)
	case opRegex:
		return l.regex[i].MatchString(v.S)
	}
	return compare(l.op, l.typ, v, w, l.nets, i)
}

func compare(op op, typ field.Type, v, w *field.Value, nets []netip.Prefix, i int) bool {
	switch typ {
	case field.String:
		return v.S == w.S
	case field.Address:
		return v.IP == w.IP
	case field.Network:
		if nets == nil {
			return v.IP == w.IP
		}
		return nets[i].Contains(v.IP)
	}
	switch op {
	case opLess:
		return v.N < w.N
	case opLessEqual:
		return v.N <= w.N
	case opMore:
		return v.N > w.N
	case opMoreEqual:
		return v.N >= w.N
	}
	return v.N == w.N
}
