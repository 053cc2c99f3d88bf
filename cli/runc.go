package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/node"
	"sekisho/admit/runtime"
	"sekisho/i18n"
	"sekisho/image/containerd"
	"sekisho/image/storage"
)

// runtimeConfigName is read by the gate in a runtime's place.
const runtimeConfigName = "/etc/sekisho/runtime.yaml"

// asRuntime tells whether the program stands in a runtime's place: as
// sekisho runc, or by the name that it is called by.
func asRuntime(p Process) ([]string, bool) {
	if base := filepath.Base(p.Program); base == "runc" || base == "sekisho-runc" {
		return p.Args, true
	}
	if len(p.Args) > 0 && p.Args[0] == "runc" && !(len(p.Args) == 2 && (p.Args[1] == "--help" || p.Args[1] == "-h")) {
		return p.Args[1:], true
	}
	return nil, false
}

// runcCommand is there for its help; Main has run it before.
func (a *app) runcCommand() *cobra.Command {
	return &cobra.Command{Use: "runc [ARGUMENT...]", Short: a.texts.Text("cli.runc.short"), Long: a.texts.Text("cli.runc.long"), DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
}

// runtimeMain judges a call of a runtime, then becomes the runtime. It returns
// only when the call is denied or the runtime cannot be run.
func runtimeMain(ctx context.Context, p Process, args []string) int {
	a := &app{Process: p, texts: i18n.New(language(Process{Getenv: p.Getenv}))}
	c, err := openRuntime(p)
	if err != nil {
		call, _ := runtime.Parse(args)
		return a.refuse(call, "sekisho: "+a.texts.Text("runtime.failed", "error", err))
	}
	g := &runtime.Gate{Config: c, Text: a.texts.Text, Containerd: atContainerd(c.Containerd), Storage: inStorage(c.Storage), Base: baseOf(c.Containerd), Ask: a.asker(c)}
	call, message := g.Check(ctx, args)
	if message != "" {
		return a.refuse(call, message)
	}
	err = syscall.Exec(c.Runtime, append([]string{c.Runtime}, args...), os.Environ())
	return a.refuse(call, fmt.Sprintf("sekisho: run %s: %v", c.Runtime, err))
}

func (a *app) refuse(call *runtime.Command, message string) int {
	if err := runtime.Report(call, visible(message), time.Now().UTC(), a.Stderr); err != nil {
		fmt.Fprintf(a.Stderr, "sekisho: %v\n", err)
	}
	return statusFailed
}

// openRuntime reads the configuration and sees that the runtime is another
// program than this one.
func openRuntime(p Process) (*runtime.Config, error) {
	name := p.Getenv("SEKISHO_RUNTIME_CONFIG")
	if name == "" {
		name = runtimeConfigName
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "open configuration of the runtime gate: %w", err)
	}
	defer f.Close()
	c, err := runtime.ParseConfig(f, name)
	if err != nil {
		return nil, err
	}
	theirs, err := os.Stat(c.Runtime)
	if err != nil {
		return nil, err
	}
	if self, err := os.Stat("/proc/self/exe"); err == nil && os.SameFile(self, theirs) {
		return nil, sekisho.Errorf(sekisho.Usage, "%s: runtime %s is sekisho itself", name, c.Runtime)
	}
	return c, nil
}

// asker asks the process that serves the node, or decides here when none is
// configured.
func (a *app) asker(c *runtime.Config) func(context.Context, admit.Question) (node.Answer, error) {
	if c.Socket != "" {
		return func(ctx context.Context, q admit.Question) (node.Answer, error) { return node.Ask(ctx, c.Socket, q) }
	}
	return func(ctx context.Context, q admit.Question) (node.Answer, error) {
		config, err := a.admitConfig(&admitFlags{})
		if err != nil {
			return node.Answer{}, err
		}
		g, err := a.openGate(config, "registry")
		if err != nil {
			return node.Answer{}, err
		}
		defer g.Close()
		return g.decideNode(ctx, q), nil
	}
}

// dockersContainerd is where Docker's own containerd listens, where there is no
// other one.
const dockersContainerd = "/run/docker/containerd/containerd.sock"

// baseOf asks the containerd that Docker keeps its images in.
func baseOf(address string) runtime.Base {
	if address == "" {
		if _, err := os.Stat(containerd.DefaultAddress); err != nil {
			address = dockersContainerd
		}
	}
	return func(ctx context.Context, upper string) (*runtime.Image, error) {
		i, err := containerd.Base(ctx, "overlayfs", upper, containerd.Options{Address: address, Namespace: "moby"})
		if err != nil {
			return nil, err
		}
		if len(i.Digests) == 0 {
			return nil, errors.New("containerd tells no digest of image " + i.Reference)
		}
		name := i.Digests[0] // by which the engine knows it: the index's, where there is one
		if len(i.Digests) > 2 {
			name = i.Digests[2]
		}
		return &runtime.Image{Reference: i.Reference, Digest: i.Digests[0], Source: "docker:" + string(name)}, nil
	}
}

// inStorage looks into the files of CRI-O and Podman.
func inStorage(roots []string) runtime.Storage {
	return func(id string) (*runtime.Image, error) {
		i, err := storage.Identify(id, storage.Options{Roots: roots})
		if err != nil {
			return nil, err
		}
		if len(i.Digests) == 0 {
			return nil, errors.New("the storage tells no digest of image " + i.Reference)
		}
		return &runtime.Image{Reference: i.Reference, Digest: i.Digests[0], Source: "storage:" + i.Reference, Name: i.Name, Namespace: i.Namespace, Pod: i.Pod}, nil
	}
}

// atContainerd asks containerd at an address.
func atContainerd(address string) runtime.Containerd {
	return func(ctx context.Context, namespace, id string) (*runtime.Image, error) {
		i, err := containerd.Identify(ctx, id, containerd.Options{Address: address, Namespace: namespace})
		if err != nil {
			return nil, err
		}
		if len(i.Digests) == 0 {
			return nil, errors.New("containerd tells no digest of image " + i.Reference)
		}
		return &runtime.Image{Reference: i.Reference, Digest: i.Digests[0], Source: "containerd/" + namespace + ":" + i.Reference, Labels: i.Labels}, nil
	}
}
