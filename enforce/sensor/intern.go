package sensor

import (
	"hash/maphash"
)

// Bounds of what is kept to be shared.
const (
	internSlots = 4096 // a power of two
	internBytes = 4096 // of one text
)

// intern lets events share texts that come again and again: paths, command
// lines, directories. What two texts of one place fight for belongs to the
// later one: a flood of new texts costs a copy each, as without it. One
// goroutine uses it.
type intern struct {
	seed  maphash.Seed
	texts []string
	lists []list
}

type list struct {
	raw   string
	words []string
}

func newIntern() *intern {
	return &intern{seed: maphash.MakeSeed(), texts: make([]string, internSlots), lists: make([]list, internSlots/4)}
}

// text returns bytes as a string.
func (n *intern) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > internBytes {
		return string(b)
	}
	slot := &n.texts[maphash.Bytes(n.seed, b)%internSlots]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

// words returns what execve left in memory as a list, which nobody changes.
func (n *intern) words(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	if len(b) > internBytes {
		return words(b)
	}
	slot := &n.lists[maphash.Bytes(n.seed, b)%(internSlots/4)]
	if slot.raw != string(b) {
		slot.raw, slot.words = string(b), words(b)
	}
	return slot.words
}
