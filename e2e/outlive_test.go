//go:build linux

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho/enforce"
)

// outlived is a service whose part in the kernel outlives it.
type outlived struct {
	stage
	program, dir, pins string
	run                *exec.Cmd
	fail               lockedBuffer
}

// outlive makes ready a service for containers of an image of its own name.
func outlive(t *testing.T, program string, s stage, yaml string) *outlived {
	t.Helper()
	must(t, engine(s.env, "tag", "actors:1.0", "outlive:1.0"))
	o := &outlived{stage: s, program: program, dir: t.TempDir(), pins: fmt.Sprintf("/sys/fs/bpf/sekisho-e2e-%d-%d", os.Getpid(), time.Now().UnixNano())}
	o.t = t
	must(t, os.WriteFile(o.dir+"/enforce.yaml", []byte("state: state\nprofiles: profiles\npin: "+o.pins+"\nloss_after: 2s\nrules: {builtin: false}\nmalware: {scan: false}\nworkloads: [{image: \"outlive:1.0\", mode: enforce}]\n"+yaml), 0o600))
	t.Cleanup(func() {
		o.end(syscall.SIGTERM)
		o.sekisho("unpin")
		if _, err := os.Stat(o.pins); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", o.pins, err)
		}
		if t.Failed() {
			t.Logf("the service:\n%s", o.fail.String())
		}
	})
	return o
}

func (o *outlived) start() {
	o.t.Helper()
	o.run = exec.Command(o.program, "enforce", "run", "--config", o.dir+"/enforce.yaml")
	o.run.Env = append(os.Environ(), "DOCKER_HOST="+o.env["DOCKER_HOST"])
	o.run.Stdout, o.run.Stderr = &o.fail, &o.fail
	must(o.t, o.run.Start())
	began := time.Now()
	eventually(o.t, "the service runs", func() bool {
		st, err := enforce.ReadStatus(o.dir + "/state")
		return err == nil && !st.Clean && st.Alive.After(began) && st.PID == o.run.Process.Pid
	})
}

func (o *outlived) end(sig syscall.Signal) {
	o.t.Helper()
	if o.run == nil {
		return
	}
	must(o.t, o.run.Process.Signal(sig))
	if err := o.run.Wait(); err != nil && sig != syscall.SIGKILL {
		o.t.Errorf("the service ended with %v", err)
	}
	o.run = nil
}

func (o *outlived) sekisho(args ...string) string {
	o.t.Helper()
	cmd := exec.Command(o.program, append(append([]string{"enforce"}, args...), "--config", o.dir+"/enforce.yaml")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

func (o *outlived) status() *enforce.Status {
	o.t.Helper()
	st := &enforce.Status{}
	must(o.t, json.Unmarshal([]byte(o.sekisho("status", "--json")), st))
	return st
}

// container begins a container that waits.
func (o *outlived) container(name, script string) {
	o.t.Helper()
	o.t.Cleanup(func() { must(o.t, engine(o.env, "rm", "-f", name)) })
	must(o.t, engine(o.env, "run", "-d", "--name", name, "--network=none", "--tmpfs", "/mem:exec", "outlive:1.0", "/bin/busybox", "sh", "-c", short.Replace(script+"; sleep 600")))
}

// does runs a script in a container and says whether it went well and left its
// witness.
func (o *outlived) does(name, script string) bool {
	o.t.Helper()
	err := engine(o.env, "exec", name, "/bin/busybox", "sh", "-c", "/bin/busybox rm -f /witness; "+short.Replace(script))
	_, left := os.Stat(filepath.Join(o.upper(name), "witness"))
	if (err == nil) != (left == nil) {
		o.t.Errorf("%s: %v, %v", script, err, left)
	}
	return err == nil
}

const (
	drifted = "cp /bin/actor /x; /x touch /witness"
	touched = "chmod 700 /bin/actor; /bin/actor touch /witness"
)

// TestOutlives holds that while the enforcer is stopped, and after it was
// killed, drifted programs do not run, in containers that it knows and in such
// that start again; that status says so from what the kernel has; and that the
// next start tells what happened meanwhile, with no more lost than is said.
func TestOutlives(t *testing.T) {
	s := newStage(t)
	o := outlive(t, binary(t), s, "")
	o.start()
	o.container("outlive-kept", "/bin/touch /a")
	eventually(t, "it is enforced", func() bool {
		return slices.ContainsFunc(o.status().Containers, func(c enforce.ContainerStatus) bool { return c.Name == "outlive-kept" && c.State == enforce.Enforcing })
	})
	for i, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		o.end(end)
		if o.does("outlive-kept", drifted) {
			t.Errorf("after %v a drifted program ran", end)
		}
		if !o.does("outlive-kept", touched) {
			t.Errorf("after %v a program that was only touched did not run", end)
		}
		late := fmt.Sprint("outlive-late", i)
		o.container(late, "/bin/touch /b")
		must(t, engine(s.env, "restart", "-t", "0", "outlive-kept"))
		if o.does("outlive-kept", drifted) {
			t.Errorf("after %v a drifted program ran in a container that started again", end)
		}
		o.away(end, late)
		o.start()
		eventually(t, "what happened meanwhile is told", func() bool {
			kept, new := o.sekisho("query", "--container", "outlive-kept", "--kind", "kill"), o.sekisho("query", "--container", late, "--kind", "exec")
			return strings.Count(kept, "/x touch /witness") == 2*(i+1) && strings.Contains(new, "/bin/touch /b")
		})
		if o.does(late, drifted) {
			t.Errorf("a drifted program ran in the container that started meanwhile")
		}
		o.back(late)
	}
	o.end(syscall.SIGTERM)
	if out := o.sekisho("unpin"); !strings.Contains(out, "no longer pinned") {
		t.Errorf("unpin: %s", out)
	}
	if !o.does("outlive-kept", drifted) {
		t.Error("a program was stopped after unpin")
	}
	if out := o.sekisho("status"); !strings.Contains(out, "goes on with nothing") || !strings.Contains(out, "open") {
		t.Errorf("status after unpin:\n%s", out)
	}
}

// away looks at the status while nobody runs.
func (o *outlived) away(end syscall.Signal, late string) {
	o.t.Helper()
	st := o.status()
	if st.Pinned == nil || !slices.Contains(st.Pinned.Programs, "exec") || len(st.Pinned.Unknown) > 0 {
		o.t.Errorf("after %v: pinned %+v", end, st.Pinned)
	}
	states := map[string]string{}
	for _, c := range st.Containers {
		if c.Ended.IsZero() && strings.HasPrefix(c.Name, "outlive-") {
			states[c.Name] = c.State + " " + strings.Join(c.Kills, ",")
			if _, err := time.Parse(time.RFC3339, c.OpenSince); err != nil {
				o.t.Errorf("%s: open since %q", c.Name, c.OpenSince)
			}
		}
	}
	if states["outlive-kept"] != "degraded upper,volume,memory,libraries" || states[late] != "open " {
		o.t.Errorf("after %v: %v", end, states)
	}
	if out := o.sekisho("status", "--lang", "ja"); !strings.Contains(out, "カーネルが阻止: upper, volume, memory, libraries") {
		o.t.Errorf("status:\n%s", out)
	}
}

// back looks at the status and the alerts after the start.
func (o *outlived) back(late string) {
	o.t.Helper()
	var st *enforce.Status
	eventually(o.t, "the gap is told by class", func() bool {
		st = o.status()
		return len(st.Gaps) > 0 && st.Gaps[len(st.Gaps)-1].Outlived != nil
	})
	gap := st.Gaps[len(st.Gaps)-1]
	for _, class := range []string{"exec", "exit", "cgroup", "connect", "stop: upper"} {
		if !slices.Contains(gap.Held, class) {
			o.t.Errorf("%s had a gap: %+v", class, gap.Outlived)
		}
	}
	if !slices.Contains(gap.Open, "denial") || gap.Waited == 0 {
		o.t.Errorf("gap: %+v", gap.Outlived)
	}
	for class, c := range st.Kernel {
		if d := int64(c.Seen - c.Filtered - c.Submitted - c.Lost); class != "execution asked" && (d < 0 || d > 8 || c.Lost > 0) { // some are on their way
			o.t.Errorf("%s: %+v", class, c)
		}
	}
	alerts, err := os.ReadFile(o.dir + "/state/alerts.jsonl")
	must(o.t, err)
	lost := bytes.Count(alerts, []byte(`"rule":"events were lost"`)) - bytes.Count(alerts, []byte(`"rule":"events were lost","what":"crash"`)) // a crash loses what was not on disk, and says so
	if lost > 0 || !bytes.Contains(alerts, []byte("held: ")) {
		o.t.Errorf("alerts:\n%s", alerts)
	}
	if !slices.ContainsFunc(st.Containers, func(c enforce.ContainerStatus) bool { return c.Name == late && c.State == enforce.Enforcing }) {
		o.t.Errorf("%s is not enforced: %+v", late, st.Containers)
	}
}

// TestOutlivesAsTold holds the settings of what goes on.
func TestOutlivesAsTold(t *testing.T) {
	s, program := newStage(t), binary(t)
	for i, c := range []struct {
		yaml             string
		end              syscall.Signal
		drifted, touched bool // run while nobody is there
	}{
		{"deny: {on_timeout: deny}\n", syscall.SIGTERM, false, false},
		{"on_loss: open\n", syscall.SIGTERM, true, true},
		{"on_loss: open\n", syscall.SIGKILL, true, true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			name := fmt.Sprint("outlive-told", i)
			o := outlive(t, program, s, c.yaml)
			o.start()
			o.container(name, "/bin/touch /a")
			eventually(t, "it is enforced", func() bool {
				return slices.ContainsFunc(o.status().Containers, func(c enforce.ContainerStatus) bool { return c.Name == name && c.State == enforce.Enforcing })
			})
			o.end(c.end)
			if c.end == syscall.SIGKILL {
				eventually(t, "the heartbeat is missed", func() bool { return o.does(name, drifted) })
			}
			if got := o.does(name, drifted); got != c.drifted {
				t.Errorf("a drifted program ran: %v", got)
			}
			if got := o.does(name, touched); got != c.touched {
				t.Errorf("a touched program ran: %v", got)
			}
			if got := strings.Contains(o.sekisho("status"), "the kernel stops: upper"); got == c.drifted {
				t.Errorf("status says that it is killed: %v", got)
			}
		})
	}
}
