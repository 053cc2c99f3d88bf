// Package kev reads CISA's catalogue of vulnerabilities that are known to be
// exploited. What leaves are signals about CVEs; entries without a CVE are left
// out and counted.
package kev

import (
	"context"
	"encoding/json"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	file        = "known_exploited_vulnerabilities.json"
	maxDocument = 64 << 20
	maxElement  = 256 << 10
	maxAction   = 2000
)

// Feed is the KEV catalogue.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "kev", Title: "CISA Known Exploited Vulnerabilities", URL: "https://www.cisa.gov/sites/default/files/feeds",
		Licence: "CC0-1.0", Default: true,
	}
}

type entry struct {
	CVE        string `json:"cveID"`
	Added      string `json:"dateAdded"`
	Due        string `json:"dueDate"`
	Action     string `json:"requiredAction"`
	Ransomware string `json:"knownRansomwareCampaignUse"`
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	state := source.State(u.State)
	doc, err := source.Open(ctx, u.Client, state, u.URL+"/"+file, maxDocument)
	if err != nil {
		return u.State, err
	}
	defer doc.Close()
	if doc.Same {
		return state, nil
	}
	state.Skipped = map[string]int{}
	u.Sink.Replace("")
	err = source.Elements(doc, "vulnerabilities", maxElement, func(raw []byte) error {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return source.Few(state.Skipped, sekisho.Errorf(sekisho.Invalid, "%w", err))
		}
		cve := strings.TrimSpace(e.CVE)
		if !source.IsCVE(cve) {
			state.Skipped["id"]++
			return nil
		}
		added := source.Date(e.Added)
		state.Newest = source.Later(state.Newest, added, u.Now)
		return u.Sink.Signal(advisory.Signal{CVE: cve, KEV: &sekisho.KEV{
			Added: day(e.Added), Due: day(e.Due), Action: source.Line(e.Action, maxAction), Ransomware: strings.EqualFold(e.Ransomware, "Known"),
		}})
	})
	if err != nil {
		return u.State, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", file, err)
	}
	return state, nil
}

// day keeps a date that is one.
func day(s string) string {
	t := source.Date(s)
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02")
}
