// Package advisory is what is known about flaws in packages: records as feeds
// give them, kept in a directory of immutable files that are mapped into
// memory. Feeds go in, records by package come out. It refuses a file whose
// sums do not hold, and never mixes what two feeds say.
package advisory

import (
	"time"

	"sekisho"
)

// Record is what one record of a feed says about one package of one ecosystem
// or distribution release. A feed's record about three packages becomes three.
type Record struct {
	ID        string // of the record in its feed: GHSA-…, DSA-…, CVE-…; updates replace by it
	Ecosystem string // as Ecosystems in this package spells it: "Debian:12", "npm"
	Package   string // normalised by Normalise
	Source    bool   // Package is the name of a source package

	Aliases    []string // ids of the same flaw, CVE first; without ID
	Advisories []string // that bring the fix: DSA-5000-1, RHSA-2024:1
	Status     string   // sekisho.Status…; Fixed is meant for versions in Ranges that have a fix
	Ranges     []Range  // any that holds the version makes the package affected
	Versions   []string // exact versions that are affected, beside Ranges

	Rating       string   // the vendor's word: unimportant, Important …; empty when it has none
	Severity     string   // the same as a sekisho.Severity; empty when the vendor says nothing
	Note         string   // the vendor's reason: minor issue; needs Ubuntu Pro
	Module       string   // modularity stream, name:stream; only packages of that stream are meant
	Arch         []string // architectures that are meant, empty for all
	Binaries     []string // binary packages of the source that hold the code, empty for all
	Repositories []string // CPEs or names of the repositories that the statement is about, empty for all
	Symbols      []Symbols
	Malicious    bool      // the package itself is an attack
	Fixed        time.Time // when the fix was published, where the feed says
}

// Range is an interval of versions in the ecosystem's order. All three empty
// means every version.
type Range struct {
	Introduced string // inclusive; empty from the beginning
	Fixed      string // exclusive; empty when there is no fix
	Last       string // inclusive, the last affected version where no fix is named
}

// Symbols are the functions of a package that hold the flaw (Go vulnerability
// database, "ecosystem_specific.imports").
type Symbols struct {
	Package string // import path
	GOOS    []string
	GOARCH  []string
	Names   []string // Func, Type.Method; empty means the whole package
}

// Detail is what a feed's record says about the flaw itself. It is kept apart
// from records, by feed, group and id.
type Detail struct {
	ID        string
	Group     string // the ecosystem without its release: "Debian", "npm"; empty for feeds about CVEs
	Title     string // one line; empty when the feed has none
	TitleJA   string // the same in Japanese, of JVN iPedia
	Ratings   []sekisho.Rating
	CVSS      []sekisho.CVSS // Score may be zero: it follows from the vector
	CWE       []string       // CWE-79
	CPEs      []string       // affected products, of NVD; criteria only, for reference
	Aliases   []string
	Published time.Time
	Modified  time.Time
	Withdrawn time.Time // a withdrawn record matches nothing
}

// Text is the long text of a record, read only when it is shown.
type Text struct {
	ID         string
	Group      string
	Text       string
	TextJA     string
	References []sekisho.Reference
}

// Sink takes what a feed tells. A feed calls Replace or Forget first.
type Sink interface {
	// Replace says that all the feed knows about the ecosystem, its releases
	// ("Debian" covers "Debian:12") and its group's details follows; what was
	// known of them from this feed and does not come again is gone when the
	// update succeeds. Without it, what comes is added to what is known.
	Replace(ecosystem string)
	// Forget drops all records, details and texts with an id of this feed; what
	// comes afterwards under the id is new.
	Forget(id string)
	// Record takes what an id says about a package. All that one document says
	// about the package under the id comes one after another, with no other id
	// between: when the id comes again later, that takes its place.
	Record(Record) error
	Detail(Detail, Text) error
	Signal(Signal) error
}

// Signal is what is known of a CVE's exploitation. A feed sets one of the two.
type Signal struct {
	CVE  string
	EPSS *sekisho.EPSS
	KEV  *sekisho.KEV
}
