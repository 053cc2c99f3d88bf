package authz

import (
	"path"
	"slices"
	"strings"

	"sekisho/policy/fact"
)

// needs lists what of a host configuration is dangerous, as grants name it, in
// their order, each once. real follows links of the host; a path that cannot be
// followed counts as it is written.
func (h *hostConfig) needs(real func(string) (string, error)) []string {
	n := &list{}
	n.when(h.Privileged, "privileged")
	for _, c := range slices.Concat(h.CapAdd, h.Capabilities) {
		n.add("capability", capability(c))
	}
	h.storage(n, real)
	h.spaces(n)
	for _, o := range h.SecurityOpt {
		name, value, _ := strings.Cut(strings.Replace(o, ":", "=", 1), "=")
		if name != "no-new-privileges" || value == "false" {
			n.add("security-opt", strings.TrimSuffix(name+"="+value, "="))
		}
	}
	n.when(h.unmasked(), "unmasked-paths")
	n.add("runtime", h.Runtime)
	n.add("cgroup-parent", h.CgroupParent)
	for name := range h.Sysctls {
		n.add("sysctl", name)
	}
	for name := range h.Annotations {
		n.add("annotation", name)
	}
	for _, d := range h.Devices {
		n.add("device", resolved(d.PathOnHost, real))
	}
	for _, r := range h.DeviceCgroupRules {
		n.add("device", r)
	}
	for _, r := range h.DeviceRequests {
		n.words = append(n.words, "device-request:"+r.Driver)
	}
	n.when(h.OomScoreAdj < 0 || h.OomKillDisable != nil && *h.OomKillDisable, "oom")
	if l := h.LogConfig; !slices.Contains(logsHere(), l.Type) || l.Type == "" && len(l.Config) > 0 {
		n.words = append(n.words, "log-driver:"+l.Type)
	}
	n.when(len(h.LxcConf) > 2 && string(h.LxcConf) != "null", "privileged")
	return n.sorted()
}

// logsHere are the drivers that keep logs on the host. Others make the engine,
// which is root, connect to sockets and addresses of the asker's choice.
func logsHere() []string { return []string{"", "json-file", "local", "journald", "none"} }

// joined lists what of the ends of networks is dangerous, and adds the networks.
func (n *list) joined(networks []string, ends map[string]*endpoint) []string {
	for name, e := range ends {
		networks = append(networks, name)
		if e == nil {
			continue
		}
		networks = append(networks, e.NetworkID)
		for s := range strings.SplitSeq(e.DriverOpts["com.docker.network.endpoint.sysctls"], ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(s), "=")
			n.add("sysctl", name)
		}
	}
	return networks
}

type list struct{ words []string }

func (l *list) sorted() []string {
	slices.Sort(l.words)
	return slices.Compact(l.words)
}

func (l *list) add(kind, value string) {
	if value != "" {
		l.words = append(l.words, kind+":"+value)
	}
}

func (l *list) when(needed bool, word string) {
	if needed {
		l.words = append(l.words, word)
	}
}

func capability(name string) string { return strings.TrimPrefix(strings.ToUpper(name), "CAP_") }

// storage lists what of the host's files a container sees.
func (h *hostConfig) storage(n *list, real func(string) (string, error)) {
	for _, p := range h.paths() {
		for _, p := range []string{path.Clean(p), resolved(p, real)} {
			n.add("mount", p)
		}
	}
	for _, v := range h.VolumesFrom {
		name, _, _ := strings.Cut(v, ":")
		n.add("volumes-from", name)
	}
	if h.VolumeDriver != "local" {
		n.add("volume-driver", h.VolumeDriver)
	}
	for _, m := range h.Mounts {
		switch strings.ToLower(m.Type) {
		case "bind", "volume", "tmpfs", "":
		case "image":
			n.add("mount-image", m.Source)
		default:
			n.add("mount", strings.ToLower(m.Type)+":"+m.Source)
		}
		if o := m.VolumeOptions; o != nil && o.DriverConfig != nil && o.DriverConfig.Name != "local" {
			n.add("volume-driver", o.DriverConfig.Name)
		}
	}
}

// mounted are the images whose files are mounted.
func (h *hostConfig) mounted() (names []string) {
	for _, m := range h.Mounts {
		if strings.EqualFold(m.Type, "image") {
			names = append(names, m.Source)
		}
	}
	return names
}

// paths are the places of the host that are mounted, as they are written.
func (h *hostConfig) paths() (out []string) {
	for _, b := range h.Binds {
		source, _, ok := strings.Cut(b, ":")
		if ok && (strings.HasPrefix(source, "/") || strings.HasPrefix(source, ".") || strings.HasPrefix(source, "~") || strings.Contains(source, "/")) {
			out = append(out, source)
		}
	}
	for _, m := range h.Mounts {
		if kind := strings.ToLower(m.Type); kind == "bind" || kind == "" && strings.HasPrefix(m.Source, "/") {
			out = append(out, m.Source)
		}
		if o := m.VolumeOptions; o != nil && o.DriverConfig != nil {
			out = append(out, hostPaths(o.DriverConfig.Options)...)
		}
	}
	return out
}

// hostPaths are the places of the host, or the server, that the options of a
// local volume mount.
func hostPaths(options map[string]string) (out []string) {
	for name, value := range options {
		if strings.EqualFold(name, "device") && value != "" && value != "tmpfs" {
			out = append(out, value)
		}
	}
	return out
}

func resolved(p string, real func(string) (string, error)) string {
	if p == "" {
		return ""
	}
	if out, err := real(p); err == nil {
		return out
	}
	return path.Clean(p)
}

// spaces lists the namespaces that a container shares with host or others.
func (h *hostConfig) spaces(n *list) {
	for _, s := range []struct{ kind, mode string }{{"network", h.NetworkMode}, {"pid", h.PidMode}, {"ipc", h.IpcMode}, {"uts", h.UTSMode}, {"userns", h.UsernsMode}, {"cgroupns", h.CgroupnsMode}, {"network", h.Cgroup}} {
		kind, _, other := strings.Cut(s.mode, ":")
		switch {
		case s.mode == "host":
			n.add(s.kind, "host")
		case other && kind == "container":
			n.add(s.kind, "container")
		case other && s.kind != "network":
			n.add(s.kind, s.mode) // no mode that this version knows
		}
	}
}

// workload is the container as policies see it.
func (h *hostConfig) workload(c *config, name string) *fact.Workload {
	is := func(mode string) *bool { yes := mode == "host"; return &yes }
	w := &fact.Workload{Kind: "container", Name: name, Container: name, Labels: c.Labels, User: &c.User, Privileged: &h.Privileged, ReadOnlyRoot: &h.ReadonlyRootfs,
		HostNetwork: is(h.NetworkMode), HostPID: is(h.PidMode), HostIPC: is(h.IpcMode), HostPaths: append([]string{}, h.paths()...), AddCapabilities: []string{}, DropCapabilities: []string{}}
	if w.Labels == nil {
		w.Labels = map[string]string{}
	}
	for _, c := range slices.Concat(h.CapAdd, h.Capabilities) {
		w.AddCapabilities = append(w.AddCapabilities, capability(c))
	}
	for _, c := range h.CapDrop {
		w.DropCapabilities = append(w.DropCapabilities, capability(c))
	}
	escalation := !slices.ContainsFunc(h.SecurityOpt, func(o string) bool {
		o = strings.Replace(o, ":", "=", 1)
		return o == "no-new-privileges" || o == "no-new-privileges=true"
	})
	w.PrivilegeEscalation = &escalation
	return w
}

// unmasked tells whether paths of the kernel that an engine hides, or makes
// read-only, are laid open. An engine writes its own lists where none are given.
func (h *hostConfig) unmasked() bool {
	without := func(have, want []string) bool {
		return have != nil && slices.ContainsFunc(want, func(p string) bool { return !slices.Contains(have, p) })
	}
	return without(h.MaskedPaths, []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"}) ||
		without(h.ReadonlyPaths, []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})
}
