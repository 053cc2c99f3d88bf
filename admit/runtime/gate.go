package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"sekisho"
	"sekisho/admit"
	"sekisho/admit/node"
	"sekisho/policy/fact"
)

// Gate judges calls of a runtime. Config, Ask and Text are required.
type Gate struct {
	Config     *Config
	Ask        func(context.Context, admit.Question) (node.Answer, error)
	Containerd Containerd // nil where there is none
	Storage    Storage    // nil where there is none
	Base       Base       // of steps of BuildKit; nil where there is no containerd
	Mountinfo  string     // a file as /proc/self/mountinfo, which it is when left out
	Text       func(key string, pairs ...any) string
}

// Check judges a call. An empty message lets it pass.
func (g *Gate) Check(ctx context.Context, args []string) (c *Command, message string) {
	c, err := Parse(args)
	if !c.Gated() {
		return c, "" // also when the runtime will complain
	}
	ctx, cancel := context.WithTimeout(ctx, g.Config.deadline)
	defer cancel()
	if err != nil {
		return c, g.failed(err)
	}
	q, err := g.question(ctx, c)
	if err != nil {
		return c, g.failed(err)
	}
	if q == nil {
		return c, ""
	}
	a, err := g.Ask(ctx, *q)
	switch {
	case q.Details["decided"] == sekisho.Deny:
		return c, "sekisho: " + g.Text("runtime.exec")
	case err != nil:
		return c, g.failed(err)
	case a.Error != "":
		return c, g.failed(errors.New(a.Error))
	case a.Result == sekisho.Deny:
		return c, a.Message
	}
	return c, ""
}

// failed is what the failure mode says to a call that cannot be judged.
func (g *Gate) failed(err error) string {
	if g.Config.OnError == Allow {
		return ""
	}
	return "sekisho: " + g.Text("runtime.failed", "error", err)
}

// question asks whether the container may start.
func (g *Gate) question(ctx context.Context, c *Command) (*admit.Question, error) {
	q := &admit.Question{Gate: "runc", Actor: "runtime", Action: c.Name, Subject: "container/" + c.ID, Details: map[string]string{"container": c.ID}}
	if c.Name == "exec" {
		if g.Config.Exec == Allow {
			return nil, nil
		}
		q.Details["decided"] = sekisho.Deny
		return q, nil
	}
	dir, err := filepath.Abs(c.Bundle)
	if err != nil {
		return nil, err
	}
	b, err := ReadBundle(dir)
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	i, err := g.identify(ctx, c, b, dir)
	switch {
	case errors.Is(err, errBuild):
		q.Action = "build"
		if g.Config.Builds == Allow {
			q.Details["decided"] = sekisho.Allow
			return q, nil
		}
		if i == nil {
			i = &Image{}
		}
	case errors.Is(err, errNoImage) || sekisho.KindOf(err) == sekisho.NotFound:
		if g.Config.Unidentified == Allow {
			q.Details["decided"] = sekisho.Allow
			return q, nil
		}
		i = &Image{}
	case err != nil:
		return nil, err
	}
	switch {
	case i.Pod != "": // as the plugin of NRI names it
		q.Subject = path.Join("pods", i.Namespace, i.Pod, i.Name)
	case i.Name != "":
		q.Subject = "container/" + i.Name
	}
	q.Images = []admit.Image{g.image(b, i, c, dir)}
	return q, nil
}

func (g *Gate) image(b *Bundle, i *Image, c *Command, dir string) admit.Image {
	w := b.Workload(hostNamespace, g.own(c.ID, dir))
	w.Name, w.Container = i.Name, i.Name
	if i.Pod != "" {
		w.Kind, w.Name = "Pod", i.Pod
	}
	if i.Labels != nil {
		w.Labels = i.Labels
	}
	if i.Namespace != "" {
		w.Namespace = &i.Namespace
	}
	return admit.Image{Reference: i.Reference, Digest: i.Digest, Source: i.Source, Request: fact.Request{Stage: fact.Run, Again: i.Again, Workload: w}}
}

// own tells whether a path that is mounted belongs to the engine: what it makes
// for every container, and volumes.
func (g *Gate) own(id, dir string) func(string) bool {
	var heads []string
	for _, root := range g.Config.Docker {
		heads = append(heads, filepath.Join(root, "containers", id)+"/", filepath.Join(root, "volumes")+"/", filepath.Join(root, "buildkit")+"/")
	}
	if stored(dir, id) { // of its pod too
		heads = append(heads, filepath.Dir(filepath.Dir(dir))+"/")
	}
	for _, root := range g.Config.Storage {
		heads = append(heads, filepath.Join(root, "overlay-containers")+"/", filepath.Join(root, "volumes")+"/")
	}
	heads = append(heads, "/var/lib/containers/storage/overlay-containers/", "/var/lib/containers/storage/volumes/", "/var/lib/kubelet/pods/", "/var/lib/containerd/io.containerd.grpc.v1.cri/", "/run/containerd/io.containerd.grpc.v1.cri/", "/run/docker/containerd/")
	return func(p string) bool {
		for _, h := range heads {
			if strings.HasPrefix(p, h) {
				return true
			}
		}
		return false
	}
}

// hostNamespace tells whether a file is the namespace of the host's first
// process.
func hostNamespace(path, kind string) bool {
	a, err := os.Stat(path)
	if err != nil {
		return true // the runtime will fail; until then it counts as the worst
	}
	b, err := os.Stat("/proc/1/ns/" + kind)
	return err != nil || os.SameFile(a, b)
}

// Report writes a denial as the runtime writes its errors: into its log file,
// in the form that was asked for, and to standard error.
func Report(c *Command, message string, now time.Time, stderr io.Writer) error {
	line := fmt.Sprintf("time=%q level=error msg=%q\n", now.Format(time.RFC3339), message)
	if c.LogFormat == "json" {
		doc, err := json.Marshal(map[string]string{"level": "error", "msg": message, "time": now.Format(time.RFC3339)})
		if err != nil {
			return err
		}
		line = string(doc) + "\n"
	}
	_, err := io.WriteString(stderr, message+"\n")
	if c.Log == "" {
		return err
	}
	f, failed := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if failed != nil {
		return failed
	}
	_, failed = f.WriteString(line)
	return errors.Join(err, failed, f.Close())
}
