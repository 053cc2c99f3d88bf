package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// engineKind is one that tests run over: which programs, and where it keeps
// its images.
type engineKind struct {
	name   string
	path   string // directories of its programs, before those of the machine
	config string // daemon.json
}

// The kinds: what the machine has, and a newer one (e2e/docker/fetch.sh) with
// both of its stores.
const (
	ofMachine = `{}`
	graph     = `{"storage-driver": "overlay2", "features": {"containerd-snapshotter": false}}`
	snapshots = `{"features": {"containerd-snapshotter": true}}`
)

// userCache is there before a test gives itself another home.
var userCache, _ = os.UserCacheDir()

// newer is where the newer engine is.
func newer(t *testing.T) string {
	t.Helper()
	root := filepath.Join(userCache, "sekisho-e2e", "docker")
	if _, err := os.Stat(filepath.Join(root, "usr/sbin/dockerd")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: e2e/docker/fetch.sh brings it", err)
		}
		return ""
	}
	return root
}

// eachEngine runs a test over engines of all kinds that are here.
func eachEngine(t *testing.T, test func(*testing.T)) {
	t.Helper()
	onMachine(t, test)
	eachNewer(t, test)
}

// farEngines runs a test over the machine's engine and the kind that differs
// most from it.
func farEngines(t *testing.T, test func(*testing.T)) {
	t.Helper()
	onMachine(t, test)
	onNewer(t, test, snapshots)
}

func onMachine(t *testing.T, test func(*testing.T)) {
	t.Helper()
	k := engineKind{"machine", "", ofMachine}
	t.Run(k.name, func(t *testing.T) { k.use(t); test(t) })
}

// eachNewer runs a test over the newer engine with both of its stores.
func eachNewer(t *testing.T, test func(*testing.T)) {
	t.Helper()
	onNewer(t, test, graph, snapshots)
}

func onNewer(t *testing.T, test func(*testing.T), configs ...string) {
	t.Helper()
	root := newer(t)
	if root == "" {
		t.Log("without a newer engine: e2e/docker/fetch.sh brings it")
		return
	}
	path := filepath.Join(root, "usr/sbin") + ":" + filepath.Join(root, "usr/bin") + ":"
	for _, k := range []engineKind{{"newer", path, graph}, {"containerd", path, snapshots}} {
		if slices.Contains(configs, k.config) {
			t.Run(k.name, func(t *testing.T) { k.use(t); test(t) })
		}
	}
}

// use lets the rest of a test start engines of this kind.
func (k engineKind) use(t *testing.T) {
	t.Setenv("PATH", k.path+os.Getenv("PATH"))
	t.Setenv(engineVariable, k.config)
}

// engineVariable has daemon.json of the engines that a test starts.
const engineVariable = "SEKISHO_E2E_DAEMON_JSON"

// containerdStore tells whether the engine of this test keeps its images in
// containerd.
func containerdStore() bool { return os.Getenv(engineVariable) == snapshots }

// daemonJSON is the configuration of this test's engines with more in it.
func daemonJSON(more string) string {
	text := os.Getenv(engineVariable)
	if text == "" {
		text = ofMachine
	}
	if more != "" && text != ofMachine {
		more += ", "
	}
	return "{" + more + text[1:]
}

// startDocker starts an engine whose files are all below a directory; further
// arguments are the engine's. It listens at d.sock there.
func startDocker(t *testing.T, dir string, args ...string) map[string]string {
	t.Helper()
	need(t, true, "dockerd", "docker", "containerd", "runc")
	config := filepath.Join(dir, "daemon.json")
	if _, err := os.Stat(config); err != nil {
		must(t, os.WriteFile(config, []byte(daemonJSON("")), 0o600))
	}
	env := map[string]string{"DOCKER_HOST": "unix://" + dir + "/d.sock"}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir+"/exec/netns/default").Run() }) // an engine leaves it when it ends
	start(t, func() bool { return engine(env, "info") == nil }, "dockerd", append([]string{"--config-file", config, "--host", env["DOCKER_HOST"], "--data-root", dir + "/data", "--exec-root", dir + "/exec",
		"--pidfile", dir + "/pid", "--iptables=false", "--ip6tables=false", "--bridge=none"}, args...)...)
	return env
}
