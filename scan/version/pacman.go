package version

// comparePacman is vercmp(8): releases count only when both sides have one.
func comparePacman(a, b string) (int, bool) {
	if !printable(a) || !printable(b) {
		return 0, false
	}
	x, y := parseEVR(a), parseEVR(b)
	if c := comparePacmanPart(orZero(x.epoch), orZero(y.epoch)); c != 0 {
		return c, true
	}
	if c := comparePacmanPart(x.version, y.version); c != 0 || !x.released || !y.released {
		return c, true
	}
	return comparePacmanPart(x.release, y.release), true
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// comparePacmanPart is rpm's older order, with separators that count by their
// length and trailing letters that precede.
func comparePacmanPart(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		m, n := separators(a, i), separators(b, j)
		if m == len(a) || n == len(b) {
			i, j = m, n
			break
		}
		if m-i != n-j {
			return order(m-i, n-j)
		}
		run, numeric := letters, isDigit(a[m])
		if numeric {
			run = digits
		}
		i, j = run(a, m), run(b, n)
		if j == n {
			return before(!numeric)
		}
		if c := compareRun(a[m:i], b[n:j], numeric); c != 0 {
			return c
		}
	}
	if i == len(a) && j == len(b) {
		return 0
	}
	return before(i == len(a) && !isLetter(byteAt(b, j)) || isLetter(byteAt(a, i)))
}

// separators returns the end of the run of separators that starts at i.
func separators(s string, i int) int {
	for i < len(s) && !isAlnum(s[i]) {
		i++
	}
	return i
}
