package rulefile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sekisho/enforce/detect/cond"
	"sekisho/enforce/detect/rulefile"
)

const base = `
- list: shells
  items: [bash, zsh]
- list: more
  items: [shells, "two words", 7]
- list: none
  items: []
- macro: exec
  condition: (evt.type = execve)
- macro: shell
  condition: (exec and proc.name in (more))
- rule: r
  desc: d
  condition: shell and not proc.pname in (none)
  output: o
  priority: warning
  tags: [a]
`

func read(t *testing.T, texts ...string) (*rulefile.Loader, map[string]*rulefile.Rule) {
	t.Helper()
	l := rulefile.New()
	for i, text := range texts {
		l.Add(fmt.Sprintf("%d.yaml", i), []byte(text))
	}
	rules := map[string]*rulefile.Rule{}
	for _, r := range l.Rules() {
		rules[r.Name] = r
	}
	l.CheckMacros()
	return l, rules
}

func clean(t *testing.T, texts ...string) map[string]*rulefile.Rule {
	t.Helper()
	l, rules := read(t, texts...)
	for _, p := range l.Problems {
		if !p.Warning {
			t.Error(p)
		}
	}
	return rules
}

// checks writes the checks of a condition, in order.
func checks(n *cond.Node) string {
	var out []string
	n.Walk(func(n *cond.Node) {
		if n.Op == cond.Check {
			out = append(out, fmt.Sprintf("%s %s %s", n.Left, n.Cmp, strings.Join(n.Values, "|")))
		}
	})
	return strings.Join(out, "; ")
}

func TestBase(t *testing.T) {
	r := clean(t, base)["r"]
	if got, want := checks(r.Condition), "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in "; got != want {
		t.Errorf("checks are %q, want %q", got, want)
	}
	if r.Priority.String() != "Warning" || !r.Enabled || r.Line != 12 {
		t.Errorf("%+v", r)
	}
}

func TestChanges(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"append to a list":           {"- list: shells\n  items: [ksh]\n  append: true\n", "evt.type = execve; proc.name in bash|zsh|ksh|two words|7; proc.pname in "},
		"override of a list":         {"- list: none\n  items: [x]\n  override: {items: replace}\n", "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in x"},
		"redefined list":             {"- list: shells\n  items: [fish]\n", "evt.type = execve; proc.name in fish|two words|7; proc.pname in "},
		"append to a macro":          {"- macro: exec\n  condition: or evt.type = execveat\n  override: {condition: append}\n", "evt.type = execve; evt.type = execveat; proc.name in bash|zsh|two words|7; proc.pname in "},
		"redefined macro":            {"- macro: exec\n  condition: evt.type = clone\n", "evt.type = clone; proc.name in bash|zsh|two words|7; proc.pname in "},
		"append to a rule":           {"- rule: r\n  condition: and user.uid = 0\n  append: true\n", "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in ; user.uid = 0"},
		"override of a condition":    {"- rule: r\n  condition: exec\n  override: {condition: replace}\n", "evt.type = execve"},
		"exception of one field":     {"- rule: r\n  exceptions: [{name: e, fields: proc.exepath, values: [/a, /b c]}]\n  override: {exceptions: append}\n", "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in ; proc.exepath in /a|/b c"},
		"exception of two fields":    {"- rule: r\n  exceptions: [{name: e, fields: [proc.name, fd.name], comps: [=, startswith], values: [[a, /x], [b, /y]]}]\n  override: {exceptions: append}\n", "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in ; proc.name = a; fd.name startswith /x; proc.name = b; fd.name startswith /y"},
		"exception with a list":      {"- rule: r\n  exceptions: [{name: e, fields: [proc.name, user.uid], comps: [in, =], values: [[[a, b], 0]]}]\n  override: {exceptions: append}\n", "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in ; proc.name in a|b; user.uid = 0"},
		"exception by path":          {"- rule: r\n  exceptions: [{name: e, fields: fd.name, comps: pmatch, values: [/usr]}]\n  override: {exceptions: append}\n", "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in ; fd.name pmatch /usr"},
		"exception without a value":  {"- rule: r\n  exceptions: [{name: e, fields: fd.name}]\n  override: {exceptions: append}\n", "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in "},
		"exception, one more value":  {"- rule: r\n  exceptions: [{name: e, fields: fd.name, values: [/a]}]\n  override: {exceptions: append}\n- rule: r\n  exceptions: [{name: e, values: [/b]}]\n  override: {exceptions: append}\n", "evt.type = execve; proc.name in bash|zsh|two words|7; proc.pname in ; fd.name in /a|/b"},
		"a macro further down":       {"- macro: shell\n  condition: later\n- macro: later\n  condition: evt.type = fork\n- macro: shell\n  condition: later\n", "evt.type = fork; proc.pname in "},
		"a comma goes with no items": {"- rule: r\n  condition: proc.name in (none, x) and proc.name in (x, none) and proc.name in (x, none, y)\n  override: {condition: replace}\n", "proc.name in x; proc.name in x; proc.name in x|y"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := checks(clean(t, base, c.text)["r"].Condition); got != c.want {
				t.Errorf("checks are\n%s, want\n%s", got, c.want)
			}
		})
	}
}

func TestScalars(t *testing.T) {
	r := clean(t, base, "- rule: r\n  enabled: false\n  priority: CRITICAL\n  tags: [b]\n  output: \" p\"\n  override: {enabled: replace, priority: replace, tags: append, output: append}\n")["r"]
	if r.Enabled || r.Priority.String() != "Critical" || strings.Join(r.Tags, ",") != "a,b" || r.Output != "o  p" {
		t.Errorf("%+v", r)
	}
	if r := clean(t, base, "- rule: r\n  enabled: false\n")["r"]; r.Enabled {
		t.Error("enabled alone does not switch off")
	}
}

// TestMistakes holds that mistakes are found, with their place.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"a: b":                   "1.yaml:1:2: want a list of items",
		"- rule: x\n  desc: d\n": "1.yaml:1:7: rule x: want condition",
		"- rule: x\n  desc: d\n  output: o\n  priority: loud\n  condition: evt.type=a\n":                                                            `1.yaml:4:13: rule x: priority: "loud" is none of`,
		"- rule: x\n  desc: d\n  output: o\n  priority: info\n  condition: evt.type=a and\n":                                                        "1.yaml:5:14: rule x: condition: offset 11, near \"and\"",
		"- rule: x\n  desc: d\n  output: o\n  priority: info\n  condition: nope\n":                                                                  "there is no field or macro nope above",
		"- rule: x\n  desc: d\n  output: o\n  priority: info\n  condition: shells\n":                                                                "want and, or, or the end",
		"- rule: x\n  condition: and a.b=c\n  append: true\n":                                                                                       "there is no such rule above",
		"- rule: r\n  condition: and a.b=c\n  override: {condition: prepend}\n":                                                                     `condition cannot be "prepend"`,
		"- rule: r\n  priority: info\n  override: {priority: append}\n":                                                                             `priority cannot be "append"`,
		"- rule: r\n  exceptions: [{name: e, fields: [a.b, c.d], values: [[x]]}]\n  override: {exceptions: append}\n":                               "want 2 values in a row",
		"- rule: r\n  exceptions: [{name: e, fields: [a.b, c.d], comps: [=]}]\n  override: {exceptions: append}\n":                                  "2 fields and 1 comparisons",
		"- rule: r\n  exceptions: [{name: e, fields: a.b, comps: startswith, values: [x]}]\n  override: {exceptions: append}\n":                     "compared by in, pmatch or intersects",
		"- rule: r\n  exceptions: [{fields: a.b}]\n  override: {exceptions: append}\n":                                                              "want a name",
		"- required_engine_version: 0.58.0\n":                                                                                                       "the file wants 0.58.0",
		"- required_engine_version: 58\n":                                                                                                           "the file wants 58",
		"- required_engine_version: new\n":                                                                                                          `"new" is no version`,
		"- list: l\n":                                                                                                                               "want a name and items",
		"- list: l\n  items: [x]\n  append: true\n":                                                                                                 "there is no such list above",
		"- macro: m\n  condition: m2\n- macro: m2\n  condition: m\n- macro: m\n  condition: m2\n":                                                   "uses itself",
		"- macro: m\n  condition: \"proc.name = \"\n":                                                                                               "want a value",
		"- rule: x\n  desc: d\n  output: o\n  priority: info\n  condition: evt.type=a\n  tags: 3\n":                                                 "tags: want a list",
		"- rule: x\n  desc: d\n  output: o\n  priority: info\n  condition: " + strings.Repeat("(", 600) + "a.b=c" + strings.Repeat(")", 600) + "\n": "nested more than",
		"- list: l\n  items: [x]\n  items: [y]\n":                                                                                                   "items",
		"- - - - x: [": "",
	} {
		l, _ := read(t, base, text)
		found := ""
		for _, p := range l.Problems {
			if !p.Warning {
				found += p.Error() + "\n"
			}
		}
		if found == "" || !strings.Contains(found, want) {
			t.Errorf("%q gives %q, want %q", text, found, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"- list: l\n  items: [x]\n  colour: red\n": `unknown key "colour"`,
		"- colour: red\n":                          "unknown item",
		"- rule: k\n  source: k8s_audit\n  desc: d\n  output: o\n  priority: info\n  condition: ka.verb=get\n- rule: k\n  condition: and x\n  append: true\n": `no events of source "k8s_audit"`,
		"- required_plugin_versions: [{name: json, version: 0.1.0}]\n":                                                                                        `no plugin "json"`,
		"- required_plugin_versions: [{name: container, version: 0.4.0}]\n- required_engine_version: 0.57.0\n- colour: red\n":                                 "unknown item",
	} {
		l, rules := read(t, base, text)
		all := ""
		for _, p := range l.Problems {
			if !p.Warning {
				t.Errorf("%q: %v", text, p)
			}
			all += p.Error() + "\n"
		}
		if !strings.Contains(all, want) || len(rules) != 1 {
			t.Errorf("%q warns %q, want %q; %d rules", text, all, want, len(rules))
		}
	}
}

// plain is list substitution as it is described: word by word, each list once,
// in order of definition.
func plain(text string, lists [][]string) string {
	for _, l := range lists {
		name, items := l[0], l[1:]
		var out []string
		for _, word := range strings.Fields(text) {
			if word == name {
				word = strings.Join(items, " , ")
			}
			if word != "" {
				out = append(out, word)
			}
		}
		text = strings.Join(out, " ")
		for _, r := range [][2]string{{", ,", ","}, {"( ,", "("}, {", )", ")"}} {
			for strings.Contains(text, r[0]) {
				text = strings.ReplaceAll(text, r[0], r[1])
			}
		}
	}
	return text
}

// TestSubstitution holds that random lists in random places give what the
// description of the language says.
func TestSubstitution(t *testing.T) {
	d := rand.New(rand.NewPCG(3, 4))
	words := []string{"la", "lb", "lab", "lc", "x", "la.x", "x-la", "y"}
	for range 3000 {
		var text strings.Builder
		var lists [][]string
		defined := map[string]bool{}
		for _, name := range []string{"la", "lb", "lab", "lc"} {
			l := []string{name}
			for range d.IntN(3) {
				w := words[d.IntN(len(words))]
				if !defined[w] && w != name && !strings.HasPrefix(w, "l") {
					l = append(l, w)
				}
			}
			defined[name] = true
			lists = append(lists, l)
			fmt.Fprintf(&text, "- list: %s\n  items: [%s]\n", name, strings.Join(l[1:], ", "))
		}
		var in []string
		for range 1 + d.IntN(4) {
			in = append(in, words[d.IntN(len(words))])
		}
		condition := "proc.name in ( " + strings.Join(in, " , ") + " )"
		fmt.Fprintf(&text, "- rule: r\n  desc: d\n  output: o\n  priority: info\n  condition: %s\n", condition)
		want := strings.ReplaceAll(plain(condition, lists), " ", "")
		if got := strings.ReplaceAll(clean(t, text.String())["r"].Text, " ", ""); got != want {
			t.Fatalf("%s\ngives %s, want %s", text.String(), got, want)
		}
	}
}

func FuzzAdd(f *testing.F) {
	f.Add(base)
	f.Add("- rule: r\n  exceptions: [{name: e, fields: [a.b, c.d], values: [[x, [y, z]]]}]\n  append: true\n")
	f.Add("- list: &a l\n  items: [*a, ? , {}]\n- required_engine_version: 1\n")
	f.Add("- macro: m\n  condition: (m or m)\n- list: a\n  items: [a, a]\n- list: b\n  items: [a, a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := rulefile.New()
		l.Add("base", []byte(base))
		l.Add("fuzz", []byte(text))
		l.Rules()
		l.CheckMacros()
		for _, p := range l.Problems {
			if p.Error() == "" || p.Line < 0 {
				t.Errorf("a problem without words or place: %+v", p)
			}
		}
	})
}
