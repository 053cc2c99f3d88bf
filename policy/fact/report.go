package fact

import (
	"slices"
	"strings"
	"time"

	"sekisho"
)

// baseLabel names the image that an image was built on (OCI image
// specification, annotations.md).
const baseLabel = "org.opencontainers.image.base.name"

// FromReport takes the facts out of a scan's report. What the report was not
// asked for, or was told to leave out, is not known.
func FromReport(r *sekisho.Report) Image {
	i := Image{Digest: r.Target.Digest, ID: r.Target.ID, Assessed: assessed(r), Packages: r.Packages, Findings: r.Findings, Problems: r.Problems, Coverage: r.Coverage, OS: r.Target.OS}
	if ref, ok := ImageName(r.Target.Reference); ok {
		i.ScannedAs = ref
	}
	if !r.Generated.IsZero() {
		i.Scanned = &r.Generated
	}
	i.Feeds = r.Feeds
	if i.Feeds == nil {
		i.Feeds = []sekisho.Feed{}
	}
	i.Configured(r.Target.Config, r.Target.Created)
	if i.Knows(Packages) {
		yes := true
		i.SBOM = &yes // the report itself lists the packages
	}
	return i
}

// Configured sets what an image's configuration says; c may be nil, created is
// the time when it was made (RFC 3339) or anything that is none.
func (i *Image) Configured(c *sekisho.RunConfig, created string) {
	if c != nil {
		i.User, i.Labels = &c.User, c.Labels
		if i.Labels == nil {
			i.Labels = map[string]string{}
		}
		if base, ok := i.Labels[baseLabel]; ok {
			i.Base = &base
		}
	}
	if t, err := time.Parse(time.RFC3339, created); err == nil {
		i.Created = &t
	}
}

// ImageName cuts the scheme off a target that names an image; archives and
// directories have no name that a policy could trust.
func ImageName(target string) (string, bool) {
	for _, scheme := range []string{"registry:", "docker:", "containerd:"} {
		if name, ok := strings.CutPrefix(target, scheme); ok {
			return name, true
		}
	}
	return "", false
}

// assessed tells what the scan looked for: packages always, vulnerabilities
// when an advisory database was there, malware when signatures were.
func assessed(r *sekisho.Report) []string {
	if len(r.Filters) > 0 {
		return nil
	}
	list := []string{Packages}
	if r.Target.Kind == "repository" {
		list = nil // what it held once is installed nowhere
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(r.Feeds, func(f sekisho.Feed) bool {
			return slices.ContainsFunc(names, func(n string) bool { return f.Kind == n || f.Name == n || strings.HasPrefix(f.Name, n+":") })
		})
	}
	found := func(ok func(*sekisho.Vulnerable) bool) bool {
		return slices.ContainsFunc(r.Findings, func(x sekisho.Finding) bool { return x.Vulnerable != nil && ok(x.Vulnerable) })
	}
	if has(sekisho.FeedAdvisories) {
		list = append(list, Vulnerabilities)
		if has("kev") || found(func(v *sekisho.Vulnerable) bool { return v.KEV != nil }) {
			list = append(list, KEV)
		}
		if has("epss") || found(func(v *sekisho.Vulnerable) bool { return v.EPSS != nil }) {
			list = append(list, EPSS)
		}
	}
	if r.Target.Kind == "sbom" {
		return list
	}
	list = append(list, Secrets, Misconfiguration)
	if has("signatures", "yara", "clamav", "clamd", "hashes") {
		list = append(list, Malware)
	}
	return list
}
