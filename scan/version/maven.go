package version

// mavenKind is the kind of an item of Maven's ComparableVersion.
type mavenKind uint8

const (
	mavenNumber mavenKind = iota
	mavenWord
	mavenList // opens the list that holds all further items
)

type mavenItem struct {
	kind mavenKind
	rank int8   // of a known word
	text string // digits without leading zeros, or an unknown word
}

// mavenWords are the known words in their order. The release is no word at all.
var mavenWords = [...]string{"alpha", "beta", "milestone", "rc", "snapshot", "", "sp"}

const (
	mavenRelease = 5
	mavenUnknown = 7
)

// mavenRoom is how many items need no allocation.
const mavenRoom = 40

// compareMaven is the order up to Maven 3.8.6, which feeds are made with: behind
// equal numbers 1.0.RC1 comes after 1.0-RC2. Later ones read both as 1.0-RC.
func compareMaven(a, b string) (int, bool) {
	if !printable(a) || !printable(b) {
		return 0, false
	}
	if plainDotted(a) && plainDotted(b) {
		return compareDotted(a, b), true
	}
	var roomA, roomB [mavenRoom]mavenItem
	return compareMavenItems(parseMaven(roomA[:0], a), parseMaven(roomB[:0], b)), true
}

// plainDotted reports whether s is numbers between dots, for which a missing
// number is zero.
func plainDotted(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && s[i] != '.' {
			return false
		}
	}
	return s != "" && s[0] != '.' && s[len(s)-1] != '.'
}

// parseMaven takes s apart at dots, hyphens, and between digits and others; a
// hyphen or such a change opens a list inside the list.
func parseMaven(items []mavenItem, s string) []mavenItem {
	start, digit := 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' || c == '-':
			items = append(items, mavenPart(s[start:i], digit, false))
			if c == '-' {
				items = append(items, mavenItem{kind: mavenList})
			}
			start = i + 1
		case isDigit(c):
			if !digit && i > start {
				items = append(items, mavenPart(s[start:i], false, true), mavenItem{kind: mavenList})
				start = i
			}
			digit = true
		default:
			if digit && i > start {
				items = append(items, mavenPart(s[start:i], true, false), mavenItem{kind: mavenList})
				start = i
			}
			digit = false
		}
	}
	if start < len(s) {
		items = append(items, mavenPart(s[start:], digit, false))
	}
	return normalizeMaven(items)
}

// mavenPart makes an item. Nothing between two separators is zero.
func mavenPart(s string, digit, followedByDigit bool) mavenItem {
	if s == "" || digit {
		for s != "" && s[0] == '0' {
			s = s[1:]
		}
		return mavenItem{text: s}
	}
	return mavenItem{kind: mavenWord, rank: mavenRank(s, followedByDigit), text: s}
}

// mavenRank knows aliases, and a, b and m when a digit follows.
func mavenRank(s string, followedByDigit bool) int8 {
	if followedByDigit && len(s) == 1 {
		switch lower(s[0]) {
		case 'a':
			return 0
		case 'b':
			return 1
		case 'm':
			return 2
		}
	}
	switch {
	case compareFold(s, "ga") == 0, compareFold(s, "final") == 0, compareFold(s, "release") == 0:
		return mavenRelease
	case compareFold(s, "cr") == 0:
		return 3
	}
	for rank, word := range mavenWords {
		if compareFold(s, word) == 0 {
			return int8(rank)
		}
	}
	return mavenUnknown
}

// normalizeMaven drops what says nothing from the end of each list: zeros,
// release words, empty lists. A list that holds only a list is that list, as the
// POM Reference, "Version Order Specification", has it.
func normalizeMaven(items []mavenItem) []mavenItem {
	w, trimming := len(items), true
	for i := len(items) - 1; i >= 0; i-- {
		it := items[i]
		if it.kind == mavenList {
			trimming = true
			if w == len(items) || items[w].kind == mavenList {
				continue
			}
		} else if trimming && it.null() {
			continue
		} else {
			trimming = false
		}
		w--
		items[w] = it
	}
	return items[w:]
}

func (it *mavenItem) null() bool {
	return it.kind == mavenNumber && it.text == "" || it.kind == mavenWord && it.rank == mavenRelease
}

func compareMavenItems(a, b []mavenItem) int {
	i := 0
	for ; i < len(a) && i < len(b); i++ {
		if c := a[i].compare(&b[i]); c != 0 {
			return c
		}
	}
	for ; i < len(a); i++ {
		if c := a[i].compareNone(); c != 0 {
			return c
		}
	}
	for ; i < len(b); i++ {
		if c := b[i].compareNone(); c != 0 {
			return -c
		}
	}
	return 0
}

// compare sorts words before lists before numbers.
func (it *mavenItem) compare(other *mavenItem) int {
	switch {
	case it.kind != other.kind:
		weight := [...]int{mavenNumber: 2, mavenWord: 0, mavenList: 1}
		return order(weight[it.kind], weight[other.kind])
	case it.kind == mavenNumber:
		return compareNumbers(it.text, other.text)
	case it.kind == mavenList:
		return 0
	case it.rank != other.rank || it.rank < mavenUnknown:
		return order(int(it.rank), int(other.rank))
	}
	return compareFold(it.text, other.text)
}

// compareNone compares with nothing at all.
func (it *mavenItem) compareNone() int {
	switch it.kind {
	case mavenNumber:
		return order(len(it.text), 0)
	case mavenWord:
		return order(int(it.rank), mavenRelease)
	}
	return 0
}
