package cvss_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sekisho"
	"sekisho/internal/fixture"
	"sekisho/scan/cvss"
)

// lines returns the fields of each line that is more than a comment.
func lines(t *testing.T, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fixture.Dir(t, "cvss"), name))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.SplitSeq(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(line, "#") {
			all = append(all, fields)
		}
	}
	return all
}

func TestScore(t *testing.T) {
	for version, name := range map[string]string{"2.0": "v2_score.list", "3.0": "v30_score.list", "3.1": "v31_score.list", "4.0": "v4_score.list"} {
		vectors := lines(t, name)
		if len(vectors) < 12 {
			t.Errorf("%s: %d vectors", name, len(vectors))
		}
		for _, fields := range vectors {
			want, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			gotVersion, got, err := cvss.Score(fields[0])
			if err != nil || gotVersion != version || got != want {
				t.Errorf("Score(%q) = %q, %v, %v; want %q, %v", fields[0], gotVersion, got, err, version, want)
			}
		}
	}
}

// TestVectors holds which vectors are complete and well formed.
func TestVectors(t *testing.T) {
	for name, prefix := range map[string]string{"v2_error.list": "2", "v3_error.list": "3", "v4_error.list": "4"} {
		for _, fields := range lines(t, name) {
			want := len(fields) > 1 && fields[1] == "#OK"
			version, _, err := cvss.Score(fields[0])
			if got := err == nil && strings.HasPrefix(version, prefix); got != want {
				t.Errorf("Score(%q) = %q, %v; want a version %s: %v", fields[0], version, err, prefix, want)
			}
			if err != nil && sekisho.KindOf(err) != sekisho.Invalid {
				t.Errorf("Score(%q): the error is of kind %v", fields[0], sekisho.KindOf(err))
			}
		}
	}
	for name, prefix := range map[string]string{"v2_roundtrip.list": "2", "v3_roundtrip.list": "3", "v4_roundtrip.list": "4"} {
		for _, fields := range lines(t, name) {
			if version, score, err := cvss.Score(fields[0]); err != nil || !strings.HasPrefix(version, prefix) || score < 0 || score > 10 {
				t.Errorf("Score(%q) = %q, %v, %v", fields[0], version, score, err)
			}
		}
	}
	if _, score, err := cvss.Score("(AV:N/AC:L/Au:N/C:N/I:N/A:C)"); err != nil || score != 7.8 {
		t.Errorf("with NVD's parentheses: %v, %v", score, err)
	}
}

// TestBase leaves temporal and environmental metrics out.
func TestBase(t *testing.T) {
	for vector, want := range map[string]float64{
		"AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C/CDP:N/TD:N/CR:M/IR:M/AR:H": 7.8,
		"CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H/E:U/RL:O/RC:C":          7.8,
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N/MS:U/E:U":               6.1,
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N/E:U": 6.6,
	} {
		if _, got, err := cvss.Base(vector); err != nil || got != want {
			t.Errorf("Base(%q) = %v, %v; want %v", vector, got, err, want)
		}
	}
}

func TestSeverity(t *testing.T) {
	for _, c := range []struct {
		version string
		score   float64
		want    sekisho.Severity
	}{
		{"2.0", 0, sekisho.Low}, {"2.0", 3.9, sekisho.Low}, {"2.0", 4, sekisho.Medium}, {"2.0", 6.9, sekisho.Medium}, {"2.0", 7, sekisho.High}, {"2.0", 10, sekisho.High},
		{"3.1", 0, sekisho.None}, {"3.1", 0.1, sekisho.Low}, {"3.0", 3.9, sekisho.Low}, {"3.1", 4, sekisho.Medium}, {"4.0", 6.9, sekisho.Medium},
		{"4.0", 7, sekisho.High}, {"3.1", 8.9, sekisho.High}, {"3.1", 9, sekisho.Critical}, {"4.0", 10, sekisho.Critical},
		{"3.1", -1, sekisho.Unknown}, {"2.0", 10.1, sekisho.Unknown},
	} {
		if got := cvss.Severity(c.version, c.score); got != c.want {
			t.Errorf("Severity(%s, %v) = %s, want %s", c.version, c.score, got, c.want)
		}
	}
}

func FuzzScore(f *testing.F) {
	f.Add("AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C/CDP:N/TD:N/CR:M/IR:M/AR:H")
	f.Add("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N/MS:U/E:U")
	f.Add("CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:N/E:F/RL:X")
	f.Add("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:L/E:U")
	f.Fuzz(func(t *testing.T, vector string) {
		version, score, err := cvss.Score(vector)
		if err != nil {
			return
		}
		if cvss.Severity(version, score) == sekisho.Unknown {
			t.Errorf("Score(%q) = %v", vector, score)
		}
	})
}
