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
	Decision  *Decision `json:"decision,omitempty"`
}

// Tool is the program that made a report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Feed is a source of knowledge that a scan used.
type Feed struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind,omitempty"` // advisories, signatures
	Records int       `json:"records"`
	Newest  time.Time `json:"newest,omitzero"`  // the newest record's date
	Checked time.Time `json:"checked,omitzero"` // when the source was last asked
}

// Results of a decision.
const (
	Allow = "allow"
	Warn  = "warn"
	Deny  = "deny"
)

// Decision says whether the target may pass, with every reason.
type Decision struct {
	Result  string   `json:"result"`
	Policy  string   `json:"policy"`
	Reasons []Reason `json:"reasons"`
}

// Reason is one control that spoke against the target.
type Reason struct {
	Control  string `json:"control"`
	Message  string `json:"message"`
	Evidence string `json:"evidence"`
	Fix      string `json:"fix"`
}
