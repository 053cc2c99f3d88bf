package jvn

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	maxTitle = 200
	maxText  = 16 << 10
	maxCVEs  = 200
)

// entry is what one entry says about each of its CVEs.
type entry struct {
	cves   []string
	detail advisory.Detail
	text   advisory.Text
}

// vulinfo is an entry in detail (VULDEF 3.2).
type vulinfo struct {
	ID       string   `xml:"VulinfoID"`
	Title    string   `xml:"VulinfoData>Title"`
	Overview string   `xml:"VulinfoData>VulinfoDescription>Overview"`
	Impacts  []string `xml:"VulinfoData>Impact>ImpactItem>Description"`
	Solution []string `xml:"VulinfoData>Solution>SolutionItem>Description"`
	Scores   []struct {
		Version  string `xml:"version,attr"`
		Severity string `xml:"Severity"`
		Base     string `xml:"Base"`
		Vector   string `xml:"Vector"`
	} `xml:"VulinfoData>Impact>Cvss"`
	Related []struct {
		Type string `xml:"type,attr"`
		ID   string `xml:"VulinfoID"`
	} `xml:"VulinfoData>Related>RelatedItem"`
	Public  string `xml:"VulinfoData>DatePublic"`
	Updated string `xml:"VulinfoData>DateLastUpdated"`
}

func (v *vulinfo) entry() entry {
	var e entry
	for _, r := range v.Related {
		e.relate(r.ID)
	}
	for _, s := range v.Scores {
		e.score(s.Version, s.Vector, s.Base, s.Severity)
	}
	e.own()
	e.fill(v.ID, v.Title, v.Public, v.Updated)
	e.text.TextJA = source.Text(paragraphs(append(append([]string{v.Overview}, v.Impacts...), v.Solution...)), maxText)
	return e
}

// overview is an entry of the overview (JVNRSS 3.2 with mod_sec 3.0).
type overview struct {
	ID         string `xml:"identifier"`
	Title      string `xml:"title"`
	Text       string `xml:"description"`
	References []struct {
		ID string `xml:"id,attr"`
	} `xml:"references"`
	Scores []struct {
		Version  string `xml:"version,attr"`
		Severity string `xml:"severity,attr"`
		Base     string `xml:"score,attr"`
		Vector   string `xml:"vector,attr"`
	} `xml:"cvss"`
	Issued   string `xml:"issued"`
	Modified string `xml:"modified"`
}

func (o *overview) entry() entry {
	var e entry
	for _, r := range o.References {
		e.relate(r.ID)
	}
	for _, s := range o.Scores {
		e.score(s.Version, s.Vector, s.Base, s.Severity)
	}
	e.own()
	e.fill(o.ID, o.Title, o.Issued, o.Modified)
	e.text.TextJA = source.Text(paragraphs([]string{o.Text}), maxText)
	return e
}

// relate keeps the ids of flaws and weaknesses, not those of documents.
func (e *entry) relate(id string) {
	id = strings.TrimSpace(id)
	switch {
	case source.IsCVE(id):
		if !slices.Contains(e.cves, id) && len(e.cves) < maxCVEs {
			e.cves = append(e.cves, id)
		}
	case strings.HasPrefix(id, "CWE-") && len(id) < 12:
		if _, err := strconv.Atoi(id[4:]); err == nil && !slices.Contains(e.detail.CWE, id) {
			e.detail.CWE = append(e.detail.CWE, id)
		}
	}
}

// score keeps a rating; the newest version's word comes first.
func (e *entry) score(version, vector, base, word string) {
	if vector == "" {
		return
	}
	if v, _, ok := strings.Cut(strings.TrimPrefix(vector, "CVSS:"), "/"); ok && strings.HasPrefix(vector, "CVSS:") {
		version = v
	}
	score, err := strconv.ParseFloat(strings.TrimSpace(base), 64)
	if err != nil || !(score >= 0 && score <= 10) {
		score = 0
	}
	at := 0
	for at < len(e.detail.CVSS) && e.detail.CVSS[at].Version >= version {
		at++
	}
	e.detail.CVSS = slices.Insert(e.detail.CVSS, at, sekisho.CVSS{Source: "jvn", Version: version, Vector: vector, Score: score})
	if at == 0 {
		e.detail.Ratings = source.Rating("jvn", word)
	}
}

// own drops what is said of all of several flaws together: whose it is, nobody
// can tell.
func (e *entry) own() {
	if len(e.cves) > 1 {
		e.detail.CVSS, e.detail.Ratings, e.detail.CWE = nil, nil, nil
	}
}

func (e *entry) fill(id, title, published, modified string) {
	id = strings.TrimSpace(id)
	e.detail.TitleJA = source.Line(html.UnescapeString(title), maxTitle)
	e.detail.Published, e.detail.Modified = source.Date(published), source.Date(modified)
	if year := strings.Split(id, "-"); len(year) == 3 && year[0] == "JVNDB" {
		e.detail.Aliases = []string{id}
		e.text.References = []sekisho.Reference{{Name: id, URL: "https://jvndb.jvn.jp/ja/contents/" + year[1] + "/" + id + ".html"}}
	}
}

var tag = regexp.MustCompile(`<(/?)(\w+)[^<>]*>`)

// plain turns the few marks of HTML that texts hold into lines.
func plain(s string) string {
	s = tag.ReplaceAllStringFunc(strings.ReplaceAll(s, "\r", ""), func(mark string) string {
		switch m := tag.FindStringSubmatch(mark); strings.ToLower(m[1] + m[2]) {
		case "li":
			return "\n・"
		case "br", "p", "/p", "/ul", "/ol":
			return "\n"
		}
		return ""
	})
	return strings.TrimSpace(html.UnescapeString(s))
}

func paragraphs(parts []string) string {
	var out []string
	for _, p := range parts {
		p = plain(p)
		if p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return strings.Join(out, "\n\n")
}
