package field

import "sekisho"

// EventType is one value of evt.type, the kind of event that it comes as, and
// the lightest source that gives it.
type EventType struct {
	Name string
	Kind sekisho.EventKind
	Tier int // 0: always seen at no cost per system call; 1: its tracepoint slows every system call of the host
}

// EventTypes lists what the sensor can tell. The first of a kind is what an
// event without the name of its system call is taken for.
func EventTypes() []EventType {
	return []EventType{
		{"execve", sekisho.EventExec, 0}, {"execveat", sekisho.EventExec, 0},
		{"clone", sekisho.EventFork, 0}, {"clone3", sekisho.EventFork, 0}, {"fork", sekisho.EventFork, 0}, {"vfork", sekisho.EventFork, 0},
		{"procexit", sekisho.EventExit, 0},
		{"openat", sekisho.EventOpen, 1}, {"open", sekisho.EventOpen, 1}, {"openat2", sekisho.EventOpen, 1}, {"open_by_handle_at", sekisho.EventOpen, 1},
		{"creat", sekisho.EventOpen, 1},
		{"renameat2", sekisho.EventRename, 1}, {"rename", sekisho.EventRename, 1}, {"renameat", sekisho.EventRename, 1},
		{"unlinkat", sekisho.EventUnlink, 1}, {"unlink", sekisho.EventUnlink, 1},
		{"linkat", sekisho.EventLink, 1}, {"link", sekisho.EventLink, 1},
		{"symlinkat", sekisho.EventSymlink, 1}, {"symlink", sekisho.EventSymlink, 1},
		{"mkdirat", sekisho.EventMkdir, 1}, {"mkdir", sekisho.EventMkdir, 1}, {"rmdir", sekisho.EventRmdir, 1},
		{"fchmodat", sekisho.EventChmod, 1}, {"chmod", sekisho.EventChmod, 1}, {"fchmod", sekisho.EventChmod, 1}, {"fchmodat2", sekisho.EventChmod, 1},
		{"fchownat", sekisho.EventChown, 1}, {"chown", sekisho.EventChown, 1}, {"fchown", sekisho.EventChown, 1}, {"lchown", sekisho.EventChown, 1},
		{"mount", sekisho.EventMount, 1}, {"umount", sekisho.EventMount, 1}, {"fsmount", sekisho.EventMount, 1}, {"move_mount", sekisho.EventMount, 1},
		{"mmap", sekisho.EventMap, 1}, {"mprotect", sekisho.EventMap, 1},
		{"connect", sekisho.EventConnect, 0},
		{"accept4", sekisho.EventAccept, 1}, {"accept", sekisho.EventAccept, 1}, // without their calls the process is not known
		{"listen", sekisho.EventListen, 0}, {"bind", sekisho.EventListen, 1},
		{"sendto", sekisho.EventSend, 0}, {"sendmsg", sekisho.EventSend, 0}, {"sendmmsg", sekisho.EventSend, 0},
		{"recvfrom", sekisho.EventReceive, 1}, {"recvmsg", sekisho.EventReceive, 1}, {"recvmmsg", sekisho.EventReceive, 1},
		{"socket", sekisho.EventSocket, 1}, {"dns", sekisho.EventDNS, 0},
		{"dup2", sekisho.EventDup, 1}, {"dup", sekisho.EventDup, 1}, {"dup3", sekisho.EventDup, 1},
		{"setuid", sekisho.EventSetuid, 1}, {"setresuid", sekisho.EventSetuid, 1}, {"setreuid", sekisho.EventSetuid, 1},
		{"capable", sekisho.EventCapability, 0},
		{"setns", sekisho.EventSetns, 1}, {"unshare", sekisho.EventUnshare, 1}, {"ptrace", sekisho.EventPtrace, 1}, {"process_vm_writev", sekisho.EventPtrace, 1},
		{"finit_module", sekisho.EventModule, 1}, {"init_module", sekisho.EventModule, 1},
		{"bpf", sekisho.EventBPF, 1}, {"userfaultfd", sekisho.EventFault, 1}, {"io_uring", sekisho.EventIOUring, 0},
		{"sekisho_kill", sekisho.EventKill, 0}, {"sekisho_denied", sekisho.EventDenied, 0},
	}
}

// KnownTypes are further values of evt.type that Falco knows and the sensor
// does not tell; rules may name them.
func KnownTypes() []string {
	return []string{"read", "write", "close", "kill", "tkill", "tgkill", "chdir", "fchdir", "chroot", "prctl", "setsid", "setpgid", "setgid", "setresgid", "getuid", "getsockopt", "setsockopt",
		"pipe", "pipe2", "eventfd", "eventfd2", "inotify_init", "inotify_init1", "epoll_create", "epoll_create1", "timerfd_create", "signalfd4", "signalfd", "memfd_create", "munmap", "brk", "poll", "ppoll",
		"select", "stat", "lstat", "fstat", "newfstatat", "access", "getcwd", "getdents", "getdents64", "fcntl", "ioctl", "lseek", "pread", "pwrite", "readv", "writev", "preadv", "pwritev", "shutdown",
		"socketpair", "send", "recv", "sendfile", "splice", "mlock", "mlockall", "mlock2", "munlock", "munlockall", "capset", "seccomp", "quotactl", "mknod", "mknodat", "delete_module", "io_uring_setup",
		"io_uring_enter", "io_uring_register", "pidfd_open", "pidfd_getfd", "process_vm_readv", "switch", "signaldeliver", "procinfo", "container", "asyncevent", "page_fault", "drop", "tracer",
		"setrlimit", "getrlimit", "prlimit", "semop", "semget", "semctl", "nanosleep", "futex", "fsconfig", "fsopen", "open_tree", "copy_file_range", "setregid", "getgid", "geteuid", "getegid", "wait4", "exit", "exit_group"}
}
