package version_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/internal/fixture"
	"sekisho/scan/version"
)

// pair is a line "a op b" of a conformance file.
type pair struct {
	a, b string
	want int
	line int
}

// readPairs returns the lines that are comparisons; comments and empty lines
// are left out.
func readPairs(t testing.TB, name string) []pair {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var pairs []pair
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "# ") || text == "#" || strings.HasPrefix(text, "//") {
			continue
		}
		fields := strings.Fields(text)
		if len(fields) != 3 {
			t.Fatalf("%s:%d: not a comparison: %q", name, n, text)
		}
		want, ok := map[string]int{"<": -1, "=": 0, "==": 0, ">": 1}[fields[1]]
		if !ok {
			t.Fatalf("%s:%d: unknown operator in %q", name, n, text)
		}
		pairs = append(pairs, pair{fields[0], fields[2], want, n})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return pairs
}

var conformance = []struct {
	scheme version.Scheme
	file   string
	pairs  int // at least
}{
	{version.Dpkg, "scalibr/debian-versions.txt", 29},
	{version.Dpkg, "scalibr/debian-versions-generated.txt", 14000},
	{version.Dpkg, "oracle/dpkg-pairs.txt", 6000},
	{version.RPM, "scalibr/redhat-versions.txt", 160},
	{version.RPM, "oracle/rpm-pairs.txt", 20000},
	{version.RPM, "claircore-rpmver/rpmvercmp", 110},
	{version.APK, "scalibr/alpine-versions.txt", 770},
	{version.APK, "scalibr/alpine-versions-generated.txt", 13900},
	{version.SemVer, "scalibr/semver-versions.txt", 80},
	{version.PEP440, "scalibr/pypi-versions.txt", 35},
	{version.PEP440, "scalibr/pypi-versions-generated.txt", 12300},
	{version.Maven, "scalibr/maven-versions.txt", 100},
	{version.Maven, "scalibr/maven-versions-generated.txt", 14700},
	{version.Maven, "claircore-maven/compare.list", 80},
	{version.RubyGems, "scalibr/rubygems-versions.txt", 25},
	{version.RubyGems, "scalibr/rubygems-versions-generated.txt", 4000},
	{version.NuGet, "scalibr/nuget-versions.txt", 30},
	{version.Composer, "scalibr/packagist-versions.txt", 85},
	{version.Composer, "scalibr/packagist-versions-generated.txt", 10600},
	{version.Pub, "scalibr/pub-versions.txt", 90},
	{version.CRAN, "scalibr/cran-versions.txt", 18},
	{version.CRAN, "scalibr/cran-versions-generated.txt", 50},
	{version.Hackage, "scalibr/hackage-versions.txt", 10},
}

// TestConformance holds every scheme to lists that the native tools answered,
// in both directions.
func TestConformance(t *testing.T) {
	dir := fixture.Dir(t, "versions")
	for _, c := range conformance {
		t.Run(strings.TrimSuffix(c.file, ".txt"), func(t *testing.T) {
			pairs := readPairs(t, filepath.Join(dir, c.file))
			if len(pairs) < c.pairs {
				t.Fatalf("%d comparisons, want at least %d", len(pairs), c.pairs)
			}
			for _, p := range pairs {
				checkPair(t, c.scheme, p)
			}
		})
	}
}

func checkPair(t *testing.T, s version.Scheme, p pair) {
	t.Helper()
	if got, err := version.Compare(s, p.a, p.b); err != nil || got != p.want {
		t.Errorf("line %d: Compare(%s, %q, %q) = %d, %v; want %d", p.line, s, p.a, p.b, got, err, p.want)
	}
	if got, err := version.Compare(s, p.b, p.a); err != nil || got != -p.want {
		t.Errorf("line %d: Compare(%s, %q, %q) = %d, %v; want %d", p.line, s, p.b, p.a, got, err, -p.want)
	}
}
