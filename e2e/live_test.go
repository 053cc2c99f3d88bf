package e2e_test

import (
	"testing"

	"sekisho"
)

// disguised changes a package's file without changing its size or times.
const disguised = `cd /app/node_modules/x && /bin/busybox touch -r package.json /tmp.ref && echo -n '{"name":"x","version":"6.6.6"}' >package.json && /bin/busybox touch -r /tmp.ref package.json && /bin/busybox rm /tmp.ref`

// wantTold wants the image's layers told apart in a container, and a disguised
// change told as one.
func wantTold(t *testing.T, live sekisho.Report) {
	t.Helper()
	if has(live, x) || !has(live, "pkg:npm/x@6.6.6") {
		t.Errorf("packages %v", live.Packages)
	}
	for _, p := range live.Packages {
		if p.Changed != (p.Name == "x") {
			t.Errorf("%s: changed since the image: %v", p.Name, p.Changed)
		}
		if p.Name == "musl" && p.Layer != live.Target.Layers[0].DiffID {
			t.Errorf("musl came with layer %s, want %s", p.Layer, live.Target.Layers[0].DiffID)
		}
	}
}

// TestDockerDisguised changes a file of a container so that nothing but its
// content tells.
func TestDockerDisguised(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay2"} {
		t.Run(driver, func(t *testing.T) {
			env := docker(t, driver)
			must(t, engine(env, "load", "-i", shellArchive(t)))
			must(t, engine(env, "run", "-d", "--name", "live", "--network=none", "--user=0", "-v", "/app/cache", "app:1.0"))
			must(t, engine(env, "exec", "live", "/bin/busybox", "sh", "-c", disguised))
			wantTold(t, scanned(t, env, "container:live"))
			must(t, engine(env, "rm", "-f", "live"))
		})
	}
}

// TestDockerImageStore scans containers of an engine that keeps its images in
// containerd and tells of no directories, and of its other store.
func TestDockerImageStore(t *testing.T) { eachNewer(t, imageStore) }

func imageStore(t *testing.T) {
	env := docker(t, "")
	must(t, engine(env, "load", "-i", shellArchive(t)))
	must(t, engine(env, "run", "-d", "--name", "live", "--network=none", "--user=0", "-v", "/app/cache", "app:1.0"))
	must(t, engine(env, "exec", "live", "/bin/busybox", "sh", "-c", disguised))
	wantTold(t, scanned(t, env, "container:live"))
	must(t, engine(env, "rm", "-f", "live"))
	if !containerdStore() {
		return
	}
	must(t, engine(env, "load", "-i", bothPlatforms(t)))
	for platform, want := range map[string]string{"linux/amd64": x, "linux/386": "pkg:npm/evil@1.0.0"} {
		r := scanned(t, env, "--platform", platform, "docker:both:1.0")
		if !has(r, want) || has(r, x) != (want == x) || r.Target.Platform != platform {
			t.Errorf("%s: %v of %s", platform, r.Packages, r.Target.Platform)
		}
	}
}
