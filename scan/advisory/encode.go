package advisory

import (
	"encoding/binary"
	"slices"
	"time"

	"sekisho"
)

// The binary form of records, details, texts and catalogue entries: varints and
// length-prefixed strings, the id first, then a word whose bits say which
// fields follow. What stands in the key of a table is not repeated.

// Bounds of one encoded thing.
const (
	maxEncoded = 4 << 20 // bytes
	maxList    = 1 << 17 // elements
)

// Bits of a record's fields.
const (
	hasSource = 1 << iota
	hasMalicious
	hasAliases
	hasAdvisories
	hasStatus
	hasRanges
	hasVersions
	hasRating
	hasSeverity
	hasNote
	hasModule
	hasArch
	hasBinaries
	hasRepositories
	hasSymbols
	hasFixed
	allRecord = 1<<iota - 1
)

// Bits of a detail's fields.
const (
	hasTitle = 1 << iota
	hasTitleJA
	hasRatings
	hasCVSS
	hasCWE
	hasCPEs
	hasDetailAliases
	hasPublished
	hasModified
	hasWithdrawn
	allDetail = 1<<iota - 1
)

// Bits of a range's ends.
const (
	hasIntroduced = 1 << iota
	hasFix
	hasLast
	allRange = 1<<iota - 1
)

// statuses and severities are written by number; 0 stands before a word that is
// in neither list. Only ever append.
func statuses() []string {
	return []string{sekisho.StatusFixed, sekisho.StatusAffected, sekisho.StatusNotAffected, sekisho.StatusInvestigated,
		sekisho.StatusDeferred, sekisho.StatusWontFix, sekisho.StatusEndOfLife, sekisho.StatusUnknown}
}

func severities() []string {
	return []string{"none", "low", "medium", "high", "critical", "unknown", "negligible"}
}

type encoder struct{ b []byte }

func (e *encoder) number(n uint64)  { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) signed(n int64)   { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) text(s string)    { e.number(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) time(t time.Time) { e.signed(t.Unix()) }

func (e *encoder) list(l []string) {
	e.number(uint64(len(l)))
	for _, s := range l {
		e.text(s)
	}
}

func (e *encoder) word(s string, known []string) {
	i := slices.Index(known, s)
	e.number(uint64(i + 1))
	if i < 0 {
		e.text(s)
	}
}

// fields collects which fields are there and how each is written.
type fields struct {
	bits uint64
	todo [16]func(*encoder)
	n    int
}

func (f *fields) flag(bit uint64, is bool) {
	if is {
		f.bits |= bit
	}
}

func (f *fields) add(bit uint64, is bool, write func(*encoder)) {
	if is {
		f.bits |= bit
		f.todo[f.n] = write
		f.n++
	}
}

func (f *fields) text(bit uint64, s string) {
	f.add(bit, s != "", func(e *encoder) { e.text(s) })
}

func (f *fields) list(bit uint64, l []string) {
	f.add(bit, len(l) > 0, func(e *encoder) { e.list(l) })
}

func (f *fields) time(bit uint64, t time.Time) {
	f.add(bit, !t.IsZero(), func(e *encoder) { e.time(t) })
}

func (f *fields) write(e *encoder) {
	e.number(f.bits)
	for _, write := range f.todo[:f.n] {
		write(e)
	}
}

// appendRecord encodes a record without its ecosystem and package. Times are
// kept to the second.
func appendRecord(b []byte, r *Record) []byte {
	e := &encoder{b}
	e.text(r.ID)
	var f fields
	f.flag(hasSource, r.Source)
	f.flag(hasMalicious, r.Malicious)
	f.list(hasAliases, r.Aliases)
	f.list(hasAdvisories, r.Advisories)
	f.add(hasStatus, r.Status != "", func(e *encoder) { e.word(r.Status, statuses()) })
	f.add(hasRanges, len(r.Ranges) > 0, func(e *encoder) { e.ranges(r.Ranges) })
	f.list(hasVersions, r.Versions)
	f.text(hasRating, r.Rating)
	f.add(hasSeverity, r.Severity != "", func(e *encoder) { e.word(r.Severity, severities()) })
	f.text(hasNote, r.Note)
	f.text(hasModule, r.Module)
	f.list(hasArch, r.Arch)
	f.list(hasBinaries, r.Binaries)
	f.list(hasRepositories, r.Repositories)
	f.add(hasSymbols, len(r.Symbols) > 0, func(e *encoder) { e.symbols(r.Symbols) })
	f.time(hasFixed, r.Fixed)
	f.write(e)
	return e.b
}

func (e *encoder) ranges(l []Range) {
	e.number(uint64(len(l)))
	for _, r := range l {
		var f fields
		f.text(hasIntroduced, r.Introduced)
		f.text(hasFix, r.Fixed)
		f.text(hasLast, r.Last)
		f.write(e)
	}
}

func (e *encoder) symbols(l []Symbols) {
	e.number(uint64(len(l)))
	for _, s := range l {
		e.text(s.Package)
		e.list(s.GOOS)
		e.list(s.GOARCH)
		e.list(s.Names)
	}
}

// appendDetail encodes a detail without its group.
func appendDetail(b []byte, d *Detail) []byte {
	e := &encoder{b}
	e.text(d.ID)
	var f fields
	f.text(hasTitle, d.Title)
	f.text(hasTitleJA, d.TitleJA)
	f.add(hasRatings, len(d.Ratings) > 0, func(e *encoder) { e.ratings(d.Ratings) })
	f.add(hasCVSS, len(d.CVSS) > 0, func(e *encoder) { e.cvss(d.CVSS) })
	f.list(hasCWE, d.CWE)
	f.list(hasCPEs, d.CPEs)
	f.list(hasDetailAliases, d.Aliases)
	f.time(hasPublished, d.Published)
	f.time(hasModified, d.Modified)
	f.time(hasWithdrawn, d.Withdrawn)
	f.write(e)
	return e.b
}

func (e *encoder) ratings(l []sekisho.Rating) {
	e.number(uint64(len(l)))
	for _, r := range l {
		e.text(r.Source)
		e.word(string(r.Severity), severities())
		e.text(r.Word)
	}
}

func (e *encoder) cvss(l []sekisho.CVSS) {
	e.number(uint64(len(l)))
	for _, c := range l {
		e.text(c.Source)
		e.text(c.Version)
		e.text(c.Vector)
		e.number(tenths(c.Score))
	}
}

// tenths returns a CVSS score, which has one decimal, as a whole number.
func tenths(score float64) uint64 {
	if !(score > 0) {
		return 0
	}
	return uint64(min(score, 10)*10 + 0.5)
}

// appendText encodes a text without its group.
func appendText(b []byte, t *Text) []byte {
	e := &encoder{b}
	e.text(t.ID)
	e.text(t.Text)
	e.text(t.TextJA)
	e.number(uint64(len(t.References)))
	for _, r := range t.References {
		e.text(r.Name)
		e.text(r.URL)
	}
	return e.b
}

// appendKEV encodes a catalogue entry after its CVE.
func appendKEV(b []byte, cve string, k *sekisho.KEV) []byte {
	e := &encoder{b}
	e.text(cve)
	e.text(k.Added)
	e.text(k.Due)
	e.text(k.Action)
	e.number(map[bool]uint64{true: 1}[k.Ransomware])
	return e.b
}
