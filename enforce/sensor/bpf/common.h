/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Maps and steps that every object shares. The loader makes each map once. */
#ifndef SEKISHO_COMMON_H
#define SEKISHO_COMMON_H
#include "event.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} critical SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} bulk SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct cg);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct policy);
} policies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, K_MAX);
	__type(key, u32);
	__type(value, struct counter);
} counters SEC(".maps");

/* One for each CPU (the loader sets the number): too large for a per-CPU map. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct exempt_key);
	__type(value, u64);
} exempt SEC(".maps");

/* What a container is under. */
struct assignment {
	u32 policy, rules;
};

/* By hashes of containers' ids: one that starts again is under its policy
 * before anybody is asked. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct assignment);
} ids SEC(".maps");

/* Which programs these are: while new ones take over, old ones run too. */
volatile const u32 generation = 1;

#ifndef DIRECT
/* Of a kernel stack, which ends in the registers, in bytes. */
volatile const u32 thread_size = 16384;
#endif

/* OPAQUE keeps the compiler from moving a bound that the verifier has to see. */
#define OPAQUE(v) asm volatile("" : "+r"(v))
#define INLINE static __attribute__((always_inline, unused))

/* conf returns nothing where other programs tell: then nothing is to be done,
 * nor counted. */
INLINE struct config *conf(void)
{
	u32 zero = 0;
	struct config *c = bpf_map_lookup_elem(&config, &zero);
	return c && c->generation == generation ? c : NULL;
}

/* gone says whether the enforcer does not live. */
INLINE bool gone(struct config *c)
{
	return c->loss_after && (s64)(bpf_ktime_get_boot_ns() - c->heartbeat) > (s64)c->loss_after;
}

INLINE struct scratch *scratch(void)
{
	u32 cpu = bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&scratches, &cpu);
}

INLINE struct counter *counter(u32 kind)
{
	return bpf_map_lookup_elem(&counters, &kind);
}

#define FNV_INIT 14695981039346656037ULL
#define FNV_PRIME 1099511628211ULL

#define ADD(c, f) do { if (c) __sync_fetch_and_add(&(c)->f, 1); } while (0)

/* wake says how to hand over: only a reader that sleeps is woken, once. */
INLINE u64 wake(struct config *c)
{
	if (c->sleeping) {
		c->sleeping = 0;
		return BPF_RB_FORCE_WAKEUP;
	}
	return BPF_RB_NO_WAKEUP;
}

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

/* key names a cgroup of any hierarchy: ids are unique in one hierarchy only. */
INLINE u64 key(struct cgroup *cg)
{
	u64 id = L(cg, kn, id);
	u64 h = L(cg, root, hierarchy_id);
	return h << 56 ^ id;
}

struct who {
	u64 cgroup;
	struct cg *cg; /* NULL: no container that is known */
};

INLINE struct cg *v1(struct css_set *set, u32 index, struct who *w)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cg;
	u64 k;

	bpf_core_read(&css, sizeof(css), &set->subsys[index & 15]);
	if (!css)
		return NULL;
	css = CAST(cgroup_subsys_state, css);
	cg = L(css, cgroup);
	if (L(cg, level) == 0)
		return NULL;
	k = key(cg);
	if (!w->cgroup)
		w->cgroup = k;
	return bpf_map_lookup_elem(&cgroups, &k);
}

/* identify finds the container of a task: by its cgroup v2, else by those of
 * v1 that container runtimes use. */
static __attribute__((noinline, unused)) int identify_set(struct css_set *set, struct config *c, struct who *w)
{
	struct cgroup *dfl = L(set, dfl_cgrp);

	w->cgroup = 0;
	w->cg = NULL;
	if (L(dfl, level) > 0) {
		w->cgroup = key(dfl);
		w->cg = bpf_map_lookup_elem(&cgroups, &w->cgroup);
	}
	if (w->cg || !c->v1)
		return 0;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		w->cg = v1(set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id), w);
	if (!w->cg && bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		w->cg = v1(set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id), w);
	if (!w->cg && bpf_core_enum_value_exists(enum cgroup_subsys_id, devices_cgrp_id))
		w->cg = v1(set, bpf_core_enum_value(enum cgroup_subsys_id, devices_cgrp_id), w);
	return 0;
}

INLINE void identify(struct task_struct *t, struct config *c, struct who *w)
{
	struct css_set *set = L(t, cgroups);
	identify_set(set, c, w);
}

INLINE struct policy *policy_of(struct who *w)
{
	u32 id = w->cg ? w->cg->policy : 0;
	return bpf_map_lookup_elem(&policies, &id);
}

/* judging_policy is what a container may run: one that nobody knew yet when
 * the enforcer went has the policy for such. */
INLINE struct policy *judging_policy(struct config *c, struct who *w)
{
	u32 id = w->cg ? w->cg->policy : 0;
	if (!id && c->unknown && gone(c))
		id = c->unknown;
	return bpf_map_lookup_elem(&policies, &id);
}

/* What containers told lately. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct budget);
} budgets SEC(".maps");

#define SECOND 1000000000ULL

/* spent says whether a container told so much within a second that others
 * would not be heard: what it does more is counted as lost. */
static __attribute__((noinline, unused)) int spent(struct config *c, u64 container)
{
	struct budget first = {.count = 1}, *b;
	u64 now;

	if (!c->budget || !container)
		return 0;
	now = bpf_ktime_get_boot_ns();
	b = bpf_map_lookup_elem(&budgets, &container);
	if (!b) {
		first.since = now;
		bpf_map_update_elem(&budgets, &container, &first, BPF_ANY);
		return 0;
	}
	if (now - b->since > SECOND) {
		b->since = now;
		b->count = 0;
	}
	if (b->count >= c->budget) {
		__sync_fetch_and_add(&b->over, 1);
		return 1;
	}
	b->count++;
	return 0;
}

/* wanted says whether anybody asked for a kind of this task's. */
INLINE bool wanted(struct config *c, struct who *w, u32 kind)
{
	struct policy *p;
	if (!w->cg)
		return c->host_wants >> kind & 1 && !(c->loss & LOSS_HOST && gone(c));
	p = policy_of(w);
	return p && p->wants >> kind & 1;
}

INLINE u64 started(struct task_struct *t)
{
	u64 v = 0;
	if (bpf_core_field_exists(t->start_boottime))
		W(&v, t, start_boottime);
	else
		bpf_core_read(&v, sizeof(v), &((struct task_struct___old_start *)t)->real_start_time);
	return v;
}

/* compat says whether a task is in a system call of 32 bits: TS_COMPAT on
 * x86, TIF_32BIT on arm64. */
INLINE bool compat(struct task_struct *t)
{
	if (bpf_core_field_exists(t->thread_info.status)) {
		u32 status = L(t, thread_info.status);
		return status & 2;
	}
	if (bpf_core_field_exists(t->thread_info.flags)) {
		unsigned long flags = L(t, thread_info.flags);
		return flags >> 22 & 1;
	}
	return false;
}

/* heading fills what all events begin with, of a task. */
INLINE void heading(struct head *h, struct task_struct *t, struct who *w, u32 kind)
{
	struct task_struct *leader = L(t, group_leader);
	const struct cred *cred = L(t, cred);

	h->kind = kind;
	h->flags = compat(t) ? F_COMPAT : 0;
	h->call = 0;
	h->result = 0;
	h->time = bpf_ktime_get_boot_ns();
	h->cgroup = w->cgroup;
	h->container = w->cg ? w->cg->container : 0;
	h->start = started(leader);
	h->cpu = bpf_get_smp_processor_id();
	h->pid = L(t, tgid);
	h->tid = L(t, pid);
	h->ppid = L(t, real_parent, tgid);
	h->uid = L(cred, euid.val);
	h->gid = L(cred, gid.val);
	W(&h->comm[0], t, comm[0]);
	W(&h->comm[8], t, comm[8]);
}

#ifdef DIRECT
/* A path is walked from its end: step remembers a name or goes up to the mount
 * above, spell then writes the names in their order. The state stands in
 * memory, where the verifier forgets it, else it would follow every path of
 * the loops apart. */
INLINE bool step(struct scratch *s)
{
	struct dentry *d = CAST(dentry, s->dentry);
	struct vfsmount *m = CAST(vfsmount, s->mnt);
	struct dentry *parent;
	u32 len, i;

	if (s->dentry == s->rootdentry && s->mnt == s->rootmnt)
		return true;
	parent = d->d_parent;
	if (s->dentry == (u64)m->mnt_root || s->dentry == (u64)parent) {
		struct mount *mount = CAST(mount, s->mnt - bpf_core_field_offset(struct mount, mnt));
		u64 above = (u64)mount->mnt_parent;
		if (!above || above == (u64)mount || s->dentry != (u64)m->mnt_root)
			return true;
		s->dentry = (u64)mount->mnt_mountpoint;
		s->mnt = above + bpf_core_field_offset(struct mount, mnt);
		return false;
	}
	s->dentry = (u64)parent;
	len = d->d_name.len;
	if (len > 255)
		len = 255;
	i = s->count;
	if (s->size + len + 1 > BUF_PATH || i >= MAX_NAMES) {
		s->cut = 1;
		return true;
	}
	s->size += len + 1;
	s->names[i].name = (u64)d->d_name.name;
	s->names[i].len = len;
	s->count = i + 1;
	return false;
}

/* letter writes the last name that is remembered. Nearly all have 16 bytes or
 * less: two loads cost less than the helper, and what they copy too much the
 * next name covers. */
INLINE bool letter(struct scratch *s)
{
	u32 i = s->count - 1, pos = s->pos, len;

	if (i >= MAX_NAMES)
		return true;
	s->count = i;
	len = s->names[i].len;
	OPAQUE(pos);
	pos &= BUF_PATH - 1;
	s->walk[pos] = '/';
	if (len <= 16) {
		struct timespec64 *two = CAST(timespec64, s->names[i].name);
		*(u64 *)&s->walk[pos + 1] = two->tv_sec;
		if (len > 8)
			*(u64 *)&s->walk[pos + 9] = two->tv_nsec;
	} else {
		bpf_probe_read_kernel(&s->walk[pos + 1], len & 255, (void *)s->names[i].name);
	}
	s->pos = pos + 1 + len;
	return false;
}

/* climb remembers the names, spell writes them: global functions, which are
 * verified once. */
__attribute__((noinline)) int climb(struct scratch *s)
{
	int i;

	if (!s)
		return 0;
	s->count = s->size = s->cut = 0;
	for (i = 0; i < MAX_STEPS; i++)
		if (step(s))
			return 0;
	s->cut = 1;
	return 0;
}

__attribute__((noinline)) int spell(struct scratch *s)
{
	int i;

	if (!s)
		return 0;
	for (i = 0; i < MAX_NAMES; i++)
		if (letter(s))
			break;
	return 0;
}

/* nameless writes what no directory holds: the root, or a memfd by its name. */
INLINE u32 nameless(struct scratch *s)
{
	struct dentry *d = CAST(dentry, s->dentry);
	u32 len = d->d_name.len, pos = BUF_PATH - 1;

	if (s->dentry == (u64)d->d_parent && len > 1 && len < 256) {
		OPAQUE(len);
		len &= 255;
		pos -= len;
		bpf_probe_read_kernel(&s->walk[(pos + 1) & (BUF_PATH - 1)], len, (void *)d->d_name.name);
	}
	s->walk[pos & (BUF_PATH - 1)] = '/';
	return pos;
}

/* walk writes the absolute path of a dentry on a mount, as one whose root is
 * root sees it, to the end of s->walk, and returns where it begins. */
INLINE u32 walk(struct scratch *s, struct dentry *at, struct vfsmount *on, struct dentry *root, struct vfsmount *rootmnt)
{
	u32 pos;

	s->dentry = (u64)at;
	s->mnt = (u64)on;
	s->rootdentry = (u64)root;
	s->rootmnt = (u64)rootmnt;
	climb(s);
	pos = BUF_PATH - 1;
	if (s->count == 0) {
		pos = nameless(s);
	} else {
		pos = BUF_PATH - s->size;
		s->pos = pos;
		spell(s);
	}
	return pos | s->cut << 16;
}
#else
/* step goes up by one name or mount; the state stands in memory, where the
 * verifier forgets it, else it would follow every path of the loop apart. */
INLINE bool step(struct scratch *s)
{
	struct dentry *d = CAST(dentry, s->dentry);
	struct vfsmount *m = CAST(vfsmount, s->mnt);
	struct dentry *parent;
	struct mount *mount, *above;
	u32 len, pos = s->pos;

	if (s->dentry == s->rootdentry && s->mnt == s->rootmnt)
		return true;
	parent = G(d, d_parent);
	if (s->dentry == (u64)G(m, mnt_root) || s->dentry == (u64)parent) {
		mount = (struct mount *)(s->mnt - bpf_core_field_offset(struct mount, mnt));
		R(&above, mount, mnt_parent);
		if (!above || above == mount || s->dentry != (u64)G(m, mnt_root))
			return true;
		R(&parent, mount, mnt_mountpoint);
		s->dentry = (u64)parent;
		s->mnt = (u64)above + bpf_core_field_offset(struct mount, mnt);
		return false;
	}
	s->dentry = (u64)parent;
	len = G(d, d_name.len);
	if (len > 255)
		len = 255;
	if (pos < len + 1)
		return true;
	pos = pos - len - 1;
	OPAQUE(pos);
	pos &= BUF_PATH - 1;
	s->pos = pos;
	s->walk[pos] = '/';
	bpf_probe_read_kernel(&s->walk[pos + 1], len & 255, G(d, d_name.name));
	return false;
}

/* climb writes the path that walk asked for. A global function is verified
 * once, and before 5.12 it takes no pointers: it finds the scratch itself. */
__attribute__((noinline)) int climb(u32 cpu)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &cpu);
	int i;

	if (!s)
		return 0;

	s->pos = BUF_PATH;
	for (i = 0; i < 80; i++)
		if (step(s))
			break;
	if (s->pos >= BUF_PATH) { /* the root, or a file that is in no directory, as a memfd */
		struct dentry *d = CAST(dentry, s->dentry);
		u32 len = G(d, d_name.len);

		s->pos = BUF_PATH - 1;
		if (len > 1 && len < 256) {
			OPAQUE(len); /* 5.10's verifier has to see the bound */
			len &= 255;
			s->pos = BUF_PATH - 1 - len;
			bpf_probe_read_kernel(&s->walk[(s->pos + 1) & (BUF_PATH - 1)], len, G(d, d_name.name));
		}
		s->walk[s->pos & (BUF_PATH - 1)] = '/';
	}
	return i == 80 ? s->pos | 1 << 16 : s->pos;
}

/* walk writes the absolute path of a dentry on a mount, as one whose root is
 * root sees it, to the end of s->walk, and returns where it begins. */
INLINE u32 walk(struct scratch *s, struct dentry *at, struct vfsmount *on, struct dentry *root, struct vfsmount *rootmnt)
{
	s->dentry = (u64)at;
	s->mnt = (u64)on;
	s->rootdentry = (u64)root;
	s->rootmnt = (u64)rootmnt;
	return climb(bpf_get_smp_processor_id());
}
#endif

/* put moves a walked path behind what data holds and returns the new end. */
INLINE u32 put(struct scratch *s, u32 off, u32 pos, u32 *len, u8 *flags)
{
	u32 n;
	if (pos >> 16)
		*flags |= F_CUT;
	pos &= BUF_PATH - 1;
	n = BUF_PATH - pos;
	if (n > BUF_PATH)
		n = BUF_PATH;
	off &= BUF_DATA - 1;
	bpf_probe_read_kernel(&s->data[off], n & 8191, &s->walk[pos]);
	*len = n;
	return off + n;
}


/* upper says whether an inode of an overlay has content of its own, and
 * whether a layer below has the file too. Where overlayfs is a module its types
 * may be unknown: what is looked for stands behind the inode then. */
INLINE bool upper(struct inode *inode, bool *lower)
{
	void *at = (void *)inode, *below[2] = {}; /* the upper dentry, and what says of lower ones */
	u32 count = 0;

	if (bpf_core_field_exists(struct ovl_inode, __upperdentry))
		at += bpf_core_field_offset(struct ovl_inode, __upperdentry) - bpf_core_field_offset(struct ovl_inode, vfs_inode);
	else
		at += bpf_core_type_size(struct inode);
	bpf_probe_read_kernel(below, sizeof(below), at);
	if (bpf_core_type_exists(struct backing_file)) { /* 6.5: struct ovl_entry begins with the number of layers below */
		if (below[1])
			bpf_probe_read_kernel(&count, sizeof(count), below[1]);
		*lower = count > 0;
	} else
		*lower = below[1] != NULL; /* an inode, or the first half of struct ovl_path */
	return below[0] != NULL;
}

struct facts {
	u64 inode, changed, modified, length;
	u32 device;
	u8 origin, lower;
};

/* judge reads what an inode tells of where its content comes from. */
INLINE void judge(struct inode *raw, struct super_block *root, bool host, struct facts *f)
{
	struct inode *i = CAST(inode, raw);
	struct super_block *rawsb = G(i, i_sb);
	struct super_block *sb = CAST(super_block, rawsb);
	u64 magic = G(sb, s_magic);
	u32 links = G(i, i_nlink);
	bool lower = false;

	f->inode = G(i, i_ino);
	f->device = G(sb, s_dev);
	f->length = G(i, i_size);
	f->lower = 0;
	if (bpf_core_field_exists(struct inode, i_ctime_sec)) {
		f->changed = G(i, i_ctime_sec) * 1000000000ULL + G(i, i_ctime_nsec);
		f->modified = G(i, i_mtime_sec) * 1000000000ULL + G(i, i_mtime_nsec);
	} else if (bpf_core_field_exists(struct inode___before611, __i_ctime)) {
		struct inode___before611 *o = (void *)raw;
		f->changed = BPF_CORE_READ(o, __i_ctime.tv_sec) * 1000000000ULL + BPF_CORE_READ(o, __i_ctime.tv_nsec);
		f->modified = BPF_CORE_READ(o, __i_mtime.tv_sec) * 1000000000ULL + BPF_CORE_READ(o, __i_mtime.tv_nsec);
	} else {
		struct inode___before67 *o = (void *)raw;
		f->changed = BPF_CORE_READ(o, i_ctime.tv_sec) * 1000000000ULL + BPF_CORE_READ(o, i_ctime.tv_nsec);
		f->modified = BPF_CORE_READ(o, i_mtime.tv_sec) * 1000000000ULL + BPF_CORE_READ(o, i_mtime.tv_nsec);
	}
	if (magic == TMPFS_MAGIC || magic == RAMFS_MAGIC || magic == HUGETLBFS_MAGIC)
		f->origin = O_MEMORY;
	else if (links == 0)
		f->origin = O_DELETED;
	else if (host)
		f->origin = O_HOST;
	else if (magic == OVERLAYFS_SUPER_MAGIC) {
		if ((void *)rawsb != (void *)root)
			f->origin = O_VOLUME;
		else
			f->origin = upper(raw, &lower) ? O_UPPER : O_IMAGE;
		f->lower = lower;
	} else if ((void *)rawsb != (void *)root)
		f->origin = O_VOLUME;
	else
		f->origin = O_UNKNOWN; /* one file system without layers: it cannot be told */
}

/* drifted says whether a policy forbids to run content of such an origin. */
INLINE bool drifted(struct config *c, struct policy *p, struct facts *f)
{
	struct exempt_key k = {.inode = f->inode, .device = f->device};
	u64 *changed;
	u32 bit = 0, loss;

	if (f->origin == O_UPPER)
		bit = M_KILL_UPPER;
	else if (f->origin == O_VOLUME)
		bit = M_KILL_VOLUME;
	else if (f->origin == O_MEMORY || f->origin == O_DELETED)
		bit = M_KILL_MEMORY;
	if (!(p->mode & bit))
		return false;
	loss = gone(c) ? c->loss : 0;
	if (loss & LOSS_OPEN)
		return false;
	if (f->origin == O_UPPER && f->lower && p->mode & M_SPARE_LOWER && !(loss & LOSS_STRICT))
		return false;
	changed = bpf_map_lookup_elem(&exempt, &k);
	return !(changed && *changed == f->changed);
}

/* real returns the file that the process named: an overlay maps the file of a
 * layer instead, on a mount of its own. */
INLINE struct path *real(struct file *f)
{
	struct vfsmount *m = L(f, f_path.mnt);
	struct mount *mount = CAST(mount, (void *)m - bpf_core_field_offset(struct mount, mnt));

	if (!bpf_core_field_exists(struct backing_file, user_path))
		return (void *)f + bpf_core_field_offset(struct file, f_path);
	if ((u64)L(mount, mnt_ns) != (u64)-22 || (L(m, mnt_sb, s_flags) & SB_KERNMOUNT))
		return (void *)f + bpf_core_field_offset(struct file, f_path);
	return (void *)f + bpf_core_field_offset(struct backing_file, user_path);
}

#endif
