package container

import (
	"context"
	"maps"
	"path"
	"strings"
	"time"

	"sekisho/image/containerd"
)

// Bounds of one question to containerd, and of the time until the next.
const (
	askWithin = 3 * time.Second
	askAgain  = time.Second
)

// place is where containerd keeps a container.
type place struct{ address, namespace string }

// shim reads the command line of a shim of containerd: its container, and
// where to ask about it.
func shim(args []string) (id string, p place) {
	if len(args) == 0 || !strings.Contains(args[0], "shim") {
		return "", p
	}
	for i := 1; i+1 < len(args); i++ {
		switch strings.TrimPrefix(args[i], "-") {
		case "-id", "id":
			id = args[i+1]
		case "-namespace", "namespace":
			p.namespace = args[i+1]
		case "-address", "address":
			p.address = args[i+1]
		}
	}
	return id, p
}

// conmon reads the command line of the monitor of CRI-O and Podman.
func conmon(args []string) (id, bundle string) {
	if path.Base(args[0]) != "conmon" {
		return "", ""
	}
	for i := 1; i+1 < len(args); i++ {
		switch args[i] {
		case "-c", "--cid":
			id = args[i+1]
		case "-b", "--bundle":
			bundle = args[i+1]
		}
	}
	if !hex64(id) || !path.IsAbs(bundle) {
		return "", ""
	}
	return id, bundle
}

// Run asks containerd for what its files do not tell, the name and digest of
// an image, until the context ends. Events do not wait for it: what it learns
// is in the containers of later ones.
func (t *Tracker) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-t.asks:
			t.ask(ctx, k)
		}
	}
}

// want has containerd asked about a container that lacks its image, a few
// times at most.
func (t *Tracker) want(k *known) {
	if k.container.Runtime != "containerd" || k.container.ImageDigest != "" || k.questions >= maxTries || t.o.Now().Sub(k.asked) < askAgain {
		return
	}
	select {
	case t.asks <- k:
		k.questions++
		k.asked = t.o.Now().Add(askWithin) // not again before there was time to answer
	default: // a flood of containers
	}
}

func (t *Tracker) ask(ctx context.Context, k *known) {
	t.mu.Lock()
	id, p := k.container.ID, t.where(k)
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	f, err := containerd.FactsOf(ctx, id, containerd.Options{Address: p.address, Namespace: p.namespace})
	if err != nil {
		t.mu.Lock()
		k.asked = t.o.Now()
		t.mu.Unlock()
		return // the container is gone, its runtime is another, or containerd is busy: it is asked again
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := *k.container
	if c.Image == "" {
		c.Image = f.Image
	}
	if c.ImageDigest == "" {
		c.ImageDigest = f.Digest
	}
	labels := maps.Clone(f.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, c.Labels)
	c.Labels = labels
	if c.Name == "" {
		c.Name = labels["nerdctl/name"]
	}
	c.Workload = WorkloadOf(&c)
	k.container = &c
}
