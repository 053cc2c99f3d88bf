package match

import (
	"cmp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/version"
)

// flaw is one vulnerability of one package, under all its names, with all that
// speaks about it.
type flaw struct {
	ids      []string // the preferred first
	verdicts []*verdict
}

// ids returns the names of the flaw that a verdict is about. An erratum's own
// id names a fix, not a flaw: it would make one of all that it fixes.
func (v *verdict) ids() []string {
	list := slices.Clone(v.record.Aliases)
	if !slices.Contains(v.record.Advisories, v.record.ID) || len(list) == 0 {
		list = append(list, v.record.ID)
	}
	return list
}

// flaws joins verdicts that share a name.
func flaws(list []*verdict) []flaw {
	parent := make([]int, len(list))
	var find func(int) int
	find = func(i int) int {
		if parent[i] != i {
			parent[i] = find(parent[i])
		}
		return parent[i]
	}
	first := map[string]int{}
	for i := range list {
		parent[i] = i
		for _, id := range list[i].ids() {
			if j, ok := first[id]; ok {
				parent[find(i)] = find(j)
			} else {
				first[id] = i
			}
		}
	}
	groups := map[int]int{} // root to place in out
	var out []flaw
	for i := range list {
		root := find(i)
		at, ok := groups[root]
		if !ok {
			at = len(out)
			groups[root] = at
			out = append(out, flaw{})
		}
		out[at].verdicts = append(out[at].verdicts, list[i])
		out[at].ids = append(out[at].ids, list[i].ids()...)
	}
	for i := range out {
		slices.SortFunc(out[i].ids, byPreference)
		out[i].ids = slices.Compact(out[i].ids)
	}
	slices.SortFunc(out, func(a, b flaw) int { return byPreference(a.ids[0], b.ids[0]) })
	return out
}

// kinds of ids, the most widely known first.
var preferred = []string{"CVE-", "MAL-", "GHSA-", "GO-", "PYSEC-", "RUSTSEC-"}

func byPreference(a, b string) int {
	return cmp.Or(preference(a)-preference(b), strings.Compare(a, b))
}

func preference(id string) int {
	for i, p := range preferred {
		if strings.HasPrefix(id, p) {
			return i
		}
	}
	return len(preferred)
}

// weight orders statuses by how much they tell about what to do: one of a flaw's
// verdicts speaks for it.
var weight = []string{sekisho.StatusFixed, sekisho.StatusAffected, sekisho.StatusWontFix, sekisho.StatusDeferred, sekisho.StatusEndOfLife,
	sekisho.StatusInvestigated, sekisho.StatusUnknown}

// decisive returns the verdict that speaks for the flaw, or false when the
// vendor clears the package: a statement that it is not affected outweighs other
// records of the same feed, and those of feeds about other people's builds.
func (f *flaw) decisive() (*verdict, bool) {
	best := -1
	for i, v := range f.verdicts {
		if v.status == sekisho.StatusNotAffected {
			return v, false
		}
		if best < 0 || rank(v) < rank(f.verdicts[best]) {
			best = i
		}
	}
	return f.verdicts[best], true
}

func rank(v *verdict) int {
	r := slices.Index(weight, v.status)
	if slices.Contains(v.record.Repositories, pro) {
		r += len(weight) // the ordinary repositories speak first
	}
	return r
}

// fixes lists the versions that end the flaw, by version.
func (f *flaw) fixes(scheme version.Scheme) []string {
	var list []string
	for _, v := range f.verdicts {
		list = append(list, v.fixes...)
	}
	slices.SortFunc(list, func(a, b string) int {
		c, err := version.Compare(scheme, a, b)
		if err != nil {
			c = strings.Compare(a, b)
		}
		return c
	})
	return slices.Compact(list)
}

// upgrade returns the smallest of the fixed versions that no flaw holds any
// more, flaws without any fix aside; "" when there is none. The flaw whose first
// fix comes last is asked first: it refuses most candidates alone.
func upgrade(list []flaw, scheme version.Scheme) string {
	type fixable struct {
		*flaw
		first string
	}
	order := func(a, b string) int {
		c, _ := version.Compare(scheme, a, b)
		return cmp.Or(c, strings.Compare(a, b))
	}
	var fixables []fixable
	var candidates []string
	for i := range list {
		if fixes := list[i].fixes(scheme); len(fixes) > 0 {
			fixables = append(fixables, fixable{&list[i], fixes[0]})
			candidates = append(candidates, fixes...)
		}
	}
	slices.SortFunc(fixables, func(a, b fixable) int { return order(b.first, a.first) })
	slices.SortFunc(candidates, order)
	for _, c := range slices.Compact(candidates) {
		if !slices.ContainsFunc(fixables, func(f fixable) bool { return f.has(c, scheme) }) {
			return c
		}
	}
	return ""
}

// has reports whether a version still has the flaw.
func (f *flaw) has(v string, scheme version.Scheme) bool {
	return slices.ContainsFunc(f.verdicts, func(x *verdict) bool {
		if x.status == sekisho.StatusNotAffected || len(x.fixes) == 0 {
			return false
		}
		hit, _ := within(&x.record, v, scheme)
		return hit
	})
}
