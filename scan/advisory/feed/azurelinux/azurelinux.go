// Package azurelinux reads the OVAL documents of Azure Linux and of CBL-Mariner,
// as it was called. Definitions that do not apply, in Microsoft's own words,
// clear the package instead of accusing it.
package azurelinux

import (
	"context"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/oval"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	group       = "Azure Linux"
	maxDocument = 1 << 30
)

// files are the documents by release.
var files = []struct{ release, name string }{
	{"1.0", "cbl-mariner-1.0-oval.xml"},
	{"2.0", "cbl-mariner-2.0-oval.xml"},
	{"3.0", "azurelinux-3.0-oval.xml"},
}

// Feed is Azure Linux's OVAL feed.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "azurelinux", Title: "Azure Linux OVAL", URL: "https://raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main",
		Licence: "MIT", Ecosystems: []string{group},
	}
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	state := source.State(u.State)
	source.Wants(&state, u.Want)
	var urls, ecosystems []string
	for _, f := range files {
		if ecosystem := group + ":" + f.release; advisory.Wanted(u.Want, ecosystem) {
			urls, ecosystems = append(urls, u.URL+"/"+f.name), append(ecosystems, ecosystem)
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
		r := &reader{Update: u, state: &state, ecosystem: ecosystems[i]}
		if err := oval.Read(doc, r.definition); err != nil {
			return u.State, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", urls[i], err)
		}
		if err := r.tell(); err != nil {
			return u.State, err
		}
	}
	return state, nil
}

type reader struct {
	advisory.Update
	state     *advisory.State
	ecosystem string
	records   []advisory.Record
	details   []advisory.Detail
}

// tell gives what was read, all of a CVE together: it may have several
// definitions, also of one package.
func (r *reader) tell() error {
	slices.SortStableFunc(r.records, func(a, b advisory.Record) int { return strings.Compare(a.ID, b.ID) })
	for _, rec := range r.records {
		if err := r.Sink.Record(rec); err != nil {
			return err
		}
	}
	slices.SortStableFunc(r.details, func(a, b advisory.Detail) int { return strings.Compare(a.ID, b.ID) })
	for _, d := range slices.CompactFunc(r.details, func(a, b advisory.Detail) bool { return a.ID == b.ID }) {
		if err := r.Sink.Detail(d, advisory.Text{ID: d.ID, Group: group}); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) definition(f *oval.File, d *oval.Definition) error {
	cve := ""
	for _, ref := range d.References {
		if source.IsCVE(ref.ID) {
			cve = ref.ID
		}
	}
	said, unknown, err := f.Statements(d)
	if err != nil {
		return err
	}
	if unknown > 0 || cve == "" {
		r.state.Skipped["criteria"]++
		return nil
	}
	published := source.Date(d.Date)
	for _, s := range said {
		rec := advisory.Record{
			ID: cve, Ecosystem: r.ecosystem, Package: s.Package, Source: true, Status: sekisho.StatusAffected, Ranges: []advisory.Range{s.Range},
			Rating: d.Severity, Severity: string(source.Severity(d.Severity)),
		}
		switch strings.ToLower(strings.ReplaceAll(d.Patchable, " ", "")) {
		case "notapplicable":
			rec.Status, rec.Note, rec.Rating, rec.Severity = sekisho.StatusNotAffected, "not applicable", "", ""
			rec.Ranges = []advisory.Range{{}}
		case "true":
			if s.Range.Fixed != "" {
				rec.Status, rec.Fixed = sekisho.StatusFixed, published
			}
		}
		r.records = append(r.records, rec)
	}
	r.state.Newest = source.Later(r.state.Newest, published, r.Now)
	r.details = append(r.details, advisory.Detail{ID: cve, Group: group, Ratings: source.Rating("azurelinux", d.Severity), Modified: published})
	return nil
}
