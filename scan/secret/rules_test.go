package secret_test

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"testing"

	"sekisho"
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

// sample draws a text that an expression matches.
func sample(r *rand.Rand, re *syntax.Regexp) string {
	var b strings.Builder
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			b.WriteRune(c)
		}
	case syntax.OpCharClass:
		var chars []rune
		for i := 0; i < len(re.Rune); i += 2 {
			for c := max(re.Rune[i], '!'); c <= min(re.Rune[i+1], '~'); c++ {
				chars = append(chars, c)
			}
		}
		if len(chars) == 0 {
			return " "
		}
		b.WriteRune(chars[r.IntN(len(chars))])
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		b.WriteByte("abcdefgh12345"[r.IntN(13)])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		low, high := re.Min, re.Max
		switch re.Op {
		case syntax.OpStar:
			low, high = 0, 3
		case syntax.OpPlus:
			low, high = 10, 12
		case syntax.OpQuest:
			low, high = 0, 1
		}
		if high < 0 {
			high = low + 3
		}
		for range low + r.IntN(min(high, low+20)-low+1) {
			b.WriteString(sample(r, re.Sub[0]))
		}
	case syntax.OpAlternate:
		return sample(r, re.Sub[r.IntN(len(re.Sub))])
	default:
		for _, s := range re.Sub {
			b.WriteString(sample(r, s))
		}
	}
	return b.String()
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
				v := sample(r, tree)
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
