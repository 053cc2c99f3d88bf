// Package match holds packages against advisories: an inventory and a database
// go in, vulnerability findings come out, with why each applies and what clears
// it. The distribution's own word decides about what it packages. What no feed
// knows is said to be not covered, never clean.
package match

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/version"
)

// Database is what matching asks of the advisory database.
type Database interface {
	// Find calls each for what every feed says about packages, whose names are
	// normalised; i is the place of the name. The record is only valid during
	// the call.
	Find(ecosystem string, names []string, each func(i int, feed string, r *advisory.Record)) error
	// Feeds names the feeds that know the ecosystem; none means not covered.
	Feeds(ecosystem string) []string
	// Details calls each for what a feed's records say about flaws; i is the
	// place of the id. Flaws that it knows nothing about are passed over.
	Details(feed, group string, ids []string, each func(i int, d advisory.Detail)) error
	// Signal returns what is known of a CVE's exploitation.
	Signal(cve string) (advisory.Signal, error)
}

// Functions tells whether a program holds a function of a Go package; an empty
// name asks for any function of it.
type Functions interface {
	Has(pkg, name string) bool
}

// Options of matching.
type Options struct {
	Enrich       []string                            // feeds about CVEs whose details complete the others, best first
	Repositories []string                            // CPEs or names that the target is entitled to, beside the mainline
	Programs     func(path string) (Functions, bool) // functions of a Go program, may be nil
	Fingerprint  func(sekisho.Finding) string        // may be nil
}

// Match adds the vulnerabilities of the report's packages to its findings, and
// says in Coverage what was and what was not judged.
func Match(db Database, r *sekisho.Report, o Options) error {
	m := &matcher{db: db, Options: o, report: r, covers: map[string]*sekisho.Cover{}, details: map[subject]*advisory.Detail{}, verdicts: map[int][]*verdict{}}
	m.distribution, m.substitute = Distribution(r.Target.OS)
	m.stream, m.heard = streamOnly(o.Repositories), map[spoken]bool{}
	questions := m.questions()
	for _, ecosystem := range slices.Sorted(maps.Keys(questions)) {
		if err := m.ask(ecosystem, questions[ecosystem]); err != nil {
			return err
		}
	}
	all := m.flaws()
	if err := m.learn(all); err != nil {
		return err
	}
	n := 0
	for _, list := range all {
		n += len(list)
	}
	r.Findings = slices.Grow(r.Findings, n)
	for i := range r.Packages {
		if err := m.answer(&r.Packages[i], all[i]); err != nil {
			return err
		}
	}
	r.Coverage = m.coverage()
	return nil
}

type matcher struct {
	Options
	db           Database
	report       *sekisho.Report
	distribution string
	substitute   bool                      // of a distribution that is not known itself
	covers       map[string]*sekisho.Cover // by ecosystem
	details      map[subject]*advisory.Detail
	verdicts     map[int][]*verdict // by place of the package
	stream       bool               // the target follows an extended stream of Red Hat's, not the mainline
	heard        map[spoken]bool    // flaws of which that stream speaks
}

// question is one name that is looked up, and the packages that it may be about.
type question struct {
	name     string
	packages []int
}

// questions lists, by ecosystem, the names to look up for packages that can be
// judged.
func (m *matcher) questions() map[string][]question {
	list := map[string][]question{}
	places := map[[2]string]int{}
	for i := range m.report.Packages {
		p := &m.report.Packages[i]
		for _, ecosystem := range m.judged(p) {
			n := namesOf(p, ecosystem)
			for _, name := range append(n.binaries, n.source) {
				if name == "" {
					continue
				}
				name = advisory.Normalise(ecosystem, name)
				at, ok := places[[2]string{ecosystem, name}]
				if !ok {
					at = len(list[ecosystem])
					places[[2]string{ecosystem, name}] = at
					list[ecosystem] = append(list[ecosystem], question{name: name})
				}
				if q := &list[ecosystem][at]; !slices.Contains(q.packages, i) {
					q.packages = append(q.packages, i)
				}
			}
		}
	}
	return list
}

// judged returns the ecosystems that may know a package, and counts what cannot
// be judged.
func (m *matcher) judged(p *sekisho.Package) (list []string) {
	first := Ecosystem(p.Type, m.distribution)
	if first == "" {
		m.cover("other:"+p.Type, sekisho.NotCovered)
		return nil
	}
	c := m.cover(first, sekisho.Covered)
	if m.owned(p) || codeless(p) || first == "Go" && p.Name == "toolchain" { // the go command, not what it built
		return nil
	}
	scheme, known := version.Of(first)
	told := known && comparable(scheme, p.Version)
	if c.State != sekisho.NotCovered {
		if !told {
			c.Unjudged++
			return nil
		}
		list = append(list, first)
	}
	for _, ecosystem := range others(p, first, m.Repositories) {
		if told && len(m.db.Feeds(ecosystem)) > 0 {
			m.cover(ecosystem, sekisho.Covered)
			list = append(list, ecosystem)
		}
	}
	return list
}

// ask looks the names of one ecosystem up.
func (m *matcher) ask(ecosystem string, list []question) error {
	names := make([]string, len(list))
	for i, q := range list {
		names[i] = q.name
	}
	scheme, _ := version.Of(ecosystem)
	return m.db.Find(ecosystem, names, func(i int, feed string, r *advisory.Record) {
		for _, at := range list[i].packages {
			m.hear(at, r)
			if v, ok := m.candidate(&m.report.Packages[at], names[i], ecosystem, feed, r, scheme); ok {
				m.verdicts[at] = append(m.verdicts[at], v)
			}
		}
	})
}

// answer turns what speaks against a package into findings.
func (m *matcher) answer(p *sekisho.Package, list []flaw) error {
	if len(list) == 0 {
		return nil
	}
	scheme, _ := version.Of(m.ecosystem(p))
	findings, err := m.findings(p, list, scheme)
	if err != nil {
		return err
	}
	m.report.Findings = append(m.report.Findings, findings...)
	return nil
}

// owned reports whether the package's files belong to a distribution package
// that a feed of the distribution judges.
func (m *matcher) owned(p *sekisho.Package) bool {
	return p.Owner != "" && !p.Changed && m.distribution != "" && len(m.db.Feeds(m.distribution)) > 0
}

// comparable reports whether a version says anything: "(devel)" and "UNKNOWN"
// do not.
func comparable(s version.Scheme, v string) bool {
	return v != "" && v != "(devel)" && version.Valid(s, v)
}

func (m *matcher) cover(ecosystem, state string) *sekisho.Cover {
	c := m.covers[ecosystem]
	if c == nil {
		c = &sekisho.Cover{Ecosystem: strings.TrimPrefix(ecosystem, "other:"), State: state, Feeds: []string{}}
		m.covers[ecosystem] = c
		if state == sekisho.Covered {
			m.feeds(c, ecosystem)
		}
	}
	c.Packages++
	return c
}

func (m *matcher) feeds(c *sekisho.Cover, ecosystem string) {
	c.Feeds = append(c.Feeds, m.db.Feeds(ecosystem)...)
	if len(c.Feeds) == 0 {
		c.State = sekisho.NotCovered
		return
	}
	if os := m.report.Target.OS; ecosystem == m.distribution && os != nil {
		if os.SupportedUntil != "" && os.SupportedUntil < m.report.Generated.Format("2006-01-02") {
			c.State = sekisho.EndOfLife
		}
		if m.substitute {
			c.Substitute = ecosystem
			c.Ecosystem = strings.TrimSpace(os.ID + ":" + os.Version)
		}
	}
}

func (m *matcher) coverage() []sekisho.Cover {
	list := []sekisho.Cover{}
	for _, c := range m.covers {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b sekisho.Cover) int { return strings.Compare(a.Ecosystem, b.Ecosystem) })
	return list
}

// Uncovered is the coverage of a report without a database.
func Uncovered(r *sekisho.Report) []sekisho.Cover {
	distribution, _ := Distribution(r.Target.OS)
	counts := map[string]int{}
	for _, p := range r.Packages {
		counts[cmp.Or(Ecosystem(p.Type, distribution), p.Type)]++
	}
	list := []sekisho.Cover{}
	for name, n := range counts {
		list = append(list, sekisho.Cover{Ecosystem: name, State: sekisho.NoDatabase, Packages: n, Feeds: []string{}})
	}
	slices.SortFunc(list, func(a, b sekisho.Cover) int { return strings.Compare(a.Ecosystem, b.Ecosystem) })
	return list
}
