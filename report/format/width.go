package format

import (
	"io"
	"strings"

	"golang.org/x/text/width"
)

// columns is how many columns of a terminal a text takes: East Asian wide
// characters take two (Unicode Standard Annex 11).
func columns(s string) (n int) {
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r >= 0x300 && r < 0x370:
		return 0 // combining marks
	case r < 0x1100:
		return 1
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// fit shortens a text in its middle to at most n columns.
func fit(s string, n int) string {
	if columns(s) <= n || n < 5 {
		return s
	}
	runes := []rune(s)
	head, used := 0, 0
	for used+runeColumns(runes[head]) <= (n-1)/2 {
		used += runeColumns(runes[head])
		head++
	}
	tail := len(runes)
	for used+1+runeColumns(runes[tail-1]) <= n {
		tail--
		used += runeColumns(runes[tail])
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// pad fills a text with blanks to n columns.
func pad(s string, n int) string {
	for c := columns(s); c < n; c++ {
		s += " "
	}
	return s
}

// wrap breaks a text into lines of at most n columns: at blanks, and between
// wide characters, which need none.
func wrap(s string, n int) (lines []string) {
	line, at, blank, blankAt := []rune{}, 0, -1, 0
	for _, r := range s {
		c := runeColumns(r)
		if at+c > n && len(line) > 0 {
			switch {
			case blank > 0:
				lines = append(lines, string(line[:blank]))
				line, at = append([]rune{}, line[blank+1:]...), at-blankAt
			default:
				lines = append(lines, string(line))
				line, at = nil, 0
			}
			blank = -1
		}
		line, at = append(line, r), at+c
		if r == ' ' {
			blank, blankAt = len(line)-1, at
		}
		if c == 2 {
			blank = -1
		}
	}
	return append(lines, string(line))
}

// Columns writes rows whose cells stand under one another, two blanks apart.
func Columns(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(pad(cell, widths[i]) + "  ")
		}
		if _, err := io.WriteString(w, strings.TrimRight(line.String(), " ")+"\n"); err != nil {
			return err
		}
	}
	return nil
}
