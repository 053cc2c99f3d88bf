//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"
)

func pointer(b *byte) unsafe.Pointer { return unsafe.Pointer(b) }

// controllers of cgroup v1, one hierarchy each, as systemd mounts them.
var controllers = []string{"cpuset", "cpu,cpuacct", "blkio", "memory", "devices", "freezer", "net_cls,net_prio", "perf_event", "pids"}

// prepare mounts what an init mounts, control groups in one of three ways.
func prepare(cgroup string) error {
	type mount struct{ kind, dir, options string }
	list := []mount{{"tmpfs", "/run", ""}, {"devpts", "/dev/pts", ""}, {"tmpfs", "/dev/shm", ""}, {"mqueue", "/dev/mqueue", ""}, {"tracefs", "/sys/kernel/tracing", ""}, {"bpf", "/sys/fs/bpf", ""}, {"securityfs", "/sys/kernel/security", ""}}
	if cgroup == "v2" {
		list = append(list, mount{"cgroup2", "/sys/fs/cgroup", ""})
	} else {
		list = append(list, mount{"tmpfs", "/sys/fs/cgroup", ""}, mount{"cgroup", "/sys/fs/cgroup/systemd", "none,name=systemd"})
		for _, c := range controllers {
			list = append(list, mount{"cgroup", "/sys/fs/cgroup/" + c, c})
		}
		if cgroup == "hybrid" {
			list = append(list, mount{"cgroup2", "/sys/fs/cgroup/unified", ""})
		}
	}
	for _, m := range list {
		os.MkdirAll(m.dir, 0o755)
		err := syscall.Mount(m.kind, m.dir, m.kind, 0, m.options)
		if err != nil && m.kind == "cgroup" { // this kernel has no such controller any more
			os.Remove(m.dir)
			fmt.Println("guest: no controller", m.options, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	if cgroup == "v2" { // as systemd does, for runc
		os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+cpu +memory +pids +io"), 0)
	}
	if err := up(); err != nil {
		return err
	}
	return serve()
}

// up starts the loopback device.
func up() error {
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(s)
	var r struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(r.name[:], "lo")
	r.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(s), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&r))); e != 0 {
		return fmt.Errorf("start lo: %w", e)
	}
	return nil
}

// serve answers names with 127.0.0.9, and accepts connections at port 7777.
func serve() error {
	l, err := net.Listen("tcp", "127.0.0.1:7777")
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	u, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil || n < 12 {
				continue
			}
			a := bytes.Clone(b[:n])
			a[2], a[3], a[7] = 0x81, 0x80, 1
			kind := a[n-3]
			switch kind {
			case 1:
				a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 9)
			case 28:
				a = append(a, 0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9)
			}
			u.WriteTo(a, from)
		}
	}()
	return nil
}

// output runs a program and returns what it printed, the end of it at least.
func output(name string, args ...string) string {
	cmd := exec.Command(name, args...)
	var all bytes.Buffer
	cmd.Stdout = &all
	if strings.HasSuffix(name, ".test") { // it may take long, or never end
		cmd.Stdout = io.MultiWriter(&all, os.Stdout)
	}
	cmd.Stderr = cmd.Stdout
	err := cmd.Run()
	out := all.Bytes()
	text := string(out[max(0, len(out)-1<<18):])
	if err != nil {
		text = strings.TrimRight(text, "\n") + "\nerror: " + err.Error() + "\n"
	}
	return text
}
