package redhat

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/version"
)

// A mainline product gets a fix for each minor release that is maintained: of
// one CVE, curl-7.76.1-23.el9_2.4 and curl-7.76.1-26.el9_3.2 are fixes under
// the same CPE. The first ends the flaw in builds of 9.2, which are lower than
// the second; the second is about builds of later releases only.

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

// lines begins the range of each fix after the builds of the minor release that
// the fix before it is for.
func lines(records []advisory.Record) {
	groups := map[string][]int{}
	for i, r := range records {
		if r.Status == sekisho.StatusFixed {
			key := strings.Join(append([]string{r.Ecosystem, r.Package, strconv.FormatBool(r.Source), r.Module}, r.Repositories...), "\x00")
			groups[key] = append(groups[key], i)
		}
	}
	for _, at := range groups {
		if len(at) > 1 {
			follow(records, at)
		}
	}
}

func follow(records []advisory.Record, at []int) {
	fixed := func(i int) string { return records[at[i]].Ranges[0].Fixed }
	scheme, ok := version.Of(records[at[0]].Ecosystem)
	if !ok {
		return
	}
	slices.SortFunc(at, func(a, b int) int {
		x, y := records[a].Ranges[0].Fixed, records[b].Ranges[0].Fixed
		c, err := version.Compare(scheme, x, y)
		if err != nil {
			c = strings.Compare(x, y)
		}
		return cmp.Or(c, a-b)
	})
	for i := 1; i < len(at); i++ {
		mine, _, tagged := minor(fixed(i))
		for j := i - 1; j >= 0; j-- {
			before, next, ok := minor(fixed(j))
			if !ok {
				break
			}
			if tagged && before >= mine {
				continue
			}
			if c, err := version.Compare(scheme, next, fixed(i)); err == nil && c < 0 {
				records[at[i]].Ranges[0].Introduced = next
			}
			break
		}
	}
}
