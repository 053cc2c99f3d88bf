package ready_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho"
	"sekisho/i18n"
	"sekisho/policy/assurance"
	"sekisho/policy/ready"
)

var update = flag.Bool("update", false, "write docs/policies anew")

// TestAll holds that every policy can be read, and that each of its controls
// says why in both languages.
func TestAll(t *testing.T) {
	for _, name := range ready.Names() {
		p, err := ready.Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Name != name || p.Owner == "" || p.Description.English == "" || p.Description.Japanese == "" {
			t.Errorf("%s: its name, owner or description is off: %+v", name, p)
		}
		for _, c := range p.Outline() {
			if c.Why.English == "" || c.Why.Japanese == "" {
				t.Errorf("%s: %s does not say why in both languages", name, c.Control)
			}
		}
	}
	if ready.Has("../ready") || ready.Has("nothing") {
		t.Error("a policy that is not there was found")
	}
	if _, err := ready.Open("nothing"); sekisho.KindOf(err) != sekisho.NotFound || !strings.Contains(err.Error(), "baseline") {
		t.Errorf("error %v, want one that names what there is", err)
	}
}

// TestPages holds docs/policies to the policies.
func TestPages(t *testing.T) {
	for _, name := range ready.Names() {
		p, err := ready.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		file, want := filepath.Join("..", "..", "docs", "policies", name+".md"), page(p)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the policy says (%v); go test ./policy/ready -update", file, err)
		}
	}
}

func page(p *assurance.Policy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The policy %s\n\n%s\n\n%s\n\n", p.Name, p.Description.English, p.Description.Japanese)
	fmt.Fprintf(&b, "`sekisho scan --policy %s TARGET` uses it as it is; `sekisho policy show %s > my.yaml` is where one of your own begins.\n", p.Name, p.Name)
	en, ja := i18n.New(i18n.English), i18n.New(i18n.Japanese)
	for _, c := range p.Outline() {
		fmt.Fprintf(&b, "\n## %s / %s\n\n`%s`", en.Text("policy."+c.Control+".title"), ja.Text("policy."+c.Control+".title"), strings.TrimSpace(c.Control+" "+c.Wants))
		if c.Effect == sekisho.Note {
			b.WriteString(" · told only")
		}
		if c.NotAssessed == sekisho.Allow {
			b.WriteString(" · passes when not assessed")
		}
		if len(c.At) > 0 {
			b.WriteString(" · at " + strings.Join(c.At, ", "))
		}
		fmt.Fprintf(&b, "\n\n%s\n\n%s\n", c.Why.English, c.Why.Japanese)
		if len(c.Satisfies) > 0 {
			fmt.Fprintf(&b, "\nEvidence for: %s\n", strings.Join(c.Satisfies, ", "))
		}
	}
	return b.String()
}
