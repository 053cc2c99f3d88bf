// Package nodejs feeds the flaws of Node.js itself, as its security working
// group lists them: which release lines are affected and which versions are
// patched, as npm ranges. One JSON document comes in; records of the program
// "node" come out. It refuses ranges that it cannot read.
package nodejs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

// Bounds of the document: bytes, entries.
const (
	maxDocument = 32 << 20
	maxEntries  = 100_000
)

const (
	ecosystem = "Node.js"
	program   = "node"
)

type feed struct{}

// New returns the feed.
func New() advisory.Feed { return feed{} }

// Info describes the feed.
func (feed) Info() advisory.Info {
	return advisory.Info{
		Name: "nodejs", Title: "Node.js security working group", URL: "https://raw.githubusercontent.com/nodejs/security-wg/main/vuln/core", Licence: "MIT",
		Ecosystems: []string{ecosystem}, Default: true,
	}
}

// vulnerability is one entry.
type vulnerability struct {
	CVE          []string `json:"cve"`
	Reference    string   `json:"ref"`
	Vulnerable   string   `json:"vulnerable"`
	Patched      string   `json:"patched"`
	Description  string   `json:"description"`
	Overview     string   `json:"overview"`
	Severity     string   `json:"severity"`
	Environments []string `json:"affectedEnvironments"`
	Published    string   `json:"publish_date"`
}

// Update reads the document when it changed.
func (feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	address := u.URL + "/index.json"
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
	var list map[string]vulnerability
	if err = json.Unmarshal(data, &list); err != nil || len(data) > maxDocument || len(list) > maxEntries || len(list) == 0 {
		return u.State, sekisho.Errorf(sekisho.Invalid, "read %s: not a list of vulnerabilities: %v", address, err)
	}
	u.Sink.Replace(ecosystem)
	next := advisory.State{Validators: map[string]advisory.Validator{address: doc.Validator}, Newest: source.Modified(doc.Validator, u.Now), Skipped: map[string]int{}}
	for _, key := range slices.SortedFunc(maps.Keys(list), byNumber) {
		if err := tell(key, list[key], u.Sink, next.Skipped); err != nil {
			return u.State, err
		}
	}
	return next, nil
}

func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// tell gives the sink a record for each CVE of an entry; an entry without one
// goes by its number.
func tell(key string, v vulnerability, sink advisory.Sink, skipped map[string]int) error {
	if slices.Equal(v.Environments, []string{"win32"}) {
		skipped["only on Windows"]++
		return nil
	}
	ranges := ranges(v.Vulnerable, v.Patched)
	if len(ranges) == 0 {
		skipped["malformed"]++
		return nil
	}
	status := sekisho.StatusAffected
	if slices.ContainsFunc(ranges, func(r advisory.Range) bool { return r.Fixed != "" }) {
		status = sekisho.StatusFixed
	}
	ids := v.CVE
	if len(ids) == 0 {
		if _, err := strconv.Atoi(key); err != nil {
			skipped["malformed"]++
			return nil
		}
		ids = []string{"NSWG-CORE-" + key}
	}
	severity := severityOf(v.Severity)
	day, _ := time.Parse(time.DateOnly, v.Published)
	for _, id := range ids {
		if id = strings.TrimSpace(id); id == "" || len(id) > 100 {
			skipped["malformed"]++
			continue
		}
		r := advisory.Record{ID: id, Ecosystem: ecosystem, Package: program, Status: status, Ranges: ranges, Rating: v.Severity, Severity: string(severity)}
		if severity == "" {
			r.Rating = ""
		}
		d := advisory.Detail{ID: id, Group: ecosystem, Title: oneLine(v.Description), Published: day}
		if severity != "" {
			d.Ratings = []sekisho.Rating{{Source: "nodejs", Severity: severity, Word: v.Severity}}
		}
		text := advisory.Text{ID: id, Group: ecosystem, Text: strings.TrimSpace(v.Overview)}
		if strings.HasPrefix(v.Reference, "https://") {
			text.References = []sekisho.Reference{{Name: "Node.js", URL: v.Reference}}
		}
		if err := errors.Join(sink.Record(r), sink.Detail(d, text)); err != nil {
			return err
		}
	}
	return nil
}

func severityOf(word string) sekisho.Severity {
	switch word {
	case "critical", "high", "medium", "low":
		return sekisho.Severity(word)
	}
	return ""
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s[:min(len(s), 300)]), " ")
}
