package assurance_test

import (
	"strings"
	"testing"

	"sekisho/policy/assurance"
)

func TestParseErrors(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"unknown field of the file": {"name: a\nmdoe: deny\n", []string{"p.yaml:2:1:", `"mdoe"`, `is "mode" meant?`}},
		"unknown control":           {"name: a\ncontrols:\n  - control: severty\n", []string{"p.yaml:3:14:", `is "severity" meant?`}},
		"unknown parameter":         {"name: a\ncontrols:\n  - control: severity\n    maximum: high\n    only_fixabel: true\n", []string{"p.yaml:5:5:", `is "only_fixable" meant?`}},
		"nested unknown field":      {"name: a\ncontrols:\n  - control: signature\n    identities:\n      - issuer: a\n        subjct: b\n", []string{"p.yaml:6:9:", `is none of issuer, subject; is "subject" meant?`}},
		"scope field":               {"name: a\nscope:\n  image: [x]\n", []string{"p.yaml:3:3:", `is "images" meant?`}},
		"value":                     {"name: a\ncontrols:\n  - control: severity\n    maximum: hihg\n", []string{"p.yaml:4:14:", `is "high" meant?`}},
		"type":                      {"name: a\ncontrols:\n  - control: severity\n    maximum: high\n    grace_days: soon\n", []string{"p.yaml:5:17:", "whole number"}},
		"mode":                      {"name: a\nmode: block\n", []string{"p.yaml:2:7:", "audit, warn, deny"}},
		"no controls":               {"name: a\n", []string{"p.yaml:1:", "let everything pass"}},
		"pattern":                   {"name: a\nscope: {images: ['app*']}\ncontrols: [{control: sbom}]\n", []string{"p.yaml:2:", "registry"}},
		"anchor":                    {"name: &x a\ncontrols: [{control: sbom}]\n", []string{"p.yaml:1:", "anchors"}},
		"syntax":                    {"name: a\ncontrols: [\n", []string{"p.yaml:"}},
		"text for a list":           {"name: a\nscope: {images: nginx}\n", []string{"p.yaml:2:17:", "have a text, want a list"}},
		"missing value":             {"name: a\ncontrols:\n  - control: severity\n", []string{"p.yaml:3:", "maximum: it is missing, want one of critical"}},
		"two documents":             {"name: a\n---\nname: b\n", []string{"one document"}},
		"rule, quoted":              {"name: a\nrules:\n  - name: x\n    expression: \"image.tga == 'a'\"\n", []string{"p.yaml:4:23:", "tga"}},
		"rule, plain":               {"name: a\nrules:\n  - name: x\n    expression: image.tag == 3\n", []string{"p.yaml:4:27:", "no matching overload"}},
		"rule, block":               {"name: a\nrules:\n  - name: x\n    expression: |\n      image.tag != '' &&\n        image.user > 1\n", []string{"p.yaml:6:20:", "no matching overload"}},
		"rule, no condition":        {"name: a\nrules:\n  - name: x\n    expression: image.tag\n", []string{"p.yaml:4:17:", "true or false"}},
		"two mistakes":              {"name: a\ncontrols:\n  - control: nope\n  - control: image-age\n", []string{"p.yaml:3:14:", "p.yaml:4:", "max_days"}},
	} {
		_, err := assurance.Parse(strings.NewReader(c.in), "p.yaml")
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q, want %q in it", name, err, w)
			}
		}
	}
}
