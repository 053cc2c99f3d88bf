package secret_test

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"testing"

	"sekisho"
	"sekisho/internal/draw"
	"sekisho/internal/literal"
	"sekisho/internal/siphash"
	"sekisho/scan/secret"
)

// detector is an engine with its search for literals.
type detector struct {
	*secret.Engine
	set *literal.Set
}

// look runs the engine over one file.
func (e detector) look(name, text string) []sekisho.Finding {
	s := e.NewScanner()
	s.Begin(secret.File{Path: name}, []byte(text))
	e.set.Scan([]byte(text), s.Hit)
	found, _ := s.End()
	return found
}

func engine(t testing.TB, more ...secret.Config) detector {
	t.Helper()
	e, err := secret.New(siphash.Key{1}, more...)
	if err != nil {
		t.Fatal(err)
	}
	set, err := literal.New(e.Literals())
	if err != nil {
		t.Fatal(err)
	}
	return detector{e, set}
}

// TestEveryKindIsFound draws secrets of every kind from the kind's own form
// and wants each found under its name, in a file of settings, in one long line
// and behind an escape.
func TestEveryKindIsFound(t *testing.T) {
	e := engine(t)
	if n := len(e.Rules()); n < 250 {
		t.Fatalf("%d kinds of secrets, want at least 250", n)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, rule := range e.Rules() {
		if rule.Regex == "" || rule.Check == "basic" || rule.Check == "pgpass" || rule.Check == "stub-settings" || strings.HasPrefix(rule.Check, "jwt") {
			continue // have tests of their own
		}
		if strings.Contains(rule.Regex, "(?m)^") || rule.ID == "curl-user" || rule.ID == "curl-header" || rule.ID == "ado-connection-string" || rule.ID == "vault-legacy-token" {
			continue // these too: they need lines of their own
		}
		t.Run(rule.ID, func(t *testing.T) {
			tree, err := syntax.Parse(rule.Regex, syntax.Perl)
			if err != nil {
				t.Fatal(err)
			}
			missed := 0
			const rounds = 20
			for range rounds {
				v := draw.Text(r, tree)
				if len(rule.Near) > 0 {
					v = rule.Near[r.IntN(len(rule.Near))] + "_value=" + v
				}
				for _, text := range []string{"x = 1\n" + v + "\n", strings.Repeat("var a=b;", 2000) + v + ";" + strings.Repeat("c();", 2000), `"\n` + v + `\n"`} {
					if !has(e.look("app/settings.properties", text), rule) {
						missed++
						if missed == 3*rounds/2 {
							t.Fatalf("not found: %q", v)
						}
					}
				}
			}
			if missed > rounds/2 { // a drawn value may fall below the bound of entropy, or be of another kind too
				t.Errorf("%d of %d not found", missed, 3*rounds)
			}
		})
	}
}

func has(found []sekisho.Finding, rule secret.Rule) bool {
	for _, x := range found {
		if x.ID == rule.ID || x.Vendor == rule.Vendor && rule.Vendor != "" || len(rule.Near) > 0 && x.ID != "" {
			return true
		}
	}
	return false
}
