// Package arch feeds what Arch Linux's security team tracks: groups of flaws
// of a package, with the version that fixes them. One JSON document comes in;
// a record for each flaw of each package comes out. It refuses a document that
// is not a list of groups, or beyond its bounds.
package arch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// Bounds: bytes of the document, groups, packages and flaws of a group.
const (
	maxDocument = 128 << 20
	maxGroups   = 500_000
	maxMembers  = 1000
)

const ecosystem = "Arch"

type feed struct{}

// New returns the feed.
func New() advisory.Feed { return feed{} }

// Info describes the feed.
func (feed) Info() advisory.Info {
	return advisory.Info{Name: "arch", Title: "Arch Linux security tracker", URL: "https://security.archlinux.org", Licence: "none stated", Ecosystems: []string{ecosystem}}
}

// group is one of the tracker's: AVG-1234.
type group struct {
	Name       string   `json:"name"`
	Packages   []string `json:"packages"`
	Affected   string   `json:"affected"` // the version that was affected when the group was made
	Fixed      string   `json:"fixed"`
	Severity   string   `json:"severity"` // Critical, High, Medium, Low, Unknown
	Status     string   `json:"status"`   // Fixed, Testing, Vulnerable, Not affected, Unknown
	Type       string   `json:"type"`
	Issues     []string `json:"issues"`
	Advisories []string `json:"advisories"`
}

// Update reads the document when it changed.
func (feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	address := u.URL + "/all.json"
	doc, err := u.Client.Get(ctx, address, u.State.Validators[address])
	if err != nil {
		return u.State, err
	}
	if doc.Same {
		return u.State, doc.Close()
	}
	data, err := io.ReadAll(io.LimitReader(doc, maxDocument+1))
	if err = errors.Join(err, doc.Close()); err != nil {
		return u.State, sekisho.Errorf(sekisho.Unavailable, "read %s: %w", address, err)
	}
	var groups []group
	if err := json.Unmarshal(data, &groups); err != nil || len(data) > maxDocument || len(groups) == 0 || len(groups) > maxGroups {
		return u.State, sekisho.Errorf(sekisho.Invalid, "read %s: not a list of groups: %v", address, err)
	}
	u.Sink.Replace(ecosystem)
	next := advisory.State{Validators: map[string]advisory.Validator{address: doc.Validator}, Newest: source.Modified(doc.Validator, u.Now), Skipped: map[string]int{}}
	for i := range groups {
		if err := tell(&groups[i], u.Sink, next.Skipped); err != nil {
			return u.State, err
		}
	}
	return next, nil
}

// tell gives the sink a record for each flaw of each package. A fix that is
// still in testing is not out.
func tell(g *group, sink advisory.Sink, skipped map[string]int) error {
	if g.Name == "" || len(g.Packages) == 0 || len(g.Packages) > maxMembers || len(g.Issues) == 0 || len(g.Issues) > maxMembers {
		skipped["malformed"]++
		return nil
	}
	r := advisory.Record{ID: g.Name, Ecosystem: ecosystem, Advisories: append(slices.Clone(g.Advisories), g.Name), Ranges: []advisory.Range{{Fixed: g.Fixed}}}
	switch g.Status {
	case "Fixed":
		r.Status = sekisho.StatusFixed
		if g.Fixed == "" {
			skipped["malformed"]++
			return nil
		}
	case "Testing":
		r.Status, r.Note = sekisho.StatusAffected, "the fix is in testing"
	case "Vulnerable":
		r.Status = sekisho.StatusAffected
	case "Not affected":
		r.Status, r.Ranges = sekisho.StatusNotAffected, []advisory.Range{{}}
	default:
		r.Status = sekisho.StatusInvestigated
	}
	severity := sekisho.Severity(strings.ToLower(g.Severity))
	if severity.Rank() > 0 {
		r.Rating, r.Severity = g.Severity, string(severity)
	}
	for _, p := range g.Packages {
		for _, issue := range g.Issues {
			if p == "" || issue == "" {
				skipped["malformed"]++
				continue
			}
			r.Package, r.Aliases = p, []string{issue}
			if err := sink.Record(r); err != nil {
				return err
			}
		}
	}
	return detail(g, r.Severity, sink)
}

func detail(g *group, severity string, sink advisory.Sink) error {
	d := advisory.Detail{ID: g.Name, Group: ecosystem, Title: strings.Join(g.Packages[:1], "") + ": " + g.Type}
	if severity != "" {
		d.Ratings = []sekisho.Rating{{Source: "arch", Severity: sekisho.Severity(severity), Word: g.Severity}}
	}
	text := advisory.Text{ID: g.Name, Group: ecosystem, References: []sekisho.Reference{{Name: "Arch Linux", URL: "https://security.archlinux.org/" + g.Name}}}
	return sink.Detail(d, text)
}
