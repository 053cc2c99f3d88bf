package containerd_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestNRI judges containers of Kubernetes' interface in a real containerd 2.
func TestNRI(t *testing.T) {
	if os.Getuid() != 0 || !exists("/bin/busybox") || !exists("/usr/sbin/runc") {
		if os.Getenv("CI") == "true" {
			t.Fatal("missing: root, /bin/busybox or runc")
		}
		t.Skip("missing: root, /bin/busybox or runc")
	}
	m := newMachine(t)
	pod := m.sandbox(t, "cart-1")
	if err := m.create(pod, "good", "docker.io/library/good:1"); err == nil || !strings.Contains(err.Error(), `required plugin "sekisho" not present`) {
		t.Fatalf("without the plugin a container is made: %v", err)
	}
	stop := m.serve(t)
	m.until(t, "the plugin is there", func() bool { return m.create(pod, "good", "docker.io/library/good:1") == nil })
	if err := m.create(pod, "bad", "docker.io/library/bad:1"); err == nil || !strings.Contains(err.Error(), "package evil 1.0.0 is denied") {
		t.Errorf("a bad image: %v", err)
	}
	if err := m.create(pod, "retagged", "docker.io/library/good:2"); err == nil || !strings.Contains(err.Error(), "package evil") {
		t.Errorf("a bad image by another name: %v", err)
	}
	stop()
	m.until(t, "the plugin is gone", func() bool { return m.create(pod, "late", "docker.io/library/good:1") != nil })
	log := m.run(t, m.dir+"/sekisho", "audit", "show", "--audit", m.dir+"/audit", "--gate", "nri")
	if !strings.Contains(log, "pods/shop/cart-1/good") || !strings.Contains(log, "pods/shop/cart-1/bad") {
		t.Errorf("audit: %s", log)
	}
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

// machine is a containerd of the test's own with a gate beside it.
type machine struct {
	dir     string
	runtime cri.RuntimeServiceClient
	configs map[string]*cri.PodSandboxConfig
	counter int
}

const settings = `version = 3
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "%[1]s/c.sock"
[ttrpc]
  address = "%[1]s/c.ttrpc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "docker.io/library/good:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.nri.v1.nri']
  disable = false
  socket_path = "%[1]s/nri.sock"
  plugin_path = "%[1]s/none"
  plugin_config_path = "%[1]s/none"
  [plugins.'io.containerd.nri.v1.nri'.default_validator]
    enable = true
    required_plugins = ["sekisho"]
`

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "sekisho-c2-") // short: socket paths are bounded
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &machine{dir: dir, configs: map[string]*cri.PodSandboxConfig{}}
	bin := os.Getenv("CONTAINERD_BIN") // built before, for a cache
	if bin == "" {
		bin = dir
		for _, tool := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
			m.run(t, "go", "build", "-o", dir+"/", "github.com/containerd/containerd/v2/cmd/"+tool)
		}
	}
	build := exec.Command("go", "build", "-o", dir+"/sekisho", "./cmd/sekisho")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	for name, text := range map[string]string{"config.toml": fmt.Sprintf(settings, dir), "admit.yaml": "policies: [policy.yaml]\nfacts: facts\naudit: audit\ndeadline: 20s\n",
		"policy.yaml": "name: no-evil\nmode: deny\ncontrols:\n  - control: denied-packages\n    packages: [{name: evil}]\n"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	m.start(t, bin+"/containerd", "--config", dir+"/config.toml")
	m.until(t, "containerd answers", func() bool { return exec.Command("ctr", "-a", dir+"/c.sock", "plugins", "ls").Run() == nil })
	for name, pkg := range map[string]string{"good:1": "x", "bad:1": "evil"} {
		must(t, os.WriteFile(dir+"/image.tar", archive(t, name, pkg), 0o600))
		m.run(t, "ctr", "-a", dir+"/c.sock", "-n", "k8s.io", "images", "import", dir+"/image.tar")
	}
	m.run(t, "ctr", "-a", dir+"/c.sock", "-n", "k8s.io", "images", "tag", "docker.io/library/bad:1", "docker.io/library/good:2")
	conn, err := grpc.NewClient("unix://"+dir+"/c.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	m.runtime = cri.NewRuntimeServiceClient(conn)
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *machine) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// start runs a program until stop is called or the test ends.
func (m *machine) start(t *testing.T, name string, args ...string) (stop func()) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = append(os.Environ(), "CONTAINERD_ADDRESS="+m.dir+"/c.sock", "HOME="+m.dir, "LANG=C")
	must(t, cmd.Start())
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, log.String())
		}
	}
	t.Cleanup(stop)
	return stop
}

func (m *machine) serve(t *testing.T) (stop func()) {
	t.Helper()
	return m.start(t, m.dir+"/sekisho", "admit", "node", "serve", "--config", m.dir+"/admit.yaml", "--socket", m.dir+"/admit.sock", "--nri", "--nri-socket", m.dir+"/nri.sock")
}

// until waits until something is so.
func (m *machine) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never was so that %s", what)
		}
	}
}

// sandbox makes a pod in the host's network, which needs no plugin for it.
func (m *machine) sandbox(t *testing.T, name string) string {
	t.Helper()
	c := &cri.PodSandboxConfig{Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "shop", Uid: name}, LogDirectory: m.dir,
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}}}}
	r, err := m.runtime.RunPodSandbox(context.Background(), &cri.RunPodSandboxRequest{Config: c})
	must(t, err)
	m.configs[r.PodSandboxId] = c
	t.Cleanup(func() {
		m.runtime.StopPodSandbox(context.Background(), &cri.StopPodSandboxRequest{PodSandboxId: r.PodSandboxId})
		m.runtime.RemovePodSandbox(context.Background(), &cri.RemovePodSandboxRequest{PodSandboxId: r.PodSandboxId})
	})
	return r.PodSandboxId
}

// create makes a container, as the kubelet does.
func (m *machine) create(pod, name, image string) error {
	m.counter++
	_, err := m.runtime.CreateContainer(context.Background(), &cri.CreateContainerRequest{PodSandboxId: pod, SandboxConfig: m.configs[pod],
		Config: &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: name, Attempt: uint32(m.counter)}, Image: &cri.ImageSpec{Image: image}, LogPath: "log",
			Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}}}}})
	return err
}

// archive makes an image with a shell and one package of npm, as docker save
// writes it.
func archive(t *testing.T, name, pkg string) []byte {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	layer := pack(t, map[string][]byte{"bin/busybox": busybox, "app/node_modules/" + pkg + "/package.json": fmt.Appendf(nil, `{"name":%q,"version":"1.0.0"}`, pkg)})
	config, err := json.Marshal(map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{"Cmd": []string{"/bin/busybox", "sleep", "600"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}}})
	must(t, err)
	file := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest, err := json.Marshal([]map[string]any{{"Config": file, "RepoTags": []string{"docker.io/library/" + name}, "Layers": []string{"layer.tar"}}})
	must(t, err)
	return pack(t, map[string][]byte{file: config, "layer.tar": layer, "manifest.json": manifest})
}

func pack(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, data := range files {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}))
		_, err := w.Write(data)
		must(t, err)
	}
	must(t, w.Close())
	return out.Bytes()
}
