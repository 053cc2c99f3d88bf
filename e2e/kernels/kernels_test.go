package kernels_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// scratch is where programs and disks are made, for one run.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("/var/tmp", "sekisho-kernels-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(scratch)
	os.Exit(status)
}

// release is a kernel of Debian, and what it is known not to do.
type release struct {
	name, arch string
	from       []string // suites, the first that has one counts
	missing    []string // features
	refuses    bool     // BPF LSM as it is configured
}

var releases = []release{
	{"5.10", "amd64", []string{"bullseye-security", "bullseye"}, []string{"LSM exec", "LSM mmap", "LSM mprotect", "call fchmodat2"}, false},
	{"6.1", "amd64", []string{"bookworm-security", "bookworm"}, []string{"call fchmodat2"}, true},
	{"6.12", "amd64", []string{"trixie-security", "trixie"}, nil, true},
	{"newest", "amd64", []string{"sid"}, nil, true},
	{"6.1", "arm64", []string{"bookworm-security", "bookworm"}, []string{"capability", "LSM exec", "LSM mmap", "LSM mprotect", "call fchmodat2"}, false},
	{"6.12", "arm64", []string{"trixie-security", "trixie"}, nil, true},
}

// TestKernels boots every kernel with every layout of control groups, without
// BPF LSM where it has it, too.
func TestKernels(t *testing.T) {
	for _, r := range releases {
		t.Run(r.name+"/"+r.arch, func(t *testing.T) {
			for _, cgroup := range []string{"v2", "hybrid", "v1"} {
				t.Run(cgroup, func(t *testing.T) { try(t, r, cgroup, "") })
			}
			if !r.refuses {
				return
			}
			t.Run("without LSM", func(t *testing.T) {
				r.refuses, r.missing = false, append(slices.Clone(r.missing), "LSM exec", "LSM mmap", "LSM mprotect")
				try(t, r, "v2", "lsm=landlock,apparmor")
			})
		})
	}
}

// TestSmall is the part of TestKernels that is quick: one kernel that refuses,
// and that a container is stopped.
func TestSmall(t *testing.T) {
	r := releases[1]
	if os.Getenv("SEKISHO_KERNELS") == "warm" { // never the one who fetches
		if _, err := os.Stat(cache(t) + "/bookworm-amd64/done"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("missing: a kernel in the cache; make kernels fetches it")
			}
			t.Skip("missing: a kernel in the cache; make kernels fetches it")
		}
	}
	rep := boot{kernel: kernelOf(t, r), cgroup: "hybrid", do: "probe,events"}.run(t)
	features(t, r, rep.Outputs["probe"])
	events(t, r, "hybrid", rep.Sessions[0])
}

func kernelOf(t *testing.T, r release) *kernel {
	t.Helper()
	for _, tool := range []string{"dpkg-deb", "xz", "mkfs.ext4", map[string]string{"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}[r.arch]} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	return fetch(t, r.arch, r.from...)
}

func try(t *testing.T, r release, cgroup, arguments string) {
	do := "probe,none,events,enforce"
	if cgroup == "v2" && arguments == "" {
		do = "probe,tests,none,events,enforce"
		arguments = "sekisho.tests=Programs|Policies|Loss|Outlives|Upgrade"
	}
	if only := os.Getenv("SEKISHO_DO"); only != "" { // to look into one thing
		do, arguments = only, "loglevel=7 "+os.Getenv("SEKISHO_APPEND")
	}
	rep := boot{kernel: kernelOf(t, r), cgroup: cgroup, do: do, append: arguments}.run(t)
	t.Logf("%s, cgroup %s, security modules %s", rep.Kernel, rep.Cgroup, rep.LSM)
	features(t, r, rep.Outputs["probe"])
	if out := rep.Outputs["tests"]; strings.Contains(do, "tests") && (!strings.HasSuffix(out, "PASS\n") || strings.Contains(out, "no tests to run")) {
		t.Errorf("tests of the sensor:\n%s", out)
	}
	for _, s := range rep.Sessions {
		t.Logf("%s: %v, left %v", s.Name, s.Status, s.Written)
		switch s.Name {
		case "none":
			for name, status := range s.Status {
				if status != "0" && name != "listen" {
					t.Errorf("without an enforcer %s ends with %s", name, status)
				}
			}
		case "events":
			events(t, r, cgroup, s)
		case "enforce":
			enforced(t, r, s)
		}
	}
}

// features compares what probe says with what is known of a kernel.
func features(t *testing.T, r release, out string) {
	t.Helper()
	var probe struct {
		Features []struct{ Name, State, Why string }
	}
	if err := json.Unmarshal([]byte(out), &probe); err != nil || len(probe.Features) < 20 {
		t.Fatalf("probe: %v: %s", err, out)
	}
	for _, f := range probe.Features {
		missing := f.State == "not supported here"
		if f.Why == "this architecture has no such call" {
			continue
		}
		if missing != slices.Contains(r.missing, f.Name) {
			t.Errorf("%s: %s %s", f.Name, f.State, f.Why)
		}
		if missing && f.Why == "" {
			t.Errorf("%s is not supported, and no one says why", f.Name)
		}
	}
}

// event is what is asked of an event, or of an alert.
type event struct {
	Kind, Path, Origin, Syscall, Rule, What, Done string
	Process                                       *struct {
		Path, Origin string
		Args         []string
	}
	Container *struct {
		ID, Name, Image string
		Workload        struct{ Namespace, Name string }
	}
	Net *struct{ Remote, Local string }
}

func decode(s session) (list []event) {
	for line := range strings.Lines(s.Out) {
		var e event
		if json.Unmarshal([]byte(line), &e) == nil && e.Kind != "" {
			list = append(list, e)
		}
	}
	return list
}

// attacks are what the script of the guest tries, and the file that is told.
var attacks = []struct{ name, path, origin string }{
	{"upper", "/root/touch", "upper"}, {"memory", "/mem/touch", "memory"}, {"memfd", "", "memory"}, {"deleted", "/root/gone", "deleted"},
	{"ldso", "/root/dynamic", "upper"}, {"preload", "/root/extra.so", "upper"}, {"mprotect", "/root/extra.so", "upper"},
}

// events holds that everything is seen with its container, and that drift is
// stopped by the kernel alone.
func events(t *testing.T, r release, cgroup string, s session) {
	t.Helper()
	list := decode(s)
	if len(list) == 0 {
		t.Fatalf("no events: %s", s.Errors)
	}
	find := func(what string, is func(e event) bool) {
		t.Helper()
		if !slices.ContainsFunc(list, is) {
			t.Errorf("never seen: %s", what)
		}
	}
	first := list[slices.IndexFunc(list, func(e event) bool { return e.Kind == "exec" })]
	if first.Process.Args[0] != "/bin/sh" || first.Process.Path != "/bin/busybox" || first.Process.Origin != "image" {
		t.Errorf("the first program: %+v", *first.Process)
	}
	for _, e := range list {
		if e.Container == nil || e.Container.Name != "events" || e.Container.Image != "registry.example/app:1" || !strings.HasPrefix(e.Container.Workload.Name, "web") {
			t.Fatalf("whose is %+v: %+v", e, e.Container)
		}
	}
	find("connect", func(e event) bool { return e.Kind == "connect" && e.Net != nil && e.Net.Remote == "127.0.0.1:7777" })
	find("listen", func(e event) bool {
		return e.Kind == "listen" && e.Net != nil && strings.HasSuffix(e.Net.Local, ":8888")
	})
	find("the answer of a name server", func(e event) bool { return e.Kind == "dns" && e.Path == "name.example" })
	for _, a := range attacks {
		stopped(t, r, s, a.name)
		find(a.name+" stopped", func(e event) bool {
			path := strings.TrimSuffix(e.Path, " (deleted)")
			return (e.Kind == "kill" || e.Kind == "denied") && (a.path == "" || path == a.path) && e.Origin == a.origin
		})
	}
	if s.Status["image"] != "0" || s.Status["volume"] != "0" || s.Status["dynamic"] != "0" {
		t.Errorf("what may run: %v", s.Status)
	}
	if !slices.Equal(s.Written, []string{"image", "volume"}) {
		t.Errorf("programs left %v", s.Written)
	}
	if denied := slices.ContainsFunc(list, func(e event) bool { return e.Kind == "denied" }); denied != r.refuses {
		t.Errorf("refused: %v, want %v", denied, r.refuses)
	}
}

// stopped holds that an attempt failed: killed, or refused where the kernel
// asks. A library that cannot be mapped is left out by the loader, and the
// program goes on.
func stopped(t *testing.T, r release, s session, name string) {
	t.Helper()
	switch status := s.Status[name]; {
	case status == "137":
	case status == "0" && name == "preload" && r.refuses:
	case status != "0" && status != "" && r.refuses:
	default:
		t.Errorf("%s ends with %q", name, status)
	}
}

// enforced holds that the enforcer stops what is not the image's, whoever does
// it, lets run what was only touched, and alerts on each.
func enforced(t *testing.T, r release, s session) {
	t.Helper()
	for _, name := range []string{"image", "touched", "dynamic", "connect", "dns"} {
		if s.Status[name] != "0" {
			t.Errorf("%s ends with %q", name, s.Status[name])
		}
	}
	if !slices.Equal(s.Written, []string{"image", "touched"}) {
		t.Errorf("programs left %v", s.Written)
	}
	list := decode(s)
	for _, a := range append(slices.Clone(attacks), struct{ name, path, origin string }{"volume", "/volume/touch", "volume"}) {
		if s.Status[a.name] == "0" && a.name != "preload" {
			t.Errorf("%s ran", a.name)
		}
		if !slices.ContainsFunc(list, func(e event) bool {
			return e.Rule == "drift" && (a.path == "" || strings.TrimSuffix(e.What, " (deleted)") == a.path) && (e.Done == "killed" || e.Done == "denied") && e.Container.Name == "enforce"
		}) {
			t.Errorf("no alert of %s", a.name)
		}
	}
	for _, e := range list {
		if e.Rule == "drift" && e.What == "/opt/touch" {
			t.Errorf("a touched file is drift: %+v", e)
		}
	}
}
