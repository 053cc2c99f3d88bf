package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/webhook"
	"sekisho/admit/webhook/certificate"
	"sekisho/admit/webhook/cluster"
	"sekisho/audit"
	"sekisho/image/registry"
	"sekisho/policy/ready"
	"sekisho/policy/scope"
	"sekisho/store"
)

func (a *app) admitServeCommand(f *admitFlags) *cobra.Command {
	t := a.texts.Text
	return &cobra.Command{Use: "serve --config FILE", Short: t("cli.admit.serve.short"), Long: t("cli.admit.serve.long"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.admitServe(cmd.Context(), f) }}
}

// webhookConfig reads the configuration; paths in it are relative to it.
func webhookConfig(f *admitFlags) (*webhook.Config, error) {
	if f.config == "" {
		return nil, sekisho.Errorf(sekisho.Usage, "no configuration").WithHint("--config admit.yaml; docs/admission-kubernetes.md describes it")
	}
	file, err := os.Open(f.config)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open configuration: %w", err)
	}
	defer file.Close()
	c, err := webhook.ParseConfig(file, f.config)
	if err != nil {
		return nil, usage(err)
	}
	dir := filepath.Dir(f.config)
	for _, p := range []*string{&c.Exceptions, &c.Trust, &c.Approvers, &c.Facts, &c.Audit, &c.Database, &c.ClientCA, &c.API.CA, &c.API.Token, &c.Certificate.Directory, &c.Certificate.Cert, &c.Certificate.Key} {
		*p = below(dir, *p)
	}
	for _, l := range [][]string{c.Signatures, c.VEX} {
		for i := range l {
			l[i] = below(dir, l[i])
		}
	}
	for i, p := range c.Policies {
		if full := below(dir, p); !ready.Has(p) || isFile(full) {
			c.Policies[i] = full
		}
	}
	if len(f.policies) > 0 {
		c.Policies = f.policies
	}
	return c, nil
}

// admitServe guards a Kubernetes API until it is told to stop.
func (a *app) admitServe(ctx context.Context, f *admitFlags) error {
	a.keepServing()
	c, err := webhookConfig(f)
	if err != nil {
		return err
	}
	g, err := a.webhookGate(c)
	if err != nil {
		return err
	}
	defer g.Close()
	keys, err := a.certificates(c)
	if err != nil {
		return err
	}
	listeners, err := listenWebhook(c)
	if err != nil {
		return err
	}
	defer listeners.Webhook.Close()
	o := webhook.Options{Config: c, Gate: g.Gate, Log: g.log, Now: g.Now, Report: a.reporter()}
	if !c.Resolve.Off {
		o.Resolver = resolver{c.Resolve.Insecure}
	}
	health := "-"
	if listeners.Health != nil {
		defer listeners.Health.Close()
		health = listeners.Health.Addr().String()
	}
	a.note("cli.admit.serve.ready", "address", listeners.Webhook.Addr(), "health", health)
	inner, stop := context.WithCancel(ctx)
	defer stop()
	watching := make(chan struct{})
	go func() { g.watch(inner, a, 5*time.Second); close(watching) }()
	err = webhook.New(o).Run(ctx, listeners, keys, min(time.Minute, c.Certificate.Life/20))
	stop()
	<-watching
	return err
}

// reporter tells whoever runs the server.
func (a *app) reporter() func(string, error) {
	return func(message string, err error) {
		if err != nil {
			message += ": " + err.Error()
		}
		fmt.Fprintf(a.Stderr, "sekisho: %s %s\n", time.Now().UTC().Format(time.RFC3339), visible(message))
	}
}

// webhookGate makes the gate ready.
func (a *app) webhookGate(c *webhook.Config) (*gate, error) {
	shared := &admitConfig{Policies: c.Policies, Exceptions: c.Exceptions, Facts: c.Facts, Audit: c.Audit, Database: c.Database, Signatures: c.Signatures, VEX: c.VEX, VEXAttached: c.VEXAttached,
		Trust: c.Trust, Approvers: c.Approvers, attested: c.Attested, verify: cmp.Or(c.Verify, verifyEvery), plain: c.Resolve.Insecure}
	if c.VEXAttached && c.Trust == "" {
		return nil, errUnsignedVEX
	}
	if c.Attested < 0 || c.Attested > 0 && c.Trust == "" || c.Verify < 0 || c.Verify > 0 && c.Verify < time.Second {
		return nil, sekisho.Errorf(sekisho.Usage, "attested and verify: want durations, as 24h and 10m; attested goes with trust")
	}
	g := &gate{config: shared, texts: a.texts}
	rules, err := a.admitRules(shared)
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
	o := admit.Options{Facts: g.facts, Rules: func() admit.Rules { return *g.rules.Load() }, Log: g.log, Now: a.clockOf(), Keep: c.Keep}
	if c.Scan == nil || *c.Scan {
		plain := *shared
		plain.Insecure = true
		o.Scanner = scanners{&c.Resolve, a.scanner(shared, g.facts, "registry"), a.scanner(&plain, g.facts, "registry")}
	}
	g.Gate = admit.New(o)
	return g, nil
}

// scanners scan over TLS, but for registries that are said to have none.
type scanners struct {
	registries  *webhook.Resolve
	safe, plain admit.Scanner
}

// Scan implements admit.Scanner.
func (s scanners) Scan(ctx context.Context, reference string, digest sekisho.Digest) error {
	ref, err := scope.Parse(reference)
	if err != nil {
		return err
	}
	if !s.registries.Asks(ref.Registry) {
		return sekisho.Errorf(sekisho.NotFound, "registry %s is not asked", ref.Registry)
	}
	name := ref.Name()
	if ref.Tag != "" {
		name += ":" + ref.Tag // where an index may be that is signed
	}
	if scope.Any(s.registries.Insecure, ref.Registry) {
		return s.plain.Scan(ctx, name, digest)
	}
	return s.safe.Scan(ctx, name, digest)
}

// resolver asks registries. It implements webhook.Resolver.
type resolver struct{ insecure []string }

// Resolve implements webhook.Resolver.
func (r resolver) Resolve(ctx context.Context, reference string) (webhook.Resolved, error) {
	ref, err := scope.Parse(reference)
	if err != nil {
		return webhook.Resolved{}, err
	}
	found, err := registry.Current(ctx, reference, registry.Options{Insecure: scope.Any(r.insecure, ref.Registry)})
	if err != nil {
		return webhook.Resolved{}, err
	}
	out := webhook.Resolved{Digest: found.Digest}
	for _, m := range found.Manifests {
		out.Manifests = append(out.Manifests, webhook.Manifest(m))
	}
	return out, nil
}

// listenWebhook opens what the configuration names.
func listenWebhook(c *webhook.Config) (l webhook.Listeners, err error) {
	if c.ClientCA != "" {
		data, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return l, sekisho.Errorf(sekisho.Usage, "client_ca: %w", err)
		}
		l.ClientCA = x509.NewCertPool()
		if !l.ClientCA.AppendCertsFromPEM(data) {
			return l, sekisho.Errorf(sekisho.Usage, "client_ca: %s holds no certificate", c.ClientCA)
		}
	}
	if l.Webhook, err = net.Listen("tcp", c.Listen); err != nil {
		return l, sekisho.Errorf(sekisho.Usage, "listen: %w", err)
	}
	if c.Health != "-" {
		if l.Health, err = net.Listen("tcp", c.Health); err != nil {
			l.Webhook.Close()
			return l, sekisho.Errorf(sekisho.Usage, "health: %w", err)
		}
	}
	return l, nil
}

// inPod is where a pod finds its service account.
const inPod = "/var/run/secrets/kubernetes.io/serviceaccount/"

// certificates are the server's keys: those of somebody else, or its own.
func (a *app) certificates(c *webhook.Config) (webhook.Certificates, error) {
	k := &c.Certificate
	if k.Cert != "" {
		return &certificate.Files{Cert: k.Cert, Key: k.Key}, nil
	}
	o := certificate.Options{Store: certificate.Directory(k.Directory), Names: k.Names, Life: k.Life, AuthorityLife: k.AuthorityLife, Settle: k.Settle, Now: time.Now}
	if k.Secret == "" && len(k.Webhooks) == 0 {
		return certificate.New(o), nil
	}
	api := cluster.Options{Server: c.API.Server, Token: c.API.Token, CA: c.API.CA}
	if api.Server == "" {
		host, port := a.Getenv("KUBERNETES_SERVICE_HOST"), a.Getenv("KUBERNETES_SERVICE_PORT")
		if host == "" {
			return nil, sekisho.Errorf(sekisho.Usage, "certificate: there is no API server in the environment").WithHint("outside a pod: api: {server: https://…, token: FILE, ca: FILE}")
		}
		api = cluster.Options{Server: "https://" + net.JoinHostPort(host, port), Token: inPod + "token", CA: inPod + "ca.crt"}
	}
	client, err := cluster.New(api)
	if err != nil {
		return nil, err
	}
	if k.Secret != "" {
		o.Store = cluster.Secret{Client: client, Namespace: c.Namespace, Name: k.Secret}
	}
	if len(k.Webhooks) > 0 {
		o.Publisher = cluster.Webhooks{Client: client, Names: k.Webhooks}
	}
	return certificate.New(o), nil
}
