package rule

import (
	"reflect"
	"time"

	"cel.dev/cel-go/cel"
)

// Path names a fact: a variable, or a field of one.
type Path struct{ Variable, Field string }

// Facts are what an expression may look at. Each field is a variable.
type Facts struct {
	Now              time.Time           `cel:"now"`
	Stage            string              `cel:"stage"`
	Environment      string              `cel:"environment"`
	Host             string              `cel:"host"`
	Image            Image               `cel:"image"`
	Workload         Workload            `cel:"workload"`
	Packages         []Package           `cel:"packages"`
	Vulnerabilities  []Vulnerability     `cel:"vulnerabilities"`
	Secrets          []Finding           `cel:"secrets"`
	Malware          []Finding           `cel:"malware"`
	Misconfiguration []Finding           `cel:"misconfigurations"`
	Signatures       []Signature         `cel:"signatures"`
	Provenance       []Provenance        `cel:"provenance"`
	Approvals        []Approval          `cel:"approvals"`
	Evidence         map[string][]Result `cel:"evidence"`
}

// Image is the image.
type Image struct {
	Reference      string            `cel:"reference"`
	Registry       string            `cel:"registry"`
	Repository     string            `cel:"repository"`
	Tag            string            `cel:"tag"`
	Pinned         bool              `cel:"pinned"` // named by its digest
	Digest         string            `cel:"digest"`
	User           string            `cel:"user"`
	Labels         map[string]string `cel:"labels"`
	Created        time.Time         `cel:"created"`
	Scanned        time.Time         `cel:"scanned"`
	Scanner        string            `cel:"scanner"` // another's that found the vulnerabilities; empty for ours
	Base           string            `cel:"base"`
	OS             string            `cel:"os"`
	OSVersion      string            `cel:"os_version"`
	SupportedUntil string            `cel:"supported_until"`
	SBOM           bool              `cel:"sbom"`
	TagImmutable   bool              `cel:"tag_immutable"`
	Unread         int               `cel:"unread"`
}

// Workload is how it is to run.
type Workload struct {
	Kind                string            `cel:"kind"`
	Name                string            `cel:"name"`
	Container           string            `cel:"container"`
	Namespace           string            `cel:"namespace"`
	Labels              map[string]string `cel:"labels"`
	User                string            `cel:"user"`
	RunAsNonRoot        bool              `cel:"run_as_non_root"`
	Privileged          bool              `cel:"privileged"`
	PrivilegeEscalation bool              `cel:"privilege_escalation"`
	AddCapabilities     []string          `cel:"add_capabilities"`
	DropCapabilities    []string          `cel:"drop_capabilities"`
	HostNetwork         bool              `cel:"host_network"`
	HostPID             bool              `cel:"host_pid"`
	HostIPC             bool              `cel:"host_ipc"`
	HostPaths           []string          `cel:"host_paths"`
	ReadOnlyRoot        bool              `cel:"read_only_root"`
	Seccomp             string            `cel:"seccomp"`
	ProcMount           string            `cel:"proc_mount"`
	ServiceAccount      string            `cel:"service_account"`
}

// Package is a package of the image.
type Package struct {
	Name    string `cel:"name"`
	Version string `cel:"version"`
	Type    string `cel:"type"`
	PURL    string `cel:"purl"`
	Licence string `cel:"licence"`
}

// Vulnerability is a vulnerability that is not accepted.
type Vulnerability struct {
	ID         string    `cel:"id"`
	Aliases    []string  `cel:"aliases"`
	Severity   string    `cel:"severity"`
	Rank       int       `cel:"rank"` // 5 critical … 1 none, 0 not known
	Package    string    `cel:"package"`
	Version    string    `cel:"version"`
	PURL       string    `cel:"purl"`
	Path       string    `cel:"path"`
	Fixable    bool      `cel:"fixable"`
	FixedIn    []string  `cel:"fixed_in"`
	Status     string    `cel:"status"`
	CVSS       float64   `cel:"cvss"` // 0 when nobody rated
	EPSS       float64   `cel:"epss"` // 0 when not known
	KEV        bool      `cel:"kev"`
	Ransomware bool      `cel:"ransomware"`
	Malicious  bool      `cel:"malicious"`
	Reachable  string    `cel:"reachable"`
	Published  time.Time `cel:"published"`
	Fixed      time.Time `cel:"fix_published"`
}

// Finding is a finding of another kind that is not accepted.
type Finding struct {
	ID         string   `cel:"id"`
	Aliases    []string `cel:"aliases"`
	Severity   string   `cel:"severity"`
	Rank       int      `cel:"rank"`
	Confidence string   `cel:"confidence"`
	Class      string   `cel:"class"`
	Path       string   `cel:"path"`
	Evidence   string   `cel:"evidence"`
}

// Signature is a verified signature.
type Signature struct {
	Key      string    `cel:"key"`
	Identity string    `cel:"identity"`
	Issuer   string    `cel:"issuer"`
	Time     time.Time `cel:"time"`

	Revocation string `cel:"revocation"` // good, unknown, irrevocable; empty where nobody looks
	Failed     string `cel:"failed"`     // checks that the trust only logs
}

// Provenance is a verified statement about the build.
type Provenance struct {
	Builder string `cel:"builder"`
	Source  string `cel:"source"`
	Commit  string `cel:"commit"`
	Level   int    `cel:"level"`
}

// Approval is a verified approval.
type Approval struct {
	Environment string    `cel:"environment"`
	Author      string    `cel:"author"`
	Approver    string    `cel:"approver"`
	Until       time.Time `cel:"until"`
	Lapsed      string    `cel:"lapsed"`
}

// Result is a result of another tool.
type Result struct {
	Rule    string  `cel:"rule"`
	Level   string  `cel:"level"`
	Score   float64 `cel:"score"`
	Message string  `cel:"message"`
	Path    string  `cel:"path"`
	Line    int     `cel:"line"`
}

// celType is CEL's type for a field of Facts.
func celType(t reflect.Type) *cel.Type {
	switch t.Kind() {
	case reflect.String:
		return cel.StringType
	case reflect.Slice:
		return cel.ListType(celType(t.Elem()))
	case reflect.Map:
		return cel.MapType(cel.StringType, celType(t.Elem()))
	}
	if t == reflect.TypeFor[time.Time]() {
		return cel.TimestampType
	}
	return cel.ObjectType("rule." + t.Name())
}

// variables are the facts that a program names.
func (f *Facts) variables(p *Program) map[string]any {
	v := reflect.ValueOf(f).Elem()
	out := map[string]any{}
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("cel"); p.Uses(name) {
			out[name] = v.Field(i).Interface()
		}
	}
	return out
}
