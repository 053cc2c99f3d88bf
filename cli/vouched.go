package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit/approval"
	"sekisho/admit/signature"
	"sekisho/admit/signature/trust"
	"sekisho/image/oci"
	"sekisho/policy/fact"
	"sekisho/policy/scope"
	"sekisho/store"
)

// voucher verifies what was signed about images in registries: whose signatures
// count, and who may approve. Either may be nil.
type voucher struct {
	app      *app
	trust    *trust.Set
	people   *approval.People
	insecure bool
	plain    []string      // patterns of registries without TLS
	age      time.Duration // how old a scan may be that others attested, to be taken; 0 takes none
}

// voucher is what a gate's configuration names.
func (c *admitConfig) voucher(a *app) (*voucher, error) {
	v, err := a.voucher(c.Trust, c.Approvers, c.Insecure)
	if v != nil {
		v.plain, v.age = c.plain, c.attested
	}
	return v, err
}

// voucher reads trust.yaml and approvers.yaml; it is nil when neither is named.
func (a *app) voucher(trustFile, approversFile string, insecure bool) (*voucher, error) {
	if trustFile == "" && approversFile == "" {
		return nil, nil
	}
	v := &voucher{app: a, insecure: insecure}
	var err error
	if trustFile != "" {
		if v.trust, err = trustSet(trustFile, nil); err != nil {
			return nil, err
		}
	}
	if approversFile != "" {
		v.people, err = openPeople(approversFile)
	}
	return v, err
}

// proof is what was found to hold about one image.
type proof struct {
	*voucher
	place  *beside
	signed *signature.Result // by those in trust.yaml; nil when not looked for
	roads  []approval.Road
}

// about verifies what lies beside an image. The digest says which image is
// meant, the name where it is; the platform leads to it when the name is of an
// index. What is signed of an index above counts too, when that lists the image.
func (v *voucher) about(ctx context.Context, name, platform string, digest sekisho.Digest, above ...string) (*proof, error) {
	insecure := v.insecure
	if ref, err := scope.Parse(name); err == nil && scope.Any(v.plain, ref.Registry) {
		insecure = true
	}
	b, err := v.app.beside(ctx, name, platform, insecure)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(b.subject.Digests, digest) { // the tag has moved, or the index has no such platform
		return nil, sekisho.Errorf(sekisho.Unavailable, "%s points to another image than a moment ago", name).WithHint("name the image by its digest")
	}
	for _, at := range above {
		if err := b.under(ctx, at); err != nil {
			return nil, err
		}
	}
	now, err := v.app.now()
	if err != nil {
		return nil, err
	}
	p := &proof{voucher: v, place: b}
	if v.trust != nil {
		if p.signed, err = b.found(ctx, &v.trust.Trust, nil, now); err != nil {
			return nil, err
		}
	}
	if v.people != nil {
		found, err := b.found(ctx, v.people.Trust(), nil, now)
		if err != nil {
			return nil, err
		}
		p.roads, _ = v.people.Roads(found, now)
	}
	return p, nil
}

// under adds the index at a tag or digest, when it is there and lists the image.
func (b *beside) under(ctx context.Context, at string) error {
	if slices.Contains(b.subject.Digests, sekisho.Digest(at)) {
		return nil
	}
	raw, d, err := b.source.Manifest(ctx, at)
	if sekisho.KindOf(err) == sekisho.NotFound {
		return nil // a configuration's digest, a tag that is gone, or an index of another repository
	}
	if err != nil {
		return err
	}
	var index oci.Document
	if json.Unmarshal(raw, &index) == nil && !slices.Contains(b.subject.Digests, d.Digest) &&
		slices.ContainsFunc(index.Manifests, func(m oci.Descriptor) bool { return m.Digest == b.subject.Digests[0] }) {
		b.subject.Digests, b.subject.Manifests = append(b.subject.Digests, d.Digest), append(b.subject.Manifests, raw)
	}
	return nil
}

// fill sets what is proven.
func (p *proof) fill(i *fact.Image) {
	if p.signed != nil {
		p.signed.Fill(i, p.trust.Levels)
	}
	if p.people != nil {
		i.Approvals = approval.Facts(approval.Approvals(p.roads), i)
	}
}

// vouched is what is proven about the image that was scanned, where --trust or
// --approvers ask for it, so that a policy can judge it.
func (a *app) vouched(ctx context.Context, r *sekisho.Report, f *scanFlags) (func(*fact.Image), error) {
	v, err := a.voucher(f.policy.trust, f.policy.approvers, f.source.insecure)
	if v == nil || err != nil {
		return nil, err
	}
	name, ok := strings.CutPrefix(r.Target.Reference, "registry:")
	if !ok {
		return nil, sekisho.Errorf(sekisho.Usage, "--trust and --approvers need an image in a registry, not %s", r.Target.Reference)
	}
	p, err := v.about(ctx, name, r.Target.Platform, r.Target.Digest)
	if err != nil {
		return nil, err
	}
	return p.fill, nil
}

func openPeople(name string) (*approval.People, error) {
	data, err := readFile(name, 1<<20)
	if err != nil {
		return nil, err
	}
	return approval.ParsePeople(data, name, readFile)
}

// vouch verifies what was signed about an image that is known, where it is, and
// keeps what is proven with its facts, under all of the digests. The first has
// facts; the reference may be empty for where it was scanned.
func (v *voucher) vouch(ctx context.Context, facts *store.Facts, reference string, digests ...sekisho.Digest) error {
	if v == nil || len(digests) == 0 {
		return nil
	}
	i, err := facts.Image(digests[0])
	if err != nil {
		return err
	}
	name, ok := at(cmp.Or(reference, i.ScannedAs), i.Digest)
	if !ok {
		return nil // built here, or of an archive: nothing can lie beside it
	}
	p, err := v.about(ctx, name, "", i.Digest, above(i, digests, cmp.Or(reference, i.ScannedAs))...)
	if err != nil {
		return fmt.Errorf("verify what was signed: %w", err)
	}
	before := *i // lists are replaced, never changed
	for _, d := range p.place.subject.Digests[1:] {
		if !slices.Contains(i.Indexes, d) && len(i.Indexes) < maxIndexes {
			i.Indexes = append(slices.Clone(i.Indexes), d)
		}
	}
	if err := p.newer(ctx, i); err != nil {
		return err
	}
	p.fill(i)
	kept := !slices.ContainsFunc(digests, func(d sekisho.Digest) bool { return facts.Version(d) == "" })
	if kept && reflect.DeepEqual(before, *i) {
		return nil // nothing new
	}
	_, err = facts.Keep(i, digests...)
	return err
}

// scan is the newest scan that was attested and is no older than age: one of our
// own, else another scanner's whose word counts, with what the image's
// configuration says.
func (p *proof) scan(ctx context.Context, now time.Time, age time.Duration) (fact.Image, bool, error) {
	i, _, err := p.signed.Scan()
	if err == nil && i.Scanned != nil && now.Sub(*i.Scanned) <= age {
		return i, true, nil
	}
	i, _, err = p.signed.Scanned(p.trust.Scanners)
	if err != nil || now.Sub(*i.Scanned) > age {
		return i, false, nil // why stands in what verify shows
	}
	return i, true, p.place.configuration(ctx, &i)
}

// maxConfiguration bounds an image's configuration in bytes.
const maxConfiguration = 8 << 20

// configuration sets what the configuration of the image's manifest says.
func (b *beside) configuration(ctx context.Context, i *fact.Image) error {
	var manifest oci.Document
	if err := json.Unmarshal(b.subject.Manifests[0], &manifest); err != nil || manifest.Config.Digest == "" {
		return sekisho.Errorf(sekisho.Invalid, "%s: its manifest names no configuration", i.Digest)
	}
	data, err := b.source.Blob(ctx, manifest.Config, maxConfiguration)
	if err != nil {
		return err
	}
	var config struct {
		Created string            `json:"created"`
		Config  sekisho.RunConfig `json:"config"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "%s: its configuration: %w", i.Digest, err)
	}
	i.ID = manifest.Config.Digest
	i.Configured(&config.Config, config.Created)
	return nil
}

// newer puts a scan that somebody trusted has attested since in the place of what
// is known: so a gate without a scanner learns what became known, and approvals
// lapse by it.
func (p *proof) newer(ctx context.Context, i *fact.Image) error {
	if p.signed == nil || p.age <= 0 {
		return nil
	}
	now, err := p.app.now()
	if err != nil {
		return err
	}
	fresh, ok, err := p.scan(ctx, now, p.age)
	switch {
	case err != nil || !ok:
		return err
	case i.Scanned != nil && !fresh.Scanned.After(*i.Scanned):
		return nil // not newer than what is known
	case fresh.Scanner != nil && i.Scanner == nil && i.Scanned != nil && now.Sub(*i.Scanned) <= p.age:
		return nil // a scan of our own knows more
	}
	fresh.ID, fresh.ScannedAs, fresh.Indexes, fresh.TagImmutable, fresh.Evidence = cmp.Or(i.ID, fresh.ID), i.ScannedAs, i.Indexes, i.TagImmutable, i.Evidence
	*i = fresh
	return nil
}

// maxIndexes bounds the indexes that are remembered of an image.
const maxIndexes = 16

// above are the digests and tags where indexes may be that list an image.
func above(i *fact.Image, digests []sekisho.Digest, reference string) (list []string) {
	for _, d := range append(slices.Clone(i.Indexes), digests...) {
		if d != i.Digest && d != i.ID && !slices.Contains(list, string(d)) {
			list = append(list, string(d))
		}
	}
	if n := strings.LastIndexByte(reference, ':'); n > strings.LastIndexByte(reference, '/') && !strings.Contains(reference, "@") {
		list = append(list, reference[n+1:])
	}
	return list
}

// at is where an image lies, by its own digest.
func at(reference string, d sekisho.Digest) (string, bool) {
	if reference == "" || d == "" {
		return "", false
	}
	return strings.CutPrefix(exactly(strings.TrimPrefix(reference, "registry:"), d, "registry"), "registry:")
}

// attested takes the facts of an image from a scan that somebody trusted has
// attested, no older than age, instead of scanning it. It reports whether there
// was one.
func (v *voucher) attested(ctx context.Context, facts *store.Facts, reference string, digest sekisho.Digest, age time.Duration) (bool, error) {
	if v == nil || v.trust == nil || age <= 0 {
		return false, nil
	}
	name, ok := at(reference, digest)
	if !ok {
		return false, nil
	}
	p, err := v.about(ctx, name, "linux/"+runtime.GOARCH, digest) // of an index, this machine's
	if err != nil {
		return false, err
	}
	now, err := v.app.now()
	if err != nil {
		return false, err
	}
	i, ok, err := p.scan(ctx, now, age)
	if err != nil || !ok {
		return false, err // none, or too old: the image is scanned
	}
	i.ScannedAs = name // where it is now, not where it was scanned
	p.fill(&i)
	_, err = facts.Keep(&i, digest)
	return err == nil, err
}

// factsVerifyCommand verifies anew what was signed about known images.
func (a *app) factsVerifyCommand(shared *admitFlags) *cobra.Command {
	return &cobra.Command{Use: "verify [DIGEST…]", Short: a.texts.Text("signature.facts.verify"), Args: usageArgs(cobra.ArbitraryArgs), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error { return a.factsVerify(cmd.Context(), shared, args) }}
}

func (a *app) factsVerify(ctx context.Context, shared *admitFlags, only []string) error {
	c, err := a.placesOf(shared)
	if err != nil {
		return err
	}
	facts, err := store.OpenFacts(c.Facts)
	if err != nil {
		return err
	}
	v, err := c.voucher(a)
	if err != nil {
		return err
	}
	if v == nil {
		return sekisho.Errorf(sekisho.Usage, "nobody is trusted").WithHint("trust: and approvers: in %s", cmp.Or(c.name, admitConfigName))
	}
	done, err := v.refresh(ctx, facts, only)
	fmt.Fprintf(a.Stdout, "%s\n", a.texts.Text("signature.facts.verified", "count", done))
	return err
}

// reverify verifies anew, from time to time, what was signed about known images,
// so that an approval given or taken back is known to a gate that must not ask
// while it decides. It ends with the context.
func (g *gate) reverify(ctx context.Context, a *app) {
	v, err := g.config.voucher(a)
	if v == nil && err == nil {
		return
	}
	tick := time.NewTicker(g.config.verify)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// The files are read again: trust may have been withdrawn.
		if v, err = g.config.voucher(a); err == nil {
			_, err = v.refresh(ctx, g.facts, nil)
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(a.Stderr, "sekisho: %s: %s\n", a.texts.Text("signature.reverify"), visible(err.Error()))
		}
	}
}

// refresh verifies anew what was signed about all known images, or some. One
// that cannot be verified keeps what was known and does not stop the rest; the
// first error is returned.
func (v *voucher) refresh(ctx context.Context, facts *store.Facts, only []string) (done int, first error) {
	list, err := facts.List()
	if err != nil {
		return 0, err
	}
	names := map[string][]sekisho.Digest{} // all digests of one image
	var versions []string
	for _, k := range list {
		if names[k.Version] == nil {
			versions = append(versions, k.Version)
		}
		names[k.Version] = append(names[k.Version], k.Digest)
	}
	for _, version := range versions {
		digests := names[version]
		if len(only) > 0 && !slices.ContainsFunc(digests, func(d sekisho.Digest) bool { return slices.Contains(only, string(d)) }) {
			continue
		}
		if err := v.vouch(ctx, facts, "", digests...); err == nil {
			done++
		} else if first == nil {
			first = fmt.Errorf("%s: %w", digests[0], err)
		}
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
	}
	return done, first
}
