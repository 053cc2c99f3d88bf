//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const bundles = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/"

// script is what each container does. Every line of its output says how one
// attempt ended.
const script = `
t() { n=$1; shift; "$@" >/dev/null 2>&1; echo "$n=$?"; }
t image /bin/touch /w.image
chmod 700 /opt/touch; t touched /opt/touch /w.touched
cp /bin/busybox /root/touch; t upper /root/touch /w.upper
cp /bin/busybox /mem/touch; t memory /mem/touch /w.memory
cp /bin/busybox /volume/touch; t volume /volume/touch /w.volume
t memfd /bin/actor memfd /bin/busybox touch /w.memfd
cp /bin/busybox /root/gone; t deleted /bin/actor deleted /root/gone touch /w.deleted
t dynamic /bin/dynamic --version
cp /bin/dynamic /root/dynamic; t ldso $LOADER /root/dynamic --version
cp /lib/libextra.so /root/extra.so; t preload env LD_PRELOAD=/root/extra.so /bin/dynamic --version
t mprotect /bin/actor mprotect /root/extra.so
t connect nc -w 2 127.0.0.1 7777
t dns nslookup name.example 127.0.0.1
t listen timeout 1 nc -l -p 8888
`

// session runs the script in a container under an enforcer: "none" is without
// one, "events" only kills, "kill" enforces without polite denials, "enforce"
// with all that this kernel has.
func session(name string) (*Session, error) {
	s := &Session{Name: name, Status: map[string]string{}}
	var out, fail bytes.Buffer
	stop := func() error { return nil }
	if name != "none" {
		var err error
		if stop, err = enforcer(name, &out, &fail); err != nil {
			return s, err
		}
	}
	id := strings.Repeat("0", 64-len(name)*2) + fmt.Sprintf("%x", name)
	upper, err := contain(name, id)
	if err != nil {
		return s, err
	}
	text, err := run(id)
	if err != nil {
		return s, fmt.Errorf("%w: %s", err, text)
	}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s.Status[k] = v
		}
	}
	if len(s.Status) == 0 {
		return s, fmt.Errorf("the container said nothing: %s", text)
	}
	left, _ := filepath.Glob(upper + "/w.*")
	for _, w := range left {
		s.Written = append(s.Written, strings.TrimPrefix(filepath.Base(w), "w."))
	}
	if name != "none" && name != "events" {
		time.Sleep(500 * time.Millisecond)
		fmt.Fprintf(&out, "\n%s", output("/sekisho", "enforce", "status", "--json", "--config", "/var/"+name+"/enforce.yaml"))
	}
	err = stop()
	s.Out, s.Errors = out.String(), fail.String()
	return s, err
}

// run runs a container to its end. runc waits for it.
func run(id string) (string, error) {
	cmd := exec.Command("/usr/sbin/runc", "run", "--bundle", bundles+id, id)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer ended.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		err = nil // of the script's last attempt
	}
	return b.String(), err
}

// contain makes the bundle of a container on an overlay, as containerd does.
func contain(name, id string) (upper string, err error) {
	bundle, data := bundles+id, "/var/lib/c/"+id
	root := bundle + "/rootfs"
	for _, dir := range []string{root, data + "/upper", data + "/work", data + "/volume"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	if err := syscall.Mount("overlay", root, "overlay", 0, "lowerdir=/image,upperdir="+data+"/upper,workdir="+data+"/work"); err != nil {
		return "", fmt.Errorf("mount the overlay: %w", err)
	}
	cmd := exec.Command("/usr/sbin/runc", "spec")
	cmd.Dir = bundle
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("runc spec: %w: %s", err, out)
	}
	raw, err := os.ReadFile(bundle + "/config.json")
	if err != nil {
		return "", err
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", err
	}
	process := c["process"].(map[string]any)
	loader, _ := filepath.Glob("/lib/ld-linux-*.so.*")
	if more, _ := filepath.Glob("/lib64/ld-linux-*.so.*"); len(loader) == 0 {
		loader = more
	}
	if len(loader) == 0 {
		return "", errors.New("no loader")
	}
	process["args"] = []string{"/bin/sh", "-c", script}
	process["env"] = []string{"PATH=/bin", "LOADER=" + loader[0]}
	process["terminal"] = false
	c["root"] = map[string]any{"path": "rootfs"}
	c["annotations"] = map[string]string{"io.kubernetes.cri.container-name": name, "io.kubernetes.cri.image-name": "registry.example/app:1", "io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop"}
	linux := c["linux"].(map[string]any)
	linux["cgroupsPath"] = "/kubepods/" + id
	var spaces []any
	for _, n := range linux["namespaces"].([]any) {
		if kind := n.(map[string]any)["type"]; kind != "network" {
			spaces = append(spaces, n)
		}
	}
	linux["namespaces"] = spaces
	var mounts []any
	for _, m := range c["mounts"].([]any) {
		if m.(map[string]any)["type"] != "cgroup" {
			mounts = append(mounts, m)
		}
	}
	c["mounts"] = append(mounts, map[string]any{"destination": "/mem", "type": "tmpfs", "source": "tmpfs"}, map[string]any{"destination": "/volume", "type": "bind", "source": data + "/volume", "options": []string{"bind", "rw"}})
	if raw, err = json.Marshal(c); err != nil {
		return "", err
	}
	return data + "/upper", os.WriteFile(bundle+"/config.json", raw, 0o644)
}

// enforcer starts one and waits until it says that it runs.
func enforcer(name string, out, fail *bytes.Buffer) (stop func() error, err error) {
	dir := "/var/" + name
	args := []string{"enforce", "events", "--kill-drift", "--kind", "exec,connect,listen,dns,map,kill,denied,open,capability"}
	if name != "events" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		config := "state: state\npin: false\nprofiles: profiles\naudit: audit\nmode: audit\nworkloads: [{image: 'registry.example/app*', mode: enforce}]\n"
		if name == "kill" {
			config += "deny: {polite: false}\n"
		}
		if err := os.WriteFile(dir+"/enforce.yaml", []byte(config), 0o600); err != nil {
			return nil, err
		}
		args = []string{"enforce", "run", "--json", "--config", dir + "/enforce.yaml"}
	}
	cmd := exec.Command("/sekisho", args...)
	cmd.Stdout = out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ready, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(pipe); s.Scan(); {
			fmt.Fprintln(fail, s.Text())
			if strings.Contains(s.Text(), "runs") || strings.Contains(s.Text(), "listening") {
				select {
				case ready <- true:
				default:
				}
			}
		}
	}()
	select {
	case <-ready:
	case <-ended:
		cmd.Wait()
		return nil, fmt.Errorf("the enforcer ended: %s", fail.String())
	case <-time.After(5 * time.Minute):
		if name != "events" {
			cmd.Process.Kill()
			return nil, errors.New("the enforcer does not run")
		}
	}
	return func() error {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		return cmd.Wait()
	}, nil
}
