// Package canary proves enforcement by trying: a throw-away container does what
// it must not do, and reports whether it could. Nothing it does harms: it runs
// copies of this program that say so, connects to an address that nobody has,
// and writes a file of its own. What comes out is the effective state of each
// attempt, never what a configuration promises.
package canary

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"sekisho/enforce"
	"sekisho/enforce/profile"
)

// Attempts.
const (
	Drift      = "drifted executable"
	Process    = "unknown program"
	Connection = "forbidden connection"
	Write      = "forbidden write"
)

// kinds are what each attempt is an instance of.
var kinds = map[string]string{Drift: enforce.KindDrift, Process: profile.KindProcess, Connection: profile.KindConnection, Write: profile.KindWrite}

// Image is the name of the throw-away image, and Prefix how its containers are
// called.
const (
	Image  = "sekisho-canary:local"
	Prefix = "sekisho-canary-"
)

// Result is what an attempt met, as the actor in the container prints it.
type Result struct {
	Attempt string `json:"attempt"`
	Blocked bool   `json:"blocked"`
	How     string `json:"how"`
}

// Options of a flight.
type Options struct {
	Name    string   // of the container
	Docker  []string // the command of Docker
	Env     []string
	Binary  string // static; it is the actor
	Actor   []string
	Enabled map[string]bool // attempts that this enforcer claims to stop
	Now     func() time.Time
}

// Fly makes the container, lets it try and removes it.
func Fly(ctx context.Context, o Options) []enforce.Proof {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	results, err := fly(ctx, o)
	now := o.Now().UTC()
	var list []enforce.Proof
	for _, attempt := range []string{Drift, Process, Connection, Write} {
		p := enforce.Proof{Time: now, Attempt: attempt, Kind: kinds[attempt], State: enforce.NotSupported}
		switch r, ok := results[attempt]; {
		case err != nil:
			p.State, p.Detail = enforce.Degraded, err.Error()
			if errors.Is(err, exec.ErrNotFound) {
				p.State, p.Detail = enforce.NotSupported, "no container engine to try it in"
			}
		case ok && r.Blocked:
			p.State, p.Detail = enforce.Enforcing, r.How
		case ok && o.Enabled[attempt]:
			p.State, p.Detail = enforce.Open, r.How
		case ok:
			p.Detail = r.How
		default:
			p.State, p.Detail = enforce.Degraded, "the canary did not report"
		}
		list = append(list, p)
	}
	return list
}

func fly(ctx context.Context, o Options) (map[string]Result, error) {
	if err := build(ctx, o); err != nil {
		return nil, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		_ = o.docker(end, "rm", "-f", o.Name).Run()
	}()
	args := append([]string{"run", "--name", o.Name, "--label", "sekisho.canary=true", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "256m", Image}, o.Actor...)
	var out, fail bytes.Buffer
	cmd := o.docker(ctx, args...)
	cmd.Stdout, cmd.Stderr = &limited{&out, 1 << 16}, &limited{&fail, 1 << 12}
	runErr := cmd.Run()
	results := parse(&out)
	if len(results) == 0 && runErr != nil {
		return nil, fmt.Errorf("run the canary: %w: %s", runErr, strings.TrimSpace(fail.String()))
	}
	return results, nil
}

func parse(out io.Reader) map[string]Result {
	results := map[string]Result{}
	for d := json.NewDecoder(out); ; {
		var r Result
		if d.Decode(&r) != nil || len(results) > 16 {
			return results
		}
		results[r.Attempt] = r
	}
}

func (o *Options) docker(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, o.Docker[0], append(o.Docker[1:], args...)...)
	cmd.Env = append(os.Environ(), o.Env...)
	return cmd
}

// build makes an image of this program and an empty /tmp, unless it is there.
func build(ctx context.Context, o Options) error {
	info, err := os.Stat(o.Binary)
	if err != nil {
		return fmt.Errorf("make the canary: %w", err)
	}
	mark := fmt.Sprintf("2-%d-%d", info.Size(), info.ModTime().UnixNano())
	if have, err := o.docker(ctx, "image", "inspect", "--format", `{{index .Config.Labels "sekisho.canary"}}`, Image).Output(); err == nil && strings.TrimSpace(string(have)) == mark {
		return nil
	}
	cmd := o.docker(ctx, "import", "--change", "LABEL sekisho.canary="+mark, "--change", `ENTRYPOINT ["/sekisho"]`, "-", Image)
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("make the canary: %w", err)
	}
	var fail bytes.Buffer
	cmd.Stderr = &limited{&fail, 1 << 12}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make the canary: %w", err)
	}
	err = errors.Join(pack(in, o.Binary, info), in.Close())
	if waited := cmd.Wait(); waited != nil {
		return fmt.Errorf("make the canary: %w: %s", errors.Join(err, waited), strings.TrimSpace(fail.String()))
	}
	return err
}

func pack(w io.Writer, binary string, info os.FileInfo) error {
	f, err := os.Open(binary)
	if err != nil {
		return fmt.Errorf("make the canary: %w", err)
	}
	defer f.Close()
	t := tar.NewWriter(w)
	if err := t.WriteHeader(&tar.Header{Name: "tmp", Typeflag: tar.TypeDir, Mode: 0o777}); err != nil {
		return fmt.Errorf("make the canary: %w", err)
	}
	if err := t.WriteHeader(&tar.Header{Name: "sekisho", Size: info.Size(), Mode: 0o755}); err != nil {
		return fmt.Errorf("make the canary: %w", err)
	}
	if _, err := io.CopyN(t, f, info.Size()); err != nil {
		return fmt.Errorf("make the canary: %w", err)
	}
	if err := t.WriteHeader(&tar.Header{Name: strings.TrimPrefix(other, "/"), Typeflag: tar.TypeLink, Linkname: "sekisho", Mode: 0o755}); err != nil {
		return fmt.Errorf("make the canary: %w", err)
	}
	return t.Close()
}

type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
