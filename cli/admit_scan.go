package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sekisho"
	"sekisho/policy/fact"
	"sekisho/scan/cache"
	"sekisho/store"
)

// scanner learns what nobody knows yet about an image, by scanning it where it
// is. It implements admit.Scanner.
type scanner struct {
	app    *app
	config *admitConfig
	facts  *store.Facts
	scheme string        // where names without a scheme are looked for
	turns  chan struct{} // so many scans at a time
}

// maxScans is how many images are scanned at a time on demand.
const maxScans = 2

func (a *app) scanner(c *admitConfig, facts *store.Facts, scheme string) *scanner {
	return &scanner{app: a, config: c, facts: facts, scheme: scheme, turns: make(chan struct{}, maxScans)}
}

// Scan scans the image of a digest and keeps its facts. The digest decides what
// is looked at; the reference only says where. It may be of an engine:
// docker:NAME, containerd:NAME, containerd/NAMESPACE:NAME.
func (s *scanner) Scan(ctx context.Context, reference string, digest sekisho.Digest) error {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.facts.Version(digest) != "" {
		return nil // somebody else learned it meanwhile
	}
	namespace := ""
	if rest, ok := strings.CutPrefix(reference, "containerd/"); ok {
		namespace, reference, _ = strings.Cut(rest, ":")
		reference = "containerd:" + reference
	}
	v, err := s.config.voucher(s.app)
	if err != nil {
		return err
	}
	found, err := v.attested(ctx, s.facts, reference, digest, s.config.attested)
	if err != nil && ctx.Err() != nil {
		return err
	}
	if !found {
		if err := s.learn(ctx, exactly(reference, digest, s.scheme), namespace, digest); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(exactly(reference, digest, s.scheme), "registry:") {
		return nil
	}
	return v.vouch(ctx, s.facts, reference, digest)
}

// exactly is the target that can only be the image of a digest.
func exactly(reference string, digest sekisho.Digest, scheme string) string {
	for _, known := range []string{"registry", "docker", "containerd", "storage"} {
		if rest, ok := strings.CutPrefix(reference, known+":"); ok {
			scheme, reference = known, rest
			break
		}
	}
	switch scheme {
	case "docker":
		if index := sekisho.Digest(reference); index != digest && index.Validate() == nil { // a manifest has no name of its own there
			return "docker:" + reference + "@" + string(digest)
		}
		return "docker:" + string(digest)
	case "storage":
		return "storage:" + string(digest)
	case "containerd":
		return "containerd:" + reference // containerd knows images by name only; what came is compared
	}
	name, _, _ := strings.Cut(reference, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return "registry:" + name + "@" + string(digest)
}

// learn scans a target and keeps its facts under all its digests. When want is
// not empty, it must be one of them.
func (s *scanner) learn(ctx context.Context, target, namespace string, want sekisho.Digest) error {
	f := &scanFlags{jobs: 1, quiet: true, cacheMiB: cache.DefaultSize >> 20}
	f.source.namespace = namespace
	report, digests, err := s.app.throughGate(s.config).learn(ctx, target, s.config, f)
	if err != nil {
		return err
	}
	if want != "" && !slices.Contains(digests, want) {
		return sekisho.Errorf(sekisho.NotFound, "%s is another image by now: want %s", target, want)
	}
	_, err = keep(s.facts, report, nil, digests...)
	return err
}

// keep keeps the facts of a report. What was known beside what a scan can tell
// (signatures, approvals, what other tools found) stays.
func keep(facts *store.Facts, r *sekisho.Report, evidence map[string]*fact.Evidence, digests ...sekisho.Digest) (string, error) {
	image := fact.FromReport(r)
	for _, d := range digests {
		old, err := facts.Image(d)
		if err != nil {
			continue
		}
		image.Signatures, image.Provenance, image.Approvals = old.Signatures, old.Provenance, old.Approvals
		image.TagImmutable, image.Evidence, image.Indexes = old.TagImmutable, old.Evidence, old.Indexes
		break
	}
	for name, e := range evidence {
		if image.Evidence == nil {
			image.Evidence = map[string]*fact.Evidence{}
		}
		image.Evidence[name] = e
	}
	return facts.Keep(&image, digests...)
}

// learn scans a target whole, as gates want it: everything is looked for and
// nothing is filtered out. The digests are all names of the same image.
func (a *app) learn(ctx context.Context, target string, c *admitConfig, f *scanFlags) (*sekisho.Report, []sekisho.Digest, error) {
	f.db, f.vex, f.content.signatures = c.Database, c.VEX, c.Signatures
	f.source.insecure = f.source.insecure || c.Insecure
	report, err := a.reportOf(ctx, target, f)
	if err != nil {
		return nil, nil, fmt.Errorf("scan %s: %w", target, err)
	}
	f.vexAttached, f.policy.trust = c.VEXAttached && strings.HasPrefix(report.Target.Reference, "registry:"), c.Trust
	if err := a.statements(ctx, report, f); err != nil {
		return nil, nil, err
	}
	return report, digestsOf(report, f), nil
}

// digestsOf are the names of the image that was scanned: of its manifest, its
// configuration and the index that it was chosen from.
func digestsOf(r *sekisho.Report, f *scanFlags) (list []sekisho.Digest) {
	for _, d := range append([]sekisho.Digest{r.Target.Digest, r.Target.ID}, f.names...) {
		if d != "" && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// keepFacts keeps what a scan learned of an image, so that gates know it. What
// is no image has no digest that a gate could be asked about.
func (a *app) keepFacts(r *sekisho.Report, f *scanFlags) error {
	if !f.keepFacts {
		return nil
	}
	digests := digestsOf(r, f)
	if r.Target.Kind != "image" || len(digests) == 0 {
		a.note("cli.note.no_facts", "target", r.Target.Reference)
		return nil
	}
	dir, err := a.dataDir("SEKISHO_FACTS_DIR", "facts")
	if err != nil {
		return err
	}
	facts, err := store.OpenFacts(dir)
	if err != nil {
		return err
	}
	_, err = keep(facts, r, nil, digests...)
	return err
}
