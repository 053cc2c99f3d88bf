// Package suse reads SUSE's own OVAL documents, one for each version of a
// product. It is the alternative to SUSE's records on OSV.dev, for those who
// mirror SUSE's host; it is not updated unless it is asked for.
package suse

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/oval"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	maxDocument = 4 << 30
	maxText     = 16 << 10
)

// documents are the files and the groups that they are about.
var documents = []struct{ group, file string }{
	{"SUSE", "suse.linux.enterprise.12.xml.gz"},
	{"SUSE", "suse.linux.enterprise.15.xml.gz"},
	{"SUSE", "suse.linux.enterprise.16.xml.gz"},
	{"openSUSE", "opensuse.leap.15.5.xml.gz"},
	{"openSUSE", "opensuse.leap.15.6.xml.gz"},
	{"openSUSE", "opensuse.leap.16.0.xml.gz"},
	{"openSUSE", "opensuse.tumbleweed.xml.gz"},
}

// Feed is SUSE's OVAL feed.
type Feed struct{}

// Info implements advisory.Feed. It names no ecosystems: OSV.dev's records are
// about the same ones, and this feed is read only when it is named.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "suse", Title: "SUSE OVAL", URL: "https://ftp.suse.com/pub/projects/security/oval",
		Licence: "CC-BY-4.0",
	}
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	state := source.State(u.State)
	source.Wants(&state, u.Want)
	var urls, groups []string
	for _, d := range documents {
		if wanted(u.Want, d.group, d.file) {
			urls, groups = append(urls, u.URL+"/"+d.file), append(groups, d.group)
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
	for _, g := range slices.Compact(slices.Clone(groups)) {
		u.Sink.Replace(g)
	}
	for i, doc := range docs {
		if doc == nil {
			state.Skipped["missing document"]++
			continue
		}
		if err := oval.Read(doc, (&reader{u, &state, groups[i]}).definition); err != nil {
			return u.State, sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", urls[i], err)
		}
	}
	return state, nil
}

// wanted reports whether a document may tell about what is wanted: it is of the
// major release, or of the release itself.
func wanted(want []string, group, file string) bool {
	return len(want) == 0 || slices.ContainsFunc(want, func(w string) bool {
		name, release, _ := strings.Cut(w, ":")
		major, _, _ := strings.Cut(release, ".")
		return name == group && (release == "" || strings.Contains(file, "."+release+".xml") || strings.Contains(file, "."+major+".xml"))
	})
}

type reader struct {
	advisory.Update
	state *advisory.State
	group string
}

var product = regexp.MustCompile(`^(?:SUSE|openSUSE) .*?\b(\d{2})(?:[ .]SP(\d)|\.(\d))?(-[A-Z]+)?(?: is installed)?$`)

// Ecosystem returns the release that a product is of, and what it is besides
// the ordinary product: "SUSE Linux Enterprise Server 15 SP1-LTSS" is SUSE:15.1
// for those who have LTSS.
func Ecosystem(group, name string) (ecosystem, repository string, ok bool) {
	if group == "openSUSE" && strings.HasPrefix(name, "openSUSE Tumbleweed") {
		return "openSUSE:tumbleweed", "", true
	}
	m := product.FindStringSubmatch(name)
	if m == nil {
		return "", "", false
	}
	minor := m[2] + m[3]
	ecosystem = group + ":" + m[1]
	if minor != "" {
		ecosystem += "." + minor
	}
	name = strings.TrimSuffix(name, " is installed")
	if m[4] != "" || extra(name) {
		repository = name
	}
	return ecosystem, repository, true
}

// extra reports whether a product is sold beside the server, the desktop and
// the modules that come with them.
func extra(name string) bool {
	for _, s := range []string{"Live Patching", "High Availability", "Public Cloud", "Real Time", "Realtime", "Software Development Kit"} {
		if strings.Contains(name, s) {
			return true
		}
	}
	return false
}

func (r *reader) definition(f *oval.File, d *oval.Definition) error {
	cve := strings.TrimSpace(strings.TrimPrefix(d.Title, "SUSE "))
	if !source.IsCVE(cve) {
		r.state.Skipped["id"]++
		return nil
	}
	said, unknown, err := f.Statements(d)
	if err != nil {
		return err
	}
	if unknown > 0 {
		r.state.Skipped["criteria"] += int(unknown)
	}
	records := r.records(cve, d, said)
	for _, rec := range records {
		if err := r.Sink.Record(rec); err != nil {
			return err
		}
	}
	if len(records) == 0 {
		return nil
	}
	updated := source.Date(d.Advisory.Updated.Date)
	r.state.Newest = source.Later(r.state.Newest, updated, r.Now)
	detail := advisory.Detail{ID: cve, Group: r.group, Ratings: source.Rating("suse", d.Advisory.Severity), CVSS: scores(d), Published: source.Date(d.Advisory.Issued.Date), Modified: updated}
	text := advisory.Text{ID: cve, Group: r.group, Text: source.Text(d.Description, maxText)}
	for _, ref := range d.References {
		if len(text.References) < 100 {
			text.References = append(text.References, sekisho.Reference{Name: ref.ID, URL: ref.URL})
		}
	}
	return r.Sink.Detail(detail, text)
}

// records folds what is said of products of one release. A release for which
// an ordinary product has the word does not name products.
func (r *reader) records(cve string, d *oval.Definition, said []oval.Statement) (out []advisory.Record) {
	at := map[string]int{}
	for _, s := range said {
		ecosystem, repository, ok := Ecosystem(r.group, s.Platform)
		if !ok {
			r.state.Skipped["product"]++
			continue
		}
		if !advisory.Wanted(r.Want, ecosystem) {
			continue
		}
		rec := advisory.Record{
			ID: cve, Ecosystem: ecosystem, Package: s.Package, Ranges: []advisory.Range{s.Range}, Arch: s.Arch,
			Status: sekisho.StatusAffected, Rating: d.Advisory.Severity, Severity: string(source.Severity(d.Advisory.Severity)),
		}
		switch {
		case s.Clear:
			rec.Status, rec.Rating, rec.Severity = sekisho.StatusNotAffected, "", ""
		case s.Range.Fixed != "":
			rec.Status = sekisho.StatusFixed
		}
		if repository != "" {
			rec.Repositories = []string{repository}
		}
		key := fmt.Sprint(ecosystem, "\x00", s.Package, "\x00", s.Range, s.Clear, s.Arch)
		if i, ok := at[key]; ok {
			if rec.Repositories == nil || out[i].Repositories == nil {
				out[i].Repositories = nil
			} else if !slices.Contains(out[i].Repositories, repository) {
				out[i].Repositories = append(out[i].Repositories, repository)
			}
			continue
		}
		at[key] = len(out)
		out = append(out, rec)
	}
	return out
}

// scores reads "5.5/CVSS:3.1/AV:L/…".
func scores(d *oval.Definition) (out []sekisho.CVSS) {
	for _, c := range d.Advisory.CVEs {
		_, vector, ok := strings.Cut(c.CVSS3, "/")
		version, _, _ := strings.Cut(strings.TrimPrefix(vector, "CVSS:"), "/")
		if ok && strings.HasPrefix(vector, "CVSS:") {
			out = append(out, sekisho.CVSS{Source: "suse", Version: version, Vector: vector})
		}
	}
	return out
}
