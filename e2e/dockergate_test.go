package e2e_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/cli"
	"sekisho/internal/mkimage"
)

// guarded is a Docker engine of the test's own behind the gate.
type guarded struct {
	dir, socket, plugin string
	env                 map[string]string
	stop                func() // stops the plugin
	test                *testing.T
}

const gateConfig = `policies: [policy.yaml]
facts: facts
audit: audit
deadline: 25s
`

const gatePolicy = `name: no-evil
mode: deny
controls:
  - control: denied-packages
    packages: [{name: evil}]
    owner: web team
`

const gateRules = `engine: %s
rules:
  - name: everyone
    local: true
    users: ["*"]
    actions: [read, logs, control, run, pull, tag, import, commit, remove, attach, copy, volume]
  - name: data
    local: true
    actions: [run, volume]
    grants: ["mount:/srv/data/**", "capability:NET_BIND_SERVICE", "mount-image:files:1"]
  - name: operators
    users: [bob]
    actions: [exec]
    containers: ["app-*"]
`

// guard starts an engine behind the gate. Further arguments are the engine's.
func guard(t *testing.T, args ...string) *guarded {
	t.Helper()
	dir, err := os.MkdirTemp("", "sekisho-gate-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &guarded{dir: dir, socket: dir + "/d.sock", plugin: filepath.Base(dir), test: t}
	g.env = map[string]string{"DOCKER_HOST": "unix://" + g.socket}
	for name, text := range map[string]string{"admit.yaml": gateConfig, "policy.yaml": gatePolicy, "docker.yaml": fmt.Sprintf(gateRules, "unix://"+g.socket)} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	g.serve()
	startDocker(t, dir, append([]string{"--authorization-plugin=" + g.plugin}, args...)...)
	return g
}

// serve starts the plugin until the whole test ends.
func (g *guarded) serve() {
	g.test.Helper()
	g.stop = service(g.test, g.env, "admit", "docker", "serve", "--config", g.dir+"/admit.yaml", "--rules", g.dir+"/docker.yaml", "--socket", "/run/docker/plugins/"+g.plugin+".sock")
}

// service runs the program in this process until stop is called, and waits
// until it says that it serves.
func service(t *testing.T, env map[string]string, args ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	vars := map[string]string{"SEKISHO_CACHE_DIR": filepath.Join(t.TempDir(), "cache"), "HOME": t.TempDir()}
	for k, v := range env {
		vars[k] = v
	}
	r, w, err := os.Pipe()
	must(t, err)
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Main(ctx, cli.Process{Args: args, Getenv: func(k string) string { return vars[k] }, Stdin: os.Stdin, Stdout: io.Discard, Stderr: w})
		w.Close()
	}()
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "serving") || strings.Contains(lines.Text(), "guarding") {
				ready <- true
			} else {
				fmt.Fprintln(os.Stderr, lines.Text())
			}
		}
	}()
	select {
	case <-ready:
	case status := <-ended:
		t.Fatalf("%v ended with status %d", args, status)
	}
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// load loads images into the engine, each with the packages of its name.
func (g *guarded) load(t *testing.T, images map[string][]string) {
	t.Helper()
	for name, packages := range images {
		must(t, engine(g.env, "load", "-i", archiveOf(t, name, packages...)))
	}
}

// archiveOf makes an image with a shell and packages of npm, as docker save
// writes it.
func archiveOf(t *testing.T, name string, packages ...string) string {
	t.Helper()
	files := map[string]string{"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n", "srv/data/note": "x"}
	for _, p := range packages {
		files["app/node_modules/"+p+"/package.json"] = fmt.Sprintf(`{"name":%q,"version":"1.0.0"}`, p)
	}
	dir := write(t, files)
	need(t, true, "/bin/busybox")
	data, err := os.ReadFile("/bin/busybox")
	must(t, err)
	must(t, os.MkdirAll(dir+"/bin", 0o755))
	must(t, os.WriteFile(dir+"/bin/busybox", data, 0o755))
	must(t, os.Symlink("busybox", dir+"/bin/sh"))
	out := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(out)
	must(t, err)
	must(t, mkimage.Docker(f, mkimage.Image{Name: name, Run: map[string]any{"User": "1", "Cmd": []string{"/bin/busybox", "sleep", "600"}}, Layers: []mkimage.Layer{{Dir: dir, By: "ADD " + name}}}))
	must(t, f.Close())
	return out
}

// docker runs the client and returns whether it succeeded, and what it said.
func (g *guarded) docker(args ...string) (bool, string) {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+g.env["DOCKER_HOST"], "DOCKER_BUILDKIT=0")
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

// denied wants a command to fail with words.
func (g *guarded) denied(t *testing.T, words string, args ...string) {
	t.Helper()
	if ok, out := g.docker(args...); ok || !strings.Contains(out, words) {
		t.Errorf("docker %v: succeeded %v, want a denial with %q: %s", args, ok, words, out)
	}
}

func (g *guarded) allowed(t *testing.T, args ...string) string {
	t.Helper()
	ok, out := g.docker(args...)
	if !ok {
		t.Errorf("docker %v: %s", args, out)
	}
	return out
}

// call speaks with the engine without a client.
func (g *guarded) call(t *testing.T, method, uri, contentType string, body io.Reader) (int, string) {
	t.Helper()
	conn, err := net.Dial("unix", g.socket)
	must(t, err)
	defer conn.Close()
	req, err := http.NewRequest(method, "http://docker/", body)
	must(t, err)
	req.URL.Opaque = uri // as it is written
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	sent := req.Write(conn) // the engine may answer before it has read all
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err, sent)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(out)
}

// refuses wants a call to be denied with words.
func (g *guarded) refuses(t *testing.T, what, words, method, uri, contentType string, body io.Reader) {
	t.Helper()
	status, out := g.call(t, method, uri, contentType, body)
	if status == http.StatusInternalServerError && strings.Contains(out, "too large for authorization plugin") && words == tooLarge {
		return // a newer engine says it itself
	}
	if status != http.StatusForbidden || !strings.Contains(out, words) {
		t.Errorf("%s: status %d, want a denial with %q: %s", what, status, words, out)
	}
}

// TestDockerGate stands a gate before a real engine and tries the ways round.
func TestDockerGate(t *testing.T) { eachEngine(t, dockerGate) }

func dockerGate(t *testing.T) {
	g := guard(t)
	g.load(t, map[string][]string{"app:1.0": {"x"}, "evil:1.0": {"evil"}})

	t.Run("images", func(t *testing.T) {
		g.allowed(t, "run", "--rm", "--network=none", "app:1.0", "/bin/busybox", "true")
		g.denied(t, "denied by no-evil", "run", "--rm", "--network=none", "evil:1.0")
		g.denied(t, "package evil 1.0.0 is denied", "create", "--network=none", "evil:1.0")
		g.allowed(t, "tag", "evil:1.0", "app:2.0")
		g.denied(t, "package evil", "run", "--rm", "--network=none", "app:2.0")
		must(t, engine(g.env, "load", "-i", archiveOf(t, "app:1.0", "evil", "x"))) // the name moves
		g.denied(t, "package evil", "run", "--rm", "--network=none", "app:1.0")
		must(t, engine(g.env, "load", "-i", archiveOf(t, "app:1.0", "x")))
		files := write(t, map[string]string{"app/node_modules/evil/package.json": `{"name":"evil","version":"2.0.0"}`})
		must(t, exec.Command("tar", "-C", files, "-cf", files+"/fs.tar", "app").Run())
		g.allowed(t, "import", files+"/fs.tar", "imported:1")
		g.denied(t, "package evil 2.0.0", "run", "--rm", "--network=none", "imported:1", "/x")
		g.allowed(t, "run", "-d", "--name", "app-1", "--network=none", "app:1.0")
		g.allowed(t, "cp", files+"/app", "app-1:/srv/")
		g.allowed(t, "commit", "app-1", "committed:1")
		g.denied(t, "package evil 2.0.0", "run", "--rm", "--network=none", "committed:1")
		must(t, os.WriteFile(files+"/Dockerfile", []byte("FROM app:1.0\n"), 0o600))
		g.denied(t, "no rule allows local the action build", "build", files)
		g.denied(t, "the action exec", "exec", "app-1", "/bin/busybox", "true")
		g.denied(t, "the action push", "push", "app:1.0")
		g.denied(t, "the action save", "save", "app:1.0", "-o", files+"/o.tar")
		g.denied(t, "the action swarm", "swarm", "init")
		g.denied(t, "the action plugin", "plugin", "install", "x/y")
	})
	t.Run("options", func(t *testing.T) { gateOptions(t, g) })
	t.Run("bodies", func(t *testing.T) { gateBodies(t, g) })
	t.Run("start", func(t *testing.T) { gateStart(t, g) })
	t.Run("coverage", func(t *testing.T) {
		env := map[string]string{"DOCKER_HOST": g.env["DOCKER_HOST"]}
		args := []string{"admit", "coverage", "--config", g.dir + "/admit.yaml", "--engine", "docker", "--fail"}
		if status, out, fail := run(t, env, append(args, "--all")...); status != 0 || !strings.Contains(out, "judged") || !strings.Contains(out, "app-1") {
			t.Errorf("all was judged: status %d %s %s", status, out, fail)
		}
		must(t, os.WriteFile(g.dir+"/other.yaml", []byte(strings.Replace(gateConfig, "audit: audit", "audit: none", 1)), 0o600))
		args[3] = g.dir + "/other.yaml"
		if status, out, fail := run(t, env, args...); status != 3 || !strings.Contains(out, "UNJUDGED") || !strings.Contains(fail, "1 of 1 running containers") {
			t.Errorf("nothing was judged: status %d %s %s", status, out, fail)
		}
		if status, out, _ := run(t, env, append(args, "--format", "json")...); status != 3 || !strings.Contains(out, `"state": "unjudged"`) || !strings.Contains(out, `"name": "app-1"`) {
			t.Errorf("as JSON: status %d %s", status, out)
		}
	})
	t.Run("audit", func(t *testing.T) {
		status, out, fail := run(t, nil, "audit", "show", "--audit", g.dir+"/audit", "--format", "json", "--result", "deny", "--gate", "docker")
		if status != 0 || !strings.Contains(out, `"actor":"local","action":"create"`) || !strings.Contains(out, "policy.denied-packages") {
			t.Errorf("status %d %s: %.2000s", status, fail, out)
		}
		if status, out, fail := run(t, nil, "audit", "verify", "--audit", g.dir+"/audit"); status != 0 {
			t.Errorf("verify: %d %s %s", status, out, fail)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		if os.Getenv(engineVariable) == graph {
			return // as with its other store, and the engine tries again for long
		}
		g.stop()
		g.denied(t, "500 Internal Server Error", "run", "--rm", "--network=none", "app:1.0", "/bin/busybox", "true")
		g.serve()
		g.allowed(t, "run", "--rm", "--network=none", "app:1.0", "/bin/busybox", "true")
		g.docker("rm", "-f", "app-1")
	})
}

// gateOptions tries what a container may do to its host.
func gateOptions(t *testing.T, g *guarded) {
	run := func(options ...string) []string {
		if !strings.HasPrefix(options[0], "--net=") {
			options = append([]string{"--network=none"}, options...)
		}
		return append(append([]string{"create"}, options...), "app:1.0")
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.MkdirAll("/srv/data", 0o755))
	must(t, os.Symlink("/", link))
	id := strings.TrimSpace(g.allowed(t, "network", "inspect", "--format", "{{.Id}}", "host"))
	g.denied(t, "network:host", run("--net="+id)...)
	for words, options := range map[string][]string{
		"privileged":                      {"--privileged"},
		"grant for mount:/;":              {"-v", "/:/host"},
		"mount:" + g.socket:               {"-v", g.socket + ":/d.sock"},
		"mount:/etc":                      {"--mount", "type=bind,source=/etc,target=/x"},
		"no grant for mount:/etc;":        {"-v", "/srv/data/../../etc:/x"},
		"no grant for mount:/, mount:":    {"-v", link + ":/x"},
		"mount:/usr":                      {"--mount", "type=volume,target=/x,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/usr"},
		"volumes-from:app-1":              {"--volumes-from", "app-1"},
		"network:host":                    {"--net=host"},
		"network:container":               {"--net=container:app-1"},
		"pid:host":                        {"--pid=host"},
		"pid:container":                   {"--pid=container:app-1"},
		"ipc:host":                        {"--ipc=host"},
		"uts:host":                        {"--uts=host"},
		"userns:host":                     {"--userns=host"},
		"capability:SYS_ADMIN":            {"--cap-add", "sys_admin"},
		"capability:ALL":                  {"--cap-add", "ALL"},
		"device:/dev/null":                {"--device", "/dev/null"},
		"device:b 8:* rwm":                {"--device-cgroup-rule", "b 8:* rwm"},
		"security-opt:seccomp=unconfined": {"--security-opt", "seccomp=unconfined"},
		"security-opt:apparmor":           {"--security-opt", "apparmor=unconfined"},
		"unmasked-paths":                  {"--security-opt", "systempaths=unconfined"},
		"runtime:other":                   {"--runtime", "other"},
		"cgroup-parent:/x":                {"--cgroup-parent", "/x"},
		"sysctl:kernel.shm_rmid_forced":   {"--sysctl", "kernel.shm_rmid_forced=1"},
		"oom":                             {"--oom-score-adj", "-500"},
	} {
		g.denied(t, words, run(options...)...)
	}
	for _, options := range [][]string{{"-v", "/srv/data:/x"}, {"--cap-add", "CAP_NET_BIND_SERVICE"}, {"-v", "named:/x"}, {"--security-opt", "no-new-privileges"}, {"--runtime", "runc"}, {"--read-only", "--cap-drop=ALL"}} {
		id := strings.TrimSpace(g.allowed(t, run(options...)...))
		g.allowed(t, "start", id)
		g.docker("rm", "-f", id)
	}
	g.denied(t, "mount:/usr", "volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", "device=/usr", "usr")
	g.allowed(t, "volume", "create", "plain")
}

const tooLarge = "did not hand over the body"

// gateBodies tries requests that could be read in two ways, or not at all.
func gateBodies(t *testing.T, g *guarded) {
	const form = "application/json"
	bad := `{"Image":"app:1.0","HostConfig":{"Privileged":true}}`
	at := "/v1.40/containers/create"
	large := `{"Image":"app:1.0","Labels":{"x":"` + strings.Repeat("x", 5<<20) + `"},"HostConfig":{"Privileged":true}}` // no engine hands over more than 4 MiB
	g.refuses(t, "oversized", tooLarge, "POST", at, form, strings.NewReader(large))
	g.refuses(t, "chunked", "privileged", "POST", at, form, io.MultiReader(strings.NewReader(bad)))
	g.refuses(t, "oversized and chunked", tooLarge, "POST", at, form, io.MultiReader(strings.NewReader(large)))
	g.refuses(t, "empty", "did not hand over the body", "POST", at, form, nil)
	for _, where := range []string{"/containers/create", "/v1.12/containers/create", "/v1.40/%63reate", "/v1.40/containers/%63reate", "/v1.40/containers%2Fcreate", "http://x/v1.40/containers/create", "/v1.40/containers/create?name=a%20b"} {
		if where == "/v1.40/%63reate" {
			continue // no such call
		}
		g.refuses(t, where, "privileged", "POST", where, form, strings.NewReader(bad))
	}
	for what, body := range map[string]string{
		"repeated key":      `{"Image":"app:1.0","HostConfig":{"Privileged":true},"HostConfig":{"Privileged":false}}`,
		"repeated, cases":   `{"Image":"app:1.0","hostconfig":{"privileged":true},"HostConfig":{}}`,
		"repeated inside":   `{"Image":"app:1.0","HostConfig":{"Privileged":false,"privileged":true}}`,
		"folded":            `{"Image":"app:1.0","Ho\u017ftConfig":{"Privileged":true},"HostConfig":{}}`,
		"something follows": `{"Image":"app:1.0"}{"HostConfig":{"Privileged":true}}`,
	} {
		g.refuses(t, what, "so it is denied", "POST", at, form, strings.NewReader(body))
	}
	for what, body := range map[string]string{
		"lower case":      `{"image":"app:1.0","hostconfig":{"privileged":true}}`,
		"folded alone":    `{"Image":"app:1.0","Ho\u017ftConfig":{"Privileged":true}}`,
		"beside":          `{"Image":"app:1.0","Privileged":true}`,
		"beside and null": `{"Image":"app:1.0","HostConfig":null,"Privileged":true}`,
	} {
		g.refuses(t, what, "privileged", "POST", at, form, strings.NewReader(body))
	}
	g.refuses(t, "no image", "no-image", "POST", at, form, strings.NewReader(`{"Cmd":["x"]}`))
	g.refuses(t, "no version of JSON", "did not hand over the body", "POST", at, "text/plain", strings.NewReader(bad))
	g.refuses(t, "parameters in a form", "form's body", "POST", "/v1.40/images/create?fromImage=app", "application/x-www-form-urlencoded", strings.NewReader("fromImage=evil"))
	g.refuses(t, "parameter twice", "stands twice", "POST", "/v1.40/images/create?fromImage=app&fromImage=evil", "", nil)
	g.refuses(t, "old start", "before 1.24", "POST", "/v1.23/containers/app-1/start", form, strings.NewReader(`{"Privileged":true,"Binds":["/:/x"]}`))
}

// gateStart holds that what was created before a policy, or past it, does not
// start.
func gateStart(t *testing.T, g *guarded) {
	rules := filepath.Join(g.dir, "docker.yaml")
	strict, err := os.ReadFile(rules)
	must(t, err)
	g.stop()
	must(t, os.WriteFile(rules, []byte("images: trust\n"+strings.Replace(string(strict), `"capability:NET_BIND_SERVICE"`, `"*"`, 1)), 0o600))
	g.serve()
	g.allowed(t, "create", "--name", "app-evil", "--network=none", "evil:1.0")
	g.allowed(t, "create", "--name", "app-privileged", "--network=none", "--privileged", "app:1.0")
	g.stop()
	must(t, os.WriteFile(rules, strict, 0o600))
	g.serve()
	g.denied(t, "package evil", "start", "app-evil")
	g.denied(t, "package evil", "restart", "app-evil")
	g.denied(t, "privileged", "start", "app-privileged")
	g.docker("rm", "-f", "app-evil", "app-privileged")
}

// TestDockerGateUsers tells users by their certificates.
func TestDockerGateUsers(t *testing.T) { farEngines(t, dockerGateUsers) }

func dockerGateUsers(t *testing.T) {
	certs := certificates(t, "alice", "bob")
	p := port(t)
	g := guard(t, "--host", fmt.Sprintf("tcp://127.0.0.1:%d", p), "--tlsverify", "--tlscacert", certs+"/ca.pem", "--tlscert", certs+"/server.pem", "--tlskey", certs+"/server.key")
	g.load(t, map[string][]string{"app:1.0": {"x"}})
	g.allowed(t, "run", "-d", "--name", "app-1", "--network=none", "app:1.0")
	g.allowed(t, "run", "-d", "--name", "db-1", "--network=none", "app:1.0")
	as := func(user string, args ...string) (bool, string) {
		return g.docker(append([]string{"-H", fmt.Sprintf("tcp://127.0.0.1:%d", p), "--tlsverify", "--tlscacert", certs + "/ca.pem", "--tlscert", certs + "/" + user + ".pem", "--tlskey", certs + "/" + user + ".key"}, args...)...)
	}
	if ok, out := as("bob", "exec", "app-1", "/bin/busybox", "echo", "hello"); !ok || !strings.Contains(out, "hello") {
		t.Errorf("bob: %s", out)
	}
	if ok, out := as("bob", "exec", "--privileged", "app-1", "/bin/busybox", "true"); ok || !strings.Contains(out, "cn:bob has no grant for privileged") {
		t.Errorf("bob, privileged: %v %s", ok, out)
	}
	if ok, out := as("bob", "exec", "db-1", "/bin/busybox", "true"); ok || !strings.Contains(out, "db-1 is none that the rule operators allows cn:bob") {
		t.Errorf("bob in another container: %v %s", ok, out)
	}
	if ok, out := as("alice", "exec", "app-1", "/bin/busybox", "true"); ok || !strings.Contains(out, "no rule allows cn:alice the action exec") {
		t.Errorf("alice: %v %s", ok, out)
	}
	if ok, out := as("alice", "create", "-v", "/srv/data:/x", "app:1.0"); ok || !strings.Contains(out, "no grant for mount:/srv/data") {
		t.Errorf("alice with local's grants: %v %s", ok, out)
	}
	status, out, _ := run(t, nil, "audit", "show", "--audit", g.dir+"/audit", "--format", "json", "--actor", "cn:bob", "--action", "exec")
	if status != 0 || strings.Count(out, "\n") < 4 || !strings.Contains(out, `"subject":"container/app-1"`) || !strings.Contains(out, `"rule":"operators"`) {
		t.Errorf("audit: %s", out)
	}
	g.docker("rm", "-f", "app-1", "db-1")
}

// TestDockerGateBoth puts both gates before one engine: what the one trusts, the
// other judges, and its look-ups are not users' calls.
func TestDockerGateBoth(t *testing.T) { farEngines(t, dockerGateBoth) }

func dockerGateBoth(t *testing.T) {
	link := filepath.Join(t.TempDir(), "sekisho-runc")
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, link))
	config := filepath.Join(t.TempDir(), "runtime.yaml")
	t.Setenv("SEKISHO_RUNTIME_CONFIG", config)
	g := guard(t, "--add-runtime", "sekisho="+link, "--default-runtime", "sekisho")
	must(t, os.WriteFile(config, []byte(fmt.Sprintf("runtime: /usr/sbin/runc\nsocket: %[1]s/admit.sock\ndocker: [%[1]s/data]\ndeadline: 30s\n", g.dir)), 0o600))
	service(t, g.env, "admit", "node", "serve", "--config", g.dir+"/admit.yaml", "--socket", g.dir+"/admit.sock")
	g.load(t, map[string][]string{"app:1.0": {"x"}, "evil:1.0": {"evil"}})
	g.denied(t, "no grant for runtime:runc", "run", "--rm", "--network=none", "--runtime", "runc", "app:1.0", "/bin/busybox", "true")
	g.allowed(t, "run", "--rm", "--network=none", "app:1.0", "/bin/busybox", "true")

	rules, err := os.ReadFile(g.dir + "/docker.yaml")
	must(t, err)
	g.stop()
	must(t, os.WriteFile(g.dir+"/docker.yaml", append([]byte("images: trust\n"), rules...), 0o600))
	must(t, os.RemoveAll(g.dir+"/facts/by"))
	must(t, os.MkdirAll(g.dir+"/facts/by", 0o755))
	g.serve()
	g.denied(t, "package evil 1.0.0 is denied", "run", "--rm", "--network=none", "evil:1.0")
	g.denied(t, "the action save", "save", "-o", g.dir+"/x.tar", "app:1.0") // a user still may not
	if info, err := os.Stat(g.dir + "/facts/docker.token"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token: %v %v", info, err)
	}
}

// certificates makes an authority, a server and clients, in PEM files.
func certificates(t *testing.T, users ...string) string {
	t.Helper()
	dir := t.TempDir()
	save := func(name, kind string, der []byte) {
		must(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	must(t, err)
	save("ca.pem", "CERTIFICATE", der)
	for n, name := range append([]string{"server"}, users...) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(n + 2)), Subject: pkix.Name{CommonName: name}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &own.PublicKey, key)
		must(t, err)
		save(name+".pem", "CERTIFICATE", der)
		der, err = x509.MarshalPKCS8PrivateKey(own)
		must(t, err)
		save(name+".key", "PRIVATE KEY", der)
	}
	return dir
}

// TestCheckRegistry decides about images of a real registry: by tag, then by
// every digest of the same image without asking the registry again.
func TestCheckRegistry(t *testing.T) {
	host, ref := privateRegistry(t)
	t.Setenv("DOCKER_CONFIG", write(t, map[string]string{"config.json": `{"auths":{"` + host + `":{"auth":"dXNlcjpwYXNzd29yZA=="}}}`}))
	one := sample(t)
	other := one
	one.Arch, other.Arch = "amd64", "arm64"
	layout := filepath.Join(t.TempDir(), "layout")
	must(t, mkimage.Layout(layout, one, other))
	out, err := exec.Command("skopeo", "--insecure-policy", "copy", "--all", "--dest-tls-verify=false", "--dest-creds=user:password", "oci:"+layout+":app:1.0", "docker://"+host+"/team/multi:1.0").CombinedOutput()
	if err != nil {
		t.Fatalf("skopeo: %v: %s", err, out)
	}
	dir := write(t, map[string]string{"policy.yaml": strings.ReplaceAll(gatePolicy, "evil", "x"), "fine.yaml": gatePolicy})
	env := map[string]string{"SEKISHO_FACTS_DIR": dir + "/facts", "SEKISHO_AUDIT_DIR": dir + "/audit", "GITHUB_ACTOR": "alice", "GITHUB_SHA": "abc"}
	check := func(want int, args ...string) string {
		t.Helper()
		status, out, fail := run(t, env, append([]string{"admit", "check"}, args...)...)
		if status != want {
			t.Errorf("%v: status %d: %s%s", args, status, out, fail)
		}
		return out + fail
	}
	if text := check(3, "--insecure", "--policy", dir+"/policy.yaml", ref); !strings.Contains(text, "package x 1.0.0 is denied") {
		t.Errorf("it says %s", text)
	}
	check(0, "--insecure", "--policy", dir+"/fine.yaml", "registry:"+host+"/team/multi:1.0")
	_, list, _ := run(t, env, "admit", "facts", "list")
	if n := strings.Count(list, "sha256:"); n != 3 { // manifest and configuration, which both names share, and the index
		t.Errorf("facts of %d digests: %s", n, list)
	}
	for _, line := range strings.Split(strings.TrimSpace(list), "\n") {
		digest, _, _ := strings.Cut(line, " ")
		check(0, "--policy", dir+"/fine.yaml", "registry:gone.example.org/team/app@"+digest) // nobody is asked
	}
	_, log, _ := run(t, env, "audit", "show", "--format", "json")
	if strings.Count(log, "\n") != 5 || !strings.Contains(log, `"actor":"alice"`) || !strings.Contains(log, `"commit":"abc"`) {
		t.Errorf("audit: %s", log)
	}
}
