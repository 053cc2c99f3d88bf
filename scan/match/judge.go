package match

import (
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/version"
)

// verdict is what one record says about one package.
type verdict struct {
	feed      string
	record    advisory.Record
	installed string // the version that was compared
	status    string // sekisho.Status…
	hit       string // the interval that holds the version, as people write it
	fixes     []string
	note      string
	reachable string
	holders   []string // paths of the programs that hold the vulnerable functions
}

// candidate judges a record that was found under a name of the package. A
// source package's record is compared with the source's version, and a binary's
// name says nothing about a source of the same name, nor the other way round.
func (m *matcher) candidate(p *sekisho.Package, name, ecosystem, feed string, r *advisory.Record, scheme version.Scheme) (*verdict, bool) {
	n := namesOf(p, ecosystem)
	known, installed := n.binaries, n.version
	if r.Source {
		known, installed = []string{n.source}, n.sourceVersion
	}
	if !slices.ContainsFunc(known, func(k string) bool { return advisory.Normalise(ecosystem, k) == name }) {
		return nil, false
	}
	return m.judge(p, feed, r, installed, scheme)
}

// judge compares the version with one record.
func (m *matcher) judge(p *sekisho.Package, feed string, r *advisory.Record, installed string, scheme version.Scheme) (*verdict, bool) {
	note, ok := m.means(p, r)
	if !ok {
		return nil, false
	}
	cleared := r.Status == sekisho.StatusNotAffected
	hit, unknown := cleared, false
	if !cleared {
		hit, unknown = within(r, installed, scheme)
	}
	if !hit {
		return nil, false
	}
	v := &verdict{feed: feed, record: *r, installed: installed, status: r.Status, note: joined(r.Note, note)}
	if cleared {
		return v, true
	}
	if unknown {
		v.status = sekisho.StatusUnknown
	}
	v.hit, v.fixes = intervals(r, installed, scheme)
	if v.status == "" || v.status == sekisho.StatusFixed && len(v.fixes) == 0 {
		v.status = sekisho.StatusAffected
		if len(v.fixes) > 0 {
			v.status = sekisho.StatusFixed
		}
	}
	m.pro(r, v)
	v.reachable, v.holders = m.reach(p, r)
	return v, true
}

// means reports whether a record is about this build of the package, and what
// is less than sure about that.
func (m *matcher) means(p *sekisho.Package, r *advisory.Record) (note string, ok bool) {
	if len(r.Binaries) > 0 && !slices.Contains(r.Binaries, p.Name) {
		return "", false
	}
	if len(r.Arch) > 0 && p.Arch != "" && p.Arch != "noarch" && p.Arch != "all" && !slices.Contains(r.Arch, p.Arch) {
		return "", false
	}
	if p.Type == "rpm" {
		if note, ok = stream(p, r); !ok {
			return "", false
		}
		if !flavoured(p.Version, r) {
			return "", false
		}
	}
	return note, m.entitled(r)
}

// stream compares modularity streams: a statement about one stream says nothing
// about another (Fedora Modularity, "modulemd"). Where a database lost its
// labels, the release string still tells a module's build from others.
func stream(p *sekisho.Package, r *advisory.Record) (note string, ok bool) {
	modular := strings.Contains(p.Version, ".module+") || strings.Contains(p.Version, ".module_")
	if r.Module != "" {
		if p.Module != "" {
			name, rest, _ := strings.Cut(p.Module, ":")
			id, _, _ := strings.Cut(rest, ":")
			return "", r.Module == name+":"+id
		}
		return "no modularity label; compared with stream " + r.Module, modular
	}
	if !modular && p.Module == "" {
		return "", !slices.ContainsFunc(r.Ranges, func(x advisory.Range) bool { return strings.Contains(x.Fixed, ".module") })
	}
	for _, x := range r.Ranges {
		if x.Fixed == "" {
			continue
		}
		if !strings.Contains(x.Fixed, ".module") {
			return "", false
		}
		return "the feed names no stream", true
	}
	return "", true
}

// flavours of builds whose versions compare only among themselves (Oracle).
var flavours = []string{"ksplice", "_fips", "uek"}

func flavoured(installed string, r *advisory.Record) bool {
	for _, f := range flavours {
		want := strings.Contains(installed, f)
		for _, x := range r.Ranges {
			if x.Fixed != "" && strings.Contains(x.Fixed, f) != want {
				return false
			}
		}
	}
	return true
}

// pro says that a fix exists for customers only.
func (m *matcher) pro(r *advisory.Record, v *verdict) {
	if !slices.Contains(r.Repositories, pro) || slices.Contains(m.Repositories, pro) || len(v.fixes) == 0 {
		return
	}
	v.note = joined(v.note, "fixed in Ubuntu Pro: "+strings.Join(v.fixes, ", "))
	v.status, v.fixes = sekisho.StatusAffected, nil
}

func joined(a, b string) string {
	if a == "" || a == b {
		return b
	}
	if b == "" {
		return a
	}
	return a + "; " + b
}

// within reports whether the record's versions hold the installed one. Bounds
// that cannot be compared leave it unknown, which is not safe.
func within(r *advisory.Record, installed string, scheme version.Scheme) (hit, unknown bool) {
	if slices.Contains(r.Versions, installed) {
		return true, false
	}
	for _, v := range r.Versions {
		if c, err := version.Compare(scheme, v, installed); err == nil && c == 0 {
			return true, false
		}
	}
	for _, x := range r.Ranges {
		in, err := inside(x, installed, scheme)
		if in && err == nil {
			return true, false
		}
		unknown = unknown || err != nil
	}
	return unknown, unknown
}

// inside reports whether a range holds a version.
func inside(x advisory.Range, v string, scheme version.Scheme) (bool, error) {
	if x.Introduced != "" && x.Introduced != "0" {
		if c, err := version.Compare(scheme, v, x.Introduced); err != nil || c < 0 {
			return false, err
		}
	}
	if x.Fixed != "" {
		c, err := version.Compare(scheme, v, x.Fixed)
		return c < 0, err
	}
	if x.Last != "" {
		c, err := version.Compare(scheme, v, x.Last)
		return c <= 0, err
	}
	return true, nil
}

// intervals writes the range that holds the version, and lists the versions
// that end it: its own fix, else the fixes of later ranges.
func intervals(r *advisory.Record, installed string, scheme version.Scheme) (hit string, fixes []string) {
	var later []string
	for _, x := range r.Ranges {
		in, err := inside(x, installed, scheme)
		if err != nil {
			in = len(r.Ranges) == 1
		}
		switch {
		case in && hit == "":
			hit = write(x)
			if x.Fixed != "" {
				fixes = append(fixes, x.Fixed)
			}
		case x.Fixed != "":
			if c, err := version.Compare(scheme, x.Fixed, installed); err == nil && c > 0 {
				later = append(later, x.Fixed)
			}
		}
	}
	if hit == "" && len(r.Versions) > 0 {
		hit = "= " + installed
	}
	if len(fixes) == 0 {
		fixes = later
	}
	return hit, fixes
}

func write(x advisory.Range) string {
	var parts []string
	if x.Introduced != "" && x.Introduced != "0" {
		parts = append(parts, ">= "+x.Introduced)
	}
	switch {
	case x.Fixed != "":
		parts = append(parts, "< "+x.Fixed)
	case x.Last != "":
		parts = append(parts, lastly(x.Last))
	}
	if len(parts) == 0 {
		return "all versions"
	}
	return strings.Join(parts, ", ")
}

// lastly writes a last affected version. One that ends in a tilde, which sorts
// before everything, stands for all before what it is cut from.
func lastly(v string) string {
	if before, ok := strings.CutSuffix(v, "~"); ok {
		return "< " + before
	}
	return "<= " + v
}

// reach tells whether Go programs hold what the record says is vulnerable, and
// which do.
func (m *matcher) reach(p *sekisho.Package, r *advisory.Record) (answer string, holders []string) {
	if p.Type != "golang" {
		return "", nil
	}
	if len(r.Symbols) == 0 || m.Programs == nil || p.Found != sekisho.Embedded {
		return sekisho.ReachableUnknown, nil
	}
	answer = sekisho.ReachableNo
	for _, path := range p.Locations {
		program, ok := m.Programs(path)
		switch {
		case !ok:
			holders = append(holders, path)
			if answer == sekisho.ReachableNo {
				answer = sekisho.ReachableUnknown
			}
		case slices.ContainsFunc(r.Symbols, func(s advisory.Symbols) bool { return m.holds(program, s) }):
			holders = append(holders, path)
			answer = sekisho.ReachableYes
		}
	}
	if len(p.Locations) == 0 {
		answer = sekisho.ReachableUnknown
	}
	return answer, holders
}

// holds reports whether a program has one of the functions. Operating systems
// are those of Linux: that is where containers run. Where nothing says which
// processor the target is for, the flaws of all are meant.
func (m *matcher) holds(program Functions, s advisory.Symbols) bool {
	if len(s.GOOS) > 0 && !slices.Contains(s.GOOS, "linux") {
		return false
	}
	_, processor, _ := strings.Cut(m.report.Target.Platform, "/")
	processor, _, _ = strings.Cut(processor, "/") // of arm/v7
	if len(s.GOARCH) > 0 && processor != "" && !slices.Contains(s.GOARCH, processor) {
		return false
	}
	if len(s.Names) == 0 {
		return program.Has(s.Package, "")
	}
	return slices.ContainsFunc(s.Names, func(name string) bool { return program.Has(s.Package, name) })
}
