package redhat

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// statement is what is said about one component, without its architecture.
type statement struct {
	component
	status   string
	note     string
	advisory string
	rating   string
	fixed    time.Time
}

// folder gathers statements about one CVE, so that architectures and products
// of which the same is said become one record.
type folder struct {
	arch map[statement]map[string]bool
}

func (f *folder) add(s statement) {
	arch := s.arch
	s.arch = ""
	set := f.arch[s]
	if set == nil {
		set = map[string]bool{}
		f.arch[s] = set
	}
	set[arch] = true
}

// records returns what was gathered, in a stable order. A source package of
// which binary packages are named in the same words is left to them: Red Hat
// names them all.
func (f *folder) records(cve string) []advisory.Record {
	type group struct {
		statement
		archs string
	}
	groups := map[group][]string{}
	covered := f.binaries()
	for s, set := range f.arch {
		if s.source && covered.has(s) {
			continue
		}
		g := group{statement: s}
		if !set[""] {
			g.archs = strings.Join(slices.Sorted(maps.Keys(set)), " ")
		}
		g.cpe = ""
		groups[g] = append(groups[g], s.cpe)
	}
	out := make([]advisory.Record, 0, len(groups))
	for g, cpes := range groups {
		slices.Sort(cpes)
		r := g.record(cve)
		r.Repositories = slices.Compact(cpes)
		r.Arch = strings.Fields(g.archs)
		out = append(out, r)
	}
	slices.SortFunc(out, compare)
	lines(out)
	return out
}

func (s statement) record(cve string) advisory.Record {
	r := advisory.Record{
		ID: cve, Ecosystem: Ecosystem(s.major), Package: s.name, Source: s.source, Status: s.status, Module: s.module,
		Rating: s.rating, Severity: string(source.Severity(s.rating)), Note: s.note, Fixed: s.fixed,
	}
	if s.advisory != "" {
		r.Advisories = []string{s.advisory}
	}
	r.Ranges = []advisory.Range{{}} // without a fix, every version
	if s.status == sekisho.StatusFixed {
		r.Ranges[0].Fixed = s.version
	}
	return r
}

func compare(a, b advisory.Record) int {
	return cmp.Or(
		cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Module, b.Module),
		cmp.Compare(a.Status, b.Status), cmp.Compare(a.Ranges[0].Fixed, b.Ranges[0].Fixed), slices.Compare(a.Advisories, b.Advisories),
		slices.Compare(a.Repositories, b.Repositories), slices.Compare(a.Arch, b.Arch), cmp.Compare(a.Note, b.Note),
		cmp.Compare(a.Rating, b.Rating), a.Fixed.Compare(b.Fixed))
}

// coverage knows the binary packages of which something is said.
type coverage struct {
	versions map[coverKey]bool     // fixed at this version
	names    map[coverKey][]string // said without a version
}

type coverKey struct{ cpe, module, status, version string }

func (f *folder) binaries() coverage {
	c := coverage{map[coverKey]bool{}, map[coverKey][]string{}}
	for s := range f.arch {
		if s.source {
			continue
		}
		key := coverKey{s.cpe, s.module, s.status, s.version}
		c.versions[key] = true
		c.names[key] = append(c.names[key], s.name)
	}
	return c
}

// has reports whether binary packages of a source package are named: they have
// its version or, where none is said, its name or one that begins with it.
func (c coverage) has(s statement) bool {
	key := coverKey{s.cpe, s.module, s.status, s.version}
	if s.version != "" {
		return c.versions[key]
	}
	return slices.ContainsFunc(c.names[key], func(name string) bool {
		name = strings.TrimPrefix(name, "lib")
		rest, ok := strings.CutPrefix(name, strings.TrimPrefix(s.name, "lib"))
		return ok && (rest == "" || rest[0] == '-')
	})
}
