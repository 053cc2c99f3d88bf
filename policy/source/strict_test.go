package source_test

import (
	"strings"
	"testing"

	"sekisho"
	"sekisho/policy/source"
)

// TestStrict holds that every mistake has a place.
func TestStrict(t *testing.T) {
	type inner struct {
		Deep int `yaml:"deep"`
	}
	type file struct {
		Name string  `yaml:"name"`
		List []inner `yaml:"list"`
	}
	var v file
	if err := source.Strict(strings.NewReader("name: a\nlist:\n  - deep: 1\n"), "f.yaml", &v); err != nil || v.Name != "a" || v.List[0].Deep != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	for text, want := range map[string]string{
		"nam: a\n":                        `f.yaml:1:1: unknown field: "nam" is none of name, list, deep; is "name" meant?`,
		"name: a\nlist:\n  - {deap: 1}\n": "f.yaml:3:6: unknown field",
		"name: [1]\n":                     "f.yaml:1:7: have a list, want a text",
		"a: &x 1\nb: *x\n":                "anchors",
		"":                                "want one document",
		"- a\n":                           "want a mapping",
		"name: a\n---\nname: b\n":         "want one document",
		strings.Repeat("[", 100):          "nested",
		strings.Repeat("#", 2<<20) + "\n": "more than",
	} {
		if err := source.Strict(strings.NewReader(text), "f.yaml", &v); err == nil || !strings.Contains(err.Error(), want) || sekisho.KindOf(err) != sekisho.Invalid {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
	}
}

// FuzzStrict holds that no file panics.
func FuzzStrict(f *testing.F) {
	f.Add("name: a\nlist: [{deep: 1}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		var v struct {
			Name string           `yaml:"name"`
			List []map[string]any `yaml:"list"`
		}
		_ = source.Strict(strings.NewReader(text), "f.yaml", &v)
	})
}
