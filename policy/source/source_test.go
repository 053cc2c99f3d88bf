package source_test

import (
	"strings"
	"testing"

	"sekisho/policy/source"
)

// TestRoot holds what is refused before anything is decoded.
func TestRoot(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "p:1:1: want one document",
		"- a\n":                    "want a mapping",
		"a: &x 1\nb: *x\n":         "p:1:4: anchors",
		"a: {<<: {b: 1}}\n":        "merge keys",
		"a: 1\n---\nb: 2\n":        "want one document",
		strings.Repeat("[", 1000):  "nested more than",
		strings.Repeat("#", 2<<20): "more than 1048576 bytes",
		"a: [\n":                   "p:1:4",
		"a: 1\na: 2\n":             "p:2:1",
	} {
		f := &source.File{Name: "p", Data: []byte(in)}
		root := f.Root()
		if root != nil && len(f.Errors) == 0 {
			t.Errorf("%.20q was taken", in)
			continue
		}
		if len(f.Errors) == 0 || !strings.Contains(f.Errors[0].Error(), want) {
			t.Errorf("%.20q: errors %v, want %q", in, f.Errors, want)
		}
	}
}
