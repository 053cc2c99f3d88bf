package authz

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"sekisho"
	"sekisho/admit"
	"sekisho/policy/fact"
)

// understand finds out what a call is about: the images to judge, the container
// and what it needs. When it cannot, it says why.
func (p *plugin) understand(ctx context.Context, q *request, body []byte) (images []admit.Image, why string) {
	var err error
	switch q.wants {
	case wantsCreate:
		images, err = p.create(ctx, q, body)
	case wantsStart:
		if q.before(24) {
			return nil, p.Text("docker.old_start") // it may change the container's host configuration
		}
		if rules := p.Rules(); rules.StartBy == "id" && !fullID(q.object) {
			return nil, p.Text("docker.by_id")
		}
		images, err = p.start(ctx, q)
	case wantsExec:
		var x struct{ Privileged bool }
		if err = decode(body, &x); err == nil {
			if x.Privileged {
				q.needs = []string{"privileged"}
			}
			err = p.identify(ctx, q)
		}
	case wantsProcess, wantsName:
		err = p.identify(ctx, q)
	case wantsVolume:
		err = p.volume(q, body)
	case wantsUpdate:
		var h hostConfig
		if err = decode(body, &h); err == nil {
			q.needs = h.needs(p.Real)
			err = p.identify(ctx, q)
		}
	}
	switch {
	case errors.Is(err, errNoBody):
		return nil, p.Text("docker.no_body")
	case err != nil:
		return nil, p.Text("docker.unread", "error", err)
	}
	return images, ""
}

func fullID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}

// create judges the body of containers/create. An image that the engine does
// not have is let pass: the engine refuses it, the client pulls it and asks
// again, and start is judged in any case.
func (p *plugin) create(ctx context.Context, q *request, body []byte) ([]admit.Image, error) {
	var c created
	if err := decode(body, &c); err != nil {
		return nil, err
	}
	h := c.HostConfig
	if h == nil {
		h = &hostConfig{}
	}
	q.image, q.needs = c.Image, append(h.needs(p.Real), c.hostConfigInline.needs(p.Real)...)
	n := &list{words: q.needs}
	networks := []string{h.NetworkMode, c.hostConfigInline.NetworkMode}
	if c.NetworkingConfig != nil {
		networks = n.joined(networks, c.NetworkingConfig.EndpointsConfig)
	}
	q.needs = n.sorted()
	if err := errors.Join(p.runtimes(ctx, q), p.networks(ctx, q, networks)); err != nil {
		return nil, err
	}
	if c.Image == "" {
		q.needs = append(q.needs, "no-image")
		return nil, nil
	}
	if c.HostConfig == nil {
		h = &c.hostConfigInline.hostConfig
	}
	w := h.workload(&c.config, q.query.Get("name"))
	return p.named(ctx, w, append(h.mounted(), c.Image)...)
}

// named are the images that names stand for, but for those that the engine does
// not have.
func (p *plugin) named(ctx context.Context, w *fact.Workload, names ...string) (images []admit.Image, err error) {
	for _, name := range names {
		id, err := p.Engine.image(ctx, name)
		var known *sekisho.Error
		if errors.As(err, &known) && known.Kind == sekisho.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		images = append(images, p.image(name, id, w))
	}
	return images, nil
}

// image is one to be judged.
func (p *plugin) image(name string, id sekisho.Digest, w *fact.Workload) admit.Image {
	i := admit.Image{Reference: name, Digest: id, Request: p.Request}
	i.Request.Stage, i.Request.Workload = fact.Run, w
	if strings.HasPrefix(name, "sha256:") || fullID(name) {
		i.Reference = "" // an identity is no name that a policy could trust
	}
	return i
}

// start judges a container by what the engine has of it: its image is fixed by
// then, whatever its name stands for.
func (p *plugin) start(ctx context.Context, q *request) ([]admit.Image, error) {
	c, err := p.Engine.container(ctx, q.object)
	if err != nil {
		return nil, err
	}
	q.container, q.id, q.image, q.needs = c.name(), c.ID, c.Config.Image, c.HostConfig.needs(p.Real)
	if name := q.query.Get("checkpoint"); name != "" { // what is in it is not the image's
		q.needs = append(q.needs, "checkpoint:"+path.Join(q.query.Get("checkpoint-dir"), name))
	}
	n := &list{words: q.needs}
	networks := n.joined([]string{c.HostConfig.NetworkMode}, c.NetworkSettings.Networks)
	q.needs = n.sorted()
	if err := errors.Join(p.runtimes(ctx, q), p.networks(ctx, q, networks)); err != nil {
		return nil, err
	}
	if c.Image == "" {
		q.needs = append(q.needs, "no-image")
		return nil, nil
	}
	w := c.HostConfig.workload(&c.Config, c.name())
	i := p.image(c.Config.Image, c.digest(), w)
	i.Source = "docker:" + string(c.Image)
	i.Request.Again = c.State.StartedAt.Year() > 1 // the engine writes year 1 where there was no start
	mounted, err := p.named(ctx, w, c.HostConfig.mounted()...)
	return append(mounted, i), err
}

// networks finds the network of the host under names of its own.
func (p *plugin) networks(ctx context.Context, q *request, names []string) error {
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if slices.Contains([]string{"", "default", "bridge", "none", "nat"}, name) || strings.HasPrefix(name, "container:") {
			continue
		}
		host := name == "host"
		if !host {
			var err error
			if host, err = p.Engine.hostNetwork(ctx, name); err != nil {
				return err
			}
		}
		if host && !slices.Contains(q.needs, "network:host") {
			q.needs = append(q.needs, "network:host")
		}
	}
	return nil
}

// runtimes takes out of what is needed the runtimes that are allowed by name
// and what the engine fills in by itself.
func (p *plugin) runtimes(ctx context.Context, q *request) error {
	d, err := p.Engine.defaults(ctx)
	if err != nil {
		return err
	}
	allowed := map[string]bool{"runtime:" + d.DefaultRuntime: true, "cgroupns:host": d.CgroupVersion == "1",
		"log-driver:" + d.LoggingDriver: q.wants == wantsStart, "log-driver:": slices.Contains(logsHere(), d.LoggingDriver)} // options of the default one
	for _, r := range p.Rules().Runtimes {
		allowed["runtime:"+r] = true
	}
	kept := q.needs[:0]
	for _, n := range q.needs {
		if !allowed[n] {
			kept = append(kept, n)
		}
	}
	q.needs = kept
	return nil
}

// identify asks which container is meant, when a rule or the audit log wants to
// know. Who names none that exists gets the engine's own answer.
func (p *plugin) identify(ctx context.Context, q *request) error {
	var c *container
	var err error
	if q.wants == wantsProcess {
		c, err = p.Engine.process(ctx, q.object)
	} else {
		c, err = p.Engine.container(ctx, q.object)
	}
	var known *sekisho.Error
	if errors.As(err, &known) && known.Kind == sekisho.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	q.container, q.id = c.name(), c.ID
	return nil
}

// volume judges the body of volumes/create: a local volume may be any place of
// the host.
func (p *plugin) volume(q *request, body []byte) error {
	var v struct {
		Driver            string
		DriverOpts        map[string]string
		ClusterVolumeSpec map[string]any
	}
	if err := decode(body, &v); err != nil {
		return err
	}
	n := &list{}
	for _, place := range hostPaths(v.DriverOpts) {
		n.add("mount", place)
		n.add("mount", resolved(place, p.Real))
	}
	if v.Driver != "local" {
		n.add("volume-driver", v.Driver)
	}
	q.needs = n.sorted()
	if v.ClusterVolumeSpec != nil {
		q.action = Swarm
	}
	return nil
}

// refused says why no rule allows a call, and what would help.
func (p *plugin) refused(q *request, no refusal) string {
	switch {
	case no.rule == "" && q.action == Other:
		return p.Text("docker.unknown", "call", clip(q.method+" "+q.path))
	case no.rule == "":
		return p.Text("docker.no_rule", "actor", q.actor(), "action", q.action)
	case len(no.needs) > 0:
		return p.Text("docker.no_grant", "actor", q.actor(), "grants", clip(strings.Join(no.needs, ", ")), "rule", no.rule)
	case no.image:
		return p.Text("docker.no_image", "actor", q.actor(), "image", clip(q.image), "rule", no.rule)
	}
	return p.Text("docker.no_container", "actor", q.actor(), "container", clip(q.container), "rule", no.rule)
}
