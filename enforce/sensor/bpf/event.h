/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What leaves the kernel, and what programs share. decode.go reads the same
 * layouts; a test holds the offsets of both together. */
#ifndef SEKISHO_EVENT_H
#define SEKISHO_EVENT_H
#include "kernel.h"

/* Kinds, in the order of sekisho.EventKind. */
enum kind {
	K_NONE, K_EXEC, K_FORK, K_EXIT, K_OPEN, K_CREATE, K_RENAME, K_UNLINK, K_LINK, K_SYMLINK, K_MKDIR, K_RMDIR,
	K_CHMOD, K_CHOWN, K_MOUNT, K_MAP, K_CONNECT, K_ACCEPT, K_LISTEN, K_SEND, K_RECEIVE, K_SOCKET, K_DNS, K_DUP,
	K_SETUID, K_CAPABILITY, K_SETNS, K_UNSHARE, K_PTRACE, K_MODULE, K_BPF, K_IOURING, K_KILL, K_DENIED, K_LOST, K_CGROUP, K_FAULT,
	K_MAX
};

/* Origins of a file's content. */
enum origin { O_UNKNOWN, O_IMAGE, O_UPPER, O_VOLUME, O_MEMORY, O_DELETED, O_HOST };

/* Flags of an event. */
#define F_KILLED 1      /* the process was killed for it */
#define F_CUT 2         /* a string was longer than its bound */
#define F_LOWER 4       /* an upper file that the image has too: changed or only touched */
#define F_REMOVED 8     /* a cgroup was removed, not made */
#define F_NOTASK 16     /* the task that ran was not the cause */
#define F_INBOUND 32
#define F_KNOWN 64      /* the cgroup below which the new one is belongs to a container */
#define F_COMPAT 128    /* by a system call of 32 bits, which the hooks of calls do not see */
#define F_PROFILE F_REMOVED /* of a process that was killed: the profile does not have what it did */

/* Bits of a policy's mode. */
#define M_KILL_UPPER 1
#define M_KILL_VOLUME 2
#define M_KILL_MEMORY 4  /* memfd, file systems in memory, deleted files */
#define M_KILL_MAP 8     /* the same for libraries, by the bits above */
#define M_SPARE_LOWER 16 /* files that the image has too are compared by who was asked before */
#define M_DENY_CONNECT 32 /* peers that the profile does not have */
#define M_DENY_LISTEN 64
#define M_DENY_RAW 128  /* sockets that are neither TCP nor UDP */
#define M_DENY_ICMP 256 /* pings without a raw socket */
#define M_KILL_WRITE 512 /* who opens to write what the profile does not have */
#define M_KILL_EXEC 1024 /* who runs what the profile does not have */

struct head {
	u32 size;
	u8 kind, flags;
	u16 call;
	u64 time, cgroup, container, start, seq;
	u32 cpu, pid, tid, ppid, uid, gid;
	char comm[16];
	s64 result;
};

struct exec {
	struct head h;
	u64 parent_start, permitted, effective, inode, changed, modified, length;
	u32 device, loginuid, tty, inner, pidns, mntns;
	u8 origin, sockets, leader, pad;
	u32 path, cwd, args, env; /* lengths */
	u32 session;
	u64 args_full;
};

struct fork {
	struct head h; /* the child's */
	u64 parent_start;
	u32 parent, inner;
};

struct cgroup_event {
	struct head h;
	u64 parent;
	u32 path, pad;
};

struct call_event {
	struct head h;
	u64 number, flags, inode, changed, length;
	u32 mode, euid, egid, device;
	s32 fd, target;
	u16 family, type, protocol, lport, rport, state;
	u8 local[16], remote[16];
	u8 origin, made, pad2, pad3; /* made: the open made the file */
	u32 base, path, base2, path2, data; /* lengths */
};

/* What was denied. */
enum op { OP_NONE, OP_CONNECT, OP_SEND, OP_BIND, OP_SOCKET };

struct net_event {
	struct head h;
	u16 family, type, protocol, lport, rport, op;
	u8 local[16], remote[16];
};

struct number_event {
	struct head h;
	s64 number;
};

struct dns_event {
	struct head h;
	u16 lport, length;
	u32 stream; /* of TCP: the message's length stands before it */
	u8 payload[1232];
};

/* Keys of what profiles have; see verdict.h. */
#define PATH_BYTES 251
struct path_key {
	u32 prefixlen; /* in bits, of what follows */
	u32 rules;
	u8 kind;
	u8 path[PATH_BYTES];
};

#define BUF_PATH 4096
#define BUF_DATA 32768

#define MAX_STEPS 80 /* up, of names and mounts */
#define MAX_NAMES 64

struct scratch {
	/* the state of a walk */
	u64 dentry, mnt, rootdentry, rootmnt;
	u32 pos, count, size, cut;
	struct {
		u64 name;
		u32 len, pad;
	} names[MAX_NAMES];
	union {
		struct exec exec;
		struct cgroup_event cgroup;
		struct call_event call;
		u8 fixed[256];
	};
	u8 data[BUF_DATA + 8192 + 512];
	u8 walk[BUF_PATH + 512]; /* a path is built from its end */
	struct path_key key;
};

struct cg {
	u64 container; /* key of the cgroup that made the container known */
	u32 policy;
	u32 rules; /* the number of what its profile has, in the maps of verdict.h */
};

struct policy {
	u64 wants; /* bits by kind */
	u32 mode;
	u32 opens; /* 1: opens to write, 2: opens to read of listed names, 4: all opens to read, 8: those that failed, 16: with the text */
};

struct config {
	u64 host_wants;
	u32 host_opens;
	u32 host_mntns;
	u32 v1;         /* cgroup v1 hierarchies may name containers */
	u32 env;        /* bytes of the environment that are read at exec */
	u32 sleeping;   /* the reader waits: wake it once */
	u32 self;       /* tgid of the enforcer: its own calls tell nothing */
	u64 caps;       /* capabilities whose use is told */
	u64 heartbeat;  /* when the enforcer was last known to live, since boot */
	u64 loss_after; /* how old a heartbeat is when nobody lives, 0: does not matter */
	u32 loss;       /* LOSS_ bits */
	u32 generation; /* programs of another one are silent */
	u32 unknown;    /* policy of containers that began while nobody lived, 0: theirs */
	u32 data;       /* bytes sent and received that are told */
	u32 budget;     /* events of a container in a second, but for programs that begin and end; 0: any number */
	u32 pad;
};

/* What holds while the enforcer does not live. */
#define LOSS_OPEN 1   /* nothing is killed */
#define LOSS_STRICT 2 /* nothing is spared for somebody else to compare */
#define LOSS_HOST 4   /* the host's own processes are not told: the rings are the containers' */

/* What a container told in the present second. */
struct budget {
	u64 since;
	u32 count, over; /* over: not told since it is known */
};

struct counter {
	u64 seen, filtered, submitted, lost;
};

/* Descriptions of system calls: where an argument stands, -1: nowhere. */
struct call_desc {
	u8 kind;
	s8 dir, path, dir2, path2, flags, mode, uid, gid, number, fd, target;
	u8 how, pad[3];
};
#define HOW_OPEN 1     /* the result is a descriptor: its file is the path */
#define HOW_FD 2       /* the descriptor's file is the path */
#define HOW_SOCKET 4   /* the descriptor is a socket */
#define HOW_RESULT 8   /* the result is the socket */
#define HOW_RAW 16     /* path2 is text, not a path */
#define HOW_SUCCESS 32 /* failed calls are not told */
#define HOW_DATA 64    /* dir is where the bytes stand */
#define HOW_MSG 128    /* in a struct msghdr; with HOW_DATA in a struct mmsghdr */

struct exempt_key {
	u64 inode;
	u32 device, pad;
};

#endif
