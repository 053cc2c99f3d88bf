// Package scope says which images and workloads a policy or an exception is
// for. References are read once, by the library that defines their grammar;
// patterns are globs over their parts. It refuses patterns that could be meant
// in two ways.
package scope

import (
	"strings"

	"github.com/distribution/reference"

	"sekisho"
)

// Reference is an image's name in its parts. Docker's short forms are written
// out: "nginx" is registry docker.io, repository library/nginx, tag latest.
type Reference struct {
	Registry   string
	Repository string
	Tag        string // empty when a digest alone names the image
	Digest     sekisho.Digest
}

// maxReference bounds a reference in bytes; the grammar allows 255 for a name
// and 128 for a tag.
const maxReference = 1024

// Parse reads a reference by the grammar of the distribution project.
func Parse(text string) (Reference, error) {
	if len(text) > maxReference {
		return Reference{}, sekisho.Errorf(sekisho.Invalid, "image reference of %d bytes", len(text))
	}
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return Reference{}, sekisho.Errorf(sekisho.Invalid, "image reference %q: %w", text, err)
	}
	r := Reference{Registry: reference.Domain(named), Repository: reference.Path(named)}
	if r.Registry == "" { // the library reads a host with an underscore as a path
		return Reference{}, sekisho.Errorf(sekisho.Invalid, "image reference %q: its registry is no host name", text)
	}
	if t, ok := named.(reference.Tagged); ok {
		r.Tag = t.Tag()
	}
	if d, ok := named.(reference.Digested); ok {
		r.Digest = sekisho.Digest(d.Digest())
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r, nil
}

// Name is registry and repository.
func (r Reference) Name() string { return r.Registry + "/" + r.Repository }

// String writes the reference with everything that is known.
func (r Reference) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// maxWild is how often ** may stand in a pattern: each multiplies the work.
const maxWild = 3

// Image is a pattern for images: REGISTRY/REPOSITORY[:TAG]. In the name, * is
// anything within one part between slashes and ** any number of parts; in the
// tag, * is anything.
type Image struct {
	text  string
	parts []string
	tag   string
	any   bool // no tag was named
}

// ParseImage reads a pattern. Without a wildcard it is a reference, with
// Docker's short forms; with one, the registry must be written out.
func ParseImage(text string) (Image, error) {
	if text == "" {
		return Image{}, sekisho.Errorf(sekisho.Invalid, "an empty image pattern")
	}
	if !strings.ContainsAny(text, "*?[") {
		r, err := Parse(text)
		if err != nil {
			return Image{}, err
		}
		if r.Digest != "" {
			return Image{}, sekisho.Errorf(sekisho.Invalid, "image pattern %q has a digest; name digests in a field of their own", text)
		}
		last := text[strings.LastIndexByte(text, '/')+1:]
		return Image{text: text, parts: strings.Split(r.Name(), "/"), tag: r.Tag, any: !strings.Contains(last, ":")}, nil
	}
	name, tag := text, ""
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, '/') {
		name, tag = text[:i], text[i+1:]
	}
	parts := strings.Split(name, "/")
	host := parts[0]
	if len(parts) == 1 && host != "**" || len(parts) > 1 && !strings.ContainsAny(host, ".:*") && host != "localhost" {
		return Image{}, sekisho.Errorf(sekisho.Invalid, "image pattern %q does not begin with a registry", text).
			WithHint("write it out, as docker.io/library/%s, or */%s for any", name, name)
	}
	if n := strings.Count(text, "**"); n > maxWild {
		return Image{}, sekisho.Errorf(sekisho.Invalid, "image pattern %q: %d times **, want at most %d", text, n, maxWild)
	}
	for _, p := range append(parts[:len(parts):len(parts)], tag) {
		if err := checkGlob(p); err != nil {
			return Image{}, sekisho.Errorf(sekisho.Invalid, "image pattern %q: %w", text, err)
		}
		if strings.Contains(p, "**") && p != "**" {
			return Image{}, sekisho.Errorf(sekisho.Invalid, "image pattern %q: ** stands alone between slashes", text)
		}
	}
	return Image{text: text, parts: parts, tag: tag, any: tag == "" || tag == "**"}, nil
}

// String is the pattern as it was written.
func (i Image) String() string { return i.text }

// Match reports whether the reference matches.
func (i Image) Match(r Reference) bool {
	if !i.any && !Glob(i.tag, r.Tag) {
		return false
	}
	return matchParts(i.parts, r.Registry, r.Repository)
}

// matchParts compares patterns with registry and repository, part by part. A
// last ** also stands for the part that is left when all else matched.
func matchParts(patterns []string, head, rest string) bool {
	for n, p := range patterns {
		if p == "**" {
			if n == len(patterns)-1 {
				return true
			}
			for {
				if matchParts(patterns[n+1:], head, rest) {
					return true
				}
				if rest == "" {
					return false
				}
				head, rest, _ = strings.Cut(rest, "/")
			}
		}
		if head == "" || !Glob(p, head) {
			return false
		}
		head, rest, _ = strings.Cut(rest, "/")
	}
	return head == ""
}
