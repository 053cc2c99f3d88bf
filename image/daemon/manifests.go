package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"sekisho"
)

// manifest is what an engine that keeps its images in containerd tells of one
// image below an index (API 1.48 and later).
type manifest struct {
	ID        sekisho.Digest
	Available bool
	Kind      string // image, attestation, unknown
	ImageData *struct{ Platform sekisho.Platform }
}

// images are the manifests that the engine can run.
func (i *inspected) images() (list []manifest) {
	for _, m := range i.Manifests {
		if m.Kind == "image" && m.Available && m.ImageData != nil && m.ID.Validate() == nil {
			list = append(list, m)
		}
	}
	return list
}

func (i *inspected) platform() sekisho.Platform {
	return sekisho.Platform{OS: i.Os, Architecture: i.Architecture, Variant: i.Variant}
}

// choose picks the image that is meant: by the digest of its manifest, by its
// platform, else the one that the engine itself would run.
func (i *inspected) choose(want sekisho.Digest, p sekisho.Platform) (manifest, bool) {
	if p == (sekisho.Platform{}) {
		p = i.platform()
	}
	for _, m := range i.images() {
		if want != "" && m.ID == want || want == "" && m.ImageData.Platform.Matches(p) {
			return m, true
		}
	}
	return manifest{}, false
}

// exact cuts INDEX@MANIFEST, by which an image below an index is named that has
// no name of its own.
func exact(ref string) (name string, manifest sekisho.Digest) {
	name, m, ok := strings.Cut(ref, "@")
	if d := sekisho.Digest(m); ok && strings.HasPrefix(name, "sha256:") && d.Validate() == nil {
		return name, d
	}
	return ref, ""
}

// chosen is an image of the engine that one can ask for.
type chosen struct {
	inspected
	name  string           // as the engine takes it
	query string           // that asks for its platform; empty where there is no choice
	id    sekisho.Digest   // of the image; the index's where that lists no other one
	also  []sekisho.Digest // further digests of it
}

// inspect asks for an image, and for the one of a platform where a name stands
// for several.
func (c *Client) inspect(ctx context.Context, ref string, p sekisho.Platform) (*chosen, error) {
	x := &chosen{}
	var want sekisho.Digest
	x.name, want = exact(ref)
	if err := c.Get(ctx, "/images/"+escape(x.name)+"/json?manifests=1", &x.inspected); err != nil {
		var e *sekisho.Error
		if errors.As(err, &e) && e.Kind == sekisho.NotFound {
			e.Hint = "docker pull " + ref + ", or scan it where it is: registry:" + ref
		}
		return nil, err
	}
	whole := x.inspected
	x.id = whole.ID
	m, ok := whole.choose(want, p)
	if want != "" && !ok && want != whole.ID {
		return nil, sekisho.Errorf(sekisho.NotFound, "the engine has no image %s below %s", want, x.name)
	}
	if ok && len(whole.images()) > 1 {
		text, err := json.Marshal(m.ImageData.Platform)
		if err != nil {
			return nil, err
		}
		x.query = "?platform=" + url.QueryEscape(string(text))
	}
	if x.query != "" {
		x.inspected = inspected{Manifests: whole.Manifests}
		if err := c.Get(ctx, "/images/"+escape(x.name)+"/json"+x.query, &x.inspected); err != nil {
			return nil, err
		}
		if x.ID != m.ID { // an index may list two images of one platform
			return nil, sekisho.Errorf(sekisho.Invalid, "the engine takes %s for %s of %s, not %s", x.ID, m.ImageData.Platform, x.name, m.ID)
		}
		x.Manifests = whole.Manifests
		if !m.ImageData.Platform.Matches(whole.platform()) { // the names of the index are those of the one that runs here
			x.id, x.RepoDigests = m.ID, nil
			return x, nil
		}
	}
	if ok && m.ID != x.id {
		x.also = append(x.also, m.ID)
	}
	return x, nil
}
