// Package sekisho is the vocabulary of the house: the words that the wings
// (scan, admit, enforce, report) exchange. It holds data and its validation,
// no behaviour, and imports the standard library only.
package sekisho
