package draw_test

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"testing"

	"sekisho/internal/draw"
)

func TestText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, expr := range []string{`abc`, `[a-f0-9]{32}`, `(?i)key\s{0,3}=(?:[a-z]{2,}|\d+)?x*`, `a.b+`, `[^\n]{3}`, `\x00?z`} {
		tree, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			if text := draw.Text(r, tree); !regexp.MustCompile(`^(?:` + expr + `)$`).MatchString(text) {
				t.Fatalf("%s does not match %q", expr, text)
			}
		}
	}
}
