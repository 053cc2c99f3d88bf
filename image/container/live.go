package container

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/image"
	"sekisho/image/daemon"
)

// change is one line of GET /containers/ID/changes.
type change struct {
	Path string
	Kind int // 0 modified, 1 added, 2 deleted
}

// live opens a container whose storage driver has no directories to lay over
// one another: its root as the kernel shows it, and the engine's word on what
// differs from the image. Which layer brought a file is not known then.
func live(ctx context.Context, c *daemon.Client, i inspected, base *image.Image) ([]image.Layer, error) {
	if i.State.Pid == 0 {
		return nil, sekisho.Errorf(sekisho.Invalid, "container %s does not run, and its storage driver %q keeps no layers apart", i.ID, i.GraphDriver.Name).
			WithHint("docker start it, or docker export it, unpack that and scan dir:DIR")
	}
	root := "/proc/" + strconv.Itoa(i.State.Pid) + "/root"
	if _, err := os.ReadDir(root); err != nil {
		return nil, sekisho.Errorf(sekisho.Forbidden, "container %s: its files cannot be read: %w", i.ID, err).WithHint("run as root on the machine of the engine")
	}
	mounts, err := mountpoints(i.State.Pid)
	if err != nil {
		return nil, err
	}
	var changes []change
	if err := c.Get(ctx, "/containers/"+i.ID+"/changes", &changes); err != nil {
		return nil, fmt.Errorf("ask what differs from the image: %w", err)
	}
	changed := map[string]bool{}
	for _, x := range changes {
		if x.Kind != 2 {
			changed[strings.TrimPrefix(path.Clean(x.Path), "/")] = true
		}
	}
	mounted := func(name string) bool { return mounts[name] }
	by := "the image, its layers not told apart"
	if n := len(base.Layers); n > 0 {
		by = fmt.Sprintf("the image's %d layers, not told apart", n)
	}
	return []image.Layer{
		{Dir: root, Size: -1, CreatedBy: by, Leave: func(name string, dir bool) bool { return mounted(name) || changed[name] && !dir }},
		{Dir: root, Size: -1, Writable: true, Leave: func(name string, dir bool) bool { return mounted(name) || !changed[name] }},
	}, nil
}

// mountpoints lists what is mounted in a container: volumes and the kernel's
// file systems (proc(5), mountinfo). They are not the container's own files.
func mountpoints(pid int) (map[string]bool, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close()
	found := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 4 && fields[4] != "/" {
			found[strings.TrimPrefix(unescape(fields[4]), "/")] = true
		}
	}
	return found, nil
}

// unescape turns the octal escapes of mountinfo into characters.
func unescape(s string) string {
	for _, e := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}
