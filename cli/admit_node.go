package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/node"
	"sekisho/admit/nri"
	"sekisho/audit"
	"sekisho/image/containerd"
	"sekisho/image/storage"
)

// nodeSocketName is where the gates of a node ask.
const nodeSocketName = "/run/sekisho/admit.sock"

func (a *app) admitNodeCommand(shared *admitFlags) *cobra.Command {
	t := a.texts.Text
	root := &cobra.Command{Use: "node", Short: t("cli.admit.node"), Long: t("cli.admit.node.long"), Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var socket, runtime string
	var plugin bool
	serve := &cobra.Command{Use: "serve", Short: t("cli.admit.node.serve"), Args: usageArgs(cobra.NoArgs), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.nodeServe(cmd.Context(), shared, socket, plugin, runtime)
		}}
	serve.Flags().StringVar(&socket, "socket", nodeSocketName, t("cli.flag.node_socket"))
	serve.Flags().BoolVar(&plugin, "nri", false, t("cli.flag.nri"))
	serve.Flags().StringVar(&runtime, "nri-socket", "", t("cli.flag.nri_socket"))
	root.AddCommand(serve)
	return root
}

// nodeServe answers the gates of this node until the context ends.
func (a *app) nodeServe(ctx context.Context, shared *admitFlags, socket string, plugin bool, runtime string) error {
	a.keepServing()
	c, err := a.admitConfig(shared)
	if err != nil {
		return err
	}
	g, err := a.openGate(c, "registry")
	if err != nil {
		return err
	}
	defer g.Close()
	l, err := listen(socket)
	if err != nil {
		return err
	}
	go g.watch(ctx, a, rulesEvery)
	a.note("cli.admit.node.serving", "socket", socket)
	if !plugin {
		return node.Serve(ctx, l, c.deadline, g.decideNode)
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return node.Serve(ctx, l, c.deadline, g.decideNode) })
	both.Go(func() error { return nri.Serve(ctx, a.nri(g, runtime)) })
	return both.Wait()
}

// nriDeadline is below the time after which a runtime gives up, 2 s.
const nriDeadline = 1800 * time.Millisecond

// nri is the plugin of the Node Resource Interface over this process's gate.
func (a *app) nri(g *gate, socket string) nri.Options {
	return nri.Options{Socket: socket, APIGate: g.config.APIGate, OnError: g.config.OnError, Deadline: min(g.config.deadline, nriDeadline), Text: g.texts.Text, Tell: a.note, Every: time.Second,
		Ask: func(ctx context.Context, q admit.Question) (node.Answer, error) { return g.decideNode(ctx, q), nil },
		Lookup: func(ctx context.Context, runtime, name string) (nri.Image, error) {
			if runtime == nri.CRIO {
				return a.stored(name)
			}
			i, err := containerd.Lookup(ctx, name, containerd.Options{Address: a.Getenv("CONTAINERD_ADDRESS"), Namespace: kubernetesSpace})
			if err != nil {
				return nri.Image{}, err
			}
			return nri.Image{Digest: i.Digests[0], Source: "containerd/" + kubernetesSpace + ":" + name}, nil
		}}
}

// stored looks an image up in the files of CRI-O.
func (a *app) stored(name string) (nri.Image, error) {
	i, err := storage.Lookup(name, a.storageOptions(sekisho.Platform{}))
	if err != nil {
		return nri.Image{}, err
	}
	if len(i.Digests) == 0 {
		return nri.Image{}, sekisho.Errorf(sekisho.Corrupt, "the storage tells no digest of image %s", name)
	}
	return nri.Image{Digest: i.Digests[0], Source: "storage:" + name}, nil
}

// kubernetesSpace is containerd's namespace for Kubernetes.
const kubernetesSpace = "k8s.io"

// decideNode judges a question of a gate on this node. What is asked about no
// image was decided by the gate that asks, and is noted.
func (g *gate) decideNode(ctx context.Context, q admit.Question) node.Answer {
	if len(q.Images) == 0 {
		return g.noted(q)
	}
	request := g.config.request()
	for i := range q.Images {
		q.Images[i].Request.Environment, q.Images[i].Request.Host = request.Environment, request.Host
	}
	a, err := g.Decide(ctx, q)
	if err != nil {
		return node.Answer{Result: sekisho.Deny, Error: err.Error()}
	}
	out := node.Answer{Result: a.Result}
	for _, d := range a.Images {
		if d.Result == a.Result && a.Result != sekisho.Allow {
			out.Message = g.say(d)
		}
	}
	return out
}

func (g *gate) noted(q admit.Question) node.Answer {
	result := q.Details["decided"]
	if result != sekisho.Allow {
		result = sekisho.Deny
	}
	e := audit.Entry{Time: g.Now(), Actor: q.Actor, Action: q.Action, Gate: q.Gate, Subject: q.Subject, Result: result, Details: q.Details}
	if err := g.log.Append(e); err != nil {
		return node.Answer{Result: sekisho.Deny, Error: err.Error()}
	}
	return node.Answer{Result: result, Message: strings.TrimSpace(q.Details["reason"])}
}
