package assurance_test

import (
	"bytes"
	"testing"

	"sekisho/policy/assurance"
	"sekisho/policy/ready"
)

func FuzzParse(f *testing.F) {
	for _, name := range ready.Names() {
		data, err := ready.Source(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range snippets {
		f.Add([]byte("name: a\ncontrols:\n  - " + s + "\n"))
	}
	f.Add([]byte("name: a\nscope: {images: ['r.example/**'], labels: {a: b}}\nrules:\n  - name: x\n    expression: |\n      image.tag ==\n        3\n"))
	whole := whole()
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := assurance.Parse(bytes.NewReader(data), "p")
		if err != nil {
			return
		}
		if len(p.Controls()) == 0 {
			t.Error("a policy without controls was taken")
		}
		v := assurance.Evaluate(assurance.NewSet(p), assurance.Prepare(&whole.Image, nil), &whole.Request)
		if d := v.Decision(); d.Result != v.Result {
			t.Errorf("the verdict is %s, the decision %s", v.Result, d.Result)
		}
	})
}
