package assurance

import (
	"fmt"

	"sekisho/policy/scope"
)

// digestControl: the workload names the image by its digest.
type digestControl struct{}

func (digestControl) ready() error { return nil }

func (digestControl) judge(_ *Index, r *request, j *judgement) {
	if ref := j.reference(r); ref != nil && ref.Digest == "" {
		j.fail("fail", "reference", ref.String())
	}
}

// tagsControl: the tag is none of these.
type tagsControl struct {
	Denied []string `yaml:"denied"`
}

func (c *tagsControl) ready() error {
	if len(c.Denied) == 0 {
		return fmt.Errorf("denied: want at least one tag, as latest")
	}
	return globs("denied", c.Denied)
}

func (c *tagsControl) judge(_ *Index, r *request, j *judgement) {
	if ref := j.reference(r); ref != nil && ref.Digest == "" && scope.Any(c.Denied, ref.Tag) {
		j.fail("fail", "tag", ref.Tag)
	}
}

// tagImmutableControl: nobody can move the tag to another image.
type tagImmutableControl struct{}

func (tagImmutableControl) ready() error { return nil }

func (tagImmutableControl) judge(x *Index, r *request, j *judgement) {
	ref := j.reference(r)
	if ref == nil || ref.Digest != "" {
		return // a digest does not move
	}
	fixed := x.image.TagImmutable
	if r.TagFixed != nil {
		fixed = r.TagFixed
	}
	if fixed == nil {
		j.missing("tag_immutable")
	} else if !*fixed {
		j.fail("fail", "tag", ref.Tag, "registry", ref.Registry)
	}
}
