// Package nri is the gate inside containerd 2: a plugin of the Node Resource
// Interface that judges a container of Kubernetes before it is made, static
// pods and what passed the API by included. What the runtime tells of pod and
// container comes in; nothing, or an error that becomes the pod's status, goes
// out. It never changes a container. When it is not there or too slow, the
// runtime decides: required_plugins in its settings makes it fail closed.
package nri

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/node"
	"sekisho/policy/fact"
)

// Name is the plugin's name for required_plugins, and index its place among
// others: late, so that it sees what they changed.
const Name, index = "sekisho", "90"

// Image is which image a name stands for.
type Image struct {
	Digest sekisho.Digest
	Source string // where a scanner finds it
}

// Options of the plugin. All but Socket are required.
type Options struct {
	Socket   string // of the runtime; empty for /var/run/nri/nri.sock
	Ask      func(context.Context, admit.Question) (node.Answer, error)
	Lookup   func(ctx context.Context, runtime, name string) (Image, error) // for runtimes that tell no digest
	APIGate  bool                                                           // a gate at the API judges what is new: what it let in counts as let in here
	OnError  string                                                         // deny or allow, when there is no answer
	Deadline time.Duration                                                  // of one decision; the runtime gives up after 2 s by default
	Text     func(key string, pairs ...any) string
	Tell     func(key string, pairs ...any) // what happens to the connection
	Every    time.Duration                  // how long to wait before connecting again
}

// Serve judges until the context ends. It connects again when the runtime goes.
func Serve(ctx context.Context, o Options) error {
	for {
		err := serve(ctx, &o)
		if ctx.Err() != nil {
			return nil
		}
		o.Tell("cli.admit.nri.lost", "error", err)
		again := time.NewTimer(o.Every)
		select {
		case <-ctx.Done():
			again.Stop()
			return nil
		case <-again.C:
		}
	}
}

func serve(ctx context.Context, o *Options) error {
	p := &plugin{Options: o}
	options := []stub.Option{stub.WithPluginName(Name), stub.WithPluginIdx(index), stub.WithLogger(silent{}), stub.WithOnClose(func() {}),
		stub.WithFailurePolicy(&api.FailurePolicy{FailRequest: o.OnError != sekisho.Allow, KeepConnected: true})}
	if o.Socket != "" {
		options = append(options, stub.WithSocketPath(o.Socket))
	}
	s, err := stub.New(p, options...)
	if err != nil {
		return fmt.Errorf("plugin of NRI: %w", err)
	}
	return s.Run(ctx)
}

// silent is a log that nobody reads: libraries are silent.
type silent struct{}

// Debugf and the like drop what they get.
func (silent) Debugf(context.Context, string, ...any) {}
func (silent) Infof(context.Context, string, ...any)  {}
func (silent) Warnf(context.Context, string, ...any)  {}
func (silent) Errorf(context.Context, string, ...any) {}

type plugin struct {
	*Options
	runtime string // that this is a plugin of
}

// Configure says that the plugin is known to the runtime.
func (p *plugin) Configure(_ context.Context, _, runtime, version string) (api.EventMask, error) {
	p.runtime = runtime
	p.Tell("cli.admit.nri.serving", "runtime", runtime+" "+version)
	return 0, nil
}

// CreateContainer judges a container before it is made.
func (p *plugin) CreateContainer(ctx context.Context, pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Deadline)
	defer cancel()
	i, err := p.image(ctx, pod, c)
	if err != nil {
		return nil, nil, p.failed(err)
	}
	a, err := p.Ask(ctx, admit.Question{Gate: "nri", Actor: "runtime", Action: "create", Subject: "pods/" + pod.GetNamespace() + "/" + pod.GetName() + "/" + c.GetName(), Images: []admit.Image{i},
		Details: map[string]string{"container": c.GetId(), "pod": pod.GetUid(), "static": strconv.FormatBool(static(pod))}})
	switch {
	case err != nil:
		return nil, nil, p.failed(err)
	case a.Error != "":
		return nil, nil, p.failed(errors.New(a.Error))
	case a.Result == sekisho.Deny:
		return nil, nil, errors.New(a.Message)
	}
	return nil, nil, nil
}

func (p *plugin) failed(err error) error {
	if p.OnError == sekisho.Allow {
		return nil
	}
	return errors.New("sekisho: " + p.Text("runtime.failed", "error", err))
}

// static tells a pod that the API server did not make.
func static(pod *api.PodSandbox) bool {
	source := pod.GetAnnotations()["kubernetes.io/config.source"]
	return source != "" && source != "api"
}

// nameKeys are where containerd writes the image's name, and CRI-O its own.
func nameKeys() []string {
	return []string{"io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"}
}

// CRIO is the name by which CRI-O introduces itself.
const CRIO = "cri-o"

// exact is by what an image is looked up: CRI-O writes the identity that a name
// stood for. Of another runtime a pod may have written that itself.
func (p *plugin) exact(c *api.Container, name string) string {
	if id := c.GetAnnotations()["io.kubernetes.cri-o.ImageRef"]; p.runtime == CRIO && id != "" {
		return id
	}
	return name
}

// image is the container's image with how it is to run. Newer runtimes tell the
// digest themselves; of the others the name is looked up.
// The annotations by which the kubelet tells how often it started a container
// anew, and who gave it the pod; those of users do not come through.
const restarts, from = "io.kubernetes.container.restartCount", "kubernetes.io/config.source"

// again reports whether what was let in before starts once more: a container of
// a pod that runs, or a pod that a gate at the API let pass.
func (p *plugin) again(pod *api.PodSandbox, c *api.Container) bool {
	n, err := strconv.Atoi(c.GetAnnotations()[restarts])
	return err == nil && n > 0 || p.APIGate && pod.GetAnnotations()[from] == "api"
}

func (p *plugin) image(ctx context.Context, pod *api.PodSandbox, c *api.Container) (admit.Image, error) {
	name := c.GetImage().GetName()
	for _, key := range nameKeys() {
		if name == "" {
			name = c.GetAnnotations()[key]
		}
	}
	i := admit.Image{Reference: name, Request: fact.Request{Stage: fact.Run, Again: p.again(pod, c), Workload: workload(pod, c)}}
	for _, d := range []string{c.GetImage().GetConfigDigest(), c.GetImage().GetDigest()} {
		if i.Digest == "" && sekisho.Digest(d).Validate() == nil {
			i.Digest = sekisho.Digest(d)
		}
	}
	if name == "" && i.Digest == "" {
		return i, sekisho.Errorf(sekisho.NotFound, "the runtime does not tell the image of container %s", c.GetName())
	}
	found, err := p.Lookup(ctx, p.runtime, p.exact(c, name))
	if err != nil && i.Digest == "" {
		return i, err
	}
	if i.Source = found.Source; i.Digest == "" {
		i.Digest = found.Digest
	}
	if strings.HasPrefix(name, "sha256:") {
		i.Reference = "" // an identity is no name that a policy could trust
	}
	return i, nil
}
