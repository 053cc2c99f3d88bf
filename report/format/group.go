package format

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"sekisho"
)

func itoa(n int) string { return strconv.Itoa(n) }

// group is all findings of one kind and id.
type group struct {
	sekisho.Finding
	members []sekisho.Finding
}

// groups folds findings by severity, kind and id, in the report's order.
// Suppressed ones are left out, and vulnerabilities, which go by package.
func groups(r *sekisho.Report) (list []group) {
	for _, x := range r.Findings {
		if x.Suppressed != nil || x.Vulnerable != nil {
			continue
		}
		n := len(list) - 1
		if n >= 0 && list[n].ID == x.ID && list[n].Kind == x.Kind && list[n].Severity == x.Severity {
			list[n].members = append(list[n].members, x)
			continue
		}
		list = append(list, group{x, []sekisho.Finding{x}})
	}
	return list
}

// counts are findings by severity, without the suppressed.
func counts(r *sekisho.Report) (n map[sekisho.Severity]int, suppressed int) {
	n, accepted, cleared := tallied(r)
	return n, accepted + cleared
}

// tallied counts findings by severity, those that somebody accepted, and those
// that somebody or something cleared: a statement of VEX, functions that are not
// in the program.
func tallied(r *sekisho.Report) (n map[sekisho.Severity]int, accepted, cleared int) {
	n = map[sekisho.Severity]int{}
	for _, x := range r.Findings {
		switch {
		case x.Suppressed == nil:
			n[x.Severity]++
		case x.Suppressed.By == "" || x.Suppressed.By == "exception":
			accepted++
		default:
			cleared++
		}
	}
	return n, accepted, cleared
}

// tally counts one thing by name, most first.
type tally struct {
	name  string
	count int
}

func tallies(r *sekisho.Report, name func(sekisho.Package) string) []tally {
	n := map[string]int{}
	for _, p := range r.Packages {
		n[name(p)]++
	}
	return sorted(n)
}

// licenceTallies counts the licences that stand in the packages' expressions,
// each once a package.
func licenceTallies(r *sekisho.Report) []tally {
	n := map[string]int{}
	for _, p := range r.Packages {
		words := strings.FieldsFunc(p.Licence, func(c rune) bool { return c == ' ' || c == '(' || c == ')' })
		words = slices.DeleteFunc(words, func(w string) bool {
			return w == "AND" || w == "OR" || w == "WITH" || strings.HasSuffix(w, "-exception")
		})
		slices.Sort(words)
		for _, w := range slices.Compact(words) {
			n[w]++
		}
		if len(words) == 0 {
			n[""]++
		}
	}
	return sorted(n)
}

func sorted(n map[string]int) []tally {
	list := make([]tally, 0, len(n))
	for k, v := range n {
		list = append(list, tally{k, v})
	}
	slices.SortFunc(list, func(a, b tally) int { return cmp.Or(b.count-a.count, strings.Compare(a.name, b.name)) })
	return list
}

// layerOf returns the layer of a diff id.
func layerOf(r *sekisho.Report, d sekisho.Digest) (sekisho.Layer, bool) {
	for _, l := range r.Target.Layers {
		if l.DiffID == d && d != "" {
			return l, true
		}
	}
	return sekisho.Layer{}, false
}

// instruction shortens what a build tool wrote to what a person wrote.
func instruction(by string) string {
	by = strings.TrimPrefix(by, "/bin/sh -c #(nop) ")
	if rest, ok := strings.CutPrefix(by, "/bin/sh -c "); ok {
		by = "RUN " + rest
	}
	by = strings.TrimSuffix(by, " # buildkit")
	by = strings.Replace(by, "RUN /bin/sh -c ", "RUN ", 1)
	return strings.Join(strings.Fields(by), " ")
}
