package suse

import (
	"slices"
	"testing"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/feedtest"
)

func TestUpdate(t *testing.T) {
	c := feedtest.New()
	c.Files[Feed{}.Info().URL+"/suse.linux.enterprise.15.xml.gz"] = feedtest.Dir(t, "vendor-samples/suse-oval/suse_truncated.xml")
	sink, state := feedtest.Update(t, Feed{}, c, advisory.State{}, "SUSE:15", "SUSE:15.1")
	t.Logf("skipped %v, %d records", state.Skipped, sink.NRecords)
	find := func(id, ecosystem, pkg string) (out []advisory.Record) {
		for _, r := range sink.Of(id) {
			if r.Ecosystem == ecosystem && r.Package == pkg {
				out = append(out, r)
			}
		}
		return out
	}
	// Not affected, in the vendor's words.
	if got := find("CVE-1999-0524", "SUSE:15", "kernel-source"); len(got) != 1 || got[0].Status != sekisho.StatusNotAffected {
		t.Errorf("%+v", got)
	}
	// The test of a broken state is read from its comment.
	if got := find("CVE-2010-1323", "SUSE:15", "krb5-server"); len(got) != 1 || got[0].Ranges[0].Fixed != "1.15.2-4.25" || got[0].Repositories != nil || got[0].Severity == "" {
		t.Errorf("%+v", got)
	}
	// A fix for those with long-term support is told as such.
	got := find("CVE-2021-29154", "SUSE:15.1", "kernel-default")
	if len(got) == 0 {
		t.Fatalf("no kernel-default: %+v", sink.Of("CVE-2021-29154"))
	}
	for _, r := range got {
		if r.Ranges[0].Fixed != "4.12.14-197.89.2" || !slices.Equal(r.Arch, []string{"aarch64", "ppc64le", "s390x", "x86_64"}) {
			t.Errorf("%+v", r)
		}
	}
	d, _ := sink.Detail1("CVE-2021-29154")
	if len(d.CVSS) != 1 || d.CVSS[0].Vector != "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:H/I:H/A:H" || d.CVSS[0].Version != "3.1" {
		t.Errorf("%+v", d.CVSS)
	}
}

func TestEcosystem(t *testing.T) {
	for _, x := range []struct{ group, name, ecosystem, repository string }{
		{"SUSE", "SUSE Linux Enterprise Server 15 SP1-LTSS is installed", "SUSE:15.1", "SUSE Linux Enterprise Server 15 SP1-LTSS"},
		{"SUSE", "SUSE Linux Enterprise Module for Basesystem 15 is installed", "SUSE:15", ""},
		{"SUSE", "SUSE Linux Enterprise Module for Live Patching 15 SP3", "SUSE:15.3", "SUSE Linux Enterprise Module for Live Patching 15 SP3"},
		{"SUSE", "SUSE Linux Enterprise Server 12 SP5", "SUSE:12.5", ""},
		{"openSUSE", "openSUSE Leap 15.6 is installed", "openSUSE:15.6", ""},
		{"openSUSE", "openSUSE Tumbleweed is installed", "openSUSE:tumbleweed", ""},
		{"SUSE", "SUSE Manager Server 4.1", "", ""},
	} {
		ecosystem, repository, _ := Ecosystem(x.group, x.name)
		if ecosystem != x.ecosystem || repository != x.repository {
			t.Errorf("%s: %q, %q", x.name, ecosystem, repository)
		}
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add(feedtest.Read(f, "vendor-samples/suse-oval/suse_truncated.xml"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := feedtest.New()
		c.Bytes["u/suse.linux.enterprise.15.xml.gz"] = data
		sink := &feedtest.Sink{}
		_, _ = Feed{}.Update(t.Context(), advisory.Update{Client: c, URL: "u", Sink: sink, Now: feedtest.Now()})
		for _, r := range sink.Records {
			if r.Package == "" || r.ID == "" || r.Status == "" || len(r.Ranges) == 0 {
				t.Fatalf("%+v", r)
			}
		}
		if c.Open() != 0 {
			t.Fatal("left open")
		}
	})
}
