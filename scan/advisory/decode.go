package advisory

import (
	"encoding/binary"
	"time"

	"sekisho"
)

// decoder reads what encoder wrote. After the first error it yields zeros. Its
// strings share one copy of the input.
type decoder struct {
	s   string
	bad bool
}

func newDecoder(b []byte) *decoder {
	if len(b) > maxEncoded {
		return &decoder{bad: true}
	}
	return &decoder{s: string(b)}
}

// end reports what went wrong; nothing may follow.
func (d *decoder) end(what string) error {
	if d.bad || d.s != "" {
		return sekisho.Errorf(sekisho.Corrupt, "decode %s: damaged", what)
	}
	return nil
}

func (d *decoder) number() uint64 {
	var n uint64
	for i := range min(len(d.s), binary.MaxVarintLen64) {
		c := d.s[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.bad = d.bad || i == binary.MaxVarintLen64-1 && c > 1
			d.s = d.s[i+1:]
			return n
		}
	}
	d.fail()
	return 0
}

func (d *decoder) fail() { d.bad, d.s = true, "" }

func (d *decoder) signed() int64 {
	n := d.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.s)) {
		d.fail()
		return ""
	}
	s := d.s[:n]
	d.s = d.s[n:]
	return s
}

// count reads how many elements follow, each of at least so many bytes.
func (d *decoder) count(least int) int {
	n := d.number()
	if n > maxList || n*uint64(least) > uint64(len(d.s)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) list() []string {
	n := d.count(1)
	if n == 0 {
		return nil
	}
	l := make([]string, n)
	for i := range l {
		l[i] = d.text()
	}
	return l
}

func (d *decoder) word(known []string) string {
	n := d.number()
	if n == 0 {
		return d.text()
	}
	if n > uint64(len(known)) {
		d.fail()
		return ""
	}
	return known[n-1]
}

// Times are within the years that JSON can write.
const minTime, maxTime = -62135596800, 253402300799

func (d *decoder) time() time.Time {
	n := d.signed()
	if n < minTime || n > maxTime {
		d.fail()
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

func (d *decoder) bits(all uint64) uint64 {
	n := d.number()
	if n > all {
		d.fail()
		return 0
	}
	return n
}

// recordID returns the id that an encoded thing begins with.
func recordID(b []byte) ([]byte, bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, false
	}
	return b[size : size+int(n)], true
}

func decodeRecord(b []byte, r *Record) error {
	d := newDecoder(b)
	r.ID = d.text()
	has := d.bits(allRecord)
	r.Source, r.Malicious = has&hasSource != 0, has&hasMalicious != 0
	lists := func(bit uint64, l *[]string) {
		if has&bit != 0 {
			*l = d.list()
		}
	}
	lists(hasAliases, &r.Aliases)
	lists(hasAdvisories, &r.Advisories)
	if has&hasStatus != 0 {
		r.Status = d.word(statuses[:])
	}
	if has&hasRanges != 0 {
		r.Ranges = d.ranges()
	}
	lists(hasVersions, &r.Versions)
	if has&hasRating != 0 {
		r.Rating = d.text()
	}
	if has&hasSeverity != 0 {
		r.Severity = d.word(severities[:])
	}
	if has&hasNote != 0 {
		r.Note = d.text()
	}
	if has&hasModule != 0 {
		r.Module = d.text()
	}
	lists(hasArch, &r.Arch)
	lists(hasBinaries, &r.Binaries)
	lists(hasRepositories, &r.Repositories)
	if has&hasSymbols != 0 {
		r.Symbols = d.symbols()
	}
	if has&hasFixed != 0 {
		r.Fixed = d.time()
	}
	return d.end("record")
}

func (d *decoder) ranges() []Range {
	l := make([]Range, d.count(1))
	for i := range l {
		has := d.bits(allRange)
		if has&hasIntroduced != 0 {
			l[i].Introduced = d.text()
		}
		if has&hasFix != 0 {
			l[i].Fixed = d.text()
		}
		if has&hasLast != 0 {
			l[i].Last = d.text()
		}
	}
	return l
}

func (d *decoder) symbols() []Symbols {
	l := make([]Symbols, d.count(4))
	for i := range l {
		l[i] = Symbols{Package: d.text(), GOOS: d.list(), GOARCH: d.list(), Names: d.list()}
	}
	return l
}

func decodeDetail(b []byte, t *Detail) error {
	d := newDecoder(b)
	t.ID = d.text()
	has := d.bits(allDetail)
	if has&hasTitle != 0 {
		t.Title = d.text()
	}
	if has&hasTitleJA != 0 {
		t.TitleJA = d.text()
	}
	if has&hasRatings != 0 {
		t.Ratings = d.ratings()
	}
	if has&hasCVSS != 0 {
		t.CVSS = d.cvss()
	}
	if has&hasCWE != 0 {
		t.CWE = d.list()
	}
	if has&hasCPEs != 0 {
		t.CPEs = d.list()
	}
	if has&hasDetailAliases != 0 {
		t.Aliases = d.list()
	}
	if has&hasPublished != 0 {
		t.Published = d.time()
	}
	if has&hasModified != 0 {
		t.Modified = d.time()
	}
	if has&hasWithdrawn != 0 {
		t.Withdrawn = d.time()
	}
	return d.end("detail")
}

func (d *decoder) ratings() []sekisho.Rating {
	l := make([]sekisho.Rating, d.count(3))
	for i := range l {
		l[i] = sekisho.Rating{Source: d.text(), Severity: sekisho.Severity(d.word(severities[:])), Word: d.text()}
	}
	return l
}

func (d *decoder) cvss() []sekisho.CVSS {
	l := make([]sekisho.CVSS, d.count(4))
	for i := range l {
		l[i] = sekisho.CVSS{Source: d.text(), Version: d.text(), Vector: d.text()}
		n := d.number()
		if n > 100 {
			d.fail()
		}
		l[i].Score = float64(n) / 10
	}
	return l
}

func decodeText(b []byte, t *Text) error {
	d := newDecoder(b)
	t.ID, t.Text, t.TextJA = d.text(), d.text(), d.text()
	if n := d.count(2); n > 0 {
		t.References = make([]sekisho.Reference, n)
	}
	for i := range t.References {
		t.References[i] = sekisho.Reference{Name: d.text(), URL: d.text()}
	}
	return d.end("text")
}

func decodeKEV(b []byte, k *sekisho.KEV) error {
	d := newDecoder(b)
	d.text()
	k.Added, k.Due, k.Action = d.text(), d.text(), d.text()
	k.Ransomware = d.bits(1) == 1
	return d.end("catalogue entry")
}
