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

// Ran is what a drifted copy is told, and answers with its status.
const (
	Ran       = "ran"
	ranStatus = 42
)

// forbidden is an address of RFC 5737 that nobody has.
const forbidden = "203.0.113.77:4444"

// Act is what runs in the container: it tries everything and prints results.
func Act(ctx context.Context, w io.Writer) error {
	e := json.NewEncoder(w)
	for _, try := range []func(context.Context) Result{drifted, connected, written} {
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
	err = exec.CommandContext(ctx, name, "enforce", "canary-actor", Ran).Run()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		r.Blocked, r.How = true, "denied: "+err.Error()
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		r.Blocked, r.How = true, "killed: "+err.Error()
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

func written(context.Context) Result {
	err := os.WriteFile("/canary", []byte("canary\n"), 0o600)
	if err == nil {
		return Result{Write, false, "it was written"}
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EROFS) {
		return Result{Write, true, "denied: " + err.Error()}
	}
	return Result{Write, false, err.Error()}
}
