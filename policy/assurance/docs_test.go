package assurance_test

import (
	"os"
	"strings"
	"testing"

	"sekisho/policy/assurance"
)

// TestReference holds docs/policy.md to the controls: each has a row that
// names all of its parameters.
func TestReference(t *testing.T) {
	data, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, controls, _ := strings.Cut(string(data), "\n## Controls\n")
	for _, name := range assurance.Names() {
		_, row, found := strings.Cut(controls, "\n| `"+name+"` |")
		if !found {
			t.Errorf("docs/policy.md has no row for %s", name)
			continue
		}
		row, _, _ = strings.Cut(row, "\n")
		for _, p := range assurance.Parameters(name) {
			if !strings.Contains(row, "`"+p) {
				t.Errorf("docs/policy.md: %s does not tell of %s", name, p)
			}
		}
	}
}

// TestExample reads the example of docs/policy.md.
func TestExample(t *testing.T) {
	data, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(data), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if p, err := assurance.Parse(strings.NewReader(example), "docs/policy.md"); err != nil || len(p.Controls()) != 3 {
		t.Errorf("the example cannot be read: %v", err)
	}
}
