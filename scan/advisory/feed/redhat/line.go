package redhat

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/version"
)

// Products get a fix for each minor release that is maintained: of one CVE,
// curl-7.76.1-14.el9_0.9 for those with extended support of 9.0, and under the
// CPE of the mainline curl-7.76.1-23.el9_2.4 and curl-7.76.1-26.el9_3.2. Each
// ends the flaw in the builds of its own minor release, which are lower than
// the fixes of later ones.

// tags are how releases of packages name the minor release that they are for.
var tags = []*regexp.Regexp{
	regexp.MustCompile(`^(.*\.el\d{1,2}_)(\d{1,2})(?:\..*)?$`),                  // 23.el9_2.4
	regexp.MustCompile(`^(.*\.module[+_]el\d{1,2}\.)(\d{1,2})\.\d{1,3}[+_].*$`), // 11.module+el8.6.0+23193+6b2b1cae.1
}

// minor returns the minor release that a build is for, and the lowest version
// that a build of the same for the next one can have.
func minor(evr string) (n int, next string, ok bool) {
	for _, t := range tags {
		if m := t.FindStringSubmatch(evr); m != nil {
			n, err := strconv.Atoi(m[2])
			return n, m[1] + strconv.Itoa(n+1), err == nil
		}
	}
	return 0, "", false
}

// fixAt is a fix of a minor release.
type fixAt struct {
	version, next string
	minor         int
	repositories  string
	arch          []string
}

// meets reports whether both lists of architectures have one; empty is all.
func meets(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

// lines takes the builds that a fix of an earlier minor release has cured out
// of the ranges of later fixes.
func lines(records []advisory.Record) {
	groups := map[[4]string][]int{}
	for i, r := range records {
		if r.Status == sekisho.StatusFixed && r.Ecosystem != group && slices.ContainsFunc(r.Repositories, ofEnterprise) {
			key := [4]string{r.Ecosystem, r.Package, strconv.FormatBool(r.Source), r.Module}
			groups[key] = append(groups[key], i)
		}
	}
	for _, at := range groups {
		if len(at) > 1 {
			follow(records, at)
		}
	}
}

// ofEnterprise reports whether a CPE is one of Red Hat Enterprise Linux itself, in
// whatever stream.
func ofEnterprise(cpe string) bool {
	part := strings.Split(cpe, ":")
	return len(part) > 3 && enterprise(part[3])
}

func follow(records []advisory.Record, at []int) {
	scheme, ok := version.Of(records[at[0]].Ecosystem)
	if !ok {
		return
	}
	less := func(a, b string) bool {
		c, err := version.Compare(scheme, a, b)
		return err == nil && c < 0
	}
	var fixes []fixAt
	for _, i := range at {
		f := fixAt{version: records[i].Ranges[0].Fixed, repositories: strings.Join(records[i].Repositories, " "), arch: records[i].Arch}
		if f.minor, f.next, ok = minor(f.version); ok {
			fixes = append(fixes, f)
		}
	}
	slices.SortFunc(fixes, func(a, b fixAt) int {
		switch {
		case less(a.version, b.version):
			return -1
		case less(b.version, a.version):
			return 1
		}
		return strings.Compare(a.repositories, b.repositories)
	})
	for _, i := range at {
		mine := slices.DeleteFunc(slices.Clone(fixes), func(f fixAt) bool { return !meets(f.arch, records[i].Arch) })
		records[i].Ranges = uncured(&records[i], mine, less)
	}
}

// uncured returns the ranges of a record's fix without the builds that earlier
// fixes have cured. Where an earlier fix is of the same repositories, its own
// record tells of the builds before it; else they stay in this one, with this
// fix, for the other may not be had.
func uncured(r *advisory.Record, fixes []fixAt, less func(a, b string) bool) (out []advisory.Range) {
	fixed, mine := r.Ranges[0].Fixed, strings.Join(r.Repositories, " ")
	own, _, tagged := minor(fixed)
	start := ""
	for i, f := range fixes {
		if tagged && f.minor >= own || !less(f.version, fixed) || !less(f.next, fixed) || start != "" && !less(start, f.version) {
			continue
		}
		if i+1 < len(fixes) && fixes[i+1].minor == f.minor && less(fixes[i+1].version, fixed) {
			continue // fixed again in the same release: the last one counts
		}
		if f.repositories == mine {
			out = nil // its record tells of all builds before it
		} else {
			out = append(out, advisory.Range{Introduced: start, Last: f.version + "~"}) // rpm-version(7): what is lower than the fix
		}
		start = f.next
	}
	return append(out, advisory.Range{Introduced: start, Fixed: fixed})
}
