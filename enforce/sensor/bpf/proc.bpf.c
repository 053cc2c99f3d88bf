// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Processes and cgroups: the tier that costs an unrelated system call nothing.
#include "common.h"

/* The critical ring's numbers, one counter per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} seqs SEC(".maps");

INLINE u64 next_seq(void)
{
	u32 zero = 0;
	u64 *v = bpf_map_lookup_elem(&seqs, &zero);
	return v ? ++*v : 0;
}

INLINE void hand(struct config *c, struct counter *n, void *data, u64 size)
{
	((struct head *)data)->size = size;
	((struct head *)data)->seq = next_seq();
	if (bpf_ringbuf_output(&critical, data, size, wake(c)))
		ADD(n, lost);
	else
		ADD(n, submitted);
}

/* sockets says which of the first three descriptors are network sockets. */
INLINE u8 sockets(struct task_struct *t)
{
	struct fdtable *fdt = BPF_CORE_READ(t, files, fdt);
	struct file **fds = BPF_CORE_READ(fdt, fd);
	u32 max = BPF_CORE_READ(fdt, max_fds);
	void *three[3] = {};
	u8 bits = 0;
	int i;

	if (max < 3)
		return 0;
	bpf_probe_read_kernel(three, sizeof(three), fds);
	for (i = 0; i < 3; i++) {
		struct file *f = three[i];
		struct socket *s;
		u16 family;

		if (!f || (BPF_CORE_READ(f, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
			continue;
		s = BPF_CORE_READ(f, private_data);
		family = BPF_CORE_READ(s, sk, __sk_common.skc_family);
		if (family == AF_INET || family == AF_INET6)
			bits |= 1 << i;
	}
	return bits;
}

INLINE u32 tty(struct signal_struct *sig)
{
	struct tty_struct *t = BPF_CORE_READ(sig, tty);
	if (!t)
		return 0;
	return (u32)BPF_CORE_READ(t, driver, major) << 8 | (BPF_CORE_READ(t, driver, minor_start) + BPF_CORE_READ(t, index));
}

INLINE u32 inner(struct pid *pid, u32 *ns)
{
	u32 level = BPF_CORE_READ(pid, level);
	struct upid *u = (void *)pid + bpf_core_field_offset(struct pid, numbers) + (level & 63) * bpf_core_type_size(struct upid);
	if (ns)
		*ns = BPF_CORE_READ(u, ns, ns.inum);
	return BPF_CORE_READ(u, nr);
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

	ADD(n, seen);
	if (!c || !s)
		return 0;
	identify(t, c, &w);
	e = &s->exec;
	heading(&e->h, t, &w, K_EXEC);
	mm = BPF_CORE_READ(t, mm);
	fs = BPF_CORE_READ(t, fs);
	exe = BPF_CORE_READ(mm, exe_file);
	d = BPF_CORE_READ(exe, f_path.dentry);
	m = BPF_CORE_READ(exe, f_path.mnt);
	rootd = BPF_CORE_READ(fs, root.dentry);
	rootm = BPF_CORE_READ(fs, root.mnt);
	e->mntns = BPF_CORE_READ(t, nsproxy, mnt_ns, ns.inum);
	judge(BPF_CORE_READ(d, d_inode), BPF_CORE_READ(rootm, mnt_sb), e->mntns == c->host_mntns, &f);
	p = policy_of(&w);
	if (w.cg && p && e->mntns != c->host_mntns && drifted(p, &f) && bpf_send_signal(SIGKILL) == 0)
		e->h.flags |= F_KILLED;
	if (!(e->h.flags & F_KILLED) && !wanted(c, &w, K_EXEC)) {
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
	e->parent_start = started(BPF_CORE_READ(t, real_parent, group_leader));
	cred = BPF_CORE_READ(t, cred);
	bpf_core_read(&e->permitted, 8, &cred->cap_permitted);
	bpf_core_read(&e->effective, 8, &cred->cap_effective);
	e->loginuid = -1;
	if (bpf_core_field_exists(t->loginuid))
		e->loginuid = BPF_CORE_READ(t, loginuid.val);
	sig = BPF_CORE_READ(t, signal);
	e->tty = tty(sig);
	pid = BPF_CORE_READ(t, thread_pid);
	e->inner = inner(pid, &e->pidns);
	bpf_core_read(&pid, sizeof(pid), &sig->pids[2]);
	e->leader = inner(pid, NULL) == e->inner;
	pos = walk(s, d, m, rootd, rootm);
	off = put(s, off, pos, &e->path, &e->h.flags);
	cwd = BPF_CORE_READ(fs, pwd.dentry);
	cwdm = BPF_CORE_READ(fs, pwd.mnt);
	pos = walk(s, cwd, cwdm, rootd, rootm);
	off = put(s, off, pos, &e->cwd, &e->h.flags);
	e->args_full = BPF_CORE_READ(mm, arg_end) - BPF_CORE_READ(mm, arg_start);
	off = user(s, off, BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end), 8191, &e->args);
	if (e->args_full > e->args)
		e->h.flags |= F_CUT;
	e->env = 0;
	if (c->env)
		off = user(s, off, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end), c->env, &e->env);
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
	u32 tgid = BPF_CORE_READ(child, tgid);

	if (!c || tgid != BPF_CORE_READ(child, pid))
		return 0; /* a thread */
	n = counter(K_FORK);
	ADD(n, seen);
	identify(child, c, &w);
	if (!wanted(c, &w, K_FORK)) {
		ADD(n, filtered);
		return 0;
	}
	heading(&e.h, child, &w, K_FORK);
	e.parent = BPF_CORE_READ(parent, tgid);
	e.parent_start = started(BPF_CORE_READ(parent, group_leader));
	e.inner = inner(BPF_CORE_READ(child, thread_pid), NULL);
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

	if (!c || BPF_CORE_READ(t, signal, live.counter) != 0)
		return 0;
	n = counter(K_EXIT);
	ADD(n, seen);
	identify(t, c, &w);
	if (!wanted(c, &w, K_EXIT)) {
		ADD(n, filtered);
		return 0;
	}
	heading(&h, t, &w, K_EXIT);
	h.result = BPF_CORE_READ(t, exit_code);
	hand(c, n, &h, sizeof(h));
	return 0;
}

/* named says whether a cgroup's name ends in 64 hexadecimal digits, but for
 * .scope, as the ids of nearly all runtimes do. */
INLINE bool named(struct scratch *s, struct cgroup *cg)
{
	long len = bpf_probe_read_kernel_str(s->walk, 256, BPF_CORE_READ(cg, kn, name));
	u32 from, i;

	if (len > 71 && s->walk[(len - 7) & 255] == '.' && s->walk[(len - 2) & 255] == 'e')
		len -= 6; /* .scope */
	if (len < 65 || len > 256)
		return false;
	from = len - 65;
	for (i = 0; i < 64; i++) {
		u8 b = s->walk[(from + i) & 255];
		if (!((b >= '0' && b <= '9') || (b >= 'a' && b <= 'f')))
			return false;
	}
	return true;
}

static __attribute__((noinline)) int cgroup_told(struct cgroup *cg, const char *path, bool removed)
{
	struct config *c = conf();
	struct scratch *s = scratch();
	struct counter *n = counter(K_CGROUP);
	struct cgroup_subsys_state *up;
	struct cgroup_event *e;
	struct cg *above = NULL, made = {};
	struct task_struct *t = (void *)bpf_get_current_task();
	struct who w;
	u64 k, pk = 0;
	long len;

	ADD(n, seen);
	if (!c || !s)
		return 0;
	k = key(cg);
	identify(t, c, &w);
	e = &s->cgroup;
	heading(&e->h, t, &w, K_CGROUP);
	len = bpf_probe_read_kernel_str(s->data, 4096, path);
	if (len < 0)
		len = 0;
	up = BPF_CORE_READ(cg, self.parent);
	if (up) {
		pk = key(BPF_CORE_READ(up, cgroup));
		above = bpf_map_lookup_elem(&cgroups, &pk);
	}
	if (removed) {
		e->h.flags |= F_REMOVED;
		bpf_map_delete_elem(&cgroups, &k);
	} else if (above) {
		made = *above;
		bpf_map_update_elem(&cgroups, &k, &made, BPF_ANY);
	} else if (named(s, cg)) {
		made.container = k;
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
