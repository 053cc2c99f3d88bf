package schema

import (
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
	"sekisho/scan/version"
)

// rating fills in the vendor's word about how bad it is.
func (b *builder) rating(row *advisory.Record, a *affected) {
	row.Rating = b.word(a)
	row.Severity = string(severityOf(row.Rating))
}

// word returns the vendor's severity: Ubuntu's priority, what GHSA and Bitnami
// say of the record, or the word that errata put before their summary.
func (b *builder) word(a *affected) string {
	for _, s := range slices.Concat(a.Severity, b.rec.Severity) {
		if s.Type == "Ubuntu" {
			return s.Score
		}
	}
	for _, w := range []word{b.rec.DatabaseSpecific.Severity, a.DatabaseSpecific.Severity, a.EcosystemSpecific.Severity, a.DatabaseSpecific.Informational} {
		if w != "" && len(w) < 40 {
			return string(w)
		}
	}
	if before, _, ok := strings.Cut(b.rec.Summary, ": "); ok && isErrata(a.Package.Ecosystem) && severityOf(before) != "" {
		return before
	}
	return ""
}

// specific fills in what only some ecosystems have.
func (b *builder) specific(row *advisory.Record, a *affected) {
	es := &a.EcosystemSpecific
	switch advisory.Group(row.Ecosystem) {
	case "Ubuntu":
		if row.Repositories == nil && (strings.Contains(string(es.Availability), "Ubuntu Pro") || esm(row.Ranges)) {
			row.Repositories = []string{"pro"}
		}
		if slices.ContainsFunc(row.Binaries, kernel.MatchString) {
			row.Binaries = nil // named by build: those of an older one are not among them
		}
	case "SUSE":
		b.suse(row)
	case "Rocky Linux":
		if strings.HasPrefix(b.rec.ID, "RXSA-") {
			row.Repositories = []string{"sig"} // packages of special interest groups
		}
	case "Go":
		for _, i := range es.Imports {
			row.Symbols = append(row.Symbols, advisory.Symbols{Package: i.Path, GOOS: i.GOOS, GOARCH: i.GOARCH, Names: i.Symbols})
		}
		if list, _ := ranges(es.Custom, nil); len(list) > 0 {
			row.Note = "in the project's own versions: " + describe(list)
		} else if foreign(row) {
			row.Note = "the range's versions are not of this module's major version"
		}
	case "crates.io":
		if os := es.Affects.OS; len(os) > 0 {
			row.Note = "only on " + strings.Join(os, ", ")
		}
	}
}

// kernel is a binary of Ubuntu's kernels: linux-image-6.8.0-40-generic.
var kernel = regexp.MustCompile(`^linux-.*\d+\.\d+\.\d+-\d+`)

// suse turns products into a note: what a module or the long-term support of a
// release fixes is a flaw of that release, whoever gets the fix.
func (b *builder) suse(row *advisory.Record) {
	for _, product := range row.Repositories {
		if !support.MatchString(product) {
			row.Repositories = nil
			return
		}
	}
	row.Repositories, row.Note = nil, "the fix needs long-term support"
}

// support is a product that only customers of an extended phase get.
var support = regexp.MustCompile(`LTSS|ESPOS|Extended`)

// major is the major version that ends a module's path, as /v5 or .v2 of
// gopkg.in (Go Modules Reference, "Major version suffixes").
var major = regexp.MustCompile(`[/.]v(\d+)$`)

// foreign reports whether a range ends at a version that the module cannot
// have: then every pseudo-version is inside, which says little.
func foreign(row *advisory.Record) bool {
	if row.Package == "stdlib" || row.Package == "toolchain" {
		return false
	}
	path := ""
	if m := major.FindStringSubmatch(row.Package); m != nil {
		path = m[1]
	}
	for _, r := range row.Ranges {
		end := r.Fixed + r.Last
		number, _, _ := strings.Cut(end, ".")
		switch {
		case end == "" || strings.Contains(end, "+incompatible"):
		case path == "" && number != "0" && number != "1", path != "" && number != path:
			return true
		}
	}
	return false
}

// esm reports whether a fix is one of Extended Security Maintenance, by its version.
func esm(list []advisory.Range) bool {
	return slices.ContainsFunc(list, func(r advisory.Range) bool {
		return strings.Contains(r.Fixed, "~esm") || strings.Contains(r.Fixed, "+esm")
	})
}

func describe(list []advisory.Range) string {
	var parts []string
	for _, r := range list {
		var ends []string
		if r.Introduced != "" {
			ends = append(ends, ">= "+r.Introduced)
		}
		if r.Fixed != "" {
			ends = append(ends, "< "+r.Fixed)
		}
		if r.Last != "" {
			ends = append(ends, "<= "+r.Last)
		}
		if ends == nil {
			ends = []string{"all"}
		}
		parts = append(parts, strings.Join(ends, ", "))
	}
	return strings.Join(parts, " or ")
}

// stream is a module stream in a summary: "Important: nodejs:18 security update".
var stream = regexp.MustCompile(`\b[A-Za-z0-9][A-Za-z0-9._+-]*:[A-Za-z0-9][A-Za-z0-9._+-]*`)

// modules returns the module streams a row is about. Only builds of modules,
// which their release tells, have one. An update of two streams does not say
// which package is whose: the row is told of both, and the installed package's
// label decides.
func (b *builder) modules(row *advisory.Record) []string {
	if g := advisory.Group(row.Ecosystem); g != "AlmaLinux" && g != "Rocky Linux" {
		return []string{""}
	}
	if !slices.ContainsFunc(row.Ranges, func(r advisory.Range) bool { return strings.Contains(r.Fixed, ".module") }) {
		return []string{""}
	}
	streams := slices.Compact(slices.Sorted(slices.Values(stream.FindAllString(b.rec.Summary, 8))))
	if len(streams) == 0 {
		return []string{""}
	}
	return streams
}

// security reports whether an erratum that names no CVE is about security all
// the same.
func security(rec *record) bool {
	return strings.Contains(strings.ToLower(rec.Summary), "security") && !strings.HasPrefix(rec.ID, "ALEA") && !strings.HasPrefix(rec.ID, "ALBA")
}

// details makes the detail for each group that has rows.
func (b *builder) details() {
	rec, out := b.rec, b.out
	detail := advisory.Detail{
		ID: rec.ID, Title: title(rec.Summary, rec.Details), CVSS: b.cvss(), CWE: []string(rec.DatabaseSpecific.CWE), CPEs: []string(rec.DatabaseSpecific.CPEs),
		Aliases: b.aliases(), Published: parseTime(rec.Published), Modified: out.Modified,
	}
	if len(out.flaws) > 1 { // neither names nor scores of one flaw are the others'
		detail.Aliases, detail.CVSS = nil, nil
	}
	out.text = advisory.Text{ID: rec.ID, Text: source.Text(rec.Details, maxText), References: b.references()}
	for _, row := range out.rows {
		group := advisory.Group(row.Ecosystem)
		if slices.ContainsFunc(out.details, func(d advisory.Detail) bool { return d.Group == group }) {
			continue
		}
		detail.Group, detail.Ratings = group, nil
		if row.Rating != "" {
			detail.Ratings = []sekisho.Rating{{Source: rater(rec.ID), Severity: sekisho.Severity(row.Severity), Word: row.Rating}}
		}
		out.details = append(out.details, detail)
	}
}

// maxText bounds the text of a record, maxTitle its title, in bytes and in
// characters.
const maxText, maxTitle = 64 << 10, 160

// title is the summary; databases that have none begin their details with what
// would be one, sometimes below a heading.
func title(summary, details string) string {
	if summary != "" {
		return source.Line(summary[:min(len(summary), 2000)], maxTitle)
	}
	for line := range strings.Lines(details[:min(len(details), 2000)]) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line != "[Unknown description]" {
			return source.Sentence(line, maxTitle)
		}
	}
	return ""
}

// cvss returns the distinct vectors of the record and of its packages.
func (b *builder) cvss() (out []sekisho.CVSS) {
	add := func(list []severity) {
		for _, s := range list {
			c := sekisho.CVSS{Source: rater(b.rec.ID), Version: vectorVersion(s.Type, s.Score), Vector: s.Score}
			if c.Version != "" && len(c.Vector) < 400 && len(out) < 16 && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	add(b.rec.Severity)
	for i := range b.rec.Affected {
		add(b.rec.Affected[i].Severity)
	}
	return out
}

func vectorVersion(kind, vector string) string {
	switch {
	case kind == "CVSS_V2" && strings.HasPrefix(vector, "AV:"):
		return "2.0"
	case kind == "CVSS_V3" && strings.HasPrefix(vector, "CVSS:3.0/"):
		return "3.0"
	case kind == "CVSS_V3" && strings.HasPrefix(vector, "CVSS:3.1/"):
		return "3.1"
	case kind == "CVSS_V4" && strings.HasPrefix(vector, "CVSS:4.0/"):
		return "4.0"
	}
	return ""
}

func (b *builder) references() (out []sekisho.Reference) {
	if url := string(b.rec.DatabaseSpecific.URL); url != "" {
		out = append(out, sekisho.Reference{Name: "ADVISORY", URL: url})
	}
	for _, r := range b.rec.References[:min(len(b.rec.References), 200)] {
		if strings.HasPrefix(r.URL, "https://") || strings.HasPrefix(r.URL, "http://") {
			out = append(out, sekisho.Reference{Name: r.Type, URL: r.URL})
		}
	}
	return out
}

// contexts leaves one row of those that name the same build of a module's
// package in several contexts: an erratum lists all that its source was built
// in ("6.module_el8.3.0+2041+d1f204ad" and "6.module_el8.5.0+94+18674043"), and
// who has one of them has the fix. The lowest stays.
func contexts(rows []advisory.Record) []advisory.Record {
	first := map[[4]string]int{} // place in out
	out := rows[:0]
	for _, r := range rows {
		build, modular := "", false
		if len(r.Ranges) == 1 && r.Ranges[0].Introduced == "" {
			build, _, modular = strings.Cut(r.Ranges[0].Fixed, ".module")
		}
		key := [4]string{r.Ecosystem, r.Package, r.Module, build}
		at, again := first[key]
		switch {
		case !modular || !again:
			if modular {
				first[key] = len(out)
			}
			out = append(out, r)
		default:
			if c, err := version.Compare(version.RPM, r.Ranges[0].Fixed, out[at].Ranges[0].Fixed); err == nil && c < 0 {
				out[at].Ranges = r.Ranges
			}
		}
	}
	return out
}
