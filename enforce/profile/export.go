package profile

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"sekisho"
)

// always are system calls that a container's start needs before its program
// runs, whether they were observed or not.
var always = []string{"arch_prctl", "brk", "capget", "capset", "chdir", "clone", "close", "epoll_ctl", "epoll_pwait", "execve", "exit", "exit_group", "faccessat2",
	"fchdir", "fchown", "fcntl", "fstat", "fstatfs", "futex", "getcwd", "getdents64", "getpid", "getppid", "getuid", "mmap", "mprotect", "munmap", "nanosleep",
	"newfstatat", "openat", "openat2", "pipe2", "prctl", "read", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_yield", "set_robust_list",
	"set_tid_address", "setgid", "setgroups", "setuid", "sigaltstack", "stat", "statfs", "tgkill", "write"}

// Seccomp writes a seccomp profile in Docker's form: what was not observed
// fails with EPERM. Without observed system calls there is none to write.
func (p *Profile) Seccomp(w io.Writer) error {
	if len(p.Syscalls) == 0 {
		return sekisho.Errorf(sekisho.Invalid, "profile %s: no system calls were observed", p.Name)
	}
	type rule struct {
		Names  []string `json:"names"`
		Action string   `json:"action"`
	}
	doc := struct {
		Default       string   `json:"defaultAction"`
		Errno         int      `json:"defaultErrnoRet"`
		Architectures []string `json:"architectures"`
		Syscalls      []rule   `json:"syscalls"`
	}{"SCMP_ACT_ERRNO", 1, []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"}, []rule{{union(p.Syscalls, always), "SCMP_ACT_ALLOW"}}}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// AppArmor writes an AppArmor profile (apparmor.d(5)): what may run, be written
// and which capabilities may be used.
func (p *Profile) AppArmor(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "#include <tunables/global>\n\nprofile %s flags=(attach_disconnected,mediate_deleted) {\n  #include <abstractions/base>\n", quote("sekisho-"+p.Name))
	b.WriteString("  file r,\n  deny @{PROC}/sys/** w,\n  deny /sys/** w,\n  deny mount,\n  deny ptrace,\n  signal (send, receive) peer=@{profile_name},\n")
	for _, x := range p.Processes {
		fmt.Fprintf(&b, "  %s ix,\n", quote(x.Path))
	}
	for _, x := range p.Writes {
		fmt.Fprintf(&b, "  %s rwkl,\n", quote(x.Path))
	}
	for _, c := range p.Capabilities {
		fmt.Fprintf(&b, "  capability %s,\n", strings.ToLower(c))
	}
	if len(p.Connections)+len(p.Listens) > 0 {
		b.WriteString("  network inet,\n  network inet6,\n")
	}
	b.WriteString("  network unix,\n}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quote writes a name as AppArmor takes it, whatever is in it.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	return `"` + s + `"`
}

// ReadOnly lists the directories that must stay writable when the root file
// system is read-only: the fewest that cover what was written. What the kernel
// or the runtime mounts itself is left out.
func (p *Profile) ReadOnly() (dirs []string) {
	for _, w := range p.Writes {
		dir := strings.TrimSuffix(w.Path, "/**")
		if dir == w.Path {
			dir = path.Dir(w.Path)
		}
		if first, _, _ := strings.Cut(strings.TrimPrefix(dir, "/"), "/"); dir == "/" || first == "proc" || first == "sys" || first == "dev" {
			continue
		}
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	return slices.DeleteFunc(slices.Clone(dirs), func(d string) bool {
		return slices.ContainsFunc(dirs, func(o string) bool { return o != d && strings.HasPrefix(d, o+"/") })
	})
}

// Forms of ReadOnlyLines.
const (
	Compose    = "compose"
	Kubernetes = "kubernetes"
	ECS        = "ecs"
)

// ReadOnlyLines writes the lines that let the container run with a read-only
// root file system: for Compose, Kubernetes or ECS.
func (p *Profile) ReadOnlyLines(w io.Writer, form string) error {
	dirs := p.ReadOnly()
	var b strings.Builder
	switch form {
	case Compose:
		b.WriteString("read_only: true\n")
		lines(&b, "tmpfs:\n", dirs, func(d string) string { return fmt.Sprintf("  - %q\n", d) })
	case Kubernetes:
		b.WriteString("# in the container\nsecurityContext:\n  readOnlyRootFilesystem: true\n")
		lines(&b, "volumeMounts:\n", dirs, func(d string) string { return fmt.Sprintf("  - {name: %s, mountPath: %q}\n", volume(d), d) })
		lines(&b, "# in the pod\nvolumes:\n", dirs, func(d string) string { return fmt.Sprintf("  - {name: %s, emptyDir: {}}\n", volume(d)) })
	case ECS:
		return ecs(w, dirs)
	default:
		return sekisho.Errorf(sekisho.Usage, "form %q: want %s, %s or %s", form, Compose, Kubernetes, ECS)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func lines(b *strings.Builder, head string, dirs []string, line func(string) string) {
	if len(dirs) == 0 {
		return
	}
	b.WriteString(head)
	for _, d := range dirs {
		b.WriteString(line(d))
	}
}

// volume makes a name of a path, as Kubernetes takes them (RFC 1123 label).
func volume(dir string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(strings.Trim(dir, "/")))
	return "rw-" + strings.Trim(name[:min(len(name), 50)], "-")
}

// ecs writes a fragment of a task definition. Fargate has no tmpfs: volumes of
// the task are writable on both.
func ecs(w io.Writer, dirs []string) error {
	type mount struct {
		Volume string `json:"sourceVolume"`
		Path   string `json:"containerPath"`
	}
	type named struct {
		Name string `json:"name"`
	}
	doc := struct {
		Container struct {
			ReadOnly bool    `json:"readonlyRootFilesystem"`
			Mounts   []mount `json:"mountPoints"`
		} `json:"containerDefinition"`
		Volumes []named `json:"volumes"`
	}{}
	doc.Container.ReadOnly = true
	doc.Container.Mounts, doc.Volumes = []mount{}, []named{}
	for _, d := range dirs {
		doc.Container.Mounts = append(doc.Container.Mounts, mount{volume(d), d})
		doc.Volumes = append(doc.Volumes, named{volume(d)})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}
