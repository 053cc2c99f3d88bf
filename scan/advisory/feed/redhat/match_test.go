package redhat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/match"
)

// spoken is what documents say, as a database.
type spoken []advisory.Record

func (s spoken) Find(ecosystem string, names []string, each func(int, string, *advisory.Record)) error {
	for _, r := range s {
		if i := slices.Index(names, r.Package); i >= 0 && r.Ecosystem == ecosystem {
			each(i, "redhat", &r)
		}
	}
	return nil
}

func (s spoken) Feeds(string) []string { return []string{"redhat"} }

func (s spoken) Details(string, string, []string, func(int, advisory.Detail)) error { return nil }

func (s spoken) Signal(string) (advisory.Signal, error) { return advisory.Signal{}, nil }

// What a user sees of packages of Red Hat's releases: builds before and after
// the fix, of mainline and of extended support, of module streams.
func TestMatched(t *testing.T) {
	var db spoken
	for _, name := range []string{"cve-2024-0727-openssl.json", "cve-2025-40907-perl.json", "cve-2023-38545.json", "cve-2026-2297.json", "cve-2026-0968.json"} {
		db = append(db, decoded(t, name).records...)
	}
	eus := []string{"cpe:/a:redhat:rhel_eus:9.4::appstream"}
	for _, x := range []struct {
		name, release, pkg, version, module string
		repositories                        []string
		want                                string
	}{
		{"before the fix", "9.3", "openssl-libs", "1:3.0.7-24.el9", "", nil, "CVE-2024-0727 fixed 1:3.0.7-27.el9"},
		{"the fix", "9.4", "openssl-libs", "1:3.0.7-27.el9", "", nil, ""},
		{"without a fix, out of support", "7.9", "openssl-libs", "1:1.0.2k-26.el7_9", "", nil, "CVE-2024-0727 end_of_life"},
		{"deferred", "8.10", "compat-openssl10", "1:1.0.2o-4.el8", "", nil, "CVE-2024-0727 fix_deferred"},
		{"the vendor clears it", "8.10", "shim-x64", "15.8-2.el8", "", nil, ""},
		{"an epoch of zero", "9.2", "curl", "0:7.76.1-23.el9_2.1", "", nil, "CVE-2023-38545 fixed 7.76.1-23.el9_2.4"},
		{"fixed in its own minor release", "9.2", "curl", "7.76.1-23.el9_2.4", "", nil, ""},
		{"and after", "9.2", "curl", "7.76.1-23.el9_2.9", "", nil, ""},
		{"the next minor release, before", "9.3", "curl", "7.76.1-26.el9_3.1", "", nil, "CVE-2023-38545 fixed 7.76.1-26.el9_3.2"},
		{"the next minor release, as it came", "9.3", "curl", "7.76.1-26.el9", "", nil, "CVE-2023-38545 fixed 7.76.1-26.el9_3.2"},
		{"a build of no release", "9", "curl", "7.76.1-24.el9", "", nil, "CVE-2023-38545 fixed 7.76.1-26.el9_3.2"},
		{"an older minor release", "9.1", "curl", "7.76.1-19.el9_1.2", "", nil, "CVE-2023-38545 fixed 7.76.1-23.el9_2.4"},
		{"fixed for extended support, without a right to it", "9.0", "curl", "7.76.1-14.el9_0.9", "", nil, ""},
		{"not fixed, and no right to the fix", "9.0", "curl", "7.76.1-14.el9_0.4", "", nil, "CVE-2023-38545 fixed 7.76.1-23.el9_2.4$"},
		{"as 9.0 came", "9.0", "curl", "7.76.1-14.el9", "", nil, "CVE-2023-38545 fixed 7.76.1-23.el9_2.4$"},
		{"not fixed, with extended support", "9.0", "curl", "7.76.1-14.el9_0.4", "", []string{"cpe:/o:redhat:rhel_eus:9.0::baseos"}, "CVE-2023-38545 fixed 7.76.1-14.el9_0.9"},
		{"fixed, with extended support", "9.0", "curl", "7.76.1-14.el9_0.9", "", []string{"cpe:/o:redhat:rhel_eus:9.0::baseos"}, ""},
		{"module of extended support, fixed", "8.6", "perl-FCGI", "1:0.78-11.module+el8.6.0+23193+6b2b1cae.1", "perl-FCGI:0.78:1:2", nil, ""},
		{"the fix", "9.3", "curl", "7.76.1-26.el9_3.2", "", nil, ""},
		{"module, before", "8.10", "perl-FCGI", "1:0.78-11.module+el8.9.0+1+aaaa", "perl-FCGI:0.78:1:2", nil, "CVE-2025-40907 fixed 1:0.78-12.module+el8.10.0"},
		{"module, the fix in one context", "8.10", "perl-FCGI", "1:0.78-12.module+el8.10.0+23147+20b7d289", "perl-FCGI:0.78:1:2", nil, ""},
		{"module, and in another", "8.10", "perl-FCGI", "1:0.78-12.module+el8.10.0+23147+df114ff4", "perl-FCGI:0.78:1:2", nil, ""},
		{"another stream", "8.10", "perl-FCGI", "1:0.78-11.module+el8.9.0+1+aaaa", "perl-FCGI:0.79:1:2", nil, ""},
		{"mainline has its own fix", "9.6", "perl-FCGI", "1:0.79-8.1.el9_6", "", nil, ""},
		{"EUS counts for those who have it", "9.4", "perl-FCGI", "1:0.79-7.el9", "", eus, "CVE-2025-40907 fixed"},
	} {
		p := sekisho.Package{Name: x.pkg, Version: x.version, Type: "rpm", Arch: "x86_64", Module: x.module, Found: sekisho.Installed, Locations: []string{"var/lib/rpm/rpmdb.sqlite"}}
		r := &sekisho.Report{Target: sekisho.Target{OS: &sekisho.OS{ID: "rhel", Version: x.release}}, Packages: []sekisho.Package{p}}
		if err := match.Match(db, r, match.Options{Repositories: x.repositories}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range r.Findings {
			got = append(got, strings.TrimSpace(fmt.Sprint(f.ID, " ", f.Status, " ", strings.Join(f.FixedIn, " "))))
		}
		if all := strings.Join(got, "; "); x.want == "" && all != "" || !strings.HasPrefix(all+"$", x.want) {
			t.Errorf("%s: %s %s of %s: %q, want %q", x.name, x.pkg, x.version, x.release, all, x.want)
		}
	}
}
