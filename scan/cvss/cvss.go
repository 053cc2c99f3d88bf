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
// score, 0 to 10: the environmental or temporal one when the vector has such
// metrics, else the base score. Vectors of version 2 have no prefix; NVD's
// parentheses around them are let through. Errors are of kind Invalid.
func Score(vector string) (version string, score float64, err error) {
	if len(vector) > maxLen {
		return "", 0, sekisho.Errorf(sekisho.Invalid, "read a CVSS vector: %d bytes are too many", len(vector))
	}
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		version, score, err = score4(vector)
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		version, score, err = score31(vector)
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		version, score, err = score30(vector)
	default:
		version, score, err = score2(strings.TrimSuffix(strings.TrimPrefix(vector, "("), ")"))
	}
	if err != nil {
		return "", 0, sekisho.Errorf(sekisho.Invalid, "read the CVSS vector %q: %w", vector, err)
	}
	return version, score, nil
}

func score4(vector string) (string, float64, error) {
	v, err := v4.ParseVector(vector)
	if err != nil {
		return "", 0, err
	}
	return "4.0", v.Score(), nil
}

// scorer is what the three older versions score alike.
type scorer interface {
	BaseScore() float64
	TemporalScore() float64
	EnvironmentalScore() float64
}

func score31(vector string) (string, float64, error) {
	v, err := v31.ParseVector(vector)
	if err != nil {
		return "", 0, err
	}
	return "3.1", whole(v, vector), nil
}

func score30(vector string) (string, float64, error) {
	v, err := v30.ParseVector(vector)
	if err != nil {
		return "", 0, err
	}
	return "3.0", whole(v, vector), nil
}

func score2(vector string) (string, float64, error) {
	v, err := v2.ParseVector(vector)
	if err != nil {
		return "", 0, err
	}
	return "2.0", whole(v, vector), nil
}

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
