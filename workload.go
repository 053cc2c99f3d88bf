package sekisho

import (
	"net/netip"
	"time"
)

// Container is a running container, or one that ran, as a host sees it.
type Container struct {
	ID          string            `json:"id"` // of the runtime, 64 hexadecimal digits for most
	Name        string            `json:"name"`
	Runtime     string            `json:"runtime"`         // docker, containerd, cri-o, podman
	Image       string            `json:"image"`           // as the workload writes it
	ImageID     Digest            `json:"image_id"`        // of the configuration
	ImageDigest Digest            `json:"image_digest"`    // of the manifest, where the runtime knows it
	PID         int               `json:"pid,omitempty"`   // of its first process, in the host's namespace
	Cgroup      uint64            `json:"cgroup"`          // id of its cgroup (inode number in cgroup v2)
	Root        string            `json:"root,omitempty"`  // of its file system, as the host sees it
	Upper       string            `json:"upper,omitempty"` // its own layer, where the storage driver has one
	Labels      map[string]string `json:"labels,omitempty"`
	Workload    Workload          `json:"workload"`
	Privileged  bool              `json:"privileged,omitempty"`
	Mounts      []Mount           `json:"mounts,omitempty"`
	Resolvers   []netip.Addr      `json:"resolvers,omitempty"` // name servers that its runtime gave it
	Started     time.Time         `json:"started,omitzero"`
}

// Workload is what a container is an instance of: a Kubernetes object, a
// service of Compose, or a container that stands alone.
type Workload struct {
	Platform  string `json:"platform"`            // kubernetes, compose, docker, ecs, host
	Namespace string `json:"namespace,omitempty"` // or the project of Compose
	Kind      string `json:"kind,omitempty"`      // Deployment, Pod, service …
	Name      string `json:"name"`
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"` // the container's name in its pod or service
}

// String writes the workload as namespace/name/container, without what is empty.
func (w Workload) String() string {
	s := w.Name
	if w.Namespace != "" {
		s = w.Namespace + "/" + s
	}
	if w.Container != "" && w.Container != w.Name {
		s += "/" + w.Container
	}
	return s
}

// Mount is something of the host that a container sees.
type Mount struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Type        string `json:"type"` // bind, volume, tmpfs
	ReadOnly    bool   `json:"read_only,omitempty"`
}
