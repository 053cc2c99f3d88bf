package nri

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"sekisho/policy/fact"
)

// workload is the container as policies see it. Capabilities, privileges and the
// root file system are not told over this interface: they stay unknown, and the
// policy says what that means. The gate at the API and the one in the runtime's
// place know them.
func workload(pod *api.PodSandbox, c *api.Container) *fact.Workload {
	namespace := pod.GetNamespace()
	w := &fact.Workload{Kind: "Pod", Name: pod.GetName(), Container: c.GetName(), Namespace: &namespace, Labels: pod.GetLabels(), HostPaths: []string{}}
	if w.Labels == nil {
		w.Labels = map[string]string{}
	}
	if u := c.GetUser(); u != nil {
		user := strconv.FormatUint(uint64(u.GetUid()), 10)
		w.User = &user
	}
	for _, m := range c.GetMounts() {
		bind := m.GetType() == "bind" || slices.Contains(m.GetOptions(), "rbind") || slices.Contains(m.GetOptions(), "bind")
		if source := path.Clean(m.GetSource()); bind && !own(source) {
			w.HostPaths = append(w.HostPaths, source)
		}
	}
	for kind, into := range map[string]**bool{"network": &w.HostNetwork, "pid": &w.HostPID, "ipc": &w.HostIPC} {
		*into = shared(pod, c, kind)
	}
	return w
}

// own tells whether a path is the kubelet's or the runtime's: volumes of pods,
// /etc/hosts, /dev/shm of the sandbox.
func own(p string) bool {
	for _, head := range []string{"/var/lib/kubelet/pods/", "/var/lib/containerd/", "/run/containerd/"} {
		if strings.HasPrefix(p, head) {
			return true
		}
	}
	return false
}

// shared tells whether a namespace is the host's. A container joins those of
// its pod by their path; a pod that has none of its own shares the host's.
func shared(pod *api.PodSandbox, c *api.Container, kind string) *bool {
	out := true
	list := pod.GetLinux().GetNamespaces()
	if kind == "pid" { // a container has its own where the pod shares none
		list = append(slices.Clone(list), c.GetLinux().GetNamespaces()...)
	}
	if len(list) == 0 {
		return nil
	}
	for _, n := range list {
		if n.GetType() == kind && !strings.HasPrefix(n.GetPath(), "/proc/1/") {
			out = false
		}
	}
	return &out
}
