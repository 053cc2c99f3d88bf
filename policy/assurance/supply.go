package assurance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
	"sekisho/policy/source"
)

// registriesControl: the image comes from one of these registries.
type registriesControl struct {
	Allowed []string `yaml:"allowed"`
}

func (c *registriesControl) ready() error {
	if len(c.Allowed) == 0 {
		return fmt.Errorf("allowed: want at least one registry, as registry.example.org")
	}
	return globs("allowed", c.Allowed)
}

func (c *registriesControl) judge(_ *Index, r *request, j *judgement) {
	if ref := j.reference(r); ref != nil && !scope.Any(c.Allowed, ref.Registry) {
		j.fail("fail", "registry", ref.Registry, "allowed", strings.Join(c.Allowed, ", "))
	}
}

// reference returns the image's name, or tells that it is not known.
func (j *judgement) reference(r *request) *scope.Reference {
	switch {
	case r.broken != "":
		j.broken(r.broken)
	case r.ref == nil:
		j.missing("reference")
	default:
		j.looked = 1
	}
	return r.ref
}

// baseImageControl: the image was built on one of these.
type baseImageControl struct {
	Allowed []string `yaml:"allowed"`
	images  []scope.Image
}

func (c *baseImageControl) ready() (err error) {
	c.images, err = images("allowed", c.Allowed)
	return err
}

func images(field string, list []string) (out []scope.Image, err error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: want at least one image, as docker.io/library/debian:12*", field)
	}
	for _, text := range list {
		i, err := scope.ParseImage(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		out = append(out, i)
	}
	return out, nil
}

func (c *baseImageControl) judge(x *Index, _ *request, j *judgement) {
	if x.image.Base == nil {
		j.missing("base")
		return
	}
	j.looked = 1
	ref, err := scope.Parse(*x.image.Base)
	if err != nil {
		j.broken(err.Error())
		return
	}
	if !slices.ContainsFunc(c.images, func(i scope.Image) bool { return i.Match(ref) }) {
		j.fail("fail", "base", ref.String(), "allowed", strings.Join(c.Allowed, ", "))
	}
}

// ageControl: something is at most so many days old.
type ageControl struct {
	MaxDays int `yaml:"max_days"`
}

func (c *ageControl) ready() error { return between("max_days", c.MaxDays, 1, 36500) }

// old tells when t is more than the days ago, or to come.
func (c *ageControl) old(r *request, j *judgement, t time.Time, params ...string) {
	switch {
	case t.After(r.Now.Add(24 * time.Hour)):
		j.fail("future", append(params, "date", t.Format(time.DateOnly))...)
	case r.Now.Sub(t) > time.Duration(c.MaxDays)*24*time.Hour:
		j.fail("fail", append(params, "date", t.Format(time.DateOnly), "days", strconv.Itoa(r.since(t)), "max_days", strconv.Itoa(c.MaxDays))...)
	}
}

// imageAgeControl: the image was made not too long ago.
type imageAgeControl struct {
	Age ageControl `yaml:",inline"`
}

func (c *imageAgeControl) ready() error { return c.Age.ready() }

// firstImage is before any image was made: builds that give the same bytes
// again set dates such as 1970 and 1980.
const firstImage = 2013

func (c *imageAgeControl) judge(x *Index, r *request, j *judgement) {
	if x.image.Created == nil || x.image.Created.Year() < firstImage {
		j.missing("created")
		return
	}
	j.looked = 1
	c.Age.old(r, j, *x.image.Created)
}

// scanAgeControl: the image was scanned not too long ago.
type scanAgeControl struct {
	Age ageControl `yaml:",inline"`
}

func (c *scanAgeControl) ready() error { return c.Age.ready() }

func (c *scanAgeControl) judge(x *Index, r *request, j *judgement) {
	if x.image.Scanned == nil {
		j.missing("scanned")
		return
	}
	j.looked = 1
	c.Age.old(r, j, *x.image.Scanned)
}

// feedAgeControl: what the scan knew was not too old.
type feedAgeControl struct {
	Age   ageControl `yaml:",inline"`
	Feeds []string   `yaml:"feeds"`
	Kind  string     `yaml:"kind"`
}

func (c *feedAgeControl) ready() error {
	if c.Kind == "" {
		c.Kind = "advisories"
	}
	if c.Kind != "advisories" && c.Kind != "signatures" {
		return source.Wrong("kind", c.Kind, "advisories", "signatures")
	}
	if err := globs("feeds", c.Feeds); err != nil {
		return err
	}
	return c.Age.ready()
}

func (c *feedAgeControl) judge(x *Index, r *request, j *judgement) {
	for i := range x.image.Feeds {
		f := &x.image.Feeds[i]
		kind := f.Kind
		if kind == "" {
			kind = "signatures"
		}
		if kind != c.Kind || len(c.Feeds) > 0 && !scope.Any(c.Feeds, f.Name) {
			continue
		}
		j.looked++
		t := f.Checked
		if t.IsZero() {
			t = f.Newest
		}
		if t.IsZero() {
			j.missing("feed_time")
			continue
		}
		c.Age.old(r, j, t, "feed", f.Name)
	}
	if j.looked == 0 {
		j.missing("feeds")
	}
}

// sbomControl: a bill of materials is kept.
type sbomControl struct{}

func (sbomControl) ready() error { return nil }

func (sbomControl) judge(x *Index, _ *request, j *judgement) {
	if x.image.SBOM == nil {
		j.missing("sbom")
		return
	}
	j.looked = 1
	if !*x.image.SBOM {
		j.fail("fail")
	}
}

// supportedControl: the distribution still gets fixes.
type supportedControl struct{}

func (supportedControl) ready() error { return nil }

func (supportedControl) judge(x *Index, r *request, j *judgement) {
	switch {
	case x.image.Scanned == nil, x.image.OS == nil && x.image.Scanner != nil:
		j.missing("scanned")
	case x.image.OS == nil:
		j.nothing = true // there is no distribution in it
	case x.supported.IsZero():
		j.missing("supported")
	default:
		j.looked = 1
		if !r.Now.Before(x.supported.AddDate(0, 0, 1)) {
			j.fail("fail", "os", x.image.OS.Name, "date", x.image.OS.SupportedUntil)
		}
	}
}

// identity is who may have signed without a key of their own.
type identity struct {
	Issuer  string `yaml:"issuer"`
	Subject string `yaml:"subject"`
}

// signatureControl: somebody we trust has signed the image.
type signatureControl struct {
	Keys       []string   `yaml:"keys"`
	Identities []identity `yaml:"identities"`
	AtLeast    int        `yaml:"at_least"`
}

func (c *signatureControl) ready() error {
	if len(c.Keys)+len(c.Identities) == 0 {
		return fmt.Errorf("want keys, fingerprints as sha256:…, or identities, as {issuer: https://…, subject: …}")
	}
	for _, k := range c.Keys {
		if err := sekisho.Digest(k).Validate(); err != nil {
			return fmt.Errorf("keys: %w", err)
		}
	}
	for _, i := range c.Identities {
		if i.Issuer == "" || i.Subject == "" {
			return fmt.Errorf("identities: want issuer and subject; one alone trusts strangers")
		}
		if err := globs("identities", []string{i.Issuer, i.Subject}); err != nil {
			return err
		}
	}
	if c.AtLeast == 0 {
		c.AtLeast = 1
	}
	return between("at_least", c.AtLeast, 1, len(c.Keys)+16*len(c.Identities))
}

func (c *signatureControl) judge(x *Index, _ *request, j *judgement) {
	if x.image.Signatures == nil {
		j.missing("signatures")
		return
	}
	j.looked = len(x.image.Signatures)
	count := 0
	for n := range x.image.Signatures {
		if s := &x.image.Signatures[n]; c.trusts(s) && !slices.ContainsFunc(x.image.Signatures[:n], func(o fact.Signature) bool {
			return o.Key == s.Key && o.Identity == s.Identity && o.Issuer == s.Issuer // the same signer twice is one
		}) {
			count++
		}
	}
	if count < c.AtLeast {
		j.fail("fail", "count", strconv.Itoa(count), "at_least", strconv.Itoa(c.AtLeast), "looked", strconv.Itoa(j.looked))
	}
}

func (c *signatureControl) trusts(s *fact.Signature) bool {
	if s.Key != "" && slices.Contains(c.Keys, s.Key) {
		return true
	}
	for _, i := range c.Identities {
		if s.Identity != "" && match(i.Issuer, s.Issuer) && match(i.Subject, s.Identity) {
			return true
		}
	}
	return false
}

// provenanceControl: the image was built where and from what we trust.
type provenanceControl struct {
	Builders []string `yaml:"builders"`
	Sources  []string `yaml:"sources"`
	Level    int      `yaml:"level"`
}

func (c *provenanceControl) ready() error {
	if len(c.Builders)+len(c.Sources)+c.Level == 0 {
		return fmt.Errorf("want builders, sources or level")
	}
	if err := globs("builders", c.Builders); err != nil {
		return err
	}
	if err := globs("sources", c.Sources); err != nil {
		return err
	}
	return between("level", c.Level, 0, 3)
}

func (c *provenanceControl) judge(x *Index, _ *request, j *judgement) {
	if x.image.Provenance == nil {
		j.missing("provenance")
		return
	}
	j.looked = len(x.image.Provenance)
	for _, p := range x.image.Provenance {
		if (len(c.Builders) == 0 || scope.Any(c.Builders, p.Builder)) && (len(c.Sources) == 0 || scope.Any(c.Sources, p.Source)) && p.Level >= c.Level {
			return
		}
	}
	if j.looked == 0 {
		j.fail("none")
	}
	for _, p := range x.image.Provenance {
		j.fail("fail", "builder", p.Builder, "source", p.Source, "level", strconv.Itoa(p.Level))
	}
}

// evidenceControl: what another tool found keeps within bounds.
type evidenceControl struct {
	Name     string   `yaml:"name"`
	Tool     string   `yaml:"tool"`
	Maximum  string   `yaml:"maximum"`
	MaxScore *float64 `yaml:"max_score"`
	MaxDays  int      `yaml:"max_days"`
}

// levels of SARIF (3.27.10), worst first.
var levels = [...]string{"error", "warning", "note", "none"}

func (c *evidenceControl) ready() error {
	if c.Name == "" {
		return fmt.Errorf("name: say which evidence, as in --evidence sast=FILE")
	}
	if c.Maximum != "" && (!slices.Contains(levels[:], c.Maximum) || c.Maximum == "error") {
		return source.Wrong("maximum", c.Maximum, levels[1:]...)
	}
	if c.MaxScore != nil && (*c.MaxScore < 0 || *c.MaxScore >= 10) {
		return fmt.Errorf("max_score: want a security-severity from 0 to 9.9")
	}
	if c.Tool != "" {
		if err := globs("tool", []string{c.Tool}); err != nil {
			return err
		}
	}
	return between("max_days", c.MaxDays, 0, 3650)
}

func (c *evidenceControl) judge(x *Index, r *request, j *judgement) {
	e := x.image.Evidence[c.Name]
	if e == nil {
		j.details = append(j.details, detail{sekisho.ControlNotAssessed, "missing", []string{"name", c.Name}})
		return
	}
	j.looked = len(e.Results)
	if e.Failed {
		j.broken(e.Tool + ": executionSuccessful is false")
	}
	if c.Tool != "" && !match(c.Tool, e.Tool) {
		j.fail("tool", "tool", e.Tool, "wanted", c.Tool)
	}
	if c.MaxDays > 0 {
		if e.Time.IsZero() {
			j.missing("evidence_time")
		} else if r.Now.Sub(e.Time) > time.Duration(c.MaxDays)*24*time.Hour {
			j.fail("old", "name", c.Name, "date", e.Time.Format(time.DateOnly), "max_days", strconv.Itoa(c.MaxDays))
		}
	}
	for i := range e.Results {
		q := &e.Results[i]
		over := c.Maximum != "" && slices.Index(levels[:], q.Level) < slices.Index(levels[:], c.Maximum)
		if over || c.MaxScore != nil && q.Score > *c.MaxScore {
			j.fail("fail", "name", c.Name, "tool", e.Tool, "rule", q.Rule, "level", q.Level, "message", q.Message, "evidence", place(q.Path, q.Line), "path", q.Path, "line", strconv.Itoa(q.Line))
		}
	}
}

func place(path string, line int) string {
	if line > 0 {
		return path + ":" + strconv.Itoa(line)
	}
	return path
}
