package assurance

import (
	"maps"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/policy/exception"
	"sekisho/policy/fact"
	terms "sekisho/policy/licence"
	"sekisho/policy/scope"
)

// Index is the facts of one image, made ready once so that judging them does
// not compare strings. It is immutable and may be shared.
type Index struct {
	image      *fact.Image
	name       *scope.Reference // that was scanned
	digests    []sekisho.Digest // of manifest and configuration
	broken     string           // why it could not be read
	known      uint16           // bit of each kind that was assessed
	vulns      []vuln           // worst first
	rank       [7]int           // vulns[:rank[n]] have a severity of rank n or higher
	maxCVSS    uint8            // over all vulnerabilities
	maxEPSS    float32          //
	exploited  []int32          // places in vulns of those in the KEV catalogue
	unrated    []int32          // places in vulns without any CVSS rating
	unforeseen []int32          // places in vulns without EPSS
	secrets    []int32          // numbers of findings
	malware    []int32
	misconfigs []int32
	licences   []licence          // every expression once, in order
	ids        map[string][]int32 // places in vulns, by identifier and alias in capitals
	names      map[string][]int32 // packages by name
	exceptions *exception.File
	covered    map[int32][]int32 // by finding: the exceptions whose fields match it
	concerned  []int32           // exceptions that match any finding, or name a control
	uncovered  []string          // ecosystems whose packages no advisories could be held against
	supported  time.Time         // the last day of the distribution's support; zero when not known
}

// Feeds are those that the facts were made with.
func (x *Index) Feeds() []sekisho.Feed { return x.image.Feeds }

// vuln is what controls look at of one vulnerability, in 24 bytes.
type vuln struct {
	finding   int32
	published int32 // days since 1970; 0 is not known
	fixed     int32 // when the fix came out
	epss      float32
	rank      uint8 // sekisho.Severity.Rank, 0 is not known
	cvss      uint8 // tenths; the highest base score of the newest version
	flags     uint8
}

const (
	fixable    = 1 << iota // a version with the fix is out
	kev                    // in CISA's catalogue
	ransomware             // used by ransomware
	maybe                  // some exception's fields match
	set                    // suppressed already when the facts were made: by an exception or VEX
	wontFix                // the vendor will not fix it, or it is out of support
	unrated
	unforeseen
)

// Prepare makes facts ready. Exceptions are looked up once; whether they hold
// for a request is asked when it is judged. The image must not change after.
func Prepare(image *fact.Image, exceptions *exception.File) *Index {
	x := &Index{image: image, exceptions: exceptions, covered: map[int32][]int32{}, ids: map[string][]int32{}, names: map[string][]int32{}}
	for _, d := range []sekisho.Digest{image.Digest, image.ID} {
		if d != "" {
			x.digests = append(x.digests, d)
		}
	}
	if image.ScannedAs != "" {
		x.name, x.broken = reference(image.ScannedAs)
	}
	for _, kind := range image.Assessed {
		x.known |= bit(kind)
	}
	concerned := map[int32]bool{}
	for n := range image.Findings {
		f := &image.Findings[n]
		if exceptions != nil {
			for e := range exceptions.Exceptions {
				if exceptions.Exceptions[e].Covers(f) {
					x.covered[int32(n)] = append(x.covered[int32(n)], int32(e))
					concerned[int32(e)] = true
				}
			}
		}
		x.add(int32(n), f)
	}
	if exceptions != nil {
		for e := range exceptions.Exceptions {
			if concerned[int32(e)] || exceptions.Exceptions[e].Control != "" {
				x.concerned = append(x.concerned, int32(e))
			}
		}
	}
	x.packages()
	for _, c := range image.Coverage {
		if c.Packages > 0 && (c.State == sekisho.NotCovered || c.State == sekisho.NoDatabase) {
			x.uncovered = append(x.uncovered, c.Ecosystem)
		}
	}
	if os := image.OS; os != nil {
		if t, err := time.Parse(time.DateOnly, os.SupportedUntil); err == nil {
			x.supported = t
		}
	}
	x.sort()
	return x
}

// licence is an expression and the packages that state it; an empty one is
// that of packages that state none.
type licence struct {
	text     string
	terms    terms.Terms
	packages []int32
}

func (x *Index) packages() {
	byText := map[string][]int32{}
	for n := range x.image.Packages {
		p := &x.image.Packages[n]
		x.names[p.Name] = append(x.names[p.Name], int32(n))
		byText[p.Licence] = append(byText[p.Licence], int32(n))
	}
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		x.licences = append(x.licences, licence{text, terms.Parse(text), byText[text]})
	}
}

func (x *Index) add(n int32, f *sekisho.Finding) {
	switch f.Kind {
	case sekisho.Vulnerability:
		x.vulns = append(x.vulns, x.vuln(n, f))
		if f.Vulnerable != nil && f.Malicious { // the package itself is the attack
			x.malware = append(x.malware, n)
		}
	case sekisho.Secret:
		x.secrets = append(x.secrets, n)
	case sekisho.Malware:
		x.malware = append(x.malware, n)
	case sekisho.Misconfiguration:
		x.misconfigs = append(x.misconfigs, n)
	}
}

func (x *Index) vuln(n int32, f *sekisho.Finding) vuln {
	v := vuln{finding: n, rank: uint8(f.Severity.Rank()), flags: unrated | unforeseen}
	if len(f.FixedIn) > 0 {
		v.flags |= fixable
	}
	if f.Suppressed != nil {
		v.flags |= set
	}
	if len(x.covered[n]) > 0 {
		v.flags |= maybe
	}
	if f.Status == sekisho.StatusWontFix || f.Status == sekisho.StatusEndOfLife {
		v.flags |= wontFix
	}
	if f.Vulnerable == nil {
		return v
	}
	v.published, v.fixed = day(f.Published), day(f.Fixed)
	if f.KEV != nil {
		v.flags |= kev
		if f.KEV.Ransomware {
			v.flags |= ransomware
		}
	}
	if f.EPSS != nil {
		v.epss = float32(f.EPSS.Score)
		v.flags &^= unforeseen
	}
	if score, ok := score(f.CVSS); ok {
		v.cvss = uint8(score*10 + 0.5)
		v.flags &^= unrated
	}
	return v
}

// score is the highest base score of the newest version of CVSS that anybody
// rated with: scores of two versions do not compare.
func score(list []sekisho.CVSS) (best float64, ok bool) {
	newest := ""
	for _, c := range list {
		if c.Score < 0 || c.Score > 10 || c.Score == 0 && !strings.Contains(c.Vector, ":N") {
			continue
		}
		major, _, _ := strings.Cut(c.Version, ".")
		if major > newest || major == newest && c.Score > best {
			newest, best, ok = major, c.Score, true
		}
	}
	return best, ok
}

func (x *Index) sort() {
	slices.SortStableFunc(x.vulns, func(a, b vuln) int { return int(b.rank) - int(a.rank) })
	for r := range x.rank {
		x.rank[r] = len(x.vulns)
		for n, v := range x.vulns {
			if int(v.rank) < r {
				x.rank[r] = n
				break
			}
		}
	}
	for n, v := range x.vulns {
		f := &x.image.Findings[v.finding]
		for _, id := range append([]string{f.ID}, f.Aliases...) {
			id = strings.ToUpper(id)
			x.ids[id] = append(x.ids[id], int32(n))
		}
		x.maxCVSS, x.maxEPSS = max(x.maxCVSS, v.cvss), max(x.maxEPSS, v.epss)
		if v.flags&kev != 0 {
			x.exploited = append(x.exploited, int32(n))
		}
		if v.flags&unrated != 0 {
			x.unrated = append(x.unrated, int32(n))
		}
		if v.flags&unforeseen != 0 {
			x.unforeseen = append(x.unforeseen, int32(n))
		}
	}
}

// bit is the place of a kind of knowledge in Index.known.
func bit(kind string) uint16 {
	switch kind {
	case fact.Packages:
		return 1
	case fact.Vulnerabilities:
		return 1 << 1
	case fact.KEV:
		return 1 << 2
	case fact.EPSS:
		return 1 << 3
	case fact.Secrets:
		return 1 << 4
	case fact.Malware:
		return 1 << 5
	case fact.Misconfiguration:
		return 1 << 6
	}
	return 0
}

// knows reports whether a kind of knowledge is there.
func (x *Index) knows(kind string) bool {
	return x.known&bit(kind) != 0
}

// day counts days since 1970; 0 stands for no time.
func day(t time.Time) int32 {
	if t.IsZero() || t.Unix() <= 0 {
		return 0
	}
	return int32(t.Unix() / (24 * 60 * 60))
}
