package harmless

import "testing"

func TestHarmless(t *testing.T) {
	for in, want := range map[string][2]string{
		"app 関所 é":                  {"app 関所 é", "app 関所 é"},
		"a\nb\tc":                   {"a\uFFFDb\uFFFDc", "a\nb\tc"},
		"\x1b[2Jgone":               {"\uFFFD[2Jgone", "\uFFFD[2Jgone"},
		"a\rb\x7f\u009b2J":          {"a\uFFFDb\uFFFD\uFFFD2J", "a\uFFFDb\uFFFD\uFFFD2J"},
		"user\u202etxt.exe":         {"user\uFFFDtxt.exe", "user\uFFFDtxt.exe"},
		"\u2066a\u2069\u200f\u061c": {"\uFFFDa\uFFFD\uFFFD\uFFFD", "\uFFFDa\uFFFD\uFFFD\uFFFD"},
		"a\u2028b":                  {"a\uFFFDb", "a\uFFFDb"},
		"bad \xff utf":              {"bad \uFFFD utf", "bad \uFFFD utf"},
	} {
		if got := [2]string{Line(in), Text(in)}; got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
