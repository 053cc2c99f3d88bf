package kernels_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// report is what the guest says; guest/main.go writes it.
type report struct {
	Kernel   string            `json:"kernel"`
	Cgroup   string            `json:"cgroup"`
	LSM      string            `json:"lsm"`
	Sessions []session         `json:"sessions"`
	Outputs  map[string]string `json:"outputs"`
}

type session struct {
	Name    string            `json:"name"`
	Status  map[string]string `json:"status"`
	Out     string            `json:"out"`
	Errors  string            `json:"errors"`
	Written []string          `json:"written"`
}

// boot is one start of a machine.
type boot struct {
	kernel *kernel
	cgroup string
	do     string
	append string
	within time.Duration
}

// run boots and returns what the machine reported.
func (b boot) run(t *testing.T) *report {
	t.Helper()
	dir := t.TempDir()
	initrd := filepath.Join(dir, "initrd")
	must(t, os.WriteFile(initrd, initramfs(t, b.kernel), 0o600))
	args := []string{"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot", "-m", "1024", "-smp", "2", "-kernel", b.kernel.image(t), "-initrd", initrd,
		"-drive", "if=none,id=disk,format=raw,snapshot=on,file=" + disk(t, b.kernel.arch, strings.Contains(b.do, "tests")), "-device", "virtio-blk-pci,drive=disk"}
	qemu, console := "qemu-system-x86_64", "ttyS0"
	if b.kernel.arch == "arm64" {
		qemu, console = "qemu-system-aarch64", "ttyAMA0"
		args = append(args, "-machine", "virt")
	}
	if os.Getenv("SEKISHO_KVM") == "1" && b.kernel.arch == runtime.GOARCH { // there are machines whose /dev/kvm hangs
		args = append(args, "-accel", "kvm", "-cpu", "host")
	} else {
		args = append(args, "-accel", "tcg,thread=multi", "-cpu", "max")
	}
	args = append(args, "-append", fmt.Sprintf("console=%s loglevel=4 panic=-1 sekisho.cgroup=%s sekisho.do=%s %s", console, b.cgroup, b.do, b.append))
	if b.within == 0 {
		b.within = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), b.within)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if name := os.Getenv("SEKISHO_CONSOLE"); name != "" {
		f, err := os.Create(name)
		must(t, err)
		defer f.Close()
		cmd.Stdout = io.MultiWriter(&out, f)
		cmd.Stderr = cmd.Stdout
	}
	err := cmd.Run()
	_, after, ok := strings.Cut(out.String(), "<report>")
	text, _, whole := strings.Cut(after, "</report>")
	if !ok || !whole {
		t.Fatalf("the machine did not report: %v\n%s", err, out.String())
	}
	r := &report{}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatalf("report: %v", err)
	}
	for _, m := range regexp.MustCompile(`(?m)^.*(BUG:|WARNING:|Oops).*$`).FindAllString(out.String(), -1) {
		t.Errorf("the kernel complains: %s", m)
	}
	return r
}

// initramfs holds the first process and the modules that it needs to go on.
func initramfs(t *testing.T, k *kernel) []byte {
	t.Helper()
	guest, err := os.ReadFile(built(t, k.arch, "guest"))
	must(t, err)
	var a archive
	for _, dir := range []string{"proc", "sys", "dev", "disk", "modules"} {
		a.add(dir, 0o40755, nil)
	}
	a.add("init", 0o100755, guest)
	order := ""
	for _, file := range k.modules(t, "virtio_pci", "virtio_blk", "ext4", "overlay") {
		name := strings.TrimSuffix(filepath.Base(file), ".xz")
		a.add("modules/"+name, 0o100644, content(t, file))
		order += name + "\n"
	}
	a.add("modules/order", 0o100644, []byte(order))
	a.add("TRAILER!!!", 0, nil)
	return a.Bytes()
}

// archive is one of cpio, in the form that the kernel reads
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	bytes.Buffer
	inode int
}

func (a *archive) add(name string, mode int, data []byte) {
	a.inode++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.pad()
	a.Write(data)
	a.pad()
}

func (a *archive) pad() {
	for a.Len()%4 != 0 {
		a.WriteByte(0)
	}
}

// builds are made once in a run.
var builds = map[string]string{}

// built compiles a program for the machine.
func built(t *testing.T, arch, what string) string {
	t.Helper()
	if builds[arch+what] != "" {
		return builds[arch+what]
	}
	name := filepath.Join(scratch, arch+"-"+what)
	args, dir := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", name}, "."
	switch what {
	case "guest":
		args = append(args, "./guest")
	case "sekisho":
		args, dir = append(args, "./cmd/sekisho"), "../.."
	case "sensor.test":
		args, dir = []string{"test", "-c", "-trimpath", "-ldflags", "-s -w", "-o", name, "./enforce/sensor"}, "../.."
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v: %s", what, err, out)
	}
	builds[arch+what] = name
	return name
}

// disk makes the file system of a machine: what a container needs to be made,
// from Debian 12, and our programs.
func disk(t *testing.T, arch string, tests bool) string {
	t.Helper()
	kind := fmt.Sprint(arch, "-disk-", tests)
	if builds[kind] != "" {
		return builds[kind]
	}
	base := filepath.Join(cache(t), "base-"+arch)
	if _, err := os.Stat(base + "/done"); err != nil {
		must(t, os.RemoveAll(base))
		must(t, unpack(t, "bookworm", arch, base, "runc", "libc6", "libseccomp2", "libc-bin", "busybox-static"))
		must(t, os.WriteFile(base+"/done", nil, 0o644))
	}
	root := filepath.Join(scratch, "root-"+kind)
	triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[arch]
	for _, dir := range []string{"bin", "sbin", "usr/sbin", "lib", "usr/lib", "proc", "sys", "dev", "run", "tmp", "root", "etc", "var/tmp", "var/lib", "image/bin", "image/lib", "image/root", "image/proc", "image/dev", "image/sys", "image/mem", "image/volume", "image/etc", "image/opt"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	copyTo := func(from, to string) { command(t, "cp", "-aL", from, filepath.Join(root, to)) }
	copyTo(base+"/bin/busybox", "bin/busybox")
	copyTo(base+"/usr/sbin/runc", "usr/sbin/runc")
	libraries := base + "/lib/" + triplet
	loader, _ := filepath.Glob(libraries + "/ld-linux-*.so.*")
	if len(loader) != 1 {
		t.Fatalf("loaders: %v", loader)
	}
	inside := "lib64"
	if arch == "arm64" {
		inside = "lib"
	}
	for _, top := range []string{"", "image/"} {
		must(t, os.MkdirAll(filepath.Join(root, top, "lib", triplet), 0o755))
		must(t, os.MkdirAll(filepath.Join(root, top, inside), 0o755))
		copyTo(loader[0], top+inside+"/"+filepath.Base(loader[0]))
		copyTo(libraries+"/libc.so.6", top+"lib/"+triplet+"/libc.so.6")
	}
	copyTo(base+"/usr/lib/"+triplet+"/libseccomp.so.2", "lib/"+triplet+"/libseccomp.so.2")
	copyTo(libraries+"/libm.so.6", "image/lib/libextra.so")
	copyTo(base+"/usr/bin/iconv", "image/bin/dynamic")
	copyTo(base+"/bin/busybox", "image/bin/busybox")
	copyTo(base+"/bin/busybox", "image/opt/touch")
	for _, applet := range []string{"sh", "touch", "cp", "chmod", "nc", "nslookup", "timeout", "env", "true"} {
		must(t, os.Symlink("busybox", filepath.Join(root, "image/bin", applet)))
	}
	copyTo(built(t, arch, "guest"), "guest")
	copyTo(built(t, arch, "guest"), "image/bin/actor")
	copyTo(built(t, arch, "sekisho"), "sekisho")
	if tests {
		copyTo(built(t, arch, "sensor.test"), "sensor.test")
	}
	name := filepath.Join(scratch, kind)
	command(t, "mkfs.ext4", "-q", "-d", root, "-E", "root_owner=0:0", name, "600m")
	builds[kind] = name
	return name
}
