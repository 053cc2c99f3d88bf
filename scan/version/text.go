package version

func isDigit(c byte) bool  { return c-'0' <= 9 }
func isLower(c byte) bool  { return c-'a' <= 25 }
func isLetter(c byte) bool { return c|0x20-'a' <= 25 }
func isAlnum(c byte) bool  { return isDigit(c) || isLetter(c) }

func lower(c byte) byte {
	if c-'A' <= 25 {
		return c | 0x20
	}
	return c
}

// digits returns the end of the run of digits that starts at i.
func digits(s string, i int) int {
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}

// letters returns the end of the run of letters that starts at i.
func letters(s string, i int) int {
	for i < len(s) && isLetter(s[i]) {
		i++
	}
	return i
}

// compareNumbers orders two runs of digits of any length by value; none at all
// is zero.
func compareNumbers(a, b string) int {
	for len(a) > 0 && a[0] == '0' {
		a = a[1:]
	}
	for len(b) > 0 && b[0] == '0' {
		b = b[1:]
	}
	if len(a) != len(b) {
		return order(len(a), len(b))
	}
	return compareBytes(a, b)
}

func isZero(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return false
		}
	}
	return true
}

// compareBytes orders as memcmp does. For short strings it beats
// strings.Compare.
func compareBytes(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return order(a[i], b[i])
		}
	}
	return order(len(a), len(b))
}

// compareFold is compareBytes without regard to the case of ASCII letters.
func compareFold(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return order(x, y)
		}
	}
	return order(len(a), len(b))
}

// sharedPrefix returns how many bytes at the start are the same.
func sharedPrefix(a, b string) int {
	i, n := 0, min(len(a), len(b))
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func order[T int | byte](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// printable reports whether s is not empty and has neither space nor control
// character.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}
