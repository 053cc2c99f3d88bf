package nvd

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// Bounds of what is kept of one CVE.
const (
	maxTitle      = 140
	maxText       = 16 << 10
	maxReferences = 50
	maxCPEs       = 100
)

// item is an element of "vulnerabilities" (NVD CVE JSON 2.0), of the yearly
// files and of the pages of the API alike.
type item struct {
	CVE struct {
		ID           string `json:"id"`
		Published    string `json:"published"`
		Modified     string `json:"lastModified"`
		Status       string `json:"vulnStatus"`
		Descriptions []struct {
			Lang  string `json:"lang"`
			Value string `json:"value"`
		} `json:"descriptions"`
		Metrics struct {
			V40 []metric `json:"cvssMetricV40"`
			V31 []metric `json:"cvssMetricV31"`
			V30 []metric `json:"cvssMetricV30"`
			V2  []metric `json:"cvssMetricV2"`
		} `json:"metrics"`
		Weaknesses []struct {
			Description []struct {
				Value string `json:"value"`
			} `json:"description"`
		} `json:"weaknesses"`
		Configurations []struct {
			Negate bool `json:"negate"`
			Nodes  []struct {
				Negate  bool `json:"negate"`
				Matches []struct {
					Vulnerable bool   `json:"vulnerable"`
					Criteria   string `json:"criteria"`
				} `json:"cpeMatch"`
			} `json:"nodes"`
		} `json:"configurations"`
		References []struct {
			URL  string   `json:"url"`
			Tags []string `json:"tags"`
		} `json:"references"`
	} `json:"cve"`
}

type metric struct {
	Source   string `json:"source"`
	Type     string `json:"type"`
	Severity string `json:"baseSeverity"` // of version 2
	Data     struct {
		Version  string  `json:"version"`
		Vector   string  `json:"vectorString"`
		Score    float64 `json:"baseScore"`
		Severity string  `json:"baseSeverity"`
	} `json:"cvssData"`
}

// told is what is said about one CVE.
type told struct {
	detail advisory.Detail
	text   advisory.Text
}

// decode reads an element. One without a CVE's id says nothing.
func decode(raw []byte) (told, error) {
	var it item
	if err := json.Unmarshal(raw, &it); err != nil {
		return told{}, sekisho.Errorf(sekisho.Invalid, "read CVE: %w", err)
	}
	c := &it.CVE
	if !source.IsCVE(c.ID) {
		return told{}, nil
	}
	out := told{advisory.Detail{ID: c.ID, Published: source.Date(c.Published), Modified: source.Date(c.Modified)}, advisory.Text{ID: c.ID}}
	for _, d := range c.Descriptions {
		if d.Lang == "en" {
			out.text.Text = source.Text(d.Value, maxText)
			break
		}
	}
	if strings.EqualFold(c.Status, "Rejected") {
		out.detail.Withdrawn = out.detail.Modified
		if out.detail.Withdrawn.IsZero() {
			out.detail.Withdrawn = out.detail.Published
		}
		return out, nil
	}
	out.detail.Title = title(out.text.Text)
	out.scores(c.Metrics.V40, c.Metrics.V31, c.Metrics.V30, c.Metrics.V2)
	out.weaknesses(&it)
	out.products(&it)
	for _, r := range c.References {
		if len(out.text.References) < maxReferences && r.URL != "" {
			out.text.References = append(out.text.References, sekisho.Reference{Name: strings.Join(r.Tags, ", "), URL: r.URL})
		}
	}
	return out, nil
}

// kernel begins the descriptions of CVEs that the Linux kernel's own authority assigns.
const kernel = "In the Linux kernel, the following vulnerability has been resolved:"

var marks = regexp.MustCompile(`^(?:\*\* ?[A-Z ]+ ?\*\* ?)+`)

// title makes a line of a description: its first sentence. Of the kernel's own
// CVEs it is the subject of the commit, below a sentence that all of them have.
func title(text string) string {
	text = marks.ReplaceAllString(text, "") // ** DISPUTED **
	if rest, ok := strings.CutPrefix(text, kernel); ok {
		subject, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		return source.Line("Linux kernel: "+subject, maxTitle)
	}
	return source.Sentence(text, maxTitle)
}

// scores keeps ratings of all versions, the newest first and NVD's own before
// those of others; NVD's newest gives its word.
func (t *told) scores(versions ...[]metric) {
	for _, list := range versions {
		slices.SortStableFunc(list, func(a, b metric) int { return rank(a) - rank(b) })
		for _, m := range list {
			if m.Data.Vector == "" {
				continue
			}
			word := m.Data.Severity
			if word == "" {
				word = m.Severity
			}
			t.detail.CVSS = append(t.detail.CVSS, sekisho.CVSS{Source: who(m.Source), Version: m.Data.Version, Vector: m.Data.Vector, Score: m.Data.Score})
			if who(m.Source) == "nvd" && len(t.detail.Ratings) == 0 {
				t.detail.Ratings = source.Rating("nvd", word)
			}
		}
	}
}

func rank(m metric) int {
	switch {
	case who(m.Source) == "nvd":
		return 0
	case m.Type == "Primary":
		return 1
	}
	return 2
}

// who names a source: NVD itself, or the party that assigned the CVE.
func who(source string) string {
	switch source {
	case "nvd@nist.gov", "":
		return "nvd"
	case "security-advisories@github.com":
		return "ghsa"
	case "secalert@redhat.com":
		return "redhat"
	case "134c704f-9b21-4f2e-91b3-4a467353bcc0":
		return "cisa"
	}
	return source
}

func (t *told) weaknesses(it *item) {
	for _, w := range it.CVE.Weaknesses {
		for _, d := range w.Description {
			if strings.HasPrefix(d.Value, "CWE-") && !slices.Contains(t.detail.CWE, d.Value) { // not NVD-CWE-noinfo
				t.detail.CWE = append(t.detail.CWE, d.Value)
			}
		}
	}
}

// products keeps what is affected. A match that is not vulnerable is what the
// product runs on, and what is negated is what it does not run on.
func (t *told) products(it *item) {
	seen := map[string]bool{}
	for _, c := range it.CVE.Configurations {
		for _, n := range c.Nodes {
			if c.Negate || n.Negate {
				continue
			}
			for _, m := range n.Matches {
				if m.Vulnerable && !seen[m.Criteria] && len(t.detail.CPEs) < maxCPEs {
					seen[m.Criteria] = true
					t.detail.CPEs = append(t.detail.CPEs, m.Criteria)
				}
			}
		}
	}
}
