package cli

import (
	"context"
	"slices"
	"strings"

	"sekisho"
	"sekisho/admit/approval"
	"sekisho/policy/fact"
)

// vouched verifies what was signed about the image that was scanned, where
// --trust or --approvers ask for it, so that a policy can judge signatures,
// provenance and approvals.
func (a *app) vouched(ctx context.Context, r *sekisho.Report, f *scanFlags) (func(*fact.Image), error) {
	if f.policy.trust == "" && f.policy.approvers == "" {
		return nil, nil
	}
	name, ok := strings.CutPrefix(r.Target.Reference, "registry:")
	if !ok {
		return nil, sekisho.Errorf(sekisho.Usage, "--trust and --approvers need an image in a registry, not %s", r.Target.Reference)
	}
	b, err := a.beside(ctx, name, r.Target.Platform, f.source.insecure)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(b.subject.Digests, r.Target.Digest) { // the tag has moved, or the index has no such platform
		return nil, sekisho.Errorf(sekisho.Unavailable, "%s points to another image than a moment ago", name).WithHint("name the image by its digest")
	}
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	var steps []func(*fact.Image)
	if f.policy.trust != "" {
		set, err := trustSet(f.policy.trust, nil)
		if err != nil {
			return nil, err
		}
		found, err := b.found(ctx, &set.Trust, nil, now)
		if err != nil {
			return nil, err
		}
		steps = append(steps, func(i *fact.Image) { found.Fill(i, set.Levels) })
	}
	if f.policy.approvers != "" {
		people, err := openPeople(f.policy.approvers)
		if err != nil {
			return nil, err
		}
		found, err := b.found(ctx, people.Trust(), nil, now)
		if err != nil {
			return nil, err
		}
		roads, _ := people.Roads(found, now)
		steps = append(steps, func(i *fact.Image) { i.Approvals = approval.Facts(approval.Approvals(roads), i) })
	}
	return func(i *fact.Image) {
		for _, step := range steps {
			step(i)
		}
	}, nil
}

func openPeople(name string) (*approval.People, error) {
	data, err := readFile(name, 1<<20)
	if err != nil {
		return nil, err
	}
	return approval.ParsePeople(data, name, readFile)
}
