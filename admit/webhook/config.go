package webhook

import (
	"io"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/policy/scope"
	"sekisho/policy/source"
)

// What to do when a request cannot be judged.
const (
	Open   = "open"   // let it pass, and say so loudly
	Closed = "closed" // stop it
)

// What pins tags to digests.
const (
	PinPods = "pods" // pods only, so that what others keep in git stays as it is
	PinAll  = "all"  // also what makes pods
)

// Config is the file admit.yaml.
type Config struct {
	Listen      string        `yaml:"listen"`       // of the API server's requests, over TLS; default :8443
	Health      string        `yaml:"health"`       // of /healthz, /readyz and /metrics, in plain HTTP; default :8081, "-" for none
	ClientCA    string        `yaml:"client_ca"`    // a file; with it, callers must show a certificate of this authority
	Language    string        `yaml:"language"`     // en, ja or both
	Policies    []string      `yaml:"policies"`     // files, or names of ready-made ones
	Exceptions  string        `yaml:"exceptions"`   // a file
	Facts       string        `yaml:"facts"`        // the directory of what is known of images
	Audit       string        `yaml:"audit"`        // the directory of the audit log
	Scan        *bool         `yaml:"scan"`         // images that nobody has seen are scanned; true when left out
	Database    string        `yaml:"database"`     // the directory of the advisory database
	Signatures  []string      `yaml:"signatures"`   // malware signatures beside our own
	VEX         []string      `yaml:"vex"`          // files and directories of statements
	VEXAttached bool          `yaml:"vex_attached"` // statements beside images too, when somebody in trust has signed them
	Trust       string        `yaml:"trust"`        // a file: whose signatures and attestations count
	Approvers   string        `yaml:"approvers"`    // a file: who may approve
	Attested    time.Duration `yaml:"attested"`     // a scan that somebody in trust attested is taken when it is no older
	Verify      time.Duration `yaml:"verify"`       // how often what was signed is verified anew; default 10m
	Deadline    time.Duration `yaml:"deadline"`     // of one request; default 2s, below the webhook's timeout
	Failure     string        `yaml:"failure"`      // open or closed (default)
	Pin         string        `yaml:"pin"`          // pods, all, or empty for never
	Platforms   []string      `yaml:"platforms"`    // of the nodes, as linux/amd64; each is judged
	Namespace   string        `yaml:"namespace"`    // its own, which is exempt; empty outside a cluster
	Environment string        `yaml:"environment"`  // for policies whose scope names some
	Resolve     Resolve       `yaml:"resolve"`      // of tags
	Keep        int           `yaml:"keep"`         // how many images are kept ready to be judged; default 4096
	InFlight    int           `yaml:"in_flight"`    // how many requests are judged at once; default 256
	Certificate Certificate   `yaml:"certificate"`
	API         API           `yaml:"api"`
	Scopes      []Scope       `yaml:"scopes"`      // the first that matches counts
	Sessions    Session       `yaml:"sessions"`    // exec, attach, port-forward and proxies, where a scope says nothing
	Nodes       Session       `yaml:"nodes"`       // nodes/proxy, which is exec on any pod
	BreakGlass  []Grant       `yaml:"break_glass"` // who may pass in need
	Controllers []string      `yaml:"controllers"` // patterns of the users that make pods of what others made; default those of Kubernetes

	platforms []sekisho.Platform
}

// Resolve says how tags are looked up.
type Resolve struct {
	Off       bool          `yaml:"off"`        // never ask a registry; a tag is then an unknown image
	TTL       time.Duration `yaml:"ttl"`        // for which an answer is taken to hold; default 1m
	Only      []string      `yaml:"only"`       // patterns of registries that are asked; empty for all
	Insecure  []string      `yaml:"insecure"`   // patterns of registries without TLS
	Immutable []string      `yaml:"immutable"`  // patterns of registries whose tags cannot be moved
	MaxImages int           `yaml:"max_images"` // kept; default 20000
}

// Certificate says where the server's keys are and what they are for.
type Certificate struct {
	Cert          string        `yaml:"cert"`           // a file that somebody else keeps fresh, with key
	Key           string        `yaml:"key"`            // a file
	Directory     string        `yaml:"directory"`      // where its own keys are kept
	Secret        string        `yaml:"secret"`         // or the secret, in its own namespace
	Names         []string      `yaml:"names"`          // DNS names and IP addresses that it is reached by
	Life          time.Duration `yaml:"life"`           // of a serving certificate; default 720h
	AuthorityLife time.Duration `yaml:"authority_life"` // of its authority; default 87600h
	Settle        time.Duration `yaml:"settle"`         // from publishing an authority to using it; default 2m
	Webhooks      []string      `yaml:"webhooks"`       // names of configurations whose caBundle is kept
}

// API is how the API server is reached. Empty fields are those of a pod.
type API struct {
	Server string `yaml:"server"` // https://host:port
	Token  string `yaml:"token"`  // a file
	CA     string `yaml:"ca"`     // a file
}

// Scope is how namespaces are treated.
type Scope struct {
	Name        string        `yaml:"name"`
	Namespaces  []string      `yaml:"namespaces"` // patterns
	Failure     string        `yaml:"failure"`
	Deadline    time.Duration `yaml:"deadline"`
	Pin         *string       `yaml:"pin"`
	Environment string        `yaml:"environment"`
	Sessions    *Session      `yaml:"sessions"`
	Exempt      bool          `yaml:"exempt"` // not judged at all
}

// Session says who may reach into what runs.
type Session struct {
	Action string   `yaml:"action"` // allow (default), warn or deny
	Users  []string `yaml:"users"`  // patterns of those who may all the same
	Groups []string `yaml:"groups"`
}

// Grant lets somebody pass in need: with it, a request that says why (see
// BreakGlassKey) is allowed whatever policies say.
type Grant struct {
	Users      []string  `yaml:"users"` // patterns
	Groups     []string  `yaml:"groups"`
	Namespaces []string  `yaml:"namespaces"` // patterns
	Until      time.Time `yaml:"until"`
	Reason     string    `yaml:"reason"`
	Owner      string    `yaml:"owner"`
}

// BreakGlassKey is the annotation of a pod or its template that says why.
const BreakGlassKey = "sekisho.dev/break-glass"

// Bounds of a configuration.
const maxDeadline = 25 * time.Second // Kubernetes allows webhooks 30 s

// ParseConfig reads the file; name is for errors.
func ParseConfig(r io.Reader, name string) (*Config, error) {
	c := &Config{}
	if err := source.Strict(r, name, c); err != nil {
		return nil, err
	}
	if err := c.complete(); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "%s: %w", name, err).WithHint("docs/admission-kubernetes.md describes every field")
	}
	return c, nil
}

// complete checks the configuration and fills in what is left out.
func (c *Config) complete() error {
	def(&c.Listen, ":8443")
	def(&c.Health, ":8081")
	def(&c.Language, "en")
	def(&c.Failure, Closed)
	def(&c.Deadline, 2*time.Second)
	def(&c.Resolve.TTL, time.Minute)
	def(&c.Resolve.MaxImages, 20_000)
	def(&c.Keep, 4096)
	def(&c.InFlight, 256)
	def(&c.Certificate.Life, 30*24*time.Hour)
	def(&c.Certificate.AuthorityLife, 3650*24*time.Hour)
	def(&c.Certificate.Settle, 2*time.Minute)
	if len(c.Platforms) == 0 {
		c.Platforms = []string{"linux/amd64"}
	}
	if c.Controllers == nil {
		c.Controllers = controllers()
	}
	for _, p := range c.Platforms {
		platform, err := sekisho.ParsePlatform(p)
		if err != nil {
			return sekisho.Errorf(sekisho.Invalid, "platforms: %w", err)
		}
		c.platforms = append(c.platforms, platform)
	}
	if err := c.words(); err != nil {
		return err
	}
	for i := range c.Scopes {
		if err := c.scope(&c.Scopes[i]); err != nil {
			return sekisho.Errorf(sekisho.Invalid, "scopes[%d]: %w", i, err)
		}
	}
	for i := range c.BreakGlass {
		if err := c.BreakGlass[i].check(); err != nil {
			return sekisho.Errorf(sekisho.Invalid, "break_glass[%d]: %w", i, err)
		}
	}
	if c.Certificate.Secret != "" && c.Namespace == "" {
		return sekisho.Errorf(sekisho.Invalid, "namespace: want the one of certificate.secret")
	}
	return c.Certificate.check()
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// controllers are the service accounts by which Kubernetes makes pods of what
// others made.
func controllers() []string {
	out := []string{"system:kube-controller-manager"}
	for _, name := range []string{"deployment", "replicaset", "statefulset", "daemon-set", "job", "cronjob", "replication"} {
		out = append(out, "system:serviceaccount:kube-system:"+name+"-controller")
	}
	return out
}

func (c *Config) words() error {
	if len(c.Policies) == 0 {
		return sekisho.Errorf(sekisho.Invalid, "policies: want at least one; without, everything would pass")
	}
	if c.Facts == "" || c.Audit == "" {
		return sekisho.Errorf(sekisho.Invalid, "facts and audit: want a directory for each")
	}
	if !slices.Contains([]string{"en", "ja", "both"}, c.Language) {
		return source.Wrong("language", c.Language, "en", "ja", "both")
	}
	if err := failure(c.Failure); err != nil {
		return err
	}
	if err := pinning(c.Pin); err != nil {
		return err
	}
	if err := within(c.Deadline); err != nil {
		return err
	}
	for _, l := range [][]string{c.Resolve.Only, c.Resolve.Insecure, c.Resolve.Immutable, c.Controllers} {
		if err := scope.CheckGlobs(l, false); err != nil {
			return err
		}
	}
	if c.Resolve.TTL < time.Second || c.Keep < 1 || c.InFlight < 1 || c.Resolve.MaxImages < 1 {
		return sekisho.Errorf(sekisho.Invalid, "resolve.ttl is at least 1s; keep, in_flight and resolve.max_images at least 1")
	}
	if err := c.Sessions.check("sessions"); err != nil {
		return err
	}
	return c.Nodes.check("nodes")
}

func failure(s string) error {
	if s != Open && s != Closed {
		return source.Wrong("failure", s, Open, Closed)
	}
	return nil
}

func pinning(s string) error {
	if s != "" && s != PinPods && s != PinAll {
		return source.Wrong("pin", s, PinPods, PinAll)
	}
	return nil
}

func within(d time.Duration) error {
	if d < 10*time.Millisecond || d > maxDeadline {
		return sekisho.Errorf(sekisho.Invalid, "deadline: %s, want 10ms to %s, and less than the webhook's timeoutSeconds", d, maxDeadline)
	}
	return nil
}

func (c *Config) scope(s *Scope) error {
	if len(s.Namespaces) == 0 {
		return sekisho.Errorf(sekisho.Invalid, "namespaces: want at least one pattern, as * for all")
	}
	if err := scope.CheckGlobs(s.Namespaces, false); err != nil {
		return err
	}
	def(&s.Name, strings.Join(s.Namespaces, ","))
	def(&s.Failure, c.Failure)
	def(&s.Deadline, c.Deadline)
	def(&s.Environment, c.Environment)
	if s.Pin == nil {
		s.Pin = &c.Pin
	}
	if s.Sessions == nil {
		s.Sessions = &c.Sessions
	}
	for _, err := range []error{failure(s.Failure), pinning(*s.Pin), within(s.Deadline), s.Sessions.check("sessions")} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) check(field string) error {
	def(&s.Action, sekisho.Allow)
	if !slices.Contains([]string{sekisho.Allow, sekisho.Warn, sekisho.Deny}, s.Action) {
		return source.Wrong(field+".action", s.Action, sekisho.Allow, sekisho.Warn, sekisho.Deny)
	}
	return scope.CheckGlobs(slices.Concat(s.Users, s.Groups), false)
}

func (g *Grant) check() error {
	switch {
	case len(g.Users)+len(g.Groups) == 0:
		return sekisho.Errorf(sekisho.Invalid, "want users or groups")
	case len(g.Namespaces) == 0:
		return sekisho.Errorf(sekisho.Invalid, "namespaces: want at least one pattern")
	case g.Until.IsZero():
		return sekisho.Errorf(sekisho.Invalid, "until is missing: say when it ends, as 2026-12-01T18:00:00Z")
	case g.Reason == "" || g.Owner == "":
		return sekisho.Errorf(sekisho.Invalid, "want a reason and an owner")
	}
	return scope.CheckGlobs(slices.Concat(g.Users, g.Groups, g.Namespaces), false)
}

func (c *Certificate) check() error {
	kept := 0
	for _, where := range []string{c.Directory, c.Secret, c.Cert} {
		if where != "" {
			kept++
		}
	}
	switch {
	case kept != 1:
		return sekisho.Errorf(sekisho.Invalid, "certificate: want one of directory, secret, and cert with key")
	case (c.Cert == "") != (c.Key == ""):
		return sekisho.Errorf(sekisho.Invalid, "certificate: cert and key go together")
	case c.Cert == "" && len(c.Names) == 0:
		return sekisho.Errorf(sekisho.Invalid, "certificate.names: want the names that the API server calls, as sekisho.sekisho.svc")
	case c.Settle < 0 || c.Life < 10*time.Second || c.AuthorityLife < c.Life:
		return sekisho.Errorf(sekisho.Invalid, "certificate: life is at least 10s, and authority_life not less")
	}
	return nil
}

// Asks reports whether a registry may be asked. Who makes pods chooses the
// names in them, and could send the gate anywhere.
func (r *Resolve) Asks(registry string) bool {
	return !r.Off && (len(r.Only) == 0 || scope.Any(r.Only, registry))
}

// scopeOf is the scope of a namespace; what none names is treated as the
// configuration says for all.
func (c *Config) scopeOf(namespace string) *Scope {
	for i := range c.Scopes {
		if scope.Any(c.Scopes[i].Namespaces, namespace) {
			return &c.Scopes[i]
		}
	}
	return &Scope{Name: "*", Failure: c.Failure, Deadline: c.Deadline, Pin: &c.Pin, Environment: c.Environment, Sessions: &c.Sessions}
}

// holds reports whether a user is named by patterns of users or groups.
func holds(users, groups []string, name string, of []string) bool {
	return scope.Any(users, name) || slices.ContainsFunc(of, func(g string) bool { return scope.Any(groups, g) })
}

// grant is the first that lets a user pass in a namespace now.
func (c *Config) grant(user string, groups []string, namespace string, now time.Time) *Grant {
	for i := range c.BreakGlass {
		g := &c.BreakGlass[i]
		if now.Before(g.Until) && scope.Any(g.Namespaces, namespace) && holds(g.Users, g.Groups, user, groups) {
			return g
		}
	}
	return nil
}

// granted reports whether anybody may pass in a namespace now.
func (c *Config) granted(namespace string, now time.Time) *Grant {
	for i := range c.BreakGlass {
		if g := &c.BreakGlass[i]; now.Before(g.Until) && scope.Any(g.Namespaces, namespace) {
			return g
		}
	}
	return nil
}
