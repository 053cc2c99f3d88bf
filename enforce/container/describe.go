package container

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekisho"
)

// spec is what the OCI runtime specification (config.json) tells.
type spec struct {
	Root        struct{ Path string }
	Hostname    string
	Annotations map[string]string
	Mounts      []struct {
		Destination, Type, Source string
		Options                   []string
	}
	Process struct {
		Capabilities struct{ Bounding []string }
	}
	Linux struct {
		CgroupsPath                string
		MaskedPaths, ReadonlyPaths []string
	}
}

// bundles are where runtimes keep the configurations of running containers.
var bundles = []string{
	"run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/",
	"run/containerd/io.containerd.runtime.v2.task/moby/",
	"run/containerd/io.containerd.runtime.v2.task/k8s.io/",
	"run/containerd/io.containerd.runtime.v2.task/default/",
	"run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/",
	"run/containers/storage/overlay-containers/",
	"var/lib/containers/storage/overlay-containers/",
}

// read returns a file of the host, bounded.
func (t *Tracker) read(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join("/", t.o.Root, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = sekisho.Errorf(sekisho.Invalid, "%s is larger than %d bytes", name, maxFile)
	}
	return data, err
}

func (t *Tracker) spec(bundle string) (spec, error) {
	var s spec
	data, err := t.read(path.Join(bundle, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

// describe reads what the runtime's files tell of a container.
func (t *Tracker) describe(k *known) {
	k.tries++
	if k.bundle == "" {
		k.bundle = t.search(k.container.ID)
	}
	if k.bundle == "" { // its runtime's start was missed
		if found, ok := t.shims()[k.container.ID]; ok {
			t.take(k.container.ID, found)
			k.bundle = found.bundle
		}
	}
	c := *k.container
	s, err := t.spec(k.bundle)
	if k.bundle == "" || err != nil {
		return
	}
	if c.Started.IsZero() {
		c.Started = t.o.Now().UTC()
	}
	c.Root = s.Root.Path
	if !path.IsAbs(c.Root) {
		c.Root = path.Join(k.bundle, c.Root)
	}
	c.Upper = t.upper(c.Root)
	c.Privileged = len(s.Linux.MaskedPaths) == 0 && len(s.Linux.ReadonlyPaths) == 0 && slices.Contains(s.Process.Capabilities.Bounding, "CAP_SYS_ADMIN")
	c.Labels = s.Annotations
	c.Mounts = mounts(s)
	c.Resolvers = t.resolvers(s)
	if c.Runtime == "" {
		c.Runtime = runtimeOf(k.bundle)
	}
	k.whole = true
	if dir := dockerDirectory(s, c.ID); dir != "" {
		c.Runtime = "docker"
		c.Resolvers = append(c.Resolvers, embedded)
		k.whole = t.docker(&c, dir)
	} else {
		if path.Base(k.bundle) == "userdata" && c.Labels["io.container.manager"] == "cri-o" { // others let users write annotations
			c.Runtime = "cri-o"
			crio(&c)
		}
		annotated(&c)
		if step(k.bundle, c.ID) {
			c.Runtime, c.Name = "buildkit", "buildkit"
		}
	}
	c.Workload = WorkloadOf(&c)
	k.container = &c
	t.changes++
	t.want(k)
}

func (t *Tracker) search(id string) string {
	if strings.Contains(id, "/") || id == "." || id == ".." {
		return ""
	}
	for _, dir := range slices.Concat(bundles, slices.Sorted(maps.Keys(t.homes))) {
		for _, sub := range []string{"", "userdata"} {
			b := path.Join("/", dir, id, sub)
			if _, err := os.Stat(filepath.Join("/", t.o.Root, b, "config.json")); err == nil {
				return b
			}
		}
	}
	return ""
}

func runtimeOf(bundle string) string {
	switch {
	case strings.Contains(bundle, "/moby/"):
		return "docker"
	case strings.Contains(bundle, "overlay-containers"):
		return "podman"
	}
	return "containerd"
}

// system are destinations that every container has; they are nobody's mounts.
var system = []string{"/proc", "/dev", "/sys", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts", "/run/.containerenv"}

func mounts(s spec) []sekisho.Mount {
	var list []sekisho.Mount
	for _, m := range s.Mounts {
		if slices.Contains(system, m.Destination) || strings.HasPrefix(m.Destination, "/dev/") || m.Type == "cgroup" || m.Type == "sysfs" || len(list) == 1024 {
			continue
		}
		list = append(list, sekisho.Mount{Source: m.Source, Destination: m.Destination, Type: m.Type, ReadOnly: slices.Contains(m.Options, "ro")})
	}
	return list
}

// embedded is Docker's own name server in the networks that people make. It is
// written into resolv.conf after the container is described.
var embedded = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// maxResolvers bounds the name servers of a container; libraries ask three.
const maxResolvers = 16

// resolvers reads the name servers that a container's runtime gave it
// (resolv.conf(5)), before the container can change them.
func (t *Tracker) resolvers(s spec) []netip.Addr {
	name := "/etc/resolv.conf"
	for _, m := range s.Mounts {
		if m.Destination == "/etc/resolv.conf" {
			name = m.Source
		}
	}
	data, err := t.read(name)
	if err != nil {
		return nil
	}
	return nameservers(data)
}

func nameservers(data []byte) (list []netip.Addr) {
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(list) == maxResolvers {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			list = append(list, a.WithZone("").Unmap())
		}
	}
	return list
}

// dockerDirectory is where Docker keeps a container: beside the host side of
// /etc/resolv.conf, which is another container's where the network is.
func dockerDirectory(s spec, id string) string {
	for _, m := range s.Mounts {
		dir, rest, ok := strings.Cut(m.Source, "/containers/")
		if owner, _, below := strings.Cut(rest, "/"); ok && below && hex64(owner) && strings.HasPrefix(m.Destination, "/etc/") {
			return dir + "/containers/" + id
		}
	}
	return ""
}

// docker reads config.v2.json and hostconfig.json of Docker, and the digest
// of the image from its list of references.
func (t *Tracker) docker(c *sekisho.Container, dir string) bool {
	var v struct {
		ID      string
		Name    string
		Image   sekisho.Digest
		Created time.Time
		Config  struct {
			Image  string
			Labels map[string]string
		}
		ImageManifest *struct{ Digest sekisho.Digest }
		MountPoints   map[string]struct{ Type, Source, Destination string }
	}
	data, err := t.read(dir + "/config.v2.json")
	if err != nil || json.Unmarshal(data, &v) != nil || v.ID != c.ID {
		return false
	}
	c.Name, c.Image, c.ImageID, c.Labels = strings.TrimPrefix(v.Name, "/"), v.Config.Image, v.Image, v.Config.Labels
	if v.ImageManifest != nil {
		c.ImageDigest = v.ImageManifest.Digest
	}
	for i, m := range c.Mounts {
		if p, ok := v.MountPoints[m.Destination]; ok && p.Type != "" {
			c.Mounts[i].Type = p.Type
		}
	}
	var host struct{ Privileged bool }
	if data, err := t.read(dir + "/hostconfig.json"); err == nil && json.Unmarshal(data, &host) == nil {
		c.Privileged = host.Privileged
	}
	if c.ImageDigest == "" {
		c.ImageDigest = t.repoDigest(path.Dir(path.Dir(dir)), c.ImageID)
	}
	return true
}

// repoDigest finds the digest by which an image was pulled.
func (t *Tracker) repoDigest(data string, id sekisho.Digest) sekisho.Digest {
	names, _ := filepath.Glob(filepath.Join("/", t.o.Root, data, "image", "*", "repositories.json"))
	for _, name := range names {
		var r struct {
			Repositories map[string]map[string]sekisho.Digest
		}
		raw, err := t.read(strings.TrimPrefix(name, filepath.Join("/", t.o.Root)))
		if err != nil || json.Unmarshal(raw, &r) != nil {
			continue
		}
		for _, refs := range r.Repositories {
			for ref, image := range refs {
				if _, digest, ok := strings.Cut(ref, "@"); ok && image == id {
					return sekisho.Digest(digest)
				}
			}
		}
	}
	return ""
}

// step tells a step of a build by BuildKit: it has a random name of its own, so
// all of them go by one, else each would be a workload and have a profile.
func step(bundle, id string) bool {
	return strings.HasSuffix(bundle, "/buildkit/executor/"+id)
}

// annotated takes name and image from the annotations of CRI runtimes.
func annotated(c *sekisho.Container) {
	first := func(keys ...string) string {
		for _, k := range keys {
			if v := c.Labels[k]; v != "" {
				return v
			}
		}
		return ""
	}
	c.Name = first("io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name")
	if c.Name == "" && !hex64(c.ID) {
		c.Name = c.ID
	}
	c.Image = first("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image")
	if _, digest, ok := strings.Cut(c.Image, "@"); ok {
		c.ImageDigest = sekisho.Digest(digest)
	}
}

// members are the names that controllers give their pods: those of the hash of
// a Deployment's template (letters that k8s.io/apimachinery/pkg/util/rand's
// SafeEncodeString makes of digits), of the minute of a CronJob, of the number in
// a StatefulSet, and of chance alone in a DaemonSet, a Job or a ReplicaSet.
var members = []struct {
	kind string
	name *regexp.Regexp
}{
	{"Deployment", regexp.MustCompile(`^(.+)-[4-9bcdf]{6,10}-[24-9b-df-hj-np-tv-xz]{5}$`)},
	{"CronJob", regexp.MustCompile(`^(.+)-[0-9]{8,10}-[24-9b-df-hj-np-tv-xz]{5}$`)},
	{"StatefulSet", regexp.MustCompile(`^(.+)-(?:0|[1-9][0-9]{0,4})$`)},
	{"Pod", regexp.MustCompile(`^(.+)-[24-9b-df-hj-np-tv-xz]{5}$`)},
}

// crio takes the image's digests and the labels from the annotations of CRI-O,
// which has its own for them. Where there are no labels of a kubelet, the name
// k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT tells what they would.
func crio(c *sekisho.Container) {
	if id := sekisho.Digest("sha256:" + strings.TrimPrefix(c.Labels["io.kubernetes.cri-o.ImageRef"], "sha256:")); id.Validate() == nil {
		c.ImageID = id
	}
	refs, _, _ := strings.Cut(c.Labels["io.kubernetes.cri-o.ImageRepoDigests"], ",")
	if _, digest, _ := strings.Cut(refs, "@"); sekisho.Digest(digest).Validate() == nil {
		c.ImageDigest = sekisho.Digest(digest)
	}
	labels := map[string]string{}
	if p := strings.Split(c.Labels["io.kubernetes.cri-o.Name"], "_"); len(p) == 6 && p[0] == "k8s" {
		labels["io.kubernetes.container.name"], labels["io.kubernetes.pod.name"], labels["io.kubernetes.pod.namespace"] = p[1], p[2], p[3]
	}
	var own map[string]string
	if json.Unmarshal([]byte(c.Labels["io.kubernetes.cri-o.Labels"]), &own) == nil {
		maps.Copy(labels, own)
	}
	maps.Copy(labels, c.Labels)
	c.Labels = labels
}

// WorkloadOf says what a container is an instance of, by its labels. They do not
// tell what made a pod: its name does, in the forms that controllers use, so that
// the copies of one are one workload. Where the form does not tell the kind of
// controller, the kind is Pod.
func WorkloadOf(c *sekisho.Container) sekisho.Workload {
	l := c.Labels
	label := func(keys ...string) string {
		for _, k := range keys {
			if l[k] != "" {
				return l[k]
			}
		}
		return ""
	}
	if pod := label("io.kubernetes.pod.name", "io.kubernetes.cri.sandbox-name"); pod != "" {
		w := sekisho.Workload{Platform: "kubernetes", Kind: "Pod", Name: pod, Pod: pod,
			Namespace: label("io.kubernetes.pod.namespace", "io.kubernetes.cri.sandbox-namespace"),
			Container: label("io.kubernetes.container.name", "io.kubernetes.cri.container-name")}
		if uid := label("io.kubernetes.pod.uid", "io.kubernetes.cri.sandbox-uid"); uid != "" && !strings.Contains(uid, "-") {
			return w // a static pod: its uid is a sum, and its name ends with its node's
		}
		for _, m := range members {
			if found := m.name.FindStringSubmatch(pod); found != nil {
				w.Kind, w.Name = m.kind, found[1]
				break
			}
		}
		return w
	}
	if service := l["com.docker.compose.service"]; service != "" {
		return sekisho.Workload{Platform: "compose", Kind: "service", Namespace: l["com.docker.compose.project"], Name: service}
	}
	if family := l["com.amazonaws.ecs.task-definition-family"]; family != "" {
		return sekisho.Workload{Platform: "ecs", Kind: "task", Name: family, Container: l["com.amazonaws.ecs.container-name"]}
	}
	name := c.Name
	if name == "" {
		name = c.ID
	}
	return sekisho.Workload{Platform: c.Runtime, Name: name}
}

// upper finds the writable directory of the overlay mounted at a root file
// system; Docker has it beside the mount.
func (t *Tracker) upper(root string) string {
	if path.Base(root) == "merged" {
		return path.Join(path.Dir(root), "diff")
	}
	data, err := t.read("/proc/1/mountinfo")
	if err != nil {
		return ""
	}
	mark := []byte(" " + root + " ")
	for text := range bytes.Lines(data) { // of a host with many containers, this is long
		if !bytes.Contains(text, mark) {
			continue
		}
		fields := strings.Fields(string(text))
		if len(fields) < 8 || fields[4] != root || !slices.Contains(fields, "overlay") {
			continue
		}
		for option := range strings.SplitSeq(fields[len(fields)-1], ",") {
			if dir, ok := strings.CutPrefix(option, "upperdir="); ok {
				return dir
			}
		}
	}
	return ""
}
