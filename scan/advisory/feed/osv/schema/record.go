// Package schema reads records of the Open Source Vulnerability schema, as
// OSV.dev, the Go vulnerability database and others publish them. The bytes of
// one record go in, what a sink of advisories takes comes out, in this
// program's spelling of ecosystems. It refuses records that are not JSON
// objects, have no id, or say more than a record can; what it leaves out on
// purpose it counts by reason.
package schema

import (
	"encoding/json"
	"strings"
	"time"

	"sekisho"
)

// record holds the members of a record that are read (OSV schema 1.7).
type record struct {
	ID               string      `json:"id"`
	Modified         string      `json:"modified"`
	Published        string      `json:"published"`
	Withdrawn        string      `json:"withdrawn"`
	Aliases          []string    `json:"aliases"`
	Related          []string    `json:"related"`
	Upstream         []string    `json:"upstream"`
	Summary          string      `json:"summary"`
	Details          string      `json:"details"`
	Severity         []severity  `json:"severity"`
	Affected         []affected  `json:"affected"`
	References       []reference `json:"references"`
	DatabaseSpecific struct {
		Severity word  `json:"severity"`
		CWE      words `json:"cwe_ids"`
		CPEs     words `json:"cpes"`
		URL      word  `json:"url"`
	} `json:"database_specific"`
}

type severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type reference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
		PURL      string `json:"purl"`
	} `json:"package"`
	Severity          []severity      `json:"severity"`
	Ranges            []span          `json:"ranges"`
	Versions          json.RawMessage `json:"versions"` // often long, and rarely needed
	EcosystemSpecific struct {
		Binaries     binaries  `json:"binaries"`
		Availability word      `json:"availability"` // Ubuntu: who gets the fix
		Imports      []imports `json:"imports"`      // Go
		Custom       []span    `json:"custom_ranges"`
		Affects      struct {
			OS words `json:"os"`
		} `json:"affects"` // RustSec
		Severity word `json:"severity"`
		Urgency  word `json:"urgency"` // Debian
	} `json:"ecosystem_specific"`
	DatabaseSpecific struct {
		LastKnown     word `json:"last_known_affected_version_range"` // GHSA
		Informational word `json:"informational"`                     // RustSec
		Severity      word `json:"severity"`
	} `json:"database_specific"`
}

type span struct {
	Type   string  `json:"type"`
	Events []event `json:"events"`
}

type event struct {
	Introduced string `json:"introduced"`
	Fixed      string `json:"fixed"`
	Last       string `json:"last_affected"`
	Limit      string `json:"limit"`
}

type imports struct {
	Path    string   `json:"path"`
	GOOS    []string `json:"goos"`
	GOARCH  []string `json:"goarch"`
	Symbols []string `json:"symbols"`
}

// word is a string where the schema leaves the type to each database; anything
// else reads as empty.
type word string

// UnmarshalJSON implements json.Unmarshaler; it never fails.
func (w *word) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*w = word(s)
	}
	return nil
}

// words is the same for lists.
type words []string

// UnmarshalJSON implements json.Unmarshaler; it never fails.
func (w *words) UnmarshalJSON(data []byte) error {
	var s []string
	if json.Unmarshal(data, &s) == nil {
		*w = s
	}
	return nil
}

// binaries are the names of binary packages: of {"binary_name": …} objects, or
// the keys of {"name": "version"} objects as Ubuntu once and SUSE now has them.
type binaries []string

// UnmarshalJSON implements json.Unmarshaler; it never fails.
func (b *binaries) UnmarshalJSON(data []byte) error {
	var list []map[string]json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	for _, entry := range list {
		var name string
		if raw, ok := entry["binary_name"]; ok {
			if json.Unmarshal(raw, &name) == nil && name != "" {
				*b = append(*b, name)
			}
			continue
		}
		for name := range entry {
			*b = append(*b, name)
		}
	}
	return nil
}

// parseTime reads RFC 3339; what is not reads as the zero time.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// severityOf maps the words of all databases to ours.
func severityOf(word string) sekisho.Severity {
	switch strings.ToLower(word) {
	case "critical":
		return sekisho.Critical
	case "important", "high":
		return sekisho.High
	case "moderate", "medium":
		return sekisho.Medium
	case "low", "minor":
		return sekisho.Low
	case "negligible", "unimportant", "notice", "unmaintained":
		return sekisho.None
	}
	return ""
}

// rater names who rated, by the record's id.
func rater(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "GHSA", "GO", "RUSTSEC", "MAL":
		return strings.ToLower(prefix)
	case "PYSEC":
		return "pypa"
	case "BIT":
		return "bitnami"
	case "UBUNTU", "USN", "LSN":
		return "ubuntu"
	case "ALSA", "ALBA", "ALEA":
		return "almalinux"
	case "RLSA", "RXSA", "RLBA":
		return "rocky"
	case "SUSE", "openSUSE":
		return "suse"
	case "OESA":
		return "openeuler"
	case "MGASA":
		return "mageia"
	case "CVE":
		return "osv"
	}
	return strings.ToLower(prefix)
}
