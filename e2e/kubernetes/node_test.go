//go:build node

package kubernetes_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// tags are those that the server is built with, and program is its name then.
const tags, program = "node", "testkube-node"

// node is a machine of the cluster: a kubelet over a containerd 2 of its own, on
// a bridge of its own, with the gates of a node before them.
type node struct {
	name    string // of its object
	id      string // of all that it makes on this host
	bin     string // of containerd and its tools
	dir     string
	address net.IP // of the host on the bridge of its pods
	service net.IP // of the API server, as pods see it
	gate    *guard
}

// socket is where its containerd answers.
func (n *node) socket() string { return filepath.Join(n.dir, "c.sock") }

// bridge is the network device of its pods.
func (n *node) bridge() string { return "sk" + n.id }

// prepare makes the node's network and says what the API server needs to know.
func (c *cluster) prepare() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("a node needs root")
	}
	for _, name := range []string{"/bin/busybox", "/usr/sbin/runc", "/usr/lib/cni/bridge", "/usr/sbin/ip"} {
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("a node needs busybox-static, runc, containernetworking-plugins and iproute2: %w", err)
		}
	}
	bin, err := containerd()
	if err != nil {
		return err
	}
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	n := &node{name: "node-1", id: hex.EncodeToString(random), bin: bin, dir: filepath.Join(c.dir, "n")}
	n.address = net.IPv4(10, 200+random[0]%50, random[1]|1, 1)
	n.service = net.IPv4(10, 200+random[0]%50, random[1]&^1, 1)
	c.node, c.names = n, []net.IP{n.service}
	c.stop = append(c.stop, n.leave)
	for _, args := range []string{"link add " + n.bridge() + " type bridge", "addr add " + n.address.String() + "/24 dev " + n.bridge(), "addr add " + n.service.String() + "/32 dev " + n.bridge(), "link set " + n.bridge() + " up"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	c.as("kubelet-client", "system:masters")
	at := func(name string) string { return filepath.Join(c.dir, name) }
	c.flags = []string{"--service-cluster-ip-range=" + n.service.Mask(net.CIDRMask(24, 32)).String() + "/24", "--enable-aggregator-routing", // webhooks are called at their pods: there is no kube-proxy
		"--enable-admission-plugins=NodeRestriction", "--kubelet-preferred-address-types=InternalIP",
		"--kubelet-client-certificate=" + at("user-kubelet-client.crt"), "--kubelet-client-key=" + at("user-kubelet-client.key"), "--kubelet-certificate-authority=" + at("ca.crt"),
		"--requestheader-client-ca-file=" + at("ca.crt"), "--requestheader-allowed-names=nobody", "--proxy-client-cert-file=" + at("user-kubelet-client.crt"), "--proxy-client-key-file=" + at("user-kubelet-client.key")}
	return nil
}

// containerd builds it from its module, once for one version of it.
func containerd() (string, error) {
	dir, err := containerdKept()
	if _, missing := os.Stat(dir); err != nil || missing == nil {
		return dir, err
	}
	fmt.Fprintln(os.Stderr, "building", dir)
	part := dir + ".part"
	for _, tool := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		if err := build(filepath.Join(part, tool), "github.com/containerd/containerd/v2/cmd/"+tool, "", "-s -w", "../containerd"); err != nil {
			return "", err
		}
	}
	return dir, os.Rename(part, dir)
}

// join starts what a node needs and waits until it is ready.
func (c *cluster) join(server string) error {
	n := c.node
	for _, dir := range []string{"manifests", "certs.d", "cni", "logs", "kubelet"} {
		if err := os.MkdirAll(filepath.Join(n.dir, dir), 0o755); err != nil {
			return err
		}
	}
	serving := &x509.Certificate{Subject: pkix.Name{CommonName: "system:node:" + n.name, Organization: []string{"system:nodes"}}, IPAddresses: []net.IP{n.address}, DNSNames: []string{n.name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if _, err := c.issue("kubelet", serving, c.ca); err != nil {
		return err
	}
	if err := c.forward(); err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(c.dir, name) }
	if err := c.run("kube-controller-manager", server, "kube-controller-manager", "--kubeconfig="+c.kubeconfig("manager", "system:kube-controller-manager"), "--bind-address=127.0.0.1", "--secure-port="+freePort(), "--leader-elect=false",
		"--use-service-account-credentials", "--service-account-private-key-file="+at("api.key"), "--root-ca-file="+at("ca.crt"), "--allocate-node-cidrs=false"); err != nil {
		return err
	}
	if err := c.run("kube-scheduler", server, "kube-scheduler", "--kubeconfig="+c.kubeconfig("scheduler", "system:kube-scheduler"), "--bind-address=127.0.0.1", "--secure-port="+freePort(), "--leader-elect=false"); err != nil {
		return err
	}
	if err := c.containers(); err != nil {
		return err
	}
	if err := n.groups(os.Mkdir); err != nil {
		return err
	}
	c.stop = append(c.stop, func() { _ = n.groups(nil) }, n.clear)
	kubelet := filepath.Join(n.dir, "kubelet.yaml")
	if err := os.WriteFile(kubelet, []byte(n.kubelet(c.dir)), 0o600); err != nil {
		return err
	}
	if err := c.run("kubelet", server, "kubelet", "--config="+kubelet, "--kubeconfig="+c.kubeconfig("kubelet", "system:node:"+n.name, "system:nodes"), "--hostname-override="+n.name, "--node-ip="+n.address.String(),
		"--root-dir="+filepath.Join(n.dir, "kubelet"), "--cert-dir="+c.dir); err != nil {
		return err
	}
	return c.nodeReady()
}

func (c *cluster) nodeReady() error {
	admin := c.as("admin", "system:masters")
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); wait() {
		var v struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
		_ = json.Unmarshal(admin.do("GET", "/api/v1/nodes/"+c.node.name, "", nil).body, &v)
		for _, x := range v.Status.Conditions {
			if x.Type == "Ready" && x.Status == "True" {
				return nil
			}
		}
		if len(c.ended) > 0 {
			break
		}
	}
	return fmt.Errorf("the node does not become ready:\n%s", c.tails())
}

// kubeconfig lets a part of the cluster in.
func (c *cluster) kubeconfig(name, user string, groups ...string) string {
	c.as(user, groups...)
	at := func(name string) string { return filepath.Join(c.dir, name) }
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: t, cluster: {server: %q, certificate-authority: %s}}]\nusers: [{name: u, user: {client-certificate: %s, client-key: %s}}]\ncontexts: [{name: c, context: {cluster: t, user: u}}]\ncurrent-context: c\n",
		c.url, at("ca.crt"), at("user-"+user+".crt"), at("user-"+user+".key"))
	if err := os.WriteFile(at(name+".kubeconfig"), []byte(text), 0o600); err != nil {
		panic(err)
	}
	return at(name + ".kubeconfig")
}

// forward takes pods' connections to the API server, as kube-proxy would.
func (c *cluster) forward() error {
	l, err := net.Listen("tcp", c.node.service.String()+":443")
	if err != nil {
		return err
	}
	c.stop = append(c.stop, func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", strings.TrimPrefix(c.url, "https://"))
			if err != nil {
				from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					way[0].Close()
				}()
			}
		}
	}()
	return nil
}

// containerdSettings has the node's bounds: what no gate passes does not start.
const containerdSettings = `version = 3
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "%[1]s/c.sock"
[ttrpc]
  address = "%[1]s/c.ttrpc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "docker.io/library/pause:1"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "%[1]s/certs.d"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.guarded]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.guarded.options]
    BinaryName = "%[1]s/sekisho-runc"
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "%[1]s/cni"
[plugins.'io.containerd.nri.v1.nri']
  disable = false
  socket_path = "%[1]s/nri.sock"
  plugin_path = "%[1]s/none"
  plugin_config_path = "%[1]s/none"
  [plugins.'io.containerd.nri.v1.nri'.default_validator]
    enable = true
    required_plugins = ["sekisho"]
`

// containers starts containerd, and the gate of the node before it.
func (c *cluster) containers() error {
	n := c.node
	for name, text := range map[string]string{"config.toml": fmt.Sprintf(containerdSettings, n.dir), "cni/10-test.conflist": n.network(),
		"admit.yaml": "policies: [policy.yaml]\nfacts: facts\naudit: audit\ndeadline: 20s\n", "policy.yaml": nodePolicy,
		"runtime.yaml": fmt.Sprintf("runtime: /usr/sbin/runc\nsocket: %[1]s/admit.sock\ncontainerd: %[1]s/c.sock\ndeadline: 30s\n", n.dir)} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Symlink(c.tested, filepath.Join(n.dir, "sekisho-runc")); err != nil {
		return err
	}
	for k, v := range map[string]string{"PATH": n.bin + ":" + os.Getenv("PATH"), "CONTAINERD_ADDRESS": n.socket(), "SEKISHO_RUNTIME_CONFIG": filepath.Join(n.dir, "runtime.yaml")} {
		if err := os.Setenv(k, v); err != nil { // containerd hands it on to what it starts
			return err
		}
	}
	if err := c.run("containerd", filepath.Join(n.bin, "containerd"), "--config", filepath.Join(n.dir, "config.toml")); err != nil {
		return err
	}
	if err := n.load("pause:1", runnable("/bin/busybox", "sleep", "2147483647")); err != nil {
		return err
	}
	n.gate = &guard{node: n, program: c.tested}
	c.stop = append(c.stop, n.gate.stop)
	return n.gate.start()
}

// load imports an image, without a registry.
func (n *node) load(name string, i content) error {
	file := filepath.Join(n.dir, "image.tar")
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); wait() { // containerd begins
		if err = exec.Command("ctr", "version").Run(); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("containerd does not answer: %w", err)
	}
	if err := os.WriteFile(file, i.archive("docker.io/library/"+name), 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	out, err := exec.Command("ctr", "-n", "k8s.io", "images", "import", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("import %s: %w: %s", name, err, out)
	}
	return nil
}

// network is the settings of the pods' bridge.
func (n *node) network() string {
	subnet := n.address.Mask(net.CIDRMask(24, 32)).String() + "/24"
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "%[1]s", "plugins": [{"type": "bridge", "bridge": "%[1]s", "isGateway": true, "ipMasq": false,
 "ipam": {"type": "host-local", "dataDir": "%[2]s/ipam", "ranges": [[{"subnet": "%[3]s", "gateway": "%[4]s"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}`, n.bridge(), n.dir, subnet, n.address)
}

// kubelet is its configuration. All that it makes is below directories and
// control groups of this node's own: another may run on the same host.
func (n *node) kubelet(keys string) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[3]s
port: %[4]s
readOnlyPort: 0
healthzPort: 0
containerRuntimeEndpoint: unix://%[1]s/c.sock
cgroupDriver: cgroupfs
cgroupRoot: /sekisho-%[5]s
failCgroupV1: false
failSwapOn: false
staticPodPath: %[1]s/manifests
podLogsDir: %[1]s/logs
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[2]s/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: %[2]s/kubelet.crt
tlsPrivateKeyFile: %[2]s/kubelet.key
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: ""
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 50Mi, nodefs.available: "1%%", imagefs.available: "1%%"}
enforceNodeAllocatable: []
oomScoreAdj: 0
localStorageCapacityIsolation: false
nodeStatusUpdateFrequency: 5s
fileCheckFrequency: 1s
syncFrequency: 5s
`, n.dir, keys, n.address, freePort(), n.id)
}

// groups makes the control group of the node's pods in every hierarchy, or
// removes it and what is below it.
func (n *node) groups(make func(string, os.FileMode) error) error {
	roots := []string{"/sys/fs/cgroup"}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil { // version 1
		roots, _ = filepath.Glob("/sys/fs/cgroup/*")
	}
	for _, root := range roots {
		dir := filepath.Join(root, "sekisho-"+n.id)
		if make == nil {
			var below []string
			_ = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					below = append([]string{name}, below...)
				}
				return nil
			})
			for _, name := range below {
				_ = os.Remove(name)
			}
			continue
		}
		if err := make(dir, 0o755); err != nil && !os.IsExist(err) {
			return err
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // version 1 gives a new group none
			if data, err := os.ReadFile(filepath.Join(root, file)); err == nil && len(bytes.TrimSpace(data)) > 0 {
				_ = os.WriteFile(filepath.Join(dir, file), data, 0o600)
			}
		}
	}
	return nil
}

// runtime is the interface that the kubelet uses.
func (n *node) runtime() (cri.RuntimeServiceClient, func(), error) {
	conn, err := grpc.NewClient("unix://"+n.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	return cri.NewRuntimeServiceClient(conn), func() { conn.Close() }, nil
}

// clear ends the pods that run when the kubelet has gone.
func (n *node) clear() {
	r, done, err := n.runtime()
	if err != nil {
		return
	}
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list, err := r.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return
	}
	for _, s := range list.Items {
		_, _ = r.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: s.Id})
		_, _ = r.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: s.Id})
	}
}

// leave takes the node's mounts and network away.
func (n *node) leave() {
	data, _ := os.ReadFile("/proc/mounts")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], n.dir+"/") {
			_ = exec.Command("umount", "-l", f[1]).Run()
		}
	}
	_ = exec.Command("ip", "link", "del", n.bridge()).Run()
}
