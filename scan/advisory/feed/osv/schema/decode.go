package schema

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/scan/advisory"
)

// Bounds of one record: its size in bytes, its affected packages, and the
// records of ours that it may become (a kernel update of SUSE fixes hundreds
// of flaws in dozens of packages).
const (
	MaxRecord   = 64 << 20
	maxAffected = 100_000
	maxExpanded = 1_000_000
)

// Reasons for which a record or a part of it was left out.
const (
	Withdrawn  = "withdrawn"
	Malformed  = "malformed"
	GitOnly    = "ranges of commits only"
	NoVersions = "neither ranges nor versions"
	NoPackage  = "no package"
	NoFlaw     = "erratum without a flaw"
	Duplicate  = "erratum told by its flaws"
	OtherPlace = "product that is no system"
	TooMany    = "too many packages and flaws"
)

// Result is what one record says.
type Result struct {
	ID       string
	Modified time.Time
	Gone     bool // withdrawn: only to be forgotten
	Affected int  // entries of the record, whatever their ecosystem
	Skipped  map[string]int

	rows    []advisory.Record // one for each package, with all flaws
	flaws   []string          // ids of flaws, where each is to be a record of its own
	details []advisory.Detail // by group
	text    advisory.Text
}

// Decoder reads records. Its zero value keeps every ecosystem and does not
// order versions.
type Decoder struct {
	Keep  func(ecosystem string) bool   // in our spelling
	Order func(ecosystem string) Order  // may return nil
	Place func(ecosystem string) string // respells an ecosystem before all else
	Entry func(name string) bool        // entries of a zip file that are records; nil means all *.json
}

// Decode reads one record. It keeps nothing of data.
func (d Decoder) Decode(data []byte) (Result, error) {
	var rec record
	if len(data) > MaxRecord {
		return Result{}, sekisho.Errorf(sekisho.Invalid, "read record: more than %d bytes", MaxRecord)
	}
	if err := json.Unmarshal(data, &rec); err != nil && !tolerable(err) {
		return Result{}, sekisho.Errorf(sekisho.Invalid, "read record: %w", err)
	}
	if rec.ID == "" || len(rec.ID) > 200 || len(rec.Affected) > maxAffected {
		return Result{}, sekisho.Errorf(sekisho.Invalid, "read record %.40q: no id, or too many packages", rec.ID)
	}
	out := Result{ID: rec.ID, Modified: parseTime(rec.Modified), Affected: len(rec.Affected), Skipped: map[string]int{}}
	if rec.Withdrawn != "" {
		out.Gone = true
		out.Skipped[Withdrawn]++
		return out, nil
	}
	b := builder{Decoder: d, rec: &rec, out: &out, flaws: flaws(&rec), index: map[string]int{}}
	for i := range rec.Affected {
		b.affected(&rec.Affected[i])
	}
	b.finish()
	return out, nil
}

// tolerable reports whether only a member has an unexpected type that the
// schema leaves to each database; the others were read all the same.
func tolerable(err error) bool {
	var mismatch *json.UnmarshalTypeError
	return errors.As(err, &mismatch) && strings.Contains(mismatch.Field, "_specific")
}

// Tell gives the sink what the record says, and returns how many records that
// were.
func (r *Result) Tell(sink advisory.Sink) (n int, err error) {
	for _, row := range r.rows {
		if len(r.flaws) == 0 || !isErrata(row.Ecosystem) {
			if err := sink.Record(row); err != nil {
				return n, err
			}
			n++
			continue
		}
		for _, flaw := range r.flaws {
			row.Aliases = []string{flaw}
			if err := sink.Record(row); err != nil {
				return n, err
			}
			n++
		}
	}
	for _, detail := range r.details {
		text := r.text
		text.Group = detail.Group
		if err := sink.Detail(detail, text); err != nil {
			return n, err
		}
	}
	return n, nil
}

func isErrata(ecosystem string) bool { return slices.Contains(errata, advisory.Group(ecosystem)) }

// flaws returns the CVEs that a record is about, in order. Distributions name
// them under upstream, with a prefix (DEBIAN-CVE-), or under related.
func flaws(rec *record) (out []string) {
	add := func(list []string) {
		for _, id := range list {
			if cve := CVE(id); cve != "" && !slices.Contains(out, cve) {
				out = append(out, cve)
			}
		}
	}
	add(rec.Aliases)
	add(rec.Upstream)
	if len(out) == 0 {
		add([]string{rec.ID})
	}
	return out
}

// CVE returns the CVE id that ends an id: of "UBUNTU-CVE-2020-1" it is
// CVE-2020-1; empty when there is none.
func CVE(id string) string {
	i := strings.Index(id, "CVE-")
	if i < 0 || i > 0 && id[i-1] != '-' {
		return ""
	}
	cve := id[i:]
	if len(cve) < 10 || len(cve) > 24 || cve[8] != '-' {
		return ""
	}
	for j := 4; j < len(cve); j++ {
		if j != 8 && (cve[j] < '0' || cve[j] > '9') {
			return ""
		}
	}
	return cve
}

// builder makes one record's rows.
type builder struct {
	Decoder
	rec   *record
	out   *Result
	flaws []string
	index map[string]int // of rows that differ in the product only
}

func (b *builder) affected(a *affected) {
	rec, out := b.rec, b.out
	if a.Package.Name == "" || a.Package.Ecosystem == "" {
		out.Skipped[NoPackage]++
		return
	}
	spelled := a.Package.Ecosystem
	if b.Place != nil {
		spelled = b.Place(spelled)
	}
	at := locate(spelled)
	if at.name == "" {
		out.Skipped[OtherPlace]++
		return
	}
	if b.Keep != nil && !b.Keep(at.name) {
		return
	}
	if at.group() == "Ubuntu" && (strings.HasPrefix(rec.ID, "USN-") || strings.HasPrefix(rec.ID, "LSN-")) {
		out.Skipped[Duplicate]++
		return
	}
	row := advisory.Record{
		ID: rec.ID, Ecosystem: at.name, Package: advisory.Normalise(at.name, a.Package.Name),
		Source: slices.Contains(bySource, at.group()), Repositories: at.repositories,
		Malicious: strings.HasPrefix(rec.ID, "MAL-"), Binaries: slices.Compact(slices.Sorted(slices.Values(a.EcosystemSpecific.Binaries))),
	}
	if !b.versions(&row, a) {
		return
	}
	b.names(&row)
	b.rating(&row, a)
	b.specific(&row, a)
	b.add(row)
}

// versions fills in what is affected, and tells whether anything is.
func (b *builder) versions(row *advisory.Record, a *affected) bool {
	var order Order
	if b.Order != nil {
		order = b.Order(row.Ecosystem)
	}
	list, git := ranges(a.Ranges, order)
	row.Ranges = list
	distribution := slices.Contains(distributions, advisory.Group(row.Ecosystem))
	// A distribution's versions are those that it published inside the ranges.
	if len(a.Versions) > 4 && !(distribution && len(list) > 0) {
		if json.Unmarshal(a.Versions, &row.Versions) != nil {
			b.out.Skipped[Malformed]++
			return false
		}
	}
	if lastKnown(list, string(a.DatabaseSpecific.LastKnown), order) {
		row.Note = "no fix is named; up to the last version known to be affected"
	}
	row.Versions = beyond(row.Versions, list, order)
	if len(list) == 0 && len(row.Versions) == 0 {
		switch {
		case git:
			b.out.Skipped[GitOnly]++
			return false
		case !row.Malicious:
			b.out.Skipped[NoVersions]++
			return false
		}
		row.Ranges = []advisory.Range{{}}
	}
	row.Status = sekisho.StatusAffected
	if slices.ContainsFunc(row.Ranges, func(r advisory.Range) bool { return r.Fixed != "" }) {
		row.Status = sekisho.StatusFixed
	}
	return true
}

// names fills in aliases and advisories.
func (b *builder) names(row *advisory.Record) {
	switch {
	case isErrata(row.Ecosystem):
		row.Advisories = []string{b.rec.ID}
		row.Fixed = parseTime(b.rec.Published)
	case advisory.Group(row.Ecosystem) == "Ubuntu":
		for _, id := range b.rec.Related {
			if strings.HasPrefix(id, "USN-") || strings.HasPrefix(id, "LSN-") {
				row.Advisories = append(row.Advisories, id)
			}
		}
	}
	row.Aliases = b.aliases()
}

// aliases returns the ids of the same flaw, CVEs first.
func (b *builder) aliases() (out []string) {
	for _, cve := range b.flaws {
		if cve != b.rec.ID {
			out = append(out, cve)
		}
	}
	for _, id := range b.rec.Aliases {
		if id != "" && id != b.rec.ID && CVE(id) == "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// add keeps a row. Rows of SUSE's products of one release become one.
func (b *builder) add(row advisory.Record) {
	if advisory.Group(row.Ecosystem) != "SUSE" {
		for _, row.Module = range b.modules(&row) {
			b.out.rows = append(b.out.rows, row)
		}
		return
	}
	key := row.Ecosystem + "\x00" + row.Package
	for _, r := range row.Ranges {
		key += "\x00" + r.Introduced + "\x00" + r.Fixed + "\x00" + r.Last
	}
	at, ok := b.index[key]
	if !ok {
		b.index[key] = len(b.out.rows)
		b.out.rows = append(b.out.rows, row)
		return
	}
	old := &b.out.rows[at]
	if len(old.Binaries) > 0 && len(row.Binaries) > 0 {
		old.Binaries = union(old.Binaries, row.Binaries)
	} else {
		old.Binaries = nil // of one, all are meant
	}
	if row.Note == "" {
		old.Note = ""
	}
}

// union adds to a what of b is not in it; a is not changed.
func union(a, b []string) []string {
	a = slices.Clip(a)
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// finish settles how flaws are told and makes the details.
func (b *builder) finish() {
	out, rec := b.out, b.rec
	if slices.ContainsFunc(out.rows, func(r advisory.Record) bool { return isErrata(r.Ecosystem) }) {
		for _, id := range rec.Related {
			if cve := CVE(id); cve != "" && !slices.Contains(b.flaws, cve) {
				b.flaws = append(b.flaws, cve)
			}
		}
		if len(b.flaws) == 0 && !security(rec) {
			out.Skipped[NoFlaw] += len(out.rows)
			out.rows = nil
			return
		}
		out.flaws = b.flaws
	}
	out.rows = contexts(out.rows)
	if len(out.rows)*max(1, len(out.flaws)) > maxExpanded {
		out.Skipped[TooMany] += len(out.rows)
		out.rows = nil
		return
	}
	b.details()
}
