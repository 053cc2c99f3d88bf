package drift

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho"
)

func TestFind(t *testing.T) {
	info := "31 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n" +
		`99 31 0:50 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/AA:/with\134:colon/BB,upperdir=/var/lib/docker/overlay2/abc/diff,workdir=/w` + "\n" +
		"98 31 0:51 / /run/c/rootfs rw - overlay overlay rw,lowerdir+=/l/1,lowerdir+=/l/2,upperdir=/u/3,workdir=/w\n" +
		"97 31 0:52 / /data/overlay2/x/merged rw - overlay overlay rw,lowerdir=l/AA:l/BB,upperdir=/data/overlay2/x/diff,workdir=/w\n"
	for _, c := range []struct{ root, upper, want string }{
		{"/var/lib/docker/overlay2/abc/merged", "", "/var/lib/docker/overlay2/l/AA|/with:colon/BB"},
		{"/run/c/rootfs", "", "/l/1|/l/2"},
		{"/elsewhere", "/u/3", "/l/1|/l/2"},
		{"/data/overlay2/x/merged", "", "/data/overlay2/l/AA|/data/overlay2/l/BB"},
		{"/none", "", ""},
	} {
		got := ""
		if l := find([]byte(info), &sekisho.Container{Root: c.root, Upper: c.upper}); l != nil {
			got = strings.Join(l.Lower, "|")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.root, got, c.want)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte(`99 31 0:50 / /m rw - overlay overlay rw,lowerdir=/l/AA:/with\134:colon/BB,upperdir=/u,workdir=/w`), "/m")
	f.Fuzz(func(t *testing.T, data []byte, root string) { find(data, &sekisho.Container{Root: root}) })
}

// TestVerdicts judges files of a real overlay.
func TestVerdicts(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("missing: root")
		}
		t.Skip("missing: root")
	}
	dir, err := os.MkdirTemp("/var/tmp", "sekisho-drift-") // overlays lie badly upon memory
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"image", "touched", "changed", "back", "removed", "moved", "opened"} {
		if err := os.WriteFile(filepath.Join(dir, "lower", name), []byte("content of "+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+dir+"/lower,upperdir="+dir+"/upper,workdir="+dir+"/work", dir+"/merged").CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	defer exec.Command("umount", dir+"/merged").Run()
	in := func(name string) string { return filepath.Join(dir, "merged", name) }
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.Chmod(in("touched"), 0o700))
	do(os.WriteFile(in("changed"), []byte("CONTENT of changed"), 0o755)) // of the same size
	do(os.WriteFile(in("back"), []byte("x"), 0o755))
	do(os.WriteFile(in("back"), []byte("content of back"), 0o755))
	do(os.Remove(in("removed")))
	do(os.WriteFile(in("removed"), []byte("another"), 0o755))
	do(os.Rename(in("moved"), in("elsewhere")))
	do(os.WriteFile(in("new"), []byte("new"), 0o755))
	f, err := os.OpenFile(in("opened"), os.O_RDWR, 0)
	do(err)
	do(f.Close())
	j := New("/proc/self/mountinfo")
	c := &sekisho.Container{ID: "c", Root: filepath.Join(dir, "merged"), Upper: filepath.Join(dir, "upper")}
	l := j.Layers(c)
	if l == nil {
		t.Fatal("no layers")
	}
	for name, want := range map[string]Verdict{"image": Image, "touched": Touched, "changed": Differs, "back": Touched, "removed": Differs, "elsewhere": Differs, "new": Differs, "opened": Touched} {
		for range 2 { // the second time from memory
			f, err := os.Open(in(name))
			do(err)
			if got := j.File(l, f, "/"+name); got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
			f.Close()
			if got := j.Path(c, "/"+name); got != want {
				t.Errorf("%s by its path: %v, want %v", name, got, want)
			}
		}
	}
	f, err = os.Open(in("changed"))
	do(err)
	defer f.Close()
	if got := j.File(l, f, "/image"); got != Differs {
		t.Errorf("a changed file under the name of another: %v", got)
	}
	if got := j.File(l, f, "/../../etc/passwd"); got != Differs {
		t.Errorf("a path out of the layers: %v", got)
	}
	script := func(args ...string) string {
		program := args[0]
		if program == "cat" {
			program = "busybox"
		}
		p, ok := j.Script(&sekisho.Event{Kind: sekisho.EventExec, Container: c, Process: &sekisho.Process{Path: "/bin/" + program, Args: args, Directory: "/"}})
		if !ok {
			return ""
		}
		return p
	}
	for _, x := range []struct {
		args []string
		want string
	}{{[]string{"sh", "/new"}, "/new"}, {[]string{"python3.12", "-u", "new"}, "/new"}, {[]string{"sh", "/image"}, ""}, {[]string{"sh", "/touched"}, ""}, {[]string{"sh", "-c", "/new"}, ""}, {[]string{"cat", "/new"}, ""}, {[]string{"busybox", "cat", "/new"}, ""}, {[]string{"busybox", "sh", "/new"}, "/new"}} {
		if got := script(x.args...); got != x.want {
			t.Errorf("%v: %q, want %q", x.args, got, x.want)
		}
	}
}
