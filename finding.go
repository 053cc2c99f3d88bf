package sekisho

import "time"

// Kinds of findings.
const (
	Vulnerability    = "vulnerability"
	Secret           = "secret"
	Malware          = "malware"
	Misconfiguration = "misconfiguration"
	Licence          = "licence"
)

// Severity of a finding; the zero value is unknown.
type Severity string

// The severities, worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	None     Severity = "none"
	Unknown  Severity = "unknown"
)

// Severities lists them, worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, None, Unknown} }

// Rank orders severities: 5 for critical, 1 for none, 0 for anything unknown.
func (s Severity) Rank() int {
	for i, t := range Severities() {
		if s == t {
			return 5 - i
		}
	}
	return 0
}

// Finding is something a scan found that somebody should judge. The words for
// it (title, why, what to do) belong to its ID and come from the catalogue;
// Title is filled for the language of the report.
type Finding struct {
	Kind        string      `json:"kind"`
	ID          string      `json:"id"`
	Aliases     []string    `json:"aliases"`
	Severity    Severity    `json:"severity"`
	Title       string      `json:"title"`
	Fix         string      `json:"fix,omitempty"`        // what to do, in the report's language
	Evidence    string      `json:"evidence,omitempty"`   // what was seen: a mode, a name, a masked value; never a secret
	Confidence  string      `json:"confidence,omitempty"` // of a secret or malware: high, medium or low
	Class       string      `json:"class,omitempty"`      // of a secret: access_token, password …; of malware: signature, rule, hash
	Vendor      string      `json:"vendor,omitempty"`     // whose secret it is
	Same        string      `json:"same,omitempty"`       // between layers only: tells equal values apart from others
	Package     *PackageRef `json:"package,omitempty"`
	Location    Location    `json:"location"`
	Places      []Location  `json:"places,omitempty"` // further places of the same finding
	FixedIn     []string    `json:"fixed_in"`
	Status      string      `json:"status,omitempty"`
	Fingerprint string      `json:"fingerprint"` // stable over scans; exceptions name it
	*Vulnerable             // of a vulnerability, else nil
	Suppressed  *Suppressed `json:"suppressed,omitempty"`
	Expired     *Suppressed `json:"expired_exception,omitempty"` // an exception that no longer holds
}

// PackageRef names the package that a finding is about.
type PackageRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
}

// Location is where in the target a finding is.
type Location struct {
	Path        string `json:"path,omitempty"`
	Line        int    `json:"line,omitempty"` // from 1
	Layer       Digest `json:"layer,omitempty"`
	Instruction string `json:"instruction,omitempty"`
	Commit      string `json:"commit,omitempty"`  // of a repository, the first that had it; empty when only staged
	Hidden      bool   `json:"hidden,omitempty"`  // a later layer hides the file; the layer can still be read
	Changed     bool   `json:"changed,omitempty"` // in a container's own writable layer
}

// Suppressed says why a finding does not count, or no longer does not.
type Suppressed struct {
	Reason     string    `json:"reason"`
	Owner      string    `json:"owner"`
	By         string    `json:"by,omitempty"` // exception, or vex and whose
	Until      time.Time `json:"until,omitzero"`
	Approver   string    `json:"approver,omitempty"`
	UntilFixed bool      `json:"until_fixed,omitempty"` // it ends when a fix exists
}
