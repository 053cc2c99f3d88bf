package version

import "strings"

// apkKind is a part of a version of apk-package(5): the later kinds sort a
// version down, unless the part is a suffix of a pre-release.
type apkKind uint8

const (
	apkFirst apkKind = iota // the first number
	apkNumber
	apkLetter
	apkSuffix
	apkSuffixNumber
	apkCommit
	apkRevision
	apkEnd
	apkOther // what the format does not know
)

// apkSuffixes in their order. Those before apkRelease precede a release.
var apkSuffixes = [...]string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}

const apkRelease = 4

// apkToken is the current part of a version, and what follows it.
type apkToken struct {
	kind  apkKind
	value string
	rank  int // of a suffix
	rest  string
}

// compareAPK follows apk-tools, which orders malformed versions too: what it
// does not understand sorts after every known part and equals itself.
func compareAPK(a, b string) (int, bool) {
	if !printable(a) || !printable(b) {
		return 0, false
	}
	x, y := apkToken{rest: a}, apkToken{rest: b}
	x.number(apkFirst)
	y.number(apkFirst)
	for x.kind == y.kind && x.kind < apkEnd {
		if c := x.compare(&y); c != 0 {
			return c, true
		}
		x.next()
		y.next()
	}
	return x.compareKind(&y), true
}

// compare orders two parts of one kind. As in Gentoo, numbers behind the first
// are compared as text when one has a leading zero.
func (x *apkToken) compare(y *apkToken) int {
	switch x.kind {
	case apkSuffix:
		return order(x.rank, y.rank)
	case apkLetter, apkCommit:
		return compareBytes(x.value, y.value)
	case apkNumber:
		if byteAt(x.value, 0) == '0' || byteAt(y.value, 0) == '0' {
			return compareBytes(x.value, y.value)
		}
	}
	return compareNumbers(x.value, y.value)
}

// compareKind orders two versions by the kind of the part in which they differ.
func (x *apkToken) compareKind(y *apkToken) int {
	switch {
	case x.kind == y.kind:
		return 0
	case x.kind == apkSuffix && x.rank < apkRelease:
		return -1
	case y.kind == apkSuffix && y.rank < apkRelease:
		return 1
	}
	return -order(byte(x.sortKind()), byte(y.sortKind()))
}

// sortKind takes a dot without a number for what it is: a mistake.
func (x *apkToken) sortKind() apkKind {
	if x.kind == apkNumber && x.value == "" {
		return apkOther
	}
	return x.kind
}

func (x *apkToken) next() {
	if x.rest == "" {
		x.kind = apkEnd
		return
	}
	switch c := x.rest[0]; {
	case isDigit(c) && x.kind == apkSuffix:
		x.number(apkSuffixNumber)
	case isDigit(c) && x.kind <= apkLetter:
		x.number(apkNumber)
	case isLower(c) && x.kind <= apkNumber:
		x.take(apkLetter, 1)
	case c == '.' && x.kind <= apkNumber:
		x.rest = x.rest[1:]
		x.number(apkNumber)
	case c == '_' && x.kind <= apkSuffixNumber:
		x.suffix()
	case c == '~' && x.kind < apkCommit:
		x.commit()
	case c == '-' && x.kind < apkRevision:
		x.revision()
	default:
		x.kind = apkOther
	}
}

func (x *apkToken) take(kind apkKind, n int) {
	x.kind, x.value, x.rest = kind, x.rest[:n], x.rest[n:]
}

func (x *apkToken) number(kind apkKind) { x.take(kind, digits(x.rest, 0)) }

func (x *apkToken) suffix() {
	n := 1
	for n < len(x.rest) && isLower(x.rest[n]) {
		n++
	}
	for rank, word := range apkSuffixes {
		if word != "" && x.rest[1:n] == word {
			x.take(apkSuffix, n)
			x.rank = rank
			return
		}
	}
	x.kind = apkOther
}

func (x *apkToken) commit() {
	n := 1
	for n < len(x.rest) && (isDigit(x.rest[n]) || x.rest[n]-'a' < 6) {
		n++
	}
	if n == 1 {
		x.kind = apkOther
		return
	}
	x.take(apkCommit, n)
}

// revision takes "-r" without a number for -r0, as apk-tools 2 did.
func (x *apkToken) revision() {
	rest, ok := strings.CutPrefix(x.rest, "-r")
	if !ok || rest != "" && !isDigit(rest[0]) && rest[0] != '-' {
		x.kind = apkOther
		return
	}
	x.rest = rest
	x.number(apkRevision)
}
