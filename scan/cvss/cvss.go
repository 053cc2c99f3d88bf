// Package cvss scores vectors of the Common Vulnerability Scoring System of
// FIRST, versions 2.0, 3.0, 3.1 and 4.0, and puts scores into words. It refuses
// what is not a complete vector.
package cvss

import (
	"strings"

	v2 "github.com/pandatix/go-cvss/20"
	v30 "github.com/pandatix/go-cvss/30"
	v31 "github.com/pandatix/go-cvss/31"
	v4 "github.com/pandatix/go-cvss/40"

	"sekisho"
)

// maxLen bounds a vector, in bytes. The longest of version 4.0 has 200.
const maxLen = 512

// Score returns the version of a vector, "2.0", "3.0", "3.1" or "4.0", and its
// score, 0 to 10, with all its metrics: the environmental or temporal score when
// the vector has such metrics, else the base score. Vectors of version 2 have no
// prefix; NVD's parentheses around them are let through. Errors are of kind
// Invalid.
func Score(vector string) (version string, score float64, err error) {
	return read(vector, whole)
}

// Base is Score without the temporal and environmental metrics of versions 2 and
// 3: the score that NVD and vendors print beside such a vector. Version 4.0 has
// but one score.
func Base(vector string) (version string, score float64, err error) {
	return read(vector, func(v scorer, _ string) float64 { return v.BaseScore() })
}

func read(vector string, score func(scorer, string) float64) (string, float64, error) {
	if len(vector) > maxLen {
		return "", 0, sekisho.Errorf(sekisho.Invalid, "read a CVSS vector: %d bytes are too many", len(vector))
	}
	version, v, err := parse(vector)
	if err != nil {
		return "", 0, sekisho.Errorf(sekisho.Invalid, "read the CVSS vector %q: %w", vector, err)
	}
	return version, score(v, vector), nil
}

func parse(vector string) (version string, v scorer, err error) {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := v4.ParseVector(vector)
		return "4.0", four{v}, err
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err = v31.ParseVector(vector)
		return "3.1", v, err
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err = v30.ParseVector(vector)
		return "3.0", v, err
	}
	v, err = v2.ParseVector(strings.TrimSuffix(strings.TrimPrefix(vector, "("), ")"))
	return "2.0", v, err
}

// scorer is what versions 2 and 3 score alike.
type scorer interface {
	BaseScore() float64
	TemporalScore() float64
	EnvironmentalScore() float64
}

// four lends version 4.0 the names of the older ones: it has one score, of
// whatever metrics are there, CVSS v4.0 Specification, 1.3.
type four struct{ *v4.CVSS40 }

func (f four) BaseScore() float64          { return f.Score() }
func (f four) TemporalScore() float64      { return f.Score() }
func (f four) EnvironmentalScore() float64 { return f.Score() }

// whole asks for the score that takes in all metrics of the vector. Without
// environmental ones the environmental score is not always the base score: the
// formulas of 3.1 differ, CVSS v3.1 Specification, 7.3.
func whole(v scorer, vector string) float64 {
	temporal, environmental := false, false
	for metric := range strings.SplitSeq(vector, "/") {
		name, value, _ := strings.Cut(metric, ":")
		switch {
		case value == "X" || value == "ND":
		case name == "E" || name == "RL" || name == "RC":
			temporal = true
		case name == "CDP" || name == "TD" || name == "CR" || name == "IR" || name == "AR" || len(name) > 1 && name[0] == 'M':
			environmental = true
		}
	}
	switch {
	case environmental:
		return v.EnvironmentalScore()
	case temporal:
		return v.TemporalScore()
	}
	return v.BaseScore()
}

// Severity puts a score into a word by NVD's qualitative scale, for versions
// from 3.0 also FIRST's (CVSS v3.1 Specification, 5). Version 2 has neither
// none nor critical. A score outside 0 to 10 is unknown.
func Severity(version string, score float64) sekisho.Severity {
	switch {
	case !(score >= 0 && score <= 10):
		return sekisho.Unknown
	case version == "2.0" || version == "2":
		return severity2(score)
	case score >= 9:
		return sekisho.Critical
	case score >= 7:
		return sekisho.High
	case score >= 4:
		return sekisho.Medium
	case score > 0:
		return sekisho.Low
	}
	return sekisho.None
}

func severity2(score float64) sekisho.Severity {
	switch {
	case score >= 7:
		return sekisho.High
	case score >= 4:
		return sekisho.Medium
	}
	return sekisho.Low
}
