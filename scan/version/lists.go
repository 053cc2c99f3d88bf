package version

// compareCRAN is R's package_version: numbers between dots and hyphens, the
// shorter of two that are equal so far first.
func compareCRAN(a, b string) (int, bool) { return compareLists(a, b, ".-") }

// compareHackage is the Haskell Package Versioning Policy: numbers between
// dots, the shorter of two that are equal so far first.
func compareHackage(a, b string) (int, bool) { return compareLists(a, b, ".") }

func compareLists(a, b, separators string) (int, bool) {
	if !isList(a, separators) || !isList(b, separators) {
		return 0, false
	}
	for i, j := 0, 0; ; {
		m, n := digits(a, i), digits(b, j)
		if c := compareNumbers(a[i:m], b[j:n]); c != 0 {
			return c, true
		}
		if m == len(a) || n == len(b) {
			return order(min(1, len(a)-m), min(1, len(b)-n)), true
		}
		i, j = m+1, n+1
	}
}

// isList reports whether s is numbers, with one separator between two.
func isList(s, separators string) bool {
	for i := 0; ; i++ {
		n := digits(s, i)
		if n == i {
			return false
		}
		if n == len(s) {
			return true
		}
		if s[n] != separators[0] && s[n] != separators[len(separators)-1] {
			return false
		}
		i = n
	}
}
