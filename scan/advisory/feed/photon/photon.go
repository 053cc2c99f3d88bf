// Package photon reads VMware Photon OS's CVE metadata, one JSON document for
// each release, as the list of releases names them.
package photon

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	group       = "Photon OS"
	maxDocument = 256 << 20
	maxElement  = 64 << 10
	maxRows     = 4 << 20
)

// Feed is Photon OS's feed.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "photon", Title: "Photon OS CVE metadata", URL: "https://packages.vmware.com/photon/photon_cve_metadata",
		Licence: "VMware, not stated", Ecosystems: []string{group},
	}
}

var branch = regexp.MustCompile(`^\d{1,2}\.\d{1,2}$`)

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	state := source.State(u.State)
	source.Wants(&state, u.Want)
	data, err := source.All(ctx, u.Client, u.URL+"/photon_versions.json", 64<<10)
	if err != nil {
		return u.State, err
	}
	var list struct {
		Branches []string `json:"branches"`
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list.Branches) == 0 {
		return u.State, sekisho.Errorf(sekisho.Invalid, "read photon_versions.json: no list of branches")
	}
	var urls, ecosystems []string
	for _, b := range list.Branches {
		if ecosystem := group + ":" + b; branch.MatchString(b) && advisory.Wanted(u.Want, ecosystem) {
			urls, ecosystems = append(urls, u.URL+"/cve_data_photon"+b+".json"), append(ecosystems, ecosystem)
		}
	}
	docs, err := source.Set(ctx, u.Client, state, urls, maxDocument)
	if err != nil {
		return u.State, err
	}
	defer source.Close(docs)
	if len(docs) == 0 {
		state.Skipped = u.State.Skipped
		return state, nil
	}
	state.Skipped = map[string]int{}
	u.Sink.Replace(group)
	for i, doc := range docs {
		if doc == nil {
			state.Skipped["missing document"]++
			continue
		}
		if err := read(doc, ecosystems[i], u.Sink, state.Skipped); err != nil {
			return u.State, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", urls[i], err)
		}
	}
	return state, nil
}

type row struct {
	CVE      string `json:"cve_id"`
	Package  string `json:"pkg"`
	Score    any    `json:"cve_score"` // a number, or nothing in several ways
	Resolved string `json:"res_ver"`
	Status   string `json:"status"`
}

// read tells one release. Packages are sources; one that is named beside the
// package whose name begins its own is a part of that (curl-libs of curl).
func read(doc *source.Document, ecosystem string, sink advisory.Sink, skipped map[string]int) error {
	var rows []row
	err := source.Elements(doc, "", maxElement, func(raw []byte) error {
		var x row
		if err := json.Unmarshal(raw, &x); err != nil {
			return source.Few(skipped, sekisho.Errorf(sekisho.Invalid, "read row: %w", err))
		}
		if len(rows) >= maxRows {
			return sekisho.Errorf(sekisho.Invalid, "more than %d rows", maxRows)
		}
		rows = append(rows, x)
		return nil
	})
	if err != nil {
		return err
	}
	named := map[[2]string]bool{}
	for _, x := range rows {
		named[[2]string{x.CVE, x.Package}] = true
	}
	// All of a CVE together: a package may be fixed in it more than once.
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.CVE, b.CVE) })
	for _, x := range rows {
		rec, ok := x.record(ecosystem)
		if !ok {
			skipped["row"]++
			continue
		}
		rec.Source = !slices.ContainsFunc(prefixes(x.Package), func(p string) bool { return named[[2]string{x.CVE, p}] })
		if err := sink.Record(rec); err != nil {
			return err
		}
	}
	return nil
}

// prefixes are the names that a name with dashes begins with.
func prefixes(name string) (out []string) {
	for i, c := range []byte(name) {
		if c == '-' && len(out) < 8 {
			out = append(out, name[:i])
		}
	}
	return out
}

func (x row) record(ecosystem string) (advisory.Record, bool) {
	rec := advisory.Record{ID: strings.TrimSpace(x.CVE), Ecosystem: ecosystem, Package: strings.TrimSpace(x.Package), Ranges: []advisory.Range{{}}}
	if rec.ID == "" || rec.Package == "" || len(rec.ID) > 64 || len(rec.Package) > 256 {
		return rec, false
	}
	rec.Severity = string(severity(x.Score))
	fixed := source.Plain(x.Resolved)
	named := fixed != "" && !strings.EqualFold(fixed, "NA")
	switch strings.ToLower(strings.TrimSpace(x.Status)) {
	case "fixed", "":
		rec.Status = sekisho.StatusAffected
		if named {
			rec.Status, rec.Ranges[0].Fixed = sekisho.StatusFixed, fixed
		}
	case "not affected":
		rec.Status, rec.Severity = sekisho.StatusNotAffected, ""
	default:
		rec.Status, rec.Note = sekisho.StatusAffected, source.Line(x.Status, 100)
		if named {
			rec.Ranges[0].Fixed = fixed
		}
	}
	return rec, true
}

// severity returns the qualitative rating of a base score (CVSS 3.1, section 5).
func severity(value any) sekisho.Severity {
	score, _ := value.(float64)
	switch {
	case score >= 9:
		return sekisho.Critical
	case score >= 7:
		return sekisho.High
	case score >= 4:
		return sekisho.Medium
	case score > 0:
		return sekisho.Low
	}
	return ""
}
