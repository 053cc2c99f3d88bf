package vex

import (
	"strings"

	"sekisho"
)

// target is what was scanned, as statements may name it.
type target struct {
	*sekisho.Report
	repository, tag string // docker.io/library/debian, 12; empty when it has no name in a registry
	digests         []string
	software        map[string][]software // by base of the PURL
	byPURL          map[string]software
	parsed          map[string]*packageURL // of ids of statements; nil of those that are no PURLs
}

// url parses an id once.
func (t *target) url(id string) (*packageURL, bool) {
	p, ok := t.parsed[id]
	if !ok {
		if u, is := parsePURL(id); is {
			p = &u
		}
		t.parsed[id] = p
	}
	return p, p != nil
}

func newTarget(r *sekisho.Report) *target {
	t := &target{Report: r, software: map[string][]software{}, byPURL: map[string]software{}, parsed: map[string]*packageURL{}}
	for _, p := range r.Packages {
		s := newSoftware(p)
		t.software[s.purl.base()] = append(t.software[s.purl.base()], s)
		t.byPURL[p.PURL] = s
	}
	for _, d := range []sekisho.Digest{r.Target.Digest, r.Target.ID} {
		if d != "" {
			t.digests = append(t.digests, string(d))
		}
	}
	name := r.Target.Reference
	scheme, rest, _ := strings.Cut(name, ":")
	switch scheme {
	case "archive", "oci", "dir", "sbom", "file", "git", "container":
		return t
	case "registry", "docker", "containerd":
		name = rest
	}
	if r.Target.Kind == "image" || r.Target.Kind == "" {
		var digest string
		if t.repository, t.tag, digest = reference(name); digest != "" {
			t.digests = append(t.digests, digest)
		}
	}
	return t
}

// reference takes the name of an image apart, completed as Docker does.
func reference(s string) (repository, tag, digest string) {
	if s == "" || len(s) > 1024 || strings.ContainsAny(s, " \t?#") || strings.Contains(s, "://") || strings.HasPrefix(s, "pkg:") || strings.HasPrefix(s, "cpe:") {
		return "", "", ""
	}
	s, digest, _ = strings.Cut(s, "@")
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		s, tag = s[:i], s[i+1:]
	}
	host, rest, ok := strings.Cut(s, "/")
	switch {
	case !ok:
		s = "docker.io/library/" + s
	case host == "index.docker.io" || host == "registry-1.docker.io" || host == "docker.io":
		s = "docker.io/" + rest
		if !strings.Contains(rest, "/") {
			s = "docker.io/library/" + rest
		}
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		s = "docker.io/" + s
	}
	return s, tag, digest
}

// is reports whether an id names the target itself.
func (t *target) is(id string) bool {
	if p, ok := t.url(id); ok {
		return (p.kind == "oci" || p.kind == "docker") && t.isImage(p)
	}
	if strings.HasPrefix(id, "sha256:") {
		return contains(t.digests, id)
	}
	if strings.HasPrefix(id, "cpe:") {
		return t.isSystem(id)
	}
	repository, tag, digest := reference(id)
	if digest != "" {
		return contains(t.digests, digest) && (t.repository == "" || repository == t.repository)
	}
	return repository != "" && repository == t.repository && (tag == "" || tag == t.tag)
}

// isImage compares with a PURL of an image (PURL-TYPES.rst, "oci", "docker").
// What the target does not tell of itself cannot be the same.
func (t *target) isImage(p *packageURL) bool {
	digest, tag := p.version, p.qualifiers["tag"]
	if !strings.Contains(digest, ":") && digest != "" { // of type docker, a tag
		digest, tag = "", digest
	}
	if digest != "" && !contains(t.digests, digest) || tag != "" && tag != t.tag {
		return false
	}
	if arch := p.qualifiers["arch"]; arch != "" && !strings.Contains("/"+t.Target.Platform+"/", "/"+arch+"/") {
		return false
	}
	if digest != "" && t.repository == "" {
		return true
	}
	if from := p.qualifiers["repository_url"]; from != "" {
		repository, _, _ := reference(from)
		return repository != "" && repository == t.repository
	}
	name := "/" + p.name
	if p.namespace != "" {
		name = "/" + p.namespace + name
	}
	return strings.HasSuffix(t.repository, name)
}

// isSystem reports whether a CPE names the distribution, of the target's
// release.
func (t *target) isSystem(cpe string) bool {
	os := t.Target.OS
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(cpe, "cpe:2.3:"), "cpe:/"), ":")
	if os == nil || len(parts) < 4 || parts[0] != "o" && parts[0] != "a" {
		return false
	}
	id := map[string]string{"redhat:enterprise_linux": "rhel", "debian:debian_linux": "debian", "canonical:ubuntu_linux": "ubuntu", "alpinelinux:alpine_linux": "alpine",
		"almalinux:almalinux": "almalinux", "rocky:rocky": "rocky", "oracle:linux": "ol", "fedoraproject:fedora": "fedora"}[parts[1]+":"+parts[2]]
	return id == os.ID && (os.Version == parts[3] || strings.HasPrefix(os.Version, parts[3]+"."))
}

// concerns reports whether a product of a statement is the package of a
// finding, and how narrowly it was named: 2 by a version, else 1.
func (t *target) concerns(p Product, status string, s software) (narrow int) {
	if len(p.Subcomponents) == 0 {
		for _, id := range p.IDs {
			if u, ok := t.url(id); ok && u.means(&s, t.Target.OS) || !strings.HasPrefix(id, "cpe:") && t.is(id) {
				narrow = max(narrow, width(id))
			}
		}
		return narrow
	}
	for _, ids := range p.Subcomponents {
		for _, id := range ids {
			if u, ok := t.url(id); ok && u.means(&s, t.Target.OS) {
				narrow = max(narrow, width(id))
			}
		}
	}
	if narrow == 0 || narrow == 2 && status == sekisho.StatusFixed && onlyCPEs(p.IDs) { // a build is fixed wherever it is
		return narrow
	}
	for _, id := range p.IDs {
		if t.is(id) || t.holds(id, s) {
			return narrow
		}
	}
	return 0
}

func onlyCPEs(ids []string) bool {
	for _, id := range ids {
		if !strings.HasPrefix(id, "cpe:") {
			return false
		}
	}
	return len(ids) > 0
}

// width is 2 for an id with a version or a digest.
func width(id string) int {
	if p, ok := parsePURL(id); ok && p.version != "" || strings.Contains(id, "sha256:") {
		return 2
	}
	return 1
}

// holds reports whether an id names a package that s is a part of: both are in
// one file, as a program and the modules it was built from are.
func (t *target) holds(id string, s software) bool {
	u, ok := t.url(id)
	if !ok {
		return false
	}
	for _, whole := range t.software[u.base()] {
		if !u.means(&whole, t.Target.OS) {
			continue
		}
		for _, l := range whole.Locations {
			for _, m := range s.Locations {
				if outer(l) == outer(m) {
					return true
				}
			}
		}
	}
	return false
}

// outer is the file that an archive's entry is in.
func outer(path string) string {
	path, _, _ = strings.Cut(path, "!/")
	return path
}

func contains(list []string, s string) bool {
	for _, t := range list {
		if s == t {
			return true
		}
	}
	return false
}
