package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/cli"
	"sekisho/internal/mkimage"
)

// need finds a program, and whether this is root where it must be. Without
// them the test is skipped, unless CI=true: there it fails.
func need(t *testing.T, root bool, names ...string) {
	t.Helper()
	missing := ""
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			missing += " " + n
		}
	}
	if root && os.Getuid() != 0 {
		missing += " root"
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("missing:%s", missing)
	default:
		t.Skipf("missing:%s", missing)
	}
}

// start runs a server until the test ends and waits until it is ready.
func start(t *testing.T, ready func() bool, name string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s:\n%s", name, log.String())
		}
	})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !ready() {
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("%s ended:\n%s", name, log.String())
		case <-deadline:
			t.Fatalf("%s is not ready:\n%s", name, log.String())
		}
	}
}

// port returns a free port of the loopback.
func port(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// run runs the program in this process and returns status, output and errors.
func run(t *testing.T, env map[string]string, args ...string) (int, string, string) {
	t.Helper()
	var out, fail bytes.Buffer
	vars := map[string]string{"SEKISHO_CACHE_DIR": filepath.Join(t.TempDir(), "cache"), "SOURCE_DATE_EPOCH": "1795478400", "HOME": t.TempDir()}
	for k, v := range env {
		vars[k] = v
	}
	status := cli.Main(context.Background(), cli.Process{Args: args, Getenv: func(k string) string { return vars[k] }, Stdin: os.Stdin, Stdout: &out, Stderr: &fail})
	return status, out.String(), fail.String()
}

// scanned runs a scan that must succeed and returns its document.
func scanned(t *testing.T, env map[string]string, args ...string) sekisho.Report {
	t.Helper()
	status, out, fail := run(t, env, append([]string{"scan", "--format", "json"}, args...)...)
	if status != 0 {
		t.Fatalf("%v: status %d: %s", args, status, fail)
	}
	var r sekisho.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func has(r sekisho.Report, purl string) bool {
	for _, p := range r.Packages {
		if p.PURL == purl {
			return true
		}
	}
	return false
}

// write makes files below a directory; a name ending in / is a directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sample is an image of two layers.
func sample(t *testing.T) mkimage.Image {
	t.Helper()
	base := write(t, map[string]string{"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\nPRETTY_NAME=\"Alpine Linux v3.22\"\n", "lib/apk/db/installed": "P:musl\nV:1.2.5-r10\nA:x86_64\nL:MIT\n\n"})
	app := write(t, map[string]string{"app/node_modules/x/package.json": `{"name":"x","version":"1.0.0"}`})
	return mkimage.Image{Name: "app:1.0", Run: map[string]any{"User": "1", "Cmd": []string{"/bin/busybox", "sleep", "600"}},
		Layers: []mkimage.Layer{{Dir: base, Compression: "gzip", By: "ADD base"}, {Dir: app, Compression: "gzip", By: "COPY app"}}}
}

const musl, x = "pkg:apk/alpine/musl@1.2.5-r10?arch=x86_64&distro=alpine-3.22.1", "pkg:npm/x@1.0.0"

// privateRegistry starts a real registry that asks for a password and holds
// the sample image; it returns the host and the reference.
func privateRegistry(t *testing.T) (host, ref string) {
	t.Helper()
	need(t, false, "docker-registry", "skopeo")
	dir, p := t.TempDir(), port(t)
	config := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: '127.0.0.1:%d'}\nauth: {htpasswd: {realm: r, path: %s}}\n", filepath.Join(dir, "data"), p, filepath.Join(dir, "htpasswd"))
	// user "user", password "password", bcrypt
	hash := "user:$2y$05$mYzD4dZmIczhh9nmg/hXc.9BWQOZM3pfjKb3CLS9yQNvoP253nhY2\n"
	for name, text := range map[string]string{"config.yml": config, "htpasswd": hash} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host = fmt.Sprintf("127.0.0.1:%d", p)
	start(t, func() bool {
		resp, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, "docker-registry", "serve", filepath.Join(dir, "config.yml"))
	layout := filepath.Join(dir, "layout")
	if err := mkimage.Layout(layout, sample(t)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds=user:password", "oci:"+layout+":app:1.0", "docker://"+host+"/team/app:1.0").CombinedOutput(); err != nil {
		t.Fatalf("skopeo: %v: %s", err, out)
	}
	return host, "registry:" + host + "/team/app:1.0"
}

// TestRegistry scans in a real registry: plain HTTP only when asked for, with
// credentials of Docker's configuration.
func TestRegistry(t *testing.T) {
	host, ref := privateRegistry(t)
	if status, _, fail := run(t, nil, "scan", ref); status != 1 || !strings.Contains(fail, "--insecure") {
		t.Errorf("plain HTTP without --insecure: status %d, %s", status, fail)
	}
	t.Setenv("DOCKER_CONFIG", write(t, map[string]string{"config.json": "{}"}))
	if status, _, fail := run(t, nil, "scan", "--insecure", ref); status != 1 || !strings.Contains(fail, "docker login "+host) {
		t.Errorf("without credentials: status %d, %s", status, fail)
	}
	t.Setenv("DOCKER_CONFIG", write(t, map[string]string{"config.json": `{"auths":{"` + host + `":{"auth":"dXNlcjpwYXNzd29yZA=="}}}`}))
	r := scanned(t, nil, "--insecure", ref)
	if !has(r, musl) || !has(r, x) || r.Target.Digest == "" {
		t.Errorf("packages %v of %s", r.Packages, r.Target.Digest)
	}
	if status, _, fail := run(t, nil, "scan", "--insecure", "registry:"+host+"/team/app:2.0"); status != 1 || !strings.Contains(fail, "no image") {
		t.Errorf("missing tag: status %d, %s", status, fail)
	}
}

// docker starts an engine of the test's own and returns its environment.
func docker(t *testing.T, driver string) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sekisho-docker-") // short: socket paths are bounded
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getenv(engineVariable) != "" { // the kind says which
		return startDocker(t, dir)
	}
	return startDocker(t, dir, "--storage-driver="+driver)
}

func engine(env map[string]string, args ...string) error {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+env["DOCKER_HOST"])
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker %v: %w: %s", args, err, out)
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shellArchive makes the sample image with a shell in it, as docker save
// writes it.
func shellArchive(t *testing.T) string {
	t.Helper()
	img := sample(t)
	shell := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(shell, "bin"), 0o755))
	busybox := "/bin/busybox"
	need(t, true, busybox)
	data, err := os.ReadFile(busybox)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(shell, "bin/busybox"), data, 0o755))
	img.Layers = append(img.Layers, mkimage.Layer{Dir: shell, By: "COPY busybox"})
	archive := filepath.Join(t.TempDir(), "app.tar")
	f, err := os.Create(archive)
	must(t, err)
	for i := range img.Layers {
		img.Layers[i].Compression = "" // as docker save writes them
	}
	must(t, mkimage.Docker(f, img))
	must(t, f.Close())
	return archive
}

// TestDocker scans an image of a real engine, and a container that has written
// and removed files.
func TestDocker(t *testing.T) { eachEngine(t, scanDocker) }

func scanDocker(t *testing.T) {
	env := docker(t, "overlay2")
	archive := shellArchive(t)
	must(t, engine(env, "load", "-i", archive))

	first := scanned(t, env, "docker:app:1.0")
	if !has(first, musl) || !has(first, x) || len(first.Target.Layers) != 3 {
		t.Errorf("image: packages %v, %d layers", first.Packages, len(first.Target.Layers))
	}
	if status, _, fail := run(t, env, "scan", "docker:none:1"); status != 1 || !strings.Contains(fail, "docker pull none:1") {
		t.Errorf("missing image: status %d, %s", status, fail)
	}
	cache := filepath.Join(t.TempDir(), "cache")
	cold := scanned(t, env, "--cache-dir", cache, "docker:app:1.0")
	warm := scanned(t, env, "--cache-dir", cache, "docker:app:1.0")
	if len(warm.Packages) != len(cold.Packages) {
		t.Errorf("cold %d packages, warm %d", len(cold.Packages), len(warm.Packages))
	}

	must(t, engine(env, "run", "-d", "--name", "live", "--network=none", "--user=0", "app:1.0"))
	must(t, engine(env, "exec", "live", "/bin/busybox", "rm", "-r", "/app/node_modules/x"))
	must(t, engine(env, "exec", "live", "/bin/busybox", "sh", "-c", `/bin/busybox mkdir -p /app/node_modules/new && echo '{"name":"new","version":"3.0.0"}' > /app/node_modules/new/package.json`))
	wantLive(t, scanned(t, env, "container:live"))
	must(t, engine(env, "rm", "-f", "live"))
}

// wantLive wants of a container what it wrote and not what it removed, and what
// differs from the image marked.
func wantLive(t *testing.T, live sekisho.Report) {
	t.Helper()
	if has(live, x) || !has(live, musl) || !has(live, "pkg:npm/new@3.0.0") {
		t.Errorf("container: packages %v", live.Packages)
	}
	for _, p := range live.Packages {
		if p.Changed != (p.Name == "new") {
			t.Errorf("%s: changed since the image: %v", p.Name, p.Changed)
		}
	}
}

// TestContainerd scans an image of a real containerd.
func TestContainerd(t *testing.T) {
	need(t, true, "containerd", "ctr", "skopeo")
	dir, err := os.MkdirTemp("", "sekisho-containerd-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := dir + "/c.sock"
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n address = %q\n[ttrpc]\n address = %q\n", dir+"/root", dir+"/state", socket, socket+".ttrpc")
	must(t, os.WriteFile(dir+"/config.toml", []byte(config), 0o600))
	start(t, func() bool { return exec.Command("ctr", "-a", socket, "version").Run() == nil }, "containerd", "--config", dir+"/config.toml")
	layout := dir + "/layout"
	must(t, mkimage.Layout(layout, sample(t)))
	archive := dir + "/oci.tar"
	if out, err := exec.Command("tar", "-C", layout, "-cf", archive, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %s", out)
	}
	if out, err := exec.Command("ctr", "-a", socket, "-n", "team", "images", "import", "--no-unpack", "--all-platforms", "--index-name", "docker.io/library/app:1.0", archive).CombinedOutput(); err != nil {
		t.Fatalf("ctr: %v: %s", err, out)
	}
	env := map[string]string{"CONTAINERD_ADDRESS": socket}
	if status, _, fail := run(t, env, "scan", "containerd:app:1.0"); status != 1 || !strings.Contains(fail, "--namespace team") {
		t.Errorf("wrong namespace: status %d, %s", status, fail)
	}
	r := scanned(t, env, "--namespace", "team", "containerd:app:1.0")
	if !has(r, musl) || !has(r, x) {
		t.Errorf("packages %v", r.Packages)
	}
}
