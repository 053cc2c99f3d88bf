package version_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho"
	"sekisho/internal/fixture"
	"sekisho/scan/version"
)

var schemes = []version.Scheme{
	version.Dpkg, version.RPM, version.APK, version.Pacman, version.SemVer, version.Go, version.PEP440, version.Maven,
	version.RubyGems, version.NuGet, version.Composer, version.Pub, version.CRAN, version.Hackage,
}

func TestOf(t *testing.T) {
	for ecosystem, want := range map[string]version.Scheme{
		"Debian:12": version.Dpkg, "Alpine:v3.20": version.APK, "npm": version.SemVer, "Go": version.Go, "PyPI": version.PEP440,
		"Red Hat:enterprise_linux:9::appstream": version.RPM, "Maven:https://repo.example.org": version.Maven,
	} {
		if got, ok := version.Of(ecosystem); !ok || got != want {
			t.Errorf("Of(%q) = %q, %v; want %q", ecosystem, got, ok, want)
		}
	}
	if s, ok := version.Of("GIT"); ok {
		t.Errorf("Of(GIT) = %q, want none", s)
	}
}

// TestGo has what binaries and the Go vulnerability database say, oldest first.
func TestGo(t *testing.T) {
	ascending := []string{
		"0", "1.18.3", "go1.19", "go1.20rc1", "1.20.0-rc.2", "go1.20rc11", "go1.20", "go1.20.1", "1.21.0-0", "go1.21beta1", "go1.21rc2", "1.21",
		"go1.21.9", "go1.21.10", "go1.22.1", "v1.24.0-0.20250101000000-abcdef012345", "1.24.0-rc.1", "go1.24.4", "v2.0.0+incompatible", "29.2.0+incompatible", "v29.2.1",
	}
	for i := range ascending {
		for j := range ascending {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			checkPair(t, version.Go, pair{ascending[i], ascending[j], want, i})
		}
	}
	for a, b := range map[string]string{
		"go1.25rc1": "1.25.0-rc.1", "go1.24.4-suffix": "1.24.4", "go1.22.1 X:rangefunc": "1.22.1", "go1.24.4 X:nocoverageredesign": "v1.24.4", "go1.20": "1.20.0",
		"1.25rc1": "go1.25rc1", "go1.18.3b7": "1.18.3", "v2.0.0+incompatible": "2.0.0", "go1.22.3 (Red Hat 1.22.3-1.el9)": "1.22.3",
	} {
		checkPair(t, version.Go, pair{a, b, 0, 0})
	}
}

// TestSemVer has forms that strict parsers refuse and feeds and files contain.
func TestSemVer(t *testing.T) {
	for _, p := range []pair{
		{"1.2", "1.2.0", 0, 1}, {"v1", "1.0.0", 0, 2}, {"0", "0.0.0-alpha", 1, 3}, {"1.2.3.4", "1.2.3.10", -1, 4}, {"1.0.0rc1", "1.0.0", -1, 5},
		{"1.0.0.beta2", "1.0.0", -1, 6}, {"V1.2.3", "=1.2.3", 0, 7}, {"1.0.0-rc_1", "1.0.0", -1, 8}, {"1.0.0-01", "1.0.0-1", 0, 9},
	} {
		checkPair(t, version.SemVer, p)
	}
}

// TestInvalid has what is no version: the error says which, and is of a kind
// that a matcher can tell from a failure.
func TestInvalid(t *testing.T) {
	for s, versions := range map[version.Scheme][]string{
		version.Dpkg:     {"1:", ":1", "a:1", "1-", "99999999999:1", "1.0 2", "-1"},
		version.RPM:      {"1 2", "1\x00"},
		version.APK:      {"1.0 r1"},
		version.Pacman:   {"1\n"},
		version.SemVer:   {"latest", "1.x", "^1.2.3", "1.2.3-", "1.2.3+", "1.1.1w", "master", "-1", "1.2.3-ä"},
		version.Go:       {"(devel)", "devel +0123abc", "go", "go1.", "unknown", "1.2.3.4", "v1.2.3-", "go1.21foo1", "1.18.3b7"},
		version.PEP440:   {" "},
		version.Maven:    {"1 2"},
		version.RubyGems: {"a", "1..2", "1.", "1_0", "1-", "1-a..b"},
		version.NuGet:    {"1.2.3.4.5", "x", "1.0-"},
		version.Composer: {"1 2"},
		version.Pub:      {"any", "1.2.x"},
		version.CRAN:     {"1..2", "1.a", "1-", "-1"},
		version.Hackage:  {"1-2", ".1", "1.0-alpha"},
		"no such scheme": {"1"},
	} {
		for _, v := range append(versions, "", strings.Repeat("1", 1025)) {
			if version.Valid(s, v) {
				t.Errorf("Valid(%s, %q) is true", s, v)
			}
			for _, p := range [][2]string{{v, "1"}, {"1", v}} {
				c, err := version.Compare(s, p[0], p[1])
				if sekisho.KindOf(err) != sekisho.Invalid || c != 0 {
					t.Errorf("Compare(%s, %q, %q) = %d, %v; want an error of kind Invalid", s, p[0], p[1], c, err)
				}
			}
		}
	}
	if _, err := version.Compare(version.Dpkg, "1.2", "1:"); err == nil || !strings.Contains(err.Error(), `"1:"`) {
		t.Errorf("the error %v does not name the version", err)
	}
}

// TestOrder holds that the order of generated versions is one: reflexive,
// antisymmetric, transitive.
func TestOrder(t *testing.T) {
	for _, s := range schemes {
		t.Run(string(s), func(t *testing.T) {
			g := newGenerator(3)
			for range 20000 {
				checkOrder(t, s, orderable(g, s), orderable(g, s), orderable(g, s))
			}
		})
	}
}

// orderable gives every version of pacman's a release: one without equals
// all that have one, and an order it is not.
func orderable(g generator, s version.Scheme) string {
	v := g.version(s)
	if s == version.Pacman && !strings.Contains(v, "-") {
		v += "-1"
	}
	return v
}

func checkOrder(t *testing.T, s version.Scheme, a, b, c string) {
	t.Helper()
	ab, bc, ac := order(t, s, a, b), order(t, s, b, c), order(t, s, a, c)
	if order(t, s, a, a) != 0 {
		t.Errorf("%s: %q is not itself", s, a)
	}
	if ba := order(t, s, b, a); ba != -ab {
		t.Errorf("%s: %q to %q is %d, the other way %d", s, a, b, ab, ba)
	}
	if ab <= 0 && bc <= 0 && (ac > 0 || ac == 0 && ab+bc < 0) {
		t.Errorf("%s: %q to %q is %d, to %q %d, but the first to the last %d", s, a, b, ab, c, bc, ac)
	}
}

func order(t *testing.T, s version.Scheme, a, b string) int {
	t.Helper()
	c, err := version.Compare(s, a, b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// FuzzCompare holds that any two texts compare without harm, to the same
// answer both ways, and that Valid tells beforehand whether they do.
func FuzzCompare(f *testing.F) {
	g := newGenerator(5)
	for _, s := range schemes {
		f.Add(g.version(s), g.version(s))
	}
	f.Add("1-1.foo-bar-1-baz-0.1", "-class.-jw.util.version.version-pre")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range schemes {
			c, err := version.Compare(s, a, b)
			d, back := version.Compare(s, b, a)
			if c != -d || (err == nil) != (back == nil) {
				t.Errorf("%s: %q and %q: %d, %v; the other way %d, %v", s, a, b, c, err, d, back)
			}
			if valid := version.Valid(s, a) && version.Valid(s, b); valid != (err == nil) {
				t.Errorf("%s: %q and %q: valid is %v, the error %v", s, a, b, valid, err)
			}
			if same, err := version.Compare(s, a, a); err == nil && same != 0 {
				t.Errorf("%s: %q is not itself: %d", s, a, same)
			}
		}
	})
}

// TestNEVRA cuts and orders whole names of packages: by name, version,
// architecture.
func TestNEVRA(t *testing.T) {
	dir := filepath.Join(fixture.Dir(t, "versions"), "claircore-rpmver")
	f, err := os.Open(filepath.Join(dir, "parse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(strings.ReplaceAll(lines.Text(), "''", "-"))
		if len(fields) != 6 || fields[0] == "#" {
			continue
		}
		for i := range fields {
			fields[i] = strings.TrimPrefix(fields[i], "-")
		}
		want := fields[3] + "-" + fields[4]
		if fields[2] != "" {
			want = fields[2] + ":" + want
		}
		name, evr, arch := version.CutNEVRA(fields[0])
		if name != fields[1] || evr != want || arch != fields[5] {
			t.Errorf("CutNEVRA(%q) = %q, %q, %q; want %q, %q, %q", fields[0], name, evr, arch, fields[1], want, fields[5])
		}
	}
	for _, p := range readPairs(t, filepath.Join(dir, "compare")) {
		if got := compareNEVRA(t, p.a, p.b); got != p.want {
			t.Errorf("line %d: %s to %s is %d, want %d", p.line, p.a, p.b, got, p.want)
		}
	}
}

func compareNEVRA(t *testing.T, a, b string) int {
	aName, aEVR, aArch := version.CutNEVRA(a)
	bName, bEVR, bArch := version.CutNEVRA(b)
	if c := strings.Compare(aName, bName); c != 0 {
		return c
	}
	if c := order(t, version.RPM, aEVR, bEVR); c != 0 {
		return c
	}
	return strings.Compare(aArch, bArch)
}

var benchmarks = map[version.Scheme][2]string{
	version.Dpkg:     {"1:2.36-9+deb12u10", "1:2.36-9+deb12u9"},
	version.RPM:      {"1:3.0.7-27.el9_4", "1:3.0.7-28.el9_4"},
	version.APK:      {"3.1.4_p2-r6", "3.1.4_p2-r5"},
	version.Pacman:   {"1:6.10.2.arch1-1", "1:6.10.3.arch1-1"},
	version.SemVer:   {"4.17.20", "4.17.21-rc.1"},
	version.Go:       {"v0.0.0-20240131000000-abcdef012345", "v0.0.0-20240201000000-abcdef012345"},
	version.PEP440:   {"2.31.0", "2.31.1rc1.post2.dev3"},
	version.Maven:    {"2.17.0", "2.17.1-rc-1"},
	version.RubyGems: {"6.1.7.9", "7.0.0.rc1"},
	version.NuGet:    {"6.0.0-preview.1", "6.0.0-preview.2"},
	version.Composer: {"v5.4.0-BETA1", "v5.4.0"},
	version.Pub:      {"1.2.3+1", "1.2.3+2"},
	version.CRAN:     {"1.0-10", "1.0-9"},
	version.Hackage:  {"0.11.3.0", "0.11.3.1"},
}

func BenchmarkCompare(b *testing.B) {
	for _, s := range schemes {
		p := benchmarks[s]
		b.Run(string(s), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := version.Compare(s, p[0], p[1]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestNoAllocation holds that comparing costs no memory.
func TestNoAllocation(t *testing.T) {
	for _, s := range schemes {
		p := benchmarks[s]
		n := testing.AllocsPerRun(100, func() {
			if _, err := version.Compare(s, p[0], p[1]); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}
