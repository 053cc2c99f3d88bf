// Package fact holds everything that a decision may look at: what is known of
// an image by its digest, and what is asked about now. A fact that is missing
// can be told from one that is empty: lists are nil, values are nil pointers.
// Missing facts are never taken for good ones.
package fact

import (
	"slices"
	"time"

	"sekisho"
	"sekisho/policy/scope"
)

// Kinds of knowledge that a scan may or may not have.
const (
	Packages         = "packages"
	Vulnerabilities  = "vulnerabilities"
	KEV              = "kev"
	EPSS             = "epss"
	Secrets          = "secrets"
	Malware          = "malware"
	Misconfiguration = "misconfiguration"
)

// Assessable lists them.
func Assessable() []string {
	return []string{Packages, Vulnerabilities, KEV, EPSS, Secrets, Malware, Misconfiguration}
}

// Image is what is known of an image; all of it belongs to its digest and may
// be kept.
type Image struct {
	ScannedAs    string               `json:"scanned_as,omitempty"` // the reference that was scanned
	Digest       sekisho.Digest       `json:"digest,omitempty"`     // of the manifest
	Indexes      []sekisho.Digest     `json:"indexes,omitempty"`    // that list it: what is signed of one is signed of it
	ID           sekisho.Digest       `json:"id,omitempty"`         // of the configuration
	Assessed     []string             `json:"assessed"`             // of the kinds above; what is not in it is not known
	Packages     []sekisho.Package    `json:"packages"`
	Findings     []sekisho.Finding    `json:"findings"`
	Problems     []sekisho.Problem    `json:"problems"`
	OS           *sekisho.OS          `json:"os,omitempty"`
	User         *string              `json:"user,omitempty"`    // of the configuration; empty is root
	Labels       map[string]string    `json:"labels"`            // of the configuration
	Created      *time.Time           `json:"created,omitempty"` // as the image says
	Base         *string              `json:"base,omitempty"`    // the reference of the image that it was built on
	Scanned      *time.Time           `json:"scanned,omitempty"`
	Scanner      *Scanner             `json:"scanner,omitempty"` // who scanned, when it was another's scanner
	Feeds        []sekisho.Feed       `json:"feeds"`
	Coverage     []sekisho.Cover      `json:"coverage"`       // of packages by advisories; nil is not known
	SBOM         *bool                `json:"sbom,omitempty"` // a bill of materials is kept with it
	Signatures   []Signature          `json:"signatures"`     // that were verified
	Provenance   []Provenance         `json:"provenance"`     // that was verified
	Approvals    []Approval           `json:"approvals"`      // that were verified
	TagImmutable *bool                `json:"tag_immutable,omitempty"`
	Evidence     map[string]*Evidence `json:"evidence"` // what other tools found, by the name it was given
}

// Scanner is another's scanner, whose word was attested.
type Scanner struct {
	Name    string    `json:"name"`
	Version string    `json:"version,omitempty"`
	Time    time.Time `json:"time"`             // when it ended
	Signer  string    `json:"signer,omitempty"` // who attested it: identity or fingerprint
}

// Signature is one that was verified.
type Signature struct {
	Key      string    `json:"key,omitempty"`      // sha256: fingerprint of the public key in DER (SubjectPublicKeyInfo)
	Identity string    `json:"identity,omitempty"` // of the certificate: an e-mail address or URI
	Issuer   string    `json:"issuer,omitempty"`   // who vouches for the identity
	Time     time.Time `json:"time,omitzero"`      // when it was made, as a log or timestamp proves
	// Revocation tells whether the certificate was revoked: good, unknown or
	// irrevocable; empty where nobody looks. Failed are the checks that failed and
	// that the trust only logs, with commas between them.
	Revocation string `json:"revocation,omitempty"`
	Failed     string `json:"failed,omitempty"`
}

// Provenance says how an image was built (SLSA), from an attestation that was
// verified.
type Provenance struct {
	Builder string `json:"builder"` // builder.id
	Source  string `json:"source"`  // the repository's URI
	Commit  string `json:"commit,omitempty"`
	Level   int    `json:"level,omitempty"` // of SLSA's build track; 0 is not known
	Signer  string `json:"signer,omitempty"`
}

// Approval is somebody's word that the image may go to an environment.
type Approval struct {
	Environment string    `json:"environment,omitempty"` // empty for all
	Author      string    `json:"author"`                // who asked
	Approver    string    `json:"approver"`
	Time        time.Time `json:"time,omitzero"`
	Until       time.Time `json:"until,omitzero"` // zero means no end
	Lapsed      string    `json:"lapsed,omitempty"`
}

// Evidence is what another tool found, from SARIF.
type Evidence struct {
	Tool    string    `json:"tool"`
	Version string    `json:"version,omitempty"`
	Time    time.Time `json:"time,omitzero"` // when the run ended
	Failed  bool      `json:"failed,omitempty"`
	Results []Result  `json:"results"`
}

// Result is one result of another tool.
type Result struct {
	Rule    string  `json:"rule"`
	Level   string  `json:"level"`           // error, warning, note or none
	Score   float64 `json:"score,omitempty"` // security-severity, 0 to 10
	Message string  `json:"message,omitempty"`
	Path    string  `json:"path,omitempty"`
	Line    int     `json:"line,omitempty"`
}

// Stages on the road.
const (
	Build = "build"
	Ship  = "ship"
	Run   = "run"
)

// Request is what is asked about now.
type Request struct {
	Now         time.Time        `json:"now"`
	Stage       string           `json:"stage,omitempty"`     // build, ship or run; empty when not known
	Reference   string           `json:"reference,omitempty"` // the image as the workload writes it
	Name        *scope.Reference `json:"-"`                   // Reference, when it has been read already
	Environment *string          `json:"environment,omitempty"`
	Host        *string          `json:"host,omitempty"`
	Again       bool             `json:"again,omitempty"`     // what was let in before starts once more: a restart, a further copy
	TagFixed    *bool            `json:"tag_fixed,omitempty"` // the gate knows that the tag cannot be moved, or saw it moved; wins over Image.TagImmutable
	Workload    *Workload        `json:"workload,omitempty"`  // nil when an image is judged on its own
}

// Workload is how the image is to run: one container with what it inherits.
// What is nil is not known; a gate that sees the whole object fills in the
// platform's defaults.
type Workload struct {
	Kind                string            `json:"kind,omitempty"` // Pod, Deployment, container …
	Name                string            `json:"name,omitempty"`
	Container           string            `json:"container,omitempty"`
	Namespace           *string           `json:"namespace,omitempty"`
	Labels              map[string]string `json:"labels"`
	User                *string           `json:"user,omitempty"` // overrides the image's; empty does not
	RunAsNonRoot        *bool             `json:"run_as_non_root,omitempty"`
	Privileged          *bool             `json:"privileged,omitempty"`
	PrivilegeEscalation *bool             `json:"privilege_escalation,omitempty"`
	AddCapabilities     []string          `json:"add_capabilities"`
	DropCapabilities    []string          `json:"drop_capabilities"`
	HostNetwork         *bool             `json:"host_network,omitempty"`
	HostPID             *bool             `json:"host_pid,omitempty"`
	HostIPC             *bool             `json:"host_ipc,omitempty"`
	HostPaths           []string          `json:"host_paths"` // paths of the host that are mounted
	ReadOnlyRoot        *bool             `json:"read_only_root,omitempty"`
	Seccomp             *string           `json:"seccomp,omitempty"`    // RuntimeDefault, Localhost or Unconfined
	ProcMount           *string           `json:"proc_mount,omitempty"` // Default, or Unmasked: all of /proc shows
	ServiceAccount      *string           `json:"service_account,omitempty"`
}

// Facts are everything that one decision may look at.
type Facts struct {
	Image
	Request
}

// Knows reports whether the image was searched for a kind of knowledge.
func (i *Image) Knows(kind string) bool { return slices.Contains(i.Assessed, kind) }
