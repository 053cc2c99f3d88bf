package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Ran is what a copy is told that must not run: it answers with its status.
// Wrote is what one is told that must not write.
const (
	Ran       = "ran"
	Wrote     = "write"
	ranStatus = 42
)

// other is a program that the image has and the canary's profile does not;
// forbiddenFile a place that the profile does not have.
const (
	other         = "/sekisho-other"
	forbiddenFile = "/canary"
)

// forbidden is an address of RFC 5737 that nobody has.
const forbidden = "203.0.113.77:4444"

// Act is what runs in the container: it tries everything and prints results.
func Act(ctx context.Context, w io.Writer) error {
	e := json.NewEncoder(w)
	for _, try := range []func(context.Context) Result{drifted, unknown, connected, written} {
		if err := e.Encode(try(ctx)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// RanStatus is the status with which a drifted copy that ran ends.
func RanStatus() int { return ranStatus }

func drifted(ctx context.Context) Result {
	r := Result{Attempt: Drift}
	self, err := os.Executable()
	if err != nil {
		return Result{r.Attempt, false, err.Error()}
	}
	name := filepath.Join("/tmp", "drifted")
	if err := copyFile(self, name); err != nil {
		return Result{r.Attempt, false, err.Error()}
	}
	return ran(r, exec.CommandContext(ctx, name, "enforce", "canary-actor", Ran))
}

// unknown runs a program of the image that the profile does not have.
func unknown(ctx context.Context) Result {
	return ran(Result{Attempt: Process}, exec.CommandContext(ctx, other, "enforce", "canary-actor", Ran))
}

// ran says what became of a program.
func ran(r Result, cmd *exec.Cmd) Result {
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		r.Blocked, r.How = true, "denied: "+err.Error()
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		r.Blocked, r.How = true, "killed: "+err.Error()
	case errors.As(err, &exit) && exit.ExitCode() == RefusedStatus:
		r.Blocked, r.How = true, "denied: operation not permitted"
	case errors.As(err, &exit) && exit.ExitCode() == ranStatus:
		r.How = "it ran"
	default:
		r.How = fmt.Sprint("unexpected: ", err)
	}
	return r
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	// A byte more makes it content that the image does not have.
	_, more := out.Write([]byte{0})
	return errors.Join(err, more, out.Close())
}

func connected(ctx context.Context) Result {
	c, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", forbidden)
	if err == nil {
		c.Close()
		return Result{Connection, false, "it connected"}
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return Result{Connection, true, "denied: " + err.Error()}
	}
	return Result{Connection, false, err.Error()}
}

// written lets a process of its own write: it may be killed for it. What it
// wrote is looked for, whatever became of it.
func written(ctx context.Context) Result {
	r := Result{Attempt: Write}
	self, err := os.Executable()
	if err != nil {
		return Result{r.Attempt, false, err.Error()}
	}
	r = ran(r, exec.CommandContext(ctx, self, "enforce", "canary-actor", Wrote))
	if info, err := os.Stat(forbiddenFile); err == nil && info.Size() > 0 {
		return Result{Write, false, "it was written"}
	}
	return r
}

// TryWrite writes what must not be written. It says Operation not permitted
// where that was the answer.
func TryWrite() error {
	return os.WriteFile(forbiddenFile, []byte("canary\n"), 0o600)
}

// Refused reports whether an error is one of those that say no.
func Refused(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EROFS)
}

// RefusedStatus is the status with which a writer ends that was told no.
const RefusedStatus = 43
