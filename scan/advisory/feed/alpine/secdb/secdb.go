// Package secdb reads the security database of Alpine Linux and those who
// publish in its form: which version of a source package (the origin) fixed
// which flaws. Documents go in, records come out. It refuses documents beyond
// its bounds; what has not the form in them is counted and left out.
package secdb

import (
	"encoding/json"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/version"
)

// Bounds of a document: bytes, fixes.
const (
	maxDocument = 128 << 20
	maxFixes    = 5_000_000
)

// Malformed is the reason for which an id or a package is left out.
const Malformed = "malformed"

// Database collects documents of one release. The same flaw under two versions
// of a package was fixed in the lower one.
type Database struct {
	Entries int            // ids of flaws that were read
	Skipped map[string]int // by reason

	fixes map[key]fix
}

type key struct{ origin, id string }

type fix struct {
	version string // "0": never affected
	aliases []string
}

// Read adds a document.
func (d *Database) Read(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return sekisho.Errorf(sekisho.Unavailable, "read security database: %w", err)
	}
	if len(data) > maxDocument {
		return sekisho.Errorf(sekisho.Invalid, "read security database: more than %d bytes", maxDocument)
	}
	var document struct {
		Packages []struct {
			Package struct {
				Name     string          `json:"name"`
				SecFixes json.RawMessage `json:"secfixes"`
			} `json:"pkg"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return sekisho.Errorf(sekisho.Invalid, "read security database: %w", err)
	}
	if document.Packages == nil {
		return sekisho.Errorf(sekisho.Invalid, "read security database: no packages")
	}
	if d.fixes == nil {
		d.fixes, d.Skipped = map[key]fix{}, map[string]int{}
	}
	for _, p := range document.Packages {
		var fixes map[string]list
		if err := json.Unmarshal(p.Package.SecFixes, &fixes); err != nil || p.Package.Name == "" {
			d.Skipped[Malformed]++ // some have "" where there is nothing
			continue
		}
		for _, v := range slices.Sorted(maps.Keys(fixes)) {
			for _, entry := range fixes[v] {
				d.add(p.Package.Name, strings.TrimSpace(v), entry)
			}
		}
	}
	if len(d.fixes) > maxFixes {
		return sekisho.Errorf(sekisho.Invalid, "read security database: more than %d fixes", maxFixes)
	}
	return nil
}

// list is the ids of one version. A version may have "" where it has none, or
// one id that is not in a list.
type list []string

// UnmarshalJSON implements json.Unmarshaler; it never fails.
func (l *list) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		if one != "" {
			*l = list{one}
		}
		return nil
	}
	var many []string
	if json.Unmarshal(data, &many) == nil {
		*l = many
	}
	return nil
}

// add reads one entry of a version: an id, or several of the same flaw with
// space between: "CVE-2017-8904 XSA-214".
func (d *Database) add(origin, v, entry string) {
	d.Entries++
	var cves, others []string
	entry, _, _ = strings.Cut(entry, "(") // remarks: "CVE-2018-14461 (LDP)"
	for _, word := range strings.Fields(spaced.ReplaceAllString(entry, "CVE-$1")) {
		switch id := identify(word); {
		case id == "":
		case strings.HasPrefix(id, "CVE-"):
			cves = append(cves, id)
		default:
			others = append(others, id)
		}
	}
	if v == "" || len(v) > 200 || len(cves)+len(others) == 0 {
		d.Skipped[Malformed]++
		return
	}
	switch len(cves) {
	case 0:
		d.keep(key{origin, others[0]}, fix{v, others[1:]})
	case 1:
		d.keep(key{origin, cves[0]}, fix{v, others})
	default: // two flaws: an id beside them is of either
		for _, id := range cves {
			d.keep(key{origin, id}, fix{version: v})
		}
	}
}

// keep takes the lower of two versions. Where one says that the package was
// never affected and the other names a fix, the fix is believed.
func (d *Database) keep(k key, f fix) {
	old, ok := d.fixes[k]
	if !ok {
		d.fixes[k] = f
		return
	}
	for _, a := range f.aliases {
		if !slices.Contains(old.aliases, a) {
			old.aliases = append(slices.Clip(old.aliases), a)
		}
	}
	if old.version == "0" {
		old.version = f.version
	} else if f.version != "0" {
		if n, err := version.Compare(version.APK, f.version, old.version); err == nil && n < 0 {
			old.version = f.version
		}
	}
	d.fixes[k] = old
}

// Ids are not always written as they should be: CVE_2019-2426, "CVE 2018-16859",
// CVE-2017-17434-2 and CVE-2019-19451.patch occur. Others are XSA-207,
// TALOS-2017-0497, wnpa-sec-2017-18, GHSA-….
var (
	cve    = regexp.MustCompile(`^CVE[-_]([0-9]{4}-[0-9]{4,12})(?:-[0-9]|\.patch)?$`)
	spaced = regexp.MustCompile(`\bCVE ([0-9]{4}-)`)
	other  = regexp.MustCompile(`^(?:GHSA(?:-[a-z0-9]{4}){3}|[A-Za-z]{2,10}[-_][A-Za-z0-9._:-]{0,40}[0-9])$`)
)

// identify returns the id that a word is, empty when it is none ("CVE-????-?????").
func identify(word string) string {
	if m := cve.FindStringSubmatch(word); m != nil {
		return "CVE-" + m[1]
	}
	if strings.HasPrefix(word, "CVE") || !other.MatchString(word) {
		return ""
	}
	return word
}

// Tell gives the sink a record for each flaw of each package, in order. An id
// beside several CVEs (XSA-224 is of three) is the name of none of them.
func (d *Database) Tell(ecosystem string, sink advisory.Sink) error {
	users := map[key]int{}
	for k, f := range d.fixes {
		for _, a := range f.aliases {
			users[key{k.origin, a}]++
		}
	}
	keys := slices.SortedFunc(maps.Keys(d.fixes), func(a, b key) int {
		if n := strings.Compare(a.origin, b.origin); n != 0 {
			return n
		}
		return strings.Compare(a.id, b.id)
	})
	for _, k := range keys {
		f := d.fixes[k]
		r := advisory.Record{ID: k.id, Ecosystem: ecosystem, Package: k.origin, Source: true, Status: sekisho.StatusFixed, Ranges: []advisory.Range{{Fixed: f.version}}}
		for _, a := range f.aliases {
			if users[key{k.origin, a}] == 1 {
				r.Aliases = append(r.Aliases, a)
			}
		}
		if f.version == "0" {
			r.Status, r.Ranges = sekisho.StatusNotAffected, []advisory.Range{{}}
		}
		if err := sink.Record(r); err != nil {
			return err
		}
	}
	return nil
}
