// Package intern lets values that are read again and again share their texts.
// It is bounded, and forgets instead of growing.
package intern

import "hash/maphash"

// Bounds of what is kept to be shared.
const (
	slots     = 4096 // of texts
	listSlots = 1024
	maxBytes  = 4096 // of one text
)

// Table keeps texts by their hash. A place that two texts want belongs to the
// later one, so a flood of new texts costs a copy each, as without the table.
// One goroutine uses it.
type Table struct {
	seed  maphash.Seed
	split func([]byte) []string
	texts []string
	lists []list
}

type list struct {
	raw   string
	words []string
}

// New returns an empty table whose lists are what split makes of a text.
func New(split func([]byte) []string) *Table {
	return &Table{seed: maphash.MakeSeed(), split: split, texts: make([]string, slots), lists: make([]list, listSlots)}
}

// Text returns bytes as a string.
func (n *Table) Text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxBytes {
		return string(b)
	}
	slot := &n.texts[maphash.Bytes(n.seed, b)%slots]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

// List returns a text split up. Nobody may change it.
func (n *Table) List(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	if len(b) > maxBytes {
		return n.split(b)
	}
	slot := &n.lists[maphash.Bytes(n.seed, b)%listSlots]
	if slot.raw != string(b) {
		slot.raw, slot.words = string(b), n.split(b)
	}
	return slot.words
}
