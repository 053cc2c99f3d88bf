//go:build linux

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekisho/cli"
	"sekisho/enforce"
)

// enforcer is an enforcer that runs in this process until the test ends.
type enforcer struct {
	t      *testing.T
	dir    string
	config string
	env    map[string]string
	cancel context.CancelFunc
	ended  chan int
	out    lockedBuffer
	fail   lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func startEnforcer(t *testing.T, env map[string]string, yaml string) *enforcer {
	t.Helper()
	dir := t.TempDir()
	e := &enforcer{t: t, dir: dir, env: env, config: filepath.Join(dir, "enforce.yaml")}
	must(t, os.WriteFile(e.config, []byte("state: state\nprofiles: profiles\npin: false\n"+yaml), 0o600))
	e.start(env)
	t.Cleanup(func() {
		e.stop()
		if t.Failed() {
			t.Logf("the enforcer:\n%s\n%s", e.out.String(), e.fail.String())
		}
	})
	return e
}

func (e *enforcer) start(env map[string]string) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel, e.ended = cancel, make(chan int, 1)
	vars := map[string]string{"SEKISHO_NO_WATCHDOG": "1", "HOME": e.dir, "DOCKER_HOST": env["DOCKER_HOST"]}
	go func() {
		e.ended <- cli.Main(ctx, cli.Process{Args: []string{"enforce", "run", "--json", "--config", e.config}, Getenv: func(k string) string { return vars[k] }, Stdin: os.Stdin, Stdout: &e.out, Stderr: &e.fail})
	}()
	eventually(e.t, "the enforcer is ready", func() bool {
		select {
		case s := <-e.ended:
			e.t.Fatalf("the enforcer ended with %d: %s", s, e.fail.String())
		default:
		}
		st, err := enforce.ReadStatus(filepath.Join(e.dir, "state"))
		return err == nil && strings.Contains(e.fail.String(), "the enforcer runs") && !st.Clean
	})
}

func (e *enforcer) stop() {
	e.t.Helper()
	if e.cancel == nil {
		return
	}
	e.cancel()
	e.cancel = nil
	if s := <-e.ended; s != 0 {
		e.t.Errorf("the enforcer ended with %d: %s", s, e.fail.String())
	}
}

// alerts are those of a container, of all with "".
func (e *enforcer) alerts(name string) (list []enforce.Alert) {
	e.t.Helper()
	s := bufio.NewScanner(strings.NewReader(e.out.String()))
	s.Buffer(nil, 1<<22)
	for s.Scan() {
		var a enforce.Alert
		if json.Unmarshal(s.Bytes(), &a) == nil && (name == "" || a.Container != nil && a.Container.Name == name) {
			list = append(list, a)
		}
	}
	return list
}

func (e *enforcer) await(name, kind string) enforce.Alert {
	e.t.Helper()
	var found enforce.Alert
	eventually(e.t, kind+" alert of "+name, func() bool {
		for _, a := range e.alerts(name) {
			if a.Kind == kind {
				found = a
				return true
			}
		}
		return false
	})
	return found
}

// ask runs another command on the enforcer's state.
func (e *enforcer) ask(args ...string) string {
	e.t.Helper()
	status, out, fail := run(e.t, e.env, append(append([]string{"enforce"}, args...), "--config", e.config)...)
	if status != 0 {
		e.t.Fatalf("%v: status %d: %s", args, status, fail)
	}
	return out
}

var short = strings.NewReplacer("cp ", "/bin/busybox cp ", "mv ", "/bin/busybox mv ", "ln ", "/bin/busybox ln ", "cat ", "/bin/busybox cat ", "chmod ", "/bin/busybox chmod ", "chown ", "/bin/busybox chown ", "sleep ", "/bin/busybox sleep ")

var stageOptions = []string{"--tmpfs", "/mem:exec", "-v", "/volume"}

func (s stage) shell(name, script string) (string, error) {
	return s.run(name, stageOptions, "/bin/busybox", "sh", "-c", short.Replace(script))
}

// upper is the own layer of a container on the host.
func (s stage) upper(name string) string {
	cmd := exec.Command("docker", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.env["DOCKER_HOST"])
	out, err := cmd.Output()
	must(s.t, err)
	return strings.TrimSpace(string(out))
}

// calm is ordinary life: none of it may raise anything.
var calm = []struct{ name, script string }{ // the last two change a program with its own content: a rule may say so
	{"the image's programs", "/bin/touch /a && /bin/actor touch /witness"},
	{"the loader", "/lib64/ld-linux-x86-64.so.2 /bin/touch /witness"},
	{"a mode that was changed", "chmod 700 /bin/touch && /bin/touch /witness"},
	{"an owner that was changed", "chown 0:0 /bin/touch /lib/x86_64-linux-gnu/libc.so.6 && /bin/touch /witness"},
	{"data in its own layer", "for i in 1 2 3 4 5 6 7 8; do echo $i > /data.$i; done; /bin/touch /witness"},
	{"a file opened to append", ": >> /bin/touch; /bin/touch /witness"},
	{"copied over itself", "cp /bin/touch /t && cat /t > /bin/touch && /bin/touch /witness"},
}

// TestEnforcerStopsDrift holds in enforce mode: every way to run what the image
// does not have is told with its container and leaves nothing behind, a sealed
// case tells of it, and ordinary life goes on and raises nothing.
func TestEnforcerStopsDrift(t *testing.T) {
	s := newStage(t)
	e := startEnforcer(t, s.env, "mode: enforce\nevidence: {case_each: 1s}\n")
	for i, c := range calm {
		name := fmt.Sprintf("calm%d", i)
		if out, err := s.shell(name, c.script); err != nil {
			t.Errorf("%s: %v: %s", c.name, err, out)
		}
	}
	for i, d := range drifts {
		name := fmt.Sprintf("drift%d", i)
		if out, err := s.shell(name, d.script); err == nil {
			t.Errorf("%s: the shell ended well: %s", d.name, out)
		}
		a := e.await(name, enforce.KindDrift)
		if a.Done != enforce.DoneKilled && a.Done != enforce.DoneDenied || a.Why != d.origin {
			t.Errorf("%s: told as %s %s", d.name, a.Done, a.Why)
		}
		if _, err := os.Stat(filepath.Join(s.upper(name), "witness")); !os.IsNotExist(err) {
			t.Errorf("%s: the program left a file", d.name)
		}
	}
	for i, c := range calm {
		for _, a := range e.alerts(fmt.Sprintf("calm%d", i)) {
			if i >= len(calm)-2 && a.Rule == "binary-changed" {
				continue
			}
			t.Errorf("%s raised %s %s %s %s", c.name, a.Kind, a.Rule, a.What, a.Done)
		}
	}
	eventually(t, "a case for each", func() bool { return strings.Count(e.ask("cases", "list"), "\n") >= len(drifts) })
	if out := e.ask("cases", "verify"); strings.Count(out, ": holds\n") < len(drifts)+1 {
		t.Errorf("cases verify: %s", out)
	}
	for _, a := range e.alerts("") {
		if a.Kind == enforce.KindLost || a.Kind == enforce.KindResponse {
			t.Errorf("%s %s %s %s", a.Kind, a.Rule, a.What, a.Why)
		}
	}
}

// TestEnforcerAudits holds in audit mode: the same is told, and happens.
func TestEnforcerAudits(t *testing.T) {
	s := newStage(t)
	e := startEnforcer(t, s.env, "mode: audit\nresponses: [{on: [drift], do: stop}]\n")
	for i, d := range drifts[:3] {
		name := fmt.Sprintf("drift%d", i)
		if out, err := s.shell(name, d.script); err != nil {
			t.Errorf("%s: %v: %s", d.name, err, out)
		}
		if a := e.await(name, enforce.KindDrift); a.Done != "would stop" {
			t.Errorf("%s: told as %q", d.name, a.Done)
		}
		if _, err := os.Stat(filepath.Join(s.upper(name), "witness")); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}

// TestTwoSecondContainer holds that a container which lived two seconds and was
// removed with everything can be read, as a tree and as a case.
func TestTwoSecondContainer(t *testing.T) {
	s := newStage(t)
	e := startEnforcer(t, s.env, "mode: audit\n")
	cmd := exec.Command("docker", "run", "--rm", "--name", "brief", "--network=none", "actors:1.0", "/bin/busybox", "sh", "-c", "/bin/busybox cp /bin/actor /x; /x touch /witness; /bin/busybox sleep 1")
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.env["DOCKER_HOST"])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e.await("brief", enforce.KindDrift)
	eventually(t, "a case", func() bool { return strings.Contains(e.ask("cases", "list"), "brief") })
	eventually(t, "the log is on disk", func() bool { return strings.Contains(e.ask("query", "--container", "brief"), "sleep 1") })
	tree := e.ask("query", "--container", "brief", "--tree")
	lines := strings.Split(tree, "\n")
	x := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "/x touch /witness [not of the image]") })
	if x < 1 || !strings.HasPrefix(lines[x], "  ") {
		t.Errorf("tree:\n%s", tree)
	}
	if ja := e.ask("query", "--container", "brief", "--tree", "--lang", "ja"); !strings.Contains(ja, "[イメージ外]") {
		t.Errorf("ja:\n%s", ja)
	}
	id := strings.Fields(e.ask("cases", "list"))[0]
	if show := e.ask("cases", "show", id); !strings.Contains(show, "processes.json") || !strings.Contains(show, "events.jsonl") {
		t.Errorf("case:\n%s", show)
	}
	if events := e.ask("cases", "show", id, "events.jsonl"); !strings.Contains(events, `"/x"`) {
		t.Errorf("events of the case:\n%s", events)
	}
}

// TestEnforcerLearns goes the road of a workload: learn, audit, enforce, with
// restarts between, by the commands that people use.
func TestEnforcerLearns(t *testing.T) {
	s := newStage(t)
	e := startEnforcer(t, s.env, "mode: learn\n")
	if out, err := s.shell("learnt", "/bin/touch /a; cp /bin/touch /x && /x /b"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "it was seen", func() bool { return strings.Contains(e.ask("query", "--container", "learnt"), "touch /a") })
	e.stop()
	name := enforce.FileName("image:actors:1.0")
	if out := e.ask("profile", "show", name); !strings.Contains(out, "path: /bin/touch") || !strings.Contains(out, "by:\n      - /bin/touch") || strings.Contains(out, "path: /x\n    parents") || strings.Contains(out, "/merged/") {
		t.Fatalf("profile:\n%s", out)
	}
	e.ask("profile", "promote", name, "--mode", "audit")
	e.start(s.env)
	if out, err := s.shell("audited", "/bin/touch /a; /bin/actor touch /witness"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if a := e.await("audited", enforce.KindProfile); a.Rule != "process" || a.What != "/bin/actor" {
		t.Errorf("told %s %s", a.Rule, a.What)
	}
	e.stop()
	if out := e.ask("profile", "diff", name); !strings.Contains(out, "+ process /bin/actor") || strings.Contains(out, "touch") {
		t.Errorf("diff: %s", out)
	}
	e.ask("profile", "promote", name, "--mode", "enforce", "--kind", "process")
	e.start(s.env)
	if out, err := s.shell("enforced", "/bin/touch /a; /bin/actor touch /b"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := s.shell("stopped", "cp /bin/actor /x; /x touch /witness"); err == nil {
		t.Errorf("drift ran: %s", out)
	}
	e.await("stopped", enforce.KindDrift)
	for _, a := range e.alerts("enforced") {
		t.Errorf("what was promoted raised %s %s %s", a.Kind, a.Rule, a.What)
	}
	if out := e.ask("status"); !strings.Contains(out, "gap: ") {
		t.Errorf("status tells no gap:\n%s", out)
	}
}

// binary builds the program once for a test.
func binary(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sekisho")
	cmd := exec.Command("go", "build", "-o", name, "../cmd/sekisho")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return name
}

// daemon runs the built program as a service until the test ends.
func daemon(t *testing.T, program, dir string, env map[string]string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, "enforce", "run", "--config", filepath.Join(dir, "enforce.yaml"))
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+env["DOCKER_HOST"])
	var fail lockedBuffer
	cmd.Stdout, cmd.Stderr = &fail, &fail
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("the service:\n%s", fail.String())
		}
	})
	eventually(t, "the service runs", func() bool {
		st, err := enforce.ReadStatus(filepath.Join(dir, "state"))
		return err == nil && !st.Clean && strings.Contains(fail.String(), "the enforcer runs")
	})
	return cmd
}

// TestCanary proves enforcement by trying, tells it in the status, and tells
// the opposite once nobody enforces.
func TestCanary(t *testing.T) {
	s := newStage(t)
	program, dir := binary(t), t.TempDir()
	must(t, os.WriteFile(dir+"/enforce.yaml", []byte("state: state\nprofiles: profiles\npin: false\nmode: audit\n"), 0o600))
	sekisho := func(args ...string) (string, int) {
		cmd := exec.Command(program, append(append([]string{"enforce"}, args...), "--config", dir+"/enforce.yaml")...)
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.env["DOCKER_HOST"])
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	run := daemon(t, program, dir, s.env)
	out, status := sekisho("canary")
	for _, attempt := range []string{"drifted executable    enforcing", "unknown program       enforcing", "forbidden connection  enforcing", "forbidden write       enforcing"} {
		if status != 0 || !strings.Contains(out, attempt) {
			t.Errorf("status %d: want %s: %s", status, attempt, out)
		}
	}
	eventually(t, "the status tells it", func() bool {
		out, _ := sekisho("status")
		return strings.Contains(out, "canary: drifted executable") && strings.Contains(out, "enforcing")
	})
	must(t, run.Process.Signal(os.Interrupt))
	must(t, run.Wait())
	if out, status := sekisho("canary"); status != 3 || !strings.Contains(out, "drifted executable    open") {
		t.Errorf("without an enforcer: status %d: %s", status, out)
	}
	data, err := os.ReadFile(dir + "/state/alerts.jsonl")
	if err != nil || bytes.Contains(data, []byte("sekisho-canary")) {
		t.Errorf("a canary raised alerts: %v %s", err, data)
	}
}

// TestHungEnforcer holds that an enforcer which does not move any more holds up
// neither the host nor, for longer than its watchdog takes, a container.
func TestHungEnforcer(t *testing.T) {
	s := newStage(t)
	program, dir := binary(t), t.TempDir()
	must(t, os.WriteFile(dir+"/enforce.yaml", []byte("state: state\nprofiles: profiles\npin: false\nmode: enforce\n"), 0o600))
	run := daemon(t, program, dir, s.env)
	must(t, engine(s.env, "run", "-d", "--name", "held", "--network=none", "actors:1.0", "/bin/busybox", "sleep", "600"))
	t.Cleanup(func() { must(t, engine(s.env, "rm", "-f", "held")) })
	must(t, run.Process.Signal(syscall.SIGSTOP))
	began := time.Now()
	must(t, exec.Command("/bin/true").Run())
	if d := time.Since(began); d > time.Second {
		t.Errorf("a program of the host took %v", d)
	}
	must(t, engine(s.env, "exec", "held", "/bin/touch", "/went")) // nobody asked about it yet
	t.Logf("a program of the container went on after %v", time.Since(began).Round(10*time.Millisecond))
	if err := run.Wait(); err == nil || run.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the hung enforcer ended with %v", run.ProcessState)
	}
}

// TestResponses pauses and stops real containers, the case always before, and
// lets one go on again.
func TestResponses(t *testing.T) {
	s := newStage(t)
	for do, want := range map[string]string{"pause": "paused", "stop": "exited"} {
		dir := t.TempDir()
		must(t, os.WriteFile(dir+"/rules.yaml", []byte("- rule: bad\n  desc: bad\n  condition: evt.type = execve and proc.name = touch\n  output: bad\n  priority: CRITICAL\n"), 0o600))
		e := startEnforcer(t, s.env, "mode: enforce\ndrift: []\nrules: {builtin: false, files: ["+dir+"/rules.yaml]}\nresponses: [{on: [rule], do: "+do+"}]\n")
		name := "respond-" + do
		must(t, engine(s.env, "run", "-d", "--name", name, "--network=none", "actors:1.0", "/bin/busybox", "sh", "-c", "/bin/touch /a; /bin/busybox sleep 600"))
		eventually(t, name+" is "+want, func() bool { return strings.Contains(inspect(s.env, name, "{{.State.Status}}"), want) })
		if out := e.ask("cases", "list"); !strings.Contains(out, name) {
			t.Errorf("%s: cases %s", do, out)
		}
		var log []byte
		eventually(t, "the audit log tells it", func() bool {
			log, _ = os.ReadFile(filepath.Join(e.dir, "state", "audit", "audit-000001.log"))
			return bytes.Contains(log, []byte("response."+do))
		})
		if seal := bytes.Index(log, []byte("evidence.seal")); seal < 0 || bytes.Index(log, []byte("response."+do)) < seal {
			t.Errorf("%s: the evidence was not first:\n%s", do, log)
		}
		if do == "pause" {
			e.ask("release", name)
			eventually(t, name+" runs again", func() bool { return strings.Contains(inspect(s.env, name, "{{.State.Status}}"), "running") })
		}
		must(t, engine(s.env, "rm", "-f", name))
		e.stop()
	}
}

func inspect(env map[string]string, name, form string) string {
	cmd := exec.Command("docker", "inspect", "-f", form, name)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+env["DOCKER_HOST"])
	out, _ := cmd.Output()
	return string(out)
}

// TestMalwareTold holds that a file which is written, and one that is run, are
// looked into with the scanner's engine.
func TestMalwareTold(t *testing.T) {
	s := newStage(t)
	e := startEnforcer(t, s.env, "mode: audit\n")
	if out, err := s.run("infected", nil, "/bin/busybox", "sh", "-c", `/bin/busybox printf '%s' 'X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD'`+`'-ANTIVIRUS-TEST-FILE!$H+H*' > /upload; /bin/busybox sleep 5`); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if a := e.await("infected", enforce.KindMalware); a.What != "/upload" || a.Severity != "medium" || !strings.Contains(a.Rule, "EICAR") {
		t.Errorf("told %+v", a)
	}
}

// TestScriptTold holds that a script which the image does not have is told when
// an interpreter is given it, and answered in enforce mode.
func TestScriptTold(t *testing.T) {
	s := newStage(t)
	e := startEnforcer(t, s.env, "mode: enforce\n")
	out, err := s.run("script", nil, "/bin/busybox", "sh", "-c", "echo '/bin/busybox sleep 600; echo ran' > /s.sh; /bin/busybox sh /s.sh; echo ended $?")
	if a := e.await("script", enforce.KindDrift); a.Rule != "drifted script" || a.What != "/s.sh" {
		t.Errorf("told %s %s", a.Rule, a.What)
	}
	if err != nil || strings.Contains(out, "ran\n") || !strings.Contains(out, "ended 137") {
		t.Errorf("the script: %v: %s", err, out)
	}
}
