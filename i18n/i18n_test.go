package i18n_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"sekisho/i18n"
)

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// TestCatalogues holds that both languages say the same things: the same keys
// with the same placeholders.
func TestCatalogues(t *testing.T) {
	en, ja := i18n.New(i18n.English), i18n.New(i18n.Japanese)
	for _, k := range ja.Keys() {
		if !en.Has(k) {
			t.Errorf("key %q has no English text", k)
		}
	}
	for _, k := range en.Keys() {
		if !ja.Has(k) {
			t.Errorf("key %q has no Japanese text", k)
			continue
		}
		a, b := placeholder.FindAllString(en.Text(k), -1), placeholder.FindAllString(ja.Text(k), -1)
		slices.Sort(a)
		slices.Sort(b)
		if a, b = slices.Compact(a), slices.Compact(b); !slices.Equal(a, b) {
			t.Errorf("key %q: placeholders differ: en %v, ja %v", k, a, b)
		}
	}
}

func TestText(t *testing.T) {
	p := i18n.New(i18n.FromLocale("ja_JP.UTF-8"))
	if p.Lang() != i18n.Japanese {
		t.Fatalf("ja_JP.UTF-8 gave %s", p.Lang())
	}
	if got := p.Text("no.such.key"); got != "no.such.key" {
		t.Errorf("a missing key should be seen, got %q", got)
	}
	en := i18n.New(i18n.English)
	for n, want := range map[int]string{0: "0 reasons", 1: "1 reason", 2: "2 reasons", 11: "11 reasons"} {
		if got := en.Text("cli.denied", "policy", "p", "count", n); !strings.HasSuffix(got, " "+want) {
			t.Errorf("want %q at the end of %q", want, got)
		}
	}
}
