package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// A hung enforcer holds up the executions of containers in enforcement: the
// kernel waits for its answers. The watchdog is a small process beside it that
// hears a beat; without one it kills the enforcer, the kernel lets go, and who
// started the service starts it again.
const (
	beatEach   = 250 * time.Millisecond
	beatMissed = 5 * time.Second
)

func (a *app) watchdogCommand() *cobra.Command {
	return &cobra.Command{Use: "watchdog PID", Hidden: true, Args: usageArgs(cobra.ExactArgs(1)), RunE: func(cmd *cobra.Command, args []string) error {
		pid, err := strconv.Atoi(args[0])
		if err != nil || pid != os.Getppid() {
			return fmt.Errorf("watch process %s: it is not the one that asked", args[0])
		}
		return a.watchdog(cmd.Context(), pid)
	}}
}

func (a *app) watchdog(ctx context.Context, pid int) error {
	beats := make(chan bool)
	go func() {
		var b [64]byte
		for {
			_, err := a.Stdin.Read(b[:])
			select {
			case beats <- err == nil:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	timer := time.NewTimer(beatMissed)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case ok := <-beats:
			if !ok {
				return nil // it ended
			}
			timer.Reset(beatMissed)
		case <-timer.C:
			if os.Getppid() != pid {
				return nil
			}
			p, err := os.FindProcess(pid)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.Stderr, a.texts.Text("enforce.watchdog", "pid", fmt.Sprint(pid)))
			return p.Kill()
		}
	}
}

// startWatchdog starts the watchdog of this process and beats while alive says
// so. stop ends both.
func (a *app) startWatchdog(alive func() bool) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	if a.Getenv("SEKISHO_NO_WATCHDOG") != "" {
		return func() {}, nil
	}
	cmd := exec.Command(self, "enforce", "watchdog", strconv.Itoa(os.Getpid()))
	cmd.Stderr = os.Stderr
	beat, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		tick := time.NewTicker(beatEach)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				if alive() {
					_, _ = beat.Write([]byte{'.'})
				}
			}
		}
	}()
	return func() {
		close(ended)
		beat.Close()
		_ = cmd.Wait()
	}, nil
}
