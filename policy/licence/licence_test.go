package licence_test

import (
	"strings"
	"testing"

	"sekisho/policy/licence"
)

func TestAllowed(t *testing.T) {
	ok := func(id string) bool { return !strings.HasPrefix(id, "GPL") && id != "" }
	for text, want := range map[string]bool{
		"MIT": true, "GPL-3.0-only": false, "MIT OR GPL-3.0-only": true, "MIT AND GPL-3.0-only": false, "GPL-2.0 or (MIT and Apache-2.0)": true,
		"(MIT OR GPL-2.0) AND GPL-3.0": false, "GPL-2.0 WITH Classpath-exception-2.0": false, "MIT WITH x": true,
		"GPL see file":                         false, // no expression: one name, with all of its text
		"(MIT":                                 true,
		strings.Repeat("(", 100_000) + "GPL-2": true,
	} {
		if got := licence.Parse(text).Allowed(ok); got != want {
			t.Errorf("%.60s: got %v, want %v", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("MIT OR (GPL-2.0-only AND Apache-2.0 WITH x)")
	f.Fuzz(func(t *testing.T, text string) {
		l := licence.Parse(text)
		if l.Allowed(func(string) bool { return false }) {
			t.Errorf("%q is allowed where nothing is", text)
		}
		if !l.Allowed(func(string) bool { return true }) {
			t.Errorf("%q is not allowed where everything is", text)
		}
	})
}
