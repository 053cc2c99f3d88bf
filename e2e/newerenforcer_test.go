//go:build linux

package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho"
	"sekisho/enforce"
)

// TestNewerEnforcer holds that the enforcer knows containers of a newer engine
// by both of its stores: whose an event is from the first on, what of the image
// was only touched, how a container is stopped, and what it changed.
func TestNewerEnforcer(t *testing.T) { eachNewer(t, newerEnforcer) }

func newerEnforcer(t *testing.T) {
	s := stage{t, docker(t, "")}
	must(t, engine(s.env, "load", "-i", actors(t)))
	must(t, engine(s.env, "tag", "actors:1.0", "newer-actors:1.0"))
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/rules.yaml", []byte("- rule: bad\n  desc: bad\n  condition: evt.type = execve and proc.name = touch and proc.args contains stopme\n  output: bad\n  priority: CRITICAL\n"), 0o600))
	e := startEnforcer(t, s.env, "mode: audit\nworkloads: [{image: 'newer-actors:*', mode: enforce}]\nevidence: {case_each: 1s}\nrules: {builtin: false, files: ["+dir+"/rules.yaml]}\nresponses: [{on: [rule], do: stop}]\n")
	shell := func(name, script string) (string, error) {
		t.Cleanup(func() { engine(s.env, "rm", "-f", name) })
		return newerRun(s.env, append(append([]string{"run", "--name", name, "--network=none"}, stageOptions...), "newer-actors:1.0", "/bin/busybox", "sh", "-c", short.Replace(script))...)
	}
	for _, i := range []int{0, 2, 3, 5} { // the last two of the list are told by a rule that is off here
		c := calm[i]
		name := fmt.Sprintf("ncalm%d", i)
		if out, err := shell(name, c.script); err != nil {
			t.Errorf("%s: %v: %s", c.name, err, out)
		}
		for _, a := range e.alerts(name) {
			t.Errorf("%s raised %s %s %s %s", c.name, a.Kind, a.Rule, a.What, a.Done)
		}
	}
	for _, i := range []int{0, 3, 5, 8, 9, 12} {
		d := drifts[i]
		name := fmt.Sprintf("ndrift%d", i)
		if out, err := shell(name, d.script); err == nil {
			t.Errorf("%s: the shell ended well: %s", d.name, out)
		}
		a := e.await(name, enforce.KindDrift)
		if a.Done != enforce.DoneKilled && a.Done != enforce.DoneDenied || a.Why != d.origin {
			t.Errorf("%s: told as %s %s", d.name, a.Done, a.Why)
		}
		if a.Container.Upper == "" {
			t.Errorf("%s: its own layer is not known", d.name)
		}
		if _, err := os.Stat(filepath.Join(a.Container.Upper, "witness")); !os.IsNotExist(err) {
			t.Errorf("%s: the program left a file", d.name)
		}
	}
	newerIdentity(t, e, s)
	files := write(t, map[string]string{"Dockerfile": "FROM newer-actors:1.0\nRUN [\"/bin/busybox\", \"true\", \"of-a-build\"]\n"})
	if ok, out := (&guarded{env: s.env}).buildkit(t, "build", "--network=none", files); !ok {
		t.Errorf("build: %s", out)
	}
	eventually(t, "a step of a build is told under one name", func() bool { return strings.Contains(e.ask("query", "--container", "buildkit"), "true of-a-build") })
	must(t, engine(s.env, "run", "-d", "--name", "nstop", "--network=none", "newer-actors:1.0", "/bin/busybox", "sh", "-c", "echo changed > /changed; /bin/touch /stopme; /bin/busybox sleep 600"))
	eventually(t, "it is stopped", func() bool { return strings.Contains(inspect(s.env, "nstop", "{{.State.Status}}"), "exited") })
	if parts := newerCase(t, e, "nstop"); !strings.Contains(parts, "changed/changed") {
		t.Errorf("the case has no file that the container wrote: %s", parts)
	}
	must(t, engine(s.env, "rm", "-f", "nstop"))
}

func newerRun(env map[string]string, args ...string) (string, error) {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+env["DOCKER_HOST"])
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// newerIdentity compares what an alert and the first event of a container say
// of it with what the engine says.
func newerIdentity(t *testing.T, e *enforcer, s stage) {
	t.Helper()
	c := e.await("ndrift0", enforce.KindDrift).Container
	id, image, manifest := strings.TrimSpace(inspect(s.env, "ndrift0", "{{.Id}}")), strings.TrimSpace(inspect(s.env, "ndrift0", "{{.Image}}")), ""
	var all []struct {
		ImageManifestDescriptor *struct{ Digest sekisho.Digest }
	}
	must(t, json.Unmarshal([]byte(inspect(s.env, "ndrift0", "[{{json .}}]")), &all))
	if d := all[0].ImageManifestDescriptor; d != nil {
		manifest = string(d.Digest)
	}
	if (manifest != "") != containerdStore() {
		t.Errorf("the engine tells the manifest %q", manifest)
	}
	if c.ID != id || c.Image != "newer-actors:1.0" || string(c.ImageID) != image || string(c.ImageDigest) != manifest || c.Runtime != "docker" {
		t.Errorf("container %+v; the engine says %s, %s, %s", c, id, image, manifest)
	}
	if len(c.Mounts) != 2 {
		t.Errorf("mounts %+v", c.Mounts)
	}
	var first sekisho.Event
	eventually(t, "the first event is on disk", func() bool {
		for line := range strings.Lines(e.ask("query", "--container", "ndrift0", "--json")) {
			if json.Unmarshal([]byte(line), &first) == nil && first.Kind == sekisho.EventExec {
				return true
			}
		}
		return false
	})
	if p := first.Process; p == nil || len(p.Args) < 2 || p.Args[1] != "sh" || first.Container == nil || string(first.Container.ImageID) != image {
		t.Errorf("the first program: %+v of %+v", first.Process, first.Container)
	}
}

// newerCase returns the parts of the case of a container.
func newerCase(t *testing.T, e *enforcer, name string) string {
	t.Helper()
	file := ""
	eventually(t, "a case of "+name, func() bool {
		for line := range strings.Lines(e.ask("cases", "list")) {
			if strings.Contains(line, name) {
				file = strings.Fields(line)[0]
			}
		}
		return file != ""
	})
	return e.ask("cases", "show", file)
}
