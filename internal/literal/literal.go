// Package literal finds many short byte strings in one pass over a buffer.
// Literals of at least MinLength bytes enter with their case rule; every place
// where one begins leaves, in order of place. It is the prefilter in front of
// everything that looks into the content of files: nothing here knows what a
// literal is for.
package literal

// MinLength is the shortest literal in bytes.
const MinLength = 3

// Literal is a string to find.
type Literal struct {
	Text []byte
	Fold bool // letters A to Z match in either case
}
