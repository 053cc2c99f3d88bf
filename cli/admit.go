package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit"
	"sekisho/audit"
	"sekisho/i18n"
	"sekisho/policy/ready"
	strict "sekisho/policy/source"
	"sekisho/store"
)

// admitConfigName is read when no configuration is named and the file is there.
const admitConfigName = "/etc/sekisho/admit.yaml"

// admitConfig is admit.yaml: what every gate of this machine stands on. Paths
// are relative to the file.
type admitConfig struct {
	Policies    []string `yaml:"policies"`     // files, or names of ready-made ones
	Exceptions  string   `yaml:"exceptions"`   // a file
	VEX         []string `yaml:"vex"`          // files and directories of statements
	VEXAttached bool     `yaml:"vex_attached"` // statements beside images too, when somebody in trust has signed them
	Facts       string   `yaml:"facts"`        // the directory of what is known about images
	Audit       string   `yaml:"audit"`        // the directory of the audit log
	Database    string   `yaml:"database"`     // the directory of the advisory database
	Signatures  []string `yaml:"signatures"`   // malware signatures beside our own
	Trust       string   `yaml:"trust"`        // a file: whose signatures count
	Approvers   string   `yaml:"approvers"`    // a file: who may approve
	Attested    string   `yaml:"attested"`     // a scan that somebody in trust attested is taken when it is no older, as 24h
	Verify      string   `yaml:"verify"`       // how often what was signed is verified anew; 10m when left out
	Deadline    string   `yaml:"deadline"`     // of one decision, as 2s
	APIGate     bool     `yaml:"api_gate"`     // a gate at the API judges new pods: an approval that ended stops them there, not on the node
	OnError     string   `yaml:"on_error"`     // deny or allow: what a gate says when it cannot work at all
	Scan        *bool    `yaml:"scan"`         // images that nobody knows are scanned; true when left out
	Language    string   `yaml:"language"`     // of what people are told
	Environment string   `yaml:"environment"`  // of this machine or cluster
	Insecure    bool     `yaml:"insecure"`     // registries may speak plain HTTP

	name     string // of the file
	deadline time.Duration
	attested time.Duration
	verify   time.Duration
	plain    []string // patterns of registries that may speak plain HTTP
}

// verifyEvery is how often what was signed is verified anew when nothing is said.
const verifyEvery = 10 * time.Minute

// admitFlags are the flags that all of admit shares.
type admitFlags struct {
	config   string
	policies []string
}

func (a *app) admitCommand() *cobra.Command {
	t := a.texts.Text
	f := &admitFlags{}
	root := &cobra.Command{Use: "admit", Short: t("cli.admit.short"), Long: t("cli.admit.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	root.PersistentFlags().StringVar(&f.config, "config", "", t("cli.flag.admit_config"))
	root.PersistentFlags().StringArrayVar(&f.policies, "policy", nil, t("cli.flag.policy"))
	root.AddCommand(
		a.admitCheckCommand(f),
		a.admitFactsCommand(f),
		a.admitServeCommand(f),
		a.admitManifestCommand(f),
		a.admitDockerCommand(f),
		a.admitNodeCommand(f),
		a.admitRuntimeCommand(),
		a.admitCoverageCommand(f),
	)
	return root
}

// admitConfig reads admit.yaml, or takes defaults when there is none.
func (a *app) admitConfig(f *admitFlags) (*admitConfig, error) {
	c := &admitConfig{}
	name := cmp.Or(f.config, a.Getenv("SEKISHO_ADMIT_CONFIG"))
	asked := name != ""
	name = cmp.Or(name, admitConfigName)
	file, err := os.Open(name)
	switch {
	case err == nil:
		defer file.Close()
		if err := strict.Strict(file, name, c); err != nil {
			return nil, usage(err)
		}
		c.name = name
	case asked || !errors.Is(err, fs.ErrNotExist):
		return nil, sekisho.Errorf(sekisho.Usage, "open configuration of the gate: %w", err)
	}
	c.resolve()
	if len(f.policies) > 0 {
		c.Policies = f.policies
	}
	return c, c.complete(a)
}

// resolve makes paths of the file relative to it.
func (c *admitConfig) resolve() {
	dir := filepath.Dir(c.name)
	for _, p := range []*string{&c.Exceptions, &c.Facts, &c.Audit, &c.Database, &c.Trust, &c.Approvers} {
		*p = below(dir, *p)
	}
	for i := range c.VEX {
		c.VEX[i] = below(dir, c.VEX[i])
	}
	for i := range c.Signatures {
		c.Signatures[i] = below(dir, c.Signatures[i])
	}
	for i, p := range c.Policies {
		if full := below(dir, p); !ready.Has(p) || isFile(full) {
			c.Policies[i] = full
		}
	}
}

func below(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// complete fills in defaults and checks words.
func (c *admitConfig) complete(a *app) (err error) {
	if len(c.Policies) == 0 {
		return sekisho.Errorf(sekisho.Usage, "no policy").WithHint("--policy FILE, --policy baseline, or policies: in %s", cmp.Or(c.name, admitConfigName))
	}
	c.deadline = 2 * time.Second
	if c.Deadline != "" {
		if c.deadline, err = time.ParseDuration(c.Deadline); err != nil || c.deadline <= 0 || c.deadline > 10*time.Minute {
			return sekisho.Errorf(sekisho.Usage, "%s: deadline %q: want a duration of at most 10m, as 2s", c.name, c.Deadline)
		}
	}
	if c.Attested != "" {
		if c.attested, err = time.ParseDuration(c.Attested); err != nil || c.attested <= 0 || c.Trust == "" {
			return sekisho.Errorf(sekisho.Usage, "%s: attested %q: want a duration, as 24h, and trust", c.name, c.Attested)
		}
	}
	if c.VEXAttached && c.Trust == "" {
		return errUnsignedVEX
	}
	c.verify = verifyEvery
	if c.Verify != "" {
		if c.verify, err = time.ParseDuration(c.Verify); err != nil || c.verify < time.Second {
			return sekisho.Errorf(sekisho.Usage, "%s: verify %q: want a duration of at least 1s, as 10m", c.name, c.Verify)
		}
	}
	c.OnError = cmp.Or(c.OnError, sekisho.Deny)
	if c.OnError != sekisho.Deny && c.OnError != sekisho.Allow {
		return sekisho.Errorf(sekisho.Usage, "%s: on_error %q: want deny or allow", c.name, c.OnError)
	}
	if c.Language != "" && c.Language != "en" && c.Language != "ja" {
		return sekisho.Errorf(sekisho.Usage, "%s: language %q: want en or ja", c.name, c.Language)
	}
	if c.Facts == "" {
		if c.Facts, err = a.dataDir("SEKISHO_FACTS_DIR", "facts"); err != nil {
			return err
		}
	}
	if c.Audit == "" {
		c.Audit, err = a.dataDir("SEKISHO_AUDIT_DIR", "audit")
	}
	return err
}

// texts are the words of the gate's language, which may differ from the
// program's.
func (c *admitConfig) texts(a *app) *i18n.Printer {
	if c.Language == "" {
		return a.texts
	}
	return i18n.New(i18n.Lang(c.Language))
}

// dataDir is where something is kept: an environment variable, else below the
// user's data directory (XDG Base Directory Specification).
func (a *app) dataDir(variable, name string) (string, error) {
	if dir := a.Getenv(variable); dir != "" {
		return dir, nil
	}
	base := a.Getenv("XDG_DATA_HOME")
	if base == "" {
		home := a.Getenv("HOME")
		if home == "" {
			return "", sekisho.Errorf(sekisho.Usage, "no place for %s", name).WithHint("set %s, or name it in the configuration of the gate", variable)
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "sekisho", name), nil
}

// gate is a gate with what it stands on.
type gate struct {
	*admit.Gate
	config *admitConfig
	facts  *store.Facts
	log    *audit.Log
	texts  *i18n.Printer
	rules  atomic.Pointer[admit.Rules]
}

// openGate makes the gate of a configuration ready. Unknown images are looked
// for by scheme (registry, docker or containerd) when nothing else says where
// they are; an empty scheme leaves them unknown.
func (a *app) openGate(c *admitConfig, scheme string) (*gate, error) {
	g := &gate{config: c, texts: c.texts(a)}
	rules, err := a.admitRules(c)
	if err != nil {
		return nil, err
	}
	g.rules.Store(rules)
	if g.facts, err = store.OpenFacts(c.Facts); err != nil {
		return nil, err
	}
	if g.log, err = audit.Open(c.Audit); err != nil {
		return nil, err
	}
	o := admit.Options{Facts: g.facts, Rules: func() admit.Rules { return *g.rules.Load() }, Log: g.log, Now: a.clockOf()}
	if scheme != "" && (c.Scan == nil || *c.Scan) {
		o.Scanner = a.scanner(c, g.facts, scheme)
	}
	g.Gate = admit.New(o)
	return g, nil
}

// clockOf is the clock, which SOURCE_DATE_EPOCH stops.
func (a *app) clockOf() func() time.Time {
	if fixed, err := a.now(); err == nil && a.Getenv("SOURCE_DATE_EPOCH") != "" {
		return func() time.Time { return fixed }
	}
	return func() time.Time { return time.Now().UTC() }
}

// Close closes the audit log.
func (g *gate) Close() error { return g.log.Close() }

// admitRules reads policies and exceptions.
func (a *app) admitRules(c *admitConfig) (*admit.Rules, error) {
	set, err := openPolicies(c.Policies)
	if err != nil {
		return nil, err
	}
	r := &admit.Rules{Policies: set}
	if c.Exceptions != "" {
		r.Exceptions, err = a.exceptions(c.Exceptions)
	}
	return r, err
}

// watch reads policies and exceptions anew when their files change, until the
// context ends. Files that are wrong leave the old rules in force and are told.
func (g *gate) watch(ctx context.Context, a *app, every time.Duration) {
	var verifying sync.WaitGroup
	verifying.Go(func() { g.reverify(ctx, a) })
	defer verifying.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := g.config.stamp()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := g.config.stamp()
		if now == last {
			continue
		}
		last = now
		rules, err := a.admitRules(g.config)
		if err != nil {
			fmt.Fprintf(a.Stderr, "sekisho: %s: %s\n", a.texts.Text("cli.admit.old_rules"), visible(err.Error()))
			continue
		}
		g.rules.Store(rules)
		a.note("cli.admit.new_rules")
	}
}

// stamp tells whether files changed.
func (c *admitConfig) stamp() (out string) {
	for _, name := range append([]string{c.Exceptions}, c.Policies...) {
		if info, err := os.Stat(name); name != "" && err == nil {
			out += fmt.Sprintf("%s %d %d\n", name, info.ModTime().UnixNano(), info.Size())
		}
	}
	return out
}
