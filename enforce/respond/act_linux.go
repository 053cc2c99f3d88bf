package respond

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho"
)

// kill kills the process of an order if it is still that one: the same start,
// the same container.
func (r *Responder) kill(o *Order) error {
	if o.PID <= 1 {
		return sekisho.Errorf(sekisho.NotFound, "kill: the order names no process")
	}
	fd, err := unix.PidfdOpen(o.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil // it ended by itself
	}
	if err != nil {
		return fmt.Errorf("kill process %d: %w", o.PID, err)
	}
	defer unix.Close(fd)
	st, ok := r.stat(o.PID)
	if !ok || st.state == "Z" {
		return nil
	}
	if !r.belongs(o.PID, o.Container) || !o.Started.IsZero() && !sameStart(st.started, o.Started, r.Now()) {
		return nil // the number is another's by now
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", o.PID, err)
	}
	return nil
}

// sameStart compares a start in clock ticks of 10 ms since boot with one of
// the wall's clock. The two clocks may have been set apart a little.
func sameStart(ticks uint64, wall, now time.Time) bool {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return false
	}
	boot := now.Add(-time.Duration(ts.Nano()))
	d := boot.Add(time.Duration(ticks) * 10 * time.Millisecond).Sub(wall)
	return d > -2*time.Second && d < 2*time.Second
}

// freezer finds where the cgroup of a process is frozen: in cgroup v2, else in
// the freezer of v1.
func (r *Responder) freezer(pid int) (file, frozen, thawed string, err error) {
	for line := range strings.Lines(string(r.read(pid, "cgroup", 64<<10))) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[2] == "/" {
			continue
		}
		switch {
		case parts[0] == "0":
			for _, root := range []string{r.Cgroup, filepath.Join(r.Cgroup, "unified")} {
				if name := filepath.Join(root, parts[2], "cgroup.freeze"); exists(name) {
					return name, "1", "0", nil
				}
			}
		case parts[1] == "freezer":
			if name := filepath.Join(r.Cgroup, "freezer", parts[2], "freezer.state"); exists(name) {
				return name, "FROZEN", "THAWED", nil
			}
		}
	}
	return "", "", "", sekisho.Errorf(sekisho.Unavailable, "process %d has no cgroup that can be frozen", pid)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// freeze stops the cgroup of a process until thaw is called. One that was
// frozen already stays so.
func (r *Responder) freeze(pid int) (thaw func(), err error) {
	name, frozen, thawed, err := r.freezer(pid)
	if err != nil {
		return nil, err
	}
	was, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	if string(bytes.TrimSpace(was)) == frozen {
		return func() {}, nil
	}
	if err := os.WriteFile(name, []byte(frozen), 0); err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	return func() { _ = os.WriteFile(name, []byte(thawed), 0) }, nil
}

// pause freezes the container: by Docker where it is Docker's, so that docker
// unpause works, else by its cgroup.
func (r *Responder) pause(ctx context.Context, c *sekisho.Container) error {
	if c.Runtime == "docker" && r.Docker != "" {
		if err := r.docker(ctx, c.ID, "pause"); err == nil {
			return nil
		}
	}
	pids, err := r.pids(c)
	if err != nil || len(pids) == 0 {
		return err
	}
	_, err = r.freeze(pids[0])
	return err
}

// Release undoes a pause and a quarantine.
func (r *Responder) Release(ctx context.Context, c *sekisho.Container) error {
	if c.Runtime == "docker" && r.Docker != "" {
		_ = r.docker(ctx, c.ID, "unpause") // it may not be Docker's pause
	}
	pids, err := r.pids(c)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return sekisho.Errorf(sekisho.NotFound, "release %s: it does not run", c.Name)
	}
	if name, _, thawed, err := r.freezer(pids[0]); err == nil {
		if err := os.WriteFile(name, []byte(thawed), 0); err != nil {
			return fmt.Errorf("release %s: %w", c.Name, err)
		}
	}
	if err := r.Restore(c); err != nil && sekisho.KindOf(err) != sekisho.Unavailable {
		return err
	}
	return nil
}

// stop ends the container: by Docker where it is Docker's, so that it is not
// started again, else by killing its first process. An orchestrator may start
// another instance.
func (r *Responder) stop(ctx context.Context, c *sekisho.Container) error {
	if c.Runtime == "docker" && r.Docker != "" {
		if err := r.docker(ctx, c.ID, "stop?t=1"); err == nil {
			return nil
		}
	}
	pids, err := r.pids(c)
	if err != nil {
		return err
	}
	for _, pid := range pids { // the first one takes the others with it; the rest is for shared pid namespaces
		if err := r.kill(&Order{PID: pid, Container: c}); err != nil {
			return err
		}
	}
	return nil
}

// docker asks the engine to do something with a container.
func (r *Responder) docker(ctx context.Context, id, verb string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.Docker)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker/containers/"+id+"/"+verb, nil)
	if err != nil {
		return fmt.Errorf("ask Docker: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask Docker: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotModified {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("ask Docker to %s: %s: %s", verb, resp.Status, bytes.TrimSpace(text))
	}
	return nil
}
