package match

import (
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
)

// pro marks what only paying customers of Ubuntu get.
const pro = "pro"

// entitled reports whether the target gets what the record's repositories hold:
// those without one, the mainline of Red Hat's releases, and what the caller
// names.
func (m *matcher) entitled(r *advisory.Record) bool {
	return len(r.Repositories) == 0 || slices.ContainsFunc(r.Repositories, func(repo string) bool {
		return repo == pro || mainline(repo) || m.named(repo)
	})
}

// named reports whether the caller names a repository, or a part of it: what
// has no fix stands under a product as a whole ("cpe:/a:redhat:openshift:4"),
// what an image gets is one release of it ("cpe:/a:redhat:openshift:4.12::el8").
func (m *matcher) named(repo string) bool {
	return slices.ContainsFunc(m.Repositories, func(have string) bool {
		rest, ok := strings.CutPrefix(have, repo)
		return ok && (rest == "" || strings.HasPrefix(repo, "cpe:/") && (rest[0] == ':' || rest[0] == '.'))
	})
}

// mainline reports whether a repository is the ordinary one of a release: a CPE
// of enterprise_linux itself, not of its extended streams or of other products.
func mainline(repo string) bool {
	if !strings.HasPrefix(repo, "cpe:/") {
		return repo == "main" || repo == "core"
	}
	product, _ := product(repo)
	return slices.Contains([]string{"enterprise_linux", "rhel_software_collections"}, product)
}

// product returns the product that a CPE of Red Hat's names.
func product(cpe string) (name string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(cpe, "cpe:/"), ":")
	if len(parts) < 3 || parts[1] != "redhat" {
		return "", false
	}
	return parts[2], true
}

// extended reports whether a repository is an extended stream of Red Hat
// Enterprise Linux: the same packages, kept at one minor release.
func extended(repo string) bool {
	name, _ := product(repo)
	return slices.Contains([]string{"rhel_eus", "enterprise_linux_eus", "rhel_eus_long_life", "rhel_aus", "rhel_e4s", "rhel_tus", "rhel_els", "rhel_mission_critical"}, name)
}

// streamOnly reports whether the target gets an extended stream and not the
// mainline: then what the stream says goes before what the mainline says.
func streamOnly(repositories []string) bool {
	return slices.ContainsFunc(repositories, extended) && !slices.ContainsFunc(repositories, mainline)
}

// hear notes that the stream of a target that follows one speaks about a flaw
// of a package, whatever it says.
func (m *matcher) hear(at int, r *advisory.Record) {
	if !m.stream || !slices.ContainsFunc(r.Repositories, func(repo string) bool { return extended(repo) && m.named(repo) }) {
		return
	}
	m.heard[spoken{at, r.ID}] = true
}

// spoken is a flaw of a package, by its place.
type spoken struct {
	at int
	id string
}

// outspoken drops what the mainline says about flaws of which the target's own
// stream speaks; where it does not, the note tells.
func (m *matcher) outspoken(at int, list []*verdict) []*verdict {
	if !m.stream {
		return list
	}
	list = slices.DeleteFunc(list, func(v *verdict) bool { return ofMainline(&v.record) && m.heard[spoken{at, v.record.ID}] })
	for i := range list {
		if v := list[i]; v.status == sekisho.StatusFixed && ofMainline(&v.record) {
			v.note = joined(v.note, "fixed in the mainline; nothing is said of the extended stream")
		}
	}
	return list
}

func ofMainline(r *advisory.Record) bool {
	return len(r.Repositories) > 0 && !slices.ContainsFunc(r.Repositories, func(repo string) bool { return !mainline(repo) })
}
