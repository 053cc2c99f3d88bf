package oval

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// Statement is what a definition says about one package: which versions its
// criteria hold for, and where.
type Statement struct {
	Package  string
	Range    advisory.Range
	Clear    bool     // the package is not affected in any version
	Arch     []string // empty for all
	Platform string   // comment of the test for the product: "Oracle Linux 8 is installed"
	Module   string   // name:stream that is enabled
}

// Unknown counts alternatives that could not be read.
type Unknown int

var (
	enabled = regexp.MustCompile(`^Module (\S+:\S+) is enabled$`)
	archs   = regexp.MustCompile(`^\(?([a-z0-9_]+(?:\|[a-z0-9_]+)*)\)?$`)
)

// Statements reads a definition's criteria as statements about packages, in
// the order of their first coming; architectures of which the same is said are
// together. Of an alternative with a test that is not understood nothing is
// said; it is counted.
func (f *File) Statements(d *Definition) ([]Statement, Unknown, error) {
	ways, err := f.Alternatives(d)
	if err != nil {
		return nil, 0, err
	}
	type key struct {
		name, platform, module string
		r                      advisory.Range
		clear                  bool
	}
	var order []key
	found, unknown := map[key]map[string]bool{}, Unknown(0)
	for _, way := range ways {
		list, ok := read(way)
		if !ok {
			unknown++
			continue
		}
		for _, s := range list {
			k := key{s.Package, s.Platform, s.Module, s.Range, s.Clear}
			if found[k] == nil {
				found[k] = map[string]bool{}
				order = append(order, k)
			}
			for _, a := range append(s.Arch, "")[:max(1, len(s.Arch))] {
				found[k][a] = true
			}
		}
	}
	out := make([]Statement, 0, len(order))
	for _, k := range order {
		s := Statement{Package: k.name, Range: k.r, Clear: k.clear, Platform: k.platform, Module: k.module}
		if !found[k][""] {
			s.Arch = slices.Sorted(maps.Keys(found[k]))
		}
		out = append(out, s)
	}
	return out, unknown, nil
}

// read joins the tests of one alternative. All statements of it share its
// platform, its architecture and its module.
func read(way []Test) ([]Statement, bool) {
	var shared Statement
	var order []string
	of := map[string]*Statement{}
	for _, t := range way {
		if m := enabled.FindStringSubmatch(t.Comment); m != nil && !t.Negate {
			shared.Module = m[1]
			continue
		}
		if platform(t) {
			if !shared.place(t) {
				return nil, false
			}
			continue
		}
		if t.Package == "" {
			return nil, false
		}
		s := of[t.Package]
		if s == nil {
			s = &Statement{Package: t.Package}
		}
		switch said, ok := s.apply(t); {
		case !ok:
			return nil, false
		case said && of[t.Package] == nil:
			of[t.Package] = s
			order = append(order, t.Package)
		}
	}
	out := make([]Statement, 0, len(order))
	for _, name := range order {
		s := *of[name]
		s.Platform, s.Module = shared.Platform, shared.Module
		if len(s.Arch) == 0 {
			s.Arch = shared.Arch
		}
		out = append(out, s)
	}
	return out, true
}

// platform reports whether a test is about the system: the package that names
// the release.
func platform(t Test) bool {
	_, evr := t.Field("evr")
	return !evr && (strings.HasSuffix(t.Package, "-release") || t.Package == "oraclelinux" || strings.HasSuffix(t.Comment, " is installed") && strings.Contains(t.Comment, "Linux "))
}

// place takes the product or the architecture.
func (s *Statement) place(t Test) bool {
	if arch, ok := t.Field("arch"); ok {
		s.Arch = split(arch.Value)
		return len(s.Arch) > 0 && !t.Negate
	}
	s.Platform = t.Comment
	return !t.Negate
}

func split(pattern string) []string {
	m := archs.FindStringSubmatch(pattern)
	if m == nil {
		return nil
	}
	return strings.Split(m[1], "|")
}

// apply takes what a test says about a package; said tells that it bounds the
// version. Signatures and release patterns only confirm what the version says.
func (s *Statement) apply(t Test) (said, ok bool) {
	if arch, has := t.Field("arch"); has {
		if s.Arch = split(arch.Value); s.Arch == nil {
			return false, false
		}
	}
	if v, has := t.Field("version"); has && v.Operation == "equals" && v.Value == "0" && !t.Negate {
		s.Clear = true // SUSE: "is not affected"
		return true, true
	}
	evr, has := t.Field("evr")
	if !has {
		return false, len(t.Fields) > 0 && !t.Negate
	}
	value := source.Plain(evr.Value)
	switch operation := evr.Operation; {
	case value == "":
		return false, false
	case operation == "less than" && !t.Negate:
		s.Range.Fixed = value
	case operation == "less than or equal" && !t.Negate:
		s.Range.Last = value
	case operation == "greater than or equal" && !t.Negate, operation == "greater than" && !t.Negate, operation == "less than" && t.Negate:
		// The bound itself does not occur: it is a version without a release,
		// and rpm orders it before all its builds.
		s.Range.Introduced = value
	default:
		return false, false
	}
	return true, true
}
