//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// boxImage is what the containers call their image.
const boxImage = "bench/box:1"

// boxes are containers that runc runs, without an engine. Their image is the
// host's own file system below a layer in memory.
type boxes struct {
	dir  string
	ids  []string
	runc string
}

func newBoxes(dir string) (*boxes, error) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return nil, fmt.Errorf("runc is needed: %w", err)
	}
	b := &boxes{dir: dir, runc: runc}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return nil, fmt.Errorf("mount a file system in memory: %w", err)
	}
	return b, nil
}

// spec is the part of the runtime specification (OCI, config.json) that a box
// needs.
func spec(id string, args []string) any {
	type object map[string]any
	var namespaces []object
	for _, t := range []string{"pid", "mount", "ipc", "uts"} {
		namespaces = append(namespaces, object{"type": t})
	}
	caps := []string{"CAP_SYS_NICE", "CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE", "CAP_DAC_OVERRIDE"}
	return object{
		"ociVersion":  "1.0.2",
		"process":     object{"args": args, "cwd": "/", "env": []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, "user": object{"uid": 0, "gid": 0}, "capabilities": object{"bounding": caps, "effective": caps, "permitted": caps}},
		"root":        object{"path": "rootfs"},
		"hostname":    "box",
		"annotations": object{"io.kubernetes.cri.container-name": "box-" + id[:8], "io.kubernetes.cri.image-name": boxImage},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
			{"destination": "/run", "type": "tmpfs", "source": "tmpfs"},
		},
		"linux": object{"namespaces": namespaces, "cgroupsPath": "/sekisho-bench/" + id},
	}
}

// bundle makes the files of a box.
func (b *boxes) bundle(n int, args []string) (id, dir string, err error) {
	id = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s %d %d", b.dir, n, os.Getpid())))
	dir = filepath.Join(b.dir, id)
	for _, d := range []string{"upper", "work", "rootfs"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", "", err
		}
	}
	layers := fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", dir, dir)
	if err := syscall.Mount("overlay", filepath.Join(dir, "rootfs"), "overlay", 0, layers); err != nil {
		return "", "", fmt.Errorf("mount the layers of a container: %w", err)
	}
	b.ids = append(b.ids, id)
	doc, err := json.Marshal(spec(id, args))
	if err != nil {
		return "", "", err
	}
	return id, dir, os.WriteFile(filepath.Join(dir, "config.json"), doc, 0o600)
}

func (b *boxes) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, b.runc, append([]string{"--root", filepath.Join(b.dir, "runc")}, args...)...)
}

// start runs a program in a new container, which goes on by itself.
func (b *boxes) start(ctx context.Context, n int, args ...string) (string, error) {
	id, dir, err := b.bundle(n, args)
	if err != nil {
		return "", err
	}
	cmd := b.command(ctx, "run", "-d", "--bundle", dir, id)
	said, err := os.Create(filepath.Join(dir, "said")) // a pipe would stay open as long as the container
	if err != nil {
		return "", err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return "", fmt.Errorf("run a container: %w: %s", err, bytes.TrimSpace(text))
	}
	return id, nil
}

// attach runs a program in a new container with its input and output.
func (b *boxes) attach(ctx context.Context, n int, args ...string) (*exec.Cmd, io.WriteCloser, io.ReadCloser, string, error) {
	id, dir, err := b.bundle(n, args)
	if err != nil {
		return nil, nil, nil, "", err
	}
	cmd := b.command(ctx, "run", "--bundle", dir, id)
	in, out, err := pipes(cmd)
	return cmd, in, out, id, err
}

func pipes(cmd *exec.Cmd) (io.WriteCloser, io.ReadCloser, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return in, out, cmd.Start()
}

// remove ends all containers and removes what was mounted for them.
func (b *boxes) remove(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, id := range b.ids {
		_ = b.command(ctx, "delete", "--force", id).Run() // one that ended by itself is gone
		root := filepath.Join(b.dir, id, "rootfs")
		err := syscall.Unmount(root, 0)
		for try := 0; errors.Is(err, syscall.EBUSY) && try < 50; try++ {
			time.Sleep(20 * time.Millisecond)
			err = syscall.Unmount(root, 0)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", root, err))
		}
	}
	errs = append(errs, syscall.Unmount(b.dir, syscall.MNT_DETACH))
	for _, pattern := range []string{"/sys/fs/cgroup/sekisho-bench", "/sys/fs/cgroup/*/sekisho-bench"} {
		dirs, _ := filepath.Glob(pattern)
		for _, d := range dirs {
			_ = os.Remove(d) // another run's containers may be there
		}
	}
	return errors.Join(errs...)
}
