// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// System calls that somebody asked for, told when they return. One program
// serves all of them; a table says where each call's arguments stand.
#include "verdict.h"

/* OLDEST is for kernels before 5.17: what they lack is read from memory. */
#ifdef OLDEST
#define CURRENT() TASK()
#define T(t, f) L(t, f)
#define REGISTERS(t) (L(t, stack) + thread_size - bpf_core_type_size(struct pt_regs))
#else
#define CURRENT() bpf_get_current_task_btf()
#define T(t, f) ((t)->f)
#define REGISTERS(t) bpf_task_pt_regs(t)
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, r9, r8, dx, si, di, orig_ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	u64 orig_x0;
};
#endif
#pragma clang attribute pop

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 512);
	__type(key, u32);
	__type(value, struct call_desc);
} calls SEC(".maps");

/* Hashes of last parts of paths whose opens to read are told. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u8);
} names SEC(".maps");

#define AT_FDCWD -100
#define NOTHING ((s8)-1)

INLINE u64 arg(u64 *args, s8 i)
{
	return args[i & 7];
}

INLINE void arguments(struct task_struct *t, u64 *args)
{
	struct pt_regs *r = (void *)REGISTERS(t);
#if defined(__TARGET_ARCH_x86)
	args[0] = T(r, di);
	args[1] = T(r, si);
	args[2] = T(r, dx);
	args[3] = T(r, r10);
	args[4] = T(r, r8);
	args[5] = T(r, r9);
#elif defined(__TARGET_ARCH_arm64)
	args[0] = T(r, orig_x0);
	args[1] = T(r, regs[1]);
	args[2] = T(r, regs[2]);
	args[3] = T(r, regs[3]);
	args[4] = T(r, regs[4]);
	args[5] = T(r, regs[5]);
#endif
}

/* file_of returns the open file of a descriptor of the task. */
INLINE struct file *file_of(struct task_struct *t, s64 fd)
{
	struct fdtable *fdt = L(t, files, fdt);
	struct file **fds = L(fdt, fd);
	struct file *f = NULL;

	if (fd < 0 || fd >= L(fdt, max_fds))
		return NULL;
	bpf_probe_read_kernel(&f, sizeof(f), &fds[fd & 0x3fffffff]);
	return f ? CAST(file, f) : NULL;
}

struct place {
	struct dentry *rootd;
	struct vfsmount *rootm;
	struct fs_struct *fs;
	struct task_struct *t;
	u64 from; /* a path argument */
	s64 fd;   /* and the directory it begins at */
};

INLINE u32 put_path(struct scratch *s, u32 off, struct dentry *d, struct vfsmount *m, struct place *p, u32 *len, u8 *flags)
{
	return put(s, off, walk(s, d, m, p->rootd, p->rootm), len, flags);
}

/* put_text copies a string of the process. */
INLINE u32 put_text(struct scratch *s, u32 off, u64 from, u32 *len)
{
	long n;
	off &= BUF_DATA - 1;
	n = bpf_probe_read_user_str(&s->data[off], 4096, (void *)from);
	if (n <= 1) {
		*len = 0;
		return off;
	}
	n = (n - 1) & 4095;
	*len = n;
	return off + n;
}

/* put_base puts the directory that a relative path begins at. */
INLINE u32 put_base(struct scratch *s, u32 off, struct place *p, u32 *len, u8 *flags)
{
	struct dentry *d;
	struct vfsmount *m;
	struct file *f;

	*len = 0;
	if (p->fd == AT_FDCWD) {
		struct fs_struct *fs = p->fs;
		d = L(fs, pwd.dentry);
		m = L(fs, pwd.mnt);
	} else {
		f = file_of(p->t, p->fd);
		if (!f)
			return off;
		d = L(f, f_path.dentry);
		m = L(f, f_path.mnt);
	}
	return put_path(s, off, d, m, p, len, flags);
}

/* put_named puts a path argument, with its directory if it is relative. */
static __attribute__((noinline)) u32 put_named(struct scratch *s, u32 off, struct place *p, u32 *lens)
{
	u8 flags = 0, first = 0;

	lens[0] = lens[1] = 0;
	if (!p->from)
		return off;
	bpf_probe_read_user(&first, 1, (void *)p->from);
	if (first != '/')
		off = put_base(s, off, p, &lens[0], &flags);
	return put_text(s, off, p->from, &lens[1]);
}

INLINE void address(struct call_event *e, struct sock *sk)
{
	e->family = L(sk, __sk_common.skc_family);
	e->type = L(sk, sk_type);
	e->protocol = L(sk, sk_protocol);
	if (e->family == AF_INET) {
		bpf_core_read(e->local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_core_read(e->remote, 4, &sk->__sk_common.skc_daddr);
	} else if (e->family == AF_INET6) {
		bpf_core_read(e->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(e->remote, 16, &sk->__sk_common.skc_v6_daddr);
	} else
		return;
	e->lport = L(sk, __sk_common.skc_num);
	e->rport = bpf_ntohs(L(sk, __sk_common.skc_dport));
}

/* sockaddr reads the address that the process gave. */
INLINE u32 sockaddr(struct scratch *s, u32 off, struct call_event *e, u64 from)
{
	u16 family = 0;
	bpf_probe_read_user(&family, 2, (void *)from);
	if (family == AF_INET || family == AF_INET6) {
		u16 port = 0;
		bpf_probe_read_user(&port, 2, (void *)from + 2);
		e->rport = bpf_ntohs(port);
		e->family = family;
		if (family == AF_INET)
			bpf_probe_read_user(e->remote, 4, (void *)from + 4);
		else
			bpf_probe_read_user(e->remote, 16, (void *)from + 8);
	} else if (family == AF_UNIX) {
		long n;
		e->family = family;
		off &= BUF_DATA - 1;
		n = bpf_probe_read_user_str(&s->data[off], 109, (void *)from + 2);
		if (n > 1) {
			e->path2 = (n - 1) & 127;
			off += (n - 1) & 127;
		}
	}
	return off;
}

/* listed says whether a file's name is one of those asked for. */
static __attribute__((noinline)) int listed(struct scratch *s, struct dentry *d)
{
	u64 h = FNV_INIT;
	u32 i, n = L(d, d_name.len);
	const unsigned char *name = L(d, d_name.name);

	if (n > 48)
		return 0;
	bpf_probe_read_kernel(s->walk, n & 63, name);
	for (i = 0; i < 48; i++) {
		if (i >= n)
			break;
		h = (h ^ s->walk[i & 63]) * FNV_PRIME;
	}
	return bpf_map_lookup_elem(&names, &h) != NULL;
}

/* notable says whether the opening of a file is told whatever its name is: of
 * disks, and of files that another mount namespace has. */
INLINE bool notable(struct task_struct *t, struct file *f)
{
	struct vfsmount *m = L(f, f_path.mnt);
	struct mount *mount = CAST(mount, (void *)m - bpf_core_field_offset(struct mount, mnt));
	s64 ns = (s64)L(mount, mnt_ns), own = (s64)L(t, nsproxy, mnt_ns);

	if ((L(f, f_inode, i_mode) & S_IFMT) == S_IFBLK)
		return true;
	return ns && ns != -22 && ns != own; /* -22: a mount of the kernel's own, as of pipes */
}

INLINE bool open_wanted(u32 opens, u64 flags, struct scratch *s, struct file *f, struct task_struct *t)
{
	if (flags & O_PATH)
		return false;
	if (flags & (O_ACCMODE | O_CREAT | O_TRUNC))
		return opens & 1;
	if (opens & 4)
		return true;
	return (opens & 2) && (listed(s, L(f, f_path.dentry)) || notable(t, f));
}

#define FMODE_CREATED (1 << 20) /* since 4.19 */

#define EPERM 1
#define EACCES 13
#define ELOOP 40

/* refused says whether an open that failed is told: what was not allowed, and
 * what bears a name that somebody asked for. */
__attribute__((noinline)) int refused(u64 from, s64 ret)
{
	struct scratch *s = scratch();
	u64 h = FNV_INIT;
	u32 i, at = 0;
	long n;
	u8 c;

	if (!s)
		return 0;
	if (ret == -EACCES || ret == -EPERM || ret == -ELOOP)
		return 1;
	n = bpf_probe_read_user_str(s->walk, 4096, (void *)from);
	if (n <= 1)
		return 0;
	if (n > 49)
		at = n - 49;
	for (i = 0; i < 48; i++) {
		c = s->walk[(at + i) & 4095];
		if (!c)
			break;
		h = c == '/' ? FNV_INIT : (h ^ c) * FNV_PRIME;
	}
	return bpf_map_lookup_elem(&names, &h) != NULL;
}

struct told_key {
	u64 sock, peer[2];
	u32 kind, port;
};

struct told {
	u64 since;
	u32 count, pad;
};

/* What was told of a socket's messages lately: the first few of a minute are. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct told_key);
	__type(value, struct told);
} messages SEC(".maps");

#define MINUTE 60000000000ULL
#define FEW 4

/* message says whether a message that was sent or received is told: a peer once
 * a minute, and where somebody looks into messages, a few more. */
__attribute__((noinline)) int message(u64 sock, u32 kind, u32 few)
{
	struct scratch *s = scratch();
	struct told_key k = {.sock = sock, .kind = kind};
	struct told first = {.since = bpf_ktime_get_boot_ns(), .count = 1}, *t;
	struct call_event *e;

	if (!s)
		return 0;
	e = &s->call;
	k.port = e->rport;
	__builtin_memcpy(k.peer, e->remote, 16);
	t = bpf_map_lookup_elem(&messages, &k);
	if (!t || first.since - t->since > MINUTE) {
		bpf_map_update_elem(&messages, &k, &first, BPF_ANY);
		return 1;
	}
	if (t->count >= few)
		return 0;
	t->count++;
	return 1;
}

/* put_data copies the first bytes of a message. */
__attribute__((noinline)) u32 put_data(u32 off, u64 from, s64 len, u32 how)
{
	struct scratch *s = scratch();
	u64 iov[2] = {};
	u32 most = how & 0xffff, msg = how >> 16; /* 1: in a msghdr, 2: in a mmsghdr */
	if (!s)
		return 0;

	if (msg) {
		u64 at = 0;
		bpf_probe_read_user(&at, 8, (void *)from + 16); /* msg_iov */
		if (bpf_probe_read_user(iov, sizeof(iov), (void *)at))
			return 0;
		from = iov[0];
		if (msg > 1 || (s64)iov[1] < len)
			len = iov[1];
	}
	if (len <= 0)
		return 0;
	if (len > most)
		len = most;
	if (len > 1023)
		len = 1023;
	off &= BUF_DATA - 1;
	if (bpf_probe_read_user(&s->data[off], len & 1023, (void *)from))
		return 0;
	return len & 1023;
}

/* readonly says early that an open asked to write nothing, as most do. */
INLINE bool readonly(struct task_struct *t, struct call_desc *d, s64 ret)
{
	u64 args[8] = {};
	struct file *f = file_of(t, ret);

	if (f && L(f, f_mode) & FMODE_WRITE)
		return false;
	if (!f || d->flags == NOTHING || d->number != NOTHING)
		return !f;
	arguments(t, args);
	return !(arg(args, d->flags) & (O_CREAT | O_TRUNC));
}

SEC("tracepoint/syscalls/sys_exit_openat")
int on_call(struct sys_exit_ctx *ctx)
{
	struct config *c = conf();
	u32 nr = ctx->nr, off = 0;
	struct call_desc *d = bpf_map_lookup_elem(&calls, &nr);
	struct task_struct *t;
	struct scratch *s;
	struct counter *n;
	struct call_event *e;
	struct file *f = NULL;
	struct policy *p;
	struct place at;
	struct fs_struct *fs;
	struct vfsmount *rootm;
	struct who w;
	u64 args[8] = {};
	u32 opens = 0, lens[2], pos = 0;
	s64 ret = ctx->ret;
	u64 sock = 0;
	bool told, checked, killed = false;

	if (!c || !d || !d->kind || d->kind >= K_MAX)
		return 0;
	t = CURRENT();
	n = counter(d->kind);
	ADD(n, seen);
	if ((u32)T(t, tgid) == c->self || (ret < 0 && (d->how & HOW_SUCCESS)))
		goto filtered;
	identify_set(T(t, cgroups), c, &w);
	p = policy_of(&w);
	checked = (d->how & HOW_OPEN) && stopping(c, &w, p, M_KILL_WRITE);
	told = (w.cg ? p ? p->wants : 0 : c->host_wants) >> d->kind & 1;
	if (!told && !checked)
		goto filtered;
	if (!told && readonly(t, d, ret))
		goto filtered;
	s = scratch();
	if (!s)
		goto filtered;
	arguments(t, args);
	e = &s->call;
	__builtin_memset(&e->number, 0, sizeof(*e) - sizeof(e->h));
	if (d->flags != NOTHING)
		e->flags = arg(args, d->flags);
	if (d->how & HOW_OPEN) {
		if (d->flags == NOTHING)
			e->flags = 1 | O_CREAT | O_TRUNC; /* creat */
		if (d->number != NOTHING) { /* openat2's structure */
			bpf_probe_read_user(&e->flags, 8, (void *)arg(args, d->number));
			bpf_probe_read_user(&e->mode, 4, (void *)arg(args, d->number) + 8);
		}
		opens = c->host_opens;
		if (w.cg)
			opens = p ? p->opens : 0;
		if (ret < 0) {
			if (!(opens & 8) || (e->flags & O_PATH) || d->path == NOTHING || !refused(arg(args, d->path), ret))
				goto filtered;
			checked = false;
		} else {
			f = file_of(t, ret);
			if (!f)
				goto filtered;
			if (d->path != NOTHING) /* by its handle: always */
				told = told && open_wanted(opens, e->flags, s, f, t);
			checked = checked && writable(f, e->flags) && !setup((void *)t, c, w.cg->container);
			if (checked) {
				pos = walk(s, L(f, f_path.dentry), L(f, f_path.mnt), NULL, NULL);
				killed = unknown(s, f, w.cg->rules, pos) && bpf_send_signal(SIGKILL) == 0;
			}
			if (!told && !killed)
				goto filtered;
		}
	} else if (d->how & (HOW_FD | HOW_SOCKET)) {
		e->fd = arg(args, d->fd);
		f = file_of(t, (d->how & HOW_RESULT) ? ret : e->fd);
		if (d->kind == K_DUP && (!f || (L(f, f_inode, i_mode) & S_IFMT) != S_IFSOCK))
			goto filtered; /* only sockets are told */
	}
	if (w.cg && !killed && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 0;
	}
	heading(&e->h, t, &w, d->kind);
	e->h.call = nr;
	e->h.result = ret;
	if (d->number != NOTHING && !(d->how & HOW_OPEN))
		e->number = arg(args, d->number);
	if (d->mode != NOTHING)
		e->mode = arg(args, d->mode);
	if (d->uid != NOTHING)
		e->euid = arg(args, d->uid);
	if (d->gid != NOTHING)
		e->egid = arg(args, d->gid);
	if (d->target != NOTHING)
		e->target = arg(args, d->target);
	if (d->fd != NOTHING)
		e->fd = arg(args, d->fd);
	at.t = t;
	fs = T(t, fs);
	rootm = L(fs, root.mnt);
	at.fs = fs;
	at.rootd = L(fs, root.dentry);
	at.rootm = rootm;
	if (f && (d->how & (HOW_OPEN | HOW_FD))) {
		struct facts facts = {};
		struct dentry *fd = L(f, f_path.dentry);
		judge(L(fd, d_inode), L(rootm, mnt_sb), !w.cg, &facts);
		e->inode = facts.inode;
		e->device = facts.device;
		e->changed = facts.changed;
		e->length = facts.length;
		e->origin = facts.origin;
		e->made = (L(f, f_mode) & FMODE_CREATED) != 0;
		if (w.cg) /* whatever it took for its root: as the container sees it */
			at.rootd = NULL, at.rootm = NULL;
		if (!checked)
			pos = walk(s, fd, L(f, f_path.mnt), at.rootd, at.rootm);
		if (killed)
			e->h.flags |= F_KILLED | F_PROFILE;
		off = put(s, off, pos, &e->path, &e->h.flags);
	}
	if (f && (d->how & HOW_SOCKET) && (L(f, f_inode, i_mode) & S_IFMT) == S_IFSOCK) {
		struct socket *so = CAST(socket, L(f, private_data));
		struct sock *sk = L(so, sk);
		R(&sock, so, sk); /* as a number */
		if (sk) {
			address(e, sk);
			e->state = L(sk, __sk_common.skc_state);
		}
	}
	if (f && (d->how & HOW_OPEN)) {
		if ((opens & 16) && d->path != NOTHING)
			off = put_text(s, off, arg(args, d->path), &e->path2);
	} else if (d->path != NOTHING) {
		if (d->how & HOW_SOCKET) {
			if (arg(args, d->path))
				off = sockaddr(s, off, e, arg(args, d->path));
		} else {
			at.from = arg(args, d->path);
			at.fd = d->dir == NOTHING ? AT_FDCWD : (s32)arg(args, d->dir);
			off = put_named(s, off, &at, lens);
			e->base = lens[0];
			e->path = lens[1];
		}
	}
	if ((d->kind == K_CONNECT && e->family != AF_UNIX) || (d->kind == K_SOCKET && (e->number == AF_INET || e->number == AF_INET6)))
		goto filtered; /* the hooks below the calls tell it */
	if (d->path2 != NOTHING) {
		if (d->how & HOW_RAW)
			off = put_text(s, off, arg(args, d->path2), &e->path2);
		else {
			at.from = arg(args, d->path2);
			at.fd = d->dir2 == NOTHING ? AT_FDCWD : (s32)arg(args, d->dir2);
			off = put_named(s, off, &at, lens);
			e->base2 = lens[0];
			e->path2 = lens[1];
		}
	}
	if ((d->how & HOW_MSG) && d->path == NOTHING) {
		u64 peer = 0;
		bpf_probe_read_user(&peer, 8, (void *)arg(args, d->dir)); /* msg_name */
		if (peer)
			off = sockaddr(s, off, e, peer);
	}
	if (d->how & (HOW_DATA | HOW_MSG)) {
		if (!message(sock, d->kind, c->data ? FEW : 1))
			goto filtered;
		if (c->data) {
			e->data = put_data(off, arg(args, d->dir), ret, (c->data & 0xffff) | (d->how & HOW_MSG ? (d->how & HOW_DATA ? 2 : 1) : 0) << 16);
			off += e->data;
		}
	}
	off &= BUF_DATA - 1;
	e->h.size = sizeof(s->fixed) + off;
	if (bpf_ringbuf_output(&bulk, e, sizeof(s->fixed) + off, wake(c)))
		ADD(n, lost);
	else
		ADD(n, submitted);
	return 0;
filtered:
	ADD(n, filtered);
	return 0;
}

struct mapped {
	struct file *file;
	u32 exec;
};

#ifdef OLDEST
/* find_vma goes down the tree of a process' memory: it holds no lock, so that
 * a second thread that changes it meanwhile may hide a place. */
static __attribute__((noinline)) int find_vma(struct task_struct *t, u64 addr, struct mapped *m)
{
	struct mm_struct___before61 *mm = (void *)L(t, mm);
	struct rb_node *n = L(mm, mm_rb.rb_node);
	int i;

	for (i = 0; i < 48; i++) {
		struct vm_area_struct *v = (void *)n - bpf_core_field_offset(struct vm_area_struct___before61, vm_rb);
		if (!n)
			break;
		if (addr >= L(v, vm_end))
			n = L(n, rb_right);
		else if (addr < L(v, vm_start))
			n = L(n, rb_left);
		else {
			m->file = L(v, vm_file);
			m->exec = L(v, vm_flags) & 4;
			return 0;
		}
	}
	return -1;
}
#else
static long on_vma(struct task_struct *t, struct vm_area_struct *vma, struct mapped *m)
{
	m->file = (void *)vma->vm_file;
	m->exec = vma->vm_flags & 4;
	return 0;
}
#define find_vma(t, addr, m) bpf_find_vma(t, addr, on_vma, m, 0)
#endif

/* map_told judges a file that became executable memory, and kills where the
 * policy says so: the process does not return to use it. */
INLINE int map_told(u64 addr, bool asked, u32 nr)
{
	struct config *c = conf();
	struct task_struct *t = CURRENT();
	struct mapped m = {};
	struct counter *n;
	struct policy *p;
	struct facts f = {};
	struct scratch *s;
	struct call_event *e;
	struct path *path;
	struct dentry *d;
	struct place at;
	struct fs_struct *fs;
	struct vfsmount *rootm;
	struct who w;
	u32 off, ns;
	bool kill;

	if (!c)
		return 0;
	identify_set(T(t, cgroups), c, &w);
	if (!w.cg)
		return 0; /* of containers only */
	p = judging_policy(c, &w);
	if (!p || (!(p->mode & M_KILL_MAP) && !(p->wants >> K_MAP & 1)))
		return 0;
	if (find_vma(t, addr, &m) || !m.file || !(asked || m.exec))
		return 0;
	n = counter(K_MAP);
	ADD(n, seen);
	path = CAST(path, real(m.file));
	d = L(path, dentry);
	at.t = t;
	fs = T(t, fs);
	rootm = L(fs, root.mnt);
	at.fs = fs;
	at.rootd = L(fs, root.dentry);
	at.rootm = rootm;
	ns = L(t, nsproxy, mnt_ns, ns.inum);
	judge(L(d, d_inode), L(rootm, mnt_sb), ns == c->host_mntns, &f);
	kill = (p->mode & M_KILL_MAP) && ns != c->host_mntns && drifted(c, p, &f) && bpf_send_signal(SIGKILL) == 0;
	s = scratch();
	if (!s || !(kill || p->wants >> K_MAP & 1)) {
		ADD(n, filtered);
		return 0;
	}
	e = &s->call;
	__builtin_memset(&e->number, 0, sizeof(*e) - sizeof(e->h));
	if (!kill && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 0;
	}
	heading(&e->h, t, &w, K_MAP);
	e->h.call = nr;
	if (kill)
		e->h.flags |= F_KILLED;
	if (f.lower)
		e->h.flags |= F_LOWER;
	e->inode = f.inode;
	e->device = f.device;
	e->changed = f.changed;
	e->length = f.length;
	e->origin = f.origin;
	off = put_path(s, 0, d, L(path, mnt), &at, &e->path, &e->h.flags);
	off &= BUF_DATA - 1;
	e->h.size = sizeof(s->fixed) + off;
	if (bpf_ringbuf_output(&bulk, e, sizeof(s->fixed) + off, wake(c)))
		ADD(n, lost);
	else
		ADD(n, submitted);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_mmap")
int on_mmap(struct sys_exit_ctx *ctx)
{
	if (ctx->ret < 0 && ctx->ret > -4096)
		return 0;
	return map_told(ctx->ret, false, ctx->nr);
}

SEC("tracepoint/syscalls/sys_enter_mprotect")
int on_mprotect(struct sys_enter_ctx *ctx)
{
	if (!(ctx->args[2] & 4))
		return 0;
	return map_told(ctx->args[0], true, ctx->nr);
}
