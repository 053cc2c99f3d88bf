package assurance

import (
	"fmt"
	"slices"
	"strings"

	"sekisho"
	"sekisho/policy/fact"
	"sekisho/policy/source"
)

// filter is which vulnerabilities a control counts.
type filter struct {
	OnlyFixable bool   `yaml:"only_fixable"`
	GraceDays   int    `yaml:"grace_days"`
	GraceSince  string `yaml:"grace_since"`
	fromFix     bool
}

// Words of grace_since.
const (
	sincePublish = "publish"
	sinceFix     = "fix"
)

func (f *filter) prepare() error {
	switch f.GraceSince {
	case sinceFix:
		f.fromFix = true
	case "", sincePublish:
	default:
		return source.Wrong("grace_since", f.GraceSince, sincePublish, sinceFix)
	}
	if f.GraceSince != "" && f.GraceDays == 0 {
		return fmt.Errorf("grace_since: there is no grace_days")
	}
	return between("grace_days", f.GraceDays, 0, 3650)
}

// counts reports whether a vulnerability counts on a day. Without the date
// that a grace period begins with there is none.
func (f *filter) counts(v *vuln, today int32) bool {
	if f.OnlyFixable && v.flags&fixable == 0 {
		return false
	}
	if f.GraceDays == 0 {
		return true
	}
	begin := v.published
	if f.fromFix {
		if v.flags&fixable == 0 {
			return false // the grace begins when there is a fix
		}
		if v.fixed != 0 {
			begin = v.fixed
		}
	}
	return begin == 0 || today-begin >= int32(f.GraceDays)
}

// severityControl: no vulnerability is worse than a severity.
type severityControl struct {
	Maximum sekisho.Severity `yaml:"maximum"`
	Filter  filter           `yaml:",inline"`
	rank    int
}

func (c *severityControl) ready() error {
	if err := severityWord("maximum", c.Maximum); err != nil {
		return err
	}
	if c.Maximum == sekisho.Critical {
		return fmt.Errorf("maximum: critical lets everything pass")
	}
	c.rank = c.Maximum.Rank()
	return c.Filter.prepare()
}

func (c *severityControl) judge(x *Index, r *request, j *judgement) {
	if !j.needs(x, fact.Vulnerabilities) {
		return
	}
	j.looked = len(x.vulns)
	for n := range x.vulns[:x.rank[c.rank+1]] {
		if v := &x.vulns[n]; c.Filter.counts(v, r.day) {
			j.vulnerability(x, r, v)
		}
	}
	for n := x.rank[1]; n < len(x.vulns); n++ { // of unknown severity
		if v := &x.vulns[n]; c.Filter.counts(v, r.day) {
			j.unjudged(x, r, v)
		}
	}
}

// cvssControl: no vulnerability has a higher CVSS base score.
type cvssControl struct {
	Maximum *float64 `yaml:"maximum"`
	Filter  filter   `yaml:",inline"`
	tenths  uint8
}

func (c *cvssControl) ready() error {
	if c.Maximum == nil || *c.Maximum < 0 || *c.Maximum >= 10 {
		return fmt.Errorf("maximum: want a CVSS base score from 0 to 9.9")
	}
	c.tenths = uint8(*c.Maximum*10 + 0.5)
	return c.Filter.prepare()
}

func (c *cvssControl) judge(x *Index, r *request, j *judgement) {
	if !j.needs(x, fact.Vulnerabilities) {
		return
	}
	j.looked = len(x.vulns)
	if x.maxCVSS > c.tenths {
		for n := range x.vulns {
			if v := &x.vulns[n]; v.cvss > c.tenths && c.Filter.counts(v, r.day) {
				j.vulnerability(x, r, v)
			}
		}
	}
	unjudged(x, r, j, x.unrated, &c.Filter)
}

func unjudged(x *Index, r *request, j *judgement, list []int32, f *filter) {
	for _, n := range list {
		if v := &x.vulns[n]; f.counts(v, r.day) {
			j.unjudged(x, r, v)
		}
	}
}

// epssControl: no vulnerability is likelier to be exploited.
type epssControl struct {
	Maximum *float64 `yaml:"maximum"`
	Filter  filter   `yaml:",inline"`
}

func (c *epssControl) ready() error {
	if c.Maximum == nil || *c.Maximum < 0 || *c.Maximum >= 1 {
		return fmt.Errorf("maximum: want a probability from 0 to 0.999")
	}
	return c.Filter.prepare()
}

func (c *epssControl) judge(x *Index, r *request, j *judgement) {
	if !j.needs(x, fact.Vulnerabilities) || !j.needs(x, fact.EPSS) {
		return
	}
	j.looked = len(x.vulns)
	limit := float32(*c.Maximum)
	if x.maxEPSS > limit {
		for n := range x.vulns {
			if v := &x.vulns[n]; v.epss > limit && c.Filter.counts(v, r.day) {
				j.vulnerability(x, r, v)
			}
		}
	}
	unjudged(x, r, j, x.unforeseen, &c.Filter)
}

// kevControl: no vulnerability is known to be exploited.
type kevControl struct {
	Ransomware bool   `yaml:"ransomware"`
	Filter     filter `yaml:",inline"`
}

func (c *kevControl) ready() error { return c.Filter.prepare() }

func (c *kevControl) judge(x *Index, r *request, j *judgement) {
	if !j.needs(x, fact.Vulnerabilities) || !j.needs(x, fact.KEV) {
		return
	}
	j.looked = len(x.vulns)
	for _, n := range x.exploited {
		v := &x.vulns[n]
		if (!c.Ransomware || v.flags&ransomware != 0) && c.Filter.counts(v, r.day) {
			j.vulnerability(x, r, v)
		}
	}
}

// cvesControl: none of these is there.
type cvesControl struct {
	IDs   []string `yaml:"ids"`
	exact []string
	globs []string
}

func (c *cvesControl) ready() error {
	if len(c.IDs) == 0 {
		return fmt.Errorf("ids: want at least one, as CVE-2021-44228")
	}
	for _, id := range c.IDs {
		id = strings.ToUpper(id)
		if strings.ContainsAny(id, "*?") {
			c.globs = append(c.globs, id)
		} else {
			c.exact = append(c.exact, id)
		}
	}
	return globs("ids", c.IDs)
}

func (c *cvesControl) judge(x *Index, r *request, j *judgement) {
	if !j.needs(x, fact.Vulnerabilities) {
		return
	}
	j.looked = len(x.vulns)
	var hits []int32
	for _, id := range c.exact {
		hits = append(hits, x.ids[id]...)
	}
	for _, g := range c.globs {
		for id, list := range x.ids {
			if match(g, id) {
				hits = append(hits, list...)
			}
		}
	}
	slices.Sort(hits)
	for _, n := range slices.Compact(hits) {
		j.vulnerability(x, r, &x.vulns[n])
	}
}
