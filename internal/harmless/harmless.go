// Package harmless makes text of strangers harmless to print: text goes in, the
// same text comes out with a replacement character for everything that would
// steer a terminal or turn the direction of what stands around it.
package harmless

import "strings"

// Line is for what stands on one line: line ends and tabs are made harmless too.
func Line(s string) string { return strings.Map(line, s) }

// Text is for what may have lines: line ends and tabs stay.
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return line(r)
	}, s)
}

func line(r rune) rune {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0, // C0 and C1: escape sequences begin with them
		r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c, // of Unicode's bidirectional algorithm
		r == 0x2028, r == 0x2029: // further line ends
		return '\uFFFD'
	}
	return r
}
