package cli

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/audit"
	"sekisho/enforce"
	"sekisho/enforce/container"
	"sekisho/enforce/detect"
	"sekisho/enforce/drift"
	"sekisho/enforce/evidence"
	"sekisho/enforce/kernel"
	"sekisho/enforce/respond"
	"sekisho/enforce/sensor"
	"sekisho/enforce/settings"
	"sekisho/image"
	"sekisho/internal/siphash"
	"sekisho/scan/analyze"
	"sekisho/scan/content"
)

// enforceConfigName is read when no configuration is named and it is there.
const enforceConfigName = "/etc/sekisho/enforce.yaml"

// enforcerFlags are those of the commands around the service.
type enforcerFlags struct {
	config string
	json   bool
}

// enforcerCommands are the service and what reads what it leaves.
func (a *app) enforcerCommands() []*cobra.Command {
	f := &enforcerFlags{}
	run := &cobra.Command{Use: "run", Short: a.texts.Text("cli.enforce.run"), Long: a.texts.Text("cli.enforce.run.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.enforceRun(cmd.Context(), f) }}
	run.Flags().BoolVar(&f.json, "json", false, a.texts.Text("cli.flag.enforce_json"))
	list := []*cobra.Command{run, a.enforceStatusCommand(f), a.enforceQueryCommand(f), a.enforceCasesCommand(f), a.enforceProfileCommand(f), a.enforceReleaseCommand(f), a.enforceUnpinCommand(f), a.enforceCanaryCommand(f)}
	for _, c := range list {
		c.PersistentFlags().StringVar(&f.config, "config", "", a.texts.Text("cli.flag.enforce_config"))
	}
	return append(list, a.watchdogCommand(), a.canaryActorCommand())
}

// enforceSettings reads enforce.yaml, or takes what holds without one.
func (a *app) enforceSettings(f *enforcerFlags) (*settings.Settings, error) {
	name := cmp.Or(f.config, a.Getenv("SEKISHO_ENFORCE_CONFIG"))
	file, err := os.Open(cmp.Or(name, enforceConfigName))
	if name == "" && errors.Is(err, fs.ErrNotExist) {
		return settings.Default(), nil
	}
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open configuration of the enforcer: %w", err)
	}
	defer file.Close()
	s, err := settings.Read(file, cmp.Or(name, enforceConfigName))
	if err != nil {
		return nil, usage(err)
	}
	return s, nil
}

// evidenceDir and casesDir are where the enforcer keeps what it saw.
func evidenceDir(s *settings.Settings) string { return filepath.Join(s.State, "evidence") }
func casesDir(s *settings.Settings) string    { return filepath.Join(s.State, "cases") }

func (a *app) enforceRun(ctx context.Context, f *enforcerFlags) error {
	s, err := a.enforceSettings(f)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name this host: %w", err)
	}
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return fmt.Errorf("make the directory of the state: %w", err)
	}
	rules, set, err := a.enforceRules(s, host)
	if err != nil {
		return err
	}
	judge := drift.New("/proc/1/mountinfo")
	k, err := kernel.Open(kernel.Options{Sensor: sensorOptions(s, set), Settings: s, Judge: judge, Now: time.Now})
	if err != nil {
		return err
	}
	defer k.Close()
	if s.Pin == "" { // what an enforcer with other settings left
		_, _ = sensor.Unpin(settings.PinDir(s.State))
	}
	log, err := evidence.Open(evidenceDir(s), evidence.Options{MaxBytes: int64(s.Evidence.Size), SegmentBytes: min(16<<20, int64(s.Evidence.Size)/8)})
	if err != nil {
		return err
	}
	defer log.Close()
	o := enforce.Options{Settings: s, Sensor: k, Log: log, Rules: rules, Drift: judge, Host: host, Features: k.Features(), Observed: k.Observed(), Logger: slog.New(slog.NewTextHandler(a.Stderr, nil)), Alert: a.alertPrinter(f.json)}
	if err := a.enforceParts(ctx, s, host, &o); err != nil {
		return err
	}
	ledger, err := audit.Open(s.Audit)
	if err != nil {
		return err
	}
	defer ledger.Close()
	o.Audit = ledger
	e, err := enforce.New(o)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Stderr, a.texts.Text("enforce.running", "rules", fmt.Sprint(enabled(set)), "mode", a.texts.Text("enforce.mode."+s.Mode)))
	a.tellBlind(s, set)
	a.tellFeatures(k.Features())
	a.tellUnmet(set, k.Features())
	stop, err := a.startWatchdog(k.Alive)
	if err != nil {
		return err
	}
	defer stop()
	defer a.tellPinned(s)
	a.keepEnforcing()
	return a.serve(ctx, s, e)
}

// serve runs the enforcer, and canaries now and then.
func (a *app) serve(ctx context.Context, s *settings.Settings, e *enforce.Enforcer) error {
	every := time.Duration(s.Canary.Every)
	if every == 0 {
		return e.Run(ctx)
	}
	inner, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			a.fly(inner, s)
			select {
			case <-inner.Done():
				return
			case <-tick.C:
			}
		}
	}()
	err := e.Run(ctx)
	cancel()
	<-ended
	return err
}

func enabled(set *detect.Set) (n int) {
	for _, r := range set.Rules {
		if r.Enabled {
			n++
		}
	}
	return n
}

// tellBlind names the rules that hear of nothing when no system call is hooked.
func (a *app) tellBlind(s *settings.Settings, set *detect.Set) {
	if settings.On(s.Syscalls) {
		return
	}
	var names []string
	for _, r := range set.Rules {
		if r.Enabled && !slices.ContainsFunc(r.Needs, func(n detect.Need) bool { return n.Tier == 0 }) {
			names = append(names, r.Name)
		}
	}
	if len(names) > 0 {
		fmt.Fprintln(a.Stderr, visible(a.texts.Text("enforce.blind", "count", fmt.Sprint(len(names)), "rules", strings.Join(names, ", "))))
	}
}

func (a *app) tellFeatures(features map[string]string) {
	names := make([]string, 0, len(features))
	for name, state := range features {
		if strings.HasPrefix(state, sensor.NotSupported) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(a.Stderr, "%s: %s\n", name, visible(strings.Replace(features[name], sensor.NotSupported, a.texts.Text("enforce.state.not_supported_here"), 1)))
	}
}

// tellUnmet says which rules wait for events that this kernel does not tell.
func (a *app) tellUnmet(set *detect.Set, features map[string]string) {
	for _, r := range set.Rules {
		if r.Enabled && len(r.Needs) == 0 {
			fmt.Fprintln(a.Stderr, a.texts.Text("enforce.rule_never", "rule", visible(r.Name)))
		}
	}
	var lines []string
	for need, rules := range set.Needs() {
		state := features["call "+need.Syscall]
		why, missing := strings.CutPrefix(state, sensor.NotSupported+": ")
		if need.Tier == 0 || !missing {
			continue
		}
		slices.Sort(rules)
		lines = append(lines, a.texts.Text("enforce.rule_blind", "call", need.Syscall, "why", visible(why), "count", fmt.Sprint(len(rules)), "rules", visible(strings.Join(rules[:min(len(rules), 3)], ", "))))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(a.Stderr, line)
	}
}

// enforceRules loads the files of rules.
func (a *app) enforceRules(s *settings.Settings, host string) (enforce.Rules, *detect.Set, error) {
	var sources []detect.Source
	if settings.On(s.Rules.Builtin) {
		sources = detect.BuiltIn() // first: files change what comes before them
	}
	for _, name := range s.Rules.Files {
		data, err := readBounded(name, 16<<20)
		if err != nil {
			return nil, nil, sekisho.Errorf(sekisho.Usage, "open rules: %w", err)
		}
		sources = append(sources, detect.Source{Name: name, Data: data})
	}
	users := container.NewUsers(func(c *sekisho.Container, path string) (io.ReadCloser, error) {
		if c == nil {
			return os.Open("/proc/1/root" + path)
		}
		return drift.Open(c, c.PID, path)
	}, time.Now)
	return enforce.NewRules(s, users, host, sources...)
}

// sensitive are the last parts of paths whose opens to read are told, when a
// rule asks about opens.
var sensitive = []string{"shadow", "gshadow", "sudoers", "pam.conf", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "authorized_keys", "credentials", ".git-credentials", ".netrc",
	"config.json", "kubeconfig", "token", "environ", "passwd", "docker.sock", "core_pattern", "release_agent", "kcore", "mem"}

const maxNames = 4000 // that the kernel's table holds

// sensorOptions ask the kernel for what profiles, drift and rules need, and
// nothing more.
func sensorOptions(s *settings.Settings, set *detect.Set) sensor.Options {
	p := sensor.Policy{Kinds: []sekisho.EventKind{sekisho.EventConnect, sekisho.EventSend, sekisho.EventListen, sekisho.EventDNS, sekisho.EventCapability, sekisho.EventIOUring}}
	var calls []string
	if settings.On(s.Syscalls) {
		p.Kinds = append(p.Kinds, sekisho.EventMap)
	}
	for need, rules := range set.Needs() {
		if need.Tier > 0 && !settings.On(s.Syscalls) {
			continue
		}
		p.Kinds = append(p.Kinds, need.Kind)
		if need.Tier > 0 {
			calls = append(calls, need.Syscall)
		}
		if need.Kind == sekisho.EventConnect && settings.On(s.Syscalls) && slices.ContainsFunc(rules, set.NamesSocket) {
			calls = append(calls, need.Syscall) // the hooks below the calls do not see Unix sockets
		}
		if need.Kind == sekisho.EventOpen {
			p.Opens |= sensor.OpensToWrite | sensor.OpensOfNames | sensor.OpensRefused | sensor.OpensRaw
		}
	}
	if s.Files {
		p.Kinds = append(p.Kinds, sekisho.EventOpen, sekisho.EventCreate, sekisho.EventRename, sekisho.EventUnlink, sekisho.EventLink, sekisho.EventSymlink, sekisho.EventMkdir, sekisho.EventRmdir, sekisho.EventChmod, sekisho.EventChown)
		p.Opens |= sensor.OpensToWrite
	}
	slices.Sort(p.Kinds)
	p.Kinds = slices.Compact(p.Kinds)
	slices.Sort(calls)
	names := append(slices.Clone(sensitive), set.Names()...)
	slices.Sort(names)
	names = slices.Compact(names)
	o := sensor.Options{Containers: container.New(container.Options{}), Default: p, Host: sensor.Policy{}, Syscalls: calls, Names: names[:min(len(names), maxNames)]}
	o.Pins, o.State = string(s.Pin), s.State
	o.Loss = sensor.Loss{Host: true, After: time.Duration(s.LossAfter), Open: s.OnLoss == settings.LossOpen, Strict: s.Deny.OnTimeout == "deny"}
	if set.Uses("proc.env") || set.Uses("proc.aenv") {
		o.Env = 4096
	}
	o.Budget = *s.Budget
	if set.Uses("evt.buffer") {
		o.Data = 256
	}
	return o
}

// enforceParts makes the responder and what scans files.
func (a *app) enforceParts(ctx context.Context, s *settings.Settings, host string, o *enforce.Options) error {
	key, err := caseKey(s.State)
	if err != nil {
		return err
	}
	masks, err := a.inside(ctx, &contentFlags{}, []string{sekisho.Secret}, siphash.Key{})
	if err != nil {
		return err
	}
	o.Responder = a.responder(s, host, key, masks.Mask)
	if !settings.On(s.Malware.Scan) {
		return nil
	}
	inside, err := a.inside(ctx, &contentFlags{signatures: s.Malware.Signatures}, []string{sekisho.Malware}, siphash.Key{})
	if err != nil {
		return err
	}
	o.Malware = &fileScanner{inside, int64(s.Malware.MaxFile)}
	return nil
}

func (a *app) responder(s *settings.Settings, host string, key ed25519.PrivateKey, mask func(string) string) *respond.Responder {
	return &respond.Responder{Dir: casesDir(s), MaxCases: int64(s.Evidence.Cases), Log: evidenceDir(s), Key: key, Host: host, Proc: "/proc", Cgroup: "/sys/fs/cgroup",
		Docker: strings.TrimPrefix(cmp.Or(a.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock"), "unix://"), Mask: mask, Now: time.Now}
}

// caseKey is the key that cases are sealed with; it is made once. The public
// half beside it is for those who check.
func caseKey(state string) (ed25519.PrivateKey, error) {
	name := filepath.Join(state, "case.key")
	data, err := os.ReadFile(name)
	if err == nil {
		block, _ := pem.Decode(data)
		if block == nil {
			return nil, sekisho.Errorf(sekisho.Invalid, "read %s: no key in PEM", name)
		}
		k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if key, ok := k.(ed25519.PrivateKey); ok {
			return key, nil
		}
		return nil, sekisho.Errorf(sekisho.Invalid, "read %s: no Ed25519 key: %v", name, err)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the key of cases: %w", err)
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for cases: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make a key for cases: %w", err)
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("make a key for cases: %w", err)
	}
	err = os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
	return key, errors.Join(err, os.WriteFile(filepath.Join(state, "case.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open}), 0o644))
}

// fileScanner looks into files of containers with the scanner's engine.
type fileScanner struct {
	inside *content.Analyzer
	max    int64
}

// largeFile is a size in bytes above which the memory of a scan is given back
// at once.
const largeFile = 4 << 20

// File implements enforce.Malware.
func (s *fileScanner) File(c *sekisho.Container, pid int, path string) ([]enforce.Found, error) {
	f, err := drift.Open(c, pid, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", path, err)
	}
	if info.Size() > s.max || info.Size() == 0 {
		return nil, nil
	}
	data := make([]byte, info.Size()) // what is appended meanwhile is another write
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("scan %s: %w", path, err)
	}
	data = data[:n]
	if len(data) > largeFile {
		defer debug.FreeOSMemory()
	}
	r := &analyze.Result{}
	if err := s.inside.Analyze(&analyze.File{Path: strings.TrimPrefix(path, "/"), Mode: info.Mode(), Size: int64(len(data)), Data: data, Root: image.KindContainer}, r); err != nil {
		return nil, err
	}
	var list []enforce.Found
	for _, x := range r.Findings {
		f := enforce.Found{Name: x.ID, Severity: string(x.Severity)}
		if x.Kind == sekisho.Malware && settings.Rank(f.Severity) >= settings.Rank("medium") && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list, nil
}

// alertPrinter prints alerts: lines for people, or JSON.
func (a *app) alertPrinter(asJSON bool) func(*enforce.Alert) {
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	return func(x *enforce.Alert) {
		if asJSON {
			_ = enc.Encode(x)
			return
		}
		fmt.Fprintln(a.Stdout, visible(strings.ReplaceAll(a.alertLine(x), "\n", " ")))
	}
}

// alertLine words an alert.
func (a *app) alertLine(x *enforce.Alert) string {
	t := a.texts.Text
	name := "-"
	if x.Container != nil {
		name = cmp.Or(x.Container.Name, x.Container.ID[:min(12, len(x.Container.ID))])
	}
	text := x.Output
	if text == "" {
		text = t("enforce.alert."+x.Kind, "what", x.What, "why", x.Why, "rule", x.Rule)
	}
	if done := a.doneWord(x.Done); done != "" {
		text += " [" + done + "]"
	}
	if x.Count > 1 {
		text += " " + t("enforce.alert.count", "count", fmt.Sprint(x.Count))
	}
	return fmt.Sprintf("%s %s %s %s", x.Time.UTC().Format(time.RFC3339), t("severity."+x.Severity), name, text)
}

// doneWord says what was done about an alert.
func (a *app) doneWord(done string) string {
	verb, what, _ := strings.Cut(done, " ")
	switch key := "enforce.done." + verb; {
	case done == "":
		return ""
	case what == "" && a.texts.Has(key):
		return a.texts.Text(key)
	case a.texts.Has(key) && a.texts.Has("enforce.do."+what):
		return a.texts.Text(key, "do", a.texts.Text("enforce.do."+what))
	}
	return a.texts.Text("enforce.done.dropped")
}
