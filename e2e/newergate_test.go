package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/internal/mkimage"
)

// buildkit runs the client with BuildKit and buildx.
func (g *guarded) buildkit(t *testing.T, args ...string) (bool, string) {
	t.Helper()
	config := write(t, map[string]string{"config.json": `{"cliPluginsExtraDirs":["` + filepath.Join(newer(t), "usr/libexec/docker/cli-plugins") + `"]}`})
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+g.env["DOCKER_HOST"], "DOCKER_BUILDKIT=1", "DOCKER_CONFIG="+config, "BUILDKIT_PROGRESS=plain")
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

// TestNewerGate tries what engines before 25 cannot be asked for.
func TestNewerGate(t *testing.T) { eachNewer(t, newerGate) }

func newerGate(t *testing.T) {
	g := guard(t)
	g.load(t, map[string][]string{"app:1.0": {"x"}, "evil:1.0": {"evil"}})
	for words, options := range map[string][]string{
		"mount-image:app:1.0":                    {"--mount", "type=image,source=app:1.0,target=/x"},
		"log-driver:syslog":                      {"--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:9"},
		"annotation:run.oci.handler":             {"--annotation", "run.oci.handler=x"},
		"device-request:cdi":                     {"--device", "vendor.example/gpu=all"},
		"mount:/etc":                             {"--mount", "type=bind,source=/etc,target=/x,readonly,bind-recursive=disabled"},
		"security-opt:writable-cgroups=true":     {"--security-opt", "writable-cgroups=true"},
		"sysctl:net.ipv4.conf.ifname.forwarding": {"--network", "name=none,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.forwarding=1"},
	} {
		g.denied(t, words, append(append([]string{"create"}, options...), "app:1.0")...)
	}
	g.allowed(t, "create", "--network=none", "--log-opt", "max-size=10m", "app:1.0")
	g.allowed(t, "tag", "app:1.0", "files:1")
	mounting := []string{"--network=none", "--mount", "type=image,source=files:1,target=/x", "app:1.0", "/bin/busybox", "ls", "/x"}
	g.allowed(t, append([]string{"create", "--name", "app-files"}, mounting...)...)
	g.allowed(t, append([]string{"run", "--rm"}, mounting...)...)
	g.allowed(t, "tag", "evil:1.0", "files:1")
	g.denied(t, "package evil", append([]string{"run", "--rm"}, mounting...)...)
	g.denied(t, "package evil", "start", "app-files") // the name moved: which image is mounted the engine does not tell
	newerCalls(t, g)
	newerBuilds(t, g)
	if containerdStore() {
		platforms(t, g)
	}
}

func newerCalls(t *testing.T, g *guarded) {
	const form = "application/json"
	privileged := `{"Image":"app:1.0","HostConfig":{"Privileged":true}}`
	for _, version := range []string{"1.44", "1.48", "1.51", "1.55", "1.99", "9.9"} {
		g.refuses(t, version, "privileged", "POST", "/v"+version+"/containers/create", form, strings.NewReader(privileged))
	}
	host := strings.TrimSpace(g.allowed(t, "network", "inspect", "--format", "{{.Id}}", "host"))
	g.refuses(t, "the host's network under another name", "network:host", "POST", "/containers/create", form,
		strings.NewReader(`{"Image":"app:1.0","HostConfig":{"NetworkMode":"none"},"NetworkingConfig":{"EndpointsConfig":{"none":{"NetworkID":"`+host+`"}}}}`))
	for _, call := range []string{"/build?version=2&remote=client-session", "/v1.51/build?networkmode=host", "/session", "/grpc", "/v1.51/build/cancel?id=x"} {
		g.refuses(t, call, "the action build", "POST", call, "", nil)
	}
	if status, out := g.call(t, "GET", "/images/app:1.0/attestations", "", nil); status == http.StatusForbidden {
		t.Errorf("attestations: %d %s", status, out)
	}
	g.allowed(t, "run", "-d", "--name", "app-1", "--network=none", "app:1.0")
	if status, out := g.call(t, "GET", "/v1.51/containers/app-1/attach/ws?logs=1", "", nil); status == http.StatusForbidden {
		t.Errorf("attach over a web socket: %d %s", status, out)
	}
	g.docker("rm", "-f", "app-1")
}

// newerBuilds holds that builds ask for the action, and that what BuildKit
// built is known by the digest that a container is started from.
func newerBuilds(t *testing.T, g *guarded) {
	files := write(t, map[string]string{"Dockerfile": "FROM app:1.0\nCOPY Dockerfile /copied\n"})
	g.allowed(t, "tag", "app:1.0", "moby/buildkit:buildx-stable-1")
	for _, build := range [][]string{{"build", files}, {"buildx", "build", "--load", files}} { // refused, buildx wants a privileged container of its own
		if ok, out := g.buildkit(t, build...); ok || !strings.Contains(out, "privileged; the rule") {
			t.Errorf("%v: %v %s", build, ok, out)
		}
	}
	rules, err := os.ReadFile(g.dir + "/docker.yaml")
	must(t, err)
	g.stop()
	must(t, os.WriteFile(g.dir+"/docker.yaml", append(rules, "  - {name: builders, local: true, actions: [build]}\n"...), 0o600))
	g.serve()
	attested := []string{"--provenance=false"}
	if containerdStore() {
		attested = append(attested, "--provenance=true") // an index, which lists the image and what was attested of it
	}
	for i, attest := range attested {
		tag := fmt.Sprintf("built:%d", i)
		if ok, out := g.buildkit(t, "buildx", "build", "--load", attest, "-t", tag, files); !ok {
			t.Fatalf("build: %s", out)
		}
		g.allowed(t, "run", "-d", "--name", "app-built", "--network=none", tag)
		g.docker("rm", "-f", "app-built")
	}
	must(t, os.WriteFile(filepath.Join(files, "Dockerfile"), []byte("FROM evil:1.0\nCOPY Dockerfile /copied\n"), 0o600))
	if ok, out := g.buildkit(t, "buildx", "build", "--load", attested[len(attested)-1], "-t", "built:evil", files); !ok {
		t.Fatalf("build: %s", out)
	}
	g.denied(t, "package evil", "run", "--rm", "--network=none", "built:evil")
}

// bothPlatforms is the archive of an image for two platforms, of which one has
// the package x and the other evil.
func bothPlatforms(t *testing.T) string {
	t.Helper()
	one := func(arch, pkg string) mkimage.Image {
		files := map[string]string{"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n", "app/node_modules/" + pkg + "/package.json": fmt.Sprintf(`{"name":%q,"version":"1.0.0"}`, pkg)}
		dir := write(t, files)
		data, err := os.ReadFile("/bin/busybox")
		must(t, err)
		must(t, os.MkdirAll(dir+"/bin", 0o755))
		must(t, os.WriteFile(dir+"/bin/busybox", data, 0o755))
		return mkimage.Image{Name: "docker.io/library/both:1.0", Arch: arch, Run: map[string]any{"Cmd": []string{"/bin/busybox", "true"}}, Layers: []mkimage.Layer{{Dir: dir, By: "ADD " + arch}}}
	}
	layout := filepath.Join(t.TempDir(), "layout")
	must(t, mkimage.Layout(layout, one("amd64", "x"), one("386", "evil")))
	archive := layout + ".tar"
	must(t, exec.Command("tar", "-C", layout, "-cf", archive, "blobs", "index.json", "oci-layout").Run())
	return archive
}

// platforms holds that a good image does not vouch for one of another platform
// that stands beside it under one name.
func platforms(t *testing.T, g *guarded) {
	g.allowed(t, "load", "-i", bothPlatforms(t))
	id := strings.TrimSpace(g.allowed(t, "image", "inspect", "--format", "{{.Id}}", "both:1.0"))
	for _, name := range []string{"both:1.0", id} {
		g.allowed(t, "run", "-d", "--name", "app-amd", "--network=none", "--platform", "linux/amd64", name)
		g.allowed(t, "create", "--name", "app-386", "--network=none", "--platform", "linux/386", name)
		g.denied(t, "package evil", "start", "app-386")
		g.docker("rm", "-f", "app-amd", "app-386")
	}
}
