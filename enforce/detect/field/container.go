package field

import (
	"path"
	"strconv"
	"strings"

	"sekisho"
)

// ofContainer makes a getter of a string of the container.
func ofContainer(name string, get func(*Context, *sekisho.Container) string) Field {
	return Field{Name: name, Cost: 1, Get: func(x *Context, _ Arg, v *Value) bool {
		if x.Event.Container == nil {
			return false
		}
		v.S = get(x, x.Event.Container)
		return v.S != ""
	}}
}

// orHost is "host" outside of containers.
func orHost(name string, get func(*Context, *sekisho.Container) string) Field {
	f := ofContainer(name, get)
	inside := f.Get
	f.Cost = 0
	f.Get = func(x *Context, a Arg, v *Value) bool {
		if x.Event.Container == nil {
			v.S = "host"
			return true
		}
		return inside(x, a, v)
	}
	return f
}

// repository and tag cut a reference of an image.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[i+1:]
	}
	return ""
}

func shortID(id string) string { return id[:min(12, len(id))] }

func kubernetes(get func(*sekisho.Container) string) func(*Context, *sekisho.Container) string {
	return func(_ *Context, c *sekisho.Container) string {
		if c.Workload.Platform != "kubernetes" {
			return ""
		}
		return get(c)
	}
}

func containerFields() []Field {
	mount := func(name string, get func(*Context, *sekisho.Mount) string) Field {
		return Field{Name: name, Arg: MustKey, Cost: 6, Get: func(x *Context, a Arg, v *Value) bool {
			if x.Event.Container == nil {
				return false
			}
			m := findMount(x.Event.Container, a.Text, strings.HasSuffix(name, ".source"))
			if m == nil {
				v.S = "N/A" // rules compare with it
				return true
			}
			v.S = get(x, m)
			return v.S != ""
		}}
	}
	label := func(name string) Field {
		return Field{Name: name, Arg: MustKey, Cost: 2, Get: func(x *Context, a Arg, v *Value) (ok bool) {
			if x.Event.Container == nil {
				return false
			}
			v.S, ok = x.Event.Container.Labels[a.Text]
			return ok
		}}
	}
	return []Field{
		orHost("container.id", func(_ *Context, c *sekisho.Container) string { return shortID(c.ID) }),
		orHost("container.full_id", func(_ *Context, c *sekisho.Container) string { return c.ID }),
		orHost("container.name", func(_ *Context, c *sekisho.Container) string { return c.Name }),
		orHost("container.type", func(_ *Context, c *sekisho.Container) string { return c.Runtime }),
		ofContainer("container.image", func(_ *Context, c *sekisho.Container) string { return c.Image }),
		ofContainer("container.image.repository", func(_ *Context, c *sekisho.Container) string { return repository(c.Image) }),
		ofContainer("container.image.tag", func(_ *Context, c *sekisho.Container) string { return tag(c.Image) }),
		ofContainer("container.image.id", func(_ *Context, c *sekisho.Container) string { return string(c.ImageID) }),
		ofContainer("container.image.digest", func(_ *Context, c *sekisho.Container) string { return string(c.ImageDigest) }),
		ofContainer("container.mounts", func(x *Context, c *sekisho.Container) string { return x.mounts(c) }),
		{Name: "container.privileged", Type: Bool, Get: func(x *Context, _ Arg, v *Value) bool {
			v.N = bit(x.Event.Container != nil && x.Event.Container.Privileged)
			return x.Event.Container != nil
		}},
		{Name: "container.start_ts", Type: Time, Get: func(x *Context, _ Arg, v *Value) (ok bool) {
			if x.Event.Container != nil {
				v.N, ok = stamp(x.Event.Container.Started)
			}
			return ok
		}},
		{Name: "container.duration", Type: Number, Get: func(x *Context, _ Arg, v *Value) bool {
			c := x.Event.Container
			if c == nil || c.Started.IsZero() || x.Event.Time.IsZero() {
				return false
			}
			v.N = int64(x.Event.Time.Sub(c.Started))
			return true
		}},
		mount("container.mount", func(x *Context, m *sekisho.Mount) string { return x.mountText(m) }),
		mount("container.mount.source", func(_ *Context, m *sekisho.Mount) string { return m.Source }),
		mount("container.mount.dest", func(_ *Context, m *sekisho.Mount) string { return m.Destination }),
		mount("container.mount.rdwr", func(_ *Context, m *sekisho.Mount) string { return strconv.FormatBool(!m.ReadOnly) }),
		mount("container.mount.mode", func(_ *Context, m *sekisho.Mount) string { return m.Type }),
		label("container.label"), label("k8s.pod.label"), label("k8s.ns.label"),
		ofContainer("k8s.ns.name", kubernetes(func(c *sekisho.Container) string { return c.Workload.Namespace })),
		ofContainer("k8s.pod.name", kubernetes(func(c *sekisho.Container) string { return c.Workload.Pod })),
		ofContainer("k8s.pod.uid", kubernetes(func(c *sekisho.Container) string { return c.Labels["io.kubernetes.pod.uid"] })),
		ofContainer("k8s.pod.id", kubernetes(func(c *sekisho.Container) string { return c.Labels["io.kubernetes.pod.uid"] })),
		ofContainer("k8s.container.name", kubernetes(func(c *sekisho.Container) string { return c.Workload.Container })),
		ofContainer("k8s.deployment.name", kubernetes(func(c *sekisho.Container) string {
			if c.Workload.Kind != "Deployment" {
				return ""
			}
			return c.Workload.Name
		})),
	}
}

// findMount finds a mount by its index, or by a pattern of where it is.
func findMount(c *sekisho.Container, key string, source bool) *sekisho.Mount {
	if i, err := strconv.Atoi(key); err == nil {
		if i < 0 || i >= len(c.Mounts) {
			return nil
		}
		return &c.Mounts[i]
	}
	for i := range c.Mounts {
		m := &c.Mounts[i]
		at := m.Source
		if source {
			at = m.Destination
		}
		if at == key || globbed(key, at) {
			return m
		}
	}
	return nil
}

// globbed matches as fnmatch(3) with FNM_PATHNAME.
func globbed(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}

func (x *Context) mountText(m *sekisho.Mount) string {
	start := len(x.buf)
	x.appendMount(m)
	return x.text(start)
}

func (x *Context) appendMount(m *sekisho.Mount) {
	x.buf = append(append(x.buf, m.Source...), ':')
	x.buf = append(append(x.buf, m.Destination...), ':')
	x.buf = append(append(x.buf, m.Type...), ':')
	x.buf = strconv.AppendBool(x.buf, !m.ReadOnly)
}

func (x *Context) mounts(c *sekisho.Container) string {
	start := len(x.buf)
	for i := range c.Mounts {
		if i > 0 {
			x.buf = append(x.buf, ',')
		}
		x.appendMount(&c.Mounts[i])
	}
	return x.text(start)
}
