package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit/authz"
	"sekisho/i18n"
	"sekisho/internal/atomicfile"
	"sekisho/policy/fact"
	"sekisho/report/format"
)

// Where the gate of a Docker engine is by default.
const (
	dockerRulesName  = "/etc/sekisho/docker.yaml"
	dockerSocketName = "/run/docker/plugins/sekisho.sock" // the engine's authorization-plugins names it "sekisho"
)

func (a *app) admitDockerCommand(shared *admitFlags) *cobra.Command {
	t := a.texts.Text
	root := &cobra.Command{Use: "docker", Short: t("cli.admit.docker"), Long: t("cli.admit.docker.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var rules, socket string
	serve := &cobra.Command{Use: "serve", Short: t("cli.admit.docker.serve"), Long: t("cli.admit.docker.serve.long"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dockerServe(cmd.Context(), shared, rules, socket) }}
	serve.Flags().StringVar(&rules, "rules", dockerRulesName, t("cli.flag.docker_rules"))
	serve.Flags().StringVar(&socket, "socket", dockerSocketName, t("cli.flag.docker_socket"))
	check := &cobra.Command{Use: "check FILE", Short: t("cli.admit.docker.check"), Args: usageArgs(cobra.ExactArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := openDockerRules(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "%s: %s\n", visible(args[0]), a.texts.Text("cli.admit.docker.ok", "count", len(r.Rules)))
			return nil
		}}
	root.AddCommand(serve, check)
	return root
}

func openDockerRules(name string) (*authz.Rules, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open rules of the Docker gate: %w", err)
	}
	defer f.Close()
	r, err := authz.ParseRules(f, name)
	if err != nil {
		return nil, usage(err)
	}
	return r, nil
}

// dockerServe answers a Docker engine until the context ends.
func (a *app) dockerServe(ctx context.Context, shared *admitFlags, name, socket string) error {
	a.keepServing()
	c, err := a.admitConfig(shared)
	if err != nil {
		return err
	}
	rules, err := openDockerRules(name)
	if err != nil {
		return err
	}
	if rules.Engine == "" {
		rules.Engine = a.Getenv("DOCKER_HOST")
	}
	token := rand.Text()
	if err := shareToken(c, token); err != nil {
		return err
	}
	here := *a // looks at the engine that it guards, with its token
	here.engine = engineAt{host: rules.Engine, header: authz.Header(token)}
	g, err := here.openGate(c, "docker")
	if err != nil {
		return err
	}
	defer g.Close()
	engine, err := authz.NewEngine(rules.Engine, token, g.Now)
	if err != nil {
		return err
	}
	var current atomic.Pointer[authz.Rules]
	current.Store(rules)
	handler := authz.New(authz.Options{Rules: current.Load, Gate: g.Gate, Engine: engine, Log: g.log, Token: token, Text: g.texts.Text, Say: g.say, Now: g.Now,
		Real: filepath.EvalSymlinks, Deadline: c.deadline, Request: c.request()})
	l, err := listen(socket)
	if err != nil {
		return err
	}
	go g.watch(ctx, a, rulesEvery)
	go watchFile(ctx, name, rulesEvery, func() {
		fresh, err := openDockerRules(name)
		if err != nil {
			fmt.Fprintf(a.Stderr, "sekisho: %s: %s\n", a.texts.Text("cli.admit.old_rules"), visible(err.Error()))
			return
		}
		fresh.Engine = rules.Engine
		current.Store(fresh)
		a.note("cli.admit.new_rules")
	})
	a.note("cli.admit.docker.serving", "socket", socket, "rules", len(rules.Rules))
	return serveUntil(ctx, l, handler)
}

// tokenName is the file, below the directory of facts and for root only, that
// lets other gates of this machine look things up at the engine.
const tokenName = "docker.token"

// shareToken lets the other gates of this machine look up and scan at the
// engine past the rules for users. Who may read the file may read facts' place.
func shareToken(c *admitConfig, token string) error {
	if err := os.MkdirAll(c.Facts, 0o755); err != nil {
		return fmt.Errorf("share the token: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(c.Facts, tokenName), 0o600, []byte(token)); err != nil {
		return fmt.Errorf("share the token: %w", err)
	}
	return nil
}

// throughGate is the program with the token of the Docker gate, where there is
// one: what it looks up is not gated.
func (a *app) throughGate(c *admitConfig) *app {
	here := *a
	if here.engine.header != nil {
		return &here
	}
	token, err := os.ReadFile(filepath.Join(c.Facts, tokenName))
	if err == nil && len(token) < 100 && !strings.ContainsAny(string(token), "\r\n") {
		here.engine.header = authz.Header(string(token))
	}
	return &here
}

// rulesEvery is how often files of rules are looked at.
const rulesEvery = 2 * time.Second

// request is what the configuration says of every question.
func (c *admitConfig) request() fact.Request {
	r := fact.Request{Stage: fact.Run}
	if c.Environment != "" {
		r.Environment = &c.Environment
	}
	if host, err := os.Hostname(); err == nil {
		r.Host = &host
	}
	return r
}

// listen makes a Unix socket for root only. One that nobody serves any more is
// replaced, one that is served is not.
func listen(name string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", name, time.Second); err == nil {
		conn.Close()
		return nil, sekisho.Errorf(sekisho.Unavailable, "%s is served by another process", name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if info, err := os.Lstat(name); err == nil && info.Mode().Type() == os.ModeSocket {
		if err := os.Remove(name); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	next := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)) // until it is for root only
	_ = os.Remove(next)                                                // what a crash left
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: next, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(next, 0o600), os.Rename(next, name)); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), l.Close())
	}
	return &placed{Listener: l, name: name}, nil
}

// placed removes its socket when it is closed.
type placed struct {
	net.Listener
	name string
}

// Close closes and removes the socket.
func (p *placed) Close() error { return errors.Join(p.Listener.Close(), os.Remove(p.name)) }

// serveUntil serves HTTP until the context ends, then lets what runs finish.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.Shutdown(stop)
}

// watchFile calls changed when a file changes, until the context ends.
func watchFile(ctx context.Context, name string, every time.Duration, changed func()) {
	stamp := func() string {
		info, err := os.Stat(name)
		if err != nil {
			return ""
		}
		return fmt.Sprint(info.ModTime().UnixNano(), info.Size())
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := stamp(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := stamp(); now != last && now != "" {
			last = now
			changed()
		}
	}
}

// say is a denial in a line of the gate's language.
func (g *gate) say(d *sekisho.Decision) string { return sayDecision(d, g.texts) }

// maxSaid is how many reasons a line names.
const maxSaid = 5

// sayDecision words a denial for one line: by which policies, why, what to do.
func sayDecision(d *sekisho.Decision, texts *i18n.Printer) string {
	format.Describe(&sekisho.Report{Decision: d}, texts)
	policies, reasons := d.Denial()
	out := ""
	for _, x := range reasons[:min(len(reasons), maxSaid)] {
		out += "; " + x.Message
		if x.Fix != "" {
			out += " → " + x.Fix
		}
	}
	if len(reasons) > maxSaid {
		out += "; " + texts.Text("cli.admit.more", "count", len(reasons)-maxSaid)
	}
	return visible("sekisho: " + texts.Text("cli.denied", "count", len(reasons), "policy", strings.Join(policies, ", ")) + out)
}
