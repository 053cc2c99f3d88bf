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
var (
	statuses = [...]string{sekisho.StatusFixed, sekisho.StatusAffected, sekisho.StatusNotAffected, sekisho.StatusInvestigated,
		sekisho.StatusDeferred, sekisho.StatusWontFix, sekisho.StatusEndOfLife, sekisho.StatusUnknown}
	severities = [...]string{"none", "low", "medium", "high", "critical", "unknown"}
)

type encoder struct{ b []byte }

func (e *encoder) number(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) signed(n int64)  { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) text(s string)   { e.number(uint64(len(s))); e.b = append(e.b, s...) }

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

// bit returns a field's bit when the field is there.
func bit(b uint64, is bool) uint64 {
	if is {
		return b
	}
	return 0
}

// optional fields are written when they are there.

func (e *encoder) optText(s string) {
	if s != "" {
		e.text(s)
	}
}

func (e *encoder) optList(l []string) {
	if len(l) > 0 {
		e.list(l)
	}
}

func (e *encoder) optWord(s string, known []string) {
	if s != "" {
		e.word(s, known)
	}
}

func (e *encoder) optTime(t time.Time) {
	if !t.IsZero() {
		e.signed(t.Unix())
	}
}

// appendRecord encodes a record without its ecosystem and package. Times are
// kept to the second.
func appendRecord(b []byte, r *Record) []byte {
	e := &encoder{b}
	e.text(r.ID)
	e.number(bit(hasSource, r.Source) | bit(hasMalicious, r.Malicious) | bit(hasAliases, len(r.Aliases) > 0) |
		bit(hasAdvisories, len(r.Advisories) > 0) | bit(hasStatus, r.Status != "") | bit(hasRanges, len(r.Ranges) > 0) |
		bit(hasVersions, len(r.Versions) > 0) | bit(hasRating, r.Rating != "") | bit(hasSeverity, r.Severity != "") |
		bit(hasNote, r.Note != "") | bit(hasModule, r.Module != "") | bit(hasArch, len(r.Arch) > 0) |
		bit(hasBinaries, len(r.Binaries) > 0) | bit(hasRepositories, len(r.Repositories) > 0) |
		bit(hasSymbols, len(r.Symbols) > 0) | bit(hasFixed, !r.Fixed.IsZero()))
	e.optList(r.Aliases)
	e.optList(r.Advisories)
	e.optWord(r.Status, statuses[:])
	e.ranges(r.Ranges)
	e.optList(r.Versions)
	e.optText(r.Rating)
	e.optWord(r.Severity, severities[:])
	e.optText(r.Note)
	e.optText(r.Module)
	e.optList(r.Arch)
	e.optList(r.Binaries)
	e.optList(r.Repositories)
	e.symbols(r.Symbols)
	e.optTime(r.Fixed)
	return e.b
}

func (e *encoder) ranges(l []Range) {
	if len(l) == 0 {
		return
	}
	e.number(uint64(len(l)))
	for _, r := range l {
		e.number(bit(hasIntroduced, r.Introduced != "") | bit(hasFix, r.Fixed != "") | bit(hasLast, r.Last != ""))
		e.optText(r.Introduced)
		e.optText(r.Fixed)
		e.optText(r.Last)
	}
}

func (e *encoder) symbols(l []Symbols) {
	if len(l) == 0 {
		return
	}
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
	e.number(bit(hasTitle, d.Title != "") | bit(hasTitleJA, d.TitleJA != "") | bit(hasRatings, len(d.Ratings) > 0) |
		bit(hasCVSS, len(d.CVSS) > 0) | bit(hasCWE, len(d.CWE) > 0) | bit(hasCPEs, len(d.CPEs) > 0) |
		bit(hasDetailAliases, len(d.Aliases) > 0) | bit(hasPublished, !d.Published.IsZero()) |
		bit(hasModified, !d.Modified.IsZero()) | bit(hasWithdrawn, !d.Withdrawn.IsZero()))
	e.optText(d.Title)
	e.optText(d.TitleJA)
	e.ratings(d.Ratings)
	e.cvss(d.CVSS)
	e.optList(d.CWE)
	e.optList(d.CPEs)
	e.optList(d.Aliases)
	e.optTime(d.Published)
	e.optTime(d.Modified)
	e.optTime(d.Withdrawn)
	return e.b
}

func (e *encoder) ratings(l []sekisho.Rating) {
	if len(l) == 0 {
		return
	}
	e.number(uint64(len(l)))
	for _, r := range l {
		e.text(r.Source)
		e.word(string(r.Severity), severities[:])
		e.text(r.Word)
	}
}

func (e *encoder) cvss(l []sekisho.CVSS) {
	if len(l) == 0 {
		return
	}
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
