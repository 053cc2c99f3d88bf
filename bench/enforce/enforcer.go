//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sekisho/enforce"
)

// enforcer is a running sekisho enforce run.
type enforcer struct {
	o     options
	cmd   *exec.Cmd
	dir   string
	conf  string
	ended chan error
}

// start runs the enforcer, in mode audit, and waits until it sees. Containers of
// others on this host are left out; nothing of it outlives it.
func (o options) start(ctx context.Context, more string) (*enforcer, error) {
	dir, err := os.MkdirTemp(o.dir, "enforcer-")
	if err != nil {
		return nil, err
	}
	e := &enforcer{o: o, dir: dir, conf: filepath.Join(dir, "enforce.yaml"), ended: make(chan error, 1)}
	text := fmt.Sprintf("mode: audit\npin: false\nstate: %[1]s/state\nprofiles: %[1]s/profiles\naudit: %[1]s/audit\nworkloads: [{image: %[3]q, mode: audit}, {image: \"*\", ignore: true}]\n%[2]s", dir, more, boxImage)
	if err := os.WriteFile(e.conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	e.cmd = exec.CommandContext(ctx, o.sekisho, "enforce", "run", "--config", e.conf)
	e.cmd.Cancel = func() error { return e.cmd.Process.Signal(syscall.SIGINT) }
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	e.cmd.Stderr = said
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { e.ended <- e.cmd.Wait() }()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if s, err := enforce.ReadStatus(filepath.Join(dir, "state")); err == nil && s.PID == e.cmd.Process.Pid && s.Events > 0 {
			return e, nil
		}
		select {
		case err := <-e.ended:
			text, _ := os.ReadFile(said.Name())
			return nil, fmt.Errorf("the enforcer ended: %w: %s", err, text)
		default:
		}
		if time.Now().After(deadline) {
			e.stop()
			return nil, errors.New("the enforcer hears nothing")
		}
	}
}

func (e *enforcer) stop() error {
	if e == nil {
		return nil
	}
	_ = e.cmd.Process.Signal(syscall.SIGINT)
	return <-e.ended
}

// cpu is the processor time that the enforcer took.
func (e *enforcer) cpu() time.Duration {
	if e == nil {
		return 0
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// sizes are of a process, in megabytes.
type sizes struct{ resident, own, peak, proportional float64 }

func (e *enforcer) memory() sizes { return memoryOf(e.cmd.Process.Pid) }

func memoryOf(pid int) (s sizes) {
	for _, file := range []string{"status", "smaps_rollup"} {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			n, _ := strconv.ParseFloat(f[1], 64)
			switch f[0] {
			case "VmRSS:":
				s.resident = n / 1024
			case "VmHWM:":
				s.peak = n / 1024
			case "RssAnon:":
				s.own = n / 1024
			case "Pss:":
				s.proportional = n / 1024
			}
		}
	}
	return s
}

// watchdog is the small process beside the enforcer, 0 when there is none.
func (e *enforcer) watchdog() int {
	pid := e.cmd.Process.Pid
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		data, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(f); err == nil {
				return n
			}
		}
	}
	return 0
}

type status struct{ *enforce.Status }

// critical sums what became of the classes that may not be lost.
func (s status) critical() (sum enforce.Count) {
	for _, class := range []string{"exec", "fork", "exit", "cgroup"} {
		c := s.Kernel[class]
		sum.Seen, sum.Filtered, sum.Submitted, sum.Lost = sum.Seen+c.Seen, sum.Filtered+c.Filtered, sum.Submitted+c.Submitted, sum.Lost+c.Lost
	}
	return sum
}

// settled waits until no queue holds anything, and returns the status then.
func (e *enforcer) settled() (status, error) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		asked := time.Now()
		for {
			s, err := enforce.ReadStatus(filepath.Join(e.dir, "state"))
			if err != nil {
				return status{}, err
			}
			if s.Alive.After(asked) {
				waiting := 0
				for name, n := range s.Queues {
					if name != "files" {
						waiting += n
					}
				}
				if waiting < 100 {
					return status{s}, nil
				}
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return status{}, errors.New("the enforcer does not catch up")
}

// kept counts the programs that the log has of a container.
func (e *enforcer) kept(container, name string) (n int, err error) {
	cmd := exec.Command(e.o.sekisho, "enforce", "query", "--config", e.conf, "--container", container, "--kind", "exec", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		var x struct{ Path string }
		if json.Unmarshal(line, &x) == nil && strings.Contains(x.Path, name) {
			n++
		}
		if err == io.EOF {
			return n, cmd.Wait()
		} else if err != nil {
			return n, err
		}
	}
}

// agent is this program, doing workloads on the host or in a container.
type agent struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	id  string
}

func (o options) outside(ctx context.Context) (*agent, error) {
	cmd := exec.CommandContext(ctx, o.self, "-agent")
	in, out, err := pipes(cmd)
	return &agent{cmd: cmd, in: in, out: json.NewDecoder(out)}, err
}

func (o options) inside(ctx context.Context, b *boxes) (*agent, error) {
	cmd, in, out, id, err := b.attach(ctx, 0, o.self, "-agent")
	if err != nil {
		return nil, err
	}
	return &agent{cmd: cmd, in: in, out: json.NewDecoder(out), id: id}, nil
}

func (a *agent) ask(w work) (*worked, error) {
	if err := json.NewEncoder(a.in).Encode(w); err != nil {
		return nil, err
	}
	r := &worked{}
	if err := a.out.Decode(r); err != nil {
		return nil, fmt.Errorf("the agent: %w", err)
	}
	if r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return r, nil
}

func (a *agent) close() error {
	a.in.Close()
	return a.cmd.Wait()
}
