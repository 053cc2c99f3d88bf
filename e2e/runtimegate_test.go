package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/policy/fact"
)

// TestRuntimeGate puts the gate in the runtime's place of a real engine, by its
// settings and by name.
func TestRuntimeGate(t *testing.T) { eachEngine(t, runtimeGate) }

func runtimeGate(t *testing.T) {
	need(t, true, "dockerd", "docker", "containerd", "runc")
	dir, err := os.MkdirTemp("", "sekisho-runc-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &guarded{dir: dir, socket: dir + "/d.sock", env: map[string]string{"DOCKER_HOST": "unix://" + dir + "/d.sock"}}
	data, err := os.ReadFile("/usr/sbin/runc")
	must(t, err)
	must(t, os.MkdirAll(dir+"/bin", 0o755))
	must(t, os.WriteFile(dir+"/bin/runc", data, 0o755))
	for name, text := range map[string]string{"admit.yaml": strings.Replace(gateConfig, "policy.yaml", "policy.yaml, approved.yaml", 1), "policy.yaml": gatePolicy, "approved.yaml": approvedPolicy,
		"runtime.yaml": fmt.Sprintf("runtime: %[1]s/bin/runc.sekisho-real\nsocket: %[1]s/admit.sock\ndocker: [%[1]s/data]\ncontainerd: %[1]s/exec/containerd/containerd.sock\ndeadline: 30s\n", dir),
		"daemon.json":  daemonJSON(`"shutdown-timeout": 5, "runtimes": {"other": {"path": "/bin/false"}}`)} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	install := func(args ...string) string {
		t.Helper()
		status, out, fail := run(t, nil, append([]string{"admit", "runtime", args[0], "--runtime", dir + "/bin/runc", "--daemon-json", dir + "/daemon.json", "--runtime-config", dir + "/runtime.yaml", "--link", dir + "/sekisho-runc", "--take-place"}, args[1:]...)...)
		if status != 0 {
			t.Fatalf("%v: status %d: %s", args, status, fail)
		}
		return out
	}
	if out := install("install", "--dry-run"); !strings.Contains(out, `"default-runtime": "sekisho"`) || !strings.Contains(out, "dpkg-divert") {
		t.Errorf("it says %s", out)
	}
	if _, err := os.Lstat(dir + "/sekisho-runc"); err == nil {
		t.Error("a dry run changed something")
	}
	install("install")
	t.Setenv("SEKISHO_RUNTIME_CONFIG", dir+"/runtime.yaml")
	t.Setenv("SEKISHO_ADMIT_CONFIG", dir+"/admit.yaml")
	t.Setenv("DOCKER_HOST", g.env["DOCKER_HOST"])
	t.Setenv("HOME", dir)
	t.Setenv("PATH", dir+"/bin:"+os.Getenv("PATH"))
	stop := service(t, g.env, "admit", "node", "serve", "--config", dir+"/admit.yaml", "--socket", dir+"/admit.sock")
	startDocker(t, dir)
	g.load(t, map[string][]string{"app:1.0": {"x"}, "evil:1.0": {"evil"}})

	for _, runtime := range []string{"sekisho", "runc", "io.containerd.runc.v2"} {
		g.allowed(t, "run", "--rm", "--network=none", "--runtime", runtime, "app:1.0", "/bin/busybox", "true")
		g.denied(t, "package evil 1.0.0 is denied", "run", "--rm", "--network=none", "--runtime", runtime, "evil:1.0")
	}
	g.allowed(t, "tag", "evil:1.0", "app:2.0")
	g.denied(t, "denied by no-evil", "run", "--rm", "--network=none", "app:2.0")
	for base, ok := range map[string]bool{"app:1.0": true, "evil:1.0": false} {
		context := write(t, map[string]string{"Dockerfile": "FROM " + base + "\nUSER 0\nRUN [\"/bin/busybox\", \"touch\", \"/built\"]\nRUN [\"/bin/busybox\", \"ls\", \"/built\"]\n"})
		if built, out := g.docker("build", "--network=none", "--force-rm", "-t", "built:1", context); built != ok || !ok && !strings.Contains(out, "package evil") {
			t.Errorf("build from %s: %v %s", base, built, out)
		}
	}
	gateBuildKit(t, g)
	g.allowed(t, "run", "-d", "--name", "live", "--network=none", "app:1.0")
	g.allowed(t, "exec", "live", "/bin/busybox", "true")
	status, out, _ := run(t, nil, "audit", "show", "--audit", dir+"/audit", "--format", "json", "--gate", "runc", "--subject", "container/live")
	if status != 0 || !strings.Contains(out, `"result":"allow"`) || !strings.Contains(out, `"container":"`) || !strings.Contains(out, `"image":"app:1.0"`) {
		t.Errorf("audit: %s", out)
	}
	gateUnasked(t, g)
	gateLapsed(t, g)
	stop()
	g.denied(t, "the gate cannot decide, so the start is denied", "run", "--rm", "--network=none", "app:1.0", "/bin/busybox", "true")
	g.allowed(t, "exec", "live", "/bin/busybox", "true") // what runs is not hurt
	g.allowed(t, "rm", "-f", "live")

	config, err := os.ReadFile(dir + "/runtime.yaml")
	must(t, err)
	must(t, os.WriteFile(dir+"/runtime.yaml", []byte(strings.Replace(string(config), "socket:", "# socket:", 1)+"exec: deny\n"), 0o600))
	g.allowed(t, "run", "-d", "--name", "live", "--network=none", "app:1.0") // decided in the runtime's own process
	g.denied(t, "package evil", "run", "--rm", "--network=none", "evil:1.0")
	g.denied(t, "further processes in containers are denied", "exec", "live", "/bin/busybox", "true")
	g.allowed(t, "rm", "-f", "live")

	install("uninstall")
	now, err := os.ReadFile(dir + "/daemon.json")
	must(t, err)
	if text := string(now); strings.Contains(text, "sekisho") || !strings.Contains(text, `"other"`) || !strings.Contains(text, "shutdown-timeout") {
		t.Errorf("daemon.json is %s", text)
	}
	if out, err := exec.Command(dir+"/bin/runc", "--version").CombinedOutput(); err != nil || !strings.Contains(string(out), "runc version") {
		t.Errorf("the runtime is not back: %v %s", err, out)
	}
}

const approvedPolicy = `name: approved
mode: deny
scope: {images: [approved]}
controls:
  - {control: approval}
`

// gateLapsed lets a container run by an approval that lapses while it does.
func gateLapsed(t *testing.T, g *guarded) {
	t.Helper()
	g.load(t, map[string][]string{"approved:1.0": {"y"}})
	g.denied(t, "denied by approved", "run", "--rm", "--network=none", "approved:1.0", "/bin/busybox", "true")
	id := sekisho.Digest(strings.TrimSpace(g.allowed(t, "image", "inspect", "--format", "{{.Id}}", "approved:1.0")))
	a := fact.Approval{Author: "alice", Approver: "carol", Time: time.Now().Add(-time.Hour), Until: time.Now().AddDate(0, 0, 30)}
	lapse(t, g.dir+"/facts", id, a)
	g.allowed(t, "run", "-d", "--name", "held", "--network=none", "approved:1.0")
	a.Lapsed = "CVE-2026-9999 musl KEV"
	lapse(t, g.dir+"/facts", id, a)
	g.denied(t, "CVE-2026-9999", "run", "--rm", "--network=none", "approved:1.0", "/bin/busybox", "true")
	g.allowed(t, "restart", "--time", "0", "held")
	must(t, os.WriteFile(g.dir+"/approved.yaml", []byte(strings.Replace(approvedPolicy, "control: approval", "control: approval, running: stop", 1)), 0o600))
	until(t, "a policy that stops what runs is in force", func() bool {
		ok, out := g.docker("restart", "--time", "0", "held")
		return !ok && strings.Contains(out, "CVE-2026-9999")
	})
	g.allowed(t, "rm", "-f", "held")
}

// gateBuildKit holds that each step of BuildKit is judged by the image that it
// builds on, and that one on no image is not let pass.
func gateBuildKit(t *testing.T, g *guarded) {
	if newer(t) == "" {
		return // without buildx
	}
	for from, c := range map[string]struct {
		before, want string
	}{
		"app:1.0":  {},
		"evil:1.0": {want: "package evil 1.0.0 is denied"},
		"scratch":  {before: "COPY busybox /bin/busybox\n", want: "not assessed"},
	} {
		files := write(t, map[string]string{"Dockerfile": "FROM " + from + "\n" + c.before + "COPY etc /etc\nUSER 0\nRUN [\"/bin/busybox\", \"touch\", \"/bk\"]\nRUN [\"/bin/busybox\", \"ls\", \"/bk\"]\n", "etc/passwd": "root:x:0:0::/:/bin/sh\n", "etc/group": "root:x:0:\n"})
		data, err := os.ReadFile("/bin/busybox")
		must(t, err)
		must(t, os.WriteFile(files+"/busybox", data, 0o755))
		if ok, out := g.buildkit(t, "build", "--no-cache", "--network=none", "-t", "bk:1", files); ok != (c.want == "") || !strings.Contains(out, c.want) {
			t.Errorf("BuildKit from %s: %v %s", from, ok, out)
		}
	}
	status, out, _ := run(t, nil, "audit", "show", "--audit", g.dir+"/audit", "--format", "json", "--gate", "runc", "--action", "build")
	if status != 0 || strings.Count(out, `"result":"allow"`) != 2 || !strings.Contains(out, `app:1.0"`) {
		t.Errorf("audit: %s", out)
	}
}

// gateUnasked starts containers that nobody asks the engine's API for: of a
// service, and again by themselves.
func gateUnasked(t *testing.T, g *guarded) {
	t.Helper()
	swarm := fmt.Sprintf("127.0.0.1:%d", port(t))
	g.allowed(t, "swarm", "init", "--listen-addr", swarm, "--advertise-addr", swarm)
	g.allowed(t, "service", "create", "--detach", "--no-resolve-image", "--name", "task", "--restart-condition", "none", "--network", "host", "evil:1.0")
	until(t, "the task of a service is denied", func() bool {
		_, out := g.docker("service", "ps", "task", "--no-trunc", "--format", "{{.Error}}")
		return strings.Contains(out, "package evil 1.0.0 is denied")
	})
	g.allowed(t, "swarm", "leave", "--force")
	g.allowed(t, "run", "-d", "--restart=always", "--name", "again", "--network=none", "app:1.0", "/bin/busybox", "true")
	until(t, "a container that starts again is judged again", func() bool {
		_, out, _ := run(t, nil, "audit", "show", "--audit", g.dir+"/audit", "--gate", "runc", "--subject", "container/again")
		return strings.Count(out, "\n") > 2
	})
	g.allowed(t, "rm", "-f", "again")
}

// until waits until something is so.
func until(t *testing.T, what string, so func() bool) {
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

// TestRuntimeGateContainerd puts the gate in the runtime's place of a real
// containerd, and moves names while it does not look.
func TestRuntimeGateContainerd(t *testing.T) {
	need(t, true, "containerd", "ctr", "runc")
	dir, err := os.MkdirTemp("", "sekisho-c-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := dir + "/c.sock"
	self, err := os.Executable()
	must(t, err)
	must(t, os.MkdirAll(dir+"/bin", 0o755))
	must(t, os.Symlink(self, dir+"/bin/runc"))
	for name, text := range map[string]string{"admit.yaml": gateConfig, "policy.yaml": gatePolicy, "runtime.yaml": fmt.Sprintf("runtime: /usr/sbin/runc\nsocket: %[1]s/admit.sock\ncontainerd: %[1]s/c.sock\ndeadline: 30s\n", dir),
		"config.toml": fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n address = %q\n[ttrpc]\n address = %q\n", dir+"/root", dir+"/state", socket, socket+".ttrpc")} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	t.Setenv("SEKISHO_RUNTIME_CONFIG", dir+"/runtime.yaml")
	t.Setenv("PATH", dir+"/bin:"+os.Getenv("PATH"))
	env := map[string]string{"CONTAINERD_ADDRESS": socket, "DOCKER_HOST": "unix://" + dir + "/none"}
	service(t, env, "admit", "node", "serve", "--config", dir+"/admit.yaml", "--socket", dir+"/admit.sock")
	start(t, func() bool { return exec.Command("ctr", "-a", socket, "version").Run() == nil }, "containerd", "--config", dir+"/config.toml")
	ctr := func(args ...string) (bool, string) {
		out, err := exec.Command("ctr", append([]string{"-a", socket, "-n", "team"}, args...)...).CombinedOutput()
		return err == nil, string(out)
	}
	do := func(args ...string) {
		t.Helper()
		if ok, out := ctr(args...); !ok {
			t.Errorf("ctr %v: %s", args, out)
		}
	}
	deny := func(words string, args ...string) {
		t.Helper()
		if ok, out := ctr(args...); ok || !strings.Contains(out, words) {
			t.Errorf("ctr %v: succeeded %v, want a denial with %q: %s", args, ok, words, out)
		}
	}
	do("images", "import", archiveOf(t, "app:1.0", "x"))
	do("images", "import", archiveOf(t, "evil:1.0", "evil"))
	const app, evil = "docker.io/library/app:1.0", "docker.io/library/evil:1.0"
	do("run", "--rm", app, "a", "/bin/busybox", "true")
	deny("package evil 1.0.0 is denied", "run", "--rm", evil, "b", "/bin/busybox", "true")
	do("run", "-d", app, "live")
	t.Cleanup(func() { ctr("task", "rm", "-f", "live") })
	do("task", "exec", "--exec-id", "e", "live", "/bin/busybox", "true")

	do("container", "create", evil, "moved", "/bin/busybox", "true")
	do("images", "tag", "--force", app, evil) // the record of the container now names a good image
	deny("the name moved", "task", "start", "moved")

	coverage := []string{"admit", "coverage", "--config", dir + "/admit.yaml", "--fail", "--format", "json"}
	if status, out, fail := run(t, env, coverage...); status != 0 || !strings.Contains(out, `"state": "judged"`) || !strings.Contains(out, `"namespace": "team"`) || !strings.Contains(out, "docker\"") {
		t.Errorf("coverage: status %d %s %s", status, out, fail)
	}
	must(t, os.WriteFile(dir+"/runtime.yaml", []byte("runtime: /usr/sbin/runc\nsocket: "+dir+"/none.sock\non_error: allow\n"), 0o600)) // a gate that is open sees nothing
	do("images", "import", archiveOf(t, "third:1.0", "y"))
	do("run", "-d", "docker.io/library/third:1.0", "unseen")
	t.Cleanup(func() { ctr("task", "rm", "-f", "unseen") })
	if status, out, fail := run(t, env, coverage...); status != 3 || !strings.Contains(out, `"state": "unjudged"`) || !strings.Contains(fail, "1 of 2 running containers") {
		t.Errorf("coverage: status %d %s %s", status, out, fail)
	}
}
