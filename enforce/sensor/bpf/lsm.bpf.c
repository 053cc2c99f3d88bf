// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// What is refused before it happens, where the kernel lets programs decide
// (BPF LSM): the caller gets EPERM and lives. The verdicts are those of the
// programs that kill; who adds a hook (file_open for writes) asks the same
// questions there.
#include "common.h"

#define EPERM 1

/* Numbers in the place of a system call's, above all of those. */
enum hook { HOOK_EXEC = 509, HOOK_MMAP, HOOK_MPROTECT };

/* How often a hook was called by the enforcer itself: that it attaches proves
 * nothing, the kernel may not ask this module at all. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} asked SEC(".maps");

/* tell makes an event of a refusal. */
INLINE void tell(struct config *c, struct task_struct *t, struct who *w, struct path *path, struct facts *f, struct vfsmount *rootm, u32 hook)
{
	struct scratch *s = scratch();
	struct counter *n = counter(K_DENIED);
	struct call_event *e;
	u32 off, pos;

	ADD(n, seen);
	if (!s) {
		ADD(n, lost);
		return;
	}
	e = &s->call;
	__builtin_memset(&e->number, 0, sizeof(*e) - sizeof(e->h));
	heading(&e->h, t, w, K_DENIED);
	e->h.call = hook;
	e->h.result = -EPERM;
	if (f->lower)
		e->h.flags |= F_LOWER;
	e->inode = f->inode;
	e->device = f->device;
	e->changed = f->changed;
	e->length = f->length;
	e->origin = f->origin;
	pos = walk(s, L(path, dentry), L(path, mnt), L(t, fs, root.dentry), rootm);
	off = put(s, 0, pos, &e->path, &e->h.flags);
	off &= BUF_DATA - 1;
	hand(c, n, e, sizeof(s->fixed) + off);
}

/* refuse judges content that is about to run. */
INLINE int refuse(struct path *path, u32 need, u32 hook)
{
	struct config *c = conf();
	struct task_struct *t = TASK();
	struct vfsmount *rootm;
	struct policy *p;
	struct facts f = {};
	struct who w;

	if (!c)
		return 0;
	identify(t, c, &w);
	if (!w.cg)
		return 0; /* of containers only */
	p = judging_policy(c, &w);
	if (!p || !(p->mode & need))
		return 0;
	if (L(t, nsproxy, mnt_ns, ns.inum) == c->host_mntns)
		return 0; /* the runtime on its way in */
	rootm = L(t, fs, root.mnt);
	judge(L(path, dentry, d_inode), L(rootm, mnt_sb), false, &f);
	if (!drifted(c, p, &f))
		return 0;
	tell(c, t, &w, path, &f, rootm, hook);
	return -EPERM;
}

INLINE struct path *path_of(struct file *f)
{
	return CAST(path, (void *)f + bpf_core_field_offset(struct file, f_path));
}

SEC("lsm/bprm_check_security")
int BPF_PROG(lsm_exec, struct linux_binprm *bprm, int ret)
{
	if (ret)
		return ret;
	return refuse(path_of(L(bprm, file)), M_KILL_UPPER | M_KILL_VOLUME | M_KILL_MEMORY, HOOK_EXEC);
}

SEC("lsm/mmap_file")
int BPF_PROG(lsm_mmap, struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags, int ret)
{
	u32 zero = 0;
	struct config *c = bpf_map_lookup_elem(&config, &zero);
	u64 *n = bpf_map_lookup_elem(&asked, &zero);

	if (c && n && (u32)(bpf_get_current_pid_tgid() >> 32) == c->self)
		__sync_fetch_and_add(n, 1);
	if (ret)
		return ret;
	if (!file || !(prot & 4))
		return 0;
	return refuse(path_of(file), M_KILL_MAP, HOOK_MMAP);
}

SEC("lsm/file_mprotect")
int BPF_PROG(lsm_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot, int ret)
{
	struct file *file;

	if (ret)
		return ret;
	if (!(prot & 4) || (L(vma, vm_flags) & 4))
		return 0; /* what is executable was asked about before */
	file = L(vma, vm_file);
	if (!file)
		return 0;
	return refuse(CAST(path, real(file)), M_KILL_MAP, HOOK_MPROTECT);
}
