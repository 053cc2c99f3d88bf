package authz_test

import (
	"os"
	"strings"
	"testing"

	"sekisho/admit/authz"
)

// TestDocs holds that the page about this gate names every action, and that its
// example is right.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/admission-docker.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	list := page[strings.Index(page, "| `actions` |"):]
	list = list[:strings.Index(list, "\n")]
	for _, a := range authz.Actions() {
		if !strings.Contains(list, " "+a+" ") && !strings.Contains(list, "`"+a+" ") && !strings.Contains(list, " "+a+"`") {
			t.Errorf("docs/admission-docker.md does not list the action %s", a)
		}
	}
	example := page[strings.Index(page, "```yaml\nrules:")+len("```yaml\n"):]
	rules, err := authz.ParseRules(strings.NewReader(example[:strings.Index(example, "```")]), "docs")
	if err != nil || len(rules.Rules) != 4 {
		t.Errorf("the example: %v", err)
	}
	grants := page[strings.Index(page, "**Grants.**"):strings.Index(page, "`KIND:*`")]
	for _, word := range strings.Split(grants, "`") {
		kind, _, _ := strings.Cut(word, ":")
		if strings.ContainsAny(word, " \n·()*") || word == "" || word == "create" || word == "start" {
			continue
		}
		text := "rules:\n  - {name: a, local: true, actions: [run], grants: ['" + strings.ReplaceAll(word, "NAME=VALUE", "a=b") + "']}\n"
		if _, err := authz.ParseRules(strings.NewReader(text), "docs"); err != nil {
			t.Errorf("the grant %s (%s): %v", word, kind, err)
		}
	}
}

// FuzzRules holds that no file of rules panics, and that one without rules lets
// nobody do anything.
func FuzzRules(f *testing.F) {
	f.Add(rulesText)
	f.Add("rules:\n  - {name: a, local: true, actions: ['*'], grants: ['*'], images: ['**'], users: ['[a-']}\n")
	f.Add("engine: x\nruntimes: [a]\nimages: judge\nstart_by: id\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := authz.ParseRules(strings.NewReader(text), "f.yaml")
		if (r == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	})
}
