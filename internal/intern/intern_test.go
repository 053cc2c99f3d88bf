package intern_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sekisho/internal/intern"
)

func fields(b []byte) []string { return strings.Fields(string(b)) }

// TestSameText holds that texts come back as they are, shared or not, however
// many there are.
func TestSameText(t *testing.T) {
	n := intern.New(fields)
	for i := range 20000 {
		b := []byte("text " + strconv.Itoa(i%7000))
		if got := n.Text(b); got != string(b) {
			t.Fatalf("%q became %q", b, got)
		}
		if got := n.List(b); !slices.Equal(got, fields(b)) {
			t.Fatalf("%q became %q", b, got)
		}
	}
	long := bytes.Repeat([]byte("x "), 1<<16)
	if n.Text(long) != string(long) || len(n.List(long)) != 1<<16 || n.Text(nil) != "" || n.List(nil) != nil {
		t.Error("long or empty texts are not what they were")
	}
}

// TestShared holds that a text that comes again is not copied again, and that
// its bytes may change after.
func TestShared(t *testing.T) {
	n := intern.New(fields)
	b := []byte("one two")
	first := n.Text(b)
	n.List(b)
	if copies := testing.AllocsPerRun(100, func() { n.Text(b); n.List(b) }); copies > 0 {
		t.Errorf("%v copies", copies)
	}
	copy(b, "two")
	if first != "one two" || n.Text(b) != "two two" {
		t.Errorf("%q changed with the bytes", first)
	}
}
