package rule_test

import (
	"errors"
	"strings"
	"testing"

	"sekisho/policy/rule"
)

// TestCompile holds that mistakes are found when the expression is read, at
// their place.
func TestCompile(t *testing.T) {
	for in, want := range map[string]string{
		"image.tga == ''":                 "1:6: undefined field",
		"image.tag == 1":                  "no matching overload",
		"image.tag":                       "true or false",
		"nothing":                         "undeclared reference",
		"image.tag.matches('[')":          "1:",
		"true &&\n  workload.user == 5":   "2:17:",
		"(":                               "1:2:",
		strings.Repeat("(", 500) + "true": "",
		strings.Repeat("true || ", 5000) + "true": "",
	} {
		_, err := rule.Compile(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", in, err, want)
		}
	}
}

func TestUses(t *testing.T) {
	p, err := rule.Compile("vulnerabilities.exists(v, v.kev) || image.tag == 'a'")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"vulnerabilities": true, ".kev": true, "image": true, ".tag": true, "workload": false, ".epss": false} {
		if p.Uses(name) != want {
			t.Errorf("%s: got %v", name, !want)
		}
	}
}

// TestUnknown holds that an answer which does not depend on what is not known
// is given, and no other.
func TestUnknown(t *testing.T) {
	unknown := []rule.Path{{Variable: "workload", Field: "user"}, {Variable: "signatures"}}
	for in, want := range map[string]error{
		"workload.user == 'x'":                         rule.ErrUnknown,
		"workload.user == 'x' || true":                 nil,
		"workload.user == 'x' && image.tag == ''":      rule.ErrUnknown,
		"workload.name == ''":                          nil,
		"signatures.size() == 0":                       rule.ErrUnknown,
		"signatures.all(s, s.key == 'a')":              rule.ErrUnknown,
		"image.tag == '' ? true : workload.user == ''": nil,
	} {
		p, err := rule.Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		ok, err := p.Evaluate(&rule.Facts{}, unknown)
		if !errors.Is(err, want) || want == nil && !ok {
			t.Errorf("%s: got %v, %v; want %v", in, ok, err, want)
		}
		var u *rule.Unknown
		if errors.As(err, &u) && (len(u.Facts) != 1 || u.Facts[0] != "workload.user" && u.Facts[0] != "signatures") {
			t.Errorf("%s: it depends on %v", in, u.Facts)
		}
	}
}

// TestEveryMistake holds that all mistakes of an expression are told at once.
func TestEveryMistake(t *testing.T) {
	_, err := rule.Compile("image.labels.foo == 3 &&\n imag.user == ''")
	var all rule.Errors
	if !errors.As(err, &all) || len(all) != 2 || all[0].Line != 1 || all[0].Column != 18 || all[1].Line != 2 || all[1].Column != 2 {
		t.Errorf("%v", err)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("image.tag != 'latest' && vulnerabilities.all(v, v.rank < 5)")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := rule.Compile(text)
		if err == nil {
			_, _ = p.Evaluate(&rule.Facts{Vulnerabilities: []rule.Vulnerability{{ID: "x"}}}, []rule.Path{{Variable: "image", Field: "tag"}})
		}
	})
}
