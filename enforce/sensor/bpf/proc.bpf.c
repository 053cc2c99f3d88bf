// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Processes and cgroups: the tier that costs an unrelated system call nothing.
#include "verdict.h"

/* sockets says which of the first three descriptors are network sockets. */
INLINE u8 sockets(struct task_struct *t)
{
	struct fdtable *fdt = L(t, files, fdt);
	struct file **fds = L(fdt, fd);
	u32 max = L(fdt, max_fds);
	void *three[3] = {};
	u8 bits = 0;
	int i;

	if (max < 3)
		return 0;
#ifdef DIRECT
	W(&three[0], CAST(timespec64, fds), tv_sec);
	W(&three[1], CAST(timespec64, fds), tv_nsec);
	W(&three[2], CAST(timespec64, fds + 2), tv_sec);
#else
	bpf_probe_read_kernel(three, sizeof(three), fds);
#endif
	for (i = 0; i < 3; i++) {
		struct file *f = three[i];
		struct socket *s;
		u16 family;

		if (!f)
			continue;
		f = CAST(file, f);
		if ((L(f, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
			continue;
		s = CAST(socket, L(f, private_data));
		family = L(s, sk, __sk_common.skc_family);
		if (family == AF_INET || family == AF_INET6)
			bits |= 1 << i;
	}
	return bits;
}

INLINE u32 tty(struct signal_struct *sig)
{
	struct tty_struct *t = L(sig, tty);
	if (!t)
		return 0;
	return (u32)L(t, driver, major) << 8 | (L(t, driver, minor_start) + L(t, index));
}

INLINE u32 inner(struct pid *pid, u32 *ns)
{
	u32 level = L(pid, level);
	struct upid *u = CAST(upid, (void *)pid + bpf_core_field_offset(struct pid, numbers) + (level & 63) * bpf_core_type_size(struct upid));
	if (ns)
		*ns = L(u, ns, ns.inum);
	return L(u, nr);
}

INLINE u32 user(struct scratch *s, u32 off, unsigned long from, unsigned long to, u32 limit, u32 *len)
{
	u64 n = to - from;
	*len = 0;
	if (to <= from)
		return off;
	if (n > limit)
		n = limit;
	if (n > 8191)
		n = 8191;
	off &= BUF_DATA - 1;
	if (bpf_probe_read_user(&s->data[off], n & 8191, (void *)from)) {
		/* a page of it is not there: take the first one's rest */
		u64 head = 4096 - (from & 4095);
		if (n > head)
			n = head;
		if (bpf_probe_read_user(&s->data[off], n & 8191, (void *)from))
			return off;
	}
	*len = n;
	return off + n;
}

/* outer is a pid as the host sees it. */
INLINE u32 outer(struct pid *pid)
{
	struct upid *u = CAST(upid, (void *)pid + bpf_core_field_offset(struct pid, numbers));
	return L(u, nr);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *t)
{
	struct config *c = conf();
	struct scratch *s = scratch();
	struct counter *n = counter(K_EXEC);
	struct who w;
	struct facts f = {};
	struct exec *e;
	struct policy *p;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct file *exe;
	struct dentry *d, *rootd, *cwd;
	struct vfsmount *m, *rootm, *cwdm;
	struct signal_struct *sig;
	struct pid *pid;
	const struct cred *cred;
	u32 off = 0, pos;
	bool checked;

	if (!c || !s)
		return 0;
	ADD(n, seen);
	identify(t, c, &w);
	e = &s->exec;
	heading(&e->h, t, &w, K_EXEC);
	mm = L(t, mm);
	fs = L(t, fs);
	exe = L(mm, exe_file);
	d = L(exe, f_path.dentry);
	m = L(exe, f_path.mnt);
	rootd = L(fs, root.dentry);
	rootm = L(fs, root.mnt);
	e->mntns = L(t, nsproxy, mnt_ns, ns.inum);
	judge(L(d, d_inode), L(rootm, mnt_sb), e->mntns == c->host_mntns, &f);
	p = judging_policy(c, &w);
	if (w.cg && p && e->mntns != c->host_mntns && drifted(c, p, &f) && bpf_send_signal(SIGKILL) == 0)
		e->h.flags |= F_KILLED;
	checked = stopping(c, &w, p, M_KILL_EXEC) && !(e->h.flags & F_KILLED) && e->mntns != c->host_mntns && !setup(t, c, w.cg->container);
	if (w.cg && e->mntns != c->host_mntns)
		settle(t, c, w.cg->container);
	if (!checked && !(e->h.flags & F_KILLED) && !wanted(c, &w, K_EXEC)) {
		ADD(n, filtered);
		return 0;
	}
	if (f.lower)
		e->h.flags |= F_LOWER;
	e->inode = f.inode;
	e->device = f.device;
	e->changed = f.changed;
	e->modified = f.modified;
	e->length = f.length;
	e->origin = f.origin;
	e->sockets = sockets(t);
	e->parent_start = started(L(t, real_parent, group_leader));
	cred = L(t, cred);
	W(&e->permitted, cred, cap_permitted);
	W(&e->effective, cred, cap_effective);
	e->loginuid = -1;
	if (bpf_core_field_exists(t->loginuid))
		e->loginuid = L(t, loginuid.val);
	sig = L(t, signal);
	e->tty = tty(sig);
	pid = L(t, thread_pid);
	e->inner = inner(pid, &e->pidns);
	pid = CAST(pid, L(sig, pids[2]));
	e->leader = inner(pid, NULL) == e->inner;
	pid = CAST(pid, L(sig, pids[3]));
	e->session = outer(pid);
	pos = walk(s, d, m, rootd, rootm);
	if (checked && !path_known(s, w.cg->rules, PATH_EXEC, pos, 0) && bpf_send_signal(SIGKILL) == 0)
		e->h.flags |= F_KILLED | F_PROFILE;
	off = put(s, off, pos, &e->path, &e->h.flags);
	cwd = L(fs, pwd.dentry);
	cwdm = L(fs, pwd.mnt);
	pos = walk(s, cwd, cwdm, rootd, rootm);
	off = put(s, off, pos, &e->cwd, &e->h.flags);
	e->args_full = L(mm, arg_end) - L(mm, arg_start);
	off = user(s, off, L(mm, arg_start), L(mm, arg_end), 8191, &e->args);
	if (e->args_full > e->args)
		e->h.flags |= F_CUT;
	e->env = 0;
	if (c->env)
		off = user(s, off, L(mm, env_start), L(mm, env_end), c->env, &e->env);
	off &= BUF_DATA - 1;
	/* the strings follow the fixed part at once */
	hand(c, n, &s->exec, sizeof(s->fixed) + off);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct config *c = conf();
	struct counter *n;
	struct fork e = {};
	struct who w;
	u32 tgid = L(child, tgid);

	if (!c || tgid != L(child, pid))
		return 0; /* a thread */
	n = counter(K_FORK);
	ADD(n, seen);
	identify(child, c, &w);
	if (!wanted(c, &w, K_FORK)) {
		ADD(n, filtered);
		return 0;
	}
	heading(&e.h, child, &w, K_FORK);
	e.parent = L(parent, tgid);
	e.parent_start = started(L(parent, group_leader));
	e.inner = inner(L(child, thread_pid), NULL);
	hand(c, n, &e, sizeof(e));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *t)
{
	struct config *c = conf();
	struct counter *n;
	struct head h = {};
	struct who w;

	if (!c || L(t, signal, live.counter) != 0)
		return 0;
	n = counter(K_EXIT);
	ADD(n, seen);
	identify(t, c, &w);
	if (!wanted(c, &w, K_EXIT)) {
		ADD(n, filtered);
		return 0;
	}
	heading(&h, t, &w, K_EXIT);
	h.result = L(t, exit_code);
	hand(c, n, &h, sizeof(h));
	return 0;
}

/* named returns a hash of the 64 hexadecimal digits that a cgroup's name ends
 * in, but for .scope, as the ids of nearly all runtimes do, else 0. */
INLINE u64 named(struct scratch *s, struct cgroup *cg)
{
	long len = bpf_probe_read_kernel_str(s->walk, 256, L(cg, kn, name));
	u64 h = FNV_INIT;
	u32 from, i;

	if (len > 71 && s->walk[(len - 7) & 255] == '.' && s->walk[(len - 2) & 255] == 'e')
		len -= 6; /* .scope */
	if (len < 65 || len > 256)
		return 0;
	from = len - 65;
	for (i = 0; i < 64; i++) {
		u8 b = s->walk[(from + i) & 255];
		if (!((b >= '0' && b <= '9') || (b >= 'a' && b <= 'f')))
			return 0;
		h = (h ^ b) * FNV_PRIME;
	}
	return h;
}

static __attribute__((noinline)) int cgroup_told(struct cgroup *cg, const char *path, bool removed)
{
	struct config *c = conf();
	struct scratch *s = scratch();
	struct counter *n = counter(K_CGROUP);
	struct cgroup_subsys_state *up;
	struct cgroup_event *e;
	struct cg *above = NULL, made = {};
	struct task_struct *t = TASK();
	struct who w;
	u64 k, pk = 0, id;
	struct assignment *was;
	long len;

	if (!c || !s)
		return 0;
	ADD(n, seen);
	k = key(cg);
	identify(t, c, &w);
	e = &s->cgroup;
	heading(&e->h, t, &w, K_CGROUP);
	len = bpf_probe_read_kernel_str(s->data, 4096, path);
	if (len < 0)
		len = 0;
	up = L(cg, self.parent);
	if (up) {
		pk = key(L(up, cgroup));
		above = bpf_map_lookup_elem(&cgroups, &pk);
	}
	if (removed) {
		e->h.flags |= F_REMOVED;
		bpf_map_delete_elem(&cgroups, &k);
	} else if (above) {
		made = *above;
		bpf_map_update_elem(&cgroups, &k, &made, BPF_ANY);
	} else if ((id = named(s, cg))) {
		made.container = k;
		was = bpf_map_lookup_elem(&ids, &id);
		if (was) {
			made.policy = was->policy;
			made.rules = was->rules;
		}
		if (!bpf_map_lookup_elem(&rulesets, &made.rules))
			made.rules = 0;
		bpf_map_update_elem(&cgroups, &k, &made, BPF_ANY);
	}
	if (above)
		e->h.flags |= F_KNOWN;
	e->h.cgroup = k;
	e->h.container = made.container;
	e->parent = pk;
	e->path = len > 0 ? len - 1 : 0;
	len &= 8191;
	hand(c, n, &s->exec, sizeof(s->fixed) + len);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cg, const char *path)
{
	return cgroup_told(cg, path, false);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *cg, const char *path)
{
	return cgroup_told(cg, path, true);
}

struct used_key {
	u64 start, exec; /* the process, and the number of its program */
	u32 pid, what;
};

/* Which capabilities and io_uring requests of a process were told. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct used_key);
	__type(value, u8);
} used SEC(".maps");

/* number_told tells what has a number. What bits of a policy stop kills. */
INLINE int number_told(u32 kind, s64 number, s64 result, u32 bits)
{
	struct config *c = conf();
	struct task_struct *t = TASK();
	struct counter *n;
	struct used_key k = {};
	struct number_event e = {};
	struct who w;
	u8 one = 1;
	bool killed;

	if (!c)
		return 0;
	if (kind == K_CAPABILITY && !(c->caps >> (number & 63) & 1))
		return 0;
	n = counter(kind);
	ADD(n, seen);
	identify(t, c, &w);
	killed = bits && stopping(c, &w, policy_of(&w), bits) && !setup(t, c, w.cg->container) && bpf_send_signal(SIGKILL) == 0;
	if (!killed && (!wanted(c, &w, kind) || L(t, tgid) == c->self))
		goto filtered;
	k.start = started(L(t, group_leader));
	k.exec = L(t, self_exec_id);
	k.pid = L(t, tgid);
	k.what = kind << 16 | (number & 0xff) << 1 | (result < 0);
	if (!killed && bpf_map_lookup_elem(&used, &k))
		goto filtered;
	bpf_map_update_elem(&used, &k, &one, BPF_ANY);
	heading(&e.h, t, &w, kind);
	if (killed)
		e.h.flags |= F_KILLED | F_PROFILE;
	e.h.size = sizeof(e);
	e.h.result = result;
	e.number = number;
	if (bpf_ringbuf_output(&bulk, &e, sizeof(e), wake(c)))
		ADD(n, lost);
	else
		ADD(n, submitted);
	return 0;
filtered:
	ADD(n, filtered);
	return 0;
}

/* Only one set of registers exists in a kernel. */
struct pt_regs___x86 {
	unsigned long di, orig_ax;
} __attribute__((preserve_access_index));
struct pt_regs___arm64 {
	u64 orig_x0;
	s32 syscallno;
} __attribute__((preserve_access_index));

#ifdef DIRECT
#define registers(t) ((void *)bpf_task_pt_regs(t))
#else
enum bpf_func_id {
	BPF_FUNC_task_pt_regs = 175,
};
struct pt_regs {
	unsigned long any;
} __attribute__((preserve_access_index));

/* registers are those of the process in user mode, which its call gave. */
INLINE void *registers(struct task_struct *t)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) /* 5.15 */
		return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return L(t, stack) + thread_size - bpf_core_type_size(struct pt_regs);
}
#endif

/* memory says whether a task is in a call that makes memory: the kernel looks
 * for SYS_ADMIN there only to count what is left for others. */
INLINE bool memory(struct task_struct *t)
{
	void *regs = registers(t);

	if (bpf_core_field_exists(struct pt_regs___x86, orig_ax)) {
		s64 nr = BPF_CORE_READ((struct pt_regs___x86 *)regs, orig_ax);
		return nr < 0 || nr == 9 || nr == 10 || nr == 12 || nr == 25 || nr == 28 || nr == 29 || nr == 30 || (nr >= 56 && nr <= 59) || nr == 322 || nr == 435;
	}
	if (bpf_core_field_exists(struct pt_regs___arm64, syscallno)) {
		s32 nr = BPF_CORE_READ((struct pt_regs___arm64 *)regs, syscallno);
		return nr < 0 || (nr >= 194 && nr <= 196) || nr == 214 || nr == 216 || nr == 220 || nr == 221 || nr == 222 || nr == 226 || nr == 233 || nr == 281 || nr == 435;
	}
	return false;
}

#define CAP_NET_RAW 13
#define CAP_SYS_ADMIN 21
#define AF_PACKET 17

/* packets says whether a task asks for packets as they are on the wire: the
 * hook of sockets does not see such a socket. What io_uring asks for is not
 * told here. */
INLINE bool packets(struct task_struct *t)
{
	void *regs = registers(t);

	if (bpf_core_field_exists(struct pt_regs___x86, orig_ax)) {
		s64 nr = BPF_CORE_READ((struct pt_regs___x86 *)regs, orig_ax);
		return nr == 426 || (nr == 41 && (u32)BPF_CORE_READ((struct pt_regs___x86 *)regs, di) == AF_PACKET);
	}
	if (bpf_core_field_exists(struct pt_regs___arm64, syscallno)) {
		s32 nr = BPF_CORE_READ((struct pt_regs___arm64 *)regs, syscallno);
		return nr == 426 || (nr == 198 && (u32)BPF_CORE_READ((struct pt_regs___arm64 *)regs, orig_x0) == AF_PACKET);
	}
	return false;
}

SEC("tp_btf/cap_capable")
int BPF_PROG(on_capable, void *cred, void *target, void *capable, int cap, int ret)
{
	if (cap == CAP_SYS_ADMIN && memory(TASK()))
		return 0;
	return number_told(K_CAPABILITY, cap, ret, cap == CAP_NET_RAW && packets(TASK()) ? M_DENY_RAW : 0);
}

/* The same at the function's end, where the tracepoint is not there yet. */
SEC("fexit/cap_capable")
int BPF_PROG(on_capable_exit, void *cred, void *target, int cap, unsigned int opts, int ret)
{
	if (cap == CAP_SYS_ADMIN && memory(TASK()))
		return 0;
	return number_told(K_CAPABILITY, cap, ret, cap == CAP_NET_RAW && packets(TASK()) ? M_DENY_RAW : 0);
}

#define OP_OPENAT 18
#define OP_OPENAT2 28
#define OP_RENAMEAT 35
#define OP_LINKAT 39

/* writes says whether a request opens a file to write it, or makes or removes
 * one: no system call tells by which path. */
INLINE bool writes(struct io_kiocb *req, u64 op)
{
	u8 code = op;

	if (code >= OP_RENAMEAT && code <= OP_LINKAT)
		return true;
	if (code != OP_OPENAT && code != OP_OPENAT2)
		return false;
	if (!req || !bpf_core_field_exists(struct io_open, how))
		return true;
	return (BPF_CORE_READ((struct io_open *)req, how.flags) & 01103) != 0; /* O_ACCMODE, O_CREAT, O_TRUNC */
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring, struct io_kiocb *req)
{
	return number_told(K_IOURING, L(req, opcode), 0, writes(req, L(req, opcode)) ? M_KILL_WRITE : 0);
}

/* The tracepoint's older name, and its older arguments: the loader looks where
 * the operation's number stands. */
SEC("tp_btf/io_uring_submit_sqe")
int on_uring_req(u64 *ctx)
{
	struct io_kiocb *req = (void *)ctx[0];
	return number_told(K_IOURING, L(req, opcode), 0, writes(req, L(req, opcode)) ? M_KILL_WRITE : 0);
}

#ifndef DIRECT
SEC("tp_btf/io_uring_submit_sqe")
int on_uring_1(u64 *ctx)
{
	return number_told(K_IOURING, (u8)ctx[1], 0, writes(NULL, ctx[1]) ? M_KILL_WRITE : 0);
}

SEC("tp_btf/io_uring_submit_sqe")
int on_uring_2(u64 *ctx)
{
	return number_told(K_IOURING, (u8)ctx[2], 0, writes(NULL, ctx[2]) ? M_KILL_WRITE : 0);
}
#endif
