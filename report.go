package sekisho

import "time"

// ReportSchema names the form of a scan's document.
const ReportSchema = "sekisho.scan/v1"

// Report is a scan's whole answer. Lists are never nil once Normalise has run.
type Report struct {
	Schema    string    `json:"schema"`
	Generated time.Time `json:"generated"`
	Tool      Tool      `json:"tool"`
	Target    Target    `json:"target"`
	Feeds     []Feed    `json:"feeds"`
	Packages  []Package `json:"packages"`
	Findings  []Finding `json:"findings"`
	Problems  []Problem `json:"problems"`
	Coverage  []Cover   `json:"coverage"`          // of packages by advisories, by ecosystem
	Filters   []string  `json:"filters,omitempty"` // what was left out on demand: the report does not tell all
	Decision  *Decision `json:"decision,omitempty"`
}

// Tool is the program that made a report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// FeedAdvisories is the kind of feeds about vulnerabilities.
const FeedAdvisories = "advisories"

// Feed is a source of knowledge that a scan used.
type Feed struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind,omitempty"` // FeedAdvisories, or empty for signatures
	Records int       `json:"records"`
	Newest  time.Time `json:"newest,omitzero"`  // the newest record's date
	Checked time.Time `json:"checked,omitzero"` // when the source was last asked
}

// Whether the packages of an ecosystem could be held against advisories.
const (
	Covered    = "covered"
	NotCovered = "not_covered" // no feed knows the ecosystem or release: nothing can be said
	NoDatabase = "no_database" // there is no advisory database
	EndOfLife  = "end_of_life" // covered, but the release gets no fixes any more: what is missing from feeds is not safe
)

// Cover says whether and by whom the packages of one ecosystem were judged.
type Cover struct {
	Ecosystem  string   `json:"ecosystem"` // "Debian:12", "npm"
	State      string   `json:"state"`
	Packages   int      `json:"packages"`
	Feeds      []string `json:"feeds"`
	Unjudged   int      `json:"unjudged,omitempty"`   // packages whose version cannot be compared
	Substitute string   `json:"substitute,omitempty"` // the ecosystem whose advisories were used in its place
}
