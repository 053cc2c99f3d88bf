// Package nearest finds the word that somebody probably meant.
package nearest

// Word is the word that needs the fewest changes, if they are few.
func Word(have string, words []string) (best string) {
	least := len(have)/3 + 2
	for _, w := range words {
		if d := distance(have, w); d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is Levenshtein's. Long words are not compared.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, last+cost)
		}
	}
	return row[len(b)]
}
