package container

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/image"
)

// live puts the files of a running container over base where its storage
// driver tells of no directories: those of the overlay that its root is, else
// the root itself, compared with the image.
func live(img, base *image.Image, i inspected) error {
	if i.State.Pid == 0 {
		return sekisho.Errorf(sekisho.Invalid, "container %s does not run, and its storage driver %q keeps no layers apart", i.ID, i.GraphDriver.Name).
			WithHint("docker start it, or docker export it, unpack that and scan dir:DIR")
	}
	p, err := Find(i.State.Pid, i.ID)
	if err != nil {
		return err
	}
	if p.Upper != "" {
		if _, err := os.ReadDir(p.Upper); err == nil {
			img.Layers = image.Overlay(p.Lower, p.Upper, base.Layers)
			return nil
		}
	}
	Over(img, base, p.Live)
	return nil
}

// Process is what /proc tells of a container's first process.
type Process struct {
	Live
	Lower, Upper string // of the overlay that its root is, lower ones joined by colons, topmost first
}

// Find looks at a process of this machine and makes sure that it is of the
// container.
func Find(pid int, id string) (Process, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	away := func(err error) error {
		return sekisho.Errorf(sekisho.Forbidden, "container %s: its files cannot be read: %w", id, err).WithHint("run as root on the machine of the engine")
	}
	p := Process{Live: Live{Root: proc + "/root", Mounts: map[string]bool{}}}
	if _, err := os.ReadDir(p.Root); err != nil {
		return p, away(err)
	}
	groups, err := os.ReadFile(proc + "/cgroup")
	if err != nil {
		return p, away(err)
	}
	users, err := os.ReadFile(proc + "/uid_map")
	if err != nil {
		return p, away(err)
	}
	f, err := os.Open(proc + "/mountinfo")
	if err != nil {
		return p, away(err)
	}
	defer f.Close()
	known := strings.Contains(string(groups), id)
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		known = known || strings.Contains(lines.Text(), id)
		p.mount(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return p, away(fmt.Errorf("list mounts: %w", err))
	}
	if !known {
		return p, away(fmt.Errorf("process %d of this machine is not of the container", pid))
	}
	p.Shifted = strings.Join(strings.Fields(string(users)), " ") != "0 0 4294967295"
	return p, nil
}

// mount reads a line of mountinfo (proc(5)): ID PARENT DEVICE ROOT POINT
// OPTIONS [TAGS] - TYPE SOURCE OPTIONS.
func (p *Process) mount(line string) {
	own, system, ok := strings.Cut(line, " - ")
	a, b := strings.Fields(own), strings.Fields(system)
	if !ok || len(a) < 5 || len(b) < 3 {
		return
	}
	if a[4] != "/" {
		p.Mounts[strings.TrimPrefix(unescape(a[4]), "/")] = true
		return
	}
	if p.Lower, p.Upper = "", ""; b[0] != "overlay" {
		return
	}
	var lower []string
	for option := range strings.SplitSeq(b[2], ",") {
		key, value, _ := strings.Cut(unescape(option), "=")
		switch key {
		case "upperdir":
			p.Upper = value
		case "lowerdir", "lowerdir+":
			lower = append(lower, strings.Split(value, ":")...)
		}
	}
	for n, dir := range lower { // made short: from the directory of all layers
		if !filepath.IsAbs(dir) {
			lower[n] = filepath.Join(filepath.Dir(filepath.Dir(p.Upper)), dir)
		}
	}
	p.Lower = strings.Join(lower, ":")
}

// unescape turns the octal escapes of mountinfo into characters.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#").Replace(s)
}
