//go:build linux

// Command guest is the first process of a virtual machine: it mounts what an
// init mounts, makes containers with runc and says as JSON what the enforcer
// did. It is the program of some of the containers' attacks, too.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Report is what the machine says at its end, between two marks.
type Report struct {
	Kernel   string            `json:"kernel"`
	Cgroup   string            `json:"cgroup"`
	LSM      string            `json:"lsm"`
	Sessions []Session         `json:"sessions"`
	Outputs  map[string]string `json:"outputs"`
}

// Session is one container under one enforcer.
type Session struct {
	Name    string            `json:"name"`
	Status  map[string]string `json:"status"` // of each attempt: 0, or how it ended
	Out     string            `json:"out"`    // of the enforcer
	Errors  string            `json:"errors"`
	Written []string          `json:"written"` // files that programs left
}

func main() {
	var err error
	switch {
	case os.Getpid() == 1 && len(os.Args) < 2:
		err = enter()
	case len(os.Args) > 1 && os.Args[1] == "host":
		err = host()
		finish(err)
	case len(os.Args) > 1:
		err = act(os.Args[1:])
	}
	if err != nil {
		fmt.Println("guest:", err)
		if os.Getpid() == 1 {
			finish(err)
		}
		os.Exit(1)
	}
}

// enter loads the modules and goes on from the disk.
func enter() error {
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		os.MkdirAll(m[1], 0o755)
		if err := syscall.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	order, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(order)) {
		if err := load(filepath.Join("/modules", name)); err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	for end := time.Now().Add(20 * time.Second); ; {
		if err = syscall.Mount("/dev/vda", "/disk", "ext4", 0, ""); err == nil {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("mount the disk: %w", err)
		}
		time.Sleep(20 * time.Millisecond) // nothing tells that a disk was found
	}
	for _, dir := range []string{"proc", "sys", "dev"} {
		if err := syscall.Mount("/"+dir, "/disk/"+dir, "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", dir, err)
		}
	}
	os.Chdir("/disk")
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	os.Chdir("/")
	return syscall.Exec("/guest", []string{"/guest", "host"}, []string{"PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/root", "TMPDIR=/var/tmp", "CI=true", "SEKISHO_NO_WATCHDOG=1"})
}

func load(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	none := [1]byte{}
	if _, _, e := syscall.Syscall(finitModule, f.Fd(), uintptr(pointer(&none[0])), 0); e != 0 && e != syscall.EEXIST {
		return e
	}
	return nil
}

func finish(err error) {
	if err != nil {
		fmt.Println("guest:", err)
	}
	syscall.Sync()
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

// option returns a word of the kernel's command line.
func option(name string) string {
	line, _ := os.ReadFile("/proc/cmdline")
	for _, w := range strings.Fields(string(line)) {
		if v, ok := strings.CutPrefix(w, "sekisho."+name+"="); ok {
			return v
		}
	}
	return ""
}

func host() error {
	r := &Report{Cgroup: option("cgroup"), Outputs: map[string]string{}}
	if err := prepare(r.Cgroup); err != nil {
		return err
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	r.Kernel = strings.TrimSpace(string(release))
	lsm, _ := os.ReadFile("/sys/kernel/security/lsm")
	r.LSM = string(lsm)
	for _, what := range strings.Split(option("do"), ",") {
		fmt.Printf("guest: %s %s\n", uptime(), what)
		switch what {
		case "probe":
			r.Outputs[what] = output("/sekisho", "enforce", "probe", "--json")
		case "tests":
			r.Outputs[what] = output("/sensor.test", "-test.v", "-test.run", option("tests"))
		case "shell":
			r.Outputs[what] = output("/bin/busybox", "sh", "-c", strings.ReplaceAll(option("shell"), "+", " "))
		default:
			s, err := session(what)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			r.Sessions = append(r.Sessions, *s)
		}
	}
	fmt.Printf("guest: %s done\n", uptime())
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Printf("\n<report>%s</report>\n", data)
	return nil
}

func uptime() string {
	data, _ := os.ReadFile("/proc/uptime")
	up, _, _ := strings.Cut(string(data), " ")
	return up
}
