// Package match holds packages against advisories: an inventory and a database
// go in, vulnerability findings come out, with why each applies and what clears
// it. The distribution's own word decides about what it packages. What no feed
// knows is said to be not covered, never clean.
package match

import (
	"cmp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/version"
)

// Database is what matching asks of the advisory database.
type Database interface {
	// Find calls each for what every feed says about a package, whose name is
	// normalised. The record is only valid during the call.
	Find(ecosystem, name string, each func(feed string, r *advisory.Record)) error
	// Feeds names the feeds that know the ecosystem; none means not covered.
	Feeds(ecosystem string) []string
	// Detail returns what a feed's record says about the flaw.
	Detail(feed, group, id string) (advisory.Detail, bool, error)
	// Signal returns what is known of a CVE's exploitation.
	Signal(cve string) advisory.Signal
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
	m := &matcher{db: db, Options: o, report: r, covers: map[string]*sekisho.Cover{}, details: map[string]detail{}}
	m.distribution, m.substitute = Distribution(r.Target.OS)
	for i := range r.Packages {
		if err := m.pack(&r.Packages[i]); err != nil {
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
	details      map[string]detail         // by feed, group and id
}

// pack judges one package.
func (m *matcher) pack(p *sekisho.Package) error {
	ecosystem := Ecosystem(p.Type, m.distribution)
	if ecosystem == "" {
		m.cover("other:"+p.Type, sekisho.NotCovered)
		return nil
	}
	c := m.cover(ecosystem, sekisho.Covered)
	if c.State == sekisho.NotCovered || m.owned(p) {
		return nil
	}
	scheme, ok := version.Of(ecosystem)
	if !ok || !comparable(scheme, p.Version) {
		c.Unjudged++
		return nil
	}
	if codeless(p) {
		return nil
	}
	list, err := m.candidates(p, ecosystem, scheme)
	if err != nil || len(list) == 0 {
		return err
	}
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
