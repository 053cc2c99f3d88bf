package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// busybox commands that change the sample's container as wantLive wants it.
var changes = [][]string{
	{"/bin/busybox", "rm", "-r", "/app/node_modules/x"},
	{"/bin/busybox", "sh", "-c", `/bin/busybox mkdir -p /app/node_modules/new && echo '{"name":"new","version":"3.0.0"}' > /app/node_modules/new/package.json`},
}

// TestDockerWithoutOverlay scans a container of an engine whose storage driver
// keeps no layers apart; a volume is not the container's own.
func TestDockerWithoutOverlay(t *testing.T) {
	env := docker(t, "vfs")
	must(t, engine(env, "load", "-i", shellArchive(t)))
	volume := write(t, map[string]string{"package.json": `{"name":"volume","version":"9.0.0"}`})
	must(t, engine(env, "run", "-d", "--name", "live", "--network=none", "--user=0", "-v", volume+":/data/node_modules/volume", "app:1.0"))
	for _, c := range changes {
		must(t, engine(env, append([]string{"exec", "live"}, c...)...))
	}
	live := scanned(t, env, "container:live")
	wantLive(t, live)
	if has(live, "pkg:npm/volume@9.0.0") {
		t.Error("a volume was read as the container's own")
	}
	must(t, engine(env, "stop", "-t", "0", "live"))
	if status, _, fail := run(t, env, "scan", "container:live"); status != 1 || !strings.Contains(fail, "does not run") || !strings.Contains(fail, "docker export") {
		t.Errorf("stopped: status %d, %s", status, fail)
	}
	must(t, engine(env, "rm", "-f", "live"))
}

// TestContainerdContainer scans a live container of a real containerd.
func TestContainerdContainer(t *testing.T) {
	need(t, true, "containerd", "ctr", "runc")
	dir, err := os.MkdirTemp("", "sekisho-containerd-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := dir + "/c.sock"
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n address = %q\n[ttrpc]\n address = %q\n", dir+"/root", dir+"/state", socket, socket+".ttrpc")
	must(t, os.WriteFile(dir+"/config.toml", []byte(config), 0o600))
	ctr := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ctr", append([]string{"-a", socket, "-n", "team"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ctr %v: %v: %s", args, err, out)
		}
	}
	start(t, func() bool { return exec.Command("ctr", "-a", socket, "version").Run() == nil }, "containerd", "--config", dir+"/config.toml")
	ctr("images", "import", shellArchive(t))
	ctr("run", "-d", "docker.io/library/app:1.0", "live")
	t.Cleanup(func() {
		exec.Command("ctr", "-a", socket, "-n", "team", "task", "kill", "-s", "SIGKILL", "live").Run()
		exec.Command("ctr", "-a", socket, "-n", "team", "task", "rm", "-f", "live").Run()
	})
	ctr("task", "exec", "--exec-id", "e", "--user", "0", "live", "/bin/busybox", "sh", "-c", `/bin/busybox mkdir -p /node_modules/new && echo '{"name":"new","version":"3.0.0"}' > /node_modules/new/package.json`)
	env := map[string]string{"CONTAINERD_ADDRESS": socket}
	live := scanned(t, env, "--namespace", "team", "container:live")
	if !has(live, x) || !has(live, musl) || !has(live, "pkg:npm/new@3.0.0") {
		t.Errorf("container: packages %v", live.Packages)
	}
	for _, p := range live.Packages {
		if p.Changed != (p.Name == "new") {
			t.Errorf("%s: changed since the image: %v", p.Name, p.Changed)
		}
	}
	if status, _, fail := run(t, env, "scan", "container:live"); status != 1 || !strings.Contains(fail, "--namespace") {
		t.Errorf("wrong namespace: status %d, %s", status, fail)
	}
}

// TestCredentialHelpers pulls with passwords that helper programs hand over.
func TestCredentialHelpers(t *testing.T) {
	host, ref := privateRegistry(t)
	helper := func(name, script string) {
		t.Helper()
		bin := write(t, map[string]string{"docker-credential-" + name: "#!/bin/sh\n" + script})
		must(t, os.Chmod(filepath.Join(bin, "docker-credential-"+name), 0o755))
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	}
	helper("good", `read server; [ "$1 $server" = "get `+host+`" ] && echo '{"ServerURL":"`+host+`","Username":"user","Secret":"password"}' && exit; echo "credentials not found in native keychain"; exit 1`)
	helper("bad", `echo "the vault is locked" >&2; exit 1`)
	for _, c := range []struct{ config, want string }{
		{`{"credHelpers":{"` + host + `":"good"}}`, ""},
		{`{"credsStore":"good"}`, ""},
		{`{"credHelpers":{"` + host + `":"bad"}}`, "credential helper"},
		{`{"credHelpers":{"` + host + `":"nosuch"}}`, "docker-credential-nosuch"},
	} {
		t.Setenv("DOCKER_CONFIG", write(t, map[string]string{"config.json": c.config}))
		status, _, fail := run(t, nil, "scan", "--insecure", ref)
		if (status == 0) != (c.want == "") || !strings.Contains(fail, c.want) {
			t.Errorf("%s: status %d, %s", c.config, status, fail)
		}
	}
}
