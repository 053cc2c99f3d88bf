//go:build node

package kubernetes_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodePolicy is what the gates of the node judge by.
const nodePolicy = `
name: node
mode: deny
controls:
  - {control: denied-packages, packages: [{name: evil}]}
  - {control: privileged, not_assessed: allow}
`

// guard is sekisho admit node serve, with its plugin of NRI.
type guard struct {
	node    *node
	program string
	process *exec.Cmd
}

// start serves until stop, and waits until containerd knows the plugin.
func (g *guard) start() error {
	out, err := os.OpenFile(g.log(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	p := exec.Command(g.program, "admit", "node", "serve", "--config", filepath.Join(g.node.dir, "admit.yaml"), "--socket", filepath.Join(g.node.dir, "admit.sock"), "--nri", "--nri-socket", filepath.Join(g.node.dir, "nri.sock"), "--lang", "en")
	p.Stdout, p.Stderr = out, out
	p.Env = append(os.Environ(), "SEKISHO_CACHE_DIR="+filepath.Join(g.node.dir, "layers"), "SEKISHO_DB_DIR="+filepath.Join(g.node.dir, "db"))
	if err := p.Start(); err != nil {
		return err
	}
	g.process = p
	said := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); wait() {
		data, _ := os.ReadFile(g.log())
		if said = string(data); strings.Contains(said, "containerd") {
			return nil
		}
	}
	return fmt.Errorf("the node's gate does not reach containerd: %s", said)
}

func (g *guard) log() string { return filepath.Join(g.node.dir, "guard.log") }

func (g *guard) stop() {
	if g.process == nil {
		return
	}
	_ = g.process.Process.Signal(os.Interrupt)
	_ = g.process.Wait()
	g.process = nil
}

// audit finds an entry of the node's audit log.
func (n *node) audit(texts ...string) bool {
	return (&gate{dir: n.dir}).audit(texts...)
}

// listener is on the bridge, so that pods and containerd reach a registry too.
func listener(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", shared.node.address.String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(shared.node.dir, "certs.d", l.Addr().String())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "hosts.toml"), "server = \"http://"+l.Addr().String()+"\"\n")
	return l
}

// archive is the image as docker save writes it.
func (i content) archive(reference string) []byte {
	layer := i.layer()
	configuration := i.configuration(layer)
	file := fmt.Sprintf("%x.json", sha256.Sum256(configuration))
	manifest, _ := json.Marshal([]map[string]any{{"Config": file, "RepoTags": []string{reference}, "Layers": []string{"layer.tar"}}})
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, data := range map[string][]byte{file: configuration, "layer.tar": layer, "manifest.json": manifest} {
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))})
		_, _ = w.Write(data)
	}
	_ = w.Close()
	return out.Bytes()
}
