// Package settings reads enforce.yaml: what the enforcer of a host does with
// which containers. A file goes in, checked settings come out; an unknown
// field, an unknown word or a number out of bounds is refused with its place.
package settings

import (
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/enforce/profile"
	"sekisho/policy/source"
)

// Origins of content whose execution is drift.
const (
	Upper     = "upper"     // the container's own layer, with content that the image does not have
	Volume    = "volume"    // a mount that is not the image
	Memory    = "memory"    // memfd, a file system in memory, a deleted file
	Libraries = "libraries" // the same, mapped executable: libraries, and what ld.so is given
)

// What a response does.
const (
	Alert      = "alert"
	Kill       = "kill"       // the process
	Pause      = "pause"      // the container
	Stop       = "stop"       // the container
	Quarantine = "quarantine" // the container's network is cut
)

// What can be responded to.
const (
	OnDrift   = "drift"
	OnProfile = "profile"
	OnRule    = "rule"
	OnMalware = "malware"
)

// Severities, lowest first.
var severities = []string{"low", "medium", "high", "critical"}

// Settings is enforce.yaml. Paths are relative to the file.
type Settings struct {
	Mode      string     `yaml:"mode"`      // of containers that nothing else speaks of: learn, audit (default), enforce
	State     string     `yaml:"state"`     // the directory of evidence, cases, alerts and what outlives a restart
	Profiles  string     `yaml:"profiles"`  // the directory of profiles
	Audit     string     `yaml:"audit"`     // the directory of the audit log
	Metrics   string     `yaml:"metrics"`   // a file for the textfile collector of Prometheus' node exporter
	Drift     []string   `yaml:"drift"`     // origins that may not run; all when left out
	Stop      []string   `yaml:"stop"`      // kinds of what a profile does not have that the kernel stops; all when left out
	Workloads []Workload `yaml:"workloads"` // the first that fits counts
	Rules     Rules      `yaml:"rules"`
	Syscalls  *bool      `yaml:"syscalls"`  // system calls may be hooked, where rules, libraries or files need it; true when left out
	Files     bool       `yaml:"files"`     // every file that is written is told, for profiles; this costs each system call of the host a little
	Budget    *int       `yaml:"budget"`    // events of a container within a second that are looked at, but for programs that begin and end; 10000 when left out, 0 for any number
	Responses []Response `yaml:"responses"` // every one that fits counts; the hardest is done
	Cap       Cap        `yaml:"cap"`
	Evidence  Evidence   `yaml:"evidence"`
	Deny      Deny       `yaml:"deny"`
	Malware   Malware    `yaml:"malware"`
	Canary    Canary     `yaml:"canary"`
	Fold      Duration   `yaml:"fold"`       // alerts of one cause within it are one
	Pin       Pin        `yaml:"pin"`        // what the kernel does outlives the enforcer: true (default), false, or a directory of a bpffs
	OnLoss    string     `yaml:"on_loss"`    // what the kernel does while the enforcer is away: keep (default), open
	LossAfter Duration   `yaml:"loss_after"` // without a sign of life the enforcer is away
}

// Pin is the directory where the kernel's programs outlive the enforcer; empty
// for nowhere.
type Pin string

// pinUsual stands for a directory below /sys/fs/bpf/sekisho that is named after
// the directory of the state.
const pinUsual = "true"

// UnmarshalYAML reads a switch or a directory.
func (p *Pin) UnmarshalYAML(decode func(any) error) error {
	var text string
	if err := decode(&text); err != nil {
		return err
	}
	switch {
	case text == pinUsual || text == "false":
		*p = Pin(text)
		return nil
	case !filepath.IsAbs(text) || strings.Contains(text, "."):
		return sekisho.Errorf(sekisho.Invalid, "pin: %q: want true, false or the absolute path of a directory in a bpffs, without dots", text)
	}
	*p = Pin(filepath.Clean(text))
	return nil
}

// PinDir is the directory of pins of a state, unless another one is named.
func PinDir(state string) string {
	return fmt.Sprintf(PinRoot+"/%x", sha256.Sum256([]byte(filepath.Clean(state))))[:len(PinRoot)+1+16]
}

// PinRoot is where pins are unless a directory is named.
const PinRoot = "/sys/fs/bpf/sekisho"

// What the kernel does while the enforcer is away.
const (
	LossKeep = "keep" // drifted programs are killed as before
	LossOpen = "open" // nothing is
)

// Workload says how some workloads are treated. All that is given has to fit.
type Workload struct {
	Workload string   `yaml:"workload"` // namespace/name/container, * is any part
	Image    string   `yaml:"image"`    // as the workload writes it, * is anything
	Mode     string   `yaml:"mode"`
	Drift    []string `yaml:"drift"` // [] allows all
	Stop     []string `yaml:"stop"`  // [] only tells
	Ignore   bool     `yaml:"ignore"`
}

// Rules are the files of detection rules.
type Rules struct {
	Files    []string `yaml:"files"`
	Builtin  *bool    `yaml:"builtin"` // our own set; true when left out
	Disabled []string `yaml:"disabled"`
}

// Response is what is done about alerts. It is done in mode enforce only; in
// the others the alert says what would have been done.
type Response struct {
	On       []string `yaml:"on"`       // drift, profile, rule, malware
	Rules    []string `yaml:"rules"`    // names, * is anything
	Severity string   `yaml:"severity"` // at least
	Workload string   `yaml:"workload"`
	Do       string   `yaml:"do"`
}

// Cap bounds how much one service can lose to responses.
type Cap struct {
	Instances int      `yaml:"instances"` // containers of one service
	Window    Duration `yaml:"window"`
}

// Evidence bounds what is kept.
type Evidence struct {
	Size     Size     `yaml:"size"`      // of the log of events
	Cases    Size     `yaml:"cases"`     // of all sealed cases together
	Time     Duration `yaml:"time"`      // to collect one case before its response is carried out
	Severity string   `yaml:"severity"`  // alerts from which on a case is sealed
	Recent   Duration `yaml:"recent"`    // events before the alert that go into a case
	CaseEach Duration `yaml:"case_each"` // at most one case of a container in it
}

// Deny says how executions are denied before they begin (fanotify).
type Deny struct {
	Polite    *bool    `yaml:"polite"`     // answer EPERM; true when left out
	Deadline  Duration `yaml:"deadline"`   // of one answer
	OnTimeout string   `yaml:"on_timeout"` // allow or deny
}

// Malware says what is scanned.
type Malware struct {
	Scan       *bool    `yaml:"scan"` // files written and executed; true when left out
	MaxFile    Size     `yaml:"max_file"`
	Signatures []string `yaml:"signatures"` // directories
}

// Canary says how often enforcement is proven.
type Canary struct {
	Every Duration `yaml:"every"` // 0 for never
}

// Duration is a span of time, as 10m.
type Duration time.Duration

// UnmarshalYAML reads a span.
func (d *Duration) UnmarshalYAML(decode func(any) error) error {
	var text string
	if err := decode(&text); err != nil {
		return err
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return sekisho.Errorf(sekisho.Invalid, "%q: want a span of time, as 30s, 10m or 2h", text)
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes, as 512MiB.
type Size int64

// UnmarshalYAML reads a size.
func (s *Size) UnmarshalYAML(decode func(any) error) error {
	var text string
	if err := decode(&text); err != nil {
		return err
	}
	v, ok := parseSize(text)
	if !ok {
		return sekisho.Errorf(sekisho.Invalid, "%q: want a size, as 64MiB or 1GiB", text)
	}
	*s = Size(v)
	return nil
}

func parseSize(text string) (int64, bool) {
	unit := int64(1)
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}} {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = rest, u.bytes
			break
		}
	}
	n := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<20*10 && unit > 1 || n > 1<<55 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n * unit, text != "" && n <= 1<<60/unit
}

// Read reads settings; what is left out is filled in.
func Read(r io.Reader, name string) (*Settings, error) {
	s := &Settings{}
	if err := source.Strict(r, name, s); err != nil {
		return nil, err
	}
	s.complete(filepath.Dir(name))
	if err := s.check(); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, err)
	}
	return s, nil
}

// Default returns the settings of an empty file.
func Default() *Settings {
	s := &Settings{}
	s.complete("/etc/sekisho")
	return s
}

func (s *Settings) complete(dir string) {
	set(&s.Mode, profile.Audit)
	set(&s.State, "/var/lib/sekisho/enforce")
	set(&s.Profiles, "/etc/sekisho/profiles")
	set(&s.Audit, filepath.Join(s.State, "audit"))
	if s.Drift == nil {
		s.Drift = []string{Upper, Volume, Memory, Libraries}
		if !On(s.Syscalls) {
			s.Drift = s.Drift[:3]
		}
	}
	if s.Budget == nil {
		n := 10000
		s.Budget = &n
	}
	if s.Stop == nil {
		s.Stop = Stoppable()
		if !On(s.Syscalls) {
			s.Stop = s.Stop[:3]
		}
	}
	set(&s.Cap.Instances, 3)
	set(&s.Cap.Window, Duration(10*time.Minute))
	set(&s.Evidence.Size, 1<<30)
	set(&s.Evidence.Cases, 4<<30)
	set(&s.Evidence.Time, Duration(10*time.Second))
	set(&s.Evidence.Severity, "high")
	set(&s.Evidence.Recent, Duration(15*time.Minute))
	set(&s.Evidence.CaseEach, Duration(5*time.Minute))
	set(&s.Deny.Deadline, Duration(200*time.Millisecond))
	set(&s.Deny.OnTimeout, "allow")
	set(&s.Malware.MaxFile, 64<<20)
	set(&s.Fold, Duration(time.Minute))
	set(&s.OnLoss, LossKeep)
	set(&s.LossAfter, Duration(10*time.Second))
	for _, p := range []*string{&s.State, &s.Profiles, &s.Audit, &s.Metrics} {
		resolve(dir, p)
	}
	switch s.Pin {
	case "", pinUsual:
		s.Pin = Pin(PinDir(s.State))
	case "false":
		s.Pin = ""
	}
	for i := range s.Rules.Files {
		resolve(dir, &s.Rules.Files[i])
	}
	for i := range s.Malware.Signatures {
		resolve(dir, &s.Malware.Signatures[i])
	}
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func resolve(dir string, p *string) {
	if *p != "" && !filepath.IsAbs(*p) {
		*p = filepath.Join(dir, *p)
	}
}

// On says whether an optional switch is on; left out it is.
func On(b *bool) bool { return b == nil || *b }

func (s *Settings) check() error {
	if err := oneOf("mode", s.Mode, profile.Learn, profile.Audit, profile.Enforce); err != nil {
		return err
	}
	if err := origins("drift", s.Drift); err != nil {
		return err
	}
	if err := kinds("stop", s.Stop); err != nil {
		return err
	}
	if *s.Budget < 0 || *s.Budget > 1<<30 {
		return fmt.Errorf("budget: %d: want 0 (any number) to %d events a second", *s.Budget, 1<<30)
	}
	if err := s.hooks(); err != nil {
		return err
	}
	for i, w := range s.Workloads {
		if err := w.check(); err != nil {
			return sekisho.Errorf(sekisho.Invalid, "workloads: %d: %w", i+1, err)
		}
	}
	for i, r := range s.Responses {
		if err := r.check(); err != nil {
			return sekisho.Errorf(sekisho.Invalid, "responses: %d: %w", i+1, err)
		}
	}
	if err := oneOf("deny: on_timeout", s.Deny.OnTimeout, "allow", "deny"); err != nil {
		return err
	}
	if err := oneOf("on_loss", s.OnLoss, LossKeep, LossOpen); err != nil {
		return err
	}
	if err := oneOf("evidence: severity", s.Evidence.Severity, severities...); err != nil {
		return err
	}
	return s.bounds()
}

// hooks refuses what needs hooks in system calls when none may be made.
func (s *Settings) hooks() error {
	if On(s.Syscalls) {
		return nil
	}
	if s.Files {
		return sekisho.Errorf(sekisho.Invalid, "syscalls: false, files: true: files that are written are known from system calls only: want one of both")
	}
	lists := [][]string{s.Drift, s.Stop}
	for _, w := range s.Workloads {
		lists = append(lists, w.Drift, w.Stop)
	}
	for _, l := range lists {
		if slices.Contains(l, Libraries) {
			return sekisho.Errorf(sekisho.Invalid, "syscalls: false, drift: libraries: mapped code is known from system calls only: want one of both")
		}
		if slices.Contains(l, profile.KindWrite) {
			return sekisho.Errorf(sekisho.Invalid, "syscalls: false, stop: write: opened files are known from system calls only: want one of both")
		}
	}
	return nil
}

func (s *Settings) bounds() error {
	for _, b := range []struct {
		name          string
		value, lo, hi int64
		want          string
	}{
		{"cap: instances", int64(s.Cap.Instances), 1, 10000, "1 to 10000"},
		{"cap: window", int64(s.Cap.Window), int64(time.Second), int64(7 * 24 * time.Hour), "1s to 168h"},
		{"evidence: size", int64(s.Evidence.Size), 1 << 20, 1 << 44, "1MiB to 16TiB"},
		{"evidence: cases", int64(s.Evidence.Cases), 1 << 20, 1 << 44, "1MiB to 16TiB"},
		{"evidence: time", int64(s.Evidence.Time), int64(100 * time.Millisecond), int64(5 * time.Minute), "100ms to 5m"},
		{"deny: deadline", int64(s.Deny.Deadline), int64(5 * time.Millisecond), int64(10 * time.Second), "5ms to 10s"},
		{"malware: max_file", int64(s.Malware.MaxFile), 1, 1 << 30, "1 byte to 1GiB"},
		{"loss_after", int64(s.LossAfter), int64(2 * time.Second), int64(time.Hour), "2s to 1h"},
		{"fold", int64(s.Fold), int64(time.Second), int64(24 * time.Hour), "1s to 24h"},
	} {
		if b.value < b.lo || b.value > b.hi {
			return sekisho.Errorf(sekisho.Invalid, "%s: want %s", b.name, b.want)
		}
	}
	if c := time.Duration(s.Canary.Every); c != 0 && c < time.Minute {
		return sekisho.Errorf(sekisho.Invalid, "canary: every: want 1m or more")
	}
	return nil
}

func (w *Workload) check() error {
	if w.Workload == "" && w.Image == "" {
		return sekisho.Errorf(sekisho.Invalid, "want a workload or an image")
	}
	if w.Mode != "" {
		if err := oneOf("mode", w.Mode, profile.Learn, profile.Audit, profile.Enforce); err != nil {
			return err
		}
	}
	if err := kinds("stop", w.Stop); err != nil {
		return err
	}
	return origins("drift", w.Drift)
}

func (r *Response) check() error {
	if r.Do == "" {
		return sekisho.Errorf(sekisho.Invalid, "do: want one of %s", strings.Join([]string{Alert, Kill, Pause, Stop, Quarantine}, ", "))
	}
	if err := oneOf("do", r.Do, Alert, Kill, Pause, Stop, Quarantine); err != nil {
		return err
	}
	for _, on := range r.On {
		if err := oneOf("on", on, OnDrift, OnProfile, OnRule, OnMalware); err != nil {
			return err
		}
	}
	if r.Severity != "" {
		return oneOf("severity", r.Severity, severities...)
	}
	return nil
}

func origins(name string, list []string) error {
	for _, o := range list {
		if err := oneOf(name, o, Upper, Volume, Memory, Libraries); err != nil {
			return err
		}
	}
	return nil
}

// Stoppable are the kinds of what a profile holds that the kernel can stop.
func Stoppable() []string {
	return []string{profile.KindProcess, profile.KindConnection, profile.KindListen, profile.KindWrite}
}

func kinds(name string, list []string) error {
	for _, k := range list {
		if err := oneOf(name, k, Stoppable()...); err != nil {
			return err
		}
	}
	return nil
}

func oneOf(name, value string, words ...string) error {
	if !slices.Contains(words, value) {
		return sekisho.Errorf(sekisho.Invalid, "%s: %q is none of %s", name, value, strings.Join(words, ", "))
	}
	return nil
}
