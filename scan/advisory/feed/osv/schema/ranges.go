package schema

import (
	"slices"
	"strings"

	"sekisho/scan/advisory"
)

// Order compares two versions of one ecosystem, as version.Compare does. An
// error means that they cannot be compared.
type Order func(a, b string) (int, error)

// ranges turns the events of all ranges into intervals. git tells that there
// was a range of commits, which no package version can be held to.
func ranges(spans []span, order Order) (out []advisory.Range, git bool) {
	for _, s := range spans {
		if s.Type == "GIT" {
			git = true
			continue
		}
		out = append(out, intervals(s.Events, order)...)
	}
	return out, git
}

// edge is one event: a version at which the package becomes affected, or stops.
type edge struct {
	version string
	kind    int
}

const (
	introduced = iota
	fixed
	last
)

// intervals walks events in the order of their versions (OSV schema,
// "affected[].ranges[].events"): "introduced" opens, "fixed" and
// "last_affected" close, and what is open at the end stays open.
func intervals(events []event, order Order) (out []advisory.Range) {
	edges := sorted(events, order)
	open, from := false, ""
	for _, e := range edges {
		switch {
		case e.kind == introduced && !open:
			open, from = true, e.version
		case e.kind == fixed && open:
			open = false
			if e.version != from || from == "" {
				out = append(out, advisory.Range{Introduced: from, Fixed: e.version})
			}
		case e.kind == last && open:
			open = false
			out = append(out, advisory.Range{Introduced: from, Last: e.version})
		}
	}
	if open {
		out = append(out, advisory.Range{Introduced: from})
	}
	return out
}

// sorted puts events in the order of versions. Where versions cannot be
// compared, the order in which they came is the best that there is.
func sorted(events []event, order Order) []edge {
	edges := make([]edge, 0, len(events))
	for _, e := range events {
		if e.Introduced != "" {
			edges = append(edges, edge{start(e.Introduced), introduced})
		}
		if e.Fixed != "" {
			edges = append(edges, edge{e.Fixed, fixed})
		}
		if e.Last != "" {
			edges = append(edges, edge{e.Last, last})
		}
	}
	if order == nil || len(edges) < 3 {
		// One opening and one closing event: a fix listed first means the same.
		slices.SortStableFunc(edges, func(a, b edge) int {
			if a.version == "" || b.version == "" {
				return strings.Compare(a.version, b.version)
			}
			return 0
		})
		return edges
	}
	as := slices.Clone(edges)
	comparable := true
	slices.SortStableFunc(as, func(a, b edge) int {
		if a.version == "" || b.version == "" {
			return strings.Compare(a.version, b.version)
		}
		n, err := order(a.version, b.version)
		comparable = comparable && err == nil
		if n == 0 && a.kind != b.kind && (a.kind == last || b.kind == last) {
			return b.kind - a.kind // last_affected keeps its own version
		}
		return n
	})
	if !comparable {
		return edges
	}
	return as
}

// start returns the lower end as advisory.Range spells it: "0" is before every
// version, and so is RustSec's "0.0.0-0", the lowest of all semantic versions.
func start(version string) string {
	if version == "0" || version == "0.0.0-0" {
		return ""
	}
	return version
}

// lastKnown closes intervals that are open at the end with what GHSA calls the
// last known affected range: "<= 1.2.3" or "< 1.2.3". It reports whether it did.
func lastKnown(list []advisory.Range, known string, order Order) bool {
	done := false
	for i := range list {
		r := &list[i]
		if r.Fixed != "" || r.Last != "" {
			continue
		}
		var end string
		inclusive := false
		if v, ok := strings.CutPrefix(known, "<="); ok {
			end, inclusive = strings.TrimSpace(v), true
		} else if v, ok := strings.CutPrefix(known, "<"); ok {
			end = strings.TrimSpace(v)
		}
		if end == "" || strings.ContainsAny(end, " ,<>=") {
			continue
		}
		if order != nil && r.Introduced != "" {
			if n, err := order(r.Introduced, end); err != nil || n > 0 {
				continue
			}
		}
		if inclusive {
			r.Last = end
		} else {
			r.Fixed = end
		}
		done = true
	}
	return done
}

// beyond returns the versions that no interval holds. Those that cannot be
// compared stay.
func beyond(versions []string, list []advisory.Range, order Order) []string {
	if order == nil || len(list) == 0 {
		return versions
	}
	return slices.DeleteFunc(versions, func(v string) bool {
		return slices.ContainsFunc(list, func(r advisory.Range) bool { return holds(r, v, order) })
	})
}

func holds(r advisory.Range, v string, order Order) bool {
	at := func(end string) int {
		n, err := order(v, end)
		if err != nil {
			return 2
		}
		return n
	}
	if r.Introduced != "" {
		if n := at(r.Introduced); n < 0 || n == 2 {
			return false
		}
	}
	if r.Fixed != "" && at(r.Fixed) >= 0 || r.Last != "" && at(r.Last) > 0 {
		return false
	}
	return true
}
