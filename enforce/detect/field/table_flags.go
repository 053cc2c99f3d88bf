package field

import "strings"

// flag is one bit, or several, and its name.
type flag struct {
	bits uint64
	name string
}

// names appends the names of the bits that are set, joined by |.
func (x *Context) names(bits uint64, table []flag) string {
	start := len(x.buf)
	for i := range table {
		f := &table[i]
		if f.bits == 0 || bits&f.bits != f.bits {
			continue
		}
		if len(x.buf) > start {
			x.buf = append(x.buf, '|')
		}
		x.buf = append(x.buf, f.name...)
	}
	return x.text(start)
}

// Tables of names, as Linux 6.x has them. They do not change.
var (
	openNames = []flag{
		{0x40, "O_CREAT"}, {0x400, "O_APPEND"}, {0x1000, "O_DSYNC"}, {0x80, "O_EXCL"}, {0x800, "O_NONBLOCK"}, {0x101000, "O_SYNC"}, {0x200, "O_TRUNC"},
		{0x4000, "O_DIRECT"}, {0x10000, "O_DIRECTORY"}, {0x8000, "O_LARGEFILE"}, {0x80000, "O_CLOEXEC"}, {0x410000, "O_TMPFILE"},
	}
	modeNames = []flag{
		{0o1, "S_IXOTH"}, {0o2, "S_IWOTH"}, {0o4, "S_IROTH"}, {0o10, "S_IXGRP"}, {0o20, "S_IWGRP"}, {0o40, "S_IRGRP"},
		{0o100, "S_IXUSR"}, {0o200, "S_IWUSR"}, {0o400, "S_IRUSR"}, {0o1000, "S_ISVTX"}, {0o2000, "S_ISGID"}, {0o4000, "S_ISUID"},
	}
	cloneNames = []flag{
		{0x100, "CLONE_VM"}, {0x200, "CLONE_FS"}, {0x400, "CLONE_FILES"}, {0x800, "CLONE_SIGHAND"}, {0x4000, "CLONE_VFORK"}, {0x10000, "CLONE_THREAD"},
		{0x20000, "CLONE_NEWNS"}, {0x2000000, "CLONE_NEWCGROUP"}, {0x4000000, "CLONE_NEWUTS"}, {0x8000000, "CLONE_NEWIPC"}, {0x10000000, "CLONE_NEWUSER"},
		{0x20000000, "CLONE_NEWPID"}, {0x40000000, "CLONE_NEWNET"}, {0x80, "CLONE_NEWTIME"},
	}
	mountNames = []flag{
		{1, "RDONLY"}, {2, "NOSUID"}, {4, "NODEV"}, {8, "NOEXEC"}, {16, "SYNCHRONOUS"}, {32, "REMOUNT"}, {4096, "BIND"}, {8192, "MOVE"}, {16384, "REC"}, {1 << 18, "PRIVATE"}, {1 << 20, "SHARED"},
	}
	capabilityNames = strings.Fields(`CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE
		CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT
		CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP
		CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE`)
	errnoNames = strings.Fields(`SUCCESS EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR
		EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP`)
	domainNames = strings.Fields(`AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_NETROM AF_BRIDGE AF_ATMPVC AF_X25 AF_INET6 AF_ROSE AF_DECnet AF_NETBEUI AF_SECURITY AF_KEY AF_NETLINK AF_PACKET
		AF_ASH AF_ECONET AF_ATMSVC AF_RDS AF_SNA AF_IRDA AF_PPPOX AF_WANPIPE AF_LLC AF_IB AF_MPLS AF_CAN AF_TIPC AF_BLUETOOTH AF_IUCV AF_RXRPC AF_ISDN AF_PHONET AF_IEEE802154 AF_CAIF AF_ALG AF_NFC AF_VSOCK`)
	bpfNames = strings.Fields(`BPF_MAP_CREATE BPF_MAP_LOOKUP_ELEM BPF_MAP_UPDATE_ELEM BPF_MAP_DELETE_ELEM BPF_MAP_GET_NEXT_KEY BPF_PROG_LOAD BPF_OBJ_PIN BPF_OBJ_GET BPF_PROG_ATTACH BPF_PROG_DETACH
		BPF_PROG_TEST_RUN BPF_PROG_GET_NEXT_ID BPF_MAP_GET_NEXT_ID BPF_PROG_GET_FD_BY_ID BPF_MAP_GET_FD_BY_ID BPF_OBJ_GET_INFO_BY_FD BPF_PROG_QUERY BPF_RAW_TRACEPOINT_OPEN BPF_BTF_LOAD BPF_BTF_GET_FD_BY_ID
		BPF_TASK_FD_QUERY BPF_MAP_LOOKUP_AND_DELETE_ELEM BPF_MAP_FREEZE BPF_BTF_GET_NEXT_ID BPF_MAP_LOOKUP_BATCH BPF_MAP_LOOKUP_AND_DELETE_BATCH BPF_MAP_UPDATE_BATCH BPF_MAP_DELETE_BATCH BPF_LINK_CREATE
		BPF_LINK_UPDATE BPF_LINK_GET_FD_BY_ID BPF_LINK_GET_NEXT_ID BPF_ENABLE_STATS BPF_ITER_CREATE BPF_LINK_DETACH BPF_PROG_BIND_MAP BPF_TOKEN_CREATE`)
	ioUring = strings.Fields(`NOP READV WRITEV FSYNC READ_FIXED WRITE_FIXED POLL_ADD POLL_REMOVE SYNC_FILE_RANGE SENDMSG RECVMSG TIMEOUT TIMEOUT_REMOVE ACCEPT ASYNC_CANCEL LINK_TIMEOUT CONNECT FALLOCATE
		OPENAT CLOSE FILES_UPDATE STATX READ WRITE FADVISE MADVISE SEND RECV OPENAT2 EPOLL_CTL SPLICE PROVIDE_BUFFERS REMOVE_BUFFERS TEE SHUTDOWN RENAMEAT UNLINKAT MKDIRAT SYMLINKAT LINKAT MSG_RING
		FSETXATTR SETXATTR FGETXATTR GETXATTR SOCKET URING_CMD SEND_ZC SENDMSG_ZC`)
)

func ioUringNames() []string { return ioUring }

// ptraceName names a request of ptrace(2).
func ptraceName(request int64) string {
	switch request {
	case 0x4200:
		return "PTRACE_SETOPTIONS"
	case 0x4206:
		return "PTRACE_SEIZE"
	case 0x4207:
		return "PTRACE_INTERRUPT"
	case 0x4205:
		return "PTRACE_SETREGSET"
	case 0x4204:
		return "PTRACE_GETREGSET"
	}
	return pick([]string{"PTRACE_TRACEME", "PTRACE_PEEKTEXT", "PTRACE_PEEKDATA", "PTRACE_PEEKUSR", "PTRACE_POKETEXT", "PTRACE_POKEDATA", "PTRACE_POKEUSR", "PTRACE_CONT", "PTRACE_KILL",
		"PTRACE_SINGLESTEP", "", "", "PTRACE_GETREGS", "PTRACE_SETREGS", "PTRACE_GETFPREGS", "PTRACE_SETFPREGS", "PTRACE_ATTACH", "PTRACE_DETACH", "PTRACE_GETFPXREGS", "PTRACE_SETFPXREGS", "", "", "", "", "PTRACE_SYSCALL"}, request)
}

func socketType(n int) string {
	return pick([]string{"", "SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET"}, int64(n&0xf))
}

func pick(names []string, n int64) string {
	if n < 0 || n >= int64(len(names)) {
		return ""
	}
	return names[n]
}

func capability(n int) string { return pick(capabilityNames, int64(n)) }

// errno names the error of a negative result.
func errno(result int64) string {
	n := -result
	switch n {
	case 101:
		return "ENETUNREACH"
	case 104:
		return "ECONNRESET"
	case 106:
		return "EISCONN"
	case 110:
		return "ETIMEDOUT"
	case 111:
		return "ECONNREFUSED"
	case 113:
		return "EHOSTUNREACH"
	case 114:
		return "EALREADY"
	case 115:
		return "EINPROGRESS"
	case 95:
		return "EOPNOTSUPP"
	case 97:
		return "EAFNOSUPPORT"
	case 98:
		return "EADDRINUSE"
	case 99:
		return "EADDRNOTAVAIL"
	}
	if s := pick(errnoNames, n); s != "" {
		return s
	}
	return "EUNKNOWN"
}

// capabilities names the set bits, with blanks between.
func (x *Context) capabilities(bits uint64) string {
	start := len(x.buf)
	for i, name := range capabilityNames {
		if bits&(1<<i) == 0 {
			continue
		}
		if len(x.buf) > start {
			x.buf = append(x.buf, ' ')
		}
		x.buf = append(x.buf, name...)
	}
	return x.text(start)
}
